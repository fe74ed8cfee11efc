//! The client's rules, one test each: bytes of a server in, bytes and events out, no socket and no clock.

mod acknowledging;
mod authentication;
mod connecting;
mod hostile_server;
mod incoming;
mod keep_alive;
mod outgoing;
mod progress;
mod requests;
mod session;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::{Ack, ConnAck, Property, PropertyBuffer, QoS, TopicName, Version};

/// A session, the time, and what it said, as short sentences.
struct Client {
    session: ClientSession,
    now: Duration,
}

impl Client {
    fn new(options: ConnectOptions) -> Self {
        Self { session: ClientSession::new(options).expect("legal options"), now: Duration::from_secs(1_000) }
    }

    /// A session whose server has said `connack`.
    fn connected(options: ConnectOptions, connack: &[Property<'_>]) -> Self {
        let mut client = Self::new(options);
        client.connect(false, connack);
        client
    }

    /// CONNECT and a CONNACK that accepts; what was sent with it stays in the output.
    fn connect(&mut self, session_present: bool, connack: &[Property<'_>]) -> Vec<String> {
        self.session.connect(self.now).expect("idle");
        let written = self.session.output().len();
        self.session.written(written);
        self.accept(session_present, connack)
    }

    fn accept(&mut self, session_present: bool, connack: &[Property<'_>]) -> Vec<String> {
        let properties = buffer(connack);
        let reason_code = ReasonCode::Success;
        self.feed(&Packet::ConnAck(ConnAck { session_present, reason_code, properties: properties.as_properties() }))
    }

    fn version(&self) -> Version {
        self.session.core.options.version
    }

    /// The server sends this; returns the events.
    fn feed(&mut self, packet: &Packet<'_>) -> Vec<String> {
        let mut bytes = Vec::new();
        packet.encode(self.version(), &mut bytes);
        self.feed_bytes(&bytes)
    }

    fn feed_bytes(&mut self, bytes: &[u8]) -> Vec<String> {
        self.session.receive(self.now, bytes);
        self.events()
    }

    fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        loop {
            match self.session.poll_event() {
                Ok(Some(event)) => events.push(describe_event(&event)),
                Ok(None) => return events,
                Err(error) => events.push(format!("error: {error}")),
            }
        }
    }

    /// What the session has sent since the last call.
    fn sent(&mut self) -> Vec<String> {
        let version = self.version();
        let mut sent = Vec::new();
        let output = self.session.output().to_vec();
        let mut rest = output.as_slice();
        while let Split::Frame(frame) = split(rest, usize::MAX).expect("a whole packet") {
            sent.push(describe(&decode(frame, version, Direction::ToServer).expect("a legal packet of a client")));
            rest = &rest[frame.size..];
        }
        assert!(rest.is_empty(), "half a packet");
        self.session.written(output.len());
        sent
    }

    fn publish(&mut self, qos: u8, topic: &str) -> Result<Token, RequestError> {
        self.session.publish(&message(qos, topic))
    }

    /// The server answers the packet with this identifier.
    fn answer(&mut self, kind: PacketType, packet_id: u16, reason_code: ReasonCode) -> Vec<String> {
        let mut bytes = Vec::new();
        let ack = Ack { packet_id: id(packet_id), reason_code, properties: Properties::EMPTY };
        ack.encode(kind, self.version(), &mut bytes);
        self.feed_bytes(&bytes)
    }

    /// The server publishes.
    fn incoming(&mut self, qos: u8, packet_id: u16, topic: &str) -> Vec<String> {
        let publish = Publish { packet_id: PacketId::new(packet_id), ..message(qos, topic) };
        self.feed(&Packet::Publish(publish))
    }
}

/// The three versions, for rules that all of them have.
const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn options(version: Version) -> ConnectOptions {
    ConnectOptions { version, client_id: "me".to_owned(), ..ConnectOptions::default() }
}

/// A session that outlives its connections.
fn lasting(version: Version) -> ConnectOptions {
    ConnectOptions { clean_start: false, session_expiry_interval: 3_600, ..options(version) }
}

fn message<'a>(qos: u8, topic: &'a str) -> Publish<'a> {
    Publish {
        dup: false,
        qos: QoS::from_u8(qos).expect("0, 1 or 2"),
        retain: false,
        topic,
        packet_id: None,
        properties: Properties::EMPTY,
        payload: b"hi",
    }
}

fn buffer(properties: &[Property<'_>]) -> PropertyBuffer {
    let mut buffer = PropertyBuffer::new();
    for property in properties {
        buffer.push(*property);
    }
    buffer
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

fn describe(packet: &Packet<'_>) -> String {
    let number = |id: Option<PacketId>| id.map_or(0, PacketId::value);
    let ack = |name: &str, ack: &Ack<'_>| format!("{name} {} {:#04x}", ack.packet_id.value(), ack.reason_code.value());
    match packet {
        Packet::Publish(p) => {
            let (dup, retain) = (u8::from(p.dup), u8::from(p.retain));
            let alias = p.properties.topic_alias().map_or(String::new(), |alias| format!(" alias {alias}"));
            format!("PUBLISH d{dup} q{} r{retain} m{} '{}'{alias}", p.qos as u8, number(p.packet_id), p.topic)
        }
        Packet::PubAck(a) => ack("PUBACK", a),
        Packet::PubRec(a) => ack("PUBREC", a),
        Packet::PubRel(a) => ack("PUBREL", a),
        Packet::PubComp(a) => ack("PUBCOMP", a),
        Packet::Subscribe(s) => {
            let filters: Vec<_> = s.filters().map(|(f, o)| format!("{}:{:#x}", f.as_str(), o.to_bits())).collect();
            format!("SUBSCRIBE {} {}", s.packet_id.value(), filters.join(" "))
        }
        Packet::Unsubscribe(u) => {
            let filters: Vec<_> = u.filters().map(TopicFilter::as_str).collect();
            format!("UNSUBSCRIBE {} {}", u.packet_id.value(), filters.join(" "))
        }
        Packet::Disconnect(d) => format!("DISCONNECT {:#04x}", d.reason_code.value()),
        Packet::Auth(a) => {
            let method = a.properties.authentication_method().unwrap_or_default();
            let data = a.properties.authentication_data().map(|data| String::from_utf8_lossy(data).into_owned());
            format!("AUTH {:#04x} {method} {}", a.reason_code.value(), data.unwrap_or_default())
        }
        other => other.packet_type().name().to_string(),
    }
}

fn describe_event(event: &Event<'_>) -> String {
    let codes =
        |codes: &ReasonCodes<'_>| codes.iter().map(|code| format!(" {:#04x}", code.value())).collect::<String>();
    match event {
        Event::Connected { session_present, .. } => format!("connected, session present {session_present}"),
        Event::Message(publish) => format!("message {} '{}'", publish.qos as u8, publish.topic),
        Event::Published { token, outcome: Outcome::Acknowledged(code), .. } => {
            format!("published {} {:#04x}", token.0, code.value())
        }
        Event::Published { token, outcome, .. } => format!("published {} {outcome:?}", token.0),
        Event::Subscribed { token, reason_codes, .. } => format!("subscribed {}{}", token.0, codes(reason_codes)),
        Event::Unsubscribed { token, reason_codes, .. } => format!("unsubscribed {}{}", token.0, codes(reason_codes)),
        Event::RequestLost { token } => format!("request {} lost", token.0),
        Event::Challenge { data, .. } => {
            format!("challenge {}", String::from_utf8_lossy(data.unwrap_or_default()))
        }
        Event::Authenticated { .. } => "authenticated".to_owned(),
    }
}
