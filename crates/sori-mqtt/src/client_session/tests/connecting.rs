//! CONNECT, CONNACK, DISCONNECT.

use alloc::vec;

use super::*;

/// The CONNECT of these options.
fn connect_bytes(options: ConnectOptions) -> Vec<u8> {
    let mut client = Client::new(options);
    client.session.connect(client.now).expect("idle");
    client.session.output().to_vec()
}

fn refused(options: ConnectOptions) -> OptionError {
    ClientSession::new(options).expect_err("not legal")
}

#[test]
// covers: [MQTT311-3.1.0-1]
fn mqtt5_3_1_0_1_connect_comes_first() {
    for version in VERSIONS {
        let mut client = Client::new(options(version));
        client.publish(1, "early").expect("kept");
        assert_eq!(client.session.output(), b"", "nothing before CONNECT");
        client.session.connect(client.now).expect("idle");
        assert_eq!(client.sent(), ["CONNECT"]);
        client.publish(1, "early").expect("kept");
        assert_eq!(client.session.output(), b"", "nothing before CONNACK");
    }
}

#[test]
// covers: [MQTT-3.1.2-12] [MQTT-3.1.3-3] [MQTT-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19] [MQTT-2.2.2-1] [MQTT-2.1.3-1]
fn mqtt5_3_1_3_1_every_field_in_its_order() {
    let will = WillOptions {
        topic: "w".into(),
        payload: b"W".to_vec(),
        qos: QoS::ExactlyOnce,
        retain: true,
        ..WillOptions::default()
    };
    let bytes = connect_bytes(ConnectOptions {
        will: Some(will),
        user_name: Some("u".into()),
        password: Some(b"p".to_vec()),
        clean_start: false,
        ..options(Version::V5)
    });
    let expected = [
        &[0x10, 28][..],
        b"\0\x04MQTT\x05",
        &[0b1111_0100, 0, 60, 0],
        b"\0\x02me",
        b"\0",
        b"\0\x01w\0\x01W\0\x01u\0\x01p",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
// covers: [MQTT311-3.1.3-3] [MQTT311-3.1.2-9] [MQTT311-3.1.2-19] [MQTT311-3.1.2-21] [MQTT311-3.1.2-14]
fn mqtt311_3_1_3_1_every_field_in_its_order() {
    let will =
        WillOptions { topic: "w".into(), payload: b"W".to_vec(), qos: QoS::AtLeastOnce, ..WillOptions::default() };
    let with_everything = |version| ConnectOptions {
        will: Some(will.clone()),
        user_name: Some("u".into()),
        password: Some(b"p".to_vec()),
        ..options(version)
    };
    let fields = b"\0\x02me\0\x01w\0\x01W\0\x01u\0\x01p";
    let expected = [&[0x10, 26][..], b"\0\x04MQTT\x04", &[0b1100_1110, 0, 60], fields].concat();
    assert_eq!(connect_bytes(with_everything(Version::V311)), expected);
    let expected = [&[0x10, 28][..], b"\0\x06MQIsdp\x03", &[0b1100_1110, 0, 60], fields].concat();
    assert_eq!(connect_bytes(with_everything(Version::V31)), expected);
}

#[test]
// covers: [MQTT-3.1.2-13] [MQTT-3.1.2-16] [MQTT-3.1.2-18] [MQTT311-3.1.2-11] [MQTT311-3.1.2-13] [MQTT311-3.1.2-15]
// covers: [MQTT311-3.1.2-18] [MQTT311-3.1.2-20]
fn mqtt5_3_1_2_11_without_will_user_and_password_no_flag_and_no_field() {
    assert_eq!(connect_bytes(options(Version::V5)), b"\x10\x0f\0\x04MQTT\x05\x02\0\x3c\0\0\x02me");
    assert_eq!(connect_bytes(options(Version::V311)), b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02me");
}

#[test]
fn mqtt5_3_1_2_19_a_password_needs_no_user_name() {
    let bytes = connect_bytes(ConnectOptions { password: Some(b"p".to_vec()), ..options(Version::V5) });
    assert_eq!(bytes[9], 0b0100_0010);
    assert!(bytes.ends_with(b"\0\x01p"));
}

#[test]
fn mqtt311_3_1_2_22_a_password_needs_a_user_name() {
    for version in [Version::V31, Version::V311] {
        let alone = ConnectOptions { password: Some(b"p".to_vec()), ..options(version) };
        assert_eq!(refused(alone), OptionError::PasswordWithoutUserName);
    }
}

#[test]
fn mqtt311_3_1_3_7_an_empty_client_id_needs_clean_session() {
    let nameless = |version, clean_start| ConnectOptions { version, clean_start, ..ConnectOptions::default() };
    assert_eq!(refused(nameless(Version::V311, false)), OptionError::ClientIdMissing);
    assert_eq!(refused(nameless(Version::V31, true)), OptionError::ClientIdMissing);
    assert!(ClientSession::new(nameless(Version::V311, true)).is_ok());
    assert!(ClientSession::new(nameless(Version::V5, false)).is_ok());
}

#[test]
// covers: [MQTT-3.1.3-11] [MQTT-3.1.3-12] [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT311-1.5.3-1] [MQTT311-1.5.3-2]
// covers: [MQTT311-3.1.3-4] [MQTT311-3.1.3-10] [MQTT311-3.1.3-11]
fn mqtt5_3_1_3_4_strings_are_legal() {
    let long = "x".repeat(65_536);
    for version in VERSIONS {
        let cases = [
            ConnectOptions { client_id: "a\0".into(), ..options(version) },
            ConnectOptions { client_id: long.clone(), ..options(version) },
            ConnectOptions { user_name: Some("a\0".into()), ..options(version) },
            ConnectOptions { user_name: Some("u".into()), password: Some(vec![0; 65_536]), ..options(version) },
        ];
        for case in cases {
            assert!(matches!(refused(case), OptionError::Field(_)));
        }
        for topic in ["", "a/+", "#", "\0", &long] {
            let will = WillOptions { topic: topic.into(), ..WillOptions::default() };
            let error = TopicName::new(topic).expect_err("no topic name");
            assert_eq!(refused(ConnectOptions { will: Some(will), ..options(version) }), OptionError::WillTopic(error));
        }
    }
}

#[test]
fn properties_in_the_wrong_place_are_refused() {
    let with = |property| ConnectOptions { properties: buffer(&[property]), ..options(Version::V5) };
    assert!(matches!(refused(with(Property::TopicAlias(1))), OptionError::Property(_)));
    assert!(ClientSession::new(with(Property::RequestProblemInformation(false))).is_ok());
    let twice = ConnectOptions { session_expiry_interval: 1, ..with(Property::SessionExpiryInterval(2)) };
    assert!(matches!(refused(twice), OptionError::Property(_)));
    let will =
        WillOptions { topic: "w".into(), properties: buffer(&[Property::TopicAlias(1)]), ..WillOptions::default() };
    let with_will = ConnectOptions { will: Some(will), ..options(Version::V5) };
    assert!(matches!(refused(with_will), OptionError::Property(_)));
    assert!(matches!(refused(ConnectOptions { receive_maximum: 0, ..options(Version::V5) }), OptionError::Zero(_)));
    assert!(matches!(refused(ConnectOptions { maximum_packet_size: 0, ..options(Version::V5) }), OptionError::Zero(_)));
    let old = ConnectOptions { properties: buffer(&[Property::UserProperty("a", "b")]), ..options(Version::V311) };
    assert!(matches!(refused(old), OptionError::Version5Only(_)));
}

#[test]
fn connect_tells_the_own_limits() {
    let bytes = connect_bytes(ConnectOptions {
        session_expiry_interval: 5,
        receive_maximum: 7,
        maximum_packet_size: 1_000,
        topic_alias_maximum: 3,
        ..options(Version::V5)
    });
    // Property length 16, then one after the other.
    let properties = b"\x10\x11\0\0\0\x05\x21\0\x07\x27\0\0\x03\xE8\x22\0\x03";
    assert!(bytes.windows(properties.len()).any(|window| window == properties), "{bytes:x?}");
}

#[test]
// covers: [MQTT311-3.1.2-6]
fn mqtt5_3_2_2_4_session_present_without_a_session_here_ends_the_connection() {
    for version in [Version::V311, Version::V5] {
        for clean_start in [true, false] {
            let mut client = Client::new(ConnectOptions { clean_start, ..lasting(version) });
            let events = client.connect(true, &[]);
            assert!(events[0].contains("a session which does not exist here"), "{events:?}");
            assert!(!client.session.is_open());
        }
        let mut known = Client::new(ConnectOptions { session_known: true, ..lasting(version) });
        assert_eq!(known.connect(true, &[]), ["connected, session present true"]);
    }
}

#[test]
fn mqtt5_4_13_2_1_a_refusal_means_close() {
    for (version, bytes, text) in [
        (Version::V5, &[0x20, 3, 0, 0x87, 0][..], "not authorized"),
        (Version::V311, &[0x20, 2, 0, 5], "not authorized"),
        (Version::V31, &[0x20, 2, 0, 2], "client identifier not valid"),
    ] {
        let mut client = Client::new(options(version));
        client.session.connect(client.now).expect("idle");
        client.sent();
        let events = client.feed_bytes(bytes);
        assert!(events[0].starts_with("error: the server refused") && events[0].contains(text), "{events:?}");
        assert!(!client.session.is_open());
        assert_eq!(client.sent(), [""; 0]);
        client.session.connection_lost();
        assert_eq!(client.connect(false, &[]), ["connected, session present false"], "another try");
    }
}

#[test]
fn the_refusal_says_why() {
    let mut client = Client::new(options(Version::V5));
    client.session.connect(client.now).expect("idle");
    let properties = buffer(&[Property::ReasonString("full"), Property::ServerReference("other")]);
    let (session_present, reason_code) = (false, ReasonCode::UseAnotherServer);
    let connack = ConnAck { session_present, reason_code, properties: properties.as_properties() };
    assert_eq!(
        client.feed(&Packet::ConnAck(connack)),
        ["error: the server refused the connection: use another server (full), it names other"]
    );
}

#[test]
fn mqtt5_3_1_3_2_an_assigned_client_id_is_used_from_then_on() {
    let mut client = Client::connected(
        ConnectOptions { client_id: String::new(), ..lasting(Version::V5) },
        &[Property::AssignedClientIdentifier("given")],
    );
    assert_eq!(client.session.client_id(), "given");
    client.session.connection_lost();
    client.session.connect(client.now).expect("idle");
    assert!(client.session.output().windows(7).any(|bytes| bytes == b"\0\x05given"));
}

#[test]
// covers: [MQTT-3.14.4-2] [MQTT311-3.14.4-1] [MQTT311-3.14.4-2]
fn mqtt5_3_14_4_1_nothing_after_disconnect() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        client
            .session
            .disconnect(&Disconnect { reason_code: ReasonCode::Success, properties: Properties::EMPTY })
            .expect("connected");
        assert!(!client.session.is_open(), "the caller closes");
        client.publish(1, "late").expect("kept for the next connection");
        assert_eq!(client.incoming(1, 1, "late"), [""; 0]);
        assert_eq!(client.session.subscribe(&[], Properties::EMPTY), Err(RequestError::NotConnected));
        assert_eq!(client.session.deadline(), None);
        assert_eq!(client.session.handle_timeout(client.now * 2), Ok(()));
        assert_eq!(client.sent(), ["DISCONNECT 0x00"]);
    }
}

#[test]
// covers: [MQTT-3.14.1-1]
fn mqtt5_3_14_2_1_only_reason_codes_of_a_client() {
    let mut client = Client::connected(options(Version::V5), &[]);
    let with = |reason_code| Disconnect { reason_code, properties: Properties::EMPTY };
    let error = RequestError::ReasonCode(ReasonCode::ServerShuttingDown);
    assert_eq!(client.session.disconnect(&with(ReasonCode::ServerShuttingDown)), Err(error));
    assert_eq!(client.session.disconnect(&with(ReasonCode::DisconnectWithWill)), Ok(()));
    assert_eq!(client.session.output(), [0xE0, 1, 4]);
    let mut old = Client::connected(options(Version::V311), &[]);
    assert!(old.session.disconnect(&with(ReasonCode::DisconnectWithWill)).is_err());
}

#[test]
// covers: [MQTT-3.14.2-4]
fn mqtt5_3_14_2_3_reason_string_is_left_out_if_it_does_not_fit() {
    let mut client = Client::connected(lasting(Version::V5), &[Property::MaximumPacketSize(12)]);
    let properties = buffer(&[Property::ReasonString("tired"), Property::SessionExpiryInterval(9)]);
    let (reason_code, properties) = (ReasonCode::Success, properties.as_properties());
    client.session.disconnect(&Disconnect { reason_code, properties }).expect("connected");
    assert_eq!(client.session.output(), [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9]);
}

#[test]
fn session_expiry_cannot_be_added_at_the_end() {
    let mut client = Client::connected(options(Version::V5), &[]);
    let properties = buffer(&[Property::SessionExpiryInterval(9)]);
    let (reason_code, properties) = (ReasonCode::Success, properties.as_properties());
    assert_eq!(client.session.disconnect(&Disconnect { reason_code, properties }), Err(RequestError::SessionExpiry));
    assert!(client.session.is_open());
}

#[test]
fn the_server_says_goodbye() {
    let mut client = Client::connected(options(Version::V5), &[]);
    assert_eq!(client.feed_bytes(&[0xE0, 1, 0x8E]), ["error: the server ended the connection: session taken over"]);
    assert!(!client.session.is_open());
    assert_eq!(client.session.output(), b"");
}

#[test]
fn connecting_twice_is_a_mistake_of_the_caller() {
    let mut client = Client::connected(options(Version::V5), &[]);
    assert_eq!(client.session.connect(client.now), Err(RequestError::AlreadyConnected));
    assert!(client.session.is_connected());
}
