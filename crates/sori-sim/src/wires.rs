//! All connections of a run, and the onlooker who reads every packet between them and the broker.

use std::io::Write;

use sori_broker::{Event as BrokerEvent, Settings};
use sori_mqtt::{Direction, PacketType, QoS, Version};

use crate::check::Oracle;
use crate::facts::{Event, Facts, Moment, What};
use crate::host::{LinkId, Wire};
use crate::network::Pipe;
use crate::seen::{Reader, Seen};
use crate::world::START;

/// Without a reason code, which means success in all versions.
const PUBREC_BYTES: usize = 4;

/// Pipes by link, the book, and the rules.
pub(crate) struct Wires {
    pub(crate) pipes: Vec<Pipe>,
    taps: Vec<Tap>,
    pub(crate) facts: Facts,
    pub(crate) oracle: Oracle,
    pub(crate) moment: Moment,
    /// Links that are not over, by number.
    pub(crate) open: Vec<usize>,
    pub(crate) verbose: bool,
    /// A packet that promises something, and how many of it are still to be seen before that is put to the test.
    promise: Option<(PacketType, u32)>,
    /// QoS 2 messages that the broker has read and not answered: the link and the packet identifier.
    unanswered: Vec<(LinkId, u16)>,
    /// A digest of everything that happened: two runs of one seed must agree on it.
    pub(crate) digest: u64,
}

struct Tap {
    from_client: Reader,
    from_broker: Reader,
    /// Bytes of the broker that were shown and not written yet.
    unwritten: usize,
}

impl Wires {
    pub(crate) fn new(settings: &Settings, verbose: bool) -> Wires {
        Wires {
            pipes: Vec::new(),
            taps: Vec::new(),
            facts: Facts::new(settings),
            oracle: Oracle::new(settings),
            moment: Moment { turn: 0, number: 0, at: START.0 },
            open: Vec::new(),
            verbose,
            promise: None,
            unanswered: Vec::new(),
            digest: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub(crate) fn add(&mut self, pipe: Pipe) {
        let link = pipe.link;
        self.open.push(link.0);
        self.pipes.push(pipe);
        self.taps.push(Tap {
            from_client: Reader::new(Direction::ToServer, Version::V5),
            from_broker: Reader::new(Direction::ToClient, Version::V5),
            unwritten: 0,
        });
        self.emit(link, What::Opened);
    }

    /// Waits until so many packets of this kind have left.
    pub(crate) fn watch_promises(&mut self, kind: PacketType, count: u32) {
        self.remark(&format!("the power will fail after {count} {}", kind.name()));
        self.promise = Some((kind, count));
    }

    /// They have left.
    pub(crate) fn has_seen_promise(&mut self) -> bool {
        let has_seen = self.promise.is_some_and(|(_, count)| count == 0);
        if has_seen {
            self.promise = None;
        }
        has_seen
    }

    pub(crate) fn forget_promise(&mut self) {
        self.promise = None;
    }

    fn look_for_promise(&mut self, seen: &Seen) {
        let Some((kind, count)) = &mut self.promise else { return };
        let is_promise = match seen {
            Seen::ConnAck(_) => *kind == PacketType::ConnAck,
            Seen::Ack { kind: other, .. } => other == kind,
            Seen::Publish(publish) => *kind == PacketType::Publish && publish.qos == QoS::ExactlyOnce,
            Seen::SubAck { .. } => *kind == PacketType::SubAck,
            Seen::UnsubAck { .. } => *kind == PacketType::UnsubAck,
            _ => false,
        };
        if is_promise {
            *count = count.saturating_sub(1);
        }
    }

    /// What happens from now on is not simultaneous with what has happened.
    pub(crate) fn begin_turn(&mut self, now: u64) {
        self.moment.turn += 1;
        self.moment.at = now;
    }

    pub(crate) fn end_turn(&mut self) {
        let now = self.moment.at;
        self.oracle.turn_ended(now, &self.facts);
        let pipes = &self.pipes;
        self.open.retain(|index| !pipes[*index].is_over());
    }

    /// The broker reads these bytes.
    pub(crate) fn read(&mut self, link: LinkId, bytes: &[u8]) {
        self.facts.links[link.0].last_bytes = self.moment.at;
        self.taps[link.0].from_client.push(bytes);
        while let Some((seen, _)) = self.taps[link.0].from_client.next().expect("clients write packets") {
            if let Seen::Connect(connect) = &seen {
                self.taps[link.0].from_broker.set_version(connect.version);
            }
            if let Seen::Publish(publish) = &seen
                && publish.qos == QoS::ExactlyOnce
            {
                self.unanswered.push((link, publish.id));
            }
            self.emit(link, What::In(seen));
        }
    }

    /// Sends a PUBREC that the broker holds back, as if it came from there. False: there is none at the moment.
    pub(crate) fn send_a_held_pubrec(&mut self) -> bool {
        let held = std::mem::take(&mut self.unanswered);
        let is_possible = |(link, _): &&(LinkId, u16)| {
            let pipe = &self.pipes[link.0];
            let is_up = !pipe.broker_gone && !pipe.client_gone;
            is_up && self.taps[link.0].unwritten == 0 && pipe.space(PUBREC_BYTES) == PUBREC_BYTES
        };
        let Some(&(link, id)) = held.iter().find(is_possible) else {
            self.unanswered = held;
            return false;
        };
        let [high, low] = id.to_be_bytes();
        let pubrec: [u8; PUBREC_BYTES] = [(PacketType::PubRec as u8) << 4, 2, high, low];
        self.remark("a PUBREC leaves that the broker holds back");
        self.show(link, &pubrec);
        self.write(link, &pubrec);
        true
    }

    pub(crate) fn emit(&mut self, link: LinkId, what: What) {
        self.moment.number += 1;
        let event = Event { moment: self.moment, early: None, link, what };
        self.record(&event);
        for event in self.facts.admit(event) {
            self.facts.note(&event);
            self.oracle.see(&event, &self.facts);
        }
    }

    fn record(&mut self, event: &Event) {
        let line = self.describe(event);
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.print(&line);
    }

    /// A remark in the trace that is no packet.
    pub(crate) fn remark(&mut self, text: &str) {
        if self.verbose {
            self.print(&format!("{:>9} ms            -- {text}", self.moment.at - START.0));
        }
    }

    /// Whoever reads the trace may stop reading.
    fn print(&mut self, line: &str) {
        self.verbose = self.verbose && writeln!(std::io::stdout(), "{line}").is_ok();
    }

    fn describe(&self, event: &Event) -> String {
        let what = match &event.what {
            What::Opened => "opened".to_owned(),
            What::In(seen) => format!("> {seen}"),
            What::Out(seen, _) => format!("          < {seen}"),
            What::Garbled(text) => format!("          < not a packet: {text}"),
            What::NetworkClosed => "> lost".to_owned(),
            What::BrokerClosed => "          < closed".to_owned(),
            What::Crashed => "          < crashed".to_owned(),
        };
        let (at, turn) = (event.moment.at - START.0, event.moment.turn);
        format!("{at:>9} ms turn {turn:<6} L{:<4} {:<9} {what}", event.link.0, self.name(event.link))
    }

    /// Which client it is, as far as that is known.
    pub(crate) fn name(&self, link: LinkId) -> &str {
        self.facts.links.get(link.0).map_or("", |link| link.client.as_str())
    }
}

impl Wire for Wires {
    fn show(&mut self, link: LinkId, bytes: &[u8]) {
        self.taps[link.0].from_broker.push(bytes);
        self.taps[link.0].unwritten += bytes.len();
        loop {
            match self.taps[link.0].from_broker.next() {
                Ok(Some((seen, size))) => {
                    self.look_for_promise(&seen);
                    if let Seen::Ack { kind: PacketType::PubRec, id, .. } = seen {
                        self.unanswered.retain(|held| *held != (link, id));
                    }
                    self.emit(link, What::Out(seen, size));
                }
                Ok(None) => break,
                Err(text) => {
                    self.emit(link, What::Garbled(text));
                    break;
                }
            }
        }
    }

    fn write(&mut self, link: LinkId, bytes: &[u8]) -> usize {
        let pipe = &mut self.pipes[link.0];
        let taken = pipe.space(bytes.len());
        if !pipe.client_gone {
            pipe.to_client.extend_from_slice(&bytes[..taken]);
        }
        self.taps[link.0].unwritten -= taken;
        taken
    }

    fn unread(&mut self, link: LinkId) -> Vec<u8> {
        let pipe = &mut self.pipes[link.0];
        // All of it has come so far, or nothing.
        let limit = if pipe.frozen || self.digest & 1 == 0 { 0 } else { usize::MAX };
        let bytes = pipe.read_by_broker(limit);
        self.read(link, &bytes);
        bytes
    }

    fn closed_by_broker(&mut self, link: LinkId) {
        self.pipes[link.0].broker_gone = true;
        self.emit(link, What::BrokerClosed);
    }

    fn turn(&self) -> u64 {
        self.moment.turn
    }

    fn moved(&mut self, link: LinkId, to: u16) {
        let text = format!("L{} moves to shard {to}", link.0);
        self.remark(&text);
    }

    fn event(&mut self, event: BrokerEvent) {
        if let BrokerEvent::Expired { client_id } = &event {
            self.facts.note_expired(client_id);
        }
        if self.verbose {
            let text = format!("{event:?}");
            self.remark(&text);
        }
    }
}
