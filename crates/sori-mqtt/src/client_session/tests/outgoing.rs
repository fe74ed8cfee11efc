//! Messages to the server.

use alloc::vec;

use super::*;

#[test]
// covers: [MQTT-2.2.1-2] [MQTT-3.3.1-2] [MQTT311-2.3.1-5] [MQTT311-3.3.1-2] [MQTT311-4.3.1-1]
fn mqtt5_4_3_1_1_qos0_has_no_identifier_and_no_dup() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        let publish = Publish { dup: true, packet_id: PacketId::new(9), ..message(0, "t") };
        client.session.publish(&publish).expect("sent");
        assert_eq!(client.events(), ["published 1 Sent"]);
        let expected: &[u8] = if version.is_v5() { b"\x30\x06\0\x01t\0hi" } else { b"\x30\x05\0\x01thi" };
        assert_eq!(client.session.output(), expected);
    }
}

#[test]
// covers: [MQTT-4.3.2-1] [MQTT-4.3.2-3] [MQTT-2.2.1-3] [MQTT311-2.3.1-1] [MQTT311-2.3.1-2] [MQTT311-4.3.2-1]
fn mqtt5_4_3_2_2_qos1_until_puback() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        client.publish(1, "a").expect("sent");
        client.publish(1, "b").expect("sent");
        assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m1 'a'", "PUBLISH d0 q1 r0 m2 'b'"]);
        assert_eq!(client.session.unfinished(), 2);
        assert_eq!(client.answer(PacketType::PubAck, 2, ReasonCode::Success), ["published 2 0x00"]);
        assert_eq!(client.answer(PacketType::PubAck, 1, ReasonCode::Success), ["published 1 0x00"]);
        assert_eq!(client.answer(PacketType::PubAck, 1, ReasonCode::Success), [""; 0], "a repetition is ignored");
        assert_eq!(client.session.core.stored_bytes, 0);
    }
}

#[test]
// covers: [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-3] [MQTT-4.3.3-5] [MQTT-4.3.3-6] [MQTT-2.2.1-5] [MQTT311-2.3.1-6]
// covers: [MQTT311-4.3.3-1]
fn mqtt5_4_3_3_4_qos2_until_pubcomp() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        client.publish(2, "a").expect("sent");
        assert_eq!(client.sent(), ["PUBLISH d0 q2 r0 m1 'a'"]);
        assert_eq!(client.answer(PacketType::PubRec, 1, ReasonCode::Success), [""; 0]);
        assert_eq!(client.answer(PacketType::PubRec, 1, ReasonCode::Success), [""; 0]);
        assert_eq!(client.sent(), ["PUBREL 1 0x00", "PUBREL 1 0x00"]);
        assert_eq!(client.session.unfinished(), 1);
        assert_eq!(client.answer(PacketType::PubComp, 1, ReasonCode::Success), ["published 1 0x00"]);
        assert_eq!(client.answer(PacketType::PubComp, 1, ReasonCode::Success), [""; 0]);
        assert_eq!(client.sent(), [""; 0]);
        assert_eq!((client.session.unfinished(), client.session.core.stored_bytes), (0, 0));
    }
}

#[test]
fn the_reason_code_of_pubrec_is_not_forgotten() {
    let mut client = Client::connected(options(Version::V5), &[]);
    client.publish(2, "a").expect("sent");
    client.answer(PacketType::PubRec, 1, ReasonCode::NoMatchingSubscribers);
    assert_eq!(client.answer(PacketType::PubComp, 1, ReasonCode::Success), ["published 1 0x10"]);
}

#[test]
// covers: [MQTT-3.4.2-1] [MQTT-3.5.2-1]
fn mqtt5_4_4_0_2_a_refused_message_is_finished() {
    let mut client = Client::connected(lasting(Version::V5), &[]);
    client.publish(1, "a").expect("sent");
    client.publish(2, "b").expect("sent");
    client.sent();
    assert_eq!(client.answer(PacketType::PubAck, 1, ReasonCode::NotAuthorized), ["published 1 0x87"]);
    assert_eq!(client.answer(PacketType::PubRec, 2, ReasonCode::QuotaExceeded), ["published 2 0x97"]);
    client.session.connection_lost();
    client.connect(true, &[]);
    assert_eq!(client.sent(), [""; 0], "no PUBREL, no resend");
}

#[test]
// covers: [MQTT-3.6.2-1]
fn pubrec_for_an_unknown_identifier_is_answered() {
    let mut client = Client::connected(options(Version::V5), &[]);
    client.answer(PacketType::PubRec, 5, ReasonCode::Success);
    assert_eq!(client.sent(), ["PUBREL 5 0x92"]);
    client.answer(PacketType::PubRec, 5, ReasonCode::UnspecifiedError);
    assert_eq!(client.sent(), [""; 0]);
    let mut old = Client::connected(options(Version::V311), &[]);
    old.answer(PacketType::PubRec, 5, ReasonCode::Success);
    assert_eq!(old.session.output(), [0x62, 2, 0, 5]);
}

#[test]
// covers: [MQTT-4.9.0-1] [MQTT-4.9.0-2]
fn mqtt5_3_3_4_7_receive_maximum_of_the_server() {
    let mut client = Client::connected(options(Version::V5), &[Property::ReceiveMaximum(2)]);
    for (qos, topic) in [(1, "a"), (2, "b"), (1, "c"), (1, "d")] {
        client.publish(qos, topic).expect("sent or kept");
    }
    assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m1 'a'", "PUBLISH d0 q2 r0 m2 'b'"]);
    client.answer(PacketType::PubRec, 2, ReasonCode::Success);
    assert_eq!(client.sent(), ["PUBREL 2 0x00"], "PUBREC gives nothing back");
    client.answer(PacketType::PubAck, 1, ReasonCode::Success);
    assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m3 'c'"]);
    client.answer(PacketType::PubComp, 2, ReasonCode::Success);
    assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m4 'd'"]);
}

#[test]
// covers: [MQTT-4.9.0-3]
fn mqtt5_3_3_4_8_other_packets_are_not_held_back() {
    let mut client = Client::connected(options(Version::V5), &[Property::ReceiveMaximum(1)]);
    client.publish(1, "a").expect("sent");
    client.publish(1, "b").expect("kept");
    client.sent();
    let filter = TopicFilter::new("f").expect("legal");
    client.session.subscribe(&[(filter, SubscribeOptions::default())], Properties::EMPTY).expect("connected");
    client.session.unsubscribe(&[filter], Properties::EMPTY).expect("connected");
    client.incoming(1, 9, "in");
    client.incoming(2, 8, "in");
    client.answer(PacketType::PubRel, 8, ReasonCode::Success);
    assert_eq!(
        client.sent(),
        ["SUBSCRIBE 2 f:0x0", "UNSUBSCRIBE 3 f", "PUBACK 9 0x00", "PUBREC 8 0x00", "PUBCOMP 8 0x00"]
    );
}

#[test]
fn the_own_limit_of_messages_in_flight() {
    for version in VERSIONS {
        let mut client = Client::connected(ConnectOptions { in_flight_max: 1, ..options(version) }, &[]);
        client.publish(1, "a").expect("sent");
        client.publish(1, "b").expect("kept");
        assert_eq!(client.sent().len(), 1);
    }
}

#[test]
fn mqtt5_3_2_2_11_no_qos_above_the_maximum() {
    let mut client = Client::new(options(Version::V5));
    client.publish(2, "kept").expect("kept");
    let events = client.connect(false, &[Property::MaximumQoS(QoS::AtLeastOnce)]);
    assert_eq!(events[1], "published 1 NotSent(NotSupported(QoSNotSupported))");
    assert_eq!(client.publish(2, "t"), Err(RequestError::NotSupported(ReasonCode::QoSNotSupported)));
    assert!(client.publish(1, "t").is_ok());
    assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m1 't'"]);
}

#[test]
fn mqtt5_3_2_2_14_no_retain_where_it_is_not_available() {
    let mut client = Client::connected(options(Version::V5), &[Property::RetainAvailable(false)]);
    let retained = Publish { retain: true, ..message(0, "t") };
    assert_eq!(client.session.publish(&retained), Err(RequestError::NotSupported(ReasonCode::RetainNotSupported)));
    assert_eq!(client.sent(), [""; 0]);
}

#[test]
fn mqtt5_3_2_2_15_maximum_packet_size_of_the_server() {
    // A PUBLISH with a topic of one byte and QoS 1 has ten bytes here, eight with QoS 0.
    let mut client = Client::connected(options(Version::V5), &[Property::MaximumPacketSize(9)]);
    assert_eq!(client.publish(1, "t"), Err(RequestError::TooLarge));
    assert!(client.publish(0, "t").is_ok());
    let filter = TopicFilter::new("long").expect("legal");
    let filters = [(filter, SubscribeOptions::default())];
    assert_eq!(client.session.subscribe(&filters, Properties::EMPTY), Err(RequestError::TooLarge));
    assert_eq!(client.session.unsubscribe(&[filter], Properties::EMPTY), Err(RequestError::TooLarge));
    assert_eq!(client.sent(), ["PUBLISH d0 q0 r0 m0 't'"]);
}

#[test]
fn a_server_that_takes_no_acknowledgement_is_left() {
    let mut client = Client::connected(options(Version::V5), &[Property::MaximumPacketSize(3)]);
    let events = client.incoming(1, 1, "t");
    assert_eq!(events, ["error: the server does not accept packets large enough for PUBACK"]);
    assert_eq!((client.session.is_open(), client.session.output()), (false, &b""[..]));
}

#[test]
// covers: [MQTT-4.7.0-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3] [MQTT311-3.3.2-2] [MQTT311-4.7.1-1]
// covers: [MQTT311-4.7.3-1] [MQTT311-4.7.3-2] [MQTT311-4.7.3-3] [MQTT-3.3.2-1] [MQTT311-3.3.2-1]
fn mqtt5_3_3_2_2_only_legal_topic_names() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        for topic in ["", "+", "a/#", "a\0", &"x".repeat(65_536)] {
            let error = TopicName::new(topic).expect_err("not legal");
            assert_eq!(client.publish(0, topic), Err(RequestError::TopicName(error)));
        }
        assert_eq!(client.sent(), [""; 0]);
    }
}

#[test]
// covers: [MQTT-3.3.2-13] [MQTT-3.3.2-14] [MQTT-3.3.2-19] [MQTT-1.5.7-1]
fn mqtt5_3_3_4_6_only_properties_of_a_client() {
    let mut client = Client::connected(options(Version::V5), &[]);
    let mut publish = |properties: &[Property<'_>]| {
        let properties = buffer(properties);
        client.session.publish(&Publish { properties: properties.as_properties(), ..message(0, "t") }).is_ok()
    };
    assert!(!publish(&[Property::SubscriptionIdentifier(1)]));
    assert!(!publish(&[Property::TopicAlias(1)]));
    assert!(!publish(&[Property::ResponseTopic("a/+")]));
    assert!(!publish(&[Property::SessionExpiryInterval(1)]));
    assert!(!publish(&[Property::ContentType("a"), Property::ContentType("b")]));
    assert!(!publish(&[Property::ContentType("a\0")]));
    assert!(!publish(&[Property::UserProperty("a", "\0")]));
    assert!(publish(&[Property::UserProperty("a", "b"), Property::UserProperty("a", "b")]));
    assert!(publish(&[Property::ResponseTopic("a"), Property::CorrelationData(b"1")]));
    let mut old = Client::connected(options(Version::V311), &[]);
    let properties = buffer(&[Property::ContentType("a")]);
    let publish = Publish { properties: properties.as_properties(), ..message(0, "t") };
    assert!(matches!(old.session.publish(&publish), Err(RequestError::Version5Only(_))));
}

#[test]
// covers: [MQTT-3.3.2-9] [MQTT-3.3.2-8]
fn mqtt5_3_2_2_17_aliases_up_to_the_server_s_maximum() {
    let with = ConnectOptions { topic_alias_outgoing_max: 10, ..options(Version::V5) };
    let mut client = Client::connected(with, &[Property::TopicAliasMaximum(2)]);
    for topic in ["a", "b", "c", "a", "c", "b"] {
        client.publish(0, topic).expect("sent");
    }
    assert_eq!(
        client.sent(),
        [
            "PUBLISH d0 q0 r0 m0 'a' alias 1",
            "PUBLISH d0 q0 r0 m0 'b' alias 2",
            "PUBLISH d0 q0 r0 m0 'c'",
            "PUBLISH d0 q0 r0 m0 '' alias 1",
            "PUBLISH d0 q0 r0 m0 'c'",
            "PUBLISH d0 q0 r0 m0 '' alias 2",
        ]
    );
}

#[test]
fn mqtt5_3_2_2_18_no_alias_without_a_maximum() {
    let with = ConnectOptions { topic_alias_outgoing_max: 10, ..options(Version::V5) };
    for connack in [&[][..], &[Property::TopicAliasMaximum(0)]] {
        let mut client = Client::connected(with.clone(), connack);
        client.publish(0, "a").expect("sent");
        assert_eq!(client.sent(), ["PUBLISH d0 q0 r0 m0 'a'"]);
    }
}

#[test]
fn mqtt5_3_3_2_7_aliases_end_with_the_connection() {
    let with = ConnectOptions { topic_alias_outgoing_max: 10, ..lasting(Version::V5) };
    let mut client = Client::connected(with, &[Property::TopicAliasMaximum(5)]);
    client.publish(1, "a").expect("sent");
    client.publish(1, "a").expect("sent");
    assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m1 'a' alias 1", "PUBLISH d0 q1 r0 m2 '' alias 1"]);
    client.session.connection_lost();
    client.connect(true, &[Property::TopicAliasMaximum(5)]);
    assert_eq!(client.sent(), ["PUBLISH d1 q1 r0 m1 'a' alias 1", "PUBLISH d1 q1 r0 m2 '' alias 1"]);
    client.session.connection_lost();
    client.connect(true, &[]);
    assert_eq!(client.sent(), ["PUBLISH d1 q1 r0 m1 'a'", "PUBLISH d1 q1 r0 m2 'a'"]);
}

#[test]
fn an_alias_that_makes_the_packet_too_large_is_left_out() {
    let with = ConnectOptions { topic_alias_outgoing_max: 10, ..options(Version::V5) };
    let mut client = Client::connected(with, &[Property::TopicAliasMaximum(5), Property::MaximumPacketSize(8)]);
    client.publish(0, "a").expect("sent");
    client.publish(0, "a").expect("sent");
    assert_eq!(client.sent(), ["PUBLISH d0 q0 r0 m0 'a'", "PUBLISH d0 q0 r0 m0 'a'"]);
}

#[test]
fn the_bound_of_kept_bytes() {
    let mut client = Client::new(ConnectOptions { queue_bytes_max: 1_000, ..lasting(Version::V5) });
    let payload = vec![0; 300];
    let publish = Publish { payload: &payload, ..message(1, "t") };
    client.session.publish(&publish).expect("room");
    client.session.publish(&publish).expect("room");
    assert_eq!(client.session.publish(&publish), Err(RequestError::QueueFull));
    client.connect(false, &[]);
    assert_eq!(client.sent().len(), 2);
    assert_eq!(client.session.publish(&publish), Err(RequestError::QueueFull), "in flight counts, too");
    client.answer(PacketType::PubAck, 1, ReasonCode::Success);
    assert!(client.session.publish(&publish).is_ok());
}

#[test]
fn output_that_nobody_writes_is_bounded() {
    let mut client = Client::connected(ConnectOptions { queue_bytes_max: 1_000, ..options(Version::V5) }, &[]);
    let sent = (0..1_000).take_while(|_| client.publish(0, "t").is_ok()).count();
    assert!((50..200).contains(&sent), "{sent}");
    assert!(client.session.output().len() <= 1_000);
}
