//! The other side of a test: accepts one connection, checks what comes and says what the test says.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use sori_mqtt::{
    Ack, ConnAck, Direction, Packet, PacketId, PacketType, Properties, Publish, QoS, ReasonCode, Split, SubAck,
    Version, decode, split,
};

/// Nothing in these tests takes that long; without it a missing packet would hang them.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Broker {
    listener: TcpListener,
    pub(crate) port: u16,
}

impl Broker {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        Self { listener, port }
    }

    pub(crate) fn accept(&self) -> Peer {
        let stream = self.connection();
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Peer { stream, bytes: Vec::new(), version: Version::V5 }
    }

    /// The next connection; a client that ended without one would hang the test.
    fn connection(&self) -> TcpStream {
        self.listener.set_nonblocking(true).expect("a listener");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("a stream");
                    return stream;
                }
                Err(error) => assert!(Instant::now() < deadline, "no connection: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Accepts a client and its CONNECT.
    pub(crate) fn connected(&self) -> Peer {
        let mut peer = self.accept();
        peer.expect(PacketType::Connect);
        peer.answer(ReasonCode::Success);
        peer
    }

    /// Accepts a client, its CONNECT and its SUBSCRIBE with one filter.
    pub(crate) fn subscribed(&self) -> Peer {
        let mut peer = self.connected();
        peer.expect(PacketType::Subscribe);
        let (packet_id, properties) = (PacketId::FIRST, Properties::EMPTY);
        peer.send(&Packet::SubAck(SubAck { packet_id, properties, reason_codes: &[0] }));
        peer
    }
}

/// A port where nobody listens.
pub(crate) fn unused_port() -> u16 {
    Broker::new().port
}

pub(crate) struct Peer {
    stream: TcpStream,
    bytes: Vec<u8>,
    version: Version,
}

impl Peer {
    /// The next packet, whole.
    pub(crate) fn packet(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Split::Frame(frame) = split(&self.bytes, usize::MAX).expect("a packet") {
                let size = frame.size;
                return Some(self.bytes.drain(..size).collect());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                // A test that was stopped for a while goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => unreachable!("no bytes in time: {error}"),
            }
        }
    }

    /// The next packet, which is of this kind; a CONNECT decides the version.
    pub(crate) fn expect(&mut self, kind: PacketType) -> Vec<u8> {
        let packet = self.packet().unwrap_or_else(|| unreachable!("the end instead of {kind:?}"));
        self.decoded(&packet, |version, packet| {
            assert_eq!(packet.packet_type(), kind, "{packet:?}");
            if let Packet::Connect(connect) = packet {
                *version = connect.version;
            }
        });
        packet
    }

    /// The next packet, which is a PUBLISH; its QoS, topic and payload.
    pub(crate) fn publish(&mut self) -> (QoS, String, String) {
        let packet = self.expect(PacketType::Publish);
        let mut seen = None;
        self.decoded(&packet, |_, packet| {
            if let Packet::Publish(publish) = packet {
                let payload = String::from_utf8_lossy(publish.payload).into_owned();
                seen = Some((publish.qos, publish.topic.to_owned(), payload));
            }
        });
        seen.expect("a PUBLISH")
    }

    pub(crate) fn decoded(&mut self, bytes: &[u8], look: impl FnOnce(&mut Version, &Packet<'_>)) {
        let Ok(Split::Frame(frame)) = split(bytes, usize::MAX) else { unreachable!("a whole packet") };
        let packet = decode(frame, self.version, Direction::ToServer).expect("a legal packet");
        look(&mut self.version, &packet);
    }

    /// DISCONNECT and the end of the connection.
    pub(crate) fn expect_goodbye(&mut self) -> Vec<u8> {
        let disconnect = self.expect(PacketType::Disconnect);
        assert_eq!(self.packet(), None);
        disconnect
    }

    pub(crate) fn answer(&mut self, reason_code: ReasonCode) {
        self.answer_with(reason_code, Properties::EMPTY);
    }

    pub(crate) fn answer_with(&mut self, reason_code: ReasonCode, properties: Properties<'_>) {
        let connack = ConnAck { session_present: false, reason_code, properties };
        self.send(&Packet::ConnAck(connack));
    }

    pub(crate) fn acknowledge(&mut self, kind: PacketType, packet_id: u16, reason_code: ReasonCode) {
        let packet_id = PacketId::new(packet_id).expect("not zero");
        let mut bytes = Vec::new();
        Ack { packet_id, reason_code, properties: Properties::EMPTY }.encode(kind, self.version, &mut bytes);
        self.send_bytes(&bytes);
    }

    pub(crate) fn message(&mut self, topic: &str, payload: &[u8]) {
        self.message_with(topic, payload, Properties::EMPTY);
    }

    pub(crate) fn message_with(&mut self, topic: &str, payload: &[u8], properties: Properties<'_>) {
        self.send(&Packet::Publish(Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            properties,
            payload,
        }));
    }

    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes);
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        // A client that has left already is found out by the next read.
        let _ = self.stream.write_all(bytes);
    }
}
