//! A broker against any clients: no panic, and whatever it says is legal.
//!
//! The first byte chooses the version. Then each byte is a step of one of four clients: two bits say which, the others what it does. Bytes of a
//! client follow with their length (less one) in front.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sori_broker::{
    Cause, ConnectionId, Effect, ListenerSettings, OpenAccess, PlainSpace, Settings, Shard, ShardId, Time,
};
use sori_mqtt::{Connect, Direction, Packet, Properties, Property, PropertyBuffer, Split, Version, decode, split};

fuzz_target!(|data: &[u8]| {
    let [version, steps @ ..] = data else { return };
    let mut steps = steps;
    let mut scene = Scene::new(*version);
    while let Some((step, rest)) = steps.split_first() {
        steps = scene.step(*step, rest);
        scene.drain();
    }
    for client in 0..scene.clients.len() {
        scene.close(client);
    }
    scene.drain();
    assert_eq!(scene.shard.totals().connections, 0);
});

struct Scene {
    shard: Shard,
    version: Version,
    now: Time,
    clients: [Client; 4],
}

#[derive(Default)]
struct Client {
    connection: Option<ConnectionId>,
    /// It began with a legal CONNECT of the version.
    is_proper: bool,
    got: Vec<u8>,
}

impl Scene {
    fn new(version: u8) -> Self {
        let settings = Settings {
            queued_messages_max: 5,
            inflight_messages_max: 3,
            packet_size_max: 10_000,
            topic_levels_max: 50,
            strict_receive_maximum: version & 16 != 0,
            allow_duplicate_messages: version & 32 != 0,
            queue_qos0_messages: version & 64 != 0,
            reason_strings: version & 128 != 0,
            ..Settings::default()
        };
        let version = [Version::V31, Version::V311, Version::V5][usize::from(version % 3)];
        let space = Arc::new(PlainSpace::default());
        let shard = Shard::new(ShardId(0), 1, Arc::new(settings), space, Arc::new(OpenAccess), 1, Time(0));
        Self { shard, version, now: Time(0), clients: Default::default() }
    }

    /// Returns the steps that remain.
    fn step<'a>(&mut self, step: u8, rest: &'a [u8]) -> &'a [u8] {
        self.now = self.now.plus_millis(10);
        let (client, what) = (usize::from(step & 3), step >> 2);
        match what {
            0..40 => {
                let Some((length, rest)) = rest.split_first() else { return rest };
                let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length) + 1));
                if let Some(connection) = self.clients[client].connection {
                    self.shard.receive(self.now, connection, bytes);
                }
                return rest;
            }
            40..48 => self.open_properly(client, what & 7),
            48..52 => self.open(client),
            52..56 => self.close(client),
            56.. => {
                self.now = self.now.plus_millis(100 << (2 * (what - 56)));
                self.shard.tick(self.now);
            }
        }
        rest
    }

    fn open(&mut self, client: usize) {
        self.close(client);
        let connection = self.shard.open(self.now, Arc::new(ListenerSettings::default()), "here");
        self.clients[client] = Client { connection: Some(connection), ..Client::default() };
    }

    fn open_properly(&mut self, client: usize, choice: u8) {
        self.open(client);
        let mut properties = PropertyBuffer::new();
        if self.version.is_v5() {
            properties.push(Property::SessionExpiryInterval(u32::from(choice >> 1) * 30));
            properties.push(Property::TopicAliasMaximum(2));
            properties.push(Property::ReceiveMaximum(2));
            properties.push(Property::MaximumPacketSize(MAXIMUM_PACKET_SIZE as u32));
        }
        let connect = Packet::Connect(Connect {
            version: self.version,
            bridge: false,
            clean_start: choice & 1 != 0,
            keep_alive: 60,
            client_id: ["a", "b", "c", "d"][client],
            will: None,
            user_name: None,
            password: None,
            properties: if self.version.is_v5() { properties.as_properties() } else { Properties::EMPTY },
        });
        let mut bytes = Vec::new();
        connect.encode(self.version, &mut bytes);
        self.clients[client].is_proper = true;
        let connection = self.clients[client].connection.expect("it was opened");
        self.shard.receive(self.now, connection, &bytes);
    }

    fn close(&mut self, client: usize) {
        if let Some(connection) = self.clients[client].connection.take() {
            self.shard.closed(self.now, connection, Cause::Network("closed".into()));
        }
    }

    /// All that the broker wants, until it wants nothing.
    fn drain(&mut self) {
        loop {
            while let Some(connection) = self.shard.next_flush() {
                self.flush(connection);
            }
            assert!(self.shard.next_mail().is_none(), "there is one shard");
            self.shard.mail_posted();
            let Some(effect) = self.shard.next_effect() else { break };
            match effect {
                Effect::Event(_) => {}
                Effect::Close(connection) => {
                    self.flush(connection);
                    self.shard.closed(self.now, connection, Cause::Network("closed".into()));
                    self.clients
                        .iter_mut()
                        .filter(|c| c.connection == Some(connection))
                        .for_each(|c| c.connection = None);
                }
                Effect::Drain { then, .. } | Effect::TakeMail { then } => self.shard.drained(self.now, then),
                Effect::Fetch(_) | Effect::Move { .. } => panic!("there is no store and no other shard"),
            }
        }
    }

    fn flush(&mut self, connection: ConnectionId) {
        let output: Vec<&[u8]> = self.shard.output(connection).collect();
        let output = output.concat();
        self.shard.sent(self.now, connection, output.len());
        let Some(client) = self.clients.iter_mut().find(|client| client.connection == Some(connection)) else { return };
        client.got.extend(output);
        let mut rest = client.got.as_slice();
        while let Split::Frame(frame) = split(rest, usize::MAX).expect("a packet") {
            let versions =
                if client.is_proper { vec![self.version] } else { vec![Version::V31, Version::V311, Version::V5] };
            let is_legal = |version: &Version| decode(frame, *version, Direction::ToClient).is_ok();
            assert!(versions.iter().any(is_legal), "not a legal packet: {:02X?}", &rest[..frame.size]);
            // [MQTT-3.1.2-24]
            assert!(!client.is_proper || !self.version.is_v5() || frame.size <= MAXIMUM_PACKET_SIZE);
            rest = &rest[frame.size..];
        }
        assert!(rest.is_empty(), "half a packet");
        client.got.clear();
    }
}

const MAXIMUM_PACKET_SIZE: usize = 200;
