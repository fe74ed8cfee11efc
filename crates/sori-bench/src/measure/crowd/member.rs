//! One client of a crowd: its connection, what it has to say, and the acknowledgements that it owes.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sori_mqtt::{DISCONNECT, Direction, Frame, Packet, PacketId, QoS, Split, Version, decode, split};

use super::packets::{self, Heard};

pub(super) struct Member {
    stream: TcpStream,
    version: Version,
    /// What it has to say, of which so much is written.
    pub(super) output: Vec<u8>,
    written: usize,
    /// The beginning of a packet whose end has not come.
    rest: Vec<u8>,
    next: PacketId,
    /// Messages of its own, above QoS 0, that are not acknowledged yet.
    pub(super) in_flight: u16,
    /// As many as the broker takes.
    pub(super) receive_maximum: u16,
}

/// What a client hears.
pub(in crate::measure) enum News<'a> {
    Connected,
    Subscribed,
    /// A message with this payload.
    Message(&'a [u8]),
    /// One of its own is through: PUBACK or PUBCOMP.
    Acknowledged,
}

impl Member {
    pub(super) fn new(stream: TcpStream, version: Version) -> Member {
        let (output, rest) = (Vec::new(), Vec::new());
        Member {
            stream,
            version,
            output,
            written: 0,
            rest,
            next: PacketId::FIRST,
            in_flight: 0,
            receive_maximum: u16::MAX,
        }
    }

    pub(super) fn next_packet_id(&mut self) -> PacketId {
        let packet_id = self.next;
        self.next = packet_id.next();
        packet_id
    }

    /// Has it nothing to write?
    pub(super) fn is_silent(&self) -> bool {
        self.output.is_empty()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads until there is nothing more. A read that does not fill the buffer has emptied the socket; the next bytes are a new event.
    pub(super) fn hear(&mut self, buffer: &mut [u8], listen: &mut impl FnMut(News<'_>)) -> io::Result<()> {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("the broker has closed a connection")),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if self.rest.is_empty() {
                let taken = self.take(&buffer[..count], listen)?;
                self.rest.extend_from_slice(&buffer[taken..count]);
            } else {
                let mut bytes = std::mem::take(&mut self.rest);
                bytes.extend_from_slice(&buffer[..count]);
                let taken = self.take(&bytes, listen)?;
                bytes.drain(..taken);
                self.rest = bytes;
            }
            if count < buffer.len() {
                return Ok(());
            }
        }
    }

    /// All whole packets; gives how many bytes those were.
    fn take(&mut self, bytes: &[u8], listen: &mut impl FnMut(News<'_>)) -> io::Result<usize> {
        let mut taken = 0;
        while let Split::Frame(frame) = split(&bytes[taken..], usize::MAX).map_err(io::Error::other)? {
            taken += frame.size;
            self.take_packet(frame, listen)?;
        }
        Ok(taken)
    }

    fn take_packet(&mut self, frame: Frame<'_>, listen: &mut impl FnMut(News<'_>)) -> io::Result<()> {
        match packets::heard(frame, self.version) {
            Heard::Publish { qos, packet_id, payload } => {
                match qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => self.answer(packets::PUBACK, packet_id),
                    QoS::ExactlyOnce => self.answer(packets::PUBREC, packet_id),
                }
                listen(News::Message(payload));
            }
            Heard::PubRec(packet_id) => self.answer(packets::PUBREL, packet_id),
            Heard::PubRel(packet_id) => self.answer(packets::PUBCOMP, packet_id),
            Heard::Acknowledged => {
                self.in_flight = self.in_flight.saturating_sub(1);
                listen(News::Acknowledged);
            }
            Heard::Other => match decode(frame, self.version, Direction::ToClient).map_err(io::Error::other)? {
                Packet::ConnAck(connack) if !connack.reason_code.is_error() => {
                    self.receive_maximum = connack.properties.receive_maximum().unwrap_or(u16::MAX);
                    listen(News::Connected);
                }
                Packet::SubAck(suback) if suback.reason_codes.iter().all(|code| *code < 0x80) => {
                    listen(News::Subscribed);
                }
                refusal => return Err(io::Error::other(format!("the broker says {refusal:?}"))),
            },
        }
        Ok(())
    }

    fn answer(&mut self, kind: u8, packet_id: [u8; 2]) {
        self.output.extend_from_slice(&[kind, 2, packet_id[0], packet_id[1]]);
    }

    /// Says so, and waits until the broker has closed: then it has dealt with it.
    pub(super) fn leave(mut self) -> io::Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        self.stream.write_all(&DISCONNECT)?;
        while self.stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
        Ok(())
    }
}
