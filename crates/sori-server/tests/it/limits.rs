//! Who is let in, who is kept, and what strangers may cost.

use std::time::{Duration, Instant};

use sori_mqtt::{Connect, Version};

use super::broker::{Broker, wait_until};
use super::client::{Client, Received, hello};

/// How long the broker keeps a connection that does not say who it is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// In Mosquitto's words, and in no version of MQTT.
#[test]
fn a_connect_above_max_packet_size_is_closed_and_told() {
    let broker = Broker::start("max_packet_size 1000");
    let long = "x".repeat(1000);
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut client = Client::open(broker.port);
        client.speak(version);
        client.say(|out| Connect { version, ..hello(&long) }.encode(out));
        assert_eq!(client.receive(), Received::End);
    }
    let is_told = |line: &&str| {
        line.starts_with("Client 127.0.0.1 [127.0.0.1:") && line.ends_with("] disconnected: oversize packet.")
    };
    wait_until("each of them is told", || broker.log().lines().filter(is_told).count() == 3);
    assert!(!broker.log().contains("too large"), "{}", broker.log());
}

#[test]
fn connections_that_never_finish_their_connect_are_closed_in_time() {
    let broker = Broker::start("connect_timeout 1");
    let mut connect = Vec::new();
    hello("trickler").encode(&mut connect);
    let opened = Instant::now();
    let mut silent = Client::open(broker.port);
    let mut half = Client::open(broker.port);
    half.send(&connect[..5]);
    // One byte at a time, for as long as the broker listens.
    let mut trickling = Client::open(broker.port);
    for byte in connect.iter().cycle().take(1000) {
        trickling.send(&[*byte & 0x7F | 0x10]);
        if trickling.receive_within(Duration::from_millis(20)) == Some(Received::End) {
            break;
        }
    }
    let trickled = opened.elapsed();
    for client in [&mut silent, &mut half] {
        assert_eq!(client.receive(), Received::End);
    }
    let late = opened.elapsed();
    assert!(late >= CONNECT_TIMEOUT, "{late:?}");
    for elapsed in [late, trickled] {
        assert!(elapsed < CONNECT_TIMEOUT + Duration::from_secs(2), "{elapsed:?}");
    }
    Client::connect(broker.port, "after").expect_alive();
}

#[test]
fn who_goes_before_its_connect_is_known_by_its_address() {
    let broker = Broker::start("");
    drop(Client::open(broker.port));
    broker.wait_for_log("Client 127.0.0.1 [127.0.0.1:");
    broker.wait_for_log("] disconnected: connection closed by client.\n");
}

#[test]
fn a_half_open_connection_costs_less_than_2_kib() {
    const CONNECTIONS: usize = 2000;
    let broker = Broker::start("connection_messages false");
    // What the first connections need once is not theirs alone.
    let first: Vec<Client> = (0..100).map(|_| Client::open(broker.port)).collect();
    let accepted = |count: usize| {
        // The last one was accepted when it is answered.
        Client::connect(broker.port, &format!("after {count}")).expect_alive();
        broker.resident_bytes()
    };
    let before = accepted(first.len());
    let many: Vec<Client> = (0..CONNECTIONS).map(|_| Client::open(broker.port)).collect();
    let grown = accepted(many.len()) - before;
    let each = grown / CONNECTIONS as i64;
    eprintln!("{each} bytes for each of {CONNECTIONS} half-open connections");
    assert!(each < 2048, "{each} bytes");
}

/// How many of these connections the broker kept: it closes those that it does not let in at once.
fn kept(clients: &mut [Client]) -> usize {
    let kept = clients
        .iter_mut()
        .filter_map(|client| client.receive_within(Duration::from_millis(200)).is_none().then_some(()));
    kept.count()
}

#[test]
fn connections_above_a_limit_are_closed_until_others_leave() {
    for (option, line) in [
        ("max_connections 3", "denied: max_connections exceeded"),
        ("global_max_connections 3", "denied: max_connections exceeded"),
        ("max_connections_per_address 3", "denied: max_connections exceeded"),
    ] {
        let broker = Broker::start(option);
        let mut clients: Vec<Client> = (0..3).map(|n| Client::connect(broker.port, &format!("client {n}"))).collect();
        let mut one_more = Client::open(broker.port);
        assert_eq!(one_more.receive(), Received::End, "{option}");
        broker.wait_for_log(line);
        clients.pop();
        Client::connect(broker.port, "again").expect_alive();
        for client in &mut clients {
            client.expect_alive();
        }
    }
}

#[test]
fn an_address_may_connect_so_often_per_second() {
    let broker = Broker::start("connection_rate_per_address 5");
    // The broker itself was not connected to before. All of these come within a second, or two at the most.
    let began = Instant::now();
    let mut clients: Vec<Client> = (0..20).map(|_| Client::open(broker.port)).collect();
    assert!(began.elapsed() < Duration::from_secs(1), "too slow to be a test");
    let kept = kept(&mut clients);
    assert!((5..=10).contains(&kept), "{kept}");
    broker.wait_for_log("127.0.0.1");
    drop(clients);
    wait_until("a second later it may again", || {
        let mut client = Client::open(broker.port);
        client.say(|out| hello("again").encode(out));
        matches!(client.receive(), Received::ConnAck { code: 0, .. })
    });
}

#[test]
fn the_broker_asks_for_all_the_file_descriptors_it_may_have() {
    let broker = Broker::start_with_open_files("", Some((40, 300)));
    let mut clients: Vec<Client> = (0..200).map(|n| Client::connect(broker.port, &format!("client {n}"))).collect();
    clients[199].expect_alive();
}

#[test]
fn a_broker_without_file_descriptors_waits_for_some() {
    let broker = Broker::start_with_open_files("", Some((60, 60)));
    let mut clients: Vec<Client> = (0..100).map(|_| Client::open(broker.port)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(|out| hello(&format!("client {number}")).encode(out));
    }
    broker.wait_for_log("Unable to accept new connection: Too many open files");
    // The first ones are served, the last ones wait.
    assert!(matches!(clients[0].receive(), Received::ConnAck { code: 0, .. }));
    assert_eq!(clients[99].receive_within(Duration::from_millis(100)), None);
    let before = broker.processor_time();
    std::thread::sleep(Duration::from_secs(1));
    let spent = broker.processor_time() - before;
    eprintln!("{spent:?} per second while connections wait for a file descriptor");
    assert!(spent < Duration::from_millis(20), "{spent:?}");
    clients[0].expect_alive();
    clients.drain(..60);
    for client in &mut clients {
        assert!(matches!(client.receive(), Received::ConnAck { code: 0, .. }));
    }
    let complaints = broker.log().matches("Too many open files").count();
    assert_eq!(complaints, 1, "{}", broker.log());
}
