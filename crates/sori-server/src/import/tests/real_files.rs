//! What real brokers wrote after what `make.py` did to them.

use super::{data, outline};
use crate::import::{Imported, read};
use std::sync::Arc;

/// The files, by brokers that know how to write them.
const FILES: [&str; 5] = ["v3-1.4.15.db", "v4-1.5.9.db", "v5-1.6.10.db", "v6-2.0.22.db", "v6-2.1.2.db"];

fn import(name: &str) -> Imported {
    let mut imported = read(&data(name), &std::env::temp_dir()).expect("Mosquitto's own file");
    // Mosquitto keeps sessions in a hash map.
    imported.sessions.sort_by(|one, other| one.client_id.cmp(&other.client_id));
    imported
}

#[test]
fn a_file_of_each_version_holds_what_clients_of_3_1_1_did() {
    for name in FILES {
        let mut imported = import(name);
        imported.sessions.retain(|session| !session.client_id.ends_with('5'));
        imported.retained.retain(|message| message.topic.starts_with("state/"));
        let user_name = if name.starts_with("v6") { " of ann" } else { "" };
        let expected = format!(
            r#"session other for ever last 1
  filter plain/4 q1
  queued q1: plain/4 "four" q1
session reader{user_name} for ever last 5
  filter plain/# q2
  filter room/+/temp q1
  PUBLISH 1 dup q1: plain/1 "one" q1
  PUBLISH 2 dup q2: plain/2 "two" q2
  PUBREL 3 dup q2: plain/3 "three" q2
  queued q1: plain/4 "four" q1
  queued q2: plain/5 "five" q2
  queued q0: plain/0 "zero" q0
session writer for ever
  incoming 77 state/held "not released" q2 retain
retained state/a "on" q1 retain
retained state/b 256 bytes q0 retain
"#
        );
        assert_eq!(outline(&imported), expected, "{name}");
    }
}

/// A shared subscription is not in a `mosquitto.db`, but what was queued for it is.
#[test]
fn a_file_since_version_5_holds_what_clients_of_5_did() {
    let properties = r#" PayloadFormatIndicator(true) ContentType("text/plain") ResponseTopic("answer/here") CorrelationData([0, 1, 255]) UserProperty("a", "1") UserProperty("a", "\"2\" ü")"#;
    for name in FILES.into_iter().filter(|name| !name.starts_with("v3") && !name.starts_with("v4")) {
        let mut imported = import(name);
        imported.sessions.retain(|session| session.client_id.ends_with('5'));
        imported.retained.retain(|message| !message.topic.starts_with("state/"));
        let user_name = if name.starts_with("v6") { " of bob" } else { "" };
        let expected = format!(
            r#"session never5 for ever
session reader5{user_name} for 86400 last 3
  filter five/# q1 no-local as-published identifier 17
  queued q1 retain identifier 17: five/properties "5" q1 retain expires{properties}
  queued q1 identifier 17: five/plain "6" q1
  queued q1: work "7" q1
retained five/properties "5" q1 retain expires{properties}
retained will/topic "gone" q1 retain ContentType("text/plain")
"#
        );
        assert_eq!(outline(&imported), expected, "{name}");
    }
}

#[test]
fn moments_are_those_of_the_day_when_the_files_were_made() {
    let day = 1_795_305_600_000..1_795_392_000_000_u64;
    for name in FILES {
        for session in import(name).sessions {
            let told = session.disconnected_at_unix_millis.is_some();
            assert_eq!(told, name.starts_with("v3") || name.starts_with("v4"), "{name}");
            assert!(session.disconnected_at_unix_millis.is_none_or(|at| day.contains(&at)));
            let is_ending = session.client_id == "reader5";
            assert_eq!(session.ends_at_unix_millis.is_some(), is_ending, "{name}");
            assert!(session.ends_at_unix_millis.is_none_or(|at| day.contains(&(at - 86_400_000))), "{name}");
            assert!(session.will.is_none());
        }
        for message in import(name).retained.iter().filter_map(|message| message.expires_unix_millis) {
            assert!(day.contains(&(message - 999_999_999_000)), "{name}");
        }
    }
}

#[test]
fn a_message_for_two_clients_is_in_memory_once() {
    for name in FILES {
        let imported = import(name);
        let mut copies = imported.sessions.iter().flat_map(|session| &session.queued);
        let mut next = || copies.find(|delivery| delivery.message.topic == "plain/4").expect("two clients wait for it");
        let (one, other) = (next(), next());
        assert!(Arc::ptr_eq(&one.message, &other.message), "{name}");
    }
}

#[test]
fn a_user_name_that_1_6_15_took_from_its_memory_is_left_out() {
    let imported = import("v6-1.6.15.db");
    let user_names = imported.sessions.iter().map(|session| (&*session.client_id, session.user_name.as_deref()));
    assert_eq!(
        user_names.collect::<Vec<_>>(),
        // Nothing tells that `writer` had none.
        [("never5", None), ("other", None), ("reader", Some("ann")), ("reader5", Some("bob")), ("writer", Some("ann"))]
    );
    let remarks = &imported.remarks;
    assert!(matches!(&remarks[..], [remark] if remark.contains("user name that no client can have")), "{remarks:?}");
}
