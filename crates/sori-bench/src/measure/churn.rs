//! What the store takes on disk when much has come and gone beside what is kept.

use std::io;
use std::thread;
use std::time::Duration;

use super::durable_rate::Figures;
use super::load::Load;
use super::restart::read_all;
use super::wire::{Door, Wire, leave_a_session};
use super::{process, store_figures};
use crate::broker::{Broker, BrokerOptions};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerOptions,
    /// Messages that are kept for a session that does not come.
    pub kept: u64,
    /// So many times as many are queued for another one, and read by it.
    pub times: u64,
    /// Bytes of each payload.
    pub payload_size: usize,
}

/// Messages that wait at a time for the session that reads them.
const ROUND: u64 = 20_000;
/// What is to be cleaned after the last message has this time.
const PAUSE: Duration = Duration::from_secs(3);

/// Keeps, churns, measures.
///
/// # Errors
/// The machine's, or a broker that does not serve.
pub fn run(options: &Options) -> io::Result<Figures> {
    let mut settings = options.broker.clone();
    settings.lines.push("sys_interval 1".to_owned());
    let broker = Broker::new(&settings, 41)?;
    let mut child = broker.start()?;
    let result = churn(options, &broker);
    let _ = child.kill();
    child.wait()?;
    result
}

fn churn(options: &Options, broker: &Broker) -> io::Result<Figures> {
    let port = broker.port;
    leave_a_session(port, "kept", "keep")?;
    publish(options, port, "keep", options.kept)?;
    leave_a_session(port, "reader", "churn")?;
    let mut left = options.kept * options.times;
    let mut most = 0;
    while left > 0 {
        let count = left.min(ROUND);
        publish(options, port, "churn", count)?;
        let (mut wire, _) = Wire::connect(port, "reader", false)?;
        read_all(&mut wire, count)?;
        wire.disconnect()?;
        most = most.max(process::bytes_below(&broker.data())?);
        left -= count;
    }
    thread::sleep(PAUSE);
    let store = store_figures::read(port)?;
    let disk = process::bytes_below(&broker.data())? as f64;
    let payloads = (options.kept * options.payload_size as u64) as f64;
    Ok(Figures(vec![
        ("disk_bytes", disk),
        ("live_bytes", store.live_bytes),
        ("payload_bytes", payloads),
        ("disk_bytes_most", most as f64),
        ("disk_by_live", disk / store.live_bytes.max(1.0)),
        ("disk_by_payload", disk / payloads.max(1.0)),
        ("checkpoints", store.checkpoints),
    ]))
}

fn publish(options: &Options, port: u16, topic: &str, count: u64) -> io::Result<()> {
    let load = Load { door: Door::Port(port), publishers: 20, window: 40, payload_size: options.payload_size, topic };
    let done = load.run(count, Duration::from_secs(300))?;
    if done.acknowledged < count { Err(io::Error::other("publishing took more than five minutes")) } else { Ok(()) }
}
