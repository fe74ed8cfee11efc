//! Clients beside each other: slow ones, loud ones, and those that claim the same session.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::QoS;

use super::broker::Broker;
use super::client::{Client, Received, hello};

const MIB: i64 = 1024 * 1024;

#[test]
fn a_subscriber_that_stops_reading_costs_a_few_mib_and_nobody_else() {
    const MESSAGES: u32 = 20_000;
    const WINDOW: u32 = 50;
    let broker = Broker::start("sys_interval 1");
    let mut stalled = Client::connect(broker.port, "stalled");
    let mut reading = Client::connect(broker.port, "reading");
    let mut watcher = Client::connect(broker.port, "watcher");
    let mut publisher = Client::connect(broker.port, "publisher");
    watcher.subscribe("$SYS/broker/publish/messages/dropped", QoS::AtMostOnce);
    stalled.subscribe("data", QoS::AtMostOnce);
    reading.subscribe("data", QoS::AtMostOnce);
    let before = broker.resident_bytes();
    let mut slowest = Duration::ZERO;
    for window in 0..MESSAGES / WINDOW {
        let sent = Instant::now();
        for number in window * WINDOW..(window + 1) * WINDOW {
            let mut payload = number.to_be_bytes().to_vec();
            payload.resize(1024, b'x');
            publisher.publish("data", &payload, QoS::AtLeastOnce, (number % WINDOW + 1) as u16);
        }
        for number in window * WINDOW..(window + 1) * WINDOW {
            assert!(matches!(publisher.receive(), Received::Ack(..)));
            assert_eq!(reading.message().1[..4], number.to_be_bytes());
        }
        slowest = slowest.max(sent.elapsed());
    }
    let cost = broker.resident_bytes() - before;
    eprintln!("a stalled subscriber costs {} KiB; slowest window of {WINDOW}: {slowest:?}", cost / 1024);
    assert!(cost < 8 * MIB, "{cost} bytes");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");

    // What it gets in the end, and what was counted as dropped, are all that there was.
    let mut received = 0;
    let mut last = None;
    while let Some(Received::Message { payload, .. }) = stalled.receive_within(Duration::from_millis(300)) {
        let number = payload[..4].to_vec();
        assert!(last < Some(number.clone()), "in order");
        last = Some(number);
        received += 1;
    }
    let dropped = MESSAGES - received;
    assert!(dropped > 0, "it was not slow enough for this test");
    while watcher.message().1 != dropped.to_string().as_bytes() {}
    broker.signal(12); // SIGUSR2
    broker.wait_for_log(&format!("{dropped} messages were dropped for stalled, 0 wait"));
    broker.wait_for_log("Outgoing messages are being dropped for client stalled.\n");
}

#[test]
fn a_stalled_subscriber_that_goes_away_is_noticed() {
    let broker = Broker::start("");
    let mut stalled = Client::connect(broker.port, "stalled");
    stalled.subscribe("data", QoS::AtMostOnce);
    let mut publisher = Client::connect(broker.port, "publisher");
    while !broker.log().contains("being dropped for client stalled") {
        for _ in 0..100 {
            publisher.publish("data", &[b'x'; 10_000], QoS::AtMostOnce, 0);
        }
        publisher.expect_alive();
    }
    drop(stalled);
    broker.wait_for_log("Client stalled [127.0.0.1");
    assert!(broker.log().contains("disconnected"), "{}", broker.log());
}

#[test]
fn quiet_publishers_get_through_beside_a_loud_one() {
    const QUIET: usize = 50;
    const EACH: usize = 20;
    let broker = Broker::start("");
    let mut watcher = Client::connect(broker.port, "watcher");
    watcher.subscribe("quiet/#", QoS::AtMostOnce);
    let mut flooding = Client::connect(broker.port, "loud");
    let begin = Barrier::new(2);
    let slowest = thread::scope(|scope| {
        let stop = flooding.stream.try_clone().expect("a handle");
        scope.spawn(|| {
            let mut packets = Vec::new();
            for _ in 0..500 {
                super::client::publish("loud", &[b'x'; 100], QoS::AtMostOnce, 0)
                    .encode(sori_mqtt::Version::V5, &mut packets);
            }
            begin.wait();
            // Until the other side of the test shuts the connection.
            while std::io::Write::write_all(&mut flooding.stream, &packets).is_ok() {}
        });
        begin.wait();
        let mut quiet: Vec<Client> = (0..QUIET).map(|n| Client::connect(broker.port, &format!("quiet {n}"))).collect();
        let mut slowest = Duration::ZERO;
        for _ in 0..EACH {
            let sent = Instant::now();
            for (number, client) in quiet.iter_mut().enumerate() {
                client.publish(&format!("quiet/{number}"), b"x", QoS::AtLeastOnce, 1);
            }
            for client in &mut quiet {
                assert!(matches!(client.receive(), Received::Ack(..)));
            }
            slowest = slowest.max(sent.elapsed());
        }
        stop.shutdown(std::net::Shutdown::Both).expect("it is open");
        slowest
    });
    eprintln!("beside a flood, {QUIET} publishers waited at most {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let mut counts = vec![0; QUIET];
    for _ in 0..QUIET * EACH {
        let (topic, _) = watcher.message();
        let number: usize = topic.trim_start_matches("quiet/").parse().expect("a number");
        counts[number] += 1;
    }
    assert_eq!(counts, vec![EACH; QUIET]);
}

#[test]
fn a_thousand_claims_of_one_client_id_leave_one_owner() {
    const CLAIMS: usize = 1000;
    const THREADS: usize = 8;
    let broker = Broker::start("threads 4");
    let mut clients: Vec<Client> = (0..CLAIMS).map(|_| Client::open(broker.port)).collect();
    let together = Barrier::new(THREADS);
    let owners: usize = thread::scope(|scope| {
        let parts: Vec<_> = clients
            .chunks_mut(CLAIMS / THREADS)
            .map(|part| {
                let together = &together;
                scope.spawn(move || {
                    together.wait();
                    for client in &mut *part {
                        client.say(|out| hello("the one").encode(out));
                    }
                    for client in &mut *part {
                        assert_eq!(client.receive(), Received::ConnAck { session_present: false, code: 0 });
                    }
                    together.wait();
                    // All were let in, one after the other: by now each but the last has lost.
                    let owns = |client: &mut Client| {
                        client.send(&sori_mqtt::PINGREQ);
                        match client.receive() {
                            Received::PingResp => true,
                            Received::Disconnect(0x8E) => {
                                assert_eq!(client.receive(), Received::End);
                                false
                            }
                            other => unreachable!("{other:?}"),
                        }
                    };
                    part.iter_mut().filter_map(|client| owns(client).then_some(())).count()
                })
            })
            .collect();
        parts.into_iter().map(|part| part.join().expect("ends")).sum()
    });
    assert_eq!(owners, 1);
}
