//! One client, one packet after the other.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sori_mqtt::{
    DISCONNECT, Direction, Packet, PacketId, PacketType, Properties, Publish, QoS, Split, Subscribe, SubscribeOptions,
    TopicFilter, Version, decode, split,
};

use crate::feed;

const VERSION: Version = Version::V311;

pub(super) struct Wire {
    pub(super) stream: TcpStream,
    bytes: Vec<u8>,
}

/// Where a broker is entered.
pub(super) enum Door {
    /// On 127.0.0.1.
    Port(u16),
    /// A Unix socket.
    Socket(PathBuf),
}

impl Door {
    /// Connects with a clean start, as soon as the broker answers a CONNECT at all.
    pub(super) fn enter(&self, client_id: &str) -> io::Result<Wire> {
        let patience = Duration::from_secs(30);
        let connect = || match self {
            Door::Port(port) => Wire::connect(*port, client_id, true),
            Door::Socket(path) => Wire::connect_local(path, client_id, true),
        };
        within(patience, connect).map(|(wire, _)| wire)
    }
}

/// Tries again until `connect` works or the patience is at its end.
fn within(patience: Duration, connect: impl Fn() -> io::Result<(Wire, bool)>) -> io::Result<(Wire, bool)> {
    let until = Instant::now() + patience;
    loop {
        match connect() {
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_micros(500)),
            connected => return connected,
        }
    }
}

impl Wire {
    /// Connects; whether the broker has the session.
    pub(super) fn connect(port: u16, client_id: &str, clean_start: bool) -> io::Result<(Wire, bool)> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Wire::begin(stream, client_id, clean_start)
    }

    /// Connects over a Unix socket.
    fn connect_local(path: &Path, client_id: &str, clean_start: bool) -> io::Result<(Wire, bool)> {
        // Nothing is done with it but reading and writing, which all sockets do alike.
        let stream = TcpStream::from(OwnedFd::from(UnixStream::connect(path)?));
        Wire::begin(stream, client_id, clean_start)
    }

    fn begin(stream: TcpStream, client_id: &str, clean_start: bool) -> io::Result<(Wire, bool)> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut wire = Wire { stream, bytes: Vec::new() };
        let connect = if clean_start { feed::connect(client_id) } else { feed::connect_again(client_id) };
        wire.stream.write_all(&connect)?;
        let mut is_present = false;
        wire.until(PacketType::ConnAck, |packet| {
            if let Packet::ConnAck(connack) = packet {
                is_present = connack.session_present;
            }
        })?;
        Ok((wire, is_present))
    }

    /// As soon as the broker answers a CONNECT at all.
    pub(super) fn connect_within(
        port: u16,
        client_id: &str,
        clean_start: bool,
        patience: Duration,
    ) -> io::Result<(Wire, bool)> {
        within(patience, || Wire::connect(port, client_id, clean_start))
    }

    /// What comes before SUBACK is shown.
    pub(super) fn subscribe(&mut self, filter: &str, qos: QoS, show: impl FnMut(&Packet<'_>)) -> io::Result<()> {
        let filter = TopicFilter::new(filter).map_err(io::Error::other)?;
        let filters = [(filter, SubscribeOptions { qos, ..SubscribeOptions::default() })];
        let mut bytes = Vec::new();
        Subscribe::new(PacketId::FIRST, Properties::EMPTY, &filters).encode(VERSION, &mut bytes);
        self.stream.write_all(&bytes)?;
        self.until(PacketType::SubAck, show)
    }

    /// Publishes with QoS 1 and waits for PUBACK.
    pub(super) fn publish(&mut self, topic: &str, packet_id: PacketId, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&publish(topic, packet_id, payload))?;
        self.until(PacketType::PubAck, |_| ())
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub(super) fn disconnect(mut self) -> io::Result<()> {
        self.stream.write_all(&DISCONNECT)?;
        // The broker closes: then it has dealt with it.
        self.until_closed()
    }

    /// Reads until the broker closes the connection, whatever comes before.
    pub(super) fn until_closed(&mut self) -> io::Result<()> {
        while self.read(&mut [0; 4096])? > 0 {}
        Ok(())
    }

    /// Reads once. A process that was stopped for a while goes on.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Reads until a packet of this kind has come; all that came before it is shown, too.
    pub(super) fn until(&mut self, kind: PacketType, mut show: impl FnMut(&Packet<'_>)) -> io::Result<()> {
        loop {
            while let Split::Frame(frame) = split(&self.bytes, usize::MAX).map_err(io::Error::other)? {
                let size = frame.size;
                let packet = decode(frame, VERSION, Direction::ToClient).map_err(io::Error::other)?;
                show(&packet);
                let found = packet.packet_type() == kind;
                self.bytes.drain(..size);
                if found {
                    return Ok(());
                }
            }
            let mut buffer = [0; 4096];
            match self.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.bytes.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// A PUBLISH with QoS 1.
pub(super) fn publish(topic: &str, packet_id: PacketId, payload: &[u8]) -> Vec<u8> {
    publish_with(topic, QoS::AtLeastOnce, false, packet_id, payload)
}

/// A PUBLISH; the packet identifier only counts above QoS 0.
pub(super) fn publish_with(topic: &str, qos: QoS, retain: bool, packet_id: PacketId, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet_id = (qos != QoS::AtMostOnce).then_some(packet_id);
    Publish { dup: false, qos, retain, topic, packet_id, properties: Properties::EMPTY, payload }
        .encode(VERSION, &mut bytes);
    bytes
}

/// A kept session that subscribes and goes away: what is published now has to be kept for it.
pub(super) fn leave_a_session(port: u16, client_id: &str, filter: &str) -> io::Result<()> {
    let (mut wire, _) = Wire::connect_within(port, client_id, false, Duration::from_secs(30))?;
    wire.subscribe(filter, QoS::AtLeastOnce, |_| ())?;
    wire.disconnect()
}
