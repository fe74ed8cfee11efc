//! The thread that reads messages back which live on disk only, so that no shard waits for a disk.

use crate::inbox::{Inbox, Letter};
use crate::log::Log;
use crate::store::gauges::Gauges;
use sori_broker::{Fetch, ShardId};
use sori_store::Reader;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What a shard wants to have read.
pub(crate) type Wanted = (ShardId, Box<Fetch>);

/// Starts the thread. It ends when every sender is gone.
pub(crate) fn start(
    reader: Reader,
    inboxes: Vec<Arc<Inbox>>,
    gauges: Arc<Gauges>,
    log: Log,
) -> io::Result<(Sender<Wanted>, JoinHandle<()>)> {
    let (sender, wanted) = channel();
    let thread = std::thread::Builder::new()
        .name("store reader".to_owned())
        .spawn(move || read(&reader, &wanted, &inboxes, &gauges, &log))?;
    Ok((sender, thread))
}

fn read(reader: &Reader, wanted: &Receiver<Wanted>, inboxes: &[Arc<Inbox>], gauges: &Gauges, log: &Log) {
    for (shard, mut fetch) in wanted {
        fetch.found = fetch
            .places
            .iter()
            .map(|&place| match reader.read(place) {
                Ok(bytes) => Some(bytes),
                Err(error) => {
                    gauges.note_unreadable();
                    log.error(format_args!(
                        "Error: {error}. The message is lost; `sori store verify` tells what else is."
                    ));
                    None
                }
            })
            .collect();
        inboxes[usize::from(shard.0)].post(Letter::Fetched(fetch));
    }
}
