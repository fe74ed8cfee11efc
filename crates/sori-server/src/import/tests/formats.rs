//! Files made up field by field: what the real ones do not happen to hold.

use super::encoder::{Delivery, Encoder, Machine};
use super::{import, outline};
use crate::import::{ImportFault, InflightState};

const OUTGOING: Delivery<'static> = Delivery {
    client_id: "client",
    message: 1,
    packet_id: 5,
    qos: 1,
    retain: false,
    dup: false,
    direction: 1,
    state: 3,
    properties: &[],
};
const QUEUED: Delivery<'static> = Delivery { packet_id: 0, state: 11, ..OUTGOING };
const INCOMING: Delivery<'static> = Delivery { qos: 2, direction: 0, state: 7, ..OUTGOING };

/// With one client, and one message whose number is 1.
fn encoder(version: u32) -> Encoder {
    let mut encoder = Encoder::new(version);
    encoder.configuration(8);
    encoder.message(1, b"a/b", b"payload", 1, false);
    encoder.client("client", "", 9, u32::MAX, 0);
    encoder
}

fn outline_of(encoder: &Encoder) -> String {
    outline(&import(&encoder.bytes).expect("the file is in order"))
}

fn error_of(encoder: &Encoder) -> String {
    import(&encoder.bytes).expect_err("the file is not in order").to_string()
}

#[test]
fn each_version_holds_each_kind_of_chunk() {
    for version in 2..=6 {
        let mut encoder = Encoder::new(version);
        encoder.configuration(8);
        encoder.message(3, b"a/b", b"both", 2, true);
        encoder.message_with(4, b"c", b"", 0, false, 4_000_000_000, b"\x05\x26\x00\x00\x00\x00");
        encoder.client("client", "user", 9, 3600, 3_000_000_000);
        encoder.delivery(Delivery { message: 3, qos: 2, state: 5, dup: true, retain: true, ..OUTGOING });
        encoder.delivery(Delivery { message: 4, qos: 0, properties: b"\x04\x0B\x02\x0B\x03", ..QUEUED });
        encoder.delivery(Delivery { message: 3, packet_id: 77, ..INCOMING });
        encoder.subscription("client", b"a/#", 2 | 4 | 8, 12);
        encoder.retained(3);
        let is_new = version >= 5;
        let expected = format!(
            "session client{} {} last 9\n  filter a/# q2{}\n  PUBLISH 5 dup q2 retain: a/b \"both\" q2 retain\n  \
             queued q0{}: c \"\" q0{}\n  incoming 77 a/b \"both\" q2 retain\nretained a/b \"both\" q2 retain\n",
            if version == 6 { " of user" } else { "" },
            if is_new { "for 3600" } else { "for ever" },
            if is_new { " no-local as-published identifier 12" } else { "" },
            if is_new { " identifier 2 identifier 3" } else { "" },
            if is_new { " expires UserProperty(\"\", \"\")" } else { "" },
        );
        assert_eq!(outline_of(&encoder), expected, "version {version}");
        let session = &import(&encoder.bytes).expect("the file is in order").sessions[0];
        let moments = (session.disconnected_at_unix_millis, session.ends_at_unix_millis);
        let expected = match version {
            2 => (None, None),
            3 | 4 => (Some(3_000_000_000_000), None),
            _ => (None, Some(3_000_000_000_000)),
        };
        assert_eq!(moments, expected, "version {version}");
    }
}

#[test]
fn files_of_other_machines_hold_the_same() {
    for version in 3..=6 {
        for big_endian in [false, true] {
            for (time_width, alignment) in [(8, 8), (4, 4)] {
                // The byte order of a short time cannot be told from its bytes; such machines were little-endian.
                let moment = if time_width == 4 && big_endian && version < 5 { 0 } else { 1_600_000_000 };
                let mut encoder = Encoder::of(version, Machine { big_endian, time_width, alignment });
                encoder.configuration(8);
                encoder.client("client", "user", 9, 3600, moment);
                encoder.message_with(1, b"a", b"x", 1, false, 1_600_000_001, b"");
                encoder.delivery(QUEUED);
                let imported = import(&encoder.bytes).expect("the file is in order");
                let session = &imported.sessions[0];
                let told = session.ends_at_unix_millis.or(session.disconnected_at_unix_millis);
                assert_eq!(told, (moment > 0).then_some(1_600_000_000_000));
                let message = &session.queued[0].message;
                assert_eq!(message.expires_unix_millis, (version >= 5).then_some(1_600_000_001_000));
                assert_eq!((message.topic.as_str(), &message.payload[..]), ("a", &b"x"[..]));
            }
        }
    }
}

#[test]
fn each_state_is_queued_sent_or_released() {
    for version in [3, 6] {
        for qos in 0..=2 {
            for state in 0..=u8::MAX {
                let mut encoder = encoder(version);
                encoder.delivery(Delivery { qos, state, ..OUTGOING });
                let Ok(imported) = import(&encoder.bytes) else {
                    assert!(state == 0 || state > 11, "state {state} with QoS {qos}");
                    continue;
                };
                let session = &imported.sessions[0];
                let waits_for = session.inflight.first().map(|entry| entry.state);
                let expected = match (state, qos) {
                    (11, _) | (_, 0) => None,
                    (6 | 9, 2) => Some(InflightState::PubRel),
                    _ => Some(InflightState::Publish),
                };
                assert_eq!(waits_for, expected, "state {state} with QoS {qos}");
                assert_eq!(session.queued.len() + session.inflight.len(), 1);
            }
        }
    }
}

#[test]
fn the_order_of_the_file_is_the_order_of_the_queue() {
    let mut encoder = encoder(6);
    for id in 10..200_u64 {
        encoder.message(id, format!("{id}").as_bytes(), b"", 1, false);
        // The number of a message says nothing about its place: they are queued backwards here.
        encoder.delivery(Delivery { message: 209 - id, ..QUEUED });
    }
    let imported = import(&encoder.bytes).expect("the file is in order");
    let topics: Vec<_> = imported.sessions[0].queued.iter().map(|delivery| delivery.message.topic.clone()).collect();
    // Before message 105 has come, its delivery has nothing to refer to.
    let expected: Vec<_> = (10..=104_u64).rev().map(|id| id.to_string()).collect();
    assert_eq!(topics, expected);
    assert_eq!(imported.remarks.len(), 1);
    assert!(imported.remarks[0].starts_with("95 times, first at byte "), "{}", imported.remarks[0]);
}

#[test]
fn a_message_in_flight_without_a_free_packet_identifier_is_queued() {
    for version in [4, 6] {
        let mut encoder = encoder(version);
        encoder.delivery(OUTGOING);
        encoder.delivery(OUTGOING);
        encoder.delivery(Delivery { packet_id: 0, ..OUTGOING });
        encoder.delivery(INCOMING);
        encoder.delivery(INCOMING);
        encoder.delivery(Delivery { packet_id: 0, ..INCOMING });
        let outline = outline_of(&encoder);
        let (lines, remarks) = outline.split_once("remark ").expect("there are remarks");
        assert_eq!(
            lines,
            "session client for ever last 9\n  PUBLISH 5 q1: a/b \"payload\" q1\n  queued q1: a/b \"payload\" q1\n  \
             queued q1: a/b \"payload\" q1\n  incoming 5 a/b \"payload\" q1\n"
        );
        assert!(remarks.contains("whose packet identifier is taken"), "{remarks}");
        assert!(remarks.contains("without a packet identifier, left out"), "{remarks}");
    }
}

#[test]
fn the_last_subscription_and_the_last_retained_message_count() {
    let mut encoder = encoder(6);
    encoder.message(2, b"a/b", b"later", 0, true);
    encoder.subscription("client", b"x", 0, 1);
    encoder.subscription("client", b"y", 0, 2);
    encoder.subscription("client", b"x", 1, 3);
    encoder.retained(1);
    encoder.retained(2);
    assert_eq!(
        outline_of(&encoder),
        "session client for ever last 9\n  filter y q0 identifier 2\n  filter x q1 identifier 3\n\
         retained a/b \"later\" q0 retain\n"
    );
}

/// What can be read but means nothing to MQTT is left out, and the rest is taken.
#[test]
fn what_mqtt_does_not_allow_is_left_out() {
    for version in [2, 3, 4, 5, 6] {
        let mut encoder = encoder(version);
        for topic in [&b""[..], b"with/#", b"not \xFF utf-8", b"nul\0"] {
            encoder.message(7, topic, b"", 1, false);
            encoder.delivery(Delivery { message: 7, ..QUEUED });
            encoder.retained(7);
        }
        for filter in [&b""[..], b"a#", b"not \xFF utf-8", b"$share//x"] {
            encoder.subscription("client", filter, 1, 0);
        }
        encoder.client("", "", 1, 0, 0);
        encoder.subscription("", b"x", 1, 0);
        encoder.chunk(77, b"from the future");
        encoder.delivery(QUEUED);
        let outline = outline_of(&encoder);
        let (lines, remarks) = outline.split_once("remark ").expect("there are remarks");
        assert_eq!(lines, "session client for ever last 9\n  queued q1: a/b \"payload\" q1\n");
        for remark in [
            "chunk of an unknown kind",
            "2 times, first at byte",
            "4 times, first at byte",
            "client without a legal client identifier",
            "message whose topic is not a topic name",
            "subscription whose filter is not a topic filter",
            "8 times, first at byte",
            "delivery of a message that Mosquitto did not save",
        ] {
            assert!(remarks.contains(remark), "{remark}: {remarks}");
        }
    }
}

#[test]
fn a_client_without_a_session_gets_one() {
    let mut encoder = encoder(6);
    encoder.subscription("lost", b"x", 1, 0);
    encoder.delivery(Delivery { client_id: "lost", ..QUEUED });
    let outline = outline_of(&encoder);
    assert!(outline.contains("session lost for ever\n  filter x q1\n  queued q1: a/b"), "{outline}");
    assert!(outline.contains("imported as one that never expires"), "{outline}");
}

#[test]
fn a_client_that_comes_after_its_entries_keeps_them() {
    let mut encoder = Encoder::new(6);
    encoder.subscription("client", b"x", 1, 0);
    encoder.client("client", "user", 9, 60, 0);
    assert!(outline_of(&encoder).starts_with("session client of user for 60 last 9\n  filter x q1\n"));
}

#[test]
fn an_empty_file_holds_nothing() {
    let imported = import(b"").expect("Mosquitto takes it too");
    assert!(imported.sessions.is_empty() && imported.retained.is_empty());
    assert_eq!(imported.remarks, ["once, at byte 0: empty file: there was nothing to import"]);
    assert_eq!(outline_of(&Encoder::new(6)), "");
}

#[test]
fn a_foreign_file_is_refused() {
    for foreign in [&b"x"[..], b"per_listener_settings true\n", b"\x00\xB5\x00mosquitto DB\0\0\0\0\0\0\0\x06"] {
        let error = import(foreign).expect_err("it is not Mosquitto's");
        assert!(matches!(error.fault(), ImportFault::Foreign), "{error}");
    }
}

#[test]
fn a_version_that_is_not_known_is_refused() {
    for version in [0, 1, 7, 0x0600_0000, u32::MAX] {
        let error = import(&Encoder::new(version).bytes).expect_err("not known");
        assert!(matches!(error.fault(), ImportFault::Unsupported(_)), "{error}");
        assert!(error.to_string().starts_with("mosquitto.db: cannot be imported: its format version is"), "{error}");
        assert!(error.to_string().contains("a newer sori may read it") == (version > 6), "{error}");
    }
}

#[test]
fn a_value_that_mosquitto_does_not_write_is_refused_with_its_place() {
    for version in 2..=6 {
        let start = encoder(version).bytes.len() + if version < 5 { 6 } else { 8 };
        let check = |spoil: &dyn Fn(&mut Encoder), what: &str| {
            let mut encoder = encoder(version);
            spoil(&mut encoder);
            let error = error_of(&encoder);
            assert!(error.starts_with("mosquitto.db: is damaged at byte "), "{error}");
            assert!(error.contains(what), "{what}: {error}");
            let place = error.trim_start_matches(|letter: char| !letter.is_ascii_digit());
            let place = place.split(':').next().and_then(|place| place.parse().ok());
            assert!(place.is_some_and(|place: usize| place >= start && place <= encoder.bytes.len()), "{error}");
        };
        check(&|encoder| encoder.message(2, b"a", b"", 3, false), "QoS 3 does not exist");
        check(&|encoder| encoder.delivery(Delivery { qos: 3, ..QUEUED }), "QoS 3 does not exist");
        check(&|encoder| encoder.delivery(Delivery { direction: 2, ..QUEUED }), "in the direction 2");
        check(&|encoder| encoder.delivery(Delivery { state: 12, ..QUEUED }), "in the state 12");
        check(&|encoder| encoder.subscription("client", b"a", 3, 0), "QoS 3 does not exist");
        check(&|encoder| encoder.configuration(4), "numbered with 4 bytes");
        check(&|encoder| encoder.chunk(4, b"123456789"), "1 bytes are left over");
        check(&|encoder| encoder.chunk(4, b"1234567"), "8 bytes wanted, 7 left");
        for kind in 1..=6 {
            check(&|encoder| encoder.chunk(kind, b""), "is too short");
        }
        if version == 2 {
            continue;
        }
        check(&|encoder| encoder.client("late", "", 0, 1, SECONDS_OF_YEAR_10000), "no time between 1970 and 9999");
        if version < 5 {
            check(&|encoder| encoder.chunk(6, b"\x00\x01x\x00\x00abc"), "no time between");
            continue;
        }
        check(&|encoder| encoder.chunk(1, &[8; 13]), "does not have the length of its parts");
        check(&|encoder| encoder.message_with(2, b"a", b"", 1, false, 0, b"\x02\x01"), "properties that MQTT");
        check(&|encoder| encoder.message_with(2, b"a", b"", 1, false, 0, b"\x00\x01"), "length is too small");
        check(&|encoder| encoder.delivery(Delivery { properties: b"\x02\x0B\x00", ..QUEUED }), "properties that MQTT");
    }
}

const SECONDS_OF_YEAR_10000: u64 = 0x1234_5678_9ABC_DEF0;

/// The error says it all: which file, where, what is wrong, what to do.
#[test]
fn an_error_is_a_sentence_for_the_operator() {
    let mut encoder = encoder(6);
    encoder.bytes.truncate(encoder.bytes.len() - 1);
    let start = encoder.boundaries[2] + 8;
    assert_eq!(
        error_of(&encoder),
        format!(
            "mosquitto.db: is damaged at byte {start}: the file ends within client chunk of 30 bytes, of which 29 are \
             there. Nothing was imported; put back a good copy. To start without what it holds, move it away"
        )
    );
}
