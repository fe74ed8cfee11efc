//! What survives a connection, and what is sent again.

use super::*;

/// One message of each state: QoS 1 unacknowledged (1), QoS 2 unacknowledged (2), QoS 2 released (3).
fn with_everything_in_flight(version: Version) -> Client {
    let mut client = Client::connected(lasting(version), &[]);
    for (qos, topic) in [(1, "one"), (2, "two"), (2, "three")] {
        client.publish(qos, topic).expect("sent");
    }
    client.answer(PacketType::PubRec, 3, ReasonCode::Success);
    client.incoming(2, 70, "kept");
    client.sent();
    client.session.connection_lost();
    assert_eq!(client.events(), [""; 0], "nothing is lost");
    client
}

#[test]
// covers: [MQTT-3.3.1-1] [MQTT-4.6.0-1] [MQTT-3.1.2-23] [MQTT-4.1.0-1] [MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT-4.3.3-5]
// covers: [MQTT-4.3.3-6] [MQTT-3.1.3-2]
fn mqtt5_4_4_0_1_unfinished_deliveries_go_on_when_the_session_is_resumed() {
    let mut client = with_everything_in_flight(Version::V5);
    assert_eq!(client.connect(true, &[]), ["connected, session present true"]);
    assert_eq!(client.sent(), ["PUBREL 3 0x00", "PUBLISH d1 q1 r0 m1 'one'", "PUBLISH d1 q2 r0 m2 'two'"]);
    assert_eq!(client.answer(PacketType::PubComp, 3, ReasonCode::Success), ["published 3 0x00"]);
    assert_eq!(client.answer(PacketType::PubAck, 1, ReasonCode::Success), ["published 1 0x00"]);
    assert_eq!(client.answer(PacketType::PubRec, 2, ReasonCode::Success), [""; 0]);
    assert_eq!(client.answer(PacketType::PubComp, 2, ReasonCode::Success), ["published 2 0x00"]);
    assert_eq!(client.sent(), ["PUBREL 2 0x00"], "and nothing at any other time");
    assert_eq!(client.session.unfinished(), 0);
}

#[test]
// covers: [MQTT311-2.3.1-3] [MQTT311-3.3.1-1] [MQTT311-4.6.0-1] [MQTT311-3.1.2-4] [MQTT311-4.1.0-1]
// covers: [MQTT311-4.1.0-2] [MQTT311-3.1.3-2] [MQTT311-4.3.2-1] [MQTT311-4.3.3-1]
fn mqtt311_4_4_0_1_unfinished_deliveries_go_on_when_the_session_is_resumed() {
    for version in [Version::V31, Version::V311] {
        let mut client = with_everything_in_flight(version);
        assert_eq!(client.connect(true, &[]), ["connected, session present true"]);
        assert_eq!(client.sent(), ["PUBREL 3 0x00", "PUBLISH d1 q1 r0 m1 'one'", "PUBLISH d1 q2 r0 m2 'two'"]);
    }
}

#[test]
fn mqtt5_4_3_3_10_a_qos2_message_is_delivered_once_across_connections() {
    for version in VERSIONS {
        let mut client = with_everything_in_flight(version);
        client.connect(true, &[]);
        client.sent();
        assert_eq!(client.incoming(2, 70, "kept"), [""; 0]);
        assert_eq!(client.answer(PacketType::PubRel, 70, ReasonCode::Success), [""; 0]);
        assert_eq!(client.sent(), ["PUBREC 70 0x00", "PUBCOMP 70 0x00"]);
        assert_eq!(client.incoming(2, 70, "new"), ["message 2 'new'"]);
    }
}

#[test]
// covers: [MQTT311-2.3.1-3]
fn mqtt5_3_2_2_5_session_present_0_discards_what_was_in_flight() {
    for version in [Version::V311, Version::V5] {
        let mut client = with_everything_in_flight(version);
        let events = client.connect(false, &[]);
        assert_eq!(
            events,
            [
                "connected, session present false",
                "published 1 SessionLost",
                "published 2 SessionLost",
                "published 3 SessionLost"
            ]
        );
        assert_eq!(client.sent(), [""; 0]);
        assert_eq!(client.incoming(2, 70, "kept"), ["message 2 'kept'"], "the receiver's state went, too");
    }
}

#[test]
// covers: [MQTT311-3.1.2-6]
fn mqtt5_3_1_2_4_clean_start_discards_the_session() {
    for version in VERSIONS {
        let mut client = with_everything_in_flight(version);
        client.session.set_clean_start(true);
        client.session.connect(client.now).expect("idle");
        assert_eq!(client.events().len(), 3);
        client.sent();
        assert_eq!(client.accept(false, &[]), ["connected, session present false"]);
        assert_eq!(client.sent(), [""; 0]);
    }
}

#[test]
fn a_session_without_expiry_ends_with_its_connection() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        client.publish(1, "one").expect("sent");
        client.session.connection_lost();
        assert_eq!(client.events(), ["published 1 SessionLost"]);
    }
}

#[test]
fn mqtt5_3_1_2_23_the_last_word_about_expiry_holds() {
    // The server shortens it, or DISCONNECT does.
    let mut client = Client::connected(lasting(Version::V5), &[Property::SessionExpiryInterval(0)]);
    client.publish(1, "one").expect("sent");
    client.session.connection_lost();
    assert_eq!(client.events(), ["published 1 SessionLost"]);

    let mut client = Client::connected(lasting(Version::V5), &[]);
    client.publish(1, "one").expect("sent");
    let properties = buffer(&[Property::SessionExpiryInterval(0)]);
    let (reason_code, properties) = (ReasonCode::Success, properties.as_properties());
    client.session.disconnect(&Disconnect { reason_code, properties }).expect("connected");
    assert_eq!(client.events(), ["published 1 SessionLost"]);
}

#[test]
fn mqtt5_4_9_0_2_resends_keep_to_the_new_receive_maximum() {
    let mut client = Client::connected(lasting(Version::V5), &[]);
    for topic in ["one", "two", "three"] {
        client.publish(1, topic).expect("sent");
    }
    client.sent();
    client.session.connection_lost();
    client.connect(true, &[Property::ReceiveMaximum(1)]);
    client.publish(1, "four").expect("kept");
    assert_eq!(client.sent(), ["PUBLISH d1 q1 r0 m1 'one'"]);
    client.answer(PacketType::PubAck, 1, ReasonCode::Success);
    assert_eq!(client.sent(), ["PUBLISH d1 q1 r0 m2 'two'"]);
    client.answer(PacketType::PubAck, 2, ReasonCode::Success);
    client.answer(PacketType::PubAck, 3, ReasonCode::Success);
    assert_eq!(client.sent(), ["PUBLISH d1 q1 r0 m3 'three'", "PUBLISH d0 q1 r0 m4 'four'"]);
}

#[test]
// covers: [MQTT-4.3.3-13]
fn mqtt5_4_3_3_7_what_was_sent_does_not_expire() {
    let mut client = Client::connected(lasting(Version::V5), &[]);
    let properties = buffer(&[Property::MessageExpiryInterval(1)]);
    for qos in [1, 2, 2] {
        let publish = Publish { properties: properties.as_properties(), ..message(qos, "t") };
        client.session.publish(&publish).expect("sent");
    }
    client.answer(PacketType::PubRec, 3, ReasonCode::Success);
    client.sent();
    client.session.connection_lost();
    client.now += Duration::from_secs(1_000);
    client.connect(true, &[]);
    assert_eq!(client.sent(), ["PUBREL 3 0x00", "PUBLISH d1 q1 r0 m1 't'", "PUBLISH d1 q2 r0 m2 't'"]);
}

#[test]
fn what_the_next_server_does_not_take_is_given_up() {
    let mut client = Client::connected(lasting(Version::V5), &[]);
    for (qos, topic) in [(1, "a/long/topic"), (2, "another/long/topic"), (1, "t")] {
        client.publish(qos, topic).expect("sent");
    }
    client.sent();
    client.session.connection_lost();
    assert_eq!(
        client.connect(true, &[Property::MaximumPacketSize(12)]),
        ["connected, session present true", "published 1 NotSent(TooLarge)", "published 2 NotSent(TooLarge)"]
    );
    assert_eq!(client.sent(), ["PUBLISH d1 q1 r0 m3 't'"]);
}

#[test]
fn messages_that_were_never_sent_wait_for_the_next_connection() {
    let mut client = Client::new(options(Version::V5));
    client.publish(0, "zero").expect("kept");
    client.publish(1, "one").expect("kept");
    let events = client.connect(false, &[]);
    assert!(events.contains(&"published 1 Sent".into()), "{events:?}");
    assert_eq!(client.sent(), ["PUBLISH d0 q0 r0 m0 'zero'", "PUBLISH d0 q1 r0 m1 'one'"]);
}

#[test]
fn the_order_of_events_is_connected_first() {
    let mut client = Client::new(options(Version::V5));
    client.publish(0, "zero").expect("kept");
    assert_eq!(client.connect(false, &[]), ["connected, session present false", "published 1 Sent"]);
}
