//! SIGHUP, SIGUSR1, SIGUSR2 and SIGRTMIN.

use sori_mqtt::QoS;

use super::broker::{Broker, wait_until};
use super::client::{Client, Received, hello};

const HUP: i32 = 1;
const USR1: i32 = 10;
const USR2: i32 = 12;
const RTMIN: i32 = 34;

#[test]
fn a_reload_reaches_clients_to_come() {
    let broker = Broker::start("connection_messages true");
    let mut before = Client::connect(broker.port, "before");
    broker.rewrite("max_connections 2\nmax_qos 0\nallow_zero_length_clientid false\nconnection_messages false");
    broker.signal(HUP);
    broker.wait_for_log("Reloading config.");
    wait_until("an empty client identifier is refused", || {
        let mut client = Client::open(broker.port);
        client.say(|out| hello("").encode(out));
        matches!(client.receive(), Received::ConnAck { code: 0x80, .. })
    });
    wait_until("the broker has closed it", || {
        let mut client = Client::open(broker.port);
        client.say(|out| hello("after").encode(out));
        if client.receive() == Received::End {
            return false;
        }
        client.publish("a", b"", QoS::AtLeastOnce, 1);
        assert_eq!(client.receive(), Received::Disconnect(0x9B));
        true
    });
    // A connection keeps what it agreed.
    before.publish_and_wait("a", b"");
    assert!(broker.log().contains("as before") && !broker.log().contains("as after"), "{}", broker.log());
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn limits_of_queues_hold_for_sessions_that_are_there() {
    let broker = Broker::start("max_queued_messages 3");
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("a", QoS::AtLeastOnce);
    drop(away);
    let mut publisher = Client::connect(broker.port, "publisher");
    wait_until("its client is known to be away", || {
        broker.signal(USR2);
        std::thread::sleep(std::time::Duration::from_millis(10));
        broker.log().contains("2 sessions, 1 of them connected")
    });
    broker.rewrite("max_queued_messages 10");
    broker.signal(HUP);
    broker.wait_for_log("Reloading config.");
    // The shards answer what is asked later with the new settings.
    let overviews = || broker.log().matches("2 sessions, 1 of them connected").count();
    let before = overviews();
    broker.signal(USR2);
    wait_until("the shards have answered", || overviews() > before);
    for number in 0..20 {
        publisher.publish_and_wait("a", &[number]);
    }
    let (mut back, _) = Client::resume(broker.port, "away");
    for number in 0..10 {
        assert_eq!(back.message().1, [number]);
    }
}

#[test]
fn a_file_with_a_mistake_changes_nothing() {
    let broker = Broker::start("max_qos 1");
    broker.rewrite("max_qos 0\nno_such_option 1");
    broker.signal(HUP);
    broker.wait_for_log("Unknown configuration variable 'no_such_option'");
    broker.wait_for_log("The configuration was not changed.");
    let mut client = Client::connect(broker.port, "client");
    client.publish_and_wait("a", b"");
    client.publish("a", b"", QoS::ExactlyOnce, 1);
    assert_eq!(client.receive(), Received::Disconnect(0x9B));
}

#[test]
fn usr1_says_that_there_is_nothing_to_save() {
    let broker = Broker::start("");
    broker.signal(USR1);
    broker.wait_for_log("There is nothing to save");
    Client::connect(broker.port, "client").expect_alive();
}

#[test]
fn usr2_shows_the_subscriptions_of_all_shards() {
    let broker = Broker::start("threads 3");
    let clients: Vec<Client> = (0..4)
        .map(|number| {
            let mut client = Client::connect(broker.port, &format!("client {number}"));
            client.subscribe("home/#", QoS::AtLeastOnce);
            client
        })
        .collect();
    broker.signal(USR2);
    broker.wait_for_log("4 sessions, 4 of them connected; 0 messages queued; 1 topic filters subscribed:");
    broker.wait_for_log("    home/# (client 0, 1) (client 1, 1) (client 2, 1) (client 3, 1)\n");
    drop(clients);
}

#[test]
fn rtmin_opens_the_log_anew() {
    let broker = Broker::start("");
    std::fs::rename(broker.file("log"), broker.file("log.1")).expect("can be moved");
    Client::connect(broker.port, "first");
    broker.signal(RTMIN);
    wait_until("there is a log again", || broker.file("log").exists());
    Client::connect(broker.port, "second");
    broker.wait_for_log("as second");
    let old = std::fs::read_to_string(broker.file("log.1")).expect("is there");
    assert!(old.contains("as first") && !old.contains("as second"), "{old}");
    assert!(!broker.log().contains("Reloading"), "{}", broker.log());
}
