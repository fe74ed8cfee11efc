//! One shard, driven by hand turn by turn: for what one turn does and leaves to the next. Its clients speak MQTT 3.1.1.

use std::sync::Arc;

use sori_broker::{Cause, ConnectionId, Effect, ListenerSettings, OpenAccess, PlainSpace, Settings, Shard, ShardId};
use sori_broker::{Space, Time};

use super::wire::{Packet, Version, publish, subscribe};

pub(crate) struct Lone {
    pub(crate) shard: Shard,
    pub(crate) space: Arc<PlainSpace>,
    pub(crate) now: Time,
}

impl Lone {
    #[allow(clippy::arc_with_non_send_sync, reason = "a shard takes an `Arc`, also where there is one thread")]
    pub(crate) fn new(settings: Settings) -> Lone {
        let (space, now) = (Arc::new(PlainSpace::default()), Time(1000));
        let (settings, access) = (Arc::new(settings), Arc::new(OpenAccess));
        let shard = Shard::new(ShardId(0), 1, settings, space.clone(), access, 7, now);
        Lone { shard, space, now }
    }

    /// How many subscriptions there are, and how many of them are shared.
    pub(crate) fn subscriptions(&self) -> (usize, usize) {
        let mut found = (0, 0);
        self.space.read_index(&mut |index| found = (index.len(), index.shared_len()));
        found
    }

    pub(crate) fn connect(&mut self, connect: Packet) -> ConnectionId {
        let id = self.shard.open(self.now, Arc::new(ListenerSettings::default()), "127.0.0.1:1");
        let version = if connect.connect_part().level == 5 { Version::V5 } else { Version::V311 };
        let answer = self.say_bytes(id, &connect.encode(version));
        assert_eq!((answer[0], answer[3]), (0x20, 0), "CONNACK");
        id
    }

    pub(crate) fn subscribe(&mut self, id: ConnectionId, filter: &str, qos: u8) {
        assert_eq!(self.say(id, subscribe(1).filter(filter, qos))[..5], [0x90, 3, 0, 1, qos], "SUBACK");
    }

    pub(crate) fn leave(&mut self, id: ConnectionId) {
        self.shard.closed(self.now, id, Cause::Network("gone".into()));
        self.settle();
    }

    /// Publishes at QoS 0 and gives what everybody has got.
    pub(crate) fn publish(&mut self, from: ConnectionId, topic: &str, to: &[ConnectionId]) -> Vec<Vec<u8>> {
        self.shard.receive(self.now, from, &publish(topic).encode(Version::V311));
        let got = to.iter().map(|id| self.output(*id)).collect();
        self.settle();
        got
    }

    /// Sends a packet and gives what comes back in this turn.
    pub(crate) fn say(&mut self, id: ConnectionId, packet: Packet) -> Vec<u8> {
        self.say_bytes(id, &packet.encode(Version::V311))
    }

    pub(crate) fn say_bytes(&mut self, id: ConnectionId, bytes: &[u8]) -> Vec<u8> {
        self.shard.receive(self.now, id, bytes);
        self.carry_out_effects();
        self.keep_records();
        let answer = self.output(id);
        self.settle();
        answer
    }

    pub(crate) fn output(&self, id: ConnectionId) -> Vec<u8> {
        self.shard.output(id).collect::<Vec<_>>().concat()
    }

    /// A turn in which nothing comes but the time. False if nothing was due.
    pub(crate) fn tick(&mut self) -> bool {
        let is_due = self.is_due();
        if is_due {
            self.shard.tick(self.now);
            self.settle();
        }
        is_due
    }

    pub(crate) fn is_due(&self) -> bool {
        self.shard.next_deadline().is_some_and(|due| due <= self.now)
    }

    /// Everything that was recorded is durable.
    fn keep_records(&mut self) {
        while let Some(records) = self.shard.take_records() {
            records.placed(1 << 32);
            self.shard.durable(self.now, records.upto);
        }
    }

    /// The end of a turn.
    pub(crate) fn settle(&mut self) {
        self.keep_records();
        while let Some(id) = self.shard.next_flush() {
            let length = self.shard.output_len(id);
            self.shard.sent(self.now, id, length);
        }
        self.shard.mail_posted();
        self.carry_out_effects();
    }

    fn carry_out_effects(&mut self) {
        while let Some(effect) = self.shard.next_effect() {
            if let Effect::Drain { then, .. } | Effect::TakeMail { then } = effect {
                self.shard.drained(self.now, then);
            }
        }
    }
}
