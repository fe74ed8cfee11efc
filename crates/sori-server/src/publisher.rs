//! What the broker itself publishes: the `$SYS` tree and, if so configured, its log.

use crate::board::Board;
use crate::log::TopicLines;
use crate::machine;
use crate::passwords::backoff::Counts;
use crate::passwords::checking::Checking;
use crate::space::LockedSpace;
use crate::store::gauges::{self, Gauges};
use crate::sys::{self, SysTree};
use crate::worker::Clock;
use sori_broker::{MessageRef, Recorded, SessionRef, Shard, Space, Time, Totals, Wire};
use sori_mqtt::QoS;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// How long a log line stays interesting, in seconds.
const LOG_LINE_EXPIRY: u64 = 20;

/// The broker's own voice.
pub(crate) struct Publisher {
    space: Arc<LockedSpace>,
    store: Option<Arc<Gauges>>,
    checking: Arc<Checking>,
    tree: SysTree,
    interval: Option<NonZeroU16>,
    started: Time,
    due: Option<Time>,
    lines: TopicLines,
}

impl Publisher {
    pub(crate) fn new(
        space: Arc<LockedSpace>,
        store: Option<Arc<Gauges>>,
        checking: Arc<Checking>,
        interval: Option<NonZeroU16>,
        clock: Clock,
        lines: TopicLines,
    ) -> Publisher {
        let started = clock.now();
        let (tree, due) = (SysTree::new(), interval.map(|_| started));
        Publisher { space, store, checking, tree, interval, started, due, lines }
    }

    /// Look at the tree so often from now on, or never.
    pub(crate) fn set_interval(&mut self, interval: Option<NonZeroU16>, now: Time) {
        if interval != self.interval {
            self.interval = interval;
            self.due = interval.map(|_| now);
        }
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.due
    }

    /// Publish what changed in the tree, when it is time.
    pub(crate) fn publish_due(&mut self, shard: &mut Shard, now: Time, board: &Board) {
        let (Some(interval), Some(due)) = (self.interval, self.due) else { return };
        if due > now {
            return;
        }
        self.due = Some(now.plus_seconds(sys::seconds_until_sample(now.0 / 1000, interval)));
        let uptime = Duration::from_millis(now.0.saturating_sub(self.started.0));
        let totals = self.totals(board);
        for (topic, text) in self.tree.sample(uptime, &totals) {
            shard.publish(now, message(topic, text.as_bytes(), true, Time::NEVER));
        }
    }

    pub(crate) fn publish_log_lines(&mut self, shard: &mut Shard, now: Time) {
        while let Some(line) = self.lines.next_line() {
            let expires = now.plus_seconds(LOG_LINE_EXPIRY);
            shard.publish(now, message(line.topic, line.text.as_bytes(), false, expires));
        }
    }

    fn totals(&self, board: &Board) -> sys::Totals {
        let t = board.totals();
        let (mut subscriptions, mut shared_subscriptions, mut retained_messages) = (0, 0, 0);
        self.space.read_index(&mut |index| {
            shared_subscriptions = index.shared_len() as u64;
            subscriptions = index.len() as u64 - shared_subscriptions;
        });
        self.space.retained(&mut |retained| retained_messages = retained.len() as u64);
        sys::Totals {
            clients_total: t.sessions,
            clients_connected: t.clients_connected,
            clients_expired: t.sessions_expired,
            sockets_accepted: t.connections_opened,
            connects_received: t.connects,
            packets_received: t.packets_received,
            packets_sent: t.packets_sent,
            bytes_received: t.bytes_received,
            bytes_sent: t.bytes_sent,
            publish_received: t.publish_received,
            publish_sent: t.publish_sent,
            publish_bytes_received: t.publish_bytes_received,
            publish_bytes_sent: t.publish_bytes_sent,
            dropped: sys::Drops {
                queue_full: t.dropped_queue_full,
                expired: t.dropped_expired,
                too_large: t.publish_too_large,
                larger_than_client_takes: t.dropped_too_large,
                memory_limit: t.dropped_memory,
                session_ended: t.dropped_session_ended,
                refused_by_client: t.dropped_refused,
            },
            dropped_offline_qos0: t.dropped_offline_qos0,
            messages_stored: t.queued + t.inflight + retained_messages,
            messages_stored_bytes: self.space.memory_used(),
            retained_messages,
            subscriptions,
            shared_subscriptions,
            packets_waiting: t.queued,
            packets_waiting_bytes: t.queued_bytes,
            resident_bytes: machine::resident_bytes().unwrap_or(0),
            logins: login_totals(self.checking.counts()),
            store: self.store.as_ref().map(|store| store_totals(store, &t)),
        }
    }
}

/// Nothing to tell before the first failure: a broker without passwords has none ever.
fn login_totals(counts: Counts) -> Option<sys::LoginTotals> {
    let Counts { failures, refused, uncounted } = counts;
    (counts != Counts::default()).then_some(sys::LoginTotals { failures, refused, uncounted })
}

fn store_totals(gauges: &Gauges, t: &Totals) -> sys::StoreTotals {
    let figures = gauges.figures();
    sys::StoreTotals {
        state: gauges::word(&figures.state),
        bytes: figures.disk_bytes,
        live_bytes: figures.live_bytes,
        segments: figures.segments,
        changes: figures.pieces,
        changes_waiting: figures.pieces_waiting,
        commits: figures.commits,
        syncs: figures.syncs,
        bytes_written: figures.bytes_written,
        checkpoints: figures.checkpoints,
        messages_durable: t.recorded,
        messages_on_disk: t.queued_in_store,
        messages_lost: t.dropped_damaged,
        refused: t.refused_by_store,
        unreadable: gauges.unreadable(),
    }
}

fn message<'a>(topic: &'a str, payload: &'a [u8], retain: bool, expires: Time) -> MessageRef<'a> {
    MessageRef {
        topic,
        payload,
        properties: &[],
        qos: QoS::ExactlyOnce,
        retain,
        expires,
        publisher: SessionRef::NOBODY,
        retained_version: 0,
        recorded: Recorded::default(),
        wire: Wire::default(),
    }
}
