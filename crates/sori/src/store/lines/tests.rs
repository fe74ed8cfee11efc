//! Lines there and back, and lines that are wrong.

use super::super::gathering::Gathering;
use super::*;
use sori_mqtt::{PacketId, Property, PropertyBuffer, QoS};
use sori_server::import::{Imported, ImportedDelivery, ImportedIncoming, ImportedInflight, ImportedWill};
use std::collections::BTreeMap;
use std::sync::Arc;

fn message(topic: &str, payload: &[u8]) -> Arc<ImportedMessage> {
    let mut properties = PropertyBuffer::new();
    properties.push(Property::PayloadFormatIndicator(true));
    properties.push(Property::ContentType("text/plain"));
    properties.push(Property::ResponseTopic("answers"));
    properties.push(Property::CorrelationData(b"\0\xFF"));
    properties.push(Property::UserProperty("a", "b"));
    properties.push(Property::UserProperty("a", "c"));
    Arc::new(ImportedMessage {
        topic: topic.to_owned(),
        payload: payload.to_vec(),
        properties,
        qos: QoS::ExactlyOnce,
        retain: false,
        expires_unix_millis: Some(1_800_000_000_000),
    })
}

fn plain(topic: &str) -> Arc<ImportedMessage> {
    Arc::new(ImportedMessage {
        topic: topic.to_owned(),
        payload: Vec::new(),
        properties: PropertyBuffer::new(),
        qos: QoS::AtMostOnce,
        retain: true,
        expires_unix_millis: None,
    })
}

fn everything() -> Imported {
    let (shared, other) = (message("a/b", b"\0\x01\xFF"), plain("c"));
    // The client has this one, so it is not written.
    let had = Arc::new(ImportedMessage { qos: QoS::ExactlyOnce, retain: false, ..(*plain("released")).clone() });
    let delivery = |message: &Arc<ImportedMessage>| ImportedDelivery {
        message: Arc::clone(message),
        qos: QoS::AtLeastOnce,
        retain: false,
        group: NonZeroU32::new(7),
        identifiers: vec![1, 268_435_455],
    };
    let id = |number| PacketId::new(number).expect("is not 0");
    let session = |client_id: &str| ImportedSession {
        client_id: client_id.to_owned(),
        user_name: Some("\"quoted\" ü".to_owned()),
        realm: 7,
        expiry_seconds: u32::MAX,
        disconnected_at_unix_millis: None,
        ends_at_unix_millis: Some(5),
        will: Some(ImportedWill {
            message: plain("will"),
            delay_seconds: 7,
            expiry_seconds: Some(8),
            due_at_unix_millis: Some(9),
        }),
        last_packet_id: Some(id(65_535)),
        subscriptions: vec![ImportedSubscription {
            filter: "$share/g/a/#".to_owned(),
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: true,
            identifier: Some(3),
        }],
        inflight: vec![
            ImportedInflight { packet_id: id(2), state: InflightState::PubRel, dup: true, delivery: delivery(&had) },
            ImportedInflight {
                packet_id: id(1),
                state: InflightState::Publish,
                dup: true,
                delivery: delivery(&shared),
            },
        ],
        queued: vec![delivery(&shared), delivery(&other), delivery(&shared)],
        incoming: vec![ImportedIncoming { packet_id: id(4), message: Arc::clone(&shared) }],
    };
    let owner =
        ImportedOwner { client_id: "one".to_owned(), user_name: Some("ü".to_owned()), is_internal: true, realm: 9 };
    let owners = BTreeMap::from([("c".to_owned(), owner)]);
    let sessions = vec![session("one"), session("two")];
    Imported { sessions, retained: vec![other, shared], owners, ..Imported::default() }
}

fn text(imported: &Imported) -> Vec<String> {
    let mut lines = vec![Line::first()];
    lines.extend(imported.sessions.iter().flat_map(Line::of_session));
    let owner = |message: &ImportedMessage| imported.owners.get(&message.topic);
    lines.extend(imported.retained.iter().map(|message| Line::of_retained(message, owner(message))));
    lines.iter().map(|line| serde_json::to_string(line).expect("is plain data")).collect()
}

fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Imported, String> {
    let mut gathering = Gathering::default();
    lines.into_iter().try_for_each(|line| gathering.take(line))?;
    gathering.finish()
}

#[test]
fn everything_comes_back_as_it_was_and_each_message_once() {
    let everything = everything();
    let lines = text(&everything);
    assert_eq!(lines.len(), 1 + 2 * (1 + 2 + 3 + 1) + 2);
    let back = read(lines.iter().map(String::as_str)).expect("is what was written");
    assert_eq!(back, everything);
    assert!(Arc::ptr_eq(&back.sessions[0].queued[0].message, &back.sessions[1].incoming[0].message));
    assert!(Arc::ptr_eq(&back.sessions[0].queued[1].message, &back.retained[0]));
}

#[test]
fn lines_can_be_read_by_people() {
    let lines = text(&everything());
    assert_eq!(lines[0], format!(r#"{{"type":"store","format":1,"version":"{}"}}"#, env!("CARGO_PKG_VERSION")));
    assert_eq!(
        lines.last().map(String::as_str),
        Some(concat!(
            r#"{"type":"retained","message":{"topic":"a/b","qos":2,"retain":false,"payload":"AAH/","expires_at":1800000000000,"#,
            r#""payload_is_text":true,"content_type":"text/plain","response_topic":"answers","correlation_data":"AP8=","#,
            r#""user_properties":[["a","b"],["a","c"]]}}"#
        ))
    );
    assert!(lines[2].starts_with(r#"{"type":"in_flight","client_id":"one","packet_id":2,"state":"pubrel","qos":1,"#));
}

#[test]
fn what_is_wrong_is_named() {
    let first = r#"{"type":"store","format":1,"version":"x"}"#;
    let session = r#"{"type":"session","client_id":"a","user_name":null,"expiry_seconds":1,"ends_at":null,"last_packet_id":null,"will":null,"subscriptions":[]}"#;
    let queued = |message: &str| {
        format!(r#"{{"type":"queued","client_id":"a","qos":1,"retain":false,"identifiers":[],"message":{message}}}"#)
    };
    let good = r#"{"topic":"t","qos":1,"retain":false,"payload":""}"#;
    assert!(read([first, session, &queued(good)]).is_ok());
    let subscribed = |filter: &str| {
        let subscription =
            format!(r#"[{{"filter":"{filter}","qos":1,"no_local":false,"retain_as_published":false,"identifier":0}}]"#);
        session.replace("[]", &subscription)
    };
    for (lines, words) in [
        (vec![], "there is no line"),
        (vec![session], "the first line must have the type"),
        (vec![r#"{"type":"store","format":2,"version":"x"}"#], "format 2 is not known"),
        (vec![first, "{}"], "missing field `type`"),
        (vec![first, r#"{"type":"retained","more":1}"#], "unknown field `more`"),
        (vec![first, &queued(good)], r#"no line before has the session "a""#),
        (vec![first, session, session], "is there twice"),
        (vec![first, &session.replace(r#""a""#, r#""""#)], "a client identifier is empty"),
        (vec![first, &session.replace(r#""a""#, r#""\u0000""#)], "is no legal string"),
        (vec![first, &subscribed("a/#/b")], "filter \"a/#/b\""),
        (vec![first, &subscribed("a")], "0 is no subscription identifier"),
        (vec![first, session, &queued(r#"{"topic":"+","qos":1,"retain":false,"payload":""}"#)], "topic \"+\""),
        (vec![first, session, &queued(r#"{"topic":"a","qos":3,"retain":false,"payload":""}"#)], "there is no QoS 3"),
        (vec![first, session, &queued(r#"{"topic":"a","qos":1,"retain":false,"payload":"?"}"#)], "payload:"),
        (
            vec![first, session, &queued(r#"{"topic":"a","qos":1,"retain":false,"payload":"","response_topic":"+"}"#)],
            "is not legal",
        ),
    ] {
        let result = read(lines.iter().map(|line| &**line));
        assert!(result.as_ref().is_err_and(|text| text.contains(words)), "{words}: {result:?}");
    }
}
