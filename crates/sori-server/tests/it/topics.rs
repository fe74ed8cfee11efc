//! What the broker itself publishes: `$SYS` and its log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sori_mqtt::{QoS, Version};

use super::broker::Broker;
use super::client::{Client, Received, publish};

/// The tree as this client knows it, once `is_right` is happy with it.
fn watch(
    client: &mut Client,
    tree: &mut BTreeMap<String, String>,
    is_right: impl Fn(&BTreeMap<String, String>) -> bool,
) {
    let until = Instant::now() + Duration::from_secs(10);
    while !is_right(tree) {
        assert!(Instant::now() < until, "{tree:#?}");
        if let Some(Received::Message { topic, payload, .. }) = client.receive_within(Duration::from_millis(100)) {
            tree.insert(topic, String::from_utf8(payload).expect("is text"));
        }
    }
}

#[test]
fn the_sys_tree_is_complete_and_right() {
    let broker = Broker::start("sys_interval 1\nmax_queued_messages 3");
    let port = broker.port;
    let mut watcher = Client::connect(port, "watcher");
    watcher.subscribe("$SYS/#", QoS::AtMostOnce);
    // 1 retained message, 20 at QoS 0 to one subscriber, 5 for a session that is away and takes 3.
    let mut subscriber = Client::connect(port, "subscriber");
    subscriber.subscribe("data", QoS::AtMostOnce);
    subscriber.subscribe("$share/group/other", QoS::AtMostOnce);
    let (mut away, _) = Client::resume(port, "away");
    away.subscribe("away", QoS::AtLeastOnce);
    drop(away);
    let mut publisher = Client::connect(port, "publisher");
    publisher.say(|out| {
        let retained = sori_mqtt::Publish { retain: true, ..publish("kept", b"12345", QoS::AtMostOnce, 0) };
        retained.encode(Version::V5, out);
    });
    for _ in 0..20 {
        publisher.publish("data", b"1234567890", QoS::AtMostOnce, 0);
    }
    let get = |tree: &BTreeMap<String, String>, topic: &str| tree.get(&format!("$SYS/broker/{topic}")).cloned();
    let is = |tree: &BTreeMap<String, String>, topic: &str, text: &str| get(tree, topic).as_deref() == Some(text);
    let mut tree = BTreeMap::new();
    watch(&mut watcher, &mut tree, |tree| is(tree, "clients/disconnected", "1"));
    for _ in 0..5 {
        publisher.publish_and_wait("away", b"");
    }
    for _ in 0..20 {
        assert_eq!(subscriber.message().0, "data");
    }
    watch(&mut watcher, &mut tree, |tree| {
        is(tree, "publish/messages/received", "26") && is(tree, "publish/messages/dropped/queue_full", "2")
    });
    for (topic, text) in [
        ("clients/total", "4"),
        ("clients/connected", "3"),
        ("clients/active", "3"),
        ("clients/disconnected", "1"),
        ("clients/inactive", "1"),
        ("clients/maximum", "4"),
        ("clients/expired", "0"),
        ("subscriptions/count", "3"),
        ("shared_subscriptions/count", "1"),
        ("connections/socket/count", "4"),
        ("publish/messages/dropped/queue_full", "2"),
        ("publish/messages/dropped/expired", "0"),
        ("publish/bytes/received", "205"),
    ] {
        assert_eq!(get(&tree, topic).as_deref(), Some(text), "{topic}");
    }
    assert_eq!(get(&tree, "version"), Some(format!("sori version {}", sori_server::VERSION)));
    assert!(get(&tree, "uptime").is_some_and(|text| text.ends_with(" seconds")));
    let number = |topic: &str| get(&tree, topic).and_then(|text| text.parse::<f64>().ok()).unwrap_or(-1.0);
    for topic in ["bytes/received", "bytes/sent", "messages/received", "messages/sent", "heap/current", "heap/maximum"]
    {
        assert!(number(topic) > 100.0 || topic.starts_with("messages") && number(topic) > 20.0, "{topic}");
    }
    assert!(number("publish/messages/sent") >= 20.0 + 64.0, "the tree itself was sent too");
    assert!(number("load/publish/received/1min") > 0.0 && number("load/connections/15min") > 0.0);
    // Mosquitto's 56 topics, the seven causes of drops and the QoS 0 messages of offline sessions.
    assert_eq!(tree.len(), 64, "{tree:#?}");

    // The tree is retained.
    let mut late = Client::connect(port, "late");
    late.subscribe("$SYS/broker/version", QoS::AtMostOnce);
    assert_eq!(late.message().0, "$SYS/broker/version");
}

#[test]
fn a_client_that_just_closes_is_not_counted_any_more() {
    let broker = Broker::start("sys_interval 1\nthreads 3");
    let mut watcher = Client::connect(broker.port, "watcher");
    watcher.subscribe("$SYS/broker/clients/connected", QoS::AtMostOnce);
    // Each is alone on its shard, and nothing else happens there.
    let others = [Client::connect(broker.port, "one"), Client::connect(broker.port, "two")];
    let mut tree = BTreeMap::new();
    let count = |tree: &BTreeMap<String, String>| tree.values().next().cloned().unwrap_or_default();
    watch(&mut watcher, &mut tree, |tree| count(tree) == "3");
    drop(others);
    watch(&mut watcher, &mut tree, |tree| count(tree) == "1");
}

#[test]
fn what_happens_on_a_shard_without_clients_is_counted_too() {
    const SESSIONS: usize = 8;
    let broker = Broker::start("sys_interval 1\nthreads 4\nmax_queued_messages 3");
    for number in 0..SESSIONS {
        let (mut away, _) = Client::resume(broker.port, &format!("away {number}"));
        away.subscribe("away", QoS::AtLeastOnce);
    }
    let mut watcher = Client::connect(broker.port, "watcher");
    watcher.subscribe("$SYS/broker/#", QoS::AtMostOnce);
    let mut publisher = Client::connect(broker.port, "publisher");
    let mut tree = BTreeMap::new();
    let is = |tree: &BTreeMap<String, String>, topic: &str, text: &str| {
        tree.get(&format!("$SYS/broker/{topic}")).is_some_and(|found| found == text)
    };
    watch(&mut watcher, &mut tree, |tree| is(tree, "clients/disconnected", "8"));
    for _ in 0..5 {
        publisher.publish_and_wait("away", &[0; 10_000]);
    }
    watch(&mut watcher, &mut tree, |tree| {
        let stored = tree.get("$SYS/broker/store/messages/bytes").and_then(|text| text.parse::<u32>().ok());
        // Three messages, once for each shard, and the tree itself.
        is(tree, "publish/messages/dropped", "16") && stored.is_some_and(|bytes| (30_000..200_000).contains(&bytes))
    });
    let waiting = tree.get("$SYS/broker/packet/out/count").map(String::as_str);
    assert_eq!(waiting, Some("24"));
}

#[test]
fn nobody_may_publish_below_sys() {
    let broker = Broker::start("sys_interval 1");
    let mut client = Client::connect(broker.port, "client");
    client.subscribe("$SYS/broker/mine", QoS::AtMostOnce);
    client.publish("$SYS/broker/mine", b"x", QoS::AtMostOnce, 0);
    client.expect_alive();
}

#[test]
fn without_an_interval_there_is_no_sys_tree() {
    let broker = Broker::start("sys_interval 0");
    let mut client = Client::connect(broker.port, "client");
    client.subscribe("$SYS/#", QoS::AtMostOnce);
    client.expect_alive();
}

#[test]
fn the_log_is_a_topic() {
    let broker = Broker::start("log_dest topic");
    let mut watcher = Client::connect(broker.port, "watcher");
    watcher.subscribe("$SYS/broker/log/#", QoS::ExactlyOnce);
    drop(Client::connect(broker.port, "newcomer"));
    let (topic, line) = loop {
        let (topic, line) = watcher.message();
        let line = String::from_utf8(line).expect("is text");
        if line.contains("as newcomer") {
            break (topic, line);
        }
    };
    assert_eq!(topic, "$SYS/broker/log/N");
    assert!(line.contains("New client connected from 127.0.0.1:"), "{line}");
}
