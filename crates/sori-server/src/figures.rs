//! What the broker counts, gathered from all that count: for the `$SYS` tree and for whoever asks between two looks at it.

use crate::board::Board;
use crate::machine;
use crate::passwords::backoff::Counts;
use crate::passwords::checking::Checking;
use crate::space::LockedSpace;
use crate::store::gauges::{self, Gauges};
use crate::sys::{self, Change, SysTree};
use crate::worker::Clock;
use sori_broker::{Space, Time, Totals};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The counters of a running broker.
pub(crate) struct Figures {
    space: Arc<LockedSpace>,
    store: Option<Arc<Gauges>>,
    checking: Arc<Checking>,
    board: Arc<Board>,
    tree: Mutex<SysTree>,
    clock: Clock,
    started: Time,
}

impl Figures {
    pub(crate) fn new(
        space: Arc<LockedSpace>,
        store: Option<Arc<Gauges>>,
        checking: Arc<Checking>,
        board: Arc<Board>,
        clock: Clock,
    ) -> Figures {
        Figures { space, store, checking, board, tree: Mutex::new(SysTree::new()), clock, started: clock.now() }
    }

    /// When it was.
    pub(crate) fn started(&self) -> Time {
        self.started
    }

    /// What has changed in the `$SYS` tree since this was asked last.
    pub(crate) fn changes(&self, now: Time) -> Vec<Change> {
        let totals = self.totals();
        self.tree().sample(self.uptime(now), &totals)
    }

    /// The numbers of this moment.
    pub(crate) fn numbers(&self) -> Vec<(&'static str, u64)> {
        let totals = self.totals();
        self.tree().numbers(self.uptime(self.clock.now()), &totals)
    }

    fn tree(&self) -> MutexGuard<'_, SysTree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uptime(&self, now: Time) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.started.0))
    }

    fn totals(&self) -> sys::Totals {
        let t = self.board.totals();
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
