//! Many clients that come and go as they like, on several shards: afterwards nothing is left of them.

use std::io::Write;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use sori_mqtt::{Connect, Disconnect, Properties, Publish, QoS, ReasonCode, Version, Will};

use super::broker::{Broker, wait_until};
use super::client::{Client, Received, hello, publish};

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

const TOPICS: [&str; 5] = ["a", "a/b", "a/b/c", "d", "d/e"];
const FILTERS: [&str; 6] = ["a/#", "+/b", "d", "#", "$share/g/a/#", "$share/h/d"];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// One client's visit: it does a few things, hears what it likes, and leaves in one of several ways.
fn visit(port: u16, numbers: &mut Numbers) {
    let name = format!("guest {}", numbers.below(20));
    let version = VERSIONS[numbers.below(3)];
    let topic = TOPICS[numbers.below(5)];
    let will =
        Will { topic, payload: b"gone", qos: QOS[numbers.below(3)], retain: false, properties: Properties::EMPTY };
    let connect = Connect {
        version,
        clean_start: numbers.below(2) == 0,
        will: (numbers.below(2) == 0).then_some(will),
        ..hello(&name)
    };
    let mut client = Client::open(port);
    client.speak(version);
    client.say(|out| connect.encode(out));
    for step in 1..=numbers.below(8) as u16 {
        match numbers.below(4) {
            0 => client.ask(FILTERS[numbers.below(6)], QOS[numbers.below(3)], step),
            1 => client.say(|out| {
                let message = publish(topic, b"kept", QOS[numbers.below(3)], step);
                Publish { retain: true, ..message }.encode(version, out);
            }),
            _ => client.publish(topic, b"told", QOS[numbers.below(3)], step),
        }
    }
    for _ in 0..numbers.below(5) {
        if matches!(client.receive_within(Duration::from_millis(2)), None | Some(Received::End)) {
            break;
        }
    }
    match numbers.below(3) {
        0 => client.say(|out| {
            let disconnect = Disconnect { reason_code: ReasonCode::Success, properties: Properties::EMPTY };
            disconnect.encode(version, out);
        }),
        // In the middle of a packet.
        1 => {
            let _ = client.stream.write_all(&[0x30, 20, 0]);
        }
        _ => {
            let _ = client.stream.shutdown(Shutdown::Both);
        }
    }
}

/// A client subscribes and takes that back, again and again. While it is subscribed it gets what it publishes, once, and
/// afterwards it does not.
fn come_and_go(port: u16, number: usize, rounds: usize) {
    // Published by this client only, below a filter that all of them have.
    let (own, shared) = (format!("a/own/{number}"), "a/own/#");
    let mut numbers = Numbers(number as u64);
    let mut client = Client::connect(port, &format!("client {number}"));
    let mut counts = vec![0; rounds];
    let wait_for = |client: &mut Client, counts: &mut [usize], is_last: &dyn Fn(&Received) -> bool| {
        loop {
            let received = client.receive();
            if let Received::Message { topic, payload, .. } = &received
                && *topic == own
            {
                let round = std::str::from_utf8(payload).ok().and_then(|text| text.parse::<usize>().ok());
                counts[round.expect("was published while it was subscribed")] += 1;
            }
            if is_last(&received) {
                return;
            }
        }
    };
    for round in 0..rounds {
        let other = FILTERS[numbers.below(4)];
        client.ask(other, QoS::AtMostOnce, 1);
        client.ask(shared, QoS::AtMostOnce, 2);
        let text = round.to_string();
        client.publish(&own, text.as_bytes(), QoS::AtMostOnce, 0);
        let is_own = |received: &Received| matches!(received, Received::Message { topic, payload, .. } if *topic == own && *payload == text.as_bytes());
        wait_for(&mut client, &mut counts, &is_own);
        client.give_up(&[other, shared], 3);
        wait_for(&mut client, &mut counts, &|received| *received == Received::UnsubAck(vec![0, 0]));
        client.publish(&own, b"nobody has subscribed to it", QoS::AtMostOnce, 0);
        let most = if ["a/#", "#"].contains(&other) { 2 } else { 1 };
        assert!((1..=most).contains(&counts[round]), "{} times by {other} and {shared}", counts[round]);
    }
    client.send(&sori_mqtt::PINGREQ);
    wait_for(&mut client, &mut counts, &|received| *received == Received::PingResp);
}

/// CVE-2025-59946 of NanoMQ, a race in the subscription list: clients of all threads subscribe to the same filters and take that
/// back while messages go by these filters. What threads share is also run in every order that is possible, in sori-model.
#[test]
fn subscriptions_change_on_all_threads_at_once_nanomq_2025_59946() {
    let broker = Broker::start("threads 4\nconnection_messages false\nmax_queued_messages 0");
    let port = broker.port;
    let is_over = &AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..2 {
            scope.spawn(move || {
                let mut publisher = Client::connect(port, &format!("publisher {number}"));
                while !is_over.load(Ordering::Relaxed) {
                    for topic in TOPICS {
                        publisher.publish(topic, b"", QoS::AtMostOnce, 0);
                    }
                    publisher.expect_alive();
                }
            });
        }
        let clients: Vec<_> = (0..8).map(|number| scope.spawn(move || come_and_go(port, number, 60))).collect();
        let ends: Vec<_> = clients.into_iter().map(ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        for end in ends {
            end.expect("its messages come once, and only while it is subscribed");
        }
    });
    wait_until("no subscription is left", || {
        broker.signal(12); // SIGUSR2
        thread::sleep(Duration::from_millis(20));
        broker.log().contains("0 topic filters subscribed")
    });
}

#[test]
fn a_storm_of_clients_leaves_nothing_behind() {
    const THREADS: u64 = 6;
    const VISITS: usize = 300;
    let broker = Broker::start("threads 4\nconnection_messages false\nsys_interval 1");
    let port = broker.port;
    let mut watcher = Client::connect(port, "watcher");
    let open_files = broker.open_files();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut numbers = Numbers(thread);
                for _ in 0..VISITS {
                    visit(port, &mut numbers);
                }
            });
        }
    });
    watcher.expect_alive();
    // The sessions that are kept end with a clean one, and retained messages with empty ones.
    for number in 0..20 {
        Client::connect(port, &format!("guest {number}")).expect_alive();
    }
    for topic in TOPICS {
        let message = publish(topic, b"", QoS::AtLeastOnce, 1);
        watcher.say(|out| Publish { retain: true, ..message }.encode(Version::V5, out));
        assert!(matches!(watcher.receive(), Received::Ack(..)));
    }
    let empty = "1 sessions, 1 of them connected; 0 messages queued; 0 topic filters subscribed:";
    wait_until("only the watcher is left", || {
        broker.signal(12); // SIGUSR2
        thread::sleep(Duration::from_millis(20));
        broker.log().contains(empty)
    });
    wait_until("all sockets are closed", || broker.open_files() == open_files);
    watcher.subscribe("#", QoS::AtMostOnce);
    watcher.expect_alive();
    watcher.ask("$SYS/broker/#", QoS::AtMostOnce, 1);
    let mut expected = vec![("subscriptions/count", "2"), ("shared_subscriptions/count", "0"), ("clients/total", "1")];
    while !expected.is_empty() {
        if let Received::Message { topic, payload, .. } = watcher.receive() {
            assert!(topic.starts_with("$SYS/"), "{topic} is still retained");
            expected.retain(|(name, text)| topic != format!("$SYS/broker/{name}") || *text.as_bytes() != payload);
        }
    }
}

#[test]
fn large_messages_reach_those_who_read_slowly_whole() {
    const SIZE: usize = 1_900_000;
    let broker = Broker::start("threads 3");
    let mut readers: Vec<Client> = (0..20)
        .map(|number| {
            let mut client = Client::connect(broker.port, &format!("reader {number}"));
            client.subscribe("large", QOS[number % 2]);
            client
        })
        .collect();
    let mut publisher = Client::connect(broker.port, "publisher");
    for round in 0..3 {
        let payload: Vec<u8> = (0..SIZE).map(|at| (at * 7 + at / 251 + round) as u8).collect();
        publisher.publish_and_wait("large", &payload);
        for reader in &mut readers {
            let (_, got) = reader.message();
            assert!(got == payload, "round {round}");
        }
    }
}
