//! Maximum Packet Size, both ways.

use sori_broker::Event;
use sori_mqtt::ReasonCode;

use super::broker::{everywhere, setup};
use super::wire::{Packet, Version, publish, raw, subscribe, unsubscribe, v5, v31, v311};

fn sized(topic: &str, size: usize) -> Packet {
    let empty = publish(topic).qos(1).id(1);
    let short = size - empty.encode(Version::V5).len();
    let message = empty.payload(vec![b'x'; short]);
    // Above 127 bytes of remaining length there is one digit more.
    let long = message.encode(Version::V5).len() - size;
    publish(topic).qos(1).payload(vec![b'x'; short - long])
}

// covers: [MQTT-3.1.2-25]
#[test]
fn mqtt5_3_1_2_24_a_packet_above_the_clients_maximum_is_never_sent() {
    everywhere(|broker| {
        for maximum in [20, 100, 129, 130, 131, 200, 70_000] {
            let mut publisher = broker.connect(v5("publisher"));
            let mut small = broker.connect(v5("small").maximum_packet_size(maximum));
            let mut other = broker.connect(v5("other"));
            small.subscribe("t", 1);
            other.subscribe("t", 1);
            let maximum = maximum as usize;
            for size in [maximum - 1, maximum, maximum + 1, maximum + 100] {
                // Lengths that no packet can have (130: its remaining length needs another digit).
                if size == 130 {
                    continue;
                }
                let message = sized("t", size);
                assert_eq!(message.clone().id(1).encode(Version::V5).len(), size);
                publisher.publish(message.clone());
                other.expect_message(message.clone());
                if size <= maximum {
                    small.expect_message(message);
                }
                small.expect_nothing();
            }
        }
    });
}

/// A dropped message counts as completed: it takes no place in the window and is never sent again.
#[test]
fn mqtt5_3_1_2_25_a_message_too_large_does_not_hold_up_the_next() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(100).maximum_packet_size(50);
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(connect.clone().receive_maximum(1));
        a.subscribe("t", 2);
        for round in 0..5_u8 {
            publisher.publish(publish("t").payload([9; 100]).qos(1 + round % 2));
            publisher.publish(publish("t").payload([round]).qos(2));
            a.expect_message(publish("t").payload([round]).qos(2));
        }
        // The same while offline; a client that comes back with a greater maximum is sent what was not yet dropped.
        a.leave();
        publisher.publish(publish("t").payload([9; 100]).qos(1));
        publisher.publish(publish("t").payload("small").qos(1));
        let mut a = broker.connect(connect);
        a.expect_message(publish("t").payload("small").qos(1));
        a.expect_nothing();
    });
}

/// User Property and Reason String of the broker's own packets give way first; a SUBACK cannot shrink.
// covers: [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.4.2-2] [MQTT-3.4.2-3]
// covers: [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3]
// covers: [MQTT-3.14.2-4]
#[test]
fn mqtt5_3_14_2_3_answers_leave_out_what_makes_them_too_large() {
    everywhere(|broker| {
        // The client checks the size of each packet that it reads.
        for maximum in [6, 7, 8, 9, 10, 12, 15] {
            let connect = v5("a").maximum_packet_size(maximum);
            let faults = [
                vec![publish("t").qos(1).id(1), publish("t").qos(2).id(2)],
                vec![super::wire::pubrel(9), super::wire::pubrec(9)],
                vec![unsubscribe(1).filter("t", 0)],
                vec![subscribe(1).filter("$share/g", 0)],
                vec![subscribe(1).filter("a+", 0)],
                vec![publish("t").qos(3).id(1)],
                vec![publish("t").topic_alias(0)],
                vec![v5("a")],
            ];
            for packets in faults {
                let mut a = broker.open();
                a.send(connect.clone());
                a.drain();
                for packet in packets {
                    a.send(packet);
                }
                a.drain();
            }
            let mut a = broker.open();
            a.send(connect);
            a.drain();
            if !a.is_closed() {
                a.send(publish("t").qos(3).id(1));
                a.expect_disconnect(0x81);
            }
        }
    });
}

#[test]
fn mqtt5_3_2_2_15_a_packet_above_the_brokers_maximum_is_too_large() {
    setup().settings(|settings| settings.packet_size_max = 200).run(|broker| {
        let mut a = broker.connect(v5("a"));
        assert_eq!(a.connack.number(0x27), Some(200));
        let mut fits = sized("t", 200);
        fits.id = Some(1);
        assert_eq!(fits.encode(Version::V5).len(), 200);
        a.subscribe("t", 0);
        a.send(fits.clone());
        a.expect_in_any_order([super::wire::puback(1), publish("t").payload(&fits.payload)]);
        let packets = [
            Packet { id: Some(1), ..sized("t", 202) },
            (0..60).fold(subscribe(1), |packet, number| packet.filter(format!("f{number}"), 0)),
            (0..60).fold(unsubscribe(1), |packet, number| packet.filter(format!("f{number}"), 0)),
        ];
        for packet in packets {
            for connect in [v5("a"), v311("a")] {
                let mut a = broker.connect(connect);
                a.send(packet.clone());
                a.expect_disconnect(0x95);
            }
        }
    });
}

/// The length alone is enough: nobody waits for the bytes that it announces.
#[test]
fn mqtt5_3_2_2_15_a_length_above_the_maximum_is_refused_before_its_bytes_come() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.send_bytes(&raw(0x30, &vec![0; 2_000_000])[..5]);
            a.expect_disconnect(0x95);
        }
    });
}

/// A CONNECT that is too large is not read, so that nobody knows in which version to say so: the connection is closed, as by
/// Mosquitto.
#[test]
fn a_connect_above_the_maximum_is_not_answered() {
    for bound in [200, 2_000_000] {
        setup().settings(|settings| settings.packet_size_max = bound).run(|broker| {
            let long = "x".repeat(60_000);
            for connect in [v31(&long), v311(&long), v5(&long)] {
                let connect = connect.user(&long).will(publish("w").payload(&long));
                let mut a = broker.open();
                a.send(connect);
                assert_eq!(a.received_bytes(), []);
                assert!(a.is_closed());
                let events = broker.events();
                let [Event::Refused { reason_code: ReasonCode::PacketTooLarge, text, .. }] = &events[..] else {
                    panic!("{events:?}")
                };
                assert_eq!(**text, *ReasonCode::PacketTooLarge.text());
            }
        });
    }
}

#[test]
fn message_size_limit_completes_the_handshake_and_delivers_nothing() {
    setup().settings(|settings| settings.message_size_limit = 10).run(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("t", 1);
        let mut a = broker.connect(v5("a"));
        a.publish(publish("t").payload([1; 10]).qos(1));
        watcher.expect_message(publish("t").payload([1; 10]).qos(1));
        a.send(publish("t").payload([1; 11]).qos(1).id(9));
        // Packet Too Large is no reason code of PUBACK in the standard, but what Mosquitto sends.
        assert_eq!(a.received_bytes(), [0x40, 3, 0, 9, 0x95]);
        let mut will = broker.open();
        will.send(v5("will").will(publish("t").payload([1; 11])));
        will.expect_refused(0x95);
        let mut will = broker.open();
        will.send(v311("will").will(publish("t").payload([1; 11])));
        will.expect_refused(5);
        let mut b = broker.connect(v311("b"));
        b.publish(publish("t").payload([1; 11]).qos(1));
        watcher.expect_nothing();
    });
}
