//! CONNECT: a client asks for a connection.

use alloc::vec::Vec;

use super::check_flags;
use crate::property::Place;
use crate::reader::Reader;
use crate::{DecodeError, Direction, Frame, PacketType, Properties, QoS, ReasonCode, TopicName, Version, text, writer};

/// The high bit of the level by which Mosquitto's bridges, in MQTT 3.x, say what they are.
const BRIDGE: u8 = 0x80;

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS_SHIFT: u8 = 3;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// The message that a server publishes when the client is gone.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Will<'a> {
    /// A legal topic name.
    pub topic: &'a str,
    /// The message itself.
    pub payload: &'a [u8],
    /// The QoS it is published with.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
}

/// A CONNECT packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Connect<'a> {
    /// The version that both sides speak from now on.
    pub version: Version,
    /// A Mosquitto bridge that speaks MQTT 3.x.
    pub bridge: bool,
    /// Begin without the old session; Clean Session before MQTT 5.0.
    pub clean_start: bool,
    /// In seconds; 0 switches it off.
    pub keep_alive: u16,
    /// May be empty: the server gives one then.
    pub client_id: &'a str,
    /// The will, if there is one.
    pub will: Option<Will<'a>>,
    /// The user name, if there is one.
    pub user_name: Option<&'a str>,
    /// The password, if there is one.
    pub password: Option<&'a [u8]>,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
}

impl<'a> Connect<'a> {
    pub(super) fn decode(frame: Frame<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame.body);
        let (version, bridge) = read_version(&mut reader)?;
        check_flags(PacketType::Connect, frame.flags(), version)
            .map_err(DecodeError::silently)
            .and_then(|()| read_fields(reader, version, bridge))
            .map_err(|error| refuse(error, version))
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if !writer::fixed_header(PacketType::Connect.first_byte(), self.body_len(), out) {
            return;
        }
        writer::string(protocol_name(self.version), out);
        out.push(self.version.level() | if self.bridge && !self.version.is_v5() { BRIDGE } else { 0 });
        out.push(self.flags());
        writer::two_bytes(self.keep_alive, out);
        if self.version.is_v5() {
            self.properties.encode(out);
        }
        // [MQTT-3.1.3-1] [MQTT311-3.1.3-1]
        writer::string(self.client_id, out);
        if let Some(will) = self.will {
            if self.version.is_v5() {
                will.properties.encode(out);
            }
            writer::string(will.topic, out);
            writer::binary(will.payload, out);
        }
        if let Some(user_name) = self.user_name {
            writer::string(user_name, out);
        }
        if let Some(password) = self.password {
            writer::binary(password, out);
        }
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        writer::packet_len(self.body_len())
    }

    fn body_len(&self) -> usize {
        let properties = |properties: Properties<'_>| if self.version.is_v5() { properties.encoded_len() } else { 0 };
        let will = self.will.map_or(0, |will| {
            properties(will.properties) + writer::string_len(will.topic) + writer::binary_len(will.payload)
        });
        writer::string_len(protocol_name(self.version))
            + 4
            + properties(self.properties)
            + writer::string_len(self.client_id)
            + will
            + self.user_name.map_or(0, writer::string_len)
            + self.password.map_or(0, writer::binary_len)
    }

    /// Without a will its QoS and retain bits are 0. [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT311-3.1.2-11]
    fn flags(&self) -> u8 {
        let set = |flag: u8, on: bool| if on { flag } else { 0 };
        let will =
            self.will.map_or(0, |will| WILL | (will.qos as u8) << WILL_QOS_SHIFT | set(WILL_RETAIN, will.retain));
        set(CLEAN_START, self.clean_start)
            | will
            | set(PASSWORD, self.password.is_some())
            | set(USER_NAME, self.user_name.is_some())
    }
}

const fn protocol_name(version: Version) -> &'static str {
    match version {
        Version::V31 => "MQIsdp",
        Version::V311 | Version::V5 => "MQTT",
    }
}

fn read_version(reader: &mut Reader<'_>) -> Result<(Version, bool), DecodeError> {
    let (name, level) = read_name_and_level(reader).map_err(DecodeError::silently)?;
    let (version, bridge) = match level {
        3 => (Version::V31, false),
        4 => (Version::V311, false),
        5 => (Version::V5, false),
        0x83 => (Version::V31, true),
        0x84 => (Version::V311, true),
        // [MQTT-3.1.2-2] [MQTT311-3.1.2-2]
        _ => return Err(unsupported("is unknown")),
    };
    if name != protocol_name(version).as_bytes() {
        return Err(unsupported("does not belong to the protocol name").with_version(version));
    }
    Ok((version, bridge))
}

fn read_name_and_level<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], u8), DecodeError> {
    let name = reader.binary("protocol name")?;
    // Whoever sends another name does not speak MQTT. [MQTT-3.1.2-1] [MQTT311-3.1.2-1]
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(DecodeError::protocol("protocol name", "is neither MQTT nor MQIsdp"));
    }
    Ok((name, reader.byte("protocol level")?))
}

#[cold]
fn unsupported(fault: &'static str) -> DecodeError {
    DecodeError::new(ReasonCode::UnsupportedProtocolVersion, "protocol level", fault)
}

/// Adds the version to an error after it. Before MQTT 5.0 only some errors have a return code; after the others the
/// connection is closed without CONNACK. [MQTT311-3.1.4-1] [MQTT311-3.2.2-6]
#[cold]
fn refuse(error: DecodeError, version: Version) -> DecodeError {
    let answered = version.is_v5() || error.reason_code().connect_return_code().is_some();
    if answered { error.with_version(version) } else { error.with_version(version).silently() }
}

fn read_fields(mut reader: Reader<'_>, version: Version, bridge: bool) -> Result<Connect<'_>, DecodeError> {
    // Mosquitto does not answer if one of these is wrong, nor a user name or password.
    let flags = ConnectFlags::read(&mut reader, version).map_err(DecodeError::silently)?;
    let keep_alive = reader.two_bytes("keep alive").map_err(DecodeError::silently)?;
    let properties = read_properties(&mut reader, version, Place::Packet(PacketType::Connect))?;
    let client_id = read_client_id(&mut reader, version, flags.clean_start)?;
    let will = match flags.will {
        Some((qos, retain)) => Some(read_will(&mut reader, version, qos, retain)?),
        None => None,
    };
    let (user_name, password) = read_credentials(&mut reader, &flags).map_err(DecodeError::silently)?;
    // A field without its flag is left over. [MQTT-3.1.2-16] [MQTT-3.1.2-18] [MQTT311-3.1.2-18] [MQTT311-3.1.2-20]
    reader.end()?;
    let clean_start = flags.clean_start;
    Ok(Connect { version, bridge, clean_start, keep_alive, client_id, will, user_name, password, properties })
}

/// [MQTT-3.1.3-3] [MQTT-3.1.3-4] [MQTT311-3.1.3-3] [MQTT311-3.1.3-4]
fn read_client_id<'a>(reader: &mut Reader<'a>, version: Version, clean_start: bool) -> Result<&'a str, DecodeError> {
    const FIELD: &str = "client identifier";
    let refused = |fault| DecodeError::new(ReasonCode::ClientIdentifierNotValid, FIELD, fault);
    let bytes = reader.binary(FIELD)?;
    let client_id = text::from_bytes(bytes).map_err(|fault| match version {
        // [MQTT-3.1.3-8]
        Version::V5 => refused(fault),
        Version::V31 | Version::V311 => DecodeError::malformed(FIELD, fault),
    })?;
    match version {
        Version::V31 if client_id.is_empty() => Err(refused("is empty")),
        // [MQTT311-3.1.3-7] [MQTT311-3.1.3-8]
        Version::V311 if client_id.is_empty() && !clean_start => Err(refused("is empty without a clean session")),
        _ => Ok(client_id),
    }
}

/// [MQTT-3.1.2-17] [MQTT-3.1.2-19] [MQTT-3.1.3-12] [MQTT311-3.1.2-19] [MQTT311-3.1.2-21] [MQTT311-3.1.3-11]
fn read_credentials<'a>(
    reader: &mut Reader<'a>,
    flags: &ConnectFlags,
) -> Result<(Option<&'a str>, Option<&'a [u8]>), DecodeError> {
    let user_name = if flags.user_name { Some(reader.string("user name")?) } else { None };
    let password = if flags.password { Some(reader.binary("password")?) } else { None };
    Ok((user_name, password))
}

fn read_properties<'a>(reader: &mut Reader<'a>, version: Version, place: Place) -> Result<Properties<'a>, DecodeError> {
    if version.is_v5() { Properties::read(reader, place, Direction::ToServer) } else { Ok(Properties::EMPTY) }
}

/// [MQTT-3.1.2-9] [MQTT-3.1.3-11] [MQTT311-3.1.2-9] [MQTT311-3.1.3-10]
fn read_will<'a>(reader: &mut Reader<'a>, version: Version, qos: QoS, retain: bool) -> Result<Will<'a>, DecodeError> {
    let properties = read_properties(reader, version, Place::Will)?;
    let topic = reader.unchecked_string("will topic")?;
    TopicName::new(topic).map_err(|error| DecodeError::malformed("will topic", error.text()))?;
    let payload = reader.binary("will payload")?;
    Ok(Will { topic, payload, qos, retain, properties })
}

/// The connect flags, checked against each other.
struct ConnectFlags {
    clean_start: bool,
    will: Option<(QoS, bool)>,
    user_name: bool,
    password: bool,
}

impl ConnectFlags {
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        const FIELD: &str = "connect flags";
        let bits = reader.byte(FIELD)?;
        // [MQTT-3.1.2-3] [MQTT311-3.1.2-3]; MQTT 3.1 does not use this bit.
        if bits & 1 != 0 && version != Version::V31 {
            return Err(DecodeError::malformed(FIELD, "have the reserved bit set"));
        }
        let has = |flag: u8| bits & flag != 0;
        let Some(will_qos) = QoS::from_u8(bits >> WILL_QOS_SHIFT & 0b11) else {
            // [MQTT-3.1.2-12] [MQTT311-3.1.2-14]
            return Err(DecodeError::malformed(FIELD, "have will QoS 3"));
        };
        // [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT311-3.1.2-11] [MQTT311-3.1.2-13] [MQTT311-3.1.2-15]
        if !has(WILL) && (will_qos != QoS::AtMostOnce || has(WILL_RETAIN)) {
            return Err(DecodeError::malformed(FIELD, "have will QoS or will retain without a will"));
        }
        // [MQTT311-3.1.2-22]; MQTT 5.0 allows a password alone.
        if has(PASSWORD) && !has(USER_NAME) && !version.is_v5() {
            return Err(DecodeError::malformed(FIELD, "have a password without a user name"));
        }
        Ok(Self {
            clean_start: has(CLEAN_START),
            will: has(WILL).then_some((will_qos, has(WILL_RETAIN))),
            user_name: has(USER_NAME),
            password: has(PASSWORD),
        })
    }
}
