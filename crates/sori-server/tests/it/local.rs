//! Clients within the broker's own program, beside clients on sockets.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sori_broker::Identity;
use sori_mqtt::client_session::{ConnectOptions, ConnectionError, Outcome};
use sori_mqtt::{Properties, Publish, QoS, ReasonCode, SubscribeOptions, TopicFilter};
use sori_server::config::{Config, Defaults, Source, load};
use sori_server::local_client::{LocalError, Message};
use sori_server::{LocalClient, Server, log::Log, machine::Machine};

use super::broker::{free_port, wait_until};
use super::client::{Client, Received, hello, publish};

const PATIENCE: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(50);

/// A broker in this process, with three shards and without bounds that a test does not set.
fn server(change: impl FnOnce(&mut Config)) -> (Server, u16) {
    let port = free_port();
    let source = Source { files: &[], ports: &[port], defaults: Defaults::Native, persistence_location: None };
    let mut config = load(&source).expect("is legal").config;
    config.threads = NonZeroU16::new(3);
    config.max_queued_messages = None;
    config.persistence = false;
    change(&mut config);
    (Server::start(config, Log::silent(), Machine::read()).expect("starts"), port)
}

fn attach(server: &Server, name: &str) -> LocalClient {
    server.attach(name, Identity::default(), ConnectOptions::default()).expect("is let in")
}

fn options(client_id: &str) -> ConnectOptions {
    ConnectOptions {
        client_id: client_id.to_owned(),
        clean_start: false,
        session_known: true,
        session_expiry_interval: 1000,
        ..ConnectOptions::default()
    }
}

fn subscribe(client: &mut LocalClient, filter: &str, no_local: bool) {
    let filter = TopicFilter::new(filter).expect("is legal");
    let options = SubscribeOptions { qos: QoS::AtLeastOnce, no_local, ..SubscribeOptions::default() };
    let answer = client.subscribe(&[(filter, options)], Properties::EMPTY, PATIENCE);
    assert_eq!(answer, Ok(vec![ReasonCode::GrantedQoS1]));
}

fn say<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    publish(topic, payload, QoS::AtLeastOnce, 1)
}

/// Hands each message to `work` until `done` is set and nothing more comes.
fn serve(client: &mut LocalClient, done: &AtomicBool, mut work: impl FnMut(&mut LocalClient, Message)) {
    loop {
        match client.next_message(MOMENT).expect("the broker runs") {
            Some(message) => work(client, message),
            None if done.load(Ordering::Relaxed) => return,
            None => {}
        }
    }
}

/// Publishes the numbers from 0 on, a window at a time.
fn publish_numbers(port: u16, name: &str, count: u32) {
    const WINDOW: u32 = 20;
    let mut client = Client::connect(port, name);
    let topic = format!("sensor/{name}/temperature");
    for first in (0..count).step_by(WINDOW as usize) {
        for number in first..first + WINDOW {
            client.publish(&topic, number.to_string().as_bytes(), QoS::AtLeastOnce, (number % WINDOW + 1) as u16);
        }
        for _ in 0..WINDOW {
            assert!(matches!(client.receive(), Received::Ack(..)));
        }
    }
}

fn number(payload: &[u8]) -> u32 {
    String::from_utf8_lossy(payload).parse().expect("is a number")
}

#[test]
fn a_bridge_and_a_rule_lose_nothing_and_keep_the_order() {
    const PUBLISHERS: u32 = 4;
    const MESSAGES: u32 = 2000;
    const LIMIT: u32 = MESSAGES - 100;
    let (server, port) = server(|_| {});
    let mut watcher = Client::connect(port, "watcher");
    watcher.subscribe("remote/#", QoS::AtMostOnce);
    let (mut bridge, mut rule) = (attach(&server, "bridge"), attach(&server, "rule"));
    subscribe(&mut bridge, "#", true);
    subscribe(&mut rule, "sensor/+/temperature", false);
    let done = AtomicBool::new(false);
    let copied = thread::scope(|scope| {
        scope.spawn(|| {
            serve(&mut rule, &done, |rule, message| {
                if number(&message.payload) >= LIMIT {
                    let topic = format!("alert/{}", message.topic);
                    rule.publish(&say(&topic, &message.payload), PATIENCE).expect("there is room");
                }
            });
        });
        scope.spawn(|| {
            serve(&mut bridge, &done, |bridge, message| {
                let topic = format!("remote/{}", message.topic);
                bridge.publish(&say(&topic, &message.payload), PATIENCE).expect("there is room");
            });
        });
        for publisher in 0..PUBLISHERS {
            scope.spawn(move || publish_numbers(port, &format!("p{publisher}"), MESSAGES));
        }
        let expected = PUBLISHERS * (MESSAGES + MESSAGES - LIMIT);
        let copied: Vec<_> = (0..expected).map(|_| watcher.message()).collect();
        done.store(true, Ordering::Relaxed);
        copied
    });
    for publisher in 0..PUBLISHERS {
        for (kind, first) in [("", 0), ("alert/", LIMIT)] {
            let topic = format!("remote/{kind}sensor/p{publisher}/temperature");
            let numbers: Vec<u32> = copied.iter().filter(|(t, _)| *t == topic).map(|(_, p)| number(p)).collect();
            assert_eq!(numbers, (first..MESSAGES).collect::<Vec<u32>>(), "{topic}");
        }
    }
    assert_eq!(watcher.receive_within(MOMENT), None, "nothing comes twice");
    for client in [bridge, rule] {
        client.close(PATIENCE).expect("nothing waits");
    }
    wait_until("they are counted like others", || server.totals().clients_connected == 1);
    server.stop();
}

#[test]
fn a_publish_has_an_end_that_can_be_waited_for() {
    let (server, port) = server(|_| {});
    let mut client = attach(&server, "client");
    for (qos, expected) in [
        (QoS::AtMostOnce, Outcome::Sent),
        (QoS::AtLeastOnce, Outcome::Acknowledged(ReasonCode::NoMatchingSubscribers)),
        // Only PUBREL brings it to subscribers, so PUBREC cannot know of them.
        (QoS::ExactlyOnce, Outcome::Acknowledged(ReasonCode::Success)),
    ] {
        let receipt = client.publish(&publish("nobody/listens", b"", qos, 1), PATIENCE).expect("there is room");
        assert_eq!(client.wait(&receipt, PATIENCE), Ok(expected));
        assert_eq!(receipt.outcome(), Some(expected));
    }
    // More than may be in flight at once.
    let mut watcher = Client::connect(port, "watcher");
    watcher.subscribe("a", QoS::AtMostOnce);
    let receipts: Vec<_> = (0..500)
        .map(|n: u32| client.publish(&say("a", n.to_string().as_bytes()), PATIENCE).expect("there is room"))
        .collect();
    for receipt in &receipts {
        assert_eq!(client.wait(receipt, PATIENCE), Ok(Outcome::Acknowledged(ReasonCode::Success)));
    }
    for n in 0..500 {
        assert_eq!(number(&watcher.message().1), n);
    }
    let illegal = client.publish(&say("a/#", b""), PATIENCE);
    assert!(matches!(illegal, Err(LocalError::Request(_))), "{illegal:?}");
    server.stop();
}

#[test]
fn only_an_internal_identity_publishes_below_sys() {
    let (server, _) = server(|_| {});
    let mut watcher = attach(&server, "watcher");
    subscribe(&mut watcher, "$SYS/test/#", false);
    for is_internal in [false, true] {
        let identity = Identity { user_name: Some("part".into()), is_internal, ..Identity::default() };
        let mut part = server.attach("part", identity, ConnectOptions::default()).expect("is let in");
        let payload = if is_internal { b"internal".as_slice() } else { b"not" };
        let receipt = part.publish(&say("$SYS/test/a", payload), PATIENCE).expect("there is room");
        part.wait(&receipt, PATIENCE).expect("is answered");
    }
    let message = watcher.next_message(PATIENCE).expect("the broker runs").expect("a message");
    assert_eq!(message.payload, b"internal");
    server.stop();
}

#[test]
fn the_session_of_an_internal_client_cannot_be_taken_over_from_outside() {
    let (server, port) = server(|_| {});
    let identity = Identity { is_internal: true, ..Identity::default() };
    let mut part = server.attach("part", identity, options("part")).expect("is let in");
    // One comes by each shard, and is answered in its own version wherever it has moved.
    for _ in 0..3 {
        let mut stranger = Client::open(port);
        stranger.say(|out| hello("part").encode(out));
        assert_eq!(stranger.receive(), Received::ConnAck { session_present: false, code: 0x85 });
        assert_eq!(stranger.receive(), Received::End);
    }
    let receipt = part.publish(&say("a", b""), PATIENCE).expect("there is room");
    part.wait(&receipt, PATIENCE).expect("it is still connected");
    server.stop();
}

#[test]
fn a_local_client_that_does_not_read_costs_its_own_bounded_queue() {
    const MESSAGES: u32 = 10_000;
    let (server, port) = server(|config| config.max_queued_messages = std::num::NonZeroU32::new(100));
    let mut slow = attach(&server, "slow");
    let mut quick = attach(&server, "quick");
    subscribe(&mut slow, "data", false);
    subscribe(&mut quick, "data", false);
    let mut publisher = Client::connect(port, "publisher");
    for sent in (20..=MESSAGES).step_by(20) {
        for id in 1..=20 {
            publisher.publish("data", &[b'x'; 1000], QoS::AtLeastOnce, id);
        }
        for _ in 0..20 {
            assert!(matches!(publisher.receive(), Received::Ack(..)));
            quick.next_message(PATIENCE).expect("the broker runs").expect("the others do not notice");
        }
        assert!(sent < MESSAGES || quick.next_message(MOMENT) == Ok(None));
    }
    let views = server.sessions();
    let dropped = views.iter().map(|view| view.dropped).sum::<u64>();
    let mut received = 0;
    while slow.next_message(Duration::from_millis(300)).expect("the broker runs").is_some() {
        received += 1;
    }
    assert_eq!(received + dropped, u64::from(MESSAGES), "what did not come was counted");
    assert!(received <= 200, "{received} messages waited for a client that does not read");
    wait_until("the drops stand in the totals", || server.totals().dropped_queue_full == dropped);
    server.stop();
}

#[test]
fn a_local_client_that_goes_without_reading_is_noticed() {
    let (server, port) = server(|config| config.max_queued_messages = std::num::NonZeroU32::new(100));
    let mut slow = attach(&server, "slow");
    let filter = TopicFilter::new("data").expect("is legal");
    slow.subscribe(&[(filter, SubscribeOptions::default())], Properties::EMPTY, PATIENCE).expect("is answered");
    let mut publisher = Client::connect(port, "publisher");
    while server.sessions().iter().all(|session| session.dropped == 0) {
        publisher.publish("data", &[b'x'; 10_000], QoS::AtMostOnce, 0);
        publisher.expect_alive();
    }
    drop(slow);
    wait_until("only the publisher is left", || server.sessions().len() == 1);
    server.stop();
}

#[test]
fn unread_messages_are_bounded_while_an_answer_is_waited_for() {
    let (server, port) = server(|_| {});
    let mut client = attach(&server, "client");
    let filter = TopicFilter::new("data").expect("is legal");
    client.subscribe(&[(filter, SubscribeOptions::default())], Properties::EMPTY, PATIENCE).expect("is answered");
    let mut publisher = Client::connect(port, "publisher");
    for _ in 0..1500 {
        publisher.publish("data", &[b'x'; 1000], QoS::AtMostOnce, 0);
    }
    publisher.publish_and_wait("end", b"");
    let receipt = client.publish(&say("other", b""), PATIENCE).expect("there is room");
    assert_eq!(client.wait(&receipt, PATIENCE), Err(LocalError::Unread));
    let mut received = 0;
    while client.next_message(Duration::from_millis(300)).expect("the broker runs").is_some() {
        received += 1;
    }
    assert_eq!(received, 1500);
    assert_eq!(client.wait(&receipt, PATIENCE), Ok(Outcome::Acknowledged(ReasonCode::NoMatchingSubscribers)));
    server.stop();
}

#[test]
fn a_session_is_resumed_from_any_shard() {
    let (server, port) = server(|_| {});
    let mut publisher = Client::connect(port, "publisher");
    let mut client = server.attach("name 0", Identity::default(), options("the session")).expect("is let in");
    subscribe(&mut client, "data", false);
    drop(client);
    // Each name is taken by another worker, and the connection moves to the session's.
    for round in 1..30 {
        publisher.publish_and_wait("data", round.to_string().as_bytes());
        let name = format!("name {round}");
        let mut client = server.attach(&name, Identity::default(), options("the session")).expect("is let in");
        let message = client.next_message(PATIENCE).expect("the broker runs").expect("a message");
        assert_eq!(number(&message.payload), round);
        client.close(PATIENCE).expect("nothing waits");
    }
    server.stop();
}

#[test]
fn the_end_is_told_to_local_clients() {
    let (server, port) = server(|_| {});
    let farewell = |result: Result<Option<Message>, LocalError>| match result {
        Err(LocalError::Connection(ConnectionError::Disconnected(farewell))) => farewell.reason_code,
        other => unreachable!("{other:?}"),
    };
    let mut first = server.attach("first", Identity::default(), options("the session")).expect("is let in");
    let mut second = server.attach("second", Identity::default(), options("the session")).expect("is let in");
    assert_eq!(farewell(first.next_message(PATIENCE)), ReasonCode::SessionTakenOver);
    assert!(matches!(first.next_message(PATIENCE), Err(LocalError::Connection(_))), "and stays told");

    // While messages flow, in both directions.
    subscribe(&mut second, "data", false);
    let mut third = attach(&server, "third");
    thread::scope(|scope| {
        let publisher = scope.spawn(move || {
            let mut count = 0;
            while third.publish(&say("data", b"x"), PATIENCE).is_ok() {
                count += 1;
            }
            count
        });
        let mut remote = Client::connect(port, "remote");
        remote.expect_alive();
        second.next_message(PATIENCE).expect("the broker runs").expect("a message");
        server.stop();
        assert_eq!(remote.receive(), Received::Disconnect(0x8B));
        assert!(publisher.join().expect("ends by itself") > 0);
    });
    let end = loop {
        match second.next_message(PATIENCE) {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(farewell(end), ReasonCode::ServerShuttingDown);
}
