//! The thread that writes what the shards hand in, and tells them what is durable.
//!
//! While it writes and syncs, the next things gather on its desk, so that the disk's own latency is what makes batches.
//! Each shard is told once per commit, with one waking.

use crate::inbox::{Inbox, Letter};
use crate::log::{Kind, Log};
use crate::store::desk::Desk;
use crate::store::gauges::{self, Gauges};
use crate::worker::Clock;
use sori_broker::{CheckpointOrder, Records, RecordsStep, ShardId, StoreState};
use sori_store::{Committer, Outcome, Piece, State, Step};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a piece takes beside its bytes, for the bound on what waits.
const PIECE_BYTES: usize = 256;

/// From work that nobody waits for it rests so many times as long as it took, so that workers who want the processor are not kept
/// from it: where they have no more processors than there are workers, the system gives it back only after milliseconds.
const RESTS: u32 = 3;
const REST_MAX: Duration = Duration::from_millis(10);

/// Something for the committer.
#[derive(Debug)]
pub(crate) enum Handed {
    /// What a shard's turn has changed.
    Records(ShardId, Box<Records>),
    /// Somebody wants everything to be written anew.
    Checkpoint,
}

/// Hand in what a shard's turn has changed.
pub(crate) fn hand_in(desk: &Desk<Handed>, shard: ShardId, records: Records) {
    let (size, is_awaited) = (size(&records), records.is_awaited);
    desk.hand_in(Handed::Records(shard, Box::new(records)), size, is_awaited);
}

fn size(records: &Records) -> usize {
    records.bytes.len() + PIECE_BYTES
}

/// What the store gets of a shard's records; the rest stays with them until they are durable.
pub(crate) fn piece(shard: ShardId, records: &mut Records) -> Piece {
    Piece {
        writer: shard.0,
        upto: records.upto,
        is_awaited: records.is_awaited,
        bytes: std::mem::take(&mut records.bytes),
        blobs: std::mem::take(&mut records.blobs),
        references: std::mem::take(&mut records.references),
        growth: records.growth,
        repeated: records.repeated,
        step: records.step.map(|step| match step {
            RecordsStep::Walked(number) => Step::Walked(number),
            RecordsStep::Passed(number) => Step::Passed(number),
        }),
    }
}

/// What the thread shares with others.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) desk: Arc<Desk<Handed>>,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
}

/// Starts the thread. It ends when the desk is closed and everything has been written.
pub(crate) fn start(committer: Committer, shared: Shared) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("store".to_owned()).spawn(move || {
        let mut alarm = Alarm(Some(shared.clone()));
        run(committer, shared);
        alarm.0 = None;
    })
}

/// What the thread does.
pub(crate) fn run(mut committer: Committer, shared: Shared) {
    let mut teller = Teller::new(shared);
    let (desk, clock) = (Arc::clone(&teller.shared.desk), teller.shared.clock);
    let mut things = Vec::new();
    let mut is_open = true;
    // How long the last step took.
    let mut spent = Duration::ZERO;
    while is_open {
        let now = clock.now().0;
        let patience = committer.next_due(now).map(|due| match due.saturating_sub(now) {
            0 if committer.is_at_leisure() && !desk.is_overfull() => (spent * RESTS).min(REST_MAX),
            left => Duration::from_millis(left),
        });
        is_open = desk.take(patience, &mut things);
        for thing in things.drain(..) {
            match thing {
                Handed::Records(shard, records) => teller.submit(&mut committer, shard, records),
                Handed::Checkpoint => {
                    teller.asked_at = Some(committer.figures().checkpoints);
                    committer.request_checkpoint();
                }
            }
        }
        let began = Instant::now();
        let outcomes = committer.step(clock.now().0);
        spent = began.elapsed();
        if !outcomes.is_empty() {
            teller.tell(outcomes);
        }
        teller.look_after_room(committer.waits_for_room());
        teller.show(committer.figures());
    }
    teller.tell(committer.close());
}

/// What has been submitted and is not durable yet, and who is to be told when it is.
struct Teller {
    shared: Shared,
    /// By shard, in order.
    unsettled: Vec<VecDeque<Unsettled>>,
    /// What each shard is to be told.
    durable: Vec<Option<u64>>,
    /// The state that all have been told.
    told: StoreState,
    /// Somebody asked for a checkpoint when there had been so many.
    asked_at: Option<u64>,
}

struct Unsettled {
    size: usize,
    records: Box<Records>,
}

impl Teller {
    fn new(shared: Shared) -> Teller {
        let unsettled = shared.inboxes.iter().map(|_| VecDeque::new()).collect();
        let durable = vec![None; shared.inboxes.len()];
        Teller { shared, unsettled, durable, told: StoreState::Ok, asked_at: None }
    }

    fn submit(&mut self, committer: &mut Committer, shard: ShardId, mut records: Box<Records>) {
        let size = size(&records);
        if self.told == StoreState::Failed {
            return self.settle(size);
        }
        committer.submit(piece(shard, &mut records));
        self.unsettled[usize::from(shard.0)].push_back(Unsettled { size, records });
    }

    fn tell(&mut self, outcomes: Vec<Outcome>) {
        let mut settled = 0;
        for outcome in outcomes {
            match outcome {
                Outcome::Durable { writer, upto, place, .. } => {
                    settled += self.note_durable(usize::from(writer), upto, place);
                }
                Outcome::Checkpoint { number, order } => self.tell_all(|| Letter::Checkpoint(number, ordered(order))),
                Outcome::State(state) => self.tell_state(&state),
                Outcome::Cleaned { segments, bytes, bytes_moved } => self.shared.log.write(
                    Kind::Debug,
                    format_args!("The store is rid of {segments} segments of {bytes} bytes; {bytes_moved} bytes of them were moved."),
                ),
                Outcome::Unreadable(error) => self.shared.log.error(format_args!("Error: {error}.")),
            }
        }
        for (inbox, upto) in self.shared.inboxes.iter().zip(&mut self.durable) {
            if let Some(upto) = upto.take() {
                inbox.post(Letter::Durable(upto));
            }
        }
        self.settle(settled);
    }

    /// A piece is durable: its messages learn where they lie. How much it counted for.
    fn note_durable(&mut self, writer: usize, upto: u64, place: u64) -> usize {
        let Unsettled { size, records } = self.unsettled[writer].pop_front().expect("it was submitted");
        assert_eq!(records.upto, upto, "the pieces of a shard become durable in order");
        records.placed(place);
        self.durable[writer] = Some(upto);
        size
    }

    fn tell_all(&self, letter: impl Fn() -> Letter) {
        for inbox in &self.shared.inboxes {
            inbox.post(letter());
        }
    }

    fn tell_state(&mut self, state: &State) {
        let log = &self.shared.log;
        let told = match state {
            State::Ok => {
                log.notice(format_args!("The store has room again: everything is accepted as before."));
                self.shared.desk.hold_to_limit(true);
                StoreState::Ok
            }
            State::Full => {
                log.error(format_args!(
                    "Error: The store is full. What would have to be kept is refused until there is room again; what is \
                     kept already is safe, and everything else goes on."
                ));
                // What still comes is what makes room, and waiting for it would not help.
                self.shared.desk.hold_to_limit(false);
                StoreState::Full
            }
            State::Failed { text } => {
                log.error(format_args!(
                    "Error: The store has failed: {text}. From now on nothing that would have to be kept is accepted or \
                     acknowledged; what needs no disk goes on. Look after the disk, then start the broker again."
                ));
                self.shared.desk.hold_to_limit(false);
                self.unsettled.iter_mut().for_each(VecDeque::clear);
                StoreState::Failed
            }
        };
        self.tell_told(told);
    }

    fn tell_told(&mut self, told: StoreState) {
        self.told = told;
        self.tell_all(|| Letter::StoreState(told));
    }

    /// What comes to a full store makes room, so there is no limit to it, until that cannot be written either.
    fn look_after_room(&mut self, waits_for_room: bool) {
        let Shared { log, desk, .. } = &self.shared;
        match self.told {
            StoreState::Full if waits_for_room && desk.is_beyond_limit() => {
                log.error(format_args!(
                    "Error: The disk has no room even for what makes room, and more than store_queue_limit waits for it. Clients \
                     whose sessions are kept are sent away until there is some: free a part of the disk."
                ));
                self.tell_told(StoreState::Stuck);
            }
            StoreState::Stuck if desk.is_light() => {
                log.notice(format_args!(
                    "The store can write again, and is still full: whose sessions are kept may come back."
                ));
                self.tell_told(StoreState::Full);
            }
            _ => {}
        }
    }

    /// So much need not be waited for any more; who waited for room is told.
    fn settle(&self, bytes: usize) {
        if self.shared.desk.settle(bytes) {
            self.tell_all(|| Letter::HasRoom);
        }
    }

    fn show(&mut self, figures: sori_store::Figures) {
        if self.asked_at.is_some_and(|count| figures.checkpoints > count) {
            self.asked_at = None;
            self.shared.log.notice(format_args!("The store has been written anew: {}.", gauges::sizes(&figures)));
        }
        self.shared.gauges.set(figures);
    }
}

/// The store's word in that of the shards.
pub(crate) fn ordered(order: sori_store::CheckpointOrder) -> CheckpointOrder {
    match order {
        sori_store::CheckpointOrder::Begin => CheckpointOrder::Begin,
        sori_store::CheckpointOrder::Pass => CheckpointOrder::Pass,
    }
}

/// Whoever waits for something to be durable learns when the thread ends before its time, and that nothing will be durable any more.
pub(crate) struct Alarm(pub(crate) Option<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        shared.log.error(format_args!(
            "Error: The store has failed, because of a defect of sori. From now on nothing that would have to be kept is \
             accepted or acknowledged. Please report it, and start the broker again."
        ));
        shared.desk.hold_to_limit(false);
        shared.gauges.set_failed();
        for inbox in &shared.inboxes {
            inbox.post(Letter::StoreState(StoreState::Failed));
        }
    }
}
