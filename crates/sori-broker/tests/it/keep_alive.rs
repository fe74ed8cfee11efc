//! Keep Alive: silence of one and a half times the interval ends a connection, anything else does not.

use super::broker::everywhere;
use super::wire::{pingreq, pingresp, publish, v5, v31, v311};

// covers: [MQTT311-3.1.2-24]
#[test]
fn mqtt5_3_1_2_22_silence_of_one_and_a_half_keep_alive_closes() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            for keep_alive in [1, 10, 61] {
                let mut a = broker.connect(connect.clone().keep_alive(keep_alive));
                let limit = u64::from(keep_alive) * 1500;
                broker.millis(limit - 100);
                a.expect_nothing();
                // "Enforced within one second".
                broker.millis(1100);
                a.expect_disconnect(0x8D);
            }
        }
    });
}

#[test]
fn mqtt5_3_1_2_22_any_packet_counts_as_a_sign_of_life() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect.keep_alive(10));
            for _ in 0..5 {
                broker.seconds(14);
                a.send(pingreq());
                a.expect(pingresp());
                broker.seconds(14);
                a.send(publish("t"));
                a.expect_nothing();
            }
            broker.seconds(16);
            a.expect_disconnect(0x8D);
        }
    });
}

/// What the broker sends is no sign of life of the client.
#[test]
fn mqtt5_3_1_2_22_traffic_to_the_client_does_not_count() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").keep_alive(10));
        a.subscribe("t", 0);
        for _ in 0..14 {
            broker.seconds(1);
            publisher.send(publish("t"));
            a.expect(publish("t"));
        }
        broker.seconds(2);
        a.expect_disconnect(0x8D);
    });
}

#[test]
fn mqtt5_3_1_2_22_keep_alive_0_never_closes() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect.keep_alive(0));
            broker.seconds(10_000_000);
            a.expect_alive();
        }
    });
}

#[test]
fn mqtt5_3_1_2_22_the_longest_keep_alive_holds_for_its_27_hours() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").keep_alive(u16::MAX));
        broker.seconds(u64::from(u16::MAX) * 3 / 2 - 1);
        a.expect_nothing();
        broker.seconds(3);
        a.expect_disconnect(0x8D);
    });
}

/// A connection that died of silence is a network failure for its session: see also `wills`.
#[test]
fn mqtt5_3_1_2_22_the_session_is_kept_as_after_a_network_failure() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(100).keep_alive(10);
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 1);
        broker.seconds(16);
        a.expect_disconnect(0x8D);
        broker.connect(v5("publisher")).publish(publish("t").qos(1));
        broker.connect(connect).expect_message(publish("t").qos(1));
    });
}

/// The timer of one client has nothing to do with that of another.
#[test]
fn many_clients_each_have_their_own_timer() {
    everywhere(|broker| {
        let mut clients: Vec<_> =
            (1..=40).map(|seconds| broker.connect(v5(&format!("c{seconds}")).keep_alive(seconds))).collect();
        for half in 1..=40_usize {
            broker.millis(1500);
            for (position, client) in clients.iter_mut().enumerate() {
                let closed = client.is_closed();
                // Client n (from 1) falls silent for too long after n * 1.5 s, give or take a second.
                if position + 2 < half {
                    assert!(closed, "client {} is open after {half} * 1.5 s", position + 1);
                }
                if position + 1 > half {
                    assert!(!closed, "client {} is closed after {half} * 1.5 s", position + 1);
                }
            }
        }
    });
}
