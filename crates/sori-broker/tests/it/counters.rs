//! The broker's counters: what is dropped is counted, and what is kept is given back to the last byte.

use sori_broker::Totals;

use super::broker::{Broker, Client, everywhere, setup};
use super::wire::{Packet, disconnect, puback, publish, pubrec, subscribe, v5, v311};

/// Gauges that must be 0 when nobody is there and no session is kept.
fn expect_nothing_kept(totals: &Totals) {
    let kept = [
        totals.connections,
        totals.clients_connected,
        totals.sessions,
        totals.queued,
        totals.queued_bytes,
        totals.inflight,
    ];
    assert_eq!(kept, [0; 6], "connections, clients, sessions, queued, their bytes, in flight");
}

#[test]
fn sessions_and_connections_are_counted() {
    everywhere(|broker| {
        let mut five = broker.connect(v5("five").session_expiry(10));
        let mut four = broker.connect(v311("four"));
        let mut silent = broker.open();
        let totals = broker.totals();
        assert_eq!((totals.connections, totals.clients_connected, totals.sessions), (3, 2, 2));
        five.cut();
        four.leave();
        silent.cut();
        let totals = broker.totals();
        assert_eq!((totals.connections, totals.clients_connected, totals.sessions), (0, 0, 1));
        broker.seconds(11);
        expect_nothing_kept(&broker.totals());
        assert_eq!(broker.totals().sessions_expired, 1);
        assert_eq!(broker.totals().connects, 2);
        assert_eq!(broker.totals().connections_opened, 3);
    });
}

#[test]
fn take_overs_are_counted() {
    everywhere(|broker| {
        let mut last = broker.connect(v5("a"));
        for shard in 0..6 {
            last = broker.connect_on(shard, v5("a").clean(shard % 2 == 0).session_expiry(10));
        }
        let totals = broker.totals();
        assert_eq!((totals.take_overs, totals.connections, totals.clients_connected, totals.sessions), (6, 1, 1, 1));
        last.send(disconnect().session_expiry(0));
        last.expect_closed();
        expect_nothing_kept(&broker.totals());
    });
}

/// Fills queue and window of a session, then ends it in some way.
fn ends(broker: &Broker, end: impl Fn(&mut Client)) {
    let mut publisher = broker.connect(v5("publisher"));
    let mut a = broker.connect(v5("a").session_expiry(10).receive_maximum(4));
    a.subscribes(subscribe(1).filter("t", 2).filter("$share/g/t", 1));
    for number in 0..20_u8 {
        publisher.publish(publish("t").payload([number; 100]).qos(1 + number % 2));
    }
    let totals = broker.totals();
    assert_eq!((totals.inflight, totals.queued), (4, 36));
    let messages: Vec<Packet> = a.drain();
    let (first, second) = (messages[0].id.unwrap(), messages[1].id.unwrap());
    a.send(if messages[0].qos == 1 { puback(first) } else { pubrec(first) });
    a.send(if messages[1].qos == 1 { puback(second).code(0x80) } else { pubrec(second).code(0x80) });
    a.send(publish("u").payload("unreleased").qos(2).id(1));
    end(&mut a);
    publisher.leave();
    broker.seconds(11);
    expect_nothing_kept(&broker.totals());
}

#[test]
fn a_session_that_ends_gives_all_back() {
    everywhere(|broker| {
        ends(broker, |a| a.cut());
        ends(broker, |a| a.send(disconnect()));
        ends(broker, |a| a.send(disconnect().session_expiry(0)));
        ends(broker, |a| a.send(publish("t").qos(3).id(1)));
        ends(broker, |_| broker.connect(v5("a")).leave());
        ends(broker, |_| broker.connect(v5("a").clean(false)).cut());
        ends(broker, |a| {
            a.cut();
            broker.connect(v311("a").clean(false)).cut();
            broker.connect(v5("a").clean(false).session_expiry(3)).cut();
        });
    });
}

#[test]
fn every_dropped_message_is_counted_under_its_reason() {
    setup().settings(|settings| settings.queued_messages_max = 5).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let connect = v5("a").session_expiry(100).receive_maximum(1).maximum_packet_size(100);
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 1);
        let dropped = |count: fn(&Totals) -> u64| count(&broker.totals());
        // Too large, at once.
        publisher.publish(publish("t").payload([0; 200]).qos(1));
        assert_eq!(dropped(|totals| totals.dropped_too_large), 1);
        a.leave();
        // Offline: QoS 0 goes, and what the queue has no room for.
        publisher.publish(publish("t"));
        assert_eq!(dropped(|totals| totals.dropped_offline_qos0), 1);
        for _ in 0..5 {
            publisher.publish(publish("t").qos(1).message_expiry(10));
        }
        assert_eq!(dropped(|totals| totals.dropped_queue_full), 0);
        for _ in 0..7 {
            publisher.publish(publish("t").qos(1));
        }
        assert_eq!(dropped(|totals| totals.dropped_queue_full), 7);
        // Expired.
        broker.seconds(20);
        let mut a = broker.connect(connect.clean(false));
        assert!(a.drain().is_empty());
        assert_eq!(dropped(|totals| totals.dropped_expired), 5);
        // Refused by the client.
        publisher.publish(publish("t").qos(1));
        let id = a.receive().id.unwrap();
        a.send(puback(id).code(0x83));
        assert_eq!(dropped(|totals| totals.dropped_refused), 1);
        // Left over when the session ends.
        publisher.publish(publish("t").qos(1));
        publisher.publish(publish("t").qos(1));
        a.send(disconnect().session_expiry(0));
        assert_eq!(dropped(|totals| totals.dropped_session_ended), 2);
        // The sum is of those that the broker dropped for want of room or time.
        assert_eq!(dropped(Totals::dropped), 1 + 7 + 5);
    });
}

/// Fifty rounds of everything that can be malformed leave nothing behind.
#[test]
fn rounds_of_faults_leave_nothing_behind() {
    everywhere(|broker| {
        for round in 0..50_u8 {
            let mut a = broker.connect(v5("a").will(publish("w").payload("x")));
            a.subscribe("t", 2);
            a.send(publish("t").payload("x").qos(2).id(1));
            a.send_bytes(&[0x32, 5, 0, 1, b't', 0, round % 3]);
            a.cut();
            let mut b = broker.open();
            b.send_bytes(&[0x10, 0x7F, 0, 4, round]);
            b.cut();
        }
        expect_nothing_kept(&broker.totals());
    });
}

#[test]
fn packets_and_bytes_are_counted() {
    everywhere(|broker| {
        let mut a = broker.connect(v311("a"));
        let before = broker.totals();
        a.subscribe("t", 0);
        let message = publish("t").payload([0; 100]);
        a.send(message.clone());
        a.expect(message);
        let after = broker.totals();
        let size = |packet: Packet| packet.encode(super::wire::Version::V311).len() as u64;
        let sent = size(subscribe(1).filter("t", 0)) + size(publish("t").payload([0; 100]));
        assert_eq!(after.bytes_received - before.bytes_received, sent);
        assert_eq!(after.bytes_sent - before.bytes_sent, 5 + size(publish("t").payload([0; 100])));
        assert_eq!(
            (after.packets_received - before.packets_received, after.packets_sent - before.packets_sent),
            (2, 2)
        );
        assert_eq!(
            (after.publish_received - before.publish_received, after.publish_sent - before.publish_sent),
            (1, 1)
        );
        let payload = |totals: &Totals| (totals.publish_bytes_received, totals.publish_bytes_sent);
        assert_eq!(payload(&after), (payload(&before).0 + 100, payload(&before).1 + 100));
    });
}
