//! Routes, parts and failures, without a server.

use std::sync::{Arc, Mutex};

use serde::Deserialize;

use crate::io::block_on;
use crate::{Error, Property, Publish};

use super::*;

/// What handlers have seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().expect("not poisoned").push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

fn dispatch(router: &Router, publish: Publish<'_>) -> Dispatch {
    block_on(router.dispatch(&Message::from(publish)))
}

#[derive(Deserialize)]
struct Reading {
    celsius: f64,
}

#[test]
fn the_first_pattern_that_matches_takes_the_message_apart() {
    let seen = Seen::default();
    let [one, two, three, four] = std::array::from_fn(|_| seen.clone());
    let router = Router::new()
        .route("sensors/{room}/temperature", move |Name(room): Name, Json(reading): Json<Reading>| {
            one.note(format!("{room} {}", reading.celsius));
            async {}
        })
        .route_blocking("sensors/{room}/{floor}", move |Name(room): Name, Name(floor): Name<u8>, Bytes(bytes)| {
            two.note(format!("{room} {floor} {bytes:?}"));
        })
        .route("calls/{path..}", move |Name(path): Name, reply: ReplyTo, Topic(topic), UserProperties(users)| {
            three.note(format!("{path} {topic} {} {:?} {users:?}", reply.topic, reply.correlation_data));
            async { Ok::<(), BoxError>(()) }
        })
        .route("{all..}", move |message: Message, ContentType(content_type)| {
            four.note(format!("{} {content_type:?}", message.topic()));
            async {}
        });
    for publish in [
        Publish::new("sensors/kitchen/temperature", r#"{"celsius": 21.5}"#),
        Publish::new("sensors/kitchen/3", [7]),
        Publish::new("calls/a/b", "")
            .property(Property::ResponseTopic("answers"))
            .property(Property::CorrelationData(&[1]))
            .user_property("k", "v"),
        Publish::new("elsewhere", "").content_type("text/plain"),
    ] {
        assert_eq!(dispatch(&router, publish), Dispatch::Handled);
    }
    let expected = [
        "kitchen 21.5",
        "kitchen 3 [7]",
        r#"a/b calls/a/b answers Some([1]) [("k", "v")]"#,
        r#"elsewhere Some("text/plain")"#,
    ];
    assert_eq!(seen.take(), expected);
    assert_eq!((router.handled(), router.failed(), router.unmatched()), (4, 0, 0));
}

#[test]
fn failures_and_messages_without_a_route_are_told_and_counted() {
    let seen = Seen::default();
    let (failures, unmatched) = (seen.clone(), seen.clone());
    let router = Router::new()
        .route("number/{n}", |Name(_): Name<u8>| async {})
        .route("json", |Json(_): Json<Reading>| async {})
        .route("text", |Text(_)| async {})
        .route("call", |_: ReplyTo| async {})
        .route("error", || async { Err("no luck") })
        .route_blocking("error/blocking", || Err::<(), _>(std::io::Error::other("no disk")))
        .route("panic", || async { assert!(std::hint::black_box(false), "lost my head") })
        .route_blocking("panic/blocking", || assert!(std::hint::black_box(false), "lost it too"))
        .on_failure(move |failure| failures.note(failure.to_string()))
        .on_unmatched(move |message| unmatched.note(message.topic()));
    for (topic, payload, part) in [
        ("number/300", &b""[..], "\"300\" in the topic: number too large"),
        ("json", b"{}", "missing field `celsius`"),
        ("text", b"\xff", "not text"),
        ("call", b"", "no Response Topic"),
        ("error", b"", "the handler failed: no luck"),
        ("error/blocking", b"", "the handler failed: no disk"),
        ("panic", b"", "panicked: lost my head"),
        ("panic/blocking", b"", "panicked: lost it too"),
    ] {
        assert_eq!(dispatch(&router, Publish::new(topic, payload)), Dispatch::Failed);
        let told = seen.take();
        assert!(told.len() == 1 && told[0].contains(part) && told[0].contains(topic), "{told:?}");
    }
    assert_eq!(dispatch(&router, Publish::new("number", "")), Dispatch::Unmatched);
    assert_eq!(seen.take(), ["number"]);
    assert_eq!((router.handled(), router.failed(), router.unmatched()), (0, 8, 1));
}

#[test]
fn wrong_routes_are_told_when_the_router_runs() {
    let client = crate::blocking::Client::start("mqtt://127.0.0.1:1").expect("a URL");
    let none = Router::new();
    let wrong = Router::new().route("a/+", || async {}).route("b/#", || async {});
    let short = Router::new().route("a/{b}", |Name(_): Name, Name(_): Name| async {});
    for (router, part) in
        [(none, "has no routes"), (wrong, "\"a/+\": instead of +"), (short, "wants 2 names, and it has 1")]
    {
        let error = router.run_blocking(&client).expect_err("is wrong");
        assert!(matches!(error, Error::Route(..)) && error.to_string().contains(part), "{error}");
        assert!(!error.is_retryable());
    }
}
