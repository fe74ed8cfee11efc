//! What has broken brokers before: one test for each known fault, named after it.

use super::broker::{Client, everywhere};
use super::wire::{Packet, Version, connack, disconnect, puback, pubcomp, publish, pubrec, pubrel, raw};
use super::wire::{pingreq, suback, subscribe, unsuback, unsubscribe, v5, v31, v311};

/// Memory by a large remaining length before authentication: the length is refused at once, or at the latest with the
/// bytes beyond a CONNECT's measure; an announced length alone costs nothing and ends with the connect time-out.
#[test]
fn mosquitto_2017_7651_a_large_length_before_connect() {
    everywhere(|broker| {
        for _ in 0..200 {
            let mut a = broker.open();
            a.send_bytes(&[0x10, 0xFF, 0xFF, 0xFF, 0x7F]);
            a.send_bytes(&[0; 10]);
            broker.seconds(11);
            assert!(a.is_closed());
        }
    });
}

#[test]
fn mosquitto_2017_7651_a_length_within_the_limit_that_never_comes() {
    everywhere(|broker| {
        let mut waiting: Vec<Client> = (0..200).map(|_| broker.open()).collect();
        for client in &mut waiting {
            client.send_bytes(&[0x10, 0x80, 0x80, 0x04, 0, 4, b'M']);
        }
        broker.connect(v5("other")).expect_alive();
        broker.seconds(11);
        for client in &mut waiting {
            assert!(client.is_closed());
        }
    });
}

/// A leak for each malformed CONNECT: here, that hundreds of them leave nothing behind that a client can notice.
#[test]
fn mosquitto_2017_7654_many_malformed_connects() {
    everywhere(|broker| {
        let good = v5("a").user("u").password("p").will(publish("w").payload("x")).encode(Version::V5);
        for round in 0..500_usize {
            let mut bytes = good.clone();
            let position = 2 + round % (bytes.len() - 2);
            bytes[position] ^= 1 << (round % 8);
            let mut a = broker.open();
            a.send_bytes(&bytes);
            // Some changes make another good CONNECT. The reader checks the answer either way, in the form of the
            // version that is in the bytes.
            a.speaks(if bytes[8] == 5 { Version::V5 } else { Version::V311 });
            if bytes[8] == 5 || bytes[8] == 4 {
                a.drain();
            }
            a.cut();
        }
        broker.connect(v5("a")).expect_alive();
    });
}

#[test]
fn mosquitto_2018_12543_topics_that_begin_with_dollar() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            let topics =
                ["$", "$/", "$SYS", "$SY", "$SYS/", "$share", "$share/", "$share/g", "$CONTROL", "$$", "$\u{e9}"];
            for topic in topics {
                for qos in 0..3 {
                    let mut a = broker.connect(connect.clone());
                    a.send(publish(topic).payload("x").qos(qos).id_if(qos > 0, 1).retain());
                    a.drain();
                    a.send(publish(topic).qos(qos).id_if(qos > 0, 2).retain());
                    a.drain();
                    a.cut();
                    let mut b = broker.connect(connect.clone().will(publish(topic).payload("x").qos(qos)));
                    b.cut();
                    let mut c = broker.connect(connect.clone());
                    c.send(subscribe(1).filter(topic, qos));
                    c.drain();
                }
            }
        }
        broker.connect(v5("a")).expect_alive();
    });
}

/// Use after free: a will delay beyond the session's expiry, a take-over in between.
#[test]
fn mosquitto_2019_11778_will_delay_beyond_session_expiry() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("w", 0);
        let connect = v5("a").clean(false).session_expiry(10);
        let delayed = connect.clone().will(publish("w").payload("x").will_delay(1000));
        let mut a = broker.connect(delayed.clone());
        let mut b = broker.connect(delayed.clone());
        a.expect_disconnect(0x8E);
        b.cut();
        broker.seconds(9);
        let mut c = broker.connect(delayed.clone());
        let mut d = broker.connect(delayed);
        c.expect_disconnect(0x8E);
        watcher.expect_nothing();
        d.cut();
        broker.seconds(11);
        watcher.expect(publish("w").payload("x"));
        broker.seconds(2000);
        watcher.expect_nothing();
        assert!(!broker.connect(connect).session_present());
    });
}

/// Stack overflow by a filter of 65,400 levels.
#[test]
fn mosquitto_2019_11779_filters_of_many_levels() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            let deep = "/".repeat(65_400);
            for filter in [deep.clone(), deep.clone() + "#", "+/".repeat(32_000) + "+", "+/".repeat(32_000) + "#"] {
                a.send(subscribe(1).filter(&filter, 0));
                a.expect(suback(1, &[0]));
                a.send(publish(&deep).payload("x"));
                a.drain();
                a.send(publish("/".repeat(32_000)).payload("x"));
                a.drain();
                a.send(unsubscribe(2).filter(&filter, 0));
                assert_eq!(a.receive().id, Some(2));
            }
            a.send(publish(&deep).payload("x").retain());
            a.send(subscribe(3).filter("#", 0));
            a.expect_in_any_order([suback(3, &[0]), publish(&deep).payload("x").retain()]);
            a.send(publish(&deep).retain());
            a.expect(publish(&deep));
        }
    });
}

/// Null dereference, panic: packets that only a server sends, first or later.
fn server_packets() -> Vec<Vec<u8>> {
    let packets =
        [connack(), suback(1, &[0]), unsuback(1, &[0]), super::wire::pingresp(), puback(1), pubrec(1), pubcomp(1)];
    packets
        .iter()
        .flat_map(|packet| [packet.encode(Version::V5), packet.encode(Version::V311)])
        .chain([raw(0x20, &[]), raw(0x20, &[0]), raw(0x29, &[0, 1]), raw(0x90, &[]), raw(0xB0, &[0])])
        .collect()
}

#[test]
fn mosquitto_2021_28166_connack_from_a_client() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            for bytes in server_packets() {
                let mut a = broker.connect(connect.clone());
                a.send_bytes(&bytes);
                a.drain();
                // All but acknowledgements end the connection.
                assert!(a.is_closed() || matches!(bytes[0] >> 4, 4 | 5 | 7), "{bytes:02X?}");
            }
        }
        broker.connect(v5("a")).expect_alive();
    });
}

#[test]
fn rumqttd_pr_812_connack_and_unsuback_before_authentication() {
    everywhere(|broker| {
        for bytes in server_packets() {
            let mut a = broker.open();
            a.send_bytes(&bytes);
            a.expect_closed();
        }
        broker.connect(v5("a")).expect_alive();
    });
}

#[test]
fn sol_15_puback_before_connect() {
    everywhere(|broker| {
        for packet in
            [puback(1), pubrec(1), pubrel(1), pubcomp(1), pingreq(), disconnect(), unsubscribe(1).filter("t", 0)]
        {
            for version in [Version::V5, Version::V311] {
                let mut a = broker.open();
                a.speaks(version);
                a.send(packet.clone());
                a.expect_closed();
            }
        }
    });
}

#[test]
fn sol_17_the_old_owner_of_a_client_id_is_disconnected() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a"), v311("b").clean(false)] {
            let mut old = broker.connect(connect.clone());
            let mut new = broker.connect(connect);
            old.expect_disconnect(0x8E);
            new.expect_alive();
        }
    });
}

#[test]
fn mosquitto_2021_34432_a_topic_of_length_0() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            for packet in [publish("").qos(1).id(1), publish("").retain(), publish("").retain().payload("x")] {
                let mut a = broker.connect(connect.clone());
                a.send(packet);
                a.expect_disconnect_with_one_of(&[0x81, 0x82]);
            }
            let mut a = broker.open();
            a.send(connect.will(publish("").payload("x")));
            a.expect_connect_refused(&[0x81, 0x82, 0x90]);
        }
    });
}

/// CPU by very many User Properties: a CONNECT full of them is answered like any other, or refused for its size.
#[test]
fn mosquitto_2021_41039_very_many_user_properties() {
    everywhere(|broker| {
        let full = (0..60_000).fold(v5("a"), |packet, _| packet.user_property("", ""));
        let mut a = broker.open();
        a.send(full);
        let answer = a.drain();
        assert!(answer.len() <= 1 && answer.iter().all(|packet| matches!(packet.code, 0 | 0x95 | 0x97)), "{answer:?}");
        let mut b = broker.connect(v5("b"));
        let full = (0..60_000).fold(publish("t").qos(1).id(1), |packet, _| packet.user_property("", ""));
        b.send(full);
        b.expect(puback(1).code(0x10));
    });
}

/// Memory for a first packet that is not CONNECT: refused by its first byte, before its length or body comes.
#[test]
fn mosquitto_2023_0809_a_first_packet_that_is_not_connect() {
    everywhere(|broker| {
        for first in (0..=255_u8).filter(|first| first >> 4 != 1) {
            let mut a = broker.open();
            a.send_bytes(&[first, 0xFF, 0xFF, 0xFF, 0x7F]);
            a.expect_closed();
        }
        // CONNECT with reserved flag bits set is none either. (3.1 brokers in the field let DUP, QoS and RETAIN pass.)
        for flags in 1..16 {
            let mut a = broker.open();
            a.send(v5("a").flags(flags));
            a.expect_connect_refused(&[0x81]);
        }
    });
}

/// QoS 2 messages that are never released, under one identifier: one entry, one message. With DUP it is the same message
/// again; without DUP the client breaks the rules, and the broker may part with it.
#[test]
fn mosquitto_2023_28366_qos_2_never_released() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("#", 0);
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect.clone());
            let message = |round: u32| publish(format!("t/{round}")).payload(round.to_be_bytes()).qos(2).id(1);
            a.send(message(0));
            a.expect(pubrec(1));
            for round in 1..10_000_u32 {
                a.send(message(round).dup());
                a.expect(pubrec(1));
            }
            a.send(pubrel(1));
            a.expect(pubcomp(1));
            watcher.expect(publish("t/0").payload([0; 4]));
            watcher.expect_nothing();
            let mut connections = 1;
            for round in 0..10_000 {
                a.send(message(round));
                if a.is_closed() {
                    a.expect_disconnect(0x82);
                    connections += 1;
                    a = broker.connect(connect.clone());
                } else {
                    a.expect(pubrec(1));
                }
            }
            a.leave();
            assert!(watcher.drain().len() <= connections);
        }
    });
}

/// Crash by the order of SUBSCRIBE and UNSUBSCRIBE: all short sequences over filters that share levels.
#[test]
fn mosquitto_2024_8376_subscribe_and_unsubscribe_in_any_order() {
    everywhere(|broker| {
        let filters = ["a", "a/b", "a/#", "$share/g/a", "+"];
        let mut publisher = broker.connect(v5("publisher"));
        // Each step is one of ten: subscribe or unsubscribe one of the five filters.
        for sequence in 0..10_u32.pow(3) {
            let mut a = broker.connect(v5("a"));
            let mut subscribed: Vec<&str> = Vec::new();
            for step in 0..3 {
                let choice = (sequence / 10_u32.pow(step) % 10) as usize;
                let filter = filters[choice / 2];
                if choice.is_multiple_of(2) {
                    a.subscribe(filter, 0);
                    subscribed.retain(|other| *other != filter);
                    subscribed.push(filter);
                } else {
                    let known = subscribed.contains(&filter);
                    subscribed.retain(|other| *other != filter);
                    a.send(unsubscribe(9).filter(filter, 0));
                    a.expect(unsuback(9, &[if known { 0 } else { 0x11 }]));
                }
            }
            publisher.send(publish("a"));
            let matching = subscribed.iter().filter(|filter| **filter != "a/b").count();
            assert_eq!(a.drain().len(), matching, "{subscribed:?}");
        }
    });
}

/// A will with wrong properties: refused, and nothing of it kept.
#[test]
fn mosquitto_2023_3592_a_will_with_wrong_properties() {
    everywhere(|broker| {
        let wills = [
            publish("w").topic_alias(1),
            publish("w").session_expiry(1),
            publish("w").subscription_id(1),
            publish("w").will_delay(1).will_delay(2),
            publish("w").message_expiry(1).message_expiry(1),
            publish("w").property(0x7F, super::properties::Value::Byte(0)),
        ];
        for will in wills {
            for _ in 0..20 {
                let mut a = broker.open();
                a.send(v5("a").will(will.clone()));
                a.expect_connect_refused(&[0x81, 0x82]);
            }
        }
    });
}

/// The remaining length is limited to four bytes: what follows must not be read as packets.
#[test]
fn activemq_2025_66168_no_packet_is_smuggled_behind_a_length_of_five_bytes() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("#", 0);
        let smuggled = publish("smuggled").payload("x").encode(Version::V5);
        for head in
            [&[0x30, 0x80, 0x80, 0x80, 0x80][..], &[0x30, 0xFF, 0xFF, 0xFF, 0xFF], &[0xC0, 0x80, 0x80, 0x80, 0x80, 0]]
        {
            for connect in [v5("a"), v311("a")] {
                let mut a = broker.connect(connect.clone());
                a.send_bytes(&[head, &smuggled, &smuggled].concat());
                assert!(a.is_closed());
                // The same with the bytes one by one.
                let mut b = broker.connect(connect);
                for byte in [head, &smuggled, &smuggled].concat() {
                    b.send_bytes(&[byte]);
                }
                assert!(b.is_closed());
            }
            let mut c = broker.open();
            c.send_bytes(&[&[0x10, 0x80, 0x80, 0x80, 0x80], &v5("c").encode(Version::V5)[..]].concat());
            assert!(c.is_closed());
        }
        watcher.expect_nothing();
    });
}

/// A five-byte variable integer in the properties.
#[test]
fn nanomq_2026_21888_a_property_length_of_five_bytes() {
    everywhere(|broker| {
        let length = [0x80, 0x80, 0x80, 0x80, 0x01];
        let mut connect = vec![0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 0];
        connect.extend(length);
        connect.extend([0, 1, b'a']);
        let mut a = broker.open();
        a.send_bytes(&raw(0x10, &connect));
        a.expect_connect_refused(&[0x81]);
        let bodies: [(u8, &[u8]); 6] = [
            (0x30, &[0, 1, b't']),
            (0x82, &[0, 1]),
            (0xA2, &[0, 1]),
            (0x40, &[0, 1, 0]),
            (0x62, &[0, 1, 0]),
            (0xE0, &[0]),
        ];
        for (first, start) in bodies {
            for digits in [&length[..], &[0xFF, 0xFF, 0xFF, 0x7F], &[0x80, 0x80, 0x80], &[0x80, 0x01]] {
                let mut a = broker.connect(v5("a"));
                a.send_bytes(&raw(first, &[start, digits].concat()));
                a.expect_disconnect_with_one_of(&[0x81]);
            }
        }
    });
}

/// Memory until killed, by a crafted packet: properties and texts that claim more than the packet holds.
#[test]
fn rabbitmq_emqx_vernemq_2021_22116_lengths_beyond_the_packet() {
    everywhere(|broker| {
        let bodies: [(u8, &[u8]); 8] = [
            (0x30, &[0xFF, 0xFF, b't']),
            (0x30, &[0, 1, b't', 0x7F, 0x26, 0xFF, 0xFF]),
            (0x30, &[0, 1, b't', 3, 0x09, 0xFF, 0xFF]),
            (0x30, &[0, 1, b't', 5, 0x26, 0, 0, 0xFF, 0xFF]),
            (0x82, &[0, 1, 0, 0xFF, 0xFF, b't', 0]),
            (0xA2, &[0, 1, 0, 0xFF, 0xFF, b't']),
            (0x40, &[0, 1, 0, 0x7F]),
            (0xE0, &[0, 3, 0x1F, 0xFF, 0xFF]),
        ];
        for (first, body) in bodies {
            let mut a = broker.connect(v5("a"));
            a.send_bytes(&raw(first, body));
            a.expect_disconnect(0x81);
        }
    });
}

/// A panic in the router when a client leaves: at every point of its life, among others that stay.
#[test]
fn rumqttd_390_a_client_may_disconnect_at_any_point() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let steps: [Packet; 5] =
            [subscribe(1).filter("t", 2), publish("t").payload("x").qos(2).id(2), pubrec(1), pubrel(2), pubcomp(1)];
        for length in 0..=steps.len() {
            for connect in [v5("a"), v5("a").clean(false).session_expiry(100), v311("a").clean(false)] {
                for polite in [true, false] {
                    let mut a = broker.connect(connect.clone());
                    for step in &steps[..length] {
                        a.send(step.clone());
                    }
                    publisher.publish(publish("t").qos(1));
                    if polite {
                        a.send(disconnect())
                    } else {
                        a.cut()
                    }
                    publisher.publish(publish("t").qos(2));
                    broker.connect(v5("a")).leave();
                }
            }
        }
        publisher.expect_alive();
    });
}

/// Denial of service by crafted requests: changed bits in every packet of a client, one after the other.
#[test]
fn mochi_2024_50948_changed_bits_in_every_packet() {
    everywhere(|broker| {
        let mut witness = broker.connect(v5("witness"));
        witness.subscribe("witness", 1);
        let packets = [
            publish("t/1").payload("x").qos(2).id(2).topic_alias(1).message_expiry(9).user_property("k", "v"),
            subscribe(3).subscription_id(5).filter("t/+", 1).filter("$share/g/t/#", 2),
            unsubscribe(4).filter("t/+", 0),
            pubrel(2),
            puback(1).code(0x10).user_property("k", "v"),
            super::wire::auth(0x18).auth_method("m").auth_data("d"),
            disconnect().code(4).session_expiry(5),
        ];
        for packet in packets {
            let good = packet.encode(Version::V5);
            for bit in 0..good.len() * 8 {
                let mut bytes = good.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let mut a = broker.connect(v5("a").session_expiry(5));
                a.send_bytes(&bytes);
                a.drain();
                a.cut();
            }
        }
        // Nothing of it reached where it does not belong, and all works.
        witness.expect_nothing();
        witness.publish(publish("witness").qos(1));
        witness.expect_message(publish("witness").qos(1));
    });
}

/// Endless loop by a length: every length of one to four digits is either waited for or refused.
#[test]
fn mongoose_2019_19307_every_form_of_length_ends() {
    everywhere(|broker| {
        for first in [0x30, 0x32, 0x82, 0xC0, 0xE0, 0x10] {
            for digits in
                [&[0x7F][..], &[0xFF, 0x7F], &[0xFF, 0xFF, 0x7F], &[0xFF, 0xFF, 0xFF, 0x7F], &[0xFF, 0xFF, 0xFF, 0xFF]]
            {
                let mut a = broker.connect(v5("a"));
                a.send_bytes(&[&[first], digits].concat());
                a.drain();
                a.send_bytes(&[0; 64]);
                a.drain();
            }
        }
        broker.connect(v5("a")).expect_alive();
    });
}

/// Slots held by a huge Keep Alive: the connection itself must still come to its CONNECT in time, and `max_keepalive`
/// bounds what a client asks for (see `connack`).
#[test]
fn slowite_2020_13849_keep_alive_does_not_hold_half_open_connections() {
    everywhere(|broker| {
        let bytes = v5("a").keep_alive(u16::MAX).encode(Version::V5);
        let mut a = broker.open();
        a.send_bytes(&bytes[..bytes.len() - 1]);
        broker.seconds(11);
        a.expect_closed();
    });
}
