//! What happens to the machine under the broker: its store works when it has time, its disk fails and fills up, the
//! broker is killed, the power fails.
//!
//! Three kinds of moments are looked for. Any moment between two turns; any operation of the disk, in its middle; and the
//! moment in which a packet has just left that promises something: all of it arrives at its client, and then nothing is
//! left but what was synced. The last one asks of each row of the table "durable before the packet leaves" whether that is so.

use sori_broker::Time;
use sori_mqtt::PacketType;
use sori_store::State;

use super::{OBSERVER, Simulation, Weather};
use crate::disk::{Fault, SimDisk};
use crate::facts::What;
use crate::host::LinkId;
use crate::sabotage::Sabotage;
use crate::storage::Storage;

/// How the broker's life ends.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Death {
    /// The memory is lost; what was written stays.
    Kill,
    /// What was not synced is lost, or torn.
    PowerCut,
    /// What was not synced is lost.
    HardPowerCut,
}

/// What the machine has in store for the broker.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Trouble {
    /// The disk stops in the middle of an operation, and then this happens.
    Stops(Death),
    /// The power fails when the onlooker has seen what it waits for.
    Watched,
    /// There is no room on the disk.
    Full,
    /// The disk has failed, and somebody will restart the broker.
    Failed,
}

/// How many things happen between two troubles of the machine.
const STEPS_BETWEEN_TROUBLES: usize = 300;

/// Before this packet leaves, something must be durable.
const PROMISES: &[PacketType] = &[
    PacketType::ConnAck,
    PacketType::PubAck,
    PacketType::PubAck,
    PacketType::PubRec,
    PacketType::PubRec,
    PacketType::PubRel,
    PacketType::PubComp,
    PacketType::Publish,
    PacketType::Publish,
    PacketType::SubAck,
    PacketType::UnsubAck,
];

/// The broker may die again while it starts, but not for ever.
const DEATHS_AT_START_MAX: u32 = 3;

impl Simulation {
    /// One step of trouble: the store may work, the machine may fail.
    pub(super) fn the_machine_acts(&mut self) {
        if self.sabotage == Some(Sabotage::PubRec) && self.trouble.is_none() && self.wires.send_a_held_pubrec() {
            return self.crash(Death::HardPowerCut, true);
        }
        let has_stopped = self.disk().is_stopped();
        let trouble = self.trouble;
        match trouble {
            Some(Trouble::Stops(death)) if has_stopped => self.crash(death, false),
            Some(Trouble::Watched) if self.wires.has_seen_promise() => self.crash(Death::HardPowerCut, true),
            Some(Trouble::Full) if self.is_time(STEPS_BETWEEN_TROUBLES / 4) => self.make_room(),
            Some(Trouble::Failed) if self.is_time(STEPS_BETWEEN_TROUBLES / 4) => self.crash(Death::Kill, false),
            Some(_) if self.is_time(STEPS_BETWEEN_TROUBLES * 4) => self.crash(Death::Kill, false),
            None if self.is_time(STEPS_BETWEEN_TROUBLES) => self.begin_trouble(),
            _ => {}
        }
        if self.failed() {
            return;
        }
        if self.devices[OBSERVER].sockets.is_empty() {
            self.connect(OBSERVER, 1);
        }
        self.store_works();
    }

    /// Once in so many cases.
    fn is_time(&mut self, steps: usize) -> bool {
        self.random.below(steps) == 0
    }

    fn disk(&mut self) -> SimDisk {
        self.host.storage().expect("there are crashes only where there is a store").disk().clone()
    }

    fn store_works(&mut self) {
        let chance = self.random.below(100);
        let now = self.host.now();
        let Some(storage) = self.host.storage() else { return };
        match chance {
            0..10 => _ = storage.step(now),
            10..15 => {
                let which = self.random.below(storage.wanted());
                storage.read(which);
            }
            15 if self.random.chance(5) => storage.committer().request_checkpoint(),
            _ => {}
        }
        self.look_at_store();
    }

    /// The book has to know whether the store refuses work.
    fn look_at_store(&mut self) {
        if self.wires.verbose {
            for operation in self.disk().take_log() {
                self.wires.remark(&format!("disk: {operation}"));
            }
        }
        let faults = self.host.storage().map(|storage| storage.places().take_faults()).unwrap_or_default();
        for fault in faults {
            self.wires.oracle.found.report_for("store", fault);
        }
        let is_full = self.trouble == Some(Trouble::Full);
        let Some(storage) = self.host.storage() else { return };
        if matches!(storage.state(), State::Failed { .. })
            && self.trouble.is_none_or(|trouble| trouble == Trouble::Watched)
        {
            self.trouble = Some(Trouble::Failed);
        }
        let refuses = is_full || *storage.state() != State::Ok || storage.has_news();
        self.wires.facts.store_refuses = refuses;
        self.wires.facts.store_refused |= refuses;
    }

    fn begin_trouble(&mut self) {
        let death = self.random.pick(&[Death::Kill, Death::PowerCut, Death::HardPowerCut]);
        let disk = self.disk();
        match self.random.below(100) {
            0..35 => self.crash(death, false),
            35..55 => {
                let operations = self.random.pick(&[0, 1, 2, 3, 5, 10, 30]);
                disk.stop_after(operations);
                self.trouble = Some(Trouble::Stops(death));
                self.wires.remark(&format!("the disk stops after {operations} operations"));
            }
            55..85 => {
                let kind = self.random.pick(PROMISES);
                let count = self.random.range(1, 4);
                self.wires.watch_promises(kind, count);
                self.trouble = Some(Trouble::Watched);
            }
            85..95 => {
                let room = self.random.pick(&[0, 10, 1000, 10_000]);
                disk.set_capacity(disk.figures().bytes_used + room);
                self.trouble = Some(Trouble::Full);
                self.wires.remark(&format!("the disk has {room} bytes left"));
            }
            _ => {
                let fault = self.random.pick(&[Fault::Write, Fault::Sync, Fault::Directory]);
                disk.fail(fault, 1);
                self.trouble = Some(Trouble::Failed);
                self.wires.remark(&format!("the disk fails: {fault:?}"));
            }
        }
    }

    fn make_room(&mut self) {
        self.disk().set_capacity(u64::MAX);
        self.trouble = None;
        self.wires.remark("the disk has room again");
    }

    /// The broker is gone with all that it had in memory, and comes back with what it finds on the disk. If everything
    /// `arrives`, nothing that had left is lost on its way.
    fn crash(&mut self, death: Death, arrives: bool) {
        self.paused = None;
        let durable = self.host.durable_turn(self.wires.moment.turn);
        let downtime = self.random.pick(&[0, 1, 20, 500, 3000]);
        self.host.set_now(Time(self.host.now().0 + downtime));
        self.wires.begin_turn(self.host.now().0);
        self.wires.remark(&format!("{death:?}; what was done until turn {durable} is durable"));
        for index in self.wires.open.clone() {
            let pipe = &mut self.wires.pipes[index];
            if !pipe.broker_gone {
                let waiting = pipe.to_client.len();
                pipe.crash(if arrives { waiting } else { self.random.below(waiting + 1) });
                self.wires.emit(LinkId(index), What::Crashed);
            }
        }
        self.wires.facts.note_crash(self.wires.moment, durable);
        self.asleep = (0..self.host.shards()).collect();
        self.earlier = self.totals();
        self.look_at_store();
        self.trouble = None;
        self.start_again(death);
        if self.failed() {
            return;
        }
        for shard in 0..self.host.shards() {
            self.host.drain(shard, &mut self.wires);
        }
        self.wires.end_turn();
        self.look_at_store();
    }

    fn start_again(&mut self, mut death: Death) {
        let Some((disk, mut options)) = self.host.bury() else { return };
        options.size_limit = options.size_limit.filter(|_| self.has_limit);
        disk.heal();
        disk.set_capacity(u64::MAX);
        for attempt in 0.. {
            match death {
                Death::Kill => disk.kill(),
                Death::PowerCut => disk.cut_power(),
                Death::HardPowerCut => disk.cut_power_hard(),
            }
            if attempt < DEATHS_AT_START_MAX && self.random.chance(15) {
                disk.stop_after(self.random.pick(&[0, 1, 2, 4, 8]));
            }
            let turn = self.wires.moment.turn;
            match self.host.start(self.random.next(), disk.clone(), options.clone(), turn) {
                Ok(()) => {
                    // Whatever the machine had in mind, it happens while the broker runs.
                    if disk.is_stopped() {
                        self.host.bury();
                    } else {
                        disk.go_on();
                        return;
                    }
                }
                Err(_) if disk.is_stopped() => {}
                Err(error) => {
                    let text = format!("the broker does not start again after {death:?}: {error}");
                    self.wires.oracle.found.report_for("store", text);
                    return;
                }
            }
            death = self.random.pick(&[Death::Kill, Death::PowerCut, Death::HardPowerCut]);
            self.wires.remark(&format!("it dies while it starts: {death:?}"));
        }
    }

    /// The store does all that there is to do; false if there was nothing.
    pub(super) fn machine_works(&mut self) -> bool {
        if self.weather == Weather::Fair {
            return false;
        }
        let now = self.host.now();
        let worked = self.host.storage().is_some_and(|storage| storage.work(now));
        self.look_at_store();
        worked
    }

    /// The store does what it has to do, and every shard hears of it.
    pub(super) fn machine_catches_up(&mut self) {
        let mut is_busy = self.weather == Weather::Crashes;
        while is_busy {
            is_busy = self.machine_works();
            for shard in 0..self.host.shards() {
                while !self.host.post_one(shard) {}
                self.wires.begin_turn(self.host.now().0);
                while self.host.tell_one(shard) {
                    is_busy = true;
                }
                self.host.drain(shard, &mut self.wires);
                self.wires.end_turn();
                while !self.host.post_one(shard) {}
            }
        }
    }

    /// Whoever runs the machine sees to it that all is well again.
    pub(super) fn repair_machine(&mut self) {
        if self.weather == Weather::Fair {
            return;
        }
        let disk = self.disk();
        let is_ill = !matches!(self.trouble, None | Some(Trouble::Watched | Trouble::Full));
        self.wires.forget_promise();
        if is_ill || disk.is_stopped() {
            self.crash(Death::Kill, false);
        }
        if self.failed() {
            return;
        }
        disk.heal();
        disk.set_capacity(u64::MAX);
        disk.go_on();
        self.trouble = None;
        // A full store looks for room once a second.
        self.come_to_rest();
        self.advance(2_000);
        self.clean_store();
        self.lift_limit_if_full();
        if self.wires.facts.store_refused && !self.failed() {
            self.try_again();
            // All that had waited may have come at one moment.
            self.advance(2_000);
            self.clean_store();
            self.lift_limit_if_full();
        }
    }

    fn clean_store(&mut self) {
        if let Some(storage) = self.host.storage() {
            storage.committer().request_checkpoint();
        }
        self.come_to_rest();
    }

    /// What is alive fills the store: whoever runs the broker gives it more room, for which it is started again. Until then an MQTT 3
    /// client is thrown out with the first message that it sends again, before it can take anything.
    pub(super) fn lift_limit_if_full(&mut self) {
        let is_full = |storage: &mut Storage| storage.committer().figures().state == State::Full;
        if self.failed() || !self.host.storage().is_some_and(is_full) {
            return;
        }
        self.wires.remark("the store gets more room");
        self.has_limit = false;
        self.crash(Death::Kill, false);
        if !self.failed() {
            self.come_to_rest();
            self.advance(2_000);
            self.clean_store();
        }
    }

    /// MQTT 3 clients wait for ever for what a full store did not acknowledge; the others have been told.
    fn try_again(&mut self) {
        for index in 0..self.devices.len() {
            let links: Vec<LinkId> = self.devices[index].sockets.iter().map(|socket| socket.link).collect();
            for link in links {
                self.drop_socket(index, link, usize::MAX, false);
            }
        }
        self.come_to_rest();
    }
}
