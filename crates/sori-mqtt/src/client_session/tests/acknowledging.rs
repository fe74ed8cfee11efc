//! Acknowledgements that the caller gives.

use super::*;

fn caller_acknowledges(version: Version) -> Client {
    let mut client = Client::new(ConnectOptions { acknowledge_at_once: false, ..lasting(version) });
    client.connect(false, &[]);
    client
}

impl Client {
    fn delivery(&self, qos: u8, packet_id: u16) -> Delivery {
        let publish = Publish { packet_id: PacketId::new(packet_id), ..message(qos, "t") };
        Delivery::new(self.session.connection(), &publish).expect("not QoS 0")
    }

    fn acknowledge(&mut self, delivery: Delivery) -> Vec<String> {
        self.session.acknowledge(delivery, ReasonCode::Success).expect("legal");
        self.sent()
    }
}

#[test]
fn nothing_is_acknowledged_before_the_caller_does() {
    for version in VERSIONS {
        let mut client = caller_acknowledges(version);
        client.sent();
        assert_eq!(client.incoming(0, 0, "t"), ["message 0 't'"]);
        assert_eq!(client.incoming(1, 7, "t"), ["message 1 't'"]);
        assert_eq!(client.incoming(2, 8, "t"), ["message 2 't'"]);
        assert_eq!(client.sent(), [""; 0]);
        assert_eq!(client.acknowledge(client.delivery(1, 7)), ["PUBACK 7 0x00"]);
        assert_eq!(client.acknowledge(client.delivery(2, 8)), ["PUBREC 8 0x00"]);
        assert_eq!(client.acknowledge(client.delivery(2, 8)), [""; 0], "once is enough");
        client.answer(PacketType::PubRel, 8, ReasonCode::Success);
        assert_eq!(client.sent(), ["PUBCOMP 8 0x00"]);
    }
}

#[test]
// covers: [MQTT-4.6.0-3] [MQTT311-4.6.0-2] [MQTT311-4.6.0-3]
fn mqtt5_4_6_0_2_the_server_sees_its_own_order_whatever_the_caller_does() {
    for version in VERSIONS {
        let mut client = caller_acknowledges(version);
        client.sent();
        for (qos, packet_id) in [(1, 9), (2, 3), (1, 4), (2, 1)] {
            client.incoming(qos, packet_id, "t");
        }
        assert_eq!(client.acknowledge(client.delivery(1, 4)), [""; 0]);
        assert_eq!(client.acknowledge(client.delivery(2, 1)), [""; 0]);
        assert_eq!(client.acknowledge(client.delivery(1, 9)), ["PUBACK 9 0x00", "PUBACK 4 0x00"]);
        assert_eq!(client.acknowledge(client.delivery(2, 3)), ["PUBREC 3 0x00", "PUBREC 1 0x00"]);
    }
}

#[test]
fn after_a_reconnect_qos_1_comes_again_and_its_old_acknowledgement_counts_for_nothing() {
    let mut client = caller_acknowledges(Version::V311);
    client.incoming(1, 7, "t");
    let old = client.delivery(1, 7);
    client.session.connection_lost();
    client.connect(true, &[]);
    client.sent();
    assert_eq!(client.incoming(1, 7, "t"), ["message 1 't'"]);
    assert_eq!(client.acknowledge(old), [""; 0]);
    assert_eq!(client.acknowledge(client.delivery(1, 7)), ["PUBACK 7 0x00"]);
}

#[test]
// covers: [MQTT-4.3.3-10] [MQTT311-4.3.3-2]
fn after_a_reconnect_qos_2_is_no_second_delivery_and_the_acknowledgement_still_counts() {
    for answered_early in [true, false] {
        let mut client = caller_acknowledges(Version::V5);
        client.incoming(2, 7, "t");
        let delivery = client.delivery(2, 7);
        client.session.connection_lost();
        client.connect(true, &[]);
        client.sent();
        if answered_early {
            assert_eq!(client.acknowledge(delivery), [""; 0], "the server has not sent it again yet");
            assert_eq!(client.incoming(2, 7, "t"), [""; 0]);
            assert_eq!(client.sent(), ["PUBREC 7 0x00"]);
        } else {
            assert_eq!(client.incoming(2, 7, "t"), [""; 0]);
            assert_eq!(client.sent(), [""; 0]);
            assert_eq!(client.acknowledge(delivery), ["PUBREC 7 0x00"]);
        }
        // PUBREC is lost with the connection: the next repetition is answered at once.
        client.session.connection_lost();
        client.connect(true, &[]);
        client.sent();
        assert_eq!(client.incoming(2, 7, "t"), [""; 0]);
        assert_eq!(client.sent(), ["PUBREC 7 0x00"]);
    }
}

#[test]
// covers: [MQTT-4.3.3-9] [MQTT-3.4.2-1] [MQTT-3.5.2-1]
fn a_refusal_says_why_and_frees_the_identifier() {
    let mut client = caller_acknowledges(Version::V5);
    client.sent();
    client.incoming(2, 7, "t");
    let delivery = client.delivery(2, 7);
    client.session.acknowledge(delivery, ReasonCode::NotAuthorized).expect("legal");
    assert_eq!(client.sent(), ["PUBREC 7 0x87"]);
    assert_eq!(client.incoming(2, 7, "t"), ["message 2 't'"], "the identifier is new");
    let refused = client.session.acknowledge(client.delivery(2, 7), ReasonCode::KeepAliveTimeout);
    assert_eq!(refused, Err(RequestError::ReasonCode(ReasonCode::KeepAliveTimeout)));

    let mut old = caller_acknowledges(Version::V311);
    old.incoming(1, 7, "t");
    let refused = old.session.acknowledge(old.delivery(1, 7), ReasonCode::NotAuthorized);
    assert!(matches!(refused, Err(RequestError::Version5Only(_))));
}

#[test]
// covers: [MQTT-3.3.4-7] [MQTT-3.3.4-9]
fn more_unacknowledged_messages_than_the_receive_maximum_end_the_connection() {
    let options = ConnectOptions { acknowledge_at_once: false, receive_maximum: 2, ..lasting(Version::V5) };
    let mut client = Client::connected(options, &[]);
    client.incoming(1, 1, "t");
    client.incoming(2, 2, "t");
    assert_eq!(client.acknowledge(client.delivery(1, 1)), ["PUBACK 1 0x00"]);
    assert_eq!(client.incoming(1, 3, "t"), ["message 1 't'"]);
    let said = client.incoming(1, 4, "t");
    assert_eq!(said, ["error: the server broke the protocol: more messages in flight than the receive maximum"]);
}

#[test]
fn after_a_lost_session_messages_are_sent_anew_in_their_order() {
    for version in [Version::V311, Version::V5] {
        let mut client = Client::new(ConnectOptions { send_anew: true, in_flight_max: 2, ..lasting(version) });
        client.connect(false, &[]);
        client.sent();
        for topic in ["a", "b", "c"] {
            client.publish(1, topic).expect("room");
        }
        assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m1 'a'", "PUBLISH d0 q1 r0 m2 'b'"]);
        client.session.connection_lost();
        assert_eq!(client.connect(false, &[]), ["connected, session present false"]);
        assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m3 'a'", "PUBLISH d0 q1 r0 m4 'b'"]);
        client.answer(PacketType::PubAck, 3, ReasonCode::Success);
        assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m5 'c'"]);
        assert_eq!(client.session.unfinished(), 2);
    }
}

/// A server that publishes a QoS 2 message no earlier than PUBREL comes has lost it together with the session.
#[test]
fn what_the_server_had_not_completed_when_it_lost_the_session_is_sent_anew_too() {
    let mut client = Client::new(ConnectOptions { send_anew: true, ..lasting(Version::V5) });
    client.connect(false, &[]);
    for topic in ["a", "b", "c"] {
        client.publish(2, topic).expect("room");
    }
    client.answer(PacketType::PubRec, 2, ReasonCode::NoMatchingSubscribers);
    client.answer(PacketType::PubRec, 3, ReasonCode::Success);
    client.answer(PacketType::PubComp, 3, ReasonCode::Success);
    client.session.connection_lost();
    client.sent();
    assert_eq!(client.connect(false, &[]), ["connected, session present false"]);
    assert_eq!(client.sent(), ["PUBLISH d0 q2 r0 m4 'a'", "PUBLISH d0 q2 r0 m5 'b'"]);
    assert_eq!(client.session.unfinished(), 2);
}

#[test]
fn the_oldest_message_that_was_not_sent_makes_room() {
    let mut client = Client::new(options(Version::V5));
    assert!(!client.session.drop_oldest());
    client.publish(1, "a").expect("room");
    client.publish(0, "b").expect("room");
    assert!(client.session.drop_oldest());
    assert_eq!(client.events(), ["published 1 Dropped"]);
    client.connect(false, &[]);
    assert_eq!(client.sent(), ["PUBLISH d0 q0 r0 m0 'b'"]);
}

#[test]
fn a_session_can_go_on_in_an_older_version() {
    let mut client = Client::new(options(Version::V5));
    client.publish(1, "plain").expect("legal");
    let properties = buffer(&[Property::ContentType("text")]);
    client.session.publish(&Publish { properties: properties.as_properties(), ..message(1, "rich") }).expect("legal");
    client.session.set_version(Version::V311).expect("legal");
    let said = client.connect(false, &[]);
    assert_eq!(said[0], "connected, session present false");
    assert!(said[1].contains("NotSent(Version5Only"), "{said:?}");
    assert_eq!(client.sent(), ["PUBLISH d0 q1 r0 m1 'plain'"]);
    let mut nameless = ClientSession::new(ConnectOptions::default()).expect("legal");
    assert_eq!(nameless.set_version(Version::V31), Err(OptionError::ClientIdMissing));
    assert_eq!(nameless.version(), Version::V5);
}

#[test]
fn the_output_can_be_taken_whole_and_a_pause_in_reading_is_no_silence_of_the_server() {
    let mut client = Client::new(ConnectOptions { keep_alive: 10, ..options(Version::V5) });
    client.connect(false, &[]);
    client.session.written(usize::MAX);
    client.now += Duration::from_secs(10);
    client.session.handle_timeout(client.now).expect("a ping");
    let mut taken = Vec::from(*b"old");
    client.session.take_output(&mut taken);
    assert_eq!((taken.as_slice(), client.session.output()), (&[0xC0, 0][..], &[][..]));
    client.now += Duration::from_secs(9);
    client.session.not_reading(client.now);
    client.now += Duration::from_secs(9);
    client.session.handle_timeout(client.now).expect("still patient");
    client.now += Duration::from_secs(2);
    assert_eq!(client.session.handle_timeout(client.now), Err(ConnectionError::Timeout(PacketType::PingResp)));
}

#[test]
fn what_is_left_holds_nothing_up_and_comes_again() {
    for (version, qos) in [(Version::V311, 1), (Version::V311, 2), (Version::V5, 1), (Version::V5, 2)] {
        let name = if qos == 1 { "PUBACK" } else { "PUBREC" };
        let mut client = caller_acknowledges(version);
        client.sent();
        client.incoming(qos, 1, "t");
        client.incoming(qos, 2, "t");
        assert_eq!(client.acknowledge(client.delivery(qos, 2)), [""; 0]);
        client.session.leave(client.delivery(qos, 1));
        assert_eq!(client.sent(), [format!("{name} 2 0x00")]);
        client.session.connection_lost();
        client.connect(true, &[]);
        client.sent();
        assert_eq!(client.incoming(qos, 1, "t"), [format!("message {qos} 't'")]);
        assert_eq!(client.acknowledge(client.delivery(qos, 1)), [format!("{name} 1 0x00")]);
    }
}

#[test]
fn held_messages_wait_for_the_subscriptions() {
    let mut client = Client::new(options(Version::V5));
    client.session.hold_messages(true);
    client.publish(1, "a").expect("room");
    client.connect(false, &[]);
    client.publish(0, "b").expect("room");
    assert_eq!(client.sent(), [""; 0]);
    let filter = TopicFilter::new("a").expect("legal");
    client.session.subscribe(&[(filter, SubscribeOptions::default())], Properties::EMPTY).expect("connected");
    client.session.hold_messages(false);
    assert_eq!(client.sent(), ["SUBSCRIBE 1 a:0x0", "PUBLISH d0 q1 r0 m2 'a'", "PUBLISH d0 q0 r0 m0 'b'"]);
}

#[test]
fn before_version_5_no_receive_maximum_is_demanded_of_a_server() {
    let options = ConnectOptions { acknowledge_at_once: false, receive_maximum: 1, ..lasting(Version::V311) };
    let mut client = Client::connected(options, &[]);
    for packet_id in 1..=3 {
        assert_eq!(client.incoming(1, packet_id, "t"), ["message 1 't'"]);
        assert_eq!(client.incoming(2, packet_id + 3, "t"), ["message 2 't'"]);
    }
}
