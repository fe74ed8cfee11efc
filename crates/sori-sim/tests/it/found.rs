//! What seeds have found in the broker, each told as the shortest case that shows it.

use sori_broker::{QueueFull, Settings};
use sori_mqtt::{
    Ack, Connect, DISCONNECT, Direction, Disconnect, Packet, PacketId, PacketType, Properties, Property,
    PropertyBuffer, Publish, QoS, Split, Subscribe, SubscribeOptions, TopicFilter, Version, decode, split,
};
use sori_sim::{Peer, World};

/// A client that can be told in one line what to do.
struct Client {
    peer: Peer,
    id: u16,
}

fn connect(world: &mut World, shard: u16, name: &str, properties: &[Property<'_>]) -> Client {
    let peer = world.open_on(shard);
    let mut buffer = PropertyBuffer::new();
    for property in properties {
        buffer.push(*property);
    }
    let mut bytes = Vec::new();
    Connect {
        version: Version::V5,
        bridge: false,
        clean_start: false,
        keep_alive: 0,
        client_id: name,
        will: None,
        user_name: None,
        password: None,
        properties: buffer.as_properties(),
    }
    .encode(&mut bytes);
    world.send(peer, &bytes);
    Client { peer, id: 0 }
}

impl Client {
    fn next_id(&mut self) -> Option<PacketId> {
        self.id += 1;
        PacketId::new(self.id)
    }

    fn subscribe(&mut self, world: &mut World, filter: &str, qos: QoS) {
        let filters = [(TopicFilter::new(filter).unwrap(), SubscribeOptions { qos, ..SubscribeOptions::default() })];
        let mut bytes = Vec::new();
        let packet_id = self.next_id().unwrap();
        Subscribe::new(packet_id, Properties::EMPTY, &filters).encode(Version::V5, &mut bytes);
        world.send(self.peer, &bytes);
        world.take(self.peer);
    }

    fn publish(&mut self, world: &mut World, topic: &str, payload: &str, qos: QoS, properties: &[Property<'_>]) {
        let packet_id = if qos == QoS::AtMostOnce { None } else { self.next_id() };
        self.publish_as(world, topic, payload, qos, packet_id, false, properties);
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a PUBLISH")]
    fn publish_as(
        &mut self,
        world: &mut World,
        topic: &str,
        payload: &str,
        qos: QoS,
        packet_id: Option<PacketId>,
        dup: bool,
        properties: &[Property<'_>],
    ) {
        let mut buffer = PropertyBuffer::new();
        for property in properties {
            buffer.push(*property);
        }
        let mut bytes = Vec::new();
        Publish {
            dup,
            qos,
            retain: false,
            topic,
            packet_id,
            properties: buffer.as_properties(),
            payload: payload.as_bytes(),
        }
        .encode(Version::V5, &mut bytes);
        world.send(self.peer, &bytes);
    }

    fn ack(&mut self, world: &mut World, kind: PacketType, id: u16) {
        let mut bytes = Vec::new();
        Ack::success(PacketId::new(id).unwrap()).encode(kind, Version::V5, &mut bytes);
        world.send(self.peer, &bytes);
    }

    /// All packets that came, one word each: payloads of PUBLISH, names and reason codes of others.
    fn heard(&mut self, world: &mut World) -> Vec<String> {
        let bytes = world.take(self.peer);
        let (mut rest, mut heard) = (&bytes[..], Vec::new());
        while let Ok(Split::Frame(frame)) = split(rest, 1_000_000) {
            rest = &rest[frame.size..];
            heard.push(match decode(frame, Version::V5, Direction::ToClient).unwrap() {
                Packet::Publish(publish) => String::from_utf8_lossy(publish.payload).into_owned(),
                Packet::Disconnect(Disconnect { reason_code, .. }) => format!("DISCONNECT {:#x}", reason_code.value()),
                packet => packet.packet_type().name().to_owned(),
            });
        }
        heard
    }

    fn payloads(&mut self, world: &mut World) -> Vec<String> {
        self.heard(world).into_iter().filter(|word| word.starts_with('m')).collect()
    }
}

const LASTS: Property<'_> = Property::SessionExpiryInterval(3600);

// covers: [MQTT-3.3.2-12] [MQTT-4.3.3-10]
#[test]
fn mqtt5_3_3_2_12_a_repeated_qos_2_message_sets_its_alias_on_the_new_connection() {
    let mut world = World::new(Settings::default(), 1, 1);
    let mut subscriber = connect(&mut world, 0, "s", &[]);
    subscriber.subscribe(&mut world, "#", QoS::AtLeastOnce);
    let mut publisher = connect(&mut world, 0, "p", &[LASTS]);
    publisher.publish(&mut world, "a", "m1", QoS::ExactlyOnce, &[]);
    world.cut(publisher.peer);
    let mut publisher = connect(&mut world, 0, "p", &[LASTS]);
    let alias = Property::TopicAlias(3);
    publisher.publish_as(&mut world, "a", "m1", QoS::ExactlyOnce, PacketId::new(1), true, &[alias]);
    publisher.publish_as(&mut world, "", "m2", QoS::AtLeastOnce, PacketId::new(2), true, &[alias]);
    assert!(!world.is_closed(publisher.peer), "the alias is known");
    assert_eq!(subscriber.payloads(&mut world), ["m2"]);
}

// covers: [MQTT-4.6.0-5] [MQTT-4.6.0-6]
#[test]
fn mqtt5_4_6_0_5_the_latest_value_does_not_overtake_its_own_publisher() {
    // While its client is connected the queue has room for as many more as may be in flight.
    let settings = Settings {
        queued_messages_max: 1,
        inflight_messages_max: 1,
        queue_full: QueueFull::LatestValue,
        ..Settings::default()
    };
    let mut world = World::new(settings, 1, 1);
    let mut subscriber = connect(&mut world, 0, "s", &[LASTS]);
    subscriber.subscribe(&mut world, "a", QoS::AtLeastOnce);
    let mut one = connect(&mut world, 0, "one", &[]);
    let mut other = connect(&mut world, 0, "other", &[]);
    one.publish(&mut world, "a", "m0 in flight", QoS::AtLeastOnce, &[]);
    one.publish(&mut world, "a", "m1 of one", QoS::AtLeastOnce, &[]);
    other.publish(&mut world, "a", "m1 of other", QoS::AtLeastOnce, &[]);
    other.publish(&mut world, "a", "m2 of other", QoS::AtLeastOnce, &[]);
    for id in 1..=4 {
        subscriber.ack(&mut world, PacketType::PubAck, id);
    }
    assert_eq!(subscriber.payloads(&mut world), ["m0 in flight", "m1 of one", "m2 of other"]);
}

#[test]
fn mqtt5_3_1_2_25_a_message_in_flight_that_became_too_large_counts_as_completed() {
    let mut world = World::new(Settings::default(), 1, 1);
    let mut subscriber = connect(&mut world, 0, "s", &[LASTS]);
    subscriber.subscribe(&mut world, "a", QoS::AtLeastOnce);
    let mut publisher = connect(&mut world, 0, "p", &[]);
    publisher.publish(&mut world, "a", &format!("m1 {}", "x".repeat(200)), QoS::AtLeastOnce, &[]);
    publisher.publish(&mut world, "a", "m2", QoS::AtLeastOnce, &[]);
    world.cut(subscriber.peer);
    let mut subscriber = connect(&mut world, 0, "s", &[LASTS, Property::MaximumPacketSize(100)]);
    assert_eq!(subscriber.payloads(&mut world), ["m2"]);
    subscriber.ack(&mut world, PacketType::PubAck, 2);
    assert_eq!(world.totals().inflight, 0);
}

// covers: [MQTT-3.3.4-7] [MQTT-4.3.3-8]
#[test]
fn mqtt5_4_3_3_8_a_message_refused_with_receive_maximum_exceeded_is_none_that_came_before() {
    let settings = Settings { inflight_messages_max: 1, strict_receive_maximum: true, ..Settings::default() };
    let mut world = World::new(settings, 1, 1);
    let mut subscriber = connect(&mut world, 0, "s", &[]);
    subscriber.subscribe(&mut world, "a", QoS::AtMostOnce);
    let mut publisher = connect(&mut world, 0, "p", &[LASTS]);
    publisher.publish(&mut world, "a", "m1", QoS::ExactlyOnce, &[]);
    publisher.publish(&mut world, "a", "m2", QoS::ExactlyOnce, &[]);
    assert!(publisher.heard(&mut world).contains(&"DISCONNECT 0x93".to_owned()));
    let mut publisher = connect(&mut world, 0, "p", &[LASTS]);
    publisher.ack(&mut world, PacketType::PubRel, 1);
    publisher.publish_as(&mut world, "a", "m2", QoS::ExactlyOnce, PacketId::new(2), true, &[]);
    publisher.ack(&mut world, PacketType::PubRel, 2);
    assert_eq!(subscriber.payloads(&mut world), ["m1", "m2"]);
}

#[test]
fn mqtt5_3_3_2_5_a_message_of_a_lost_group_member_expires_like_any_other() {
    let mut world = World::new(Settings { inflight_messages_max: 1, ..Settings::default() }, 1, 1);
    let mut first = connect(&mut world, 0, "first", &[LASTS]);
    first.subscribe(&mut world, "$share/g/a", QoS::AtLeastOnce);
    let mut publisher = connect(&mut world, 0, "p", &[]);
    publisher.publish(&mut world, "a", "m1", QoS::AtLeastOnce, &[Property::MessageExpiryInterval(2)]);
    publisher.publish(&mut world, "a", "m2", QoS::AtLeastOnce, &[Property::MessageExpiryInterval(20)]);
    let mut second = connect(&mut world, 0, "second", &[]);
    second.subscribe(&mut world, "$share/g/a", QoS::AtLeastOnce);
    world.advance(3_000);
    world.send(first.peer, &DISCONNECT);
    second.ack(&mut world, PacketType::PubAck, 1);
    assert_eq!(second.payloads(&mut world), ["m2"]);
}

// covers: [MQTT-3.3.4-7]
#[test]
fn mqtt5_3_3_4_7_what_waits_for_the_disk_counts_once_against_receive_maximum() {
    let settings = Settings { keeps_records: true, strict_receive_maximum: true, ..Settings::default() };
    let mut world = World::new(settings, 1, 1);
    let mut subscriber = connect(&mut world, 0, "s", &[LASTS]);
    subscriber.subscribe(&mut world, "#", QoS::ExactlyOnce);
    let mut publisher = connect(&mut world, 0, "p", &[LASTS]);
    publisher.heard(&mut world);
    world.hold_store(true);
    for number in 0..20 {
        let qos = if number < 12 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
        publisher.publish(&mut world, "a", &format!("m{number}"), qos, &[]);
    }
    assert!(!world.is_closed(publisher.peer), "twenty are allowed");
    assert_eq!(publisher.heard(&mut world), Vec::<String>::new(), "nothing is durable yet");
    world.hold_store(false);
    assert_eq!(publisher.heard(&mut world).len(), 20, "all are acknowledged");
}
