//! What was found by reading the broker as a stranger.

use super::broker::{everywhere, setup};
use super::wire::*;

/// Work for one packet grows with its length and not with its square: this takes minutes otherwise.
#[test]
fn very_many_filters_in_one_packet() {
    let broker = setup().settings(|s| s.packet_size_max = 100_000_000).broker(1);
    let mut a = broker.connect(v5("a"));
    for make in [|i: u32| format!("f{i:x}"), |i: u32| format!("$share/g{i:x}/x")] {
        let mut request = subscribe(1);
        let mut reverse = unsubscribe(2);
        for i in 0..30_000 {
            request = request.filter(make(i), 0);
            reverse = reverse.filter(make(29_999 - i), 0);
        }
        a.send(request);
        assert_eq!(a.received_bytes().first(), Some(&0x90));
        a.send(reverse);
        assert_eq!(a.received_bytes().first(), Some(&0xB0));
    }
    assert!(!a.is_closed());
}

#[test]
fn mqtt5_3_1_2_22_trickled_bytes_are_no_packets() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").keep_alive(2));
        a.send_bytes(&[0x30, 0x80, 0x80, 0x04]); // PUBLISH, 64 KiB announced
        for _ in 0..10 {
            broker.seconds(1);
            if a.is_closed() {
                return;
            }
            a.send_bytes(&[0]);
        }
        panic!("no packet for 10 s with a Keep Alive of 2 s, still connected");
    });
}

#[test]
fn mqtt5_3_1_2_24_suback_obeys_maximum_packet_size() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").maximum_packet_size(40));
        let mut p = subscribe(1);
        for i in 0..100 {
            p = p.filter(format!("f{i}"), 0);
        }
        a.send(p);
        let bytes = a.received_bytes();
        assert!(bytes.first() != Some(&0x90), "a SUBACK of {} bytes for a client that takes 40", bytes.len());
    });
}

#[test]
fn mqtt5_3_3_4_10_qos_0_is_not_delayed_by_receive_maximum() {
    everywhere(|broker| {
        let mut p = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 1);
        a.stall(true);
        p.publish(publish("t").payload("one").qos(1));
        p.publish(publish("t").payload("two").qos(1)); // waits for quota
        for _ in 0..12 {
            p.publish(publish("t").payload(vec![0u8; 100_000]));
        } // QoS 0 until some is queued
        a.stall(false);
        let before = a.drain().len();
        p.publish(publish("t").payload("zero"));
        let after = a.drain();
        assert!(before == 13 && after.len() == 1, "got {before} of 13 and then {} of 1 QoS 0 messages", after.len());
    });
}

#[test]
fn a_full_member_does_not_swallow_its_turn() {
    setup().settings(|s| s.queued_messages_max = 1).run(|broker| {
        let mut p = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").receive_maximum(1));
        let mut b = broker.connect(v5("b"));
        a.subscribe("$share/g/t", 1);
        b.subscribe("$share/g/t", 1);
        let mut got = 0;
        for _ in 0..20 {
            p.publish(publish("t").payload("x").qos(1));
            for m in b.drain() {
                b.acknowledge(&m);
                got += 1;
            }
        }
        assert_eq!(got + 3, 20, "a holds 1 in flight and 2 queued; the rest should go to b");
    });
}

#[test]
fn unreleased_is_bounded() {
    let broker = setup().broker(1);
    let mut p = broker.connect(v311("publisher").clean(false));
    for id in 1..=5000_u16 {
        p.send_bytes(&publish("t").payload(vec![0u8; 1000]).qos(2).id(id).encode(Version::V311));
        if p.is_closed() {
            return;
        }
    }
    panic!("5000 messages of 1000 bytes are kept");
}

#[test]
fn what_is_handed_back_is_not_lost_in_a_full_queue() {
    // On one shard: another one drops by its own policy, and counts it.
    let broker = setup().settings(|s| s.queued_messages_max = 1).broker(1);
    {
        let mut p = broker.connect(v5("publisher"));
        let mut b = broker.connect(v5("b").receive_maximum(1));
        b.subscribe("b", 1);
        p.publish(publish("b").payload("in flight").qos(1));
        p.publish(publish("b").payload("queued").qos(1)); // b is full now
        let mut a = broker.connect(v5("a").clean(true).session_expiry(1000));
        a.subscribe("$share/g/t", 1);
        p.publish(publish("t").payload("x").qos(1)); // in flight to a, not acknowledged
        let got = a.drain().len();
        assert_eq!(got, 1);
        b.send(subscribe(9).filter("$share/g/t", 1));
        a.cut();
        let mut a = broker.connect(v5("a").clean(false).session_expiry(1000));
        let again = a.drain().len();
        let mut of_b = 0;
        for _ in 0..5 {
            for m in b.drain() {
                if m.topic == b"t" {
                    of_b += 1;
                }
                b.acknowledge(&m);
            }
        }
        assert_eq!(again + of_b, 1, "an acknowledged QoS 1 message is gone: {:?}", broker.totals());
    }
}

#[test]
fn another_filter_at_the_same_place_gets_its_retained_messages() {
    everywhere(|broker| {
        let (mut p, mut a, id) = without_quota(broker);
        p.publish(publish("y").payload("retained").qos(1).retain());
        a.subscribe("x", 1);
        a.unsubscribe("x");
        a.subscribe("y", 1);
        a.send(puback(id));
        assert_eq!(a.drain().len(), 1, "the retained message of y");
    });
}

#[test]
fn the_same_filter_again() {
    everywhere(|broker| {
        let (mut p, mut a, id) = without_quota(broker);
        a.subscribe("x", 1);
        a.unsubscribe("x");
        p.publish(publish("x").payload("retained").qos(1).retain());
        a.subscribe("x", 1);
        a.send(puback(id));
        assert_eq!(a.drain().len(), 1, "the retained message of x");
    });
}

#[test]
fn a_second_subscribe_has_its_own_terms() {
    everywhere(|broker| {
        let (mut p, mut a, id) = without_quota(broker);
        p.publish(publish("x").payload("retained").qos(1).retain());
        a.subscribes(subscribe(77).filter("x", 1).subscription_id(5));
        a.subscribes(subscribe(78).filter("x", 1).subscription_id(6));
        a.send(puback(id));
        let mut ids = vec![];
        for _ in 0..3 {
            for m in a.drain() {
                ids.push(m.number(0x0b));
                a.acknowledge(&m);
            }
        }
        assert!(ids.contains(&Some(6)), "{ids:?}");
    });
}

/// A subscriber whose Receive Maximum is used up, with the identifier that frees it.
fn without_quota(broker: &super::broker::Broker) -> (super::broker::Client, super::broker::Client, u16) {
    let mut p = broker.connect(v5("publisher"));
    let mut a = broker.connect(v5("a").receive_maximum(1));
    a.subscribe("block", 1);
    p.publish(publish("block").payload("x").qos(1));
    let id = a.drain()[0].id.unwrap();
    (p, a, id)
}
