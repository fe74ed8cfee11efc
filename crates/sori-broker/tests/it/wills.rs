//! Wills: when they are published, when not, and how.

use super::broker::{Broker, Client, everywhere};
use super::wire::{Packet, disconnect, publish, v5, v31, v311};

fn watcher(broker: &Broker) -> Client {
    let mut watcher = broker.connect(v5("watcher"));
    watcher.subscribe("#", 2);
    watcher
}

fn will() -> Packet {
    publish("w").payload("gone")
}

// covers: [MQTT-3.1.2-7] [MQTT311-3.1.2-8]
#[test]
fn mqtt5_3_1_2_8_the_will_is_published_when_the_network_fails() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut a = broker.connect(connect.will(will()));
            a.expect_alive();
            watcher.expect_nothing();
            a.cut();
            watcher.expect(will());
            watcher.expect_nothing();
        }
    });
}

// covers: [MQTT-3.1.2-10] [MQTT311-3.1.2-10] [MQTT311-3.14.4-3]
#[test]
fn mqtt5_3_14_4_3_disconnect_0_discards_the_will() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        for connect in [v5("a"), v311("a"), v31("a"), v5("b").session_expiry(100), v311("c").clean(false)] {
            let mut a = broker.connect(connect.clone().will(will()));
            a.leave();
            broker.seconds(200);
            watcher.expect_nothing();
        }
    });
}

#[test]
fn mqtt5_3_1_2_8_disconnect_with_another_code_publishes_the_will() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        for code in [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99] {
            let mut a = broker.connect(v5("a").will(will()));
            a.send(disconnect().code(code));
            a.expect_closed();
            watcher.expect(will());
            watcher.expect_nothing();
        }
    });
}

#[test]
fn mqtt5_3_1_2_8_the_will_is_published_when_the_broker_ends_the_connection() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        for connect in [v5("a"), v311("a")] {
            // A fault of the client.
            let mut a = broker.connect(connect.clone().will(will()));
            a.send(publish("t").qos(3).id(1));
            a.expect_disconnect(0x81);
            watcher.expect(will());
            // Silence.
            let mut b = broker.connect(connect.clone().keep_alive(10).will(will()));
            broker.seconds(16);
            b.expect_disconnect(0x8D);
            watcher.expect(will());
            // Another connection of the same client.
            let mut c = broker.connect(connect.clone().will(will()));
            let mut taker = broker.connect(connect.clone());
            c.expect_disconnect(0x8E);
            watcher.expect(will());
            taker.leave();
            watcher.expect_nothing();
        }
    });
}

// covers: [MQTT311-3.1.2-12]
#[test]
fn mqtt311_3_1_2_12_without_the_will_flag_no_will_is_published() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        for connect in [v5("a"), v311("a")] {
            broker.connect(connect.clone().will(will())).leave();
            let mut a = broker.connect(connect);
            a.cut();
            watcher.expect_nothing();
        }
    });
}

#[test]
fn a_refused_connect_has_no_will() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        let mut a = broker.open();
        a.send(v311("").clean(false).will(will()));
        a.expect_refused(2);
        let mut b = broker.open();
        b.send(v5("b").receive_maximum(0).will(will()));
        b.expect_connect_refused(&[0x82]);
        watcher.expect_nothing();
    });
}

// covers: [MQTT-3.1.2-15] [MQTT311-3.1.2-16] [MQTT311-3.1.2-17]
#[test]
fn mqtt5_3_1_2_14_will_retain_decides_whether_it_is_retained() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut watcher = watcher(broker);
            for (retain, qos) in [(false, 1), (true, 2), (true, 0)] {
                let mut a = broker.connect(connect.clone().will(Packet { retain, qos, ..will() }));
                a.cut();
                watcher.expect_message(will().qos(qos));
                let mut late = broker.connect(v5("late"));
                late.subscribe("w", 2);
                if retain {
                    late.expect_message(will().qos(qos).retain());
                    late.publish(publish("w").qos(1).retain());
                    late.expect(publish("w").qos(1).id(if qos == 0 { 1 } else { 2 }));
                    watcher.expect_message(publish("w").qos(1));
                } else {
                    late.expect_nothing();
                }
            }
        }
    });
}

/// An empty will with Will Retain removes the retained message, as an empty PUBLISH does.
#[test]
fn mqtt5_3_1_2_15_an_empty_retained_will_removes_the_message() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").will(publish("w").retain()));
        a.publish(publish("w").payload("x").qos(1).retain());
        a.cut();
        let mut late = broker.connect(v5("late"));
        late.subscribe("w", 0);
        late.expect_nothing();
    });
}

#[test]
fn wills_keep_their_qos() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        for connect in [v5("a"), v311("a")] {
            for qos in 0..3 {
                let mut a = broker.connect(connect.clone().will(will().qos(qos)));
                a.cut();
                watcher.expect_message(will().qos(qos));
            }
        }
    });
}

#[test]
fn mqtt5_3_1_3_10_will_properties_are_passed_on_in_order() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        let full = will()
            .payload_format(1)
            .message_expiry(60)
            .content_type("text/plain")
            .response_topic("r")
            .correlation_data(&[1, 0, 2])
            .user_property("b", "1")
            .user_property("a", "2")
            .user_property("b", "1");
        let mut a = broker.connect(v5("a").session_expiry(100).will(full.clone().will_delay(10)));
        a.cut();
        broker.seconds(11);
        // Its life begins when it is published; Will Delay Interval is no property of PUBLISH.
        watcher.expect(full);
    });
}

#[test]
fn mqtt5_3_1_2_8_the_will_waits_for_its_delay() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        let mut a = broker.connect(v5("a").session_expiry(100).will(will().will_delay(10)));
        a.cut();
        broker.millis(9_900);
        watcher.expect_nothing();
        broker.millis(200);
        watcher.expect(will());
        broker.seconds(1000);
        watcher.expect_nothing();
    });
}

#[test]
fn mqtt5_3_1_3_9_back_before_the_will_delay_passed_the_will_is_not_sent() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        let connect = v5("a").clean(false).session_expiry(100);
        let mut a = broker.connect(connect.clone().will(will().will_delay(10)));
        a.cut();
        broker.seconds(9);
        let mut a = broker.connect(connect.clone());
        broker.seconds(100);
        watcher.expect_nothing();
        // The new connection has no will: the old one is gone for ever.
        a.cut();
        broker.seconds(1000);
        watcher.expect_nothing();
    });
}

#[test]
fn mqtt5_3_1_3_9_a_reconnect_brings_its_own_will() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        let connect = v5("a").clean(false).session_expiry(100);
        let mut a = broker.connect(connect.clone().will(will().will_delay(10)));
        a.cut();
        let mut a = broker.connect(connect.clone().will(publish("w2").payload("other").will_delay(5)));
        a.cut();
        broker.seconds(6);
        watcher.expect(publish("w2").payload("other"));
        broker.seconds(100);
        watcher.expect_nothing();
    });
}

/// Clean Start ends the old session, and with it the waiting.
#[test]
fn mqtt5_3_1_2_8_a_clean_start_publishes_the_waiting_will() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        let mut a = broker.connect(v5("a").session_expiry(100).will(will().will_delay(50)));
        a.cut();
        broker.seconds(1);
        watcher.expect_nothing();
        let mut again = broker.connect(v5("a"));
        watcher.expect(will());
        again.expect_alive();
        broker.seconds(100);
        watcher.expect_nothing();
    });
}

#[test]
fn mqtt5_3_1_2_8_the_end_of_the_session_does_not_wait_for_the_will_delay() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        // No session beyond the connection: at once.
        let mut a = broker.connect(v5("a").will(will().will_delay(50)));
        a.cut();
        watcher.expect(will());
        // The session ends before the delay passed.
        let mut b = broker.connect(v5("b").session_expiry(5).will(will().will_delay(50)));
        b.cut();
        broker.millis(4_900);
        watcher.expect_nothing();
        broker.millis(200);
        watcher.expect(will());
        broker.seconds(100);
        watcher.expect_nothing();
    });
}

/// DISCONNECT may set another expiry: 0x04 with expiry 0 ends the session at once.
#[test]
fn mqtt5_3_1_2_8_disconnect_may_end_the_session_and_publish_the_will_at_once() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        let mut a = broker.connect(v5("a").session_expiry(100).will(will().will_delay(50)));
        a.send(disconnect().code(4).session_expiry(0));
        a.expect_closed();
        watcher.expect(will());
        let mut b = broker.connect(v5("b").session_expiry(100).will(will().will_delay(50)));
        b.send(disconnect().code(4));
        b.expect_closed();
        broker.seconds(49);
        watcher.expect_nothing();
        broker.seconds(2);
        watcher.expect(will());
    });
}

/// A take-over that resumes the session comes within any delay; without one the will goes out.
#[test]
fn mqtt5_3_1_3_9_take_over_within_the_will_delay_cancels_the_will() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        let connect = v5("a").clean(false).session_expiry(100);
        let mut a = broker.connect(connect.clone().will(will().will_delay(10)));
        let mut b = broker.connect(connect.clone());
        a.expect_disconnect(0x8E);
        broker.seconds(60);
        watcher.expect_nothing();
        b.expect_alive();
        // With Clean Start the session of the old connection ends: its will is due.
        let mut c = broker.connect(v5("c").session_expiry(100).will(will().will_delay(10)));
        broker.connect(v5("c")).expect_alive();
        c.expect_disconnect(0x8E);
        watcher.expect(will());
        watcher.expect_nothing();
    });
}

#[test]
fn a_published_will_enters_offline_queues() {
    everywhere(|broker| {
        let mut reader = broker.connect(v311("reader").clean(false));
        reader.subscribe("w", 1);
        reader.leave();
        let mut a = broker.connect(v5("a").will(will().qos(1)));
        a.cut();
        broker.connect(v311("reader").clean(false)).expect_message(will().qos(1));
    });
}

#[test]
fn many_waiting_wills_are_each_published_once_in_time() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        for number in 0..50_u32 {
            let will = publish(format!("w/{number}")).payload("x").will_delay(number + 1);
            let mut client = broker.connect(v5(&format!("c{number}")).session_expiry(1000).will(will));
            client.cut();
        }
        for number in 0..50 {
            broker.seconds(1);
            watcher.expect(publish(format!("w/{number}")).payload("x"));
            watcher.expect_nothing();
        }
    });
}

/// The delay, be it 0, has not passed when the client is back in its session: no will, in any version. (The comment in
/// section 3.1.4 of the standard would rather have it published; Mosquitto's clients are used to this.)
#[test]
fn take_over_that_resumes_the_session_publishes_no_will() {
    everywhere(|broker| {
        let mut watcher = watcher(broker);
        for connect in [v5("a").clean(false).session_expiry(100), v311("b").clean(false)] {
            let mut old = broker.connect(connect.clone().will(will()));
            let mut new = broker.connect(connect.clone());
            old.expect_disconnect(0x8E);
            assert!(new.session_present());
            broker.seconds(60);
            watcher.expect_nothing();
            // But a failure of the network publishes it at once, whoever comes back later.
            let mut third = broker.connect(connect.clone().will(will()));
            third.cut();
            watcher.expect(will());
            new = broker.connect(connect);
            new.expect_alive();
        }
    });
}
