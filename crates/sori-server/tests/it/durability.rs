//! What a restart, and a kill, leave as it was: over real sockets, with real files.

use std::fs;

use nix::sys::signal::Signal;
use sori_mqtt::{Connect, PacketId, PacketType, Property, PropertyBuffer, Publish, QoS, Version, Will};

use super::broker::{Broker, wait_until};
use super::client::{Client, Received, hello, publish};

const KEPT: &str = "persistence true";

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("is not 0")
}

fn retain(client: &mut Client, topic: &str, payload: &[u8]) {
    client.say(|out| Publish { retain: true, ..publish(topic, payload, QoS::AtLeastOnce, 9) }.encode(Version::V5, out));
    assert_eq!(client.receive(), Received::Ack(PacketType::PubAck, id(9)));
}

fn retained(port: u16, filter: &str) -> Vec<(String, Vec<u8>)> {
    let mut client = Client::connect(port, "looks");
    client.subscribe(filter, QoS::AtMostOnce);
    client.send(&sori_mqtt::PINGREQ);
    let mut found = Vec::new();
    loop {
        match client.receive() {
            Received::PingResp => return found,
            Received::Message { topic, payload, .. } => found.push((topic, payload)),
            other => unreachable!("{other:?}"),
        }
    }
}

/// The line is Mosquitto's, for clients of every version.
#[test]
fn a_session_that_expires_is_told() {
    let broker = Broker::start("persistent_client_expiration 1s");
    drop(Client::resume(broker.port, "new").0);
    let old = Connect { version: Version::V311, clean_start: false, ..hello("old") };
    drop(Client::connect_with(broker.port, &old));
    broker.wait_for_log("Expiring client new due to timeout.\n");
    broker.wait_for_log("Expiring client old due to timeout.\n");
}

/// CVE-2017-9868 of Mosquitto, a world-readable persistence file: nobody else may look into anything that is kept.
#[test]
fn files_that_keep_something_are_not_for_others_mosquitto_2017_9868() {
    fn look(directory: &std::path::Path, found: &mut usize) {
        use std::os::unix::fs::PermissionsExt as _;
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("can be read").path();
            let mode = fs::metadata(&path).expect("is there").permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            *found += 1;
            if path.is_dir() {
                look(&path, found);
            }
        }
    }
    let mut broker = Broker::start(&format!("{KEPT}\npersistence_location kept/\n"));
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        retain(&mut Client::connect(broker.port, "publisher"), "t", b"secret");
        broker.restart(signal, |directory| {
            let (directory, mut found) = (directory.join("kept"), 0);
            look(&directory, &mut found);
            assert!(found >= 3, "the store, a segment, the lock");
        });
        assert_eq!(retained(broker.port, "t"), [("t".to_owned(), b"secret".to_vec())]);
    }
    look(&broker.file("kept"), &mut 0);
}

/// Everything that there is to be kept, then a restart, then all of it is looked for.
fn everything_survives(signal: Signal) {
    let mut broker = Broker::start(&format!("{KEPT}\nthreads 2"));
    let port = broker.port;

    let (mut away, was_there) = Client::resume(port, "away");
    assert!(!was_there);
    away.subscribe("a/#", QoS::ExactlyOnce);
    drop(away);
    let (mut halfway, _) = Client::resume(port, "halfway");
    halfway.subscribe("b", QoS::ExactlyOnce);
    let mut publisher = Client::connect(port, "publisher");
    for number in 0..5 {
        publisher.publish_and_wait("a/b", format!("message {number}").as_bytes());
    }
    // Towards a client: one message that has got its PUBREC, and one that has not.
    for payload in [b"one", b"two"] {
        publisher.publish("b", payload, QoS::ExactlyOnce, 7);
        assert_eq!(publisher.receive(), Received::Ack(PacketType::PubRec, id(7)));
        publisher.acknowledge(PacketType::PubRel, id(7));
        assert_eq!(publisher.receive(), Received::Ack(PacketType::PubComp, id(7)));
    }
    let mut ids = Vec::new();
    for payload in [b"one", b"two"] {
        match halfway.receive() {
            Received::Message { payload: came, packet_id: Some(packet_id), .. } if came == payload => {
                ids.push(packet_id)
            }
            other => unreachable!("{other:?}"),
        }
    }
    halfway.acknowledge(PacketType::PubRec, ids[0]);
    assert_eq!(halfway.receive(), Received::Ack(PacketType::PubRel, ids[0]));
    // From a client: a message whose PUBREL is still to come.
    let (mut sender, _) = Client::resume(port, "sender");
    sender.publish("a/c", b"once", QoS::ExactlyOnce, 3);
    assert_eq!(sender.receive(), Received::Ack(PacketType::PubRec, id(3)));
    retain(&mut publisher, "r/stays", b"now");
    retain(&mut publisher, "r/goes", b"then");
    retain(&mut publisher, "r/goes", b"");

    broker.restart(signal, |_| ());

    assert_eq!(retained(port, "r/#"), [("r/stays".to_owned(), b"now".to_vec())]);
    let (mut sender, was_there) = Client::resume(port, "sender");
    assert!(was_there);
    // The broker knows the message: it is not taken for another one.
    sender.say(|out| {
        Publish { dup: true, ..publish("a/c", b"once", QoS::ExactlyOnce, 3) }.encode(Version::V5, out);
    });
    assert_eq!(sender.receive(), Received::Ack(PacketType::PubRec, id(3)));
    sender.acknowledge(PacketType::PubRel, id(3));
    assert_eq!(sender.receive(), Received::Ack(PacketType::PubComp, id(3)));

    let (mut away, was_there) = Client::resume(port, "away");
    assert!(was_there);
    let mut messages = Vec::new();
    for _ in 0..6 {
        match away.receive() {
            Received::Message { payload, qos, packet_id: Some(packet_id), .. } => {
                messages.push((String::from_utf8(payload).expect("is text"), qos));
                match qos {
                    QoS::AtLeastOnce => away.acknowledge(PacketType::PubAck, packet_id),
                    _ => away.acknowledge(PacketType::PubRec, packet_id),
                }
            }
            Received::Ack(PacketType::PubRel, packet_id) => away.acknowledge(PacketType::PubComp, packet_id),
            other => unreachable!("{other:?}"),
        }
    }
    let expected: Vec<_> = (0..5).map(|number| (format!("message {number}"), QoS::AtLeastOnce)).collect();
    assert_eq!(messages[..5], expected);
    assert_eq!(messages[5], ("once".to_owned(), QoS::ExactlyOnce));

    let (mut halfway, was_there) = Client::resume(port, "halfway");
    assert!(was_there);
    assert_eq!(halfway.receive(), Received::Ack(PacketType::PubRel, ids[0]));
    match halfway.receive() {
        Received::Message { payload, packet_id, dup: true, .. } => {
            assert_eq!((payload, packet_id), (b"two".to_vec(), Some(ids[1])));
        }
        other => unreachable!("{other:?}"),
    }
    // Its subscription is there as well.
    halfway.acknowledge(PacketType::PubComp, ids[0]);
    Client::connect(port, "another").publish_and_wait("b", b"three");
    assert_eq!(halfway.message(), ("b".to_owned(), b"three".to_vec()));
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn everything_survives_a_restart() {
    everything_survives(Signal::SIGTERM);
}

#[test]
fn everything_survives_a_kill() {
    everything_survives(Signal::SIGKILL);
}

#[test]
fn a_will_with_a_delay_is_published_once_after_a_kill() {
    let mut broker = Broker::start(KEPT);
    let mut subscriber = Client::resume(broker.port, "subscriber").0;
    subscriber.subscribe("will", QoS::ExactlyOnce);
    let mut properties = PropertyBuffer::new();
    properties.push(Property::SessionExpiryInterval(1000));
    let mut delay = PropertyBuffer::new();
    delay.push(Property::WillDelayInterval(1));
    let will = Will {
        topic: "will",
        payload: b"gone",
        qos: QoS::ExactlyOnce,
        retain: false,
        properties: delay.as_properties(),
    };
    let mortal = Connect { will: Some(will), properties: properties.as_properties(), ..hello("mortal") };
    let client = Client::connect_with(broker.port, &mortal).0;
    broker.restart(Signal::SIGKILL, |_| ());
    drop(client);
    let mut subscriber = Client::resume(broker.port, "subscriber").0;
    match subscriber.receive() {
        Received::Message { topic, packet_id: Some(packet_id), .. } => {
            assert_eq!(topic, "will");
            subscriber.acknowledge(PacketType::PubRec, packet_id);
            assert_eq!(subscriber.receive(), Received::Ack(PacketType::PubRel, packet_id));
        }
        other => unreachable!("{other:?}"),
    }
    broker.restart(Signal::SIGKILL, |_| ());
    let mut subscriber = Client::resume(broker.port, "subscriber").0;
    assert_eq!(subscriber.receive(), Received::Ack(PacketType::PubRel, id(1)));
    assert_eq!(subscriber.receive_within(std::time::Duration::from_millis(1500)), None, "it is not published twice");
}

/// A client that has gone is known to be gone, whatever comes after that: the end of the broker, or a message.
#[test]
fn who_leaves_just_before_something_else_happens_has_left() {
    let mut broker = Broker::start(&format!("{KEPT}\nthreads 2"));
    let first = |client: &mut Client| match client.receive() {
        Received::Message { packet_id: Some(packet_id), dup, .. } => (packet_id, dup),
        other => unreachable!("{other:?}"),
    };
    Client::resume(broker.port, "away").0.subscribe("a", QoS::AtLeastOnce);
    for _ in 0..10 {
        let mut publisher = Client::connect(broker.port, "publisher");
        for _ in 0..10 {
            drop(Client::resume(broker.port, "away"));
            publisher.publish_and_wait("a", b"");
            let (mut away, _) = Client::resume(broker.port, "away");
            let (packet_id, dup) = first(&mut away);
            assert!(!dup, "it was sent to a client that had gone");
            away.acknowledge(PacketType::PubAck, packet_id);
            away.expect_alive();
        }
        broker.restart(Signal::SIGTERM, |_| ());
        let (mut away, _) = Client::resume(broker.port, "away");
        Client::connect(broker.port, "publisher").publish_and_wait("a", b"");
        let (packet_id, _) = first(&mut away);
        assert_eq!(packet_id, id(1), "it had gone before the broker ended");
        away.acknowledge(PacketType::PubAck, packet_id);
        away.expect_alive();
    }
}

#[test]
fn nothing_is_kept_unless_it_is_asked_for() {
    let mut broker = Broker::start("");
    broker.wait_for_log("Persistence is off");
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("a", QoS::AtLeastOnce);
    broker.restart(Signal::SIGTERM, |_| ());
    assert!(!Client::resume(broker.port, "away").1);
    assert!(!broker.file("sori.store").exists());
}

#[test]
fn durability_without_syncs_survives_a_kill_of_the_broker() {
    for durability in ["never", "interval 3600000"] {
        let mut broker = Broker::start(&format!("{KEPT}\ndurability {durability}"));
        let (mut away, _) = Client::resume(broker.port, "away");
        away.subscribe("a", QoS::AtLeastOnce);
        drop(away);
        Client::connect(broker.port, "publisher").publish_and_wait("a", b"kept");
        broker.restart(Signal::SIGKILL, |_| ());
        assert_eq!(Client::resume(broker.port, "away").0.message(), ("a".to_owned(), b"kept".to_vec()));
    }
}

#[test]
fn clean_sessions_touch_no_disk() {
    let broker = Broker::start(&format!("{KEPT}\nthreads 2\nsys_interval 0"));
    let mut subscribers: Vec<Client> = (0..4).map(|n| Client::connect(broker.port, &format!("sub{n}"))).collect();
    for subscriber in &mut subscribers {
        subscriber.subscribe("a", QoS::ExactlyOnce);
    }
    let mut publisher = Client::connect(broker.port, "publisher");
    // How often the thread was woken, and what it wrote.
    let activity = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", broker.process_id())).expect("it runs");
        let store = tasks
            .flatten()
            .map(|task| task.path())
            .find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "store\n"));
        let store = store.expect("there is a thread for the store");
        let status = fs::read_to_string(store.join("status")).expect("it runs");
        let switches = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).map(str::to_owned);
        (switches, fs::read_to_string(store.join("io")).ok())
    };
    // What was to be written at the start may wait a moment for company.
    let mut before = activity();
    wait_until("the store rests", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = activity();
        std::mem::replace(&mut before, now) == before
    });
    for number in 1..=200_u16 {
        publisher.publish("a", b"x", QoS::ExactlyOnce, number);
        assert_eq!(publisher.receive(), Received::Ack(PacketType::PubRec, id(number)));
        publisher.acknowledge(PacketType::PubRel, id(number));
        assert_eq!(publisher.receive(), Received::Ack(PacketType::PubComp, id(number)));
        publisher.publish("a", b"x", QoS::AtLeastOnce, number);
        assert_eq!(publisher.receive(), Received::Ack(PacketType::PubAck, id(number)));
        publisher.publish("a", b"x", QoS::AtMostOnce, 0);
    }
    drop(subscribers);
    publisher.expect_alive();
    assert_eq!(activity(), before);
}

#[test]
fn a_tiny_queue_of_the_store_slows_down_and_loses_nothing() {
    let mut broker = Broker::start(&format!("{KEPT}\nstore_queue_limit 1\nmax_queued_messages 0\nthreads 2"));
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("a", QoS::AtLeastOnce);
    drop(away);
    let mut publishers: Vec<Client> = (0..4).map(|n| Client::connect(broker.port, &format!("p{n}"))).collect();
    for number in 1..=50 {
        for publisher in &mut publishers {
            publisher.publish("a", &[0; 5000], QoS::AtLeastOnce, number);
        }
    }
    for publisher in &mut publishers {
        for number in 1..=50 {
            assert_eq!(publisher.receive(), Received::Ack(PacketType::PubAck, id(number)));
        }
    }
    broker.restart(Signal::SIGKILL, |_| ());
    let (mut away, was_there) = Client::resume(broker.port, "away");
    assert!(was_there);
    for _ in 0..200 {
        match away.receive() {
            Received::Message { packet_id: Some(packet_id), .. } => away.acknowledge(PacketType::PubAck, packet_id),
            other => unreachable!("{other:?}"),
        }
    }
}

#[test]
fn what_the_store_does_is_told_as_topics_and_in_the_log() {
    let broker = Broker::start(&format!("{KEPT}\nsys_interval 1"));
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("a", QoS::AtLeastOnce);
    drop(away);
    Client::connect(broker.port, "publisher").publish_and_wait("a", b"kept");
    let mut watcher = Client::connect(broker.port, "watcher");
    watcher.subscribe("$SYS/broker/store/#", QoS::AtMostOnce);
    let mut seen = std::collections::BTreeMap::new();
    while seen.get("messages/durable").is_none_or(|count| count != "1") || seen.len() < 16 {
        let (topic, payload) = watcher.message();
        let name = topic.strip_prefix("$SYS/broker/store/").expect("was subscribed").to_owned();
        seen.insert(name, String::from_utf8(payload).expect("is text"));
    }
    assert_eq!((&*seen["state"], &*seen["refused"], &*seen["changes/waiting"]), ("ok", "0", "0"));
    let number = |name: &str| seen[name].parse::<u64>().expect("is a number");
    assert!(number("bytes") > 4_000_000 && number("commits") > 1 && number("syncs") > 1 && number("segments") == 1);

    broker.signal(10);
    broker.wait_for_log("The store has been written anew: ");
    broker.signal(12);
    broker.wait_for_log("The store is ok: ");
    broker.wait_for_log("; 1 checkpoints");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn what_mosquitto_kept_is_taken_over_once_and_never_written() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mosquitto");
    for name in ["v6-2.1.2.db", "stopped.sqlite3"] {
        let mut broker = Broker::start("");
        let database = fs::read(data.join(name)).expect("is there");
        let file = if name.ends_with(".db") { "mosquitto.db" } else { "mosquitto.sqlite3" };
        fs::write(broker.file(file), &database).expect("can be written");
        broker.rewrite(KEPT);
        broker.restart(Signal::SIGTERM, |_| ());
        let log = broker.log();
        assert!(log.contains("Taken over from ") && !log.contains(": 0 sessions, "), "{log}");
        let mut found = retained(broker.port, "#");
        assert!(!found.is_empty());
        let begun = std::time::Instant::now();
        // The will of a client that was connected when Mosquitto ended is published soon after the start.
        while name.ends_with(".sqlite3") && !found.iter().any(|(topic, _)| topic == "will/topic") {
            assert!(begun.elapsed().as_secs() < 10, "{found:?}");
            found = retained(broker.port, "#");
        }
        broker.restart(Signal::SIGKILL, |_| ());
        assert!(!broker.log().contains("Taken over from "), "{}", broker.log());
        assert_eq!(retained(broker.port, "#"), found);
        assert_eq!(fs::read(broker.file(file)).expect("is there"), database);
        assert!(!broker.file("sori.store.new").exists());
    }
}

#[test]
fn a_line_says_where_the_data_is() {
    let broker = Broker::start(&format!("{KEPT}\npersistence_file my.db"));
    let text = fs::read_to_string(broker.file("my.db")).expect("is there");
    assert!(text.contains("/my.db.sori.store, and nothing in this file."), "{text}");
    wait_until("the store is there", || broker.file("my.db.sori.store/00000001.log").exists());
}

#[test]
fn a_start_says_how_much_is_in_use() {
    let mut broker = Broker::start(KEPT);
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("a", QoS::AtLeastOnce);
    drop(away);
    let mut publisher = Client::connect(broker.port, "publisher");
    (0..40).for_each(|_| publisher.publish_and_wait("a", &[b'x'; 1024]));
    (0..10).for_each(|_| publisher.publish_and_wait("nobody", &[b'x'; 1024]));
    retain(&mut publisher, "kept", &[b'x'; 1024]);
    retain(&mut publisher, "kept", &[b'x'; 1024]);
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        broker.restart(signal, |_| ());
        broker.wait_for_log(" 40 messages queued and 0 in flight, 1 retained; ");
        let log = broker.log();
        assert!(log.contains("about 41.0 KiB of them in use"), "{log}");
    }
}
