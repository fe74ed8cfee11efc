//! One suite for every broker, version and way to reach it.

use std::time::Duration;

use sori_broker::Identity;
use sori_client::{Client, Error, Options, Property, Publish, QoS, ReasonCode, Subscribe, Version, blocking};
use sori_server::Server;
use sori_server::config::{Defaults, Source, load};
use sori_server::log::Log;
use sori_server::machine::Machine;

use super::brokers::{Kind, PATIENCE, for_tests, soon};
use super::certificates::Certificate;
use super::place::{Place, Way};

/// A broker, the way to it, and what is spoken there.
struct Case {
    kind: Kind,
    options: Box<dyn Fn() -> Options + Sync>,
    version: Version,
    /// The largest message that comes back in good time.
    size_max: usize,
}

impl Case {
    fn options(&self) -> Options {
        for_tests((self.options)()).version(self.version)
    }

    async fn client(&self) -> Client {
        soon("connecting", Client::connect(self.options())).await.expect("is let in")
    }

    fn is_v5(&self) -> bool {
        self.version == Version::V5
    }
}

async fn each_qos_arrives_with_its_receipt(case: &Case) {
    let client = case.client().await;
    let mut messages =
        soon("subscribing", client.subscribe(Subscribe::new("a/+").qos(QoS::ExactlyOnce))).await.expect("granted");
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let receipt = soon("a receipt", client.publish(Publish::new("a/b", "hello").qos(qos))).await.expect("taken");
        assert_eq!(receipt.reason_code(), ReasonCode::Success);
        let message = soon("a message", messages.next()).await.expect("there is one");
        assert_eq!((message.topic(), message.text(), message.qos()), ("a/b", Ok("hello"), qos));
    }
    let big = vec![7; case.size_max.min(1_000_000)];
    soon("a receipt", client.publish(Publish::new("a/big", &big))).await.expect("taken");
    assert_eq!(soon("a message", messages.next()).await.expect("there is one").payload(), big);
    soon("a receipt", client.publish(Publish::new("a/empty", ""))).await.expect("taken");
    assert_eq!(soon("a message", messages.next()).await.expect("there is one").payload(), b"");
    soon("closing", client.close()).await.expect("nothing waits");
    assert!(soon("the end", messages.next()).await.is_none());
}

async fn a_retained_message_and_its_properties(case: &Case) {
    let client = case.client().await;
    let mut retained = Publish::new("kept/here", "yes").retain(true);
    if case.is_v5() {
        retained = retained.content_type("text/plain").user_property("unit", "none");
    }
    soon("a receipt", client.publish(retained)).await.expect("taken");
    let mut messages = soon("subscribing", client.subscribe("kept/#")).await.expect("granted");
    let message = soon("a message", messages.next()).await.expect("there is one");
    assert_eq!((message.text(), message.retain()), (Ok("yes"), true));
    if case.is_v5() {
        assert_eq!(message.properties().content_type(), Some("text/plain"));
        assert_eq!(message.properties().user_properties().next(), Some(("unit", "none")));
    }
    soon("a receipt", client.publish(Publish::new("kept/here", "").retain(true))).await.expect("taken");
}

async fn streams_get_what_they_asked_for(case: &Case) {
    let client = case.client().await;
    let mut all = soon("subscribing", client.subscribe("s/#")).await.expect("granted");
    let mut one = soon("subscribing", client.subscribe(Subscribe::new("s/1").and("s/one"))).await.expect("granted");
    let mut same = soon("subscribing", client.subscribe("s/1")).await.expect("granted");
    for topic in ["s/1", "s/2", "s/one"] {
        soon("a receipt", client.publish(Publish::new(topic, topic))).await.expect("taken");
    }
    soon("a receipt", client.publish(Publish::new("s/1", "last"))).await.expect("taken");
    let mut seen = [const { Vec::new() }; 3];
    for (stream, seen) in [&mut all, &mut one, &mut same].into_iter().zip(&mut seen) {
        loop {
            let message = soon("a message", stream.next()).await.expect("there is one");
            seen.push(message.text().expect("is text").to_owned());
            if seen.last().is_some_and(|text| text == "last") {
                break;
            }
        }
        // Who has more than one subscription for a topic may get it more than once before version 5.
        seen.dedup();
    }
    assert_eq!(seen[0], ["s/1", "s/2", "s/one", "last"]);
    assert_eq!(seen[1], ["s/1", "s/one", "last"]);
    assert_eq!(seen[2], ["s/1", "last"]);
    soon("unsubscribing", one.unsubscribe()).await;
    drop(same);
    soon("a receipt", client.publish(Publish::new("s/1", "still for all"))).await.expect("taken");
    loop {
        let message = soon("a message", all.next()).await.expect("there is one");
        if message.text() == Ok("still for all") {
            break;
        }
    }
}

async fn a_request_has_its_response(case: &Case) {
    let (server, client) = (case.client().await, case.client().await);
    let mut requests = soon("subscribing", server.subscribe("add")).await.expect("granted");
    let asked = client.request(Publish::new("add", "1 2"), PATIENCE);
    if !case.is_v5() {
        assert!(matches!(soon("an error", asked).await, Err(Error::Request(_))));
        return;
    }
    let answer = async {
        let request = requests.next().await.expect("there is one");
        let properties = request.properties();
        let topic = properties.response_topic().expect("wants an answer").to_owned();
        let correlation = properties.correlation_data().expect("is numbered").to_vec();
        let response = Publish::new(topic, "3").property(Property::CorrelationData(&correlation));
        server.publish(response).await.expect("taken");
    };
    let (response, ()) = soon("a response", async { tokio::join!(asked, answer) }).await;
    assert_eq!(response.expect("came").text(), Ok("3"));
    let nobody = client.request(Publish::new("nobody/listens", ""), Duration::from_millis(10));
    assert!(matches!(soon("an error", nobody).await, Err(Error::NoAnswer(_))));
}

async fn a_kept_session_outlives_the_program(case: &Case) {
    let options = || case.options().client_id("kept").clean_start(false).session_expiry(Duration::from_secs(3_600));
    let other = case.client().await;
    let first = soon("connecting", Client::connect(options())).await.expect("is let in");
    let messages = soon("subscribing", first.subscribe("kept/session")).await.expect("granted");
    drop(messages);
    soon("closing", first.close()).await.expect("nothing waits");
    for number in 0..3 {
        let publish = Publish::new("kept/session", number.to_string());
        soon("a receipt", other.publish(publish)).await.expect("taken");
    }
    // What waits at the server comes before this program has subscribed.
    let second = soon("connecting", Client::connect(options())).await.expect("is let in");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut messages = soon("subscribing", second.subscribe("kept/session")).await.expect("granted");
    for number in 0..3 {
        let message = soon("a message", messages.next()).await.expect("there is one");
        assert_eq!(message.text(), Ok(number.to_string().as_str()));
    }
    soon("unsubscribing", messages.unsubscribe()).await;
    soon("closing", second.close()).await.expect("nothing waits");
    let options = case.options().client_id("kept").clean_start(true);
    let last = soon("connecting", Client::connect(options)).await.expect("is let in");
    soon("closing", last.close()).await.expect("nothing waits");
}

async fn what_was_not_acknowledged_comes_again(case: &Case) {
    let options = || case.options().client_id("manual").clean_start(false).session_expiry(Duration::from_secs(3_600));
    let other = case.client().await;
    let client = soon("connecting", Client::connect(options())).await.expect("is let in");
    let subscribe = || Subscribe::new("work/#").qos(QoS::ExactlyOnce).manual_acks(true);
    let mut work = soon("subscribing", client.subscribe(subscribe())).await.expect("granted");
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for name in ["done", "dropped", "kept"] {
            soon("a receipt", other.publish(Publish::new("work/x", name).qos(qos))).await.expect("taken");
        }
    }
    let mut kept = Vec::new();
    for _ in 0..6 {
        let mut message = soon("a message", work.next()).await.expect("there is one");
        let ack = message.take_ack().expect("is to be acknowledged");
        assert!(message.take_ack().is_none());
        match message.text() {
            Ok("done") => ack.accept(),
            Ok("dropped") => drop(ack),
            _ => kept.push(ack),
        }
    }
    // With this receipt the server has seen the acknowledgements before it. One with several threads might else look at the next
    // connection first.
    soon("a receipt", client.publish(("behind/all", ""))).await.expect("taken");
    soon("closing", client.close()).await.expect("nothing waits");
    drop(work);
    let client = soon("connecting", Client::connect(options())).await.expect("is let in");
    let mut work = soon("subscribing", client.subscribe(subscribe())).await.expect("granted");
    let mut again = Vec::new();
    for _ in 0..4 {
        let mut message = soon("a message", work.next()).await.expect("there is one");
        message.take_ack().expect("is to be acknowledged").accept();
        again.push((message.qos(), message.text().expect("is text").to_owned()));
    }
    again.sort();
    let one = |qos, text: &str| (qos, text.to_owned());
    let (once, exactly) = (QoS::AtLeastOnce, QoS::ExactlyOnce);
    assert_eq!(again, [one(once, "dropped"), one(once, "kept"), one(exactly, "dropped"), one(exactly, "kept")]);
    soon("unsubscribing", work.unsubscribe()).await;
    soon("closing", client.close()).await.expect("nothing waits");
}

async fn many_messages_keep_their_order(case: &Case) {
    let client = case.client().await;
    let mut messages =
        soon("subscribing", client.subscribe(Subscribe::new("order").qos(QoS::ExactlyOnce))).await.expect("granted");
    const COUNT: usize = 600;
    let publishing = async {
        let mut deliveries = Vec::new();
        for number in 0..COUNT {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
            deliveries.push(client.send(Publish::new("order", number.to_string()).qos(qos)).await.expect("taken"));
        }
        for delivery in deliveries {
            delivery.await.expect("acknowledged");
        }
    };
    let mut numbers = [Vec::new(), Vec::new()];
    let receiving = async {
        for _ in 0..COUNT {
            let message = messages.next().await.expect("there is one");
            let number: usize = message.text().expect("is text").parse().expect("is a number");
            numbers[number % 2].push(number);
        }
    };
    soon("600 messages", async { tokio::join!(publishing, receiving) }).await;
    // The standard keeps the order of each QoS apart.
    assert!(numbers.iter().all(|numbers| numbers.is_sorted() && numbers.len() == COUNT / 2), "{numbers:?}");
}

async fn shared_subscriptions_share(case: &Case) {
    let (one, two) = (case.client().await, case.client().await);
    if !case.is_v5() && case.kind == Kind::Sori {
        // A word of MQTT 5.0, though many servers know it in 3.1.1, too.
        return;
    }
    let mut first = soon("subscribing", one.subscribe("$share/g/jobs")).await.expect("granted");
    let mut second = soon("subscribing", two.subscribe("$share/g/jobs")).await.expect("granted");
    for number in 0..20 {
        soon("a receipt", one.publish(Publish::new("jobs", number.to_string()))).await.expect("taken");
    }
    let mut seen = Vec::new();
    for _ in 0..20 {
        let message = soon("a message", async {
            tokio::select! { message = first.next() => message, message = second.next() => message }
        })
        .await
        .expect("there is one");
        seen.push(message.text().expect("is text").parse::<u32>().expect("is a number"));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

/// The blocking client in the same way, in short.
fn the_blocking_client_does_the_same(case: &Case) {
    let client = blocking::Client::connect(case.options()).expect("is let in");
    let mut messages = client.subscribe(Subscribe::new("b/#").qos(QoS::ExactlyOnce)).expect("granted");
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client.publish(Publish::new("b/c", "hello").qos(qos)).expect("taken");
        let message = messages.next_timeout(PATIENCE).expect("there is one");
        assert_eq!((message.topic(), message.text(), message.qos()), ("b/c", Ok("hello"), qos));
    }
    assert!(messages.next_timeout(Duration::from_millis(1)).is_none());
    let delivery = client.try_publish(Publish::new("b/d", "later")).expect("room");
    assert!(delivery.wait_timeout(PATIENCE).expect("taken").is_some());
    assert_eq!(messages.next().expect("there is one").text(), Ok("later"));
    messages.unsubscribe();
    client.close().expect("nothing waits");
}

async fn all(case: &Case) {
    each_qos_arrives_with_its_receipt(case).await;
    a_retained_message_and_its_properties(case).await;
    streams_get_what_they_asked_for(case).await;
    a_request_has_its_response(case).await;
    a_kept_session_outlives_the_program(case).await;
    what_was_not_acknowledged_comes_again(case).await;
    many_messages_keep_their_order(case).await;
    shared_subscriptions_share(case).await;
}

fn check(case: &Case) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
    runtime.block_on(all(case));
    the_blocking_client_does_the_same(case);
}

fn check_at(kind: Kind, way: Way, version: Version) {
    let Some(place) = Place::start(kind, Certificate::Good) else { return };
    let size_max = place.size_max(way);
    let options = Box::new(move || place.options(way, version));
    check(&Case { kind, options, version, size_max });
}

/// Clients of a broker in their own program: the bytes stay in memory.
fn check_attached(version: Version) {
    let source = Source { files: &[], ports: &[], defaults: Defaults::Native, persistence_location: None };
    let mut config = load(&source).expect("the defaults are valid").config;
    config.listeners.clear();
    config.persistence = false;
    config.max_queued_messages = None;
    let server = Server::start(config, Log::silent(), Machine::read()).expect("starts");
    let way_in = server.way_in("the flows", Identity::default());
    let options = move || Options::over(way_in.clone());
    check(&Case { kind: Kind::Sori, options: Box::new(options), version, size_max: usize::MAX });
    // Who comes when the broker has stopped is told so.
    let way_in = server.way_in("too late", Identity::default());
    server.stop();
    let error = blocking::Client::connect(for_tests(Options::over(way_in))).map(|_| ()).expect_err("nobody is there");
    assert!(matches!(error, Error::ClosedEarly(_) | Error::Unreachable(..)), "{error:?}");
}

#[test]
fn attached_with_5() {
    check_attached(Version::V5);
}

#[test]
fn attached_with_311() {
    check_attached(Version::V311);
}

/// A test for each version and way to a broker.
macro_rules! cases {
    ($($broker:ident: $kind:ident;)*) => {$(
        mod $broker {
            cases! { $kind: tcp Tcp, unix Unix, tls Tls, websocket WebSocket, secure_websocket SecureWebSocket }
        }
    )*};
    ($kind:ident: $($name:ident $way:ident),*) => {$(
        mod $name {
            use super::super::*;

            #[test]
            fn with_5() {
                check_at(Kind::$kind, Way::$way, Version::V5);
            }

            #[test]
            fn with_311() {
                check_at(Kind::$kind, Way::$way, Version::V311);
            }
        }
    )*};
}

cases! {
    sori: Sori;
    mosquitto: Mosquitto;
    flashmq: FlashMq;
}
