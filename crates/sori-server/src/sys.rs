//! The topics below `$SYS/broker`: from counters and the time to the texts that changed.
//!
//! Nothing here counts, publishes or knows a clock. The texts are published retained at QoS 2.

use std::num::NonZeroU16;
use std::time::Duration;

/// Counters and gauges of the whole broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Sessions, connected or not.
    pub clients_total: u64,
    /// Sessions whose client is connected.
    pub clients_connected: u64,
    /// Sessions removed because their client stayed away too long.
    pub clients_expired: u64,
    /// Connections accepted since the start.
    pub sockets_accepted: u64,
    /// CONNECT packets since the start.
    pub connects_received: u64,
    /// Packets of all types since the start.
    pub packets_received: u64,
    /// Packets of all types since the start.
    pub packets_sent: u64,
    /// Bytes since the start.
    pub bytes_received: u64,
    /// Bytes since the start.
    pub bytes_sent: u64,
    /// PUBLISH packets since the start.
    pub publish_received: u64,
    /// PUBLISH packets since the start.
    pub publish_sent: u64,
    /// Bytes of payload in PUBLISH packets since the start.
    pub publish_bytes_received: u64,
    /// Bytes of payload in PUBLISH packets since the start.
    pub publish_bytes_sent: u64,
    /// Messages that did not reach somebody, since the start.
    pub dropped: Drops,
    /// QoS 0 messages for sessions that were offline, since the start. Mosquitto does not call that dropped.
    pub dropped_offline_qos0: u64,
    /// Messages held for sessions or as retained messages.
    pub messages_stored: u64,
    /// Bytes of payload in those.
    pub messages_stored_bytes: u64,
    /// Retained messages.
    pub retained_messages: u64,
    /// Subscriptions that are not shared.
    pub subscriptions: u64,
    /// Shared subscriptions.
    pub shared_subscriptions: u64,
    /// Packets that wait to be written to their connections.
    pub packets_waiting: u64,
    /// Bytes in those.
    pub packets_waiting_bytes: u64,
    /// Bytes of memory the process occupies.
    pub resident_bytes: u64,
    /// Logins with wrong passwords, once there was one.
    pub logins: Option<LoginTotals>,
    /// The store, if there is one.
    pub store: Option<StoreTotals>,
}

/// Logins that failed, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginTotals {
    /// The password was wrong, or there is no such user.
    pub failures: u64,
    /// Refused without a check, because of too many failures before.
    pub refused: u64,
    /// Failures that had no room in the tables of those who must wait.
    pub uncounted: u64,
}

/// How the store is doing. Counters run since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreTotals {
    /// `ok`, `full` or `failed`.
    pub state: &'static str,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes of them that are in use, by estimate.
    pub live_bytes: u64,
    /// Its segment files.
    pub segments: u64,
    /// Changes that were written; a change is what one turn of one shard has to keep.
    pub changes: u64,
    /// Changes that wait to be durable.
    pub changes_waiting: u64,
    /// Writes, each of all changes that waited.
    pub commits: u64,
    /// Syncs.
    pub syncs: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// Checkpoints that were completed.
    pub checkpoints: u64,
    /// Messages that were kept for sessions which outlive their connections.
    pub messages_durable: u64,
    /// Messages queued now that lie in the store only.
    pub messages_on_disk: u64,
    /// Messages that could not be read back and are lost.
    pub messages_lost: u64,
    /// Messages and requests that were refused because the store was full or had failed.
    pub refused: u64,
    /// Places that could not be read, because the disk fails or was damaged.
    pub unreadable: u64,
}

/// Messages that did not reach somebody, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drops {
    /// The client's queue was full.
    pub queue_full: u64,
    /// `memory_limit` was reached.
    pub memory_limit: u64,
    /// Above the Maximum Packet Size that the client gave.
    pub larger_than_client_takes: u64,
    /// Its expiry interval had passed.
    pub expired: u64,
    /// The client answered with a reason code of 0x80 or more.
    pub refused_by_client: u64,
    /// The session ended with messages in its queue.
    pub session_ended: u64,
    /// Above `message_size_limit`.
    pub too_large: u64,
}

impl Drops {
    /// All causes together.
    pub fn total(&self) -> u64 {
        DROPS.iter().fold(0, |sum, (_, count)| sum.saturating_add(count(self)))
    }
}

/// A topic and its new text.
pub type Change = (&'static str, String);

/// The state of the tree: what was published last.
#[derive(Debug, Clone)]
pub struct SysTree {
    latest: Option<Sample>,
    clients_maximum: u64,
    resident_maximum: u64,
}

#[derive(Debug, Clone)]
struct Sample {
    uptime: Duration,
    totals: Totals,
    clients_maximum: u64,
    resident_maximum: u64,
    loads: Vec<Load>,
}

#[derive(Debug, Clone, Default)]
struct Load {
    per_minute: f64,
    text: String,
}

impl Default for SysTree {
    fn default() -> SysTree {
        SysTree::new()
    }
}

impl SysTree {
    /// A tree of which nothing is published yet.
    pub fn new() -> SysTree {
        SysTree { latest: None, clients_maximum: 0, resident_maximum: 0 }
    }

    /// Takes a sample and returns the topics whose text is now another. The first sample returns all topics. `uptime`
    /// is the time since the broker started.
    pub fn sample(&mut self, uptime: Duration, totals: &Totals) -> Vec<Change> {
        let before = self.latest.take();
        let mut sample = self.look(uptime, totals);
        sample.loads = before.as_ref().map_or_else(|| vec![Load::default(); LOADS.len() * SPANS], |b| b.loads.clone());
        let mut changes = Vec::new();
        if before.is_none() {
            changes.push(("$SYS/broker/version", format!("sori version {}", crate::VERSION)));
        }
        changes.push(("$SYS/broker/uptime", format!("{} seconds", uptime.as_secs())));
        for (topics, value) in NUMBERS {
            let new = value(&sample);
            if before.as_ref().map(value) != Some(new) {
                changes.extend(topics.iter().map(|topic| (*topic, new.to_string())));
            }
        }
        for (topic, count) in DROPS {
            let new = count(&sample.totals.dropped);
            if before.as_ref().map(|before| count(&before.totals.dropped)) != Some(new) {
                changes.push((topic, new.to_string()));
            }
        }
        changes.extend(login_changes(before.as_ref().and_then(|before| before.totals.logins), sample.totals.logins));
        changes.extend(store_changes(before.as_ref().and_then(|before| before.totals.store), sample.totals.store));
        changes.extend(sample.update_loads(before.as_ref()));
        self.latest = Some(sample);
        changes
    }

    /// The numbers of this moment by the topics that Mosquitto has for them, each by its first name, and the seconds since the
    /// start. What counts as published does not change by it.
    pub fn numbers(&mut self, uptime: Duration, totals: &Totals) -> Vec<(&'static str, u64)> {
        let sample = self.look(uptime, totals);
        let known = NUMBERS.iter().filter_map(|(topics, value)| Some((*topics.first()?, value(&sample))));
        let mut numbers: Vec<_> = known.filter(|(topic, _)| *topic != OFFLINE_QOS0).collect();
        numbers.push(("$SYS/broker/uptime", uptime.as_secs()));
        numbers
    }

    fn look(&mut self, uptime: Duration, totals: &Totals) -> Sample {
        self.clients_maximum = self.clients_maximum.max(totals.clients_total);
        self.resident_maximum = self.resident_maximum.max(totals.resident_bytes);
        let (clients_maximum, resident_maximum) = (self.clients_maximum, self.resident_maximum);
        Sample { uptime, totals: *totals, clients_maximum, resident_maximum, loads: Vec::new() }
    }
}

fn store_changes(before: Option<StoreTotals>, now: Option<StoreTotals>) -> Vec<Change> {
    let Some(now) = now else { return Vec::new() };
    let mut changes = Vec::new();
    if before.map(|before| before.state) != Some(now.state) {
        changes.push(("$SYS/broker/store/state", now.state.to_owned()));
    }
    for (topic, number) in STORE {
        if before.as_ref().map(number) != Some(number(&now)) {
            changes.push((topic, number(&now).to_string()));
        }
    }
    changes
}

fn login_changes(before: Option<LoginTotals>, now: Option<LoginTotals>) -> Vec<Change> {
    let Some(now) = now else { return Vec::new() };
    let changed = LOGINS.iter().filter(|(_, number)| before.as_ref().map(number) != Some(number(&now)));
    changed.map(|(topic, number)| (*topic, number(&now).to_string())).collect()
}

/// Seconds from this wall-clock second until the next sample; samples lie on multiples of the interval.
pub fn seconds_until_sample(unix_seconds: u64, interval: NonZeroU16) -> u64 {
    let interval = u64::from(interval.get());
    interval - unix_seconds % interval
}

impl Sample {
    /// Moves the averages on and returns those whose text changed.
    fn update_loads(&mut self, before: Option<&Sample>) -> Vec<Change> {
        let mut changes = Vec::new();
        let seconds = before.map_or(0.0, |before| self.uptime.saturating_sub(before.uptime).as_secs_f64());
        for (index, (topics, counter)) in LOADS.iter().enumerate() {
            let count = before.map_or(0, |before| counter(&self.totals).saturating_sub(counter(&before.totals)));
            for (span, topic) in topics.iter().enumerate() {
                let Some(load) = self.loads.get_mut(index * SPANS + span) else { continue };
                load.per_minute = average(load.per_minute, count, seconds, SPAN_SECONDS[span]);
                let text = format!("{:.2}", load.per_minute);
                if text != load.text {
                    load.text.clone_from(&text);
                    changes.push((*topic, text));
                }
            }
        }
        changes
    }
}

/// The exponential average per minute: `v = x·60/dt + e^(-dt/T)·(v - x·60/dt)`.
fn average(value: f64, count: u64, seconds: f64, span: f64) -> f64 {
    if seconds <= 0.0 {
        return value;
    }
    let per_minute = count as f64 * 60.0 / seconds;
    per_minute + (-seconds / span).exp() * (value - per_minute)
}

const SPANS: usize = 3;
const SPAN_SECONDS: [f64; SPANS] = [60.0, 300.0, 900.0];

/// The one number that Mosquitto does not have.
const OFFLINE_QOS0: &str = "$SYS/broker/publish/messages/offline_qos0";

type Numbers = (&'static [&'static str], fn(&Sample) -> u64);

/// The numbers and their topics; a second topic is the old name of the first.
const NUMBERS: &[Numbers] = &[
    (&["$SYS/broker/clients/total"], |s| s.totals.clients_total),
    (&["$SYS/broker/clients/maximum"], |s| s.clients_maximum),
    (&["$SYS/broker/clients/disconnected", "$SYS/broker/clients/inactive"], |s| {
        s.totals.clients_total.saturating_sub(s.totals.clients_connected)
    }),
    (&["$SYS/broker/clients/connected", "$SYS/broker/clients/active"], |s| s.totals.clients_connected),
    (&["$SYS/broker/clients/expired"], |s| s.totals.clients_expired),
    (&["$SYS/broker/messages/stored", "$SYS/broker/store/messages/count"], |s| s.totals.messages_stored),
    (&["$SYS/broker/store/messages/bytes"], |s| s.totals.messages_stored_bytes),
    (&["$SYS/broker/subscriptions/count"], |s| s.totals.subscriptions),
    (&["$SYS/broker/shared_subscriptions/count"], |s| s.totals.shared_subscriptions),
    (&["$SYS/broker/retained messages/count"], |s| s.totals.retained_messages),
    (&["$SYS/broker/heap/current"], |s| s.totals.resident_bytes),
    (&["$SYS/broker/heap/maximum"], |s| s.resident_maximum),
    (&["$SYS/broker/messages/received"], |s| s.totals.packets_received),
    (&["$SYS/broker/messages/sent"], |s| s.totals.packets_sent),
    (&["$SYS/broker/bytes/received"], |s| s.totals.bytes_received),
    (&["$SYS/broker/bytes/sent"], |s| s.totals.bytes_sent),
    (&["$SYS/broker/publish/bytes/received"], |s| s.totals.publish_bytes_received),
    (&["$SYS/broker/publish/bytes/sent"], |s| s.totals.publish_bytes_sent),
    (&["$SYS/broker/packet/out/count"], |s| s.totals.packets_waiting),
    (&["$SYS/broker/packet/out/bytes"], |s| s.totals.packets_waiting_bytes),
    (&["$SYS/broker/connections/socket/count"], |s| s.totals.sockets_accepted),
    (&["$SYS/broker/publish/messages/dropped"], |s| s.totals.dropped.total()),
    (&[OFFLINE_QOS0], |s| s.totals.dropped_offline_qos0),
    (&["$SYS/broker/publish/messages/received"], |s| s.totals.publish_received),
    (&["$SYS/broker/publish/messages/sent"], |s| s.totals.publish_sent),
];

type DropCount = (&'static str, fn(&Drops) -> u64);

/// The causes of drops and their topics, which Mosquitto does not have.
const DROPS: &[DropCount] = &[
    ("$SYS/broker/publish/messages/dropped/queue_full", |d| d.queue_full),
    ("$SYS/broker/publish/messages/dropped/memory_limit", |d| d.memory_limit),
    ("$SYS/broker/publish/messages/dropped/larger_than_client_takes", |d| d.larger_than_client_takes),
    ("$SYS/broker/publish/messages/dropped/expired", |d| d.expired),
    ("$SYS/broker/publish/messages/dropped/refused_by_client", |d| d.refused_by_client),
    ("$SYS/broker/publish/messages/dropped/session_ended", |d| d.session_ended),
    ("$SYS/broker/publish/messages/dropped/too_large", |d| d.too_large),
];

type StoreNumber = (&'static str, fn(&StoreTotals) -> u64);

/// The numbers of the store and their topics, which Mosquitto does not have.
const STORE: &[StoreNumber] = &[
    ("$SYS/broker/store/bytes", |s| s.bytes),
    ("$SYS/broker/store/bytes/live", |s| s.live_bytes),
    ("$SYS/broker/store/bytes/written", |s| s.bytes_written),
    ("$SYS/broker/store/segments", |s| s.segments),
    ("$SYS/broker/store/changes", |s| s.changes),
    ("$SYS/broker/store/changes/waiting", |s| s.changes_waiting),
    ("$SYS/broker/store/commits", |s| s.commits),
    ("$SYS/broker/store/syncs", |s| s.syncs),
    ("$SYS/broker/store/checkpoints", |s| s.checkpoints),
    ("$SYS/broker/store/messages/durable", |s| s.messages_durable),
    ("$SYS/broker/store/messages/on_disk", |s| s.messages_on_disk),
    ("$SYS/broker/store/messages/lost", |s| s.messages_lost),
    ("$SYS/broker/store/refused", |s| s.refused),
    ("$SYS/broker/store/unreadable", |s| s.unreadable),
];

type LoginNumber = (&'static str, fn(&LoginTotals) -> u64);

/// Failed logins and their topics, which Mosquitto does not have.
const LOGINS: &[LoginNumber] = &[
    ("$SYS/broker/logins/failed", |l| l.failures),
    ("$SYS/broker/logins/refused", |l| l.refused),
    ("$SYS/broker/logins/uncounted", |l| l.uncounted),
];

type LoadOf = ([&'static str; SPANS], fn(&Totals) -> u64);

macro_rules! load {
    ($name:literal, $counter:expr) => {
        (
            [
                concat!("$SYS/broker/load/", $name, "/1min"),
                concat!("$SYS/broker/load/", $name, "/5min"),
                concat!("$SYS/broker/load/", $name, "/15min"),
            ],
            $counter,
        )
    };
}

/// The counters of which averages are published.
const LOADS: &[LoadOf] = &[
    load!("messages/received", |t| t.packets_received),
    load!("messages/sent", |t| t.packets_sent),
    load!("publish/dropped", |t| t.dropped.total()),
    load!("publish/received", |t| t.publish_received),
    load!("publish/sent", |t| t.publish_sent),
    load!("bytes/received", |t| t.bytes_received),
    load!("bytes/sent", |t| t.bytes_sent),
    load!("sockets", |t| t.sockets_accepted),
    load!("connections", |t| t.connects_received),
];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn sample(tree: &mut SysTree, second: u64, totals: &Totals) -> HashMap<&'static str, String> {
        let changes = tree.sample(Duration::from_secs(second), totals);
        let count = changes.len();
        let map: HashMap<_, _> = changes.into_iter().collect();
        assert_eq!(map.len(), count, "a topic stands twice in one sample");
        map
    }

    #[test]
    fn the_first_sample_is_the_whole_tree() {
        let all = sample(&mut SysTree::new(), 0, &Totals::default());
        assert_eq!(all.len(), 2 + NUMBERS.len() + 3 + DROPS.len() + LOADS.len() * SPANS);
        // Those of Mosquitto, which also has one for each old name; ours are the causes of drops and offline_qos0.
        assert_eq!(all.len() - DROPS.len() - 1, 56);
        assert_eq!(all["$SYS/broker/uptime"], "0 seconds");
        assert_eq!(all["$SYS/broker/version"], format!("sori version {}", crate::VERSION));
        assert_eq!(all["$SYS/broker/retained messages/count"], "0");
        assert_eq!(all["$SYS/broker/load/publish/sent/15min"], "0.00");
    }

    #[test]
    fn numbers_are_those_of_mosquitto_and_change_nothing_that_is_published() {
        let mut tree = SysTree::new();
        let totals = Totals { clients_total: 3, store: Some(StoreTotals::default()), ..Totals::default() };
        let numbers: HashMap<_, _> = tree.numbers(Duration::from_secs(7), &totals).into_iter().collect();
        assert_eq!(numbers.len(), NUMBERS.len());
        assert_eq!((numbers["$SYS/broker/clients/total"], numbers["$SYS/broker/uptime"]), (3, 7));
        assert!(!numbers.contains_key(OFFLINE_QOS0) && !numbers.contains_key("$SYS/broker/clients/inactive"));
        assert!(
            sample(&mut tree, 8, &Totals::default()).contains_key("$SYS/broker/version"),
            "the first is still whole"
        );
        let later = tree.numbers(Duration::from_secs(9), &Totals::default());
        assert!(later.contains(&("$SYS/broker/clients/maximum", 3)), "a maximum does not sink");
    }

    #[test]
    fn a_store_has_topics_of_its_own() {
        let mut tree = SysTree::new();
        let without = sample(&mut tree, 0, &Totals::default()).len();
        let mut store = StoreTotals { state: "ok", commits: 3, ..StoreTotals::default() };
        let with = |store| Totals { store: Some(store), ..Totals::default() };
        let all = sample(&mut SysTree::new(), 0, &with(store));
        assert_eq!(all.len(), without + 1 + STORE.len());
        assert_eq!((&*all["$SYS/broker/store/state"], &*all["$SYS/broker/store/commits"]), ("ok", "3"));

        let mut tree = SysTree::new();
        sample(&mut tree, 0, &with(store));
        (store.state, store.commits) = ("full", 4);
        let changed = sample(&mut tree, 10, &with(store));
        assert_eq!(changed.len(), 3, "with the uptime");
        assert_eq!((&*changed["$SYS/broker/store/state"], &*changed["$SYS/broker/store/commits"]), ("full", "4"));
    }

    #[test]
    fn later_only_changes_are_told() {
        let mut tree = SysTree::new();
        let mut totals = Totals { clients_total: 3, clients_connected: 1, ..Totals::default() };
        let all = sample(&mut tree, 0, &totals);
        assert_eq!(all["$SYS/broker/clients/inactive"], "2");
        assert_eq!(sample(&mut tree, 10, &totals).len(), 1, "the uptime alone");

        totals.clients_total = 2;
        let changed = sample(&mut tree, 20, &totals);
        assert_eq!(changed["$SYS/broker/clients/total"], "2");
        assert_eq!(changed["$SYS/broker/clients/disconnected"], "1");
        assert!(!changed.contains_key("$SYS/broker/clients/maximum"), "a maximum does not sink");

        totals.dropped.queue_full = 5;
        totals.dropped.expired = 2;
        let changed = sample(&mut tree, 30, &totals);
        assert_eq!(changed["$SYS/broker/publish/messages/dropped"], "7");
        assert_eq!(changed["$SYS/broker/publish/messages/dropped/queue_full"], "5");
        assert!(changed.contains_key("$SYS/broker/load/publish/dropped/1min"));
    }

    #[test]
    fn loads_are_exponential_averages_per_minute() {
        let mut tree = SysTree::new();
        let mut totals = Totals::default();
        sample(&mut tree, 0, &totals);
        totals.publish_received = 100;
        let changed = sample(&mut tree, 10, &totals);
        // 100 in 10 seconds are 600 per minute; 600 · (1 - e^(-10/60)) = 92.11.
        assert_eq!(changed["$SYS/broker/load/publish/received/1min"], "92.11");
        assert_eq!(changed["$SYS/broker/load/publish/received/5min"], "19.67");
        assert_eq!(changed["$SYS/broker/load/publish/received/15min"], "6.63");
        let quiet = sample(&mut tree, 20, &totals);
        assert_eq!(quiet["$SYS/broker/load/publish/received/1min"], "77.97");
    }

    #[test]
    fn no_time_and_counters_that_sink_harm_nothing() {
        let mut tree = SysTree::new();
        let mut totals = Totals { bytes_sent: 1000, ..Totals::default() };
        sample(&mut tree, 5, &totals);
        totals.bytes_sent = 10;
        let same_second = sample(&mut tree, 5, &totals);
        assert!(!same_second.keys().any(|topic| topic.contains("load")));
        totals.bytes_sent = u64::MAX;
        totals.dropped = Drops { queue_full: u64::MAX, expired: u64::MAX, ..Drops::default() };
        assert!(sample(&mut tree, 4, &totals).contains_key("$SYS/broker/bytes/sent"));
    }

    #[test]
    fn samples_lie_on_multiples_of_the_interval() {
        let ten = NonZeroU16::new(10).expect("is not zero");
        assert_eq!(seconds_until_sample(1_700_000_003, ten), 7);
        assert_eq!(seconds_until_sample(1_700_000_000, ten), 10);
        assert_eq!(seconds_until_sample(u64::MAX, NonZeroU16::MIN), 1);
    }
}
