//! Packets as an onlooker keeps them: owned, and only what the rules speak about.

use std::fmt;

use sori_mqtt::{
    Direction, Packet, PacketType, Properties, Property, QoS, Split, SubscribeOptions, Version, decode, split,
};

/// A packet that went by.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Connect(Box<SeenConnect>),
    ConnAck(SeenConnAck),
    Publish(Box<SeenPublish>),
    /// PUBACK, PUBREC, PUBREL and PUBCOMP.
    Ack {
        kind: PacketType,
        id: u16,
        reason: u8,
    },
    Subscribe {
        id: u16,
        identifier: Option<u32>,
        filters: Vec<(String, SubscribeOptions)>,
    },
    SubAck {
        id: u16,
        codes: Vec<u8>,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<String>,
    },
    UnsubAck {
        id: u16,
        codes: Vec<u8>,
    },
    PingReq,
    PingResp,
    Disconnect {
        reason: u8,
        session_expiry: Option<u32>,
    },
    Auth,
}

#[derive(Clone, Debug)]
pub(crate) struct SeenConnect {
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    pub(crate) session_expiry: Option<u32>,
    pub(crate) receive_maximum: u16,
    pub(crate) packet_size_max: Option<u32>,
    pub(crate) topic_alias_max: u16,
    pub(crate) will: Option<SeenWill>,
}

#[derive(Clone, Debug)]
pub(crate) struct SeenConnAck {
    pub(crate) present: bool,
    pub(crate) reason: u8,
    pub(crate) assigned: Option<String>,
    pub(crate) session_expiry: Option<u32>,
    pub(crate) keep_alive: Option<u16>,
    pub(crate) receive_maximum: u16,
    pub(crate) topic_alias_max: u16,
}

#[derive(Clone, Debug)]
pub(crate) struct SeenWill {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) delay_seconds: u32,
    pub(crate) expiry: Option<u32>,
    pub(crate) carried: Carried,
}

#[derive(Clone, Debug)]
pub(crate) struct SeenPublish {
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    pub(crate) alias: Option<u16>,
    /// 0 at QoS 0.
    pub(crate) id: u16,
    pub(crate) payload: Vec<u8>,
    pub(crate) expiry: Option<u32>,
    pub(crate) identifiers: Vec<u32>,
    pub(crate) carried: Carried,
}

/// The properties which a broker passes on unchanged. [MQTT-3.3.2-4] [MQTT-3.3.2-15] to [MQTT-3.3.2-18] [MQTT-3.3.2-20]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Carried {
    pub(crate) payload_format: Option<bool>,
    pub(crate) content_type: Option<String>,
    pub(crate) response_topic: Option<String>,
    pub(crate) correlation_data: Option<Vec<u8>>,
    pub(crate) user: Vec<(String, String)>,
}

impl Carried {
    fn of(properties: Properties<'_>) -> Carried {
        let mut carried = Carried::default();
        for property in properties.iter() {
            match property {
                Property::PayloadFormatIndicator(utf8) => carried.payload_format = Some(utf8),
                Property::ContentType(text) => carried.content_type = Some(text.to_owned()),
                Property::ResponseTopic(topic) => carried.response_topic = Some(topic.to_owned()),
                Property::CorrelationData(data) => carried.correlation_data = Some(data.to_vec()),
                Property::UserProperty(name, value) => carried.user.push((name.to_owned(), value.to_owned())),
                _ => {}
            }
        }
        carried
    }
}

/// Cuts a stream of bytes into packets.
#[derive(Debug)]
pub(crate) struct Reader {
    direction: Direction,
    version: Version,
    buffer: Vec<u8>,
    start: usize,
}

/// No packet of a simulation comes near this size.
const PACKET_SIZE_MAX: usize = 4_000_000;

impl Reader {
    pub(crate) fn new(direction: Direction, version: Version) -> Reader {
        Reader { direction, version, buffer: Vec::new(), start: 0 }
    }

    /// What CONNECT says counts for all that follows, in both directions.
    pub(crate) fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.start > 4096 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole packet and its size in bytes.
    pub(crate) fn next(&mut self) -> Result<Option<(Seen, usize)>, String> {
        match split(&self.buffer[self.start..], PACKET_SIZE_MAX) {
            Err(error) => Err(error.to_string()),
            Ok(Split::Incomplete { .. }) => Ok(None),
            Ok(Split::Frame(frame)) => {
                let size = frame.size;
                let packet = decode(frame, self.version, self.direction).map_err(|error| error.to_string())?;
                let seen = Seen::of(&packet);
                if let Seen::Connect(connect) = &seen {
                    self.version = connect.version;
                }
                self.start += size;
                Ok(Some((seen, size)))
            }
        }
    }
}

impl Seen {
    pub(crate) fn of(packet: &Packet<'_>) -> Seen {
        match packet {
            Packet::Connect(connect) => Seen::Connect(Box::new(SeenConnect {
                version: connect.version,
                client_id: connect.client_id.to_owned(),
                clean_start: connect.clean_start,
                keep_alive: connect.keep_alive,
                session_expiry: connect.properties.session_expiry_interval(),
                receive_maximum: connect.properties.receive_maximum().unwrap_or(u16::MAX),
                packet_size_max: connect.properties.maximum_packet_size(),
                topic_alias_max: connect.properties.topic_alias_maximum().unwrap_or(0),
                will: connect.will.as_ref().map(|will| SeenWill {
                    topic: will.topic.to_owned(),
                    payload: will.payload.to_vec(),
                    qos: will.qos,
                    retain: will.retain,
                    delay_seconds: will.properties.will_delay_interval().unwrap_or(0),
                    expiry: will.properties.message_expiry_interval(),
                    carried: Carried::of(will.properties),
                }),
            })),
            Packet::ConnAck(connack) => Seen::ConnAck(SeenConnAck {
                present: connack.session_present,
                reason: connack.reason_code.value(),
                assigned: connack.properties.assigned_client_identifier().map(str::to_owned),
                session_expiry: connack.properties.session_expiry_interval(),
                keep_alive: connack.properties.server_keep_alive(),
                receive_maximum: connack.properties.receive_maximum().unwrap_or(u16::MAX),
                topic_alias_max: connack.properties.topic_alias_maximum().unwrap_or(0),
            }),
            Packet::Publish(publish) => Seen::Publish(Box::new(SeenPublish {
                dup: publish.dup,
                qos: publish.qos,
                retain: publish.retain,
                topic: publish.topic.to_owned(),
                alias: publish.properties.topic_alias(),
                id: publish.packet_id.map_or(0, |id| id.value()),
                payload: publish.payload.to_vec(),
                expiry: publish.properties.message_expiry_interval(),
                identifiers: publish.properties.subscription_identifiers().collect(),
                carried: Carried::of(publish.properties),
            })),
            Packet::PubAck(ack) => Seen::ack(PacketType::PubAck, ack),
            Packet::PubRec(ack) => Seen::ack(PacketType::PubRec, ack),
            Packet::PubRel(ack) => Seen::ack(PacketType::PubRel, ack),
            Packet::PubComp(ack) => Seen::ack(PacketType::PubComp, ack),
            Packet::Subscribe(subscribe) => Seen::Subscribe {
                id: subscribe.packet_id.value(),
                identifier: subscribe.properties.subscription_identifiers().next(),
                filters: subscribe.filters().map(|(filter, options)| (filter.as_str().to_owned(), options)).collect(),
            },
            Packet::SubAck(suback) => {
                Seen::SubAck { id: suback.packet_id.value(), codes: suback.reason_codes.to_vec() }
            }
            Packet::Unsubscribe(unsubscribe) => Seen::Unsubscribe {
                id: unsubscribe.packet_id.value(),
                filters: unsubscribe.filters().map(|filter| filter.as_str().to_owned()).collect(),
            },
            Packet::UnsubAck(unsuback) => {
                Seen::UnsubAck { id: unsuback.packet_id.value(), codes: unsuback.reason_codes.to_vec() }
            }
            Packet::PingReq => Seen::PingReq,
            Packet::PingResp => Seen::PingResp,
            Packet::Disconnect(disconnect) => Seen::Disconnect {
                reason: disconnect.reason_code.value(),
                session_expiry: disconnect.properties.session_expiry_interval(),
            },
            Packet::Auth(_) => Seen::Auth,
        }
    }

    fn ack(kind: PacketType, ack: &sori_mqtt::Ack<'_>) -> Seen {
        Seen::Ack { kind, id: ack.packet_id.value(), reason: ack.reason_code.value() }
    }
}

/// One line for the trace.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Connect(connect) => write!(f, "{connect}"),
            Seen::ConnAck(connack) => {
                write!(f, "CONNACK {:#04x} present={}", connack.reason, u8::from(connack.present))?;
                optional(f, "assigned", connack.assigned.as_ref())?;
                optional(f, "session_expiry", connack.session_expiry.as_ref())?;
                optional(f, "keep_alive", connack.keep_alive.as_ref())
            }
            Seen::Publish(publish) => write!(f, "{publish}"),
            Seen::Ack { kind, id, reason } => {
                write!(f, "{} id={id}", kind.name())?;
                if *reason == 0 { Ok(()) } else { write!(f, " {reason:#04x}") }
            }
            Seen::Subscribe { id, identifier, filters } => {
                write!(f, "SUBSCRIBE id={id}")?;
                optional(f, "identifier", identifier.as_ref())?;
                filters.iter().try_for_each(|(filter, options)| {
                    write!(
                        f,
                        " [{filter} q{}{}{} rh{}]",
                        options.qos as u8,
                        if options.no_local { " nl" } else { "" },
                        if options.retain_as_published { " rap" } else { "" },
                        options.retain_handling as u8
                    )
                })
            }
            Seen::SubAck { id, codes } => write!(f, "SUBACK id={id} {codes:x?}"),
            Seen::Unsubscribe { id, filters } => write!(f, "UNSUBSCRIBE id={id} {filters:?}"),
            Seen::UnsubAck { id, codes } => write!(f, "UNSUBACK id={id} {codes:x?}"),
            Seen::PingReq => f.write_str("PINGREQ"),
            Seen::PingResp => f.write_str("PINGRESP"),
            Seen::Disconnect { reason, session_expiry } => {
                write!(f, "DISCONNECT {reason:#04x}")?;
                optional(f, "session_expiry", session_expiry.as_ref())
            }
            Seen::Auth => f.write_str("AUTH"),
        }
    }
}

fn optional<T: fmt::Display>(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&T>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name}={value}"))
}

impl fmt::Display for SeenConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CONNECT {} {:?} clean={} keep_alive={} rm={} aliases={}",
            self.client_id,
            self.version,
            u8::from(self.clean_start),
            self.keep_alive,
            self.receive_maximum,
            self.topic_alias_max
        )?;
        optional(f, "session_expiry", self.session_expiry.as_ref())?;
        optional(f, "packet_size_max", self.packet_size_max.as_ref())?;
        if let Some(will) = &self.will {
            let payload = head(&will.payload);
            let retain = if will.retain { " retain" } else { "" };
            write!(f, " will[{} {payload} q{}{retain} delay={}]", will.topic, will.qos as u8, will.delay_seconds)?;
        }
        Ok(())
    }
}

impl fmt::Display for SeenPublish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PUBLISH {} {} q{}", self.topic, head(&self.payload), self.qos as u8)?;
        if self.id != 0 {
            write!(f, " id={}", self.id)?;
        }
        if self.dup {
            f.write_str(" dup")?;
        }
        if self.retain {
            f.write_str(" retain")?;
        }
        optional(f, "alias", self.alias.as_ref())?;
        optional(f, "expiry", self.expiry.as_ref())?;
        if self.identifiers.is_empty() { Ok(()) } else { write!(f, " for={:?}", self.identifiers) }
    }
}

/// The name of a message, without its padding.
fn head(payload: &[u8]) -> String {
    match crate::facts::key_of(payload) {
        Some(key) => format!("m{key}({})", payload.len()),
        None => format!("({} bytes)", payload.len()),
    }
}
