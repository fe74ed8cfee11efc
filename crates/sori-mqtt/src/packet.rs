//! The control packets, one file each, and what they have in common.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod filters;
mod packet_type;
mod publish;
mod suback;
mod subscribe;
mod unsuback;
mod unsubscribe;

use alloc::vec::Vec;

pub use ack::Ack;
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::{DISCONNECT, Disconnect};
pub use filters::Filters;
pub use packet_type::{Direction, PacketType};
pub use publish::{Publish, decode_publish};
pub use suback::SubAck;
pub use subscribe::{RetainHandling, Subscribe, SubscribeFilters, SubscribeOptions};
pub use unsuback::UnsubAck;
pub use unsubscribe::{Unsubscribe, UnsubscribeFilters};

use crate::reader::Reader;
use crate::{DecodeError, Frame, Properties, ReasonCode, Version, property::Place};

/// A whole PINGREQ.
pub const PINGREQ: [u8; 2] = [PacketType::PingReq.first_byte(), 0];

/// A whole PINGRESP.
pub const PINGRESP: [u8; 2] = [PacketType::PingResp.first_byte(), 0];

/// One control packet, decoded and checked.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Packet<'a> {
    /// CONNECT.
    Connect(Connect<'a>),
    /// CONNACK.
    ConnAck(ConnAck<'a>),
    /// PUBLISH.
    Publish(Publish<'a>),
    /// PUBACK.
    PubAck(Ack<'a>),
    /// PUBREC.
    PubRec(Ack<'a>),
    /// PUBREL.
    PubRel(Ack<'a>),
    /// PUBCOMP.
    PubComp(Ack<'a>),
    /// SUBSCRIBE.
    Subscribe(Subscribe<'a>),
    /// SUBACK.
    SubAck(SubAck<'a>),
    /// UNSUBSCRIBE.
    Unsubscribe(Unsubscribe<'a>),
    /// UNSUBACK.
    UnsubAck(UnsubAck<'a>),
    /// PINGREQ.
    PingReq,
    /// PINGRESP.
    PingResp,
    /// DISCONNECT.
    Disconnect(Disconnect<'a>),
    /// AUTH.
    Auth(Auth<'a>),
}

/// Decodes one frame. `version` is what CONNECT agreed on; a CONNECT tells its own version and ignores it.
///
/// # Errors
///
/// A frame that is not a legal packet of this version in this direction.
#[inline]
pub fn decode(frame: Frame<'_>, version: Version, direction: Direction) -> Result<Packet<'_>, DecodeError> {
    if frame.packet_type() == Some(PacketType::Publish) {
        return decode_publish(frame, version, direction).map(Packet::Publish);
    }
    if let Some(packet) = ack::decode_short(frame) {
        return Ok(packet);
    }
    decode_other(frame, version, direction)
}

fn decode_other(frame: Frame<'_>, version: Version, direction: Direction) -> Result<Packet<'_>, DecodeError> {
    let Some(kind) = frame.packet_type() else {
        return Err(DecodeError::protocol("packet type", "is 0").with_version(version));
    };
    let result = check_type(frame, kind, version, direction)
        .and_then(|()| decode_body(frame, kind, version, direction))
        .map_err(|error| error.in_packet(kind));
    // A CONNECT has told its version itself, if it could be read.
    if kind == PacketType::Connect { result } else { result.map_err(|error| error.with_version(version)) }
}

/// Checks what the first byte says.
fn check_type(frame: Frame<'_>, kind: PacketType, version: Version, direction: Direction) -> Result<(), DecodeError> {
    if kind != PacketType::Connect {
        check_flags(kind, frame.flags(), version)?;
    }
    if matches!(kind, PacketType::PingReq | PacketType::PingResp) && !frame.body.is_empty() {
        return Err(DecodeError::malformed("body", "is not empty").silently());
    }
    if !kind.sent(direction) {
        return Err(DecodeError::protocol("packet", "is not for this side to send"));
    }
    if kind == PacketType::Auth && !version.is_v5() {
        return Err(DecodeError::protocol("packet", "does not exist before MQTT 5.0"));
    }
    Ok(())
}

/// [MQTT-2.1.3-1] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
/// [MQTT311-2.2.2-1] [MQTT311-2.2.2-2] [MQTT311-3.6.1-1] [MQTT311-3.8.1-1] [MQTT311-3.10.1-1] [MQTT311-3.14.1-1]
fn check_flags(kind: PacketType, flags: u8, version: Version) -> Result<(), DecodeError> {
    if kind.flags_allowed(flags, version) {
        return Ok(());
    }
    let reason = match kind {
        // The standard has Malformed Packet here as well, and for DISCONNECT it even insists on it. Mosquitto answers
        // Protocol Error and its tests look for that; the connection ends either way, and nobody acts on the number.
        PacketType::ConnAck | PacketType::PubRel | PacketType::Disconnect | PacketType::Auth => {
            ReasonCode::ProtocolError
        }
        _ => ReasonCode::MalformedPacket,
    };
    Err(DecodeError::new(reason, "flags", "are not what this packet needs"))
}

fn decode_body<'a>(
    frame: Frame<'a>,
    kind: PacketType,
    version: Version,
    direction: Direction,
) -> Result<Packet<'a>, DecodeError> {
    let reader = Reader::new(frame.body);
    Ok(match kind {
        PacketType::Connect => Packet::Connect(Connect::decode(frame)?),
        PacketType::Publish => Packet::Publish(decode_publish(frame, version, direction)?),
        PacketType::ConnAck => Packet::ConnAck(ConnAck::decode(reader, version)?),
        PacketType::PubAck => Packet::PubAck(Ack::decode(kind, reader, version, direction)?),
        PacketType::PubRec => Packet::PubRec(Ack::decode(kind, reader, version, direction)?),
        PacketType::PubRel => Packet::PubRel(Ack::decode(kind, reader, version, direction)?),
        PacketType::PubComp => Packet::PubComp(Ack::decode(kind, reader, version, direction)?),
        PacketType::Subscribe => Packet::Subscribe(Subscribe::decode(reader, version)?),
        PacketType::SubAck => Packet::SubAck(SubAck::decode(reader, version)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe::decode(reader, version)?),
        PacketType::UnsubAck => Packet::UnsubAck(UnsubAck::decode(reader, version)?),
        PacketType::PingReq => Packet::PingReq,
        PacketType::PingResp => Packet::PingResp,
        PacketType::Disconnect => Packet::Disconnect(Disconnect::decode(reader, version, direction)?),
        PacketType::Auth => Packet::Auth(Auth::decode(reader, direction)?),
    })
}

impl Packet<'_> {
    /// The type of the packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// Appends the packet in the form of `version`. A CONNECT has its own version.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Self::Connect(packet) => packet.encode(out),
            Self::ConnAck(packet) => packet.encode(version, out),
            Self::Publish(packet) => packet.encode(version, out),
            Self::PubAck(packet) | Self::PubRec(packet) | Self::PubRel(packet) | Self::PubComp(packet) => {
                packet.encode(self.packet_type(), version, out);
            }
            Self::Subscribe(packet) => packet.encode(version, out),
            Self::SubAck(packet) => packet.encode(version, out),
            Self::Unsubscribe(packet) => packet.encode(version, out),
            Self::UnsubAck(packet) => packet.encode(version, out),
            Self::PingReq => out.extend_from_slice(&PINGREQ),
            Self::PingResp => out.extend_from_slice(&PINGRESP),
            Self::Disconnect(packet) => packet.encode(version, out),
            Self::Auth(packet) => packet.encode(version, out),
        }
    }

    /// The bytes that `encode` appends.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        match self {
            Self::Connect(packet) => packet.encoded_len(),
            Self::ConnAck(packet) => packet.encoded_len(version),
            Self::Publish(packet) => packet.encoded_len(version),
            Self::PubAck(packet) | Self::PubRec(packet) | Self::PubRel(packet) | Self::PubComp(packet) => {
                packet.encoded_len(version)
            }
            Self::Subscribe(packet) => packet.encoded_len(version),
            Self::SubAck(packet) => packet.encoded_len(version),
            Self::Unsubscribe(packet) => packet.encoded_len(version),
            Self::UnsubAck(packet) => packet.encoded_len(version),
            Self::PingReq => PINGREQ.len(),
            Self::PingResp => PINGRESP.len(),
            Self::Disconnect(packet) => packet.encoded_len(version),
            Self::Auth(packet) => packet.encoded_len(version),
        }
    }
}

/// Reads a reason code that must be one of this packet's.
fn read_reason_code(
    reader: &mut Reader<'_>,
    kind: PacketType,
    direction: Direction,
) -> Result<ReasonCode, DecodeError> {
    match ReasonCode::from_u8(reader.byte("reason code")?) {
        Some(reason) if reason.allowed_from(kind, direction) => Ok(reason),
        // Mosquitto does not answer a client that says goodbye with a wrong reason code.
        _ if kind == PacketType::Disconnect => Err(wrong_reason_code().silently()),
        _ => Err(wrong_reason_code()),
    }
}

#[cold]
fn wrong_reason_code() -> DecodeError {
    DecodeError::protocol("reason code", "does not belong here")
}

/// The last part of PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT and AUTH in MQTT 5.0: a reason code and properties,
/// where properties may be left out if there are none, and the reason code as well if it is 0x00.
fn read_reason_and_properties<'a>(
    mut reader: Reader<'a>,
    kind: PacketType,
    direction: Direction,
) -> Result<(ReasonCode, Properties<'a>), DecodeError> {
    if reader.is_empty() {
        return Ok((ReasonCode::Success, Properties::EMPTY));
    }
    let reason_code = read_reason_code(&mut reader, kind, direction)?;
    if reader.is_empty() {
        return Ok((reason_code, Properties::EMPTY));
    }
    let properties = Properties::read(&mut reader, Place::Packet(kind), direction)?;
    reader.end()?;
    Ok((reason_code, properties))
}

/// The bytes that [`encode_reason_and_properties`] appends.
const fn reason_and_properties_len(reason_code: ReasonCode, properties: Properties<'_>) -> usize {
    match (reason_code, properties.is_empty()) {
        (ReasonCode::Success, true) => 0,
        (_, true) => 1,
        (_, false) => 1 + properties.encoded_len(),
    }
}

/// The shortest form of a reason code and properties.
fn encode_reason_and_properties(reason_code: ReasonCode, properties: Properties<'_>, out: &mut Vec<u8>) {
    if reason_code == ReasonCode::Success && properties.is_empty() {
        return;
    }
    out.push(reason_code.value());
    if !properties.is_empty() {
        properties.encode(out);
    }
}

#[cfg(test)]
mod tests;
