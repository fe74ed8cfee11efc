//! What a reload changes while clients are connected, and what it leaves alone.

use std::net::{TcpListener, TcpStream};

use sori_mqtt::{
    Connect, Disconnect, PINGREQ, PacketId, PacketType, Properties, Property, PropertyBuffer, Publish, QoS, ReasonCode,
    Version,
};

use super::broker::{Broker, free_port, wait_until};
use super::client::{Client, Received, hello, publish};

const HUP: i32 = 1;

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Reloads with these lines below those of the first listener, and waits until it is done.
#[track_caller]
fn reload(broker: &Broker, lines: &str) {
    let reloads = || broker.log().matches("The configuration was reloaded").count();
    let before = reloads();
    broker.rewrite(lines);
    broker.signal(HUP);
    wait_until("it is done", || reloads() > before);
}

/// The same for what cannot be taken over.
#[track_caller]
fn refused_reload(broker: &Broker, lines: &str) {
    let refusals = || broker.log().matches("The configuration was not changed.").count();
    let before = refusals();
    broker.rewrite(lines);
    broker.signal(HUP);
    wait_until("it is refused", || refusals() > before);
}

#[test]
fn listeners_come_and_go_and_the_others_notice_nothing() {
    let (second, third) = (free_port(), free_port());
    let broker = Broker::start(&format!("threads 3\nlistener {second} 127.0.0.1"));
    let mut stays = Client::connect(broker.port, "stays");
    stays.subscribe("a", QoS::AtLeastOnce);
    let mut goes: Vec<Client> = (0..6).map(|number| Client::connect(second, &format!("goes {number}"))).collect();
    let mut silent = Client::open(second);

    reload(&broker, &format!("listener {third} 127.0.0.1"));
    for client in &mut goes {
        assert_eq!(client.receive(), Received::Disconnect(0x98));
        assert_eq!(client.receive(), Received::End);
    }
    assert_eq!(silent.receive(), Received::End, "who has not logged in yet has nothing to lose");
    assert!(!listens(second));
    broker.wait_for_log("Client goes 0 [127.0.0.1:");
    broker.wait_for_log("disconnected: administrative action.");

    let mut comes = Client::connect(third, "comes");
    comes.publish_and_wait("a", b"new");
    assert_eq!(stays.message(), ("a".to_owned(), b"new".to_vec()));

    // And back again, which is another listener than the one that went.
    reload(&broker, &format!("listener {second} 127.0.0.1"));
    assert_eq!(comes.receive(), Received::Disconnect(0x98));
    Client::connect(second, "back").expect_alive();
    stays.expect_alive();
}

/// More than go in one turn, and nobody has to say anything for the others to go as well.
#[test]
fn all_of_very_many_clients_go_with_their_listener() {
    let second = free_port();
    let broker = Broker::start(&format!("threads 1\nlistener {second} 127.0.0.1"));
    let mut stays = Client::connect(broker.port, "stays");
    let mut goes: Vec<Client> = (0..300).map(|number| Client::connect(second, &format!("goes {number}"))).collect();
    reload(&broker, "");
    for client in &mut goes {
        assert_eq!(client.receive(), Received::Disconnect(0x98));
        assert_eq!(client.receive(), Received::End);
    }
    stays.expect_alive();
}

#[test]
fn a_listener_that_cannot_be_opened_changes_nothing_at_all() {
    let (second, third) = (free_port(), free_port());
    let broker = Broker::start(&format!("max_qos 1\nlistener {second} 127.0.0.1"));
    let mut client = Client::connect(second, "client");
    let taken: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("is free")).collect();
    let ports: Vec<u16> = taken.iter().map(|listener| listener.local_addr().expect("has one").port()).collect();
    refused_reload(
        &broker,
        &format!(
            "max_qos 0\nlistener {third} 127.0.0.1\nlistener {} 127.0.0.1\nlistener {} 127.0.0.1",
            ports[0], ports[1]
        ),
    );
    for port in ports {
        assert!(broker.log().contains(&format!("Address already in use: 127.0.0.1:{port}")), "{}", broker.log());
    }
    assert!(listens(second) && !listens(third));
    client.expect_alive();
    let mut other = Client::connect(broker.port, "other");
    other.publish_and_wait("a", b"");
    other.publish("a", b"", QoS::ExactlyOnce, 1);
    assert_eq!(other.receive(), Received::Disconnect(0x9B), "max_qos is 1 as before");
}

#[test]
fn a_log_that_cannot_be_written_changes_nothing() {
    let broker = Broker::start("");
    let text = std::fs::read_to_string(broker.file("broker.conf")).expect("is there");
    let log = broker.file("log").display().to_string();
    let elsewhere = text.replace(&log, "/does/not/exist/log").replace("allow_anonymous true", "allow_anonymous false");
    std::fs::write(broker.file("broker.conf"), elsewhere).expect("can be written");
    broker.signal(HUP);
    broker.wait_for_log("Unable to open log file /does/not/exist/log for writing");
    broker.wait_for_log("The configuration was not changed.");
    Client::connect(broker.port, "anonymous").expect_alive();
}

/// CVE-2017-7652, and what is half written: the rules stay as they were, and the next reload is as good as any.
#[test]
fn broken_and_unreadable_files_leave_the_old_rules() {
    let broker = Broker::start("");
    let acl = broker.file("acl");
    let write = |text: &str| std::fs::write(&acl, text).expect("can be written");
    write("topic readwrite a/#\n");
    let line = format!("acl_file {}", acl.display());
    reload(&broker, &line);
    let mut client = Client::connect(broker.port, "client");
    let mut expect = |topic: &str, is_allowed: bool| {
        client.publish(topic, b"", QoS::AtLeastOnce, 1);
        let answer = client.receive();
        assert_eq!(matches!(answer, Received::Ack(..)), is_allowed, "{topic}: {answer:?}");
    };
    expect("a/b", true);
    expect("b", false);
    let text = std::fs::read(broker.file("broker.conf")).expect("is there");
    let broken: [(&str, &dyn Fn()); 5] = [
        ("half a line", &|| write("topic readwrite b\ntop")),
        ("no text at all", &|| std::fs::write(&acl, b"\xFF\xFEt\0o\0").expect("can be written")),
        ("no file", &|| std::fs::remove_file(&acl).expect("is there")),
        ("half a configuration", &|| {
            write("topic readwrite a/#\n");
            std::fs::write(broker.file("broker.conf"), &text[..text.len() - 2]).expect("can be written");
        }),
        ("no configuration", &|| std::fs::remove_file(broker.file("broker.conf")).expect("is there")),
    ];
    for (what, break_it) in broken {
        let refusals = || broker.log().matches("The configuration was not changed.").count();
        let before = refusals();
        break_it();
        broker.signal(HUP);
        wait_until(what, || refusals() > before);
        expect("a/b", true);
        expect("b", false);
    }
    write("topic readwrite b\n");
    reload(&broker, &line);
    expect("a/b", false);
    expect("b", true);
}

#[test]
fn nobody_comes_in_twice_when_the_address_of_a_listener_changes() {
    let port = free_port();
    let broker = Broker::start(&format!("listener {port}\nsocket_domain ipv4"));
    let mut before = Client::connect(port, "before");
    reload(&broker, &format!("listener {port} 127.0.0.1"));
    assert_eq!(before.receive(), Received::Disconnect(0x98), "another socket is another listener");
    Client::connect(port, "after").expect_alive();
    let mut anonymous = Client::open(broker.port);
    anonymous.say(|out| hello("first").encode(out));
    assert!(matches!(anonymous.receive(), Received::ConnAck { code: 0, .. }));
}

/// Nobody sends a signal, and what is there when a file is half written, broken or gone is not taken over.
#[test]
fn files_that_change_on_disk_are_taken_over_when_they_are_good() {
    let broker = Broker::start("");
    let acl = broker.file("acl");
    let write = |text: &str| std::fs::write(&acl, text).expect("can be written");
    write("topic readwrite a/#\n");
    reload(&broker, &format!("acl_file {}", acl.display()));
    let mut client = Client::connect(broker.port, "client");
    let mut may = |topic: &str| {
        client.publish(topic, b"", QoS::AtLeastOnce, 1);
        matches!(client.receive(), Received::Ack(..))
    };
    assert!(may("a/b") && !may("b"));
    write("topic readwrite b\ntop");
    broker.wait_for_log("acl:2:1: Error: Invalid line in acl_file: top.");
    broker.wait_for_log("The configuration was not changed.");
    assert!(may("a/b") && !may("b"), "the old rules stay");
    write("topic readwrite b\ntopic readwrite c\n");
    wait_until("the new rules count", || may("c"));
    assert!(!may("a/b") && may("b"));
    // As Kubernetes and certbot do it: another file at the same place.
    let other = broker.file("other");
    std::fs::write(&other, "topic readwrite d\n").expect("can be written");
    std::fs::rename(&other, &acl).expect("can be moved");
    wait_until("the file that took the other's place counts", || may("d"));
    std::fs::remove_file(&acl).expect("is there");
    broker.wait_for_log("Unable to open acl_file");
    assert!(may("d") && !may("a/b"), "a file that is gone allows nothing new");
    assert_eq!(broker.log().matches("Changed: ").count(), 1, "no setting has changed since:\n{}", broker.log());
}

/// What a reload changes is told, and what has to wait for a restart too.
#[test]
fn the_log_says_what_a_reload_has_changed() {
    let broker = Broker::start("max_keepalive 5");
    reload(&broker, "max_keepalive 6\nthreads 7\nmax_qos 1");
    let port = broker.port;
    for line in [
        "Changed: max_keepalive from 5 to 6, for new connections.".to_owned(),
        "Changed: threads from 0 to 7, at the next start.".to_owned(),
        format!("Changed: listener {port} 127.0.0.1: max_qos from 2 to 1, for new connections."),
        "The configuration was reloaded; 3 settings have changed.".to_owned(),
    ] {
        assert!(broker.log().contains(&line), "{line}\n{}", broker.log());
    }
}

/// A client of MQTT 3.1.1 with this Keep Alive; whether it is let in.
fn is_let_in(broker: &Broker, keep_alive: u16) -> bool {
    let mut client = Client::open(broker.port);
    client.speak(Version::V311);
    client.say(|out| Connect { version: Version::V311, keep_alive, ..hello("slow") }.encode(out));
    matches!(client.receive(), Received::ConnAck { code: 0, .. })
}

/// What a publication comes to: of so many bytes, retained or not.
fn published(broker: &Broker, bytes: usize, retain: bool) -> Received {
    let mut client = Client::connect(broker.port, "publisher");
    let payload = vec![b'x'; bytes];
    let publish = Publish { retain, ..publish("r", &payload, QoS::AtLeastOnce, 1) };
    client.say(|out| publish.encode(Version::V5, out));
    client.receive()
}

/// How many messages a client gets that acknowledges none, of these that have 100 bytes each.
fn in_flight(broker: &Broker, sent: usize) -> usize {
    let mut subscriber = Client::connect(broker.port, "subscriber");
    subscriber.subscribe("f", QoS::AtLeastOnce);
    let mut publisher = Client::connect(broker.port, "publisher");
    for _ in 0..sent {
        publisher.publish_and_wait("f", &[0; 100]);
    }
    // An answer comes behind everything that was sent before it.
    subscriber.send(&PINGREQ);
    let mut count = 0;
    while matches!(subscriber.receive(), Received::Message { .. }) {
        count += 1;
    }
    count
}

/// How many of these messages of 100 bytes wait for a client that is away.
fn queued(broker: &Broker, sent: usize) -> usize {
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("q", QoS::AtLeastOnce);
    // When the broker has closed its side too, it knows that the client is away.
    away.say(|out| {
        Disconnect { reason_code: ReasonCode::Success, properties: Properties::EMPTY }.encode(Version::V5, out)
    });
    assert_eq!(away.receive(), Received::End);
    let mut publisher = Client::connect(broker.port, "publisher");
    for _ in 0..sent {
        publisher.publish_and_wait("q", &[0; 100]);
    }
    let (mut back, is_there) = Client::resume(broker.port, "away");
    assert!(is_there);
    back.send(&PINGREQ);
    let mut count = 0;
    while matches!(back.receive(), Received::Message { .. }) {
        count += 1;
    }
    back.say(|out| {
        let mut properties = PropertyBuffer::new();
        properties.push(Property::SessionExpiryInterval(0));
        Disconnect { reason_code: ReasonCode::Success, properties: properties.as_properties() }
            .encode(Version::V5, out);
    });
    assert_eq!(back.receive(), Received::End);
    count
}

/// A connection that says who it is, and what it is answered.
fn first_answer(broker: &Broker, client_id: &str) -> (Client, Received) {
    let mut client = Client::open(broker.port);
    client.say(|out| hello(client_id).encode(out));
    let answer = client.receive();
    (client, answer)
}

/// A client that is let in once all others have gone.
fn the_only_one(broker: &Broker) -> Client {
    let mut only = None;
    wait_until("the others have gone", || {
        let (client, answer) = first_answer(broker, "only");
        only = matches!(answer, Received::ConnAck { code: 0, .. }).then_some(client);
        only.is_some()
    });
    only.expect("is there now")
}

/// Every limit that Mosquitto's manual says is reloaded really is, and back again.
#[test]
fn every_limit_changes_with_a_reload() {
    // With one thread, what a client is answered comes behind everything that was published before it asked.
    let broker = Broker::start("threads 1");
    let ack = Received::Ack(PacketType::PubAck, PacketId::FIRST);
    for _ in 0..2 {
        reload(&broker, "max_keepalive 50");
        assert!(!is_let_in(&broker, 51) && is_let_in(&broker, 50));
        reload(&broker, "max_packet_size 200");
        assert!(is_let_in(&broker, 51));
        assert_eq!(published(&broker, 150, false), ack);
        assert_eq!(published(&broker, 200, false), Received::Disconnect(0x95));
        reload(&broker, "retain_available false");
        assert_eq!(published(&broker, 200, false), ack);
        assert_eq!(published(&broker, 1, true), Received::Disconnect(0x9A));
        reload(&broker, "max_inflight_messages 3");
        assert_eq!(published(&broker, 1, true), ack);
        assert_eq!(in_flight(&broker, 10), 3);
        reload(&broker, "max_inflight_bytes 450");
        assert!((4..=5).contains(&in_flight(&broker, 10)));
        reload(&broker, "max_queued_messages 4");
        assert_eq!(in_flight(&broker, 10), 10);
        assert_eq!(queued(&broker, 10), 4);
        reload(&broker, "max_queued_bytes 650");
        assert!((6..=7).contains(&queued(&broker, 10)));
        reload(&broker, "queue_full drop_oldest");
        assert_eq!(queued(&broker, 10), 10);
        reload(&broker, "global_max_connections 1");
        let only = the_only_one(&broker);
        assert_eq!(first_answer(&broker, "second").1, Received::End, "there is no room for a second connection");
        drop(only);
        reload(&broker, "global_max_clients 1");
        let _only = the_only_one(&broker);
        assert_eq!(first_answer(&broker, "second").1, Received::ConnAck { session_present: false, code: 0x89 });
        reload(&broker, "");
        Client::connect(broker.port, "second").expect_alive();
    }
}
