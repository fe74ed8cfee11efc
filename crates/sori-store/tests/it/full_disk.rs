//! A full disk: nothing that was acknowledged is lost, nothing is acknowledged that is not there, and room makes all well again.

use crate::keeper::Keeper;
use sori_store::{MemoryDisk, Operation, Options, State};
use std::io;

fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        reserve_bytes: 16 << 10,
        checkpoint_bytes_min: 64 << 10,
        store_id: 7,
        ..Options::default()
    }
}

/// Fills the store until it says so.
fn fill(keeper: &mut Keeper) {
    for _ in 0..10_000 {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
        if keeper.state == State::Full {
            return;
        }
    }
    panic!("it is never full");
}

fn reserve_bytes(keeper: &Keeper) -> u64 {
    keeper.disk.files().get("reserve").map_or(0, |reserve| reserve.len() as u64)
}

#[test]
fn state_file_destroyed_by_stopping_on_a_full_disk() {
    let mut keeper = Keeper::new(options(), 1);
    keeper.disk.set_capacity(Some(300_000));
    fill(&mut keeper);
    assert_eq!(keeper.durable, keeper.submitted(), "the reserve took it");
    let left = reserve_bytes(&keeper);
    assert!((8 << 10..24 << 10).contains(&left), "it gives what is needed, and keeps the rest: {left}");
    // Refusing writers still say small things.
    for _ in 0..10 {
        keeper.submit(0, &[], 1, true);
        keeper.step();
    }
    assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Full));
    // Until the reserve is used up as well, but for what it takes to get rid of all messages.
    while keeper.durable == keeper.submitted() {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
    }
    let durable = keeper.durable;
    (0..5).for_each(|_| keeper.submit(0, &[1000], 0, true));
    keeper.now += 5000;
    keeper.step();
    assert_eq!(keeper.durable, durable, "nothing is durable that could not be written");
    assert!(
        keeper.committer.next_due(keeper.now).is_some_and(|due| due > keeper.now),
        "it tries again, but not at once"
    );
    keeper.check_live();

    // It stops, and starts on the disk that is still full.
    let files = keeper.disk.files();
    let again = MemoryDisk::with_files(files);
    again.set_capacity(Some(300_000));
    keeper.reopen(again, durable).expect("it starts");
    keeper.step();
    assert_eq!(keeper.state, State::Full);
    keeper.check_live();

    keeper.disk.set_capacity(None);
    keeper.now += 1000;
    keeper.step();
    assert_eq!(keeper.state, State::Ok);
    keeper.submit(0, &[1000], 0, true);
    keeper.step();
    assert_eq!(keeper.durable, keeper.submitted());
}

#[test]
fn what_waited_for_room_is_durable_when_there_is_some() {
    let mut keeper = Keeper::new(Options { reserve_bytes: 0, ..options() }, 1);
    keeper.disk.set_capacity(Some(100_000));
    fill(&mut keeper);
    assert_eq!(keeper.durable + 1, keeper.submitted());
    keeper.submit(0, &[100], 0, true);
    keeper.disk.set_capacity(Some(200_000));
    keeper.now += 999;
    keeper.step();
    assert_eq!(keeper.durable + 2, keeper.submitted(), "not before a second has passed");
    keeper.now += 1;
    keeper.step();
    assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Ok));
    let (durable, files) = (keeper.durable, keeper.disk.files());
    keeper.reopen(MemoryDisk::with_files(files), durable).expect("a whole store");
}

#[test]
fn a_full_disk_at_a_new_segment_loses_nothing() {
    // The room ends at every point around the beginning of a segment.
    for capacity in (130_000..135_000).step_by(37) {
        let mut keeper = Keeper::new(Options { reserve_bytes: 0, ..options() }, 1);
        keeper.disk.set_capacity(Some(capacity));
        fill(&mut keeper);
        let left = keeper.disk.after_power_cut(capacity);
        let durable = keeper.durable;
        keeper.disk.set_capacity(None);
        keeper.now += 1000;
        keeper.step();
        assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Ok));
        keeper.reopen(left, durable).unwrap_or_else(|error| panic!("capacity {capacity}: {error}"));
    }
}

#[test]
fn a_store_at_its_size_limit_refuses_until_messages_are_gone() {
    let limit = 400_000;
    // The usual reasons for a checkpoint do not come up.
    let options = Options { size_limit: Some(limit), checkpoint_bytes_min: u64::MAX, ..options() };
    let mut keeper = Keeper::new(options, 1);
    fill(&mut keeper);
    assert!(keeper.committer.figures().disk_bytes <= limit, "{:?}", keeper.committer.figures());
    // What was under way is written nevertheless: what makes room may come behind it, and would wait for it.
    for _ in 0..60 {
        keeper.submit(0, &[1000], 0, true);
        keeper.now += 100;
        keeper.step();
    }
    assert!(keeper.committer.figures().disk_bytes <= limit + 61 * 1100, "{:?}", keeper.committer.figures());
    assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Full));
    for _ in 0..300 {
        keeper.submit(0, &[], 2, true);
        keeper.now += 100;
        while keeper.committer.wants_step() {
            keeper.step();
        }
        keeper.step();
    }
    assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Ok));
    keeper.committer.request_checkpoint();
    keeper.settle();
    assert!(keeper.committer.figures().disk_bytes < limit / 2, "{:?}", keeper.committer.figures());
}

#[test]
fn a_store_at_its_size_limit_has_room_again_however_its_messages_go() {
    // A checkpoint on the way, after any number of messages, leaves more than there may be for room, and less than a reserve.
    let (reserve_bytes, size_limit) = (40 << 10, Some(122_000));
    let options =
        Options { reserve_bytes, size_limit, segment_bytes: 16 << 10, checkpoint_bytes_min: 40 << 10, ..options() };
    for requested_after in 0..60 {
        let mut keeper = Keeper::new(options.clone(), 1);
        fill(&mut keeper);
        let mut dropped = 0;
        while keeper.live_bytes() > 0 {
            keeper.submit(0, &[], 1, true);
            dropped += 1;
            if dropped == requested_after {
                keeper.committer.request_checkpoint();
            }
            keeper.now += 100;
            keeper.settle();
        }
        for _ in 0..30 {
            keeper.now += 100;
            keeper.step();
            keeper.settle();
        }
        assert_eq!(keeper.state, State::Ok, "{requested_after}: {:?}", keeper.committer.figures());
    }
}

#[test]
fn the_quota_of_a_user_is_a_full_disk_too() {
    let mut keeper = Keeper::new(options(), 1);
    keeper.disk.set_faults(Some(Box::new(|operation, _| {
        (operation == Operation::Append).then(|| io::ErrorKind::QuotaExceeded.into())
    })));
    keeper.submit(0, &[10], 0, true);
    keeper.step();
    assert_eq!((keeper.durable, &keeper.state), (0, &State::Full));
    keeper.disk.set_faults(None);
    keeper.now += 1000;
    keeper.step();
    assert_eq!((keeper.durable, &keeper.state), (1, &State::Ok));
}

#[test]
fn a_torn_write_that_cannot_be_cut_off_is_a_failure() {
    let mut keeper = Keeper::new(options(), 1);
    keeper.disk.set_faults(Some(Box::new(|operation, _| match operation {
        Operation::Append => Some(io::ErrorKind::StorageFull.into()),
        Operation::Truncate => Some(io::Error::other("it is broken")),
        _ => None,
    })));
    keeper.submit(0, &[10], 0, true);
    keeper.step();
    assert!(matches!(&keeper.state, State::Failed { text } if text.contains("it is broken")), "{:?}", keeper.state);
}

#[test]
fn room_for_the_reserve_alone_is_not_room_enough() {
    let mut keeper = Keeper::new(options(), 1);
    keeper.disk.set_capacity(Some(200_000));
    fill(&mut keeper);
    for (room, state) in [(24 << 10, State::Full), (40 << 10, State::Ok)] {
        let used = keeper.committer.figures().disk_bytes - reserve_bytes(&keeper);
        keeper.disk.set_capacity(Some(used + room));
        keeper.now += 1000;
        keeper.step();
        assert_eq!(keeper.state, state, "{room} bytes of room");
    }
}

/// A store that is filled, and then emptied by a writer that takes one message after the other as a broker does: each with a
/// piece that somebody waits for.
struct Drain {
    keeper: Keeper,
    capacity: Option<u64>,
    length: usize,
}

/// What a broker says when a client comes.
const CONNECTED: usize = 100;

impl Drain {
    fn new(limit: Option<u64>, capacity: Option<u64>, length: usize) -> Drain {
        let options = Options { size_limit: limit, store_id: 7, ..Options::default() };
        let options = if capacity.is_some() { small_disk(options) } else { options };
        let mut keeper = Keeper::on(MemoryDisk::new(), options, 2);
        keeper.named_at_once = 1000;
        keeper.disk.set_capacity(capacity);
        Drain { keeper, capacity, length }
    }

    /// Some messages in each piece, until no more are taken; all of them are durable.
    fn fill(&mut self) -> u64 {
        let lengths = vec![self.length; (2000 / self.length).max(1)];
        while self.keeper.state == State::Ok {
            self.keeper.submit(0, &lengths, 0, true);
            self.keeper.settle();
        }
        assert_eq!(self.keeper.durable, self.keeper.submitted(), "what was under way is kept");
        self.keeper.live_count()
    }

    /// A client takes so many messages, a few at a time, and is heard each time.
    fn take(&mut self, count: u64) {
        for _ in 0..count.div_ceil(TAKEN_AT_ONCE) {
            self.keeper.submit(0, &[], TAKEN_AT_ONCE as usize, true);
            self.keeper.now += 10;
            self.keeper.settle();
            assert_eq!(self.keeper.durable, self.keeper.submitted(), "{:?}", self.keeper.committer.figures());
        }
    }

    fn restart(&mut self, has_power_cut: bool) {
        let keeper = &mut self.keeper;
        let disk = match has_power_cut {
            true => keeper.disk.after_power_cut(1),
            false => MemoryDisk::with_files(keeper.disk.files()),
        };
        disk.set_capacity(self.capacity);
        keeper.reopen(disk, keeper.durable).expect("a whole store");
        keeper.submit_note(0, CONNECTED, true);
        keeper.settle();
        assert_eq!(keeper.durable, keeper.submitted(), "a client can always come: {:?}", keeper.committer.figures());
    }

    fn is_ok_again(&mut self) -> bool {
        for _ in 0..3 {
            self.keeper.now += 1000;
            self.keeper.step();
            self.keeper.settle();
        }
        self.keeper.state == State::Ok
    }
}

/// Small parts for a small disk, as a real one has large parts.
fn small_disk(options: Options) -> Options {
    Options { segment_bytes: 256 << 10, reserve_bytes: 64 << 10, checkpoint_bytes_min: 64 << 10, ..options }
}

const TAKEN_AT_ONCE: u64 = 20;

const SIZES: [(Option<u64>, Option<u64>); 4] =
    [(Some(1_000_000), None), (Some(4_000_000), None), (None, Some(1_000_000)), (None, Some(3_000_000))];

#[test]
fn a_full_store_is_drained_to_the_end_whatever_the_size_of_its_messages() {
    for (limit, capacity) in SIZES {
        for length in [20, 1000, 50_000] {
            let mut drain = Drain::new(limit, capacity, length);
            let count = drain.fill();
            // What a client says that comes, takes nothing, and goes.
            for _ in 0..50 {
                drain.keeper.submit_note(0, CONNECTED, true);
                drain.keeper.settle();
                assert_eq!(drain.keeper.durable, drain.keeper.submitted(), "{limit:?} {capacity:?} {length}");
            }
            drain.take(count);
            let name = format!("{limit:?} {capacity:?} {length}: {count} messages");
            assert_eq!(drain.keeper.live_count(), 0, "{name}");
            assert!(drain.is_ok_again(), "{name} {:?}", drain.keeper.committer.figures());
        }
    }
}

#[test]
fn a_full_store_has_room_again_before_it_is_drained_to_the_end() {
    for (limit, capacity) in SIZES {
        for length in [20, 1000, 50_000] {
            let mut drain = Drain::new(limit, capacity, length);
            let count = drain.fill();
            // With a limit segments are small. Those of the disk are a fourth of it.
            drain.take(if limit.is_some() { count / 3 + 1 } else { count * 2 / 3 + 1 });
            let name = format!("{limit:?} {capacity:?} {length}: {count} messages");
            assert!(drain.is_ok_again(), "{name} {:?}", drain.keeper.committer.figures());
            drain.keeper.check_live();
        }
    }
}

/// A limit is not reached by what nobody needs any more.
#[test]
fn a_store_with_a_limit_is_cleaned_before_it_refuses() {
    for limit in [300_000, 1_000_000, 4_000_000] {
        let mut drain = Drain::new(Some(limit), None, 1000);
        let count = drain.fill();
        drain.take(count);
        assert!(drain.is_ok_again(), "{limit}");
        for round in 0..4 {
            for _ in 0..count / 2 {
                drain.keeper.submit(0, &[1000], 0, true);
                drain.keeper.settle();
                assert_eq!(drain.keeper.state, State::Ok, "{limit}, {round}");
            }
            drain.take(count / 2);
        }
        let again = drain.fill();
        assert!(again >= count / 10 * 8, "{limit}: {count}, then {again}");
    }
}

#[test]
fn a_full_store_is_drained_across_restarts() {
    for (limit, capacity) in SIZES {
        for length in [20, 1000, 50_000] {
            let mut drain = Drain::new(limit, capacity, length);
            let count = drain.fill();
            for part in 0..5 {
                drain.restart(part % 2 == 0);
                drain.take(count / 5 + 1);
            }
            let name = format!("{limit:?} {capacity:?} {length}: {count} messages");
            assert_eq!(drain.keeper.live_count(), 0, "{name}");
            assert!(drain.is_ok_again(), "{name} {:?}", drain.keeper.committer.figures());
        }
    }
}

#[test]
fn a_full_store_of_which_each_message_goes_to_many_is_drained() {
    // What a checkpoint repeats is many times what was written.
    for (limit, capacity) in SIZES {
        let mut drain = Drain::new(limit, capacity, 1000);
        drain.keeper.names_each = 100;
        let count = drain.fill();
        drain.restart(true);
        drain.take(count);
        let name = format!("{limit:?} {capacity:?}: {count} messages");
        assert!(count > 50, "{name}");
        assert!(drain.is_ok_again(), "{name} {:?}", drain.keeper.committer.figures());
    }
}

#[test]
fn a_full_store_of_which_every_second_message_stays_has_room_again() {
    // Every segment is half alive then, and small enough to be copied if there is a limit.
    for (limit, capacity) in SIZES.into_iter().filter(|(limit, _)| limit.is_some()) {
        for length in [20, 1000] {
            let mut drain = Drain::new(limit, capacity, length);
            let count = drain.fill();
            drain.keeper.share_every_second();
            drain.take(count / 2);
            let name = format!("{limit:?} {capacity:?} {length}: {count} messages");
            assert!(drain.is_ok_again(), "{name} {:?}", drain.keeper.committer.figures());
        }
    }
}

#[test]
fn a_disk_that_was_full_does_not_matter_when_the_limit_is_what_is_reached() {
    let limit = 300_000;
    let mut keeper = Keeper::new(Options { size_limit: Some(limit), ..options() }, 1);
    keeper.names_each = 10;
    keeper.disk.set_capacity(Some(200_000));
    fill(&mut keeper);
    keeper.disk.set_capacity(None);
    while keeper.committer.figures().disk_bytes < limit + 10_000 {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
    }
    while keeper.live_bytes() > 100_000 {
        keeper.submit(0, &[], 1, true);
        keeper.now += 100;
        keeper.settle();
    }
    keeper.now += 1000;
    keeper.settle();
    keeper.step();
    assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Ok), "{:?}", keeper.committer.figures());
}

#[test]
fn a_store_that_is_beyond_its_limit_has_room_again() {
    let limit = 400_000;
    let mut keeper = Keeper::new(Options { size_limit: Some(limit), ..options() }, 2);
    fill(&mut keeper);
    while keeper.committer.figures().disk_bytes < limit * 5 / 4 {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
    }
    keeper.share_every_second();
    while !keeper.writers[0].live.is_empty() {
        keeper.submit(0, &[], 1, true);
        keeper.now += 100;
        keeper.settle();
    }
    keeper.now += 1000;
    keeper.step();
    assert_eq!(keeper.state, State::Ok, "{:?}", keeper.committer.figures());
    assert!(keeper.committer.figures().disk_bytes < limit);
    keeper.check_live();
}

#[test]
fn a_reserve_that_cannot_be_written_is_a_failure_unless_there_is_no_room() {
    // Whatever is open beside it may have been synced on the way.
    for operation in [Operation::Append, Operation::Sync, Operation::Truncate] {
        let mut keeper = Keeper::new(options(), 1);
        // So that it grows, and is cut when there is no room.
        keeper.names_each = 10;
        keeper.disk.set_capacity(Some(100_000));
        keeper.disk.set_faults(Some(Box::new(move |tried, name| {
            (tried == operation && name == "reserve").then(|| io::Error::other("it is broken"))
        })));
        for _ in 0..300 {
            keeper.submit(0, &[300], 0, true);
            keeper.step();
            if keeper.state != State::Ok {
                break;
            }
        }
        assert!(matches!(&keeper.state, State::Failed { text } if text.contains("it is broken")), "{:?}", keeper.state);
    }
}

#[test]
fn a_reserve_that_somebody_deletes_is_made_anew() {
    let mut keeper = Keeper::new(options(), 1);
    sori_store::Disk::remove(&*keeper.disk, "reserve").expect("it is there");
    keeper.disk.set_capacity(Some(100_000));
    fill(&mut keeper);
    keeper.disk.set_capacity(None);
    keeper.now += 1000;
    keeper.step();
    assert_eq!(keeper.state, State::Ok);
    assert!(reserve_bytes(&keeper) >= options().reserve_bytes);
}
