//! The session that a later process puts together again.

use super::*;

fn told(version: Version) -> ConnectOptions {
    ConnectOptions { session_known: true, send_anew: true, report_progress: true, ..lasting(version) }
}

fn progress(client: &mut Client) -> Vec<String> {
    core::iter::from_fn(|| client.session.poll_progress())
        .map(|progress| match progress {
            Progress::Sent { token, packet_id } => format!("{} sent as {}", token.0, packet_id.value()),
            Progress::Released { token } => format!("{} released", token.0),
            Progress::Forgotten => "forgotten".to_owned(),
        })
        .collect()
}

/// What an earlier process had in flight: identifier 7 (QoS 2, released), 9 (QoS 2), 10 (QoS 1).
fn restored(options: ConnectOptions) -> Client {
    let mut client = Client::new(options);
    for (packet_id, qos, topic, is_released) in [(7, 2, "seven", true), (9, 2, "nine", false), (10, 1, "ten", false)] {
        let publish = Publish { packet_id: Some(id(packet_id)), ..message(qos, topic) };
        assert!(client.session.restore(&publish, is_released).is_some(), "{topic}");
    }
    client.publish(2, "new").expect("room");
    assert_eq!(client.session.unfinished(), 4);
    client
}

#[test]
fn each_step_is_told_once_and_in_order() {
    for version in VERSIONS {
        let mut client = Client::new(told(version));
        client.publish(2, "a").expect("room");
        assert_eq!(progress(&mut client), [""; 0], "it is not sent yet");
        client.connect(true, &[]);
        client.publish(1, "b").expect("room");
        client.publish(0, "c").expect("room");
        assert_eq!(progress(&mut client), ["1 sent as 1", "2 sent as 2"]);
        client.answer(PacketType::PubRec, 1, ReasonCode::Success);
        client.answer(PacketType::PubRec, 1, ReasonCode::Success);
        assert_eq!(progress(&mut client), ["1 released"]);
        client.session.connection_lost();
        client.connect(true, &[]);
        assert_eq!(progress(&mut client), [""; 0], "the same once more is no progress");
    }
    let mut client = Client::connected(lasting(Version::V5), &[]);
    client.publish(2, "a").expect("room");
    assert_eq!(progress(&mut client), [""; 0], "nobody wants to know");
}

#[test]
// covers: [MQTT-4.4.0-1] [MQTT311-4.4.0-1] [MQTT-4.1.0-1] [MQTT311-4.1.0-1]
fn mqtt5_4_4_0_1_a_restored_session_goes_on_with_its_identifiers() {
    for version in VERSIONS {
        let mut client = restored(told(version));
        client.connect(true, &[]);
        let sent = client.sent();
        assert_eq!(
            sent,
            ["PUBREL 7 0x00", "PUBLISH d1 q2 r0 m9 'nine'", "PUBLISH d1 q1 r0 m10 'ten'", "PUBLISH d0 q2 r0 m11 'new'"]
        );
        assert_eq!(progress(&mut client), ["4 sent as 11"]);
        assert_eq!(client.answer(PacketType::PubComp, 7, ReasonCode::Success), ["published 1 0x00"]);
        client.answer(PacketType::PubRec, 9, ReasonCode::Success);
        assert_eq!(progress(&mut client), ["2 released"]);
        assert_eq!(client.answer(PacketType::PubComp, 9, ReasonCode::Success), ["published 2 0x00"]);
        assert_eq!(client.answer(PacketType::PubAck, 10, ReasonCode::Success), ["published 3 0x00"]);
        assert_eq!(client.session.unfinished(), 1);
    }
}

#[test]
fn a_restored_session_that_the_server_has_lost_is_sent_anew() {
    let anew = [
        "PUBLISH d0 q2 r0 m11 'seven'",
        "PUBLISH d0 q2 r0 m12 'nine'",
        "PUBLISH d0 q1 r0 m13 'ten'",
        "PUBLISH d0 q2 r0 m14 'new'",
    ];
    for version in [Version::V311, Version::V5] {
        let mut client = restored(told(version));
        client.connect(false, &[]);
        assert_eq!(client.sent(), anew);
        assert_eq!(
            progress(&mut client),
            ["forgotten", "1 sent as 11", "2 sent as 12", "3 sent as 13", "4 sent as 14"]
        );
        // A new session that this client wants is no other case.
        let mut client = restored(ConnectOptions { clean_start: true, ..told(version) });
        client.connect(false, &[]);
        assert_eq!(client.sent(), anew);
    }
}

#[test]
fn what_cannot_have_been_in_flight_is_not_restored() {
    let mut client = Client::new(told(Version::V5));
    let mut restore = |packet_id, qos, is_released| {
        let publish = Publish { packet_id: PacketId::new(packet_id), ..message(qos, "t") };
        client.session.restore(&publish, is_released).is_some()
    };
    assert!(!restore(0, 1, false), "it has no identifier");
    assert!(!restore(1, 0, false), "QoS 0");
    assert!(!restore(1, 1, true), "QoS 1 is not released");
    assert!(restore(2, 2, false));
    assert!(!restore(2, 2, false), "the identifier is in use");
    assert!(restore(65_535, 2, true));
    assert!(!restore(5, 2, false), "all identifiers from there to here would be in use");
    assert_eq!(client.session.unfinished(), 2);
    client.connect(true, &[]);
    let publish = Publish { packet_id: Some(id(1)), ..message(2, "t") };
    assert!(client.session.restore(&publish, false).is_none(), "the session has begun");
}

/// The bytes of a message count until its end, and no longer.
#[test]
fn a_restored_message_has_its_room() {
    let mut client = restored(ConnectOptions { queue_bytes_max: 2_000, ..told(Version::V5) });
    client.connect(true, &[]);
    for (packet, packet_id) in [
        (PacketType::PubComp, 7),
        (PacketType::PubRec, 9),
        (PacketType::PubComp, 9),
        (PacketType::PubAck, 10),
        (PacketType::PubRec, 11),
        (PacketType::PubComp, 11),
    ] {
        client.answer(packet, packet_id, ReasonCode::Success);
    }
    assert_eq!(client.session.core.stored_bytes, 0);
}
