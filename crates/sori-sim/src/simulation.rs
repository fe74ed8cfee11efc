//! One run: clients, wires and shards, stepped in an order that the seed decides.
//!
//! A run is a few rounds of trouble, each followed by rest. In trouble anything may happen next: a client says
//! something, a shard takes a turn with some of what lies before it, one mail is posted, a client reads a few bytes,
//! a connection breaks, freezes or thaws, time passes. At rest everything is healed and delivered, every client
//! comes back, and the rules are asked whether all is as it must be.

use std::sync::Arc;

use sori_broker::{Cause, ListenerSettings, QueueFull, Settings, Time, Totals};
use sori_mqtt::{PINGREQ, QoS};

use crate::check::{End, Finding, Rest};
use crate::device::{Device, Wish};
use crate::disk::SimDisk;
use crate::facts::{Lasting, What};
use crate::host::{Host, LinkId, Place, Plan};
use crate::network::Pipe;
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::wires::Wires;
use crate::workload::{self, Names};
use crate::world::START;

mod machine;

use machine::Trouble;

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// The seed it came from.
    pub seed: u64,
    /// What the rules found broken: rule, then what happened. Empty when all is well.
    pub findings: Vec<(&'static str, String)>,
    /// Two runs of one seed must agree on it.
    pub digest: u64,
    /// Turns of all shards.
    pub turns: u64,
    /// Messages that clients sent, wills included.
    pub messages: u64,
    /// Messages that the broker sent.
    pub deliveries: u64,
}

/// What may happen in a run besides what the network does.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Weather {
    /// Nothing. The broker keeps nothing on a disk.
    Fair,
    /// The broker is killed, the power fails, the disk fails and fills up.
    Crashes,
}

/// Runs one seed to its end, or to the first broken rule.
#[must_use]
pub fn run(seed: u64, weather: Weather, verbose: bool) -> Report {
    report(seed, Simulation::new(seed, weather, None, verbose))
}

/// The same, with crashes, and with something broken on purpose.
#[must_use]
pub fn run_broken(seed: u64, sabotage: Sabotage, verbose: bool) -> Report {
    report(seed, Simulation::new(seed, Weather::Crashes, Some(sabotage), verbose))
}

fn report(seed: u64, mut simulation: Simulation) -> Report {
    simulation.play();
    let totals = simulation.totals();
    let findings: Vec<Finding> = simulation.wires.oracle.found.all;
    Report {
        seed,
        findings: findings.into_iter().map(|finding| (finding.rule, finding.text)).collect(),
        digest: simulation.wires.digest,
        turns: simulation.wires.moment.turn,
        messages: totals.publish_received,
        deliveries: totals.publish_sent,
    }
}

struct Simulation {
    random: Random,
    names: Names,
    settings: Settings,
    listener: Arc<ListenerSettings>,
    host: Host,
    wires: Wires,
    devices: Vec<Device>,
    probes: usize,
    /// A shard whose thread does not run at the moment: it may be in the middle of posting its mail.
    paused: Option<u16>,
    weather: Weather,
    sabotage: Option<Sabotage>,
    trouble: Option<Trouble>,
    /// The store may not be larger than its options say.
    has_limit: bool,
    /// Shards that have not taken a turn since the broker was back.
    asleep: Vec<u16>,
    /// What earlier lives of the broker have counted.
    earlier: Totals,
}

/// The device that is always there.
const OBSERVER: usize = 0;

/// The socket of nobody: it never says a whole CONNECT.
const LURKER: usize = usize::MAX;

/// A longer time than that no disk takes for what it has to do.
const DISK_TAKES_MILLIS_MAX: u64 = 30;

/// More rounds than that without coming to rest is a defect.
const ROUNDS_TO_REST_MAX: u32 = 20_000;

/// More deadlines than that at one moment is a defect.
const TICKS_AT_ONE_MOMENT_MAX: u32 = 1_000;

/// Clients that are thrown out by a full queue may need some attempts.
const ATTEMPTS_TO_CONNECT_MAX: u32 = 12;

/// Those of MQTT 3 that are thrown out because their messages find no memory, acknowledge one window of what waits each time.
const ATTEMPTS_WITHOUT_MEMORY_MAX: u32 = 300;

impl Simulation {
    fn new(seed: u64, weather: Weather, sabotage: Option<Sabotage>, verbose: bool) -> Simulation {
        let mut random = Random::new(seed);
        let crashes = weather == Weather::Crashes;
        let settings =
            if crashes { workload::settings_with_disk(&mut random) } else { workload::settings(&mut random) };
        let shards = random.pick(&[1, 2, 2, 3, 4]);
        let plan = Plan { settings: settings.clone(), shards, access: crate::everybody(), sabotage };
        let mut host = Host::new(plan, random.next(), START);
        if crashes {
            let (disk, options) = (SimDisk::new(random.next()), workload::store_options(&mut random));
            if verbose {
                disk.keep_log();
            }
            if sabotage == Some(Sabotage::Sync) {
                disk.drop_syncs();
            }
            host.start(random.next(), disk, options, 0).expect("an empty disk makes a store");
        }
        let observer = if crashes { workload::lasting_observer() } else { workload::observer() };
        let mut devices = vec![Device::new("observer".to_owned(), observer)];
        for number in 0..random.range(2, 10) {
            let habits =
                if crashes { workload::habits_with_crashes(&mut random) } else { workload::habits(&mut random) };
            devices.push(Device::new(format!("c{number}"), habits));
        }
        let mut wires = Wires::new(&settings, verbose);
        wires.remark(&format!("seed {seed}: {shards} shards, {} clients, {settings:?}", devices.len()));
        for device in &devices {
            wires.remark(&format!("{}: {:?}", device.name, device.habits));
        }
        Simulation {
            random,
            names: Names::default(),
            settings,
            listener: Arc::new(ListenerSettings::default()),
            host,
            wires,
            devices,
            probes: 0,
            paused: None,
            weather,
            sabotage,
            trouble: None,
            has_limit: true,
            asleep: Vec::new(),
            earlier: Totals::default(),
        }
    }

    fn play(&mut self) {
        self.connect(OBSERVER, 1);
        self.come_to_rest();
        workload::subscribe_to(&mut self.devices[OBSERVER], &[workload::EVERYTHING, workload::EVERYTHING_SYSTEM], None);
        self.come_to_rest();
        for _ in 0..self.random.range(1, 4) {
            self.trouble(self.wires.moment.turn + u64::from(self.random.clone().range(100, 900)));
            if self.failed() {
                return;
            }
            self.rest();
            if self.failed() {
                return;
            }
        }
        self.end();
    }

    fn failed(&self) -> bool {
        !self.wires.oracle.found.all.is_empty()
    }

    // ---- trouble ----

    fn trouble(&mut self, until_turn: u64) {
        self.wires.remark("trouble");
        while self.wires.moment.turn < until_turn && !self.failed() {
            if self.weather == Weather::Crashes {
                self.the_machine_acts();
            }
            if self.failed() {
                break;
            }
            match self.random.below(100) {
                0..12 => self.somebody_acts(),
                12..14 => self.something_breaks(),
                14 => self.time_passes(),
                15..45 => self.somebody_reads(),
                45..55 => self.somebody_acknowledges(),
                55..65 => {
                    if let Some(shard) = self.running_shard() {
                        self.host.post_one(shard);
                    }
                }
                65 => self.paused = self.random.chance(30).then(|| self.any_shard()),
                _ => {
                    if let Some(shard) = self.running_shard() {
                        self.turn(shard, false);
                    }
                }
            }
        }
        self.paused = None;
    }

    fn running_shard(&mut self) -> Option<u16> {
        let shard = self.any_shard();
        (self.paused != Some(shard)).then_some(shard)
    }

    fn any_shard(&mut self) -> u16 {
        self.random.below(usize::from(self.host.shards())) as u16
    }

    fn any_device(&mut self) -> usize {
        1 + self.random.below(self.devices.len() - 1)
    }

    fn somebody_acts(&mut self) {
        let index = self.any_device();
        if self.devices[index].sockets.is_empty() {
            match self.random.below(100) {
                0..60 => self.connect(index, 1),
                60..70 => {
                    let sockets = self.random.range(2, 3);
                    self.connect(index, sockets);
                }
                70..71 => self.lurk(),
                _ => {}
            }
            return;
        }
        let (names, random) = (&mut self.names, &mut self.random);
        let device = &mut self.devices[index];
        match random.below(100) {
            0..62 => {
                for _ in 0..random.pick(&[1, 1, 1, 2, 5]) {
                    let draft = workload::draft(device.habits.version, names, random);
                    device.send(draft, random);
                }
            }
            62..82 => workload::subscribe(device, names, random),
            82..88 => workload::unsubscribe(device, random),
            88..92 => {
                if let Some(socket) = device.active() {
                    socket.outbox.extend_from_slice(&PINGREQ);
                }
            }
            92..96 => {
                self.disconnect(index);
                if self.random.chance(40) && self.devices[index].sockets.is_empty() {
                    self.connect(index, 1);
                }
            }
            _ => self.reconnect(index),
        }
        self.ship(index);
    }

    /// Says good-bye and closes the socket.
    fn disconnect(&mut self, index: usize) {
        let device = &mut self.devices[index];
        if self.random.chance(50) {
            let mut draft = workload::draft(device.habits.version, &mut self.names, &mut self.random);
            draft.qos = QoS::AtMostOnce;
            device.send(draft, &mut self.random);
        }
        workload::disconnect(device, &mut self.random);
        self.ship(index);
        if let Some(link) = self.devices[index].active().map(|socket| socket.link) {
            let everything = self.wires.pipes[link.0].to_broker.len();
            self.drop_socket(index, link, everything, false);
        }
    }

    /// Gives up a socket and takes another, whatever the broker still thinks of the first.
    fn reconnect(&mut self, index: usize) {
        let links: Vec<LinkId> = self.devices[index].sockets.iter().map(|socket| socket.link).collect();
        for link in links {
            let waiting = self.wires.pipes[link.0].to_broker.len();
            let arriving = self.random.below(waiting + 1);
            let silent = self.random.chance(60);
            self.drop_socket(index, link, arriving, silent);
        }
        let sockets = self.random.pick(&[1, 1, 2]);
        self.connect(index, sockets);
    }

    fn connect(&mut self, index: usize, sockets: u32) {
        for _ in 0..sockets {
            if sockets > 1 && self.devices[index].session.is_none() {
                // Whoever of them wins, the client must know what it finds.
                self.devices[index].must_start_clean = true;
            }
            let link = self.open(index);
            let socket = workload::connect(&mut self.devices[index], link, &mut self.names, &mut self.random);
            self.devices[index].sockets.push(socket);
            self.ship(index);
        }
    }

    fn open(&mut self, device: usize) -> LinkId {
        let shard = (0..8).find_map(|_| self.running_shard()).unwrap_or(0);
        while !self.host.post_one(shard) {}
        self.wires.begin_turn(self.host.now().0);
        let link = self.host.open(shard, &self.listener);
        let room = if device == OBSERVER { 1 << 24 } else { self.random.pick(&[64, 1000, 1 << 16]) };
        self.wires.add(Pipe::new(link, device, room));
        self.host.drain(shard, &mut self.wires);
        self.wires.end_turn();
        link
    }

    /// A connection that never gets so far as to connect.
    fn lurk(&mut self) {
        let link = self.open(LURKER);
        if self.random.chance(50) {
            self.wires.pipes[link.0].to_broker.extend_from_slice(&[0x10, 0x20, 0x00, 0x04, b'M']);
        }
    }

    fn something_breaks(&mut self) {
        let links: Vec<usize> =
            self.wires.open.iter().copied().filter(|index| self.wires.pipes[*index].device != OBSERVER).collect();
        if links.is_empty() {
            return;
        }
        let link = LinkId(self.random.pick(&links));
        let chance = self.random.below(100);
        let pipe = &mut self.wires.pipes[link.0];
        match chance {
            0..25 if pipe.device != LURKER && !pipe.client_gone => {
                let (device, waiting) = (pipe.device, pipe.to_broker.len());
                let arriving = self.random.below(waiting + 1);
                let silent = self.random.chance(30);
                self.drop_socket(device, link, arriving, silent);
            }
            25..40 => pipe.silent = false,
            40..60 => pipe.frozen = true,
            60..75 => pipe.frozen = false,
            75..85 => pipe.stalled = true,
            85..100 => pipe.stalled = false,
            _ => {}
        }
    }

    /// The client loses or closes a socket; some of what it sent still arrives.
    fn drop_socket(&mut self, device: usize, link: LinkId, arriving: usize, silent: bool) {
        let pipe = &mut self.wires.pipes[link.0];
        pipe.cut(arriving, silent);
        self.wires.remark(&format!("L{} is gone for the client (silent: {silent})", link.0));
        let more = self.devices[device].lost(link, &mut self.random);
        self.ship(device);
        for link in more {
            let everything = self.wires.pipes[link.0].to_broker.len();
            self.drop_socket(device, link, everything, false);
        }
    }

    fn time_passes(&mut self) {
        let millis = match self.random.below(100) {
            0..70 => self.random.range(1, 30),
            70..92 => self.random.range(100, 1500),
            92..99 => self.random.range(1500, 6000),
            _ => self.random.range(6_000, 40_000),
        };
        self.advance(u64::from(millis));
    }

    fn advance(&mut self, millis: u64) {
        self.paused = None;
        let end = self.host.now().0 + millis;
        let mut ticks_at_one_moment = 0;
        while let Some(deadline) = self.host.next_deadline().filter(|deadline| deadline.0 <= end) {
            if deadline.0 > self.host.now().0 {
                self.catch_up_before(deadline.0);
                self.host.set_now(deadline);
                ticks_at_one_moment = 0;
            }
            ticks_at_one_moment += 1;
            if ticks_at_one_moment > TICKS_AT_ONE_MOMENT_MAX {
                self.wires.oracle.found.report_for("time", "a deadline of a shard never passes".to_owned());
                return;
            }
            self.tick_all();
        }
        self.catch_up_before(end);
        self.host.set_now(Time(end));
        self.tick_all();
    }

    /// What waits for the disk does not wait for seconds: intervals that clients see are counted in those.
    fn catch_up_before(&mut self, moment: u64) {
        if moment - self.host.now().0 > DISK_TAKES_MILLIS_MAX {
            self.machine_catches_up();
        }
    }

    fn tick_all(&mut self) {
        for shard in 0..self.host.shards() {
            self.tick(shard);
        }
    }

    /// A turn in which nothing comes but the time.
    fn tick(&mut self, shard: u16) {
        while !self.host.post_one(shard) {}
        self.wires.begin_turn(self.host.now().0);
        self.host.tick(shard);
        self.host.drain(shard, &mut self.wires);
        self.wires.end_turn();
        while !self.host.post_one(shard) {}
        self.wakes(shard);
    }

    fn wakes(&mut self, shard: u16) {
        if !self.asleep.is_empty() {
            self.asleep.retain(|asleep| *asleep != shard);
            if self.asleep.is_empty() {
                self.wires.facts.note_awake(self.wires.moment);
            }
        }
    }

    // ---- shards ----

    /// One turn of a shard with some of what lies before it, or with all. False if there was nothing.
    ///
    /// A turn hears each client on one connection only: then what it did is known to have come before or after what it
    /// did on another one.
    fn turn(&mut self, shard: u16, thorough: bool) -> bool {
        if self.host.in_turn(shard) {
            self.host.post_one(shard);
            return true;
        }
        let due = self.host.is_due(shard) && (thorough || self.random.chance(50));
        if due {
            self.tick(shard);
        }
        self.wires.begin_turn(self.host.now().0);
        let untold = self.host.untold(shard);
        let heard_of_store = if thorough || self.random.chance(60) { untold } else { self.random.below(untold + 1) };
        for _ in 0..heard_of_store {
            self.host.tell_one(shard);
        }
        let waiting = self.host.mail_waiting(shard);
        // Sockets are read only when no mail is left: what another shard sent before a client came here must not arrive
        // after what the client says here.
        let mail = if thorough || self.random.chance(70) { waiting } else { self.random.below(waiting + 1) };
        for _ in 0..mail {
            self.host.deliver_one(shard);
        }
        let mut heard = Vec::new();
        let arrivals = self.host.arrivals_waiting(shard);
        if mail == waiting && arrivals > 0 && (thorough || self.random.chance(40)) {
            let which = self.random.below(arrivals);
            if let Some(link) = self.host.adopt_one(shard, which) {
                heard.push(self.wires.pipes[link.0].device);
            }
        }
        let mut did = due || heard_of_store > 0 || mail > 0 || !heard.is_empty();
        let open = self.wires.open.clone();
        let first = self.random.below(open.len());
        for index in open[first..].iter().chain(&open[..first]) {
            let link = LinkId(*index);
            let device = self.wires.pipes[*index].device;
            let here = matches!(self.host.place(link), Place::On(owner, _) if owner == shard);
            if here && mail == waiting && !heard.contains(&device) && (thorough || self.random.chance(50)) {
                did |= self.hear(link, &mut heard);
            }
        }
        self.host.drain(shard, &mut self.wires);
        self.wires.end_turn();
        did
    }

    fn hear(&mut self, link: LinkId, heard: &mut Vec<usize>) -> bool {
        let pipe = &mut self.wires.pipes[link.0];
        if pipe.frozen || pipe.broker_gone {
            return false;
        }
        let device = pipe.device;
        if !pipe.to_broker.is_empty() {
            if !self.host.wants_input(link) {
                return false;
            }
            let limit = self.random.pick(&[1, 3, 10, 60, 1 << 20, 1 << 20]);
            let bytes = pipe.read_by_broker(limit);
            self.wires.read(link, &bytes);
            self.host.receive(link, &bytes);
            heard.push(device);
            return true;
        }
        if pipe.client_gone && !pipe.silent {
            pipe.broker_gone = true;
            // The broker may count as sent what never left.
            self.host.show(link, &mut self.wires);
            self.wires.emit(link, What::NetworkClosed);
            self.host.closed(link, Cause::Network(Box::from("lost")));
            heard.push(device);
            return true;
        }
        if pipe.space(1) > 0 {
            self.host.flush(link, &mut self.wires);
        }
        false
    }

    // ---- clients ----

    /// What the device wants to send goes onto its wires.
    fn ship(&mut self, index: usize) {
        for socket in &mut self.devices[index].sockets {
            let bytes = std::mem::take(&mut socket.outbox);
            self.wires.pipes[socket.link.0].to_broker.extend_from_slice(&bytes);
        }
    }

    fn somebody_reads(&mut self) {
        if self.wires.open.is_empty() {
            return;
        }
        let index = self.random.pick(&self.wires.open.clone());
        let limit = self.random.pick(&[1, 5, 30, 200, 1 << 20, 1 << 20]);
        self.client_reads(LinkId(index), limit);
    }

    fn client_reads(&mut self, link: LinkId, limit: usize) -> bool {
        let pipe = &mut self.wires.pipes[link.0];
        if pipe.frozen || pipe.stalled || pipe.client_gone {
            return false;
        }
        let device = pipe.device;
        let bytes = pipe.read_by_client(limit);
        if device == LURKER {
            pipe.client_gone |= pipe.broker_gone;
            return false;
        }
        let mut dropped = Vec::new();
        if let Some(socket) = self.devices[device].sockets.iter_mut().find(|socket| socket.link == link) {
            socket.reader.push(&bytes);
        }
        while let Some(socket) = self.devices[device].sockets.iter_mut().find(|socket| socket.link == link) {
            let Ok(Some((seen, _))) = socket.reader.next() else { break };
            if self.devices[device].packet(link, seen, &mut self.random) == Wish::Drop {
                dropped.push(link);
                break;
            }
        }
        if !self.devices[device].habits.slow {
            self.acknowledge(device, usize::MAX);
        }
        self.ship(device);
        let pipe = &self.wires.pipes[link.0];
        if dropped.is_empty() && pipe.broker_gone && pipe.to_client.is_empty() {
            dropped.push(link);
        }
        for link in dropped {
            let everything = self.wires.pipes[link.0].to_broker.len();
            self.drop_socket(device, link, everything, false);
        }
        !bytes.is_empty()
    }

    fn somebody_acknowledges(&mut self) {
        let index = self.random.below(self.devices.len());
        let count = self.random.pick(&[1, 1, 2, 10]);
        self.acknowledge(index, count);
        self.ship(index);
    }

    fn acknowledge(&mut self, index: usize, count: usize) -> bool {
        let mut any = false;
        if let [socket] = self.devices[index].sockets.as_mut_slice() {
            any = socket.has_acks();
            socket.send_acks(count);
        }
        any
    }

    // ---- rest ----

    /// Everything that is on its way arrives.
    fn come_to_rest(&mut self) {
        for _ in 0..ROUNDS_TO_REST_MAX {
            let mut busy = false;
            for shard in 0..self.host.shards() {
                busy |= self.turn(shard, true);
                while !self.host.post_one(shard) {}
                busy |= self.host.mail_waiting(shard) + self.host.arrivals_waiting(shard) > 0;
            }
            busy |= self.machine_works();
            for index in 0..self.devices.len() {
                busy |= self.acknowledge(index, usize::MAX);
                self.ship(index);
            }
            for index in self.wires.open.clone() {
                busy |= self.client_reads(LinkId(index), 1 << 20);
            }
            busy |= self.wires.open.iter().any(|index| {
                let pipe = &self.wires.pipes[*index];
                !pipe.frozen && !pipe.broker_gone && (!pipe.to_broker.is_empty() || pipe.client_gone && !pipe.silent)
            });
            if !busy || self.failed() {
                return;
            }
        }
        self.wires.oracle.found.report_for("rest", "the broker and its clients never come to rest".to_owned());
    }

    fn rest(&mut self) {
        self.wires.remark("rest");
        self.repair_machine();
        if self.failed() {
            return;
        }
        for index in self.wires.open.clone() {
            let pipe = &mut self.wires.pipes[index];
            (pipe.stalled, pipe.frozen, pipe.silent) = (false, false, false);
        }
        self.come_to_rest();
        if self.random.chance(60) {
            let millis = u64::from(self.random.range(1, 15_000));
            self.advance(millis);
            self.come_to_rest();
        }
        for attempt in 0..ATTEMPTS_WITHOUT_MEMORY_MAX {
            let is_missing = self.devices.iter_mut().any(|device| device.active().is_none());
            let goes_on = self.settings.memory_limit > 0 && is_missing;
            if attempt >= ATTEMPTS_TO_CONNECT_MAX && !goes_on {
                break;
            }
            for index in 0..self.devices.len() {
                if self.devices[index].sockets.is_empty() {
                    self.connect(index, 1);
                }
            }
            self.come_to_rest();
            self.lift_limit_if_full();
        }
        if self.failed() {
            return;
        }
        self.everybody_is_back();
        let probe = self.probe();
        if self.failed() {
            return;
        }
        let totals = self.totals();
        let Some(observer) = self.devices[OBSERVER].active().map(|socket| socket.link) else { return };
        if let Some(storage) = self.host.storage() {
            storage.committer().request_checkpoint();
        }
        self.come_to_rest();
        let figures = self.host.storage().map(|storage| storage.committer().figures());
        let rest = Rest {
            figures,
            memory_used: self.host.space().memory_used(),
            facts: &self.wires.facts,
            settings: &self.settings,
            now: self.host.now().0,
            totals: &totals,
            probe,
            observer,
        };
        self.wires.oracle.at_rest(&rest);
        if !self.failed() {
            self.wires.facts.forget_past();
        }
    }

    /// Whoever wants to come back gets in, unless its full queue throws it out again.
    fn everybody_is_back(&mut self) {
        if self.settings.queue_full == QueueFull::Disconnect {
            return;
        }
        for device in &mut self.devices {
            if device.active().is_none() {
                let text = format!("{} cannot come back: {} sockets", device.name, device.sockets.len());
                self.wires.oracle.found.report_for("rest", text);
            }
        }
    }

    /// A client that has never been there asks for everything retained, and goes.
    fn probe(&mut self) -> LinkId {
        self.probes += 1;
        let index = self.devices.len();
        self.devices.push(Device::new(format!("probe{}", self.probes), workload::observer()));
        self.connect(index, 1);
        self.come_to_rest();
        let Some(link) = self.devices[index].active().map(|socket| socket.link) else {
            self.wires.oracle.found.report_for("rest", "a new client does not get in".to_owned());
            return LinkId(0);
        };
        let everything = [workload::EVERYTHING, workload::EVERYTHING_SYSTEM];
        workload::subscribe_to(&mut self.devices[index], &everything, None);
        self.ship(index);
        self.come_to_rest();
        self.drop_socket(index, link, usize::MAX, false);
        self.come_to_rest();
        self.devices.pop();
        link
    }

    /// Everybody goes, time passes, and nothing may be left.
    fn end(&mut self) {
        self.wires.remark("end");
        for index in 0..self.devices.len() {
            let device = &mut self.devices[index];
            device.habits.will_percent = 0;
            device.habits.fickle_percent = 0;
            device.habits.last_intervals = &[0, 2, 3600];
            let session = self.wires.facts.latest_session(&device.name);
            let lasting = session.is_some_and(|session| self.wires.facts.sessions[session].lasting == Lasting::Forever);
            if lasting || self.random.chance(30) {
                device.habits.clean_percent = 100;
                device.habits.session_expiry = 0;
                self.reconnect(index);
                self.come_to_rest();
            }
            if self.random.chance(50) {
                self.disconnect(index);
            }
            let links: Vec<LinkId> = self.devices[index].sockets.iter().map(|socket| socket.link).collect();
            for link in links {
                self.drop_socket(index, link, usize::MAX, false);
            }
        }
        self.come_to_rest();
        for index in self.wires.open.clone() {
            self.wires.pipes[index].silent = false;
        }
        self.come_to_rest();
        self.advance(2 * 3_600_000);
        self.come_to_rest();
        let totals = self.totals();
        let mut client_ids = 0;
        self.host.space().registry(&mut |registry| client_ids = registry.len());
        let mut subscriptions = 0;
        self.host.space().read_index(&mut |index| subscriptions = index.len());
        self.wires.oracle.at_end(&End { totals: &totals, client_ids, subscriptions });
    }

    fn totals(&self) -> Totals {
        let mut totals = crate::totals(&self.host);
        totals.dropped_queue_full += self.earlier.dropped_queue_full;
        totals.dropped_memory += self.earlier.dropped_memory;
        totals.publish_received += self.earlier.publish_received;
        totals.publish_sent += self.earlier.publish_sent;
        totals
    }
}
