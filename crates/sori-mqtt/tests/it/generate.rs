//! Legal packets of every type, version and direction.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use sori_mqtt::{
    Ack, Auth, ConnAck, Connect, Direction, Disconnect, Packet, PacketId, PacketType, Property, PropertyBuffer,
    PropertyIdentifier, Publish, QoS, ReasonCode, SubAck, Subscribe, SubscribeOptions, TopicFilter, UnsubAck,
    Unsubscribe, Version, Will,
};

/// A packet that owns its fields, so that it can be generated.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) version: Version,
    pub(crate) direction: Direction,
    fields: Fields,
}

#[derive(Clone, Debug)]
enum Fields {
    Connect(ConnectFields),
    ConnAck(bool, ReasonCode, PropertyBuffer),
    Publish(PublishFields),
    Ack(PacketType, PacketId, ReasonCode, PropertyBuffer),
    Subscribe(PacketId, Vec<(String, SubscribeOptions)>, PropertyBuffer),
    SubAck(PacketId, Vec<u8>, PropertyBuffer),
    Unsubscribe(PacketId, Vec<String>, PropertyBuffer),
    UnsubAck(PacketId, Vec<u8>, PropertyBuffer),
    Ping(PacketType),
    Disconnect(ReasonCode, PropertyBuffer),
    Auth(ReasonCode, PropertyBuffer),
}

#[derive(Clone, Debug)]
struct ConnectFields {
    bridge: bool,
    clean_start: bool,
    keep_alive: u16,
    client_id: String,
    will: Option<WillFields>,
    user_name: Option<String>,
    password: Option<Vec<u8>>,
    properties: PropertyBuffer,
}

#[derive(Clone, Debug)]
struct WillFields {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    properties: PropertyBuffer,
}

#[derive(Clone, Debug)]
struct PublishFields {
    dup: bool,
    qos: QoS,
    retain: bool,
    topic: String,
    packet_id: PacketId,
    payload: Vec<u8>,
    properties: PropertyBuffer,
}

impl Sample {
    /// Calls `use_packet` with the packet, which borrows from this sample.
    pub(crate) fn with_packet<T>(&self, use_packet: impl FnOnce(Packet<'_>) -> T) -> T {
        match &self.fields {
            Fields::Connect(fields) => use_packet(Packet::Connect(fields.packet(self.version))),
            Fields::ConnAck(session_present, reason_code, properties) => use_packet(Packet::ConnAck(ConnAck {
                session_present: *session_present,
                reason_code: *reason_code,
                properties: properties.as_properties(),
            })),
            Fields::Publish(fields) => use_packet(Packet::Publish(fields.packet())),
            Fields::Ack(kind, packet_id, reason_code, properties) => {
                let ack =
                    Ack { packet_id: *packet_id, reason_code: *reason_code, properties: properties.as_properties() };
                use_packet(match kind {
                    PacketType::PubAck => Packet::PubAck(ack),
                    PacketType::PubRec => Packet::PubRec(ack),
                    PacketType::PubRel => Packet::PubRel(ack),
                    _ => Packet::PubComp(ack),
                })
            }
            Fields::Subscribe(packet_id, filters, properties) => {
                let filters: Vec<_> = filters.iter().map(|(text, options)| (filter_of(text), *options)).collect();
                use_packet(Packet::Subscribe(Subscribe::new(*packet_id, properties.as_properties(), &filters)))
            }
            Fields::SubAck(packet_id, codes, properties) => use_packet(Packet::SubAck(SubAck {
                packet_id: *packet_id,
                properties: properties.as_properties(),
                reason_codes: codes,
            })),
            Fields::Unsubscribe(packet_id, filters, properties) => {
                let filters: Vec<_> = filters.iter().map(|text| filter_of(text)).collect();
                use_packet(Packet::Unsubscribe(Unsubscribe::new(*packet_id, properties.as_properties(), &filters)))
            }
            Fields::UnsubAck(packet_id, codes, properties) => use_packet(Packet::UnsubAck(UnsubAck {
                packet_id: *packet_id,
                properties: properties.as_properties(),
                reason_codes: codes,
            })),
            Fields::Ping(PacketType::PingReq) => use_packet(Packet::PingReq),
            Fields::Ping(_) => use_packet(Packet::PingResp),
            Fields::Disconnect(reason_code, properties) => use_packet(Packet::Disconnect(Disconnect {
                reason_code: *reason_code,
                properties: properties.as_properties(),
            })),
            Fields::Auth(reason_code, properties) => {
                use_packet(Packet::Auth(Auth { reason_code: *reason_code, properties: properties.as_properties() }))
            }
        }
    }

    /// The bytes of the packet.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        self.with_packet(|packet| {
            let mut out = Vec::new();
            packet.encode(self.version, &mut out);
            out
        })
    }
}

impl ConnectFields {
    fn packet(&self, version: Version) -> Connect<'_> {
        Connect {
            version,
            bridge: self.bridge,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            client_id: &self.client_id,
            will: self.will.as_ref().map(|will| Will {
                topic: &will.topic,
                payload: &will.payload,
                qos: will.qos,
                retain: will.retain,
                properties: will.properties.as_properties(),
            }),
            user_name: self.user_name.as_deref(),
            password: self.password.as_deref(),
            properties: self.properties.as_properties(),
        }
    }
}

impl PublishFields {
    fn packet(&self) -> Publish<'_> {
        Publish {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: (self.qos != QoS::AtMostOnce).then_some(self.packet_id),
            properties: self.properties.as_properties(),
            payload: &self.payload,
        }
    }
}

fn filter_of(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("only legal filters are generated")
}

/// Any packet.
pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    let versions = select(vec![Version::V31, Version::V311, Version::V5]);
    let directions = select(vec![Direction::ToServer, Direction::ToClient]);
    (versions, directions).prop_flat_map(|(version, direction)| {
        fields(version, direction).prop_map(move |fields| Sample { version, direction, fields })
    })
}

fn fields(version: Version, direction: Direction) -> BoxedStrategy<Fields> {
    let types: Vec<PacketType> = PacketType::ALL
        .into_iter()
        .filter(|kind| kind.sent(direction))
        .filter(|kind| version.is_v5() || *kind != PacketType::Auth)
        .filter(|kind| version.is_v5() || *kind != PacketType::Disconnect || direction == Direction::ToServer)
        .collect();
    select(types).prop_flat_map(move |kind| fields_of(kind, version, direction)).boxed()
}

fn fields_of(kind: PacketType, version: Version, direction: Direction) -> BoxedStrategy<Fields> {
    let properties = properties(Some(kind), version, direction);
    let code = reason_code(kind, version, direction);
    match kind {
        PacketType::Connect => connect(version).prop_map(Fields::Connect).boxed(),
        PacketType::ConnAck => (any::<bool>(), code, properties)
            .prop_map(move |(session_present, code, properties)| {
                let possible = code == ReasonCode::Success && version != Version::V31;
                Fields::ConnAck(session_present && possible, code, properties)
            })
            .boxed(),
        PacketType::Publish => publish(version, direction).prop_map(Fields::Publish).boxed(),
        PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp => {
            (packet_id(), code, properties)
                .prop_map(move |(id, code, properties)| Fields::Ack(kind, id, code, properties))
                .boxed()
        }
        PacketType::Subscribe => (packet_id(), vec((filter(), options(version)), 1..4), properties)
            .prop_map(|(id, mut filters, properties)| {
                for (filter, options) in &mut filters {
                    options.no_local &= filter_of(filter).share().is_none();
                }
                Fields::Subscribe(id, filters, properties)
            })
            .boxed(),
        PacketType::SubAck => (packet_id(), vec(code, 1..4), properties)
            .prop_map(|(id, codes, properties)| {
                Fields::SubAck(id, codes.into_iter().map(ReasonCode::value).collect(), properties)
            })
            .boxed(),
        PacketType::Unsubscribe => (packet_id(), vec(filter(), 1..4), properties)
            .prop_map(|(id, filters, properties)| Fields::Unsubscribe(id, filters, properties))
            .boxed(),
        PacketType::UnsubAck => (packet_id(), vec(code, 1..4), properties)
            .prop_map(move |(id, codes, properties)| {
                let codes = if version.is_v5() { codes } else { Vec::new() };
                Fields::UnsubAck(id, codes.into_iter().map(ReasonCode::value).collect(), properties)
            })
            .boxed(),
        PacketType::PingReq | PacketType::PingResp => Just(Fields::Ping(kind)).boxed(),
        PacketType::Disconnect => {
            (code, properties).prop_map(|(code, properties)| Fields::Disconnect(code, properties)).boxed()
        }
        PacketType::Auth => (code, properties)
            .prop_map(|(code, mut properties)| {
                if properties.as_properties().authentication_method().is_none() {
                    properties.push(Property::AuthenticationMethod("method"));
                }
                Fields::Auth(code, properties)
            })
            .boxed(),
    }
}

fn connect(version: Version) -> impl Strategy<Value = ConnectFields> {
    let v5 = version.is_v5();
    let will = (topic(), payload(), qos(), any::<bool>(), properties(None, version, Direction::ToServer))
        .prop_map(|(topic, payload, qos, retain, properties)| WillFields { topic, payload, qos, retain, properties });
    let properties = properties(Some(PacketType::Connect), version, Direction::ToServer);
    let flags = (any::<bool>(), any::<bool>(), any::<u16>());
    let user = (option::of(text()), option::of(payload()));
    (flags, text(), option::of(will), user, properties).prop_map(
        move |((bridge, clean_start, keep_alive), client_id, will, (user_name, password), properties)| ConnectFields {
            bridge: bridge && !v5,
            // Without a client identifier there is no session to keep, and in MQTT 3.1 there is always one.
            clean_start: clean_start || client_id.is_empty(),
            keep_alive,
            client_id: if client_id.is_empty() && version == Version::V31 { String::from("id") } else { client_id },
            will,
            password: password.filter(|_| v5 || user_name.is_some()),
            user_name,
            properties,
        },
    )
}

fn publish(version: Version, direction: Direction) -> impl Strategy<Value = PublishFields> {
    let properties = properties(Some(PacketType::Publish), version, direction);
    (any::<[bool; 3]>(), qos(), topic(), packet_id(), payload(), properties).prop_map(
        move |([dup, retain, aliased], qos, topic, packet_id, payload, properties)| {
            let aliased = aliased && properties.as_properties().topic_alias().is_some();
            PublishFields {
                dup: dup && qos != QoS::AtMostOnce,
                qos,
                retain,
                topic: if aliased { String::new() } else { topic },
                packet_id,
                payload,
                properties,
            }
        },
    )
}

fn reason_code(kind: PacketType, version: Version, direction: Direction) -> BoxedStrategy<ReasonCode> {
    let possible: Vec<ReasonCode> = ReasonCode::ALL
        .iter()
        .copied()
        .filter(|code| code.allowed_from(kind, direction))
        .filter(|code| version.is_v5() || in_version_3(*code, kind))
        .collect();
    if possible.is_empty() { Just(ReasonCode::Success).boxed() } else { select(possible).boxed() }
}

/// Codes that a packet of MQTT 3.x can carry and that come back as what they were.
fn in_version_3(code: ReasonCode, kind: PacketType) -> bool {
    match kind {
        PacketType::ConnAck => code.connect_return_code().and_then(ReasonCode::from_connect_return_code) == Some(code),
        PacketType::SubAck => matches!(code.value(), 0..=2 | 0x80),
        _ => code == ReasonCode::Success,
    }
}

/// Properties of a packet, or of a will where no packet is given; none before MQTT 5.0.
fn properties(
    packet: Option<PacketType>,
    version: Version,
    direction: Direction,
) -> impl Strategy<Value = PropertyBuffer> {
    let mut parts: Vec<BoxedStrategy<PropertyBuffer>> = Vec::new();
    for identifier in PropertyIdentifier::ALL.iter().copied().filter(|_| version.is_v5()) {
        let (allowed, repeated) = match packet {
            Some(packet) => (allowed_from(identifier, packet, direction), identifier.repeated_in(packet)),
            None => (identifier.allowed_in_will(), identifier == PropertyIdentifier::UserProperty),
        };
        if allowed {
            let count = if repeated { 0..3 } else { 0..2 };
            parts.push(vec(property(identifier), count).prop_map(|parts| join(&parts)).boxed());
        }
    }
    parts.prop_shuffle().prop_map(|parts| with_authentication_method(join(&parts)))
}

fn allowed_from(identifier: PropertyIdentifier, packet: PacketType, direction: Direction) -> bool {
    let forbidden = matches!(
        (identifier, packet, direction),
        (PropertyIdentifier::SubscriptionIdentifier, PacketType::Publish, Direction::ToServer)
            | (PropertyIdentifier::SessionExpiryInterval, PacketType::Disconnect, Direction::ToClient)
    );
    identifier.allowed_in(packet) && !forbidden
}

fn join(parts: &[PropertyBuffer]) -> PropertyBuffer {
    let mut joined = PropertyBuffer::new();
    for part in parts {
        joined.extend(part.as_properties());
    }
    joined
}

/// Authentication data never comes without a method.
fn with_authentication_method(mut buffer: PropertyBuffer) -> PropertyBuffer {
    let properties = buffer.as_properties();
    if properties.authentication_data().is_some() && properties.authentication_method().is_none() {
        buffer.push(Property::AuthenticationMethod(""));
    }
    buffer
}

/// One property with any legal value.
fn property(identifier: PropertyIdentifier) -> BoxedStrategy<PropertyBuffer> {
    use PropertyIdentifier as Id;
    fn of<T: std::fmt::Debug>(
        values: impl Strategy<Value = T> + 'static,
        property: impl Fn(&T) -> Property<'_> + 'static,
    ) -> BoxedStrategy<PropertyBuffer> {
        values
            .prop_map(move |value| {
                let mut buffer = PropertyBuffer::new();
                buffer.push(property(&value));
                buffer
            })
            .boxed()
    }
    match identifier {
        Id::PayloadFormatIndicator => of(any::<bool>(), |value| Property::PayloadFormatIndicator(*value)),
        Id::MessageExpiryInterval => of(any::<u32>(), |value| Property::MessageExpiryInterval(*value)),
        Id::ContentType => of(text(), |value| Property::ContentType(value)),
        Id::ResponseTopic => of(topic(), |value| Property::ResponseTopic(value)),
        Id::CorrelationData => of(payload(), |value| Property::CorrelationData(value)),
        Id::SubscriptionIdentifier => of(1..=268_435_455_u32, |value| Property::SubscriptionIdentifier(*value)),
        Id::SessionExpiryInterval => of(any::<u32>(), |value| Property::SessionExpiryInterval(*value)),
        Id::AssignedClientIdentifier => of(text(), |value| Property::AssignedClientIdentifier(value)),
        Id::ServerKeepAlive => of(any::<u16>(), |value| Property::ServerKeepAlive(*value)),
        Id::AuthenticationMethod => of(text(), |value| Property::AuthenticationMethod(value)),
        Id::AuthenticationData => of(payload(), |value| Property::AuthenticationData(value)),
        Id::RequestProblemInformation => of(any::<bool>(), |value| Property::RequestProblemInformation(*value)),
        Id::WillDelayInterval => of(any::<u32>(), |value| Property::WillDelayInterval(*value)),
        Id::RequestResponseInformation => of(any::<bool>(), |value| Property::RequestResponseInformation(*value)),
        Id::ResponseInformation => of(text(), |value| Property::ResponseInformation(value)),
        Id::ServerReference => of(text(), |value| Property::ServerReference(value)),
        Id::ReasonString => of(text(), |value| Property::ReasonString(value)),
        Id::ReceiveMaximum => of(1..=u16::MAX, |value| Property::ReceiveMaximum(*value)),
        Id::TopicAliasMaximum => of(any::<u16>(), |value| Property::TopicAliasMaximum(*value)),
        Id::TopicAlias => of(1..=u16::MAX, |value| Property::TopicAlias(*value)),
        Id::MaximumQoS => {
            of(any::<bool>(), |one| Property::MaximumQoS(if *one { QoS::AtLeastOnce } else { QoS::AtMostOnce }))
        }
        Id::RetainAvailable => of(any::<bool>(), |value| Property::RetainAvailable(*value)),
        Id::UserProperty => of((text(), text()), |(name, value)| Property::UserProperty(name, value)),
        Id::MaximumPacketSize => of(1..=u32::MAX, |value| Property::MaximumPacketSize(*value)),
        Id::WildcardSubscriptionAvailable => of(any::<bool>(), |value| Property::WildcardSubscriptionAvailable(*value)),
        Id::SubscriptionIdentifiersAvailable => {
            of(any::<bool>(), |value| Property::SubscriptionIdentifiersAvailable(*value))
        }
        Id::SharedSubscriptionAvailable => of(any::<bool>(), |value| Property::SharedSubscriptionAvailable(*value)),
    }
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|value| PacketId::new(value).expect("it is not zero"))
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn options(version: Version) -> impl Strategy<Value = SubscribeOptions> {
    let bits = (0..=255_u8).filter(|bits| version.is_v5() || *bits < 3);
    select(bits.filter_map(SubscribeOptions::from_bits).collect::<Vec<_>>())
}

/// Short mostly, and now and then so long that lengths take more bytes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..20),
        1 => (100..300_usize, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        1 => (16_000..17_000_usize).prop_map(|length| vec![b'x'; length]),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![10 => "[ -~ü€𪛔\u{FEFF}]{0,12}", 1 => "[a-z]{120,140}"]
}

fn topic() -> impl Strategy<Value = String> {
    prop_oneof![10 => "[ -\"$-*,-~ü€𪛔]{1,20}", 1 => "[a-z/]{120,140}"]
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => "[a-zü ]{0,5}", 1 => Just(String::from("+")), 1 => "[$][A-Z]{1,4}"];
    let share = prop_oneof![3 => Just(String::new()), 1 => "[$]share/[a-z ]{1,5}/"];
    (share, vec(level, 1..5), any::<bool>()).prop_map(|(share, mut levels, all)| {
        if all || levels.concat().is_empty() {
            levels.push(String::from("#"));
        }
        share + &levels.join("/")
    })
}
