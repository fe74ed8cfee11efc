//! A client on a real socket, as simple as it can be: packets out, packets in.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sori_mqtt::{
    Ack, Connect, Direction, PINGREQ, Packet, PacketId, PacketType, Properties, Property, PropertyBuffer, Publish, QoS,
    Split, Subscribe, SubscribeOptions, TopicFilter, Unsubscribe, Version, decode, split,
};
use sori_net::Transport;

/// Nothing takes that long; without it a missing packet would hang the tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    ConnAck {
        session_present: bool,
        code: u8,
    },
    Message {
        topic: String,
        payload: Vec<u8>,
        qos: QoS,
        packet_id: Option<PacketId>,
        dup: bool,
    },
    Ack(PacketType, PacketId),
    /// An acknowledgement with a reason code of 0x80 or more.
    Refused(PacketType, PacketId, u8),
    SubAck(Vec<u8>),
    UnsubAck(Vec<u8>),
    PingResp,
    Disconnect(u8),
    /// The broker has closed the connection.
    End,
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// What stands between the packets and the socket.
    transport: Transport,
    input: Vec<u8>,
    version: Version,
}

/// A CONNECT of MQTT 5.0 with Clean Start and no Keep Alive.
pub(crate) fn hello(client_id: &str) -> Connect<'_> {
    Connect {
        version: Version::V5,
        bridge: false,
        clean_start: true,
        keep_alive: 0,
        client_id,
        will: None,
        user_name: None,
        password: None,
        properties: Properties::EMPTY,
    }
}

impl Client {
    /// A connection on which nothing was said.
    pub(crate) fn open(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("a flag");
        Client { stream, transport: Transport::plain(), input: Vec::new(), version: Version::V5 }
    }

    /// A connection behind a transport, whose handshakes are done; else what the client got to know of their failure.
    pub(crate) fn open_by(port: u16, transport: Transport) -> Result<Client, String> {
        Client::open_after(port, b"", transport)
    }

    /// Likewise, after these bytes.
    pub(crate) fn open_after(port: u16, first: &[u8], transport: Transport) -> Result<Client, String> {
        let mut client = Client { transport, ..Client::open(port) };
        client.stream.write_all(first).map_err(|error| error.to_string())?;
        client.write_output();
        while !client.transport.is_open() {
            client.read_once().map_err(|error| error.to_string())?;
        }
        Ok(client)
    }

    fn write_output(&mut self) {
        // A connection that is closed already is found out by reading.
        let _ = self.stream.write_all(self.transport.output());
        self.transport.sent(self.transport.output().len());
    }

    /// Read once from the socket; an error at its end.
    fn read_once(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let outcome = self.transport.receive(&mut buffer[..count], &mut self.input);
        self.write_output();
        outcome.map_err(std::io::Error::other)
    }

    /// Everything that comes until the connection ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.read_once().is_ok() {}
        std::mem::take(&mut self.input)
    }

    /// Say CONNECT on a connection that is open, and give the code of the answer.
    #[track_caller]
    pub(crate) fn hello(&mut self, connect: &Connect<'_>) -> u8 {
        self.version = connect.version;
        self.say(|out| connect.encode(out));
        match self.receive() {
            Received::ConnAck { code, .. } => code,
            other => unreachable!("no CONNACK but {other:?}"),
        }
    }

    /// The version of a connection on which nothing was said.
    pub(crate) fn speak(&mut self, version: Version) {
        self.version = version;
    }

    /// A connected client.
    #[track_caller]
    pub(crate) fn connect(port: u16, client_id: &str) -> Client {
        Client::connect_with(port, &hello(client_id)).0
    }

    /// A connected client whose session outlives the connection, and whether it was there.
    #[track_caller]
    pub(crate) fn resume(port: u16, client_id: &str) -> (Client, bool) {
        let mut properties = PropertyBuffer::new();
        properties.push(Property::SessionExpiryInterval(1000));
        let properties = properties.as_properties();
        Client::connect_with(port, &Connect { clean_start: false, properties, ..hello(client_id) })
    }

    #[track_caller]
    pub(crate) fn connect_with(port: u16, connect: &Connect<'_>) -> (Client, bool) {
        let mut client = Client::open(port);
        client.version = connect.version;
        client.say(|out| connect.encode(out));
        match client.receive() {
            Received::ConnAck { session_present, code: 0 } => (client, session_present),
            other => unreachable!("no CONNACK but {other:?}"),
        }
    }

    /// Sends what `write` encodes. A connection that is closed already is found out by reading.
    pub(crate) fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        self.send(&bytes);
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        while !left.is_empty() {
            let taken = self.transport.send(left);
            assert!(taken > 0, "the transport is open and has nothing to write");
            left = &left[taken..];
            self.write_output();
        }
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS, packet_id: u16) {
        let version = self.version;
        self.say(|out| publish(topic, payload, qos, packet_id).encode(version, out));
    }

    /// Publishes at QoS 1 and waits for PUBACK.
    #[track_caller]
    pub(crate) fn publish_and_wait(&mut self, topic: &str, payload: &[u8]) {
        self.publish(topic, payload, QoS::AtLeastOnce, 1);
        assert_eq!(self.receive(), Received::Ack(PacketType::PubAck, PacketId::FIRST));
    }

    /// Subscribes and waits for SUBACK.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.ask(filter, qos, 1);
        assert_eq!(self.receive(), Received::SubAck(vec![qos as u8]));
    }

    /// Subscribes.
    pub(crate) fn ask(&mut self, filter: &str, qos: QoS, packet_id: u16) {
        let version = self.version;
        let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
        let filters = [(TopicFilter::new(filter).expect("is legal"), options)];
        let packet_id = PacketId::new(packet_id).expect("is not 0");
        self.say(|out| Subscribe::new(packet_id, Properties::EMPTY, &filters).encode(version, out));
    }

    /// Unsubscribes.
    pub(crate) fn give_up(&mut self, filters: &[&str], packet_id: u16) {
        let version = self.version;
        let filters: Vec<_> = filters.iter().map(|filter| TopicFilter::new(filter).expect("is legal")).collect();
        let packet_id = PacketId::new(packet_id).expect("is not 0");
        self.say(|out| Unsubscribe::new(packet_id, Properties::EMPTY, &filters).encode(version, out));
    }

    pub(crate) fn acknowledge(&mut self, kind: PacketType, packet_id: PacketId) {
        let (version, reason_code) = (self.version, sori_mqtt::ReasonCode::Success);
        self.say(|out| Ack { packet_id, reason_code, properties: Properties::EMPTY }.encode(kind, version, out));
    }

    /// Is the connection there, and read?
    #[track_caller]
    pub(crate) fn expect_alive(&mut self) {
        self.send(&PINGREQ);
        assert_eq!(self.receive(), Received::PingResp);
    }

    #[track_caller]
    pub(crate) fn receive(&mut self) -> Received {
        self.receive_within(PATIENCE).expect("something in time")
    }

    /// The next packet, or none in this time.
    #[track_caller]
    pub(crate) fn receive_within(&mut self, patience: Duration) -> Option<Received> {
        loop {
            if let Split::Frame(frame) = split(&self.input, usize::MAX).expect("a packet") {
                let size = frame.size;
                let received = received(decode(frame, self.version, Direction::ToClient).expect("a legal packet"));
                self.input.drain(..size);
                return Some(received);
            }
            self.stream.set_read_timeout(Some(patience)).expect("a time-out");
            match self.read_once() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Some(Received::End),
            }
        }
    }

    /// The next message: topic and payload.
    #[track_caller]
    pub(crate) fn message(&mut self) -> (String, Vec<u8>) {
        match self.receive() {
            Received::Message { topic, payload, .. } => (topic, payload),
            other => unreachable!("no message but {other:?}"),
        }
    }
}

pub(crate) fn publish<'a>(topic: &'a str, payload: &'a [u8], qos: QoS, packet_id: u16) -> Publish<'a> {
    let packet_id = if qos == QoS::AtMostOnce { None } else { PacketId::new(packet_id) };
    Publish { dup: false, qos, retain: false, topic, packet_id, properties: Properties::EMPTY, payload }
}

fn answer(kind: PacketType, ack: &Ack<'_>) -> Received {
    match ack.reason_code.value() {
        code @ 0x80.. => Received::Refused(kind, ack.packet_id, code),
        _ => Received::Ack(kind, ack.packet_id),
    }
}

fn received(packet: Packet<'_>) -> Received {
    match packet {
        Packet::ConnAck(connack) => {
            Received::ConnAck { session_present: connack.session_present, code: connack.reason_code.value() }
        }
        Packet::Publish(publish) => Received::Message {
            topic: publish.topic.to_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            packet_id: publish.packet_id,
            dup: publish.dup,
        },
        Packet::PubAck(ack) => answer(PacketType::PubAck, &ack),
        Packet::PubRec(ack) => answer(PacketType::PubRec, &ack),
        Packet::PubRel(ack) => Received::Ack(PacketType::PubRel, ack.packet_id),
        Packet::PubComp(ack) => Received::Ack(PacketType::PubComp, ack.packet_id),
        Packet::SubAck(suback) => Received::SubAck(suback.reason_codes.to_vec()),
        Packet::UnsubAck(unsuback) => Received::UnsubAck(unsuback.reason_codes.to_vec()),
        Packet::PingResp => Received::PingResp,
        Packet::Disconnect(disconnect) => Received::Disconnect(disconnect.reason_code.value()),
        other => unreachable!("{other:?} was not asked for"),
    }
}
