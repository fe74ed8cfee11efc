//! A client against any server: no panic, only legal packets, never more than the server allows.
//!
//! The first byte chooses the version, the second one the options. Then each byte is a step: below 0xC0 it is the length (less one) of the bytes
//! that the server sends next, above it a request of the caller.

#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sori_mqtt::client_session::{Authentication, ClientSession, ConnectOptions, Delivery, Event};
use sori_mqtt::{
    Direction, Disconnect, Packet, PacketType, Properties, Publish, QoS, ReasonCode, Split, SubscribeOptions,
    TopicFilter, Version, decode, split,
};

fuzz_target!(|data: &[u8]| {
    let [version, flags, steps @ ..] = data else { return };
    let mut steps = steps;
    let mut caller = Caller::new(*version, *flags);
    caller.connect();
    while let Some((step, rest)) = steps.split_first() {
        steps = caller.step(*step, rest);
        caller.drain();
    }
});

struct Caller {
    session: ClientSession,
    version: Version,
    now: Duration,
    /// Packets sent on this connection.
    sent: usize,
    /// QoS 1 and 2 messages sent on this connection and not acknowledged, as the server counts them.
    in_flight: BTreeMap<u16, QoS>,
}

impl Caller {
    fn new(version: u8, flags: u8) -> Self {
        let version = [Version::V31, Version::V311, Version::V5][usize::from(version % 3)];
        let authentication = Authentication { method: "M".into(), data: None };
        let options = ConnectOptions {
            version,
            client_id: "fuzz".into(),
            clean_start: flags & 1 != 0,
            session_known: flags & 2 != 0,
            session_expiry_interval: if flags & 4 != 0 { 100 } else { 0 },
            receive_maximum: 5,
            maximum_packet_size: 100_000,
            topic_alias_maximum: 4,
            topic_alias_outgoing_max: 2,
            acknowledge_at_once: flags & 16 == 0,
            send_anew: flags & 32 != 0,
            queue_bytes_max: 10_000,
            authentication: (version.is_v5() && flags & 8 != 0).then_some(authentication),
            ..ConnectOptions::default()
        };
        let session = ClientSession::new(options).expect("legal options");
        Self { session, version, now: Duration::ZERO, sent: 0, in_flight: BTreeMap::new() }
    }

    fn connect(&mut self) {
        self.session.connection_lost();
        while self.session.poll_event().is_ok_and(|event| event.is_some()) {}
        self.session.connect(self.now).expect("idle");
        (self.sent, self.in_flight) = (0, BTreeMap::new());
        self.drain();
    }

    /// Returns the steps that remain.
    fn step<'a>(&mut self, step: u8, rest: &'a [u8]) -> &'a [u8] {
        self.now += Duration::from_millis(10);
        let filter = TopicFilter::new("f/#").expect("legal");
        match step {
            0..0xC0 => {
                let (bytes, rest) = rest.split_at(rest.len().min(usize::from(step) + 1));
                self.note_acknowledgements(bytes);
                self.session.receive(self.now, bytes);
                return rest;
            }
            0xC0..0xE0 => {
                let qos = QoS::from_u8(step % 3).expect("0, 1 or 2");
                let topic = ["a", "b/c", "a/long/topic/name"][usize::from(step / 3 % 3)];
                let publish = Publish {
                    dup: false,
                    qos,
                    retain: step & 1 != 0,
                    topic,
                    packet_id: None,
                    properties: Properties::EMPTY,
                    payload: b"payload",
                };
                let _ = self.session.publish(&publish);
            }
            0xE0..0xE4 => {
                let _ = self.session.subscribe(&[(filter, SubscribeOptions::default())], Properties::EMPTY);
            }
            0xE4..0xE8 => {
                let _ = self.session.unsubscribe(&[filter], Properties::EMPTY);
            }
            0xE8..0xEC => {
                let _ = self.session.authenticate(Some(b"answer"));
            }
            0xEC..0xF0 => {
                let _ = self.session.reauthenticate(None);
            }
            0xF0..0xF8 => {
                self.now += Duration::from_secs(u64::from(step & 7) * 10);
                let _ = self.session.handle_timeout(self.now);
            }
            0xF8..0xFC => {
                let disconnect = Disconnect { reason_code: ReasonCode::Success, properties: Properties::EMPTY };
                let _ = self.session.disconnect(&disconnect);
            }
            0xFC.. => self.connect(),
        }
        rest
    }

    /// A server's view of the quota would need its own session; here it is enough that a message never takes an
    /// identifier which the client itself has not seen acknowledged, so acknowledgements in the bytes are forgiven.
    fn note_acknowledgements(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.in_flight.clear();
        }
    }

    /// Events, then the output, which a server could always read.
    fn drain(&mut self) {
        let connection = self.session.connection();
        let mut owed = Vec::new();
        loop {
            match self.session.poll_event() {
                Ok(Some(Event::Message(message))) => owed.extend(Delivery::new(connection, &message)),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => assert!(!self.session.is_open() && !error.to_string().is_empty()),
            }
        }
        // The caller is careless with every third one.
        for (number, delivery) in owed.into_iter().enumerate() {
            match number % 3 {
                0 => self.session.leave(delivery),
                _ => {
                    let _ = self.session.acknowledge(delivery, ReasonCode::Success);
                }
            }
        }
        let output = self.session.output().to_vec();
        let mut rest = output.as_slice();
        while let Split::Frame(frame) = split(rest, usize::MAX).expect("a packet") {
            let packet = decode(frame, self.version, Direction::ToServer).expect("a legal packet");
            assert_eq!(packet.packet_type() == PacketType::Connect, self.sent == 0, "CONNECT comes first and once");
            self.sent += 1;
            if self.sent > 1 {
                assert!(frame.size <= self.session.server_limits().maximum_packet_size);
            }
            self.note_publish(&packet);
            rest = &rest[frame.size..];
        }
        assert!(rest.is_empty(), "half a packet");
        self.session.written(output.len());
    }

    fn note_publish(&mut self, packet: &Packet<'_>) {
        let Packet::Publish(publish) = packet else { return };
        let limits = self.session.server_limits();
        assert!(publish.qos <= limits.maximum_qos && (limits.retain_available || !publish.retain));
        if let Some(packet_id) = publish.packet_id {
            assert!(self.in_flight.insert(packet_id.value(), publish.qos).is_none(), "identifier in use");
            assert!(self.in_flight.len() <= usize::from(limits.receive_maximum));
        }
    }
}
