//! The store of a running broker: its two threads, and what others need to reach them.

use crate::config::Config;
use crate::inbox::Inbox;
use crate::log::Log;
use crate::space::{LockedSpace, Places};
use crate::startup::RunError;
use crate::store::committing::{self, Handed, Shared};
use crate::store::desk::Desk;
use crate::store::gauges::{self, Gauges};
use crate::store::keeper::Keeper;
use crate::store::opening::{self, Opened};
use crate::store::place::Place;
use crate::store::reading::{self, Wanted};
use crate::worker::Clock;
use sori_broker::{Recovered, ShardId, Space, Totals};
use sori_store::Reader;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Instant;

/// The store of a running broker.
pub(crate) struct Store {
    desk: Arc<Desk<Handed>>,
    gauges: Arc<Gauges>,
    reader: Reader,
    path: PathBuf,
    opening: Instant,
    wanted: Sender<Wanted>,
    writing: JoinHandle<()>,
    reading: JoinHandle<()>,
}

impl Store {
    /// Opens it, starts its threads, and gives what it held, and the clock of this run.
    pub(crate) fn open(
        config: &Config,
        inboxes: Vec<Arc<Inbox>>,
        log: &Log,
    ) -> Result<(Store, Recovered, Clock), RunError> {
        let (opening, shards) = (Instant::now(), inboxes.len() as u16);
        let Opened { committer, recovered } = opening::open(config, shards, log)?;
        let clock = Clock::start_after(recovered.clock_said());
        let path = Place::of(config).store();
        let gauges = Arc::new(Gauges::default());
        gauges.set(committer.figures());
        let reader = committer.reader();
        let limit = usize::try_from(config.store_queue_limit.get()).unwrap_or(usize::MAX);
        let desk = Arc::new(Desk::new(limit));
        let (wanted, reading) = reading::start(reader.clone(), inboxes.clone(), Arc::clone(&gauges), log.clone())?;
        let shared = Shared { desk: Arc::clone(&desk), inboxes, gauges: Arc::clone(&gauges), clock, log: log.clone() };
        let writing = committing::start(committer, shared)?;
        Ok((Store { desk, gauges, reader, path, opening, wanted, writing, reading }, recovered, clock))
    }

    /// Say what was in it, once all of it has been made again.
    pub(crate) fn tell_opened(&self, restored: &[Totals], space: &LockedSpace, log: &Log) {
        let mut sum = Totals::default();
        restored.iter().for_each(|totals| sum += totals);
        let (mut retained, mut subscriptions) = (0, 0);
        space.retained(&mut |all| retained = all.len());
        space.read_index(&mut |index| subscriptions = index.len());
        log.notice(format_args!(
            "Store {} opened in {:.1} s: {} sessions, {subscriptions} subscriptions, {} messages queued and {} in flight, \
             {retained} retained; {}.",
            self.path.display(),
            self.opening.elapsed().as_secs_f64(),
            sum.sessions,
            sum.queued,
            sum.inflight,
            gauges::sizes(&self.gauges.figures()),
        ));
        if sum.dropped_damaged > 0 {
            log.error(format_args!(
                "Error: {} messages cannot be read from the store and are lost.",
                sum.dropped_damaged
            ));
        }
    }

    /// For the space that the shards share.
    pub(crate) fn places(&self) -> Arc<dyn Places> {
        Arc::new(ReaderPlaces(self.reader.clone()))
    }

    /// For the worker of a shard.
    pub(crate) fn keeper(&self, shard: ShardId) -> Keeper {
        Keeper::new(shard, Arc::clone(&self.desk), self.wanted.clone())
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(crate) fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }

    /// Write everything anew, which is a sync as well and leaves the store as small as it can be.
    pub(crate) fn write_anew(&self) {
        self.desk.hand_in(Handed::Checkpoint, 0, true);
    }

    /// Everything that was handed in is written, and the store closed. The workers must have ended.
    pub(crate) fn close(self) {
        self.desk.close();
        drop(self.wanted);
        // A panic of either has been told by the panic message.
        let _ = self.writing.join();
        let _ = self.reading.join();
    }
}

/// Where messages lie, as the store's reader knows it.
struct ReaderPlaces(Reader);

impl Places for ReaderPlaces {
    fn current(&self, place: u64) -> u64 {
        self.0.current(place)
    }

    fn forget(&self, place: u64, bytes: u32) {
        self.0.forget(place, bytes.into());
    }
}
