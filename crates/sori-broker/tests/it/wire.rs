//! The test client's own MQTT: packets to send, packets to expect, written from the standard and independent of
//! `sori-mqtt`, so that a fault in the broker's codec cannot hide itself.
//!
//! A [`Packet`] is one plain struct for all kinds. Sending is lenient (tests must be able to send nonsense: see
//! [`Packet::flags`] and [`Packet::property`]); reading what the broker sent is strict ([`super::reading`]).

use std::fmt;

use super::properties::{Property, Value, encode_properties, put_text, put_variable};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    V31 = 3,
    V311 = 4,
    V5 = 5,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Connect = 1,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    PingReq,
    PingResp,
    Disconnect,
    Auth,
}

/// The part of CONNECT that no other packet has.
#[derive(Clone, PartialEq)]
pub(crate) struct Connect {
    pub(crate) name: Vec<u8>,
    pub(crate) level: u8,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) client_id: Vec<u8>,
    pub(crate) will: Option<Box<Packet>>,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) password: Option<Vec<u8>>,
    /// Replaces the connect flags that follow from the other fields.
    pub(crate) flags: Option<u8>,
}

/// Any control packet. Fields that its kind does not have stay at their empty value.
#[derive(Clone, PartialEq)]
pub(crate) struct Packet {
    pub(crate) kind: Kind,
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) id: Option<u16>,
    pub(crate) topic: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) code: u8,
    pub(crate) codes: Vec<u8>,
    pub(crate) session_present: bool,
    pub(crate) filters: Vec<(Vec<u8>, u8)>,
    pub(crate) properties: Vec<Property>,
    pub(crate) connect: Option<Box<Connect>>,
    /// Replaces the four flag bits of the first byte.
    pub(crate) fixed_flags: Option<u8>,
}

/// Subscription options beside the QoS in the two lowest bits.
pub(crate) const NO_LOCAL: u8 = 0x04;
pub(crate) const RETAIN_AS_PUBLISHED: u8 = 0x08;
pub(crate) const RETAINED_IF_NEW: u8 = 0x10;
pub(crate) const RETAINED_NEVER: u8 = 0x20;

fn packet(kind: Kind) -> Packet {
    Packet {
        kind,
        dup: false,
        qos: 0,
        retain: false,
        id: None,
        topic: Vec::new(),
        payload: Vec::new(),
        code: 0,
        codes: Vec::new(),
        session_present: false,
        filters: Vec::new(),
        properties: Vec::new(),
        connect: None,
        fixed_flags: None,
    }
}

fn connect(name: &str, level: u8, client_id: &str) -> Packet {
    let connect = Connect {
        name: name.into(),
        level,
        clean: true,
        keep_alive: 0,
        client_id: client_id.into(),
        will: None,
        user: None,
        password: None,
        flags: None,
    };
    Packet { connect: Some(Box::new(connect)), ..packet(Kind::Connect) }
}

/// CONNECT of MQTT 5.0: Clean Start, no Keep Alive, nothing else unless added.
pub(crate) fn v5(client_id: &str) -> Packet {
    connect("MQTT", 5, client_id)
}

/// CONNECT of MQTT 3.1.1.
pub(crate) fn v311(client_id: &str) -> Packet {
    connect("MQTT", 4, client_id)
}

/// CONNECT of MQTT 3.1.
pub(crate) fn v31(client_id: &str) -> Packet {
    connect("MQIsdp", 3, client_id)
}

pub(crate) fn connack() -> Packet {
    packet(Kind::ConnAck)
}

pub(crate) fn publish(topic: impl AsRef<[u8]>) -> Packet {
    Packet { topic: topic.as_ref().to_vec(), ..packet(Kind::Publish) }
}

pub(crate) fn puback(id: u16) -> Packet {
    Packet { id: Some(id), ..packet(Kind::PubAck) }
}

pub(crate) fn pubrec(id: u16) -> Packet {
    Packet { id: Some(id), ..packet(Kind::PubRec) }
}

pub(crate) fn pubrel(id: u16) -> Packet {
    Packet { id: Some(id), ..packet(Kind::PubRel) }
}

pub(crate) fn pubcomp(id: u16) -> Packet {
    Packet { id: Some(id), ..packet(Kind::PubComp) }
}

pub(crate) fn subscribe(id: u16) -> Packet {
    Packet { id: Some(id), ..packet(Kind::Subscribe) }
}

pub(crate) fn suback(id: u16, codes: &[u8]) -> Packet {
    Packet { id: Some(id), codes: codes.to_vec(), ..packet(Kind::SubAck) }
}

pub(crate) fn unsubscribe(id: u16) -> Packet {
    Packet { id: Some(id), ..packet(Kind::Unsubscribe) }
}

pub(crate) fn unsuback(id: u16, codes: &[u8]) -> Packet {
    Packet { id: Some(id), codes: codes.to_vec(), ..packet(Kind::UnsubAck) }
}

pub(crate) fn pingreq() -> Packet {
    packet(Kind::PingReq)
}

pub(crate) fn pingresp() -> Packet {
    packet(Kind::PingResp)
}

pub(crate) fn disconnect() -> Packet {
    packet(Kind::Disconnect)
}

pub(crate) fn auth(code: u8) -> Packet {
    Packet { code, ..packet(Kind::Auth) }
}

/// A packet of `body` bytes under the given first byte, with the right remaining length.
pub(crate) fn raw(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    put_variable(&mut out, body.len());
    out.extend_from_slice(body);
    out
}

/// What goes into a packet, as methods that read like the sentence.
impl Packet {
    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = Some(id);
        self
    }

    pub(crate) fn id_if(self, wanted: bool, id: u16) -> Self {
        if wanted { self.id(id) } else { self }
    }

    pub(crate) fn qos(mut self, qos: u8) -> Self {
        self.qos = qos;
        self
    }

    pub(crate) fn dup(mut self) -> Self {
        self.dup = true;
        self
    }

    pub(crate) fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    pub(crate) fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = payload.as_ref().to_vec();
        self
    }

    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// One more topic filter; `options` is the byte of SUBSCRIBE (ignored by UNSUBSCRIBE).
    pub(crate) fn filter(mut self, filter: impl AsRef<[u8]>, options: u8) -> Self {
        self.filters.push((filter.as_ref().to_vec(), options));
        self
    }

    /// Sends these four flag bits instead of the right ones.
    pub(crate) fn flags(mut self, bits: u8) -> Self {
        self.fixed_flags = Some(bits);
        self
    }

    pub(crate) fn connect_part(&self) -> &Connect {
        self.connect.as_deref().expect("a CONNECT packet")
    }

    fn connect_mut(&mut self) -> &mut Connect {
        self.connect.as_deref_mut().expect("a CONNECT packet")
    }

    /// Clean Start (5.0) or Clean Session (3.x).
    pub(crate) fn clean(mut self, clean: bool) -> Self {
        self.connect_mut().clean = clean;
        self
    }

    pub(crate) fn keep_alive(mut self, seconds: u16) -> Self {
        self.connect_mut().keep_alive = seconds;
        self
    }

    pub(crate) fn user(mut self, user: impl AsRef<[u8]>) -> Self {
        self.connect_mut().user = Some(user.as_ref().to_vec());
        self
    }

    pub(crate) fn password(mut self, password: impl AsRef<[u8]>) -> Self {
        self.connect_mut().password = Some(password.as_ref().to_vec());
        self
    }

    /// The will is written as the PUBLISH that it will become.
    pub(crate) fn will(mut self, will: Packet) -> Self {
        self.connect_mut().will = Some(Box::new(will));
        self
    }

    pub(crate) fn protocol(mut self, name: &str, level: u8) -> Self {
        let connect = self.connect_mut();
        connect.name = name.into();
        connect.level = level;
        self
    }

    /// Sends these connect flags instead of the right ones.
    pub(crate) fn connect_flags(mut self, flags: u8) -> Self {
        self.connect_mut().flags = Some(flags);
        self
    }

    pub(crate) fn client_id_bytes(mut self, id: &[u8]) -> Self {
        self.connect_mut().client_id = id.to_vec();
        self
    }

    pub(crate) fn property(mut self, id: u8, value: Value) -> Self {
        self.properties.push(Property { id, value });
        self
    }

    pub(crate) fn payload_format(self, indicator: u8) -> Self {
        self.property(0x01, Value::Byte(indicator))
    }

    pub(crate) fn message_expiry(self, seconds: u32) -> Self {
        self.property(0x02, Value::Four(seconds))
    }

    pub(crate) fn content_type(self, text: &str) -> Self {
        self.property(0x03, Value::Text(text.into()))
    }

    pub(crate) fn response_topic(self, topic: impl AsRef<[u8]>) -> Self {
        self.property(0x08, Value::Text(topic.as_ref().to_vec()))
    }

    pub(crate) fn correlation_data(self, data: &[u8]) -> Self {
        self.property(0x09, Value::Binary(data.to_vec()))
    }

    pub(crate) fn subscription_id(self, id: u32) -> Self {
        self.property(0x0B, Value::Variable(id))
    }

    pub(crate) fn session_expiry(self, seconds: u32) -> Self {
        self.property(0x11, Value::Four(seconds))
    }

    pub(crate) fn auth_method(self, method: &str) -> Self {
        self.property(0x15, Value::Text(method.into()))
    }

    pub(crate) fn auth_data(self, data: impl AsRef<[u8]>) -> Self {
        self.property(0x16, Value::Binary(data.as_ref().to_vec()))
    }

    pub(crate) fn request_problem_information(self, wanted: u8) -> Self {
        self.property(0x17, Value::Byte(wanted))
    }

    pub(crate) fn will_delay(self, seconds: u32) -> Self {
        self.property(0x18, Value::Four(seconds))
    }

    pub(crate) fn request_response_information(self, wanted: u8) -> Self {
        self.property(0x19, Value::Byte(wanted))
    }

    pub(crate) fn receive_maximum(self, maximum: u16) -> Self {
        self.property(0x21, Value::Two(maximum))
    }

    pub(crate) fn topic_alias_maximum(self, maximum: u16) -> Self {
        self.property(0x22, Value::Two(maximum))
    }

    pub(crate) fn topic_alias(self, alias: u16) -> Self {
        self.property(0x23, Value::Two(alias))
    }

    pub(crate) fn user_property(self, name: &str, value: &str) -> Self {
        self.property(0x26, Value::Pair(name.into(), value.into()))
    }

    pub(crate) fn maximum_packet_size(self, size: u32) -> Self {
        self.property(0x27, Value::Four(size))
    }

    /// The number in a property, when the packet has it once.
    pub(crate) fn number(&self, id: u8) -> Option<u32> {
        self.properties.iter().find(|property| property.id == id).map(|property| property.value.number())
    }

    /// The text in a property, when the packet has it.
    pub(crate) fn text(&self, id: u8) -> Option<String> {
        self.properties
            .iter()
            .find(|property| property.id == id)
            .map(|property| String::from_utf8_lossy(property.value.bytes()).into_owned())
    }

    pub(crate) fn has(&self, id: u8) -> bool {
        self.properties.iter().any(|property| property.id == id)
    }

    /// Is `got` what this expectation describes? A CONNACK is held against the properties that the expectation names
    /// only (a broker announces its limits as it likes); everything else is compared whole, except for a Reason
    /// String or a Server Reference that nobody asked about.
    pub(crate) fn is_met_by(&self, got: &Packet) -> bool {
        let named = |property: &&Property| match self.kind {
            Kind::ConnAck => self.has(property.id),
            _ => property.id != 0x1F || self.has(0x1F),
        };
        let mut rest = got.clone();
        rest.properties = got.properties.iter().filter(named).cloned().collect();
        let mut wanted = self.clone();
        // The order of properties carries no meaning, but that of equal ones (User Property) does.
        rest.properties.sort_by_key(|property| property.id);
        wanted.properties.sort_by_key(|property| property.id);
        rest == wanted
    }
}

/// Encoding, as the standard says for `version` (which CONNECT knows by itself).
impl Packet {
    pub(crate) fn encode(&self, version: Version) -> Vec<u8> {
        let flags = self.fixed_flags.unwrap_or(match self.kind {
            Kind::Publish => u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain),
            Kind::PubRel | Kind::Subscribe | Kind::Unsubscribe => 0b0010,
            _ => 0,
        });
        raw((self.kind as u8) << 4 | flags, &self.body(version))
    }

    fn body(&self, version: Version) -> Vec<u8> {
        let mut out = Vec::new();
        match self.kind {
            Kind::Connect => self.encode_connect(&mut out),
            Kind::Publish => {
                put_text(&mut out, &self.topic);
                self.put_id(&mut out);
                self.put_properties(version, &mut out);
                out.extend_from_slice(&self.payload);
            }
            Kind::PubAck | Kind::PubRec | Kind::PubRel | Kind::PubComp => {
                self.put_id(&mut out);
                self.put_code_and_properties(version, &mut out);
            }
            Kind::Subscribe | Kind::Unsubscribe => {
                self.put_id(&mut out);
                self.put_properties(version, &mut out);
                for (filter, options) in &self.filters {
                    put_text(&mut out, filter);
                    if self.kind == Kind::Subscribe {
                        out.push(*options);
                    }
                }
            }
            Kind::Disconnect | Kind::Auth => self.put_code_and_properties(version, &mut out),
            Kind::PingReq | Kind::PingResp => {}
            Kind::ConnAck => {
                out.extend([u8::from(self.session_present), self.code]);
                self.put_properties(version, &mut out);
            }
            Kind::SubAck | Kind::UnsubAck => {
                self.put_id(&mut out);
                self.put_properties(version, &mut out);
                out.extend_from_slice(&self.codes);
            }
        }
        out
    }

    fn put_id(&self, out: &mut Vec<u8>) {
        if let Some(id) = self.id {
            out.extend(id.to_be_bytes());
        }
    }

    fn put_properties(&self, version: Version, out: &mut Vec<u8>) {
        if version == Version::V5 {
            encode_properties(&self.properties, out);
        }
    }

    fn put_code_and_properties(&self, version: Version, out: &mut Vec<u8>) {
        if version == Version::V5 && (self.code != 0 || !self.properties.is_empty()) {
            out.push(self.code);
            if !self.properties.is_empty() {
                encode_properties(&self.properties, out);
            }
        }
    }

    fn encode_connect(&self, out: &mut Vec<u8>) {
        let connect = self.connect_part();
        let will = connect.will.as_deref();
        put_text(out, &connect.name);
        out.push(connect.level);
        out.push(connect.flags.unwrap_or_else(|| {
            u8::from(connect.user.is_some()) << 7
                | u8::from(connect.password.is_some()) << 6
                | will.map_or(0, |will| u8::from(will.retain) << 5 | will.qos << 3 | 0b100)
                | u8::from(connect.clean) << 1
        }));
        out.extend(connect.keep_alive.to_be_bytes());
        if connect.level == 5 {
            encode_properties(&self.properties, out);
        }
        put_text(out, &connect.client_id);
        if let Some(will) = will {
            if connect.level == 5 {
                encode_properties(&will.properties, out);
            }
            put_text(out, &will.topic);
            put_text(out, &will.payload);
        }
        for text in [&connect.user, &connect.password].into_iter().flatten() {
            put_text(out, text);
        }
    }
}

fn readable(bytes: &[u8]) -> String {
    match bytes {
        [first @ .., _] if first.len() > 100 => format!("({} bytes)", bytes.len()),
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}

/// One line for people, as it stands in a failed test.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{:?}", self.kind).to_uppercase())?;
        if let Some(connect) = &self.connect {
            write!(f, " level {} id {}", connect.level, readable(&connect.client_id))?;
        }
        if self.kind == Kind::Publish {
            let (dup, retain) = (u8::from(self.dup), u8::from(self.retain));
            write!(f, " d{dup} q{} r{retain} {}", self.qos, readable(&self.topic))?;
        }
        if let Some(id) = self.id {
            write!(f, " m{id}")?;
        }
        match self.kind {
            Kind::Publish => write!(f, " {}", readable(&self.payload))?,
            Kind::SubAck | Kind::UnsubAck => write!(f, " {:02X?}", self.codes)?,
            Kind::ConnAck => write!(f, " session_present {} code {:#04X}", self.session_present, self.code)?,
            _ => write!(f, " code {:#04X}", self.code)?,
        }
        for (filter, options) in &self.filters {
            write!(f, " {} {options:#04X}", readable(filter))?;
        }
        for property in &self.properties {
            write!(f, " {{{property}}}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
