//! CONNACK: session present, what the broker announces about itself, and when a client's wish is refused.

use super::broker::{everywhere, setup};
use super::wire::{publish, suback, subscribe, v5, v31, v311};

// covers: [MQTT311-3.2.2-1]
#[test]
fn mqtt5_3_2_2_2_clean_start_answers_session_present_0() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").session_expiry(100));
        a.leave();
        assert!(!broker.connect(v5("a")).session_present());
        let mut b = broker.connect(v311("b").clean(false));
        b.leave();
        assert!(!broker.connect(v311("b")).session_present());
    });
}

// covers: [MQTT311-3.2.2-2] [MQTT311-3.2.2-3]
#[test]
fn mqtt5_3_2_2_3_session_present_says_whether_there_was_state() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").clean(false).session_expiry(100));
        assert!(!a.session_present());
        a.leave();
        assert!(broker.connect(v5("a").clean(false)).session_present());
        let mut b = broker.connect(v311("b").clean(false));
        assert!(!b.session_present());
        b.leave();
        assert!(broker.connect(v311("b").clean(false)).session_present());
    });
}

#[test]
fn mqtt31_session_present_bit_is_always_0() {
    everywhere(|broker| {
        let mut a = broker.connect(v31("a").clean(false));
        a.subscribe("t", 1);
        a.leave();
        let mut again = broker.connect(v31("a").clean(false));
        assert!(!again.session_present());
        // The session is there all the same.
        broker.connect(v5("b")).publish(publish("t").payload("x").qos(1));
        again.expect_message(publish("t").payload("x").qos(1));
    });
}

// covers: [MQTT-3.2.2-1] [MQTT-3.2.2-8]
#[test]
fn mqtt5_3_2_2_6_refusal_answers_session_present_0() {
    setup().listener(|listener| listener.qos_max = sori_mqtt::QoS::AtLeastOnce).run(|broker| {
        let mut a = broker.connect(v5("a").session_expiry(100));
        a.leave();
        // There is a session, but this CONNECT is refused. The reader checks the flag and the code.
        let mut refused = broker.open();
        refused.send(v5("a").clean(false).will(publish("w").qos(2)));
        refused.expect_refused(0x9B);
    });
}

// covers: [MQTT-3.2.2-12]
#[test]
fn mqtt5_3_2_2_9_maximum_qos_is_announced_when_it_is_not_2() {
    for (maximum, other) in [(0, 1), (1, 2)] {
        setup().listener(|listener| listener.qos_max = sori_mqtt::QoS::from_u8(maximum).unwrap()).run(|broker| {
            let a = broker.connect(v5("a"));
            assert_eq!(a.connack.number(0x24), Some(maximum.into()));
            let mut refused = broker.open();
            refused.send(v5("b").will(publish("w").qos(other)));
            refused.expect_refused(0x9B);
            broker.connect(v5("c").will(publish("w").qos(maximum))).expect_alive();
        });
    }
    everywhere(|broker| assert!(!broker.connect(v5("a")).connack.has(0x24)));
}

#[test]
fn mqtt5_3_2_2_10_subscriptions_above_the_maximum_qos_are_accepted() {
    setup().listener(|listener| listener.qos_max = sori_mqtt::QoS::AtMostOnce).run(|broker| {
        let mut a = broker.connect(v5("a"));
        for qos in [0, 1, 2] {
            a.send(subscribe(1).filter("t", qos));
            let answer = a.receive();
            assert!(answer.codes.len() == 1 && answer.codes[0] <= qos, "{answer}");
        }
        broker.connect(v5("b")).publish(publish("t").payload("x"));
        a.expect(publish("t").payload("x"));
    });
}

#[test]
fn subscriptions_above_the_maximum_qos_are_granted_the_maximum() {
    setup().listener(|listener| listener.qos_max = sori_mqtt::QoS::AtLeastOnce).run(|broker| {
        let mut a = broker.connect(v5("a"));
        for (qos, granted) in [(0, 0), (1, 1), (2, 1)] {
            a.send(subscribe(1).filter("t", qos));
            assert_eq!(a.receive().codes, [granted]);
        }
    });
}

#[test]
fn mqtt5_3_2_2_11_publish_above_the_maximum_qos_is_disconnected_with_0x9b() {
    setup().listener(|listener| listener.qos_max = sori_mqtt::QoS::AtLeastOnce).run(|broker| {
        let mut a = broker.connect(v5("a"));
        a.publish(publish("t").qos(1));
        a.send(publish("t").qos(2).id(1));
        a.expect_disconnect(0x9B);
    });
}

// covers: [MQTT-3.2.2-14]
#[test]
fn mqtt5_3_2_2_13_retain_is_refused_where_it_is_not_available() {
    setup().settings(|settings| settings.retain_available = false).run(|broker| {
        let mut a = broker.connect(v5("a"));
        assert_eq!(a.connack.number(0x25), Some(0));
        let mut refused = broker.open();
        refused.send(v5("b").will(publish("w").retain()));
        refused.expect_refused(0x9A);
        a.send(publish("t").payload("x").retain());
        a.expect_disconnect(0x9A);
        broker.connect(v5("c").will(publish("w"))).expect_alive();
    });
    everywhere(|broker| assert_ne!(broker.connect(v5("a")).connack.number(0x25), Some(0)));
}

/// What clients may rely on when the CONNACK does not take it away.
#[test]
fn connack_announces_only_what_is_not_the_default() {
    everywhere(|broker| {
        let connack = broker.connect(v5("a")).connack;
        for (property, taken_away) in [(0x24, 0), (0x25, 0), (0x28, 0), (0x29, 0), (0x2A, 0)] {
            assert_ne!(connack.number(property), Some(taken_away), "{connack}");
        }
        assert_eq!(connack.number(0x22), Some(10), "Topic Alias Maximum");
        assert_eq!(connack.number(0x27), Some(2_000_000), "Maximum Packet Size");
        assert_eq!(connack.number(0x21), Some(20), "Receive Maximum");
        // Mosquitto's tests compare the bytes.
        let order: Vec<u8> = connack.properties.iter().map(|property| property.id).collect();
        assert_eq!(order, [0x22, 0x27, 0x21]);
    });
}

// covers: [MQTT-3.2.2-21]
#[test]
fn mqtt5_3_2_2_21_server_keep_alive_tells_of_a_smaller_maximum() {
    setup().settings(|settings| settings.keep_alive_max = 20).run(|broker| {
        let mut a = broker.connect(v5("a").keep_alive(100));
        assert_eq!(a.connack.number(0x13), Some(20));
        broker.seconds(29);
        a.expect_nothing();
        broker.seconds(2);
        a.expect_disconnect(0x8D);
        // Without Keep Alive a client could stay silent for ever.
        let mut b = broker.connect(v5("b").keep_alive(0));
        assert_eq!(b.connack.number(0x13), Some(20));
        broker.seconds(31);
        b.expect_disconnect(0x8D);
    });
}

#[test]
fn mqtt5_3_2_2_22_without_server_keep_alive_the_clients_own_holds() {
    setup().settings(|settings| settings.keep_alive_max = 20).run(|broker| {
        let mut a = broker.connect(v5("a").keep_alive(10));
        assert!(!a.connack.has(0x13));
        broker.seconds(14);
        a.expect_nothing();
        broker.seconds(2);
        a.expect_disconnect(0x8D);
    });
}

// covers: [MQTT-3.2.2-20]
#[test]
fn mqtt5_3_2_2_19_connack_never_exceeds_the_clients_maximum_packet_size() {
    setup().listener(|listener| listener.qos_max = sori_mqtt::QoS::AtLeastOnce).run(|broker| {
        // The refusal fits without its Reason String. The client checks the size of each packet.
        let mut a = broker.open();
        a.send(v5("a").maximum_packet_size(5).will(publish("w").qos(2)));
        a.expect_connect_refused(&[0x9B]);
    });
}

#[test]
fn mqtt311_3_2_2_6_a_fault_without_a_return_code_is_closed_without_connack() {
    setup().listener(|listener| listener.qos_max = sori_mqtt::QoS::AtLeastOnce).run(|broker| {
        let mut a = broker.open();
        a.send(v311("a").will(publish("w").qos(2)));
        a.expect_connect_refused(&[]);
        // Subscriptions are still taken.
        let mut b = broker.connect(v311("b"));
        b.send(subscribe(1).filter("t", 0));
        b.expect(suback(1, &[0]));
    });
}
