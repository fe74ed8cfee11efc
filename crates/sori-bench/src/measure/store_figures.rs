//! What the broker says about its store below `$SYS/broker/store`; nothing, if it is not sori.

use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::{Packet, PacketType, QoS};

use super::wire::Wire;

/// Counters of the store.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StoreFigures {
    pub(super) commits: f64,
    pub(super) syncs: f64,
    pub(super) bytes_written: f64,
    pub(super) checkpoints: f64,
    /// As it is now, by the store's own estimate.
    pub(super) live_bytes: f64,
}

/// The broker is configured to tell them each second.
const NEXT_WITHIN: Duration = Duration::from_millis(1_500);
const TOPICS: &str = "$SYS/broker/store/";

/// Waits until what happened until now is told, and reads it as a new subscriber.
pub(super) fn read(port: u16) -> io::Result<StoreFigures> {
    thread::sleep(NEXT_WITHIN);
    let (mut wire, _) = Wire::connect(port, "figures", true)?;
    let mut values: HashMap<String, f64> = HashMap::new();
    let mut note = |packet: &Packet<'_>| {
        if let Packet::Publish(publish) = packet
            && let Some(name) = publish.topic.strip_prefix(TOPICS)
            && let Some(value) = std::str::from_utf8(publish.payload).ok().and_then(|text| text.parse().ok())
        {
            values.insert(name.to_owned(), value);
        }
    };
    wire.subscribe(&format!("{TOPICS}#"), QoS::AtMostOnce, &mut note)?;
    // Retained messages come before the answer to the next packet, or shortly after it.
    wire.stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until && wire.until(PacketType::Publish, &mut note).is_ok() {}
    let value = |name: &str| values.get(name).copied().unwrap_or(0.0);
    Ok(StoreFigures {
        commits: value("commits"),
        syncs: value("syncs"),
        bytes_written: value("bytes/written"),
        checkpoints: value("checkpoints"),
        live_bytes: value("bytes/live"),
    })
}

impl StoreFigures {
    pub(super) fn since(self, before: StoreFigures) -> StoreFigures {
        StoreFigures {
            commits: self.commits - before.commits,
            syncs: self.syncs - before.syncs,
            bytes_written: self.bytes_written - before.bytes_written,
            checkpoints: self.checkpoints - before.checkpoints,
            live_bytes: self.live_bytes,
        }
    }
}
