//! Messages from the server.

use super::*;

#[test]
// covers: [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-2.2.1-5] [MQTT-4.5.0-2] [MQTT311-4.5.0-2] [MQTT311-2.3.1-6]
// covers: [MQTT311-3.3.4-1] [MQTT311-4.3.2-2] [MQTT311-4.3.3-2]
fn mqtt5_3_3_4_1_each_qos_has_its_answer() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        assert_eq!(client.incoming(0, 0, "nobody/asked"), ["message 0 'nobody/asked'"]);
        assert_eq!(client.sent(), [""; 0]);
        assert_eq!(client.incoming(1, 7, "nobody/asked"), ["message 1 'nobody/asked'"]);
        assert_eq!(client.sent(), ["PUBACK 7 0x00"]);
        assert_eq!(client.incoming(2, 7, "nobody/asked"), ["message 2 'nobody/asked'"]);
        assert_eq!(client.sent(), ["PUBREC 7 0x00"]);
    }
}

#[test]
fn mqtt5_4_3_2_5_after_puback_the_identifier_is_new() {
    let mut client = Client::connected(options(Version::V5), &[]);
    let again = Publish { dup: true, packet_id: PacketId::new(7), ..message(1, "t") };
    assert_eq!(client.incoming(1, 7, "t"), ["message 1 't'"]);
    assert_eq!(client.feed(&Packet::Publish(again)), ["message 1 't'"]);
}

#[test]
// covers: [MQTT-4.3.3-10] [MQTT-4.3.3-12] [MQTT311-4.3.3-2]
fn mqtt5_4_3_3_11_qos2_is_delivered_once() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        assert_eq!(client.incoming(2, 7, "t"), ["message 2 't'"]);
        assert_eq!(client.incoming(2, 7, "t"), [""; 0]);
        client.answer(PacketType::PubRel, 7, ReasonCode::Success);
        assert_eq!(client.sent(), ["PUBREC 7 0x00", "PUBREC 7 0x00", "PUBCOMP 7 0x00"]);
        assert_eq!(client.incoming(2, 7, "t"), ["message 2 't'"], "the identifier is new");
    }
}

#[test]
// covers: [MQTT-3.7.2-1]
fn pubrel_for_an_unknown_identifier_is_answered() {
    let mut client = Client::connected(options(Version::V5), &[]);
    client.answer(PacketType::PubRel, 7, ReasonCode::Success);
    assert_eq!(client.session.output(), [0x70, 3, 0, 7, 0x92]);
    let mut old = Client::connected(options(Version::V311), &[]);
    old.answer(PacketType::PubRel, 7, ReasonCode::Success);
    assert_eq!(old.session.output(), [0x70, 2, 0, 7]);
}

#[test]
// covers: [MQTT-4.6.0-3] [MQTT311-4.6.0-2] [MQTT311-4.6.0-3]
fn mqtt5_4_6_0_2_answers_in_the_order_of_the_messages() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        for (qos, packet_id) in [(1, 9), (2, 3), (1, 4), (2, 1)] {
            client.incoming(qos, packet_id, "t");
        }
        assert_eq!(client.sent(), ["PUBACK 9 0x00", "PUBREC 3 0x00", "PUBACK 4 0x00", "PUBREC 1 0x00"]);
    }
}

#[test]
// covers: [MQTT311-4.6.0-4]
fn mqtt5_4_6_0_4_pubrel_in_the_order_of_pubrec() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        for _ in 0..3 {
            client.publish(2, "t").expect("sent");
        }
        client.sent();
        for packet_id in [2, 1, 3] {
            client.answer(PacketType::PubRec, packet_id, ReasonCode::Success);
        }
        assert_eq!(client.sent(), ["PUBREL 2 0x00", "PUBREL 1 0x00", "PUBREL 3 0x00"]);
    }
}

#[test]
// covers: [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3]
fn mqtt5_3_4_2_2_acknowledgements_have_no_properties() {
    let mut client = Client::connected(options(Version::V5), &[Property::MaximumPacketSize(10)]);
    client.publish(2, "t").expect("ten bytes");
    client.sent();
    client.incoming(1, 7, "t");
    client.incoming(2, 8, "t");
    client.answer(PacketType::PubRec, 1, ReasonCode::Success);
    client.answer(PacketType::PubRel, 8, ReasonCode::Success);
    assert_eq!(client.session.output(), [[0x40, 2, 0, 7], [0x50, 2, 0, 8], [0x62, 2, 0, 1], [0x70, 2, 0, 8]].concat());
}

/// The server publishes with an alias.
fn aliased(client: &mut Client, topic: &str, alias: u16) -> Vec<String> {
    let properties = buffer(&[Property::TopicAlias(alias)]);
    client.feed(&Packet::Publish(Publish { properties: properties.as_properties(), ..message(0, topic) }))
}

#[test]
fn mqtt5_3_3_2_10_every_alias_up_to_the_maximum() {
    let mut client = Client::connected(ConnectOptions { topic_alias_maximum: 3, ..options(Version::V5) }, &[]);
    for alias in 1..=3 {
        let topic = format!("t{alias}");
        assert_eq!(aliased(&mut client, &topic, alias), [format!("message 0 '{topic}'")]);
        assert_eq!(aliased(&mut client, "", alias), [format!("message 0 '{topic}'")]);
    }
    assert_eq!(aliased(&mut client, "other", 2), ["message 0 'other'"], "an alias can be made anew");
    assert_eq!(aliased(&mut client, "", 2), ["message 0 'other'"]);
}

#[test]
fn mqtt5_3_3_2_7_incoming_aliases_end_with_the_connection() {
    let mut client = Client::connected(ConnectOptions { topic_alias_maximum: 3, ..lasting(Version::V5) }, &[]);
    aliased(&mut client, "t", 1);
    client.session.connection_lost();
    client.connect(true, &[]);
    let events = aliased(&mut client, "", 1);
    assert_eq!(events, ["error: the server broke the protocol: a topic alias that stands for nothing"]);
}

#[test]
fn a_repeated_qos2_message_makes_its_alias_nonetheless() {
    let mut client = Client::connected(ConnectOptions { topic_alias_maximum: 3, ..options(Version::V5) }, &[]);
    assert_eq!(client.incoming(2, 7, "t").len(), 1);
    let properties = buffer(&[Property::TopicAlias(1)]);
    let repeated =
        Publish { dup: true, packet_id: PacketId::new(7), properties: properties.as_properties(), ..message(2, "t") };
    assert_eq!(client.feed(&Packet::Publish(repeated)), [""; 0]);
    assert_eq!(aliased(&mut client, "", 1), ["message 0 't'"]);
}

#[test]
// covers: [MQTT-4.2.0-1] [MQTT311-7.1.2-1]
fn packets_may_be_cut_anywhere() {
    let mut bytes = Vec::new();
    message(0, "a/topic").encode(Version::V5, &mut bytes);
    Publish { packet_id: PacketId::new(3), ..message(1, "b") }.encode(Version::V5, &mut bytes);
    for cut in 0..=bytes.len() {
        let mut client = Client::connected(options(Version::V5), &[]);
        let mut events = client.feed_bytes(&bytes[..cut]);
        events.extend(client.feed_bytes(&bytes[cut..]));
        assert_eq!(events, ["message 0 'a/topic'", "message 1 'b'"]);
    }
    let mut client = Client::connected(options(Version::V5), &[]);
    let events: Vec<String> = bytes.chunks(1).flat_map(|byte| client.feed_bytes(byte)).collect();
    assert_eq!(events.len(), 2);
}
