//! Who may come in and who may do what, as far as the protocol shows it. The rules are the test's own.

use std::sync::Arc;

use sori_broker::{Access, Action, Exchange, Identity, Login, Verdict};
use sori_mqtt::ReasonCode;

use super::broker::{Setup, setup};
use super::wire::{puback, pubcomp, publish, pubrec, pubrel, suback, subscribe, unsuback, unsubscribe, v5, v31, v311};

/// User "alice" with password "secret" may do everything but what begins with "forbidden/<action>".
pub(crate) struct Rules;

impl Access for Rules {
    fn login(&self, login: &Login<'_>) -> Verdict {
        match (login.user_name, login.password) {
            (Some("alice"), Some(b"secret")) => {
                Verdict::Accept(Arc::new(Identity { user_name: Some("alice".into()), ..Identity::default() }))
            }
            (Some("banned"), _) => Verdict::Refuse(ReasonCode::Banned),
            (Some(_), _) => Verdict::Refuse(ReasonCode::BadUserNameOrPassword),
            (None, _) => Verdict::Refuse(ReasonCode::NotAuthorized),
        }
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        None
    }

    fn may(&self, _: &Identity, _: &str, action: Action, topic: &str) -> bool {
        let forbidden = match action {
            Action::Publish => "forbidden/publish",
            Action::Receive => "forbidden/receive",
            Action::Subscribe => "forbidden/subscribe",
            Action::Unsubscribe => "forbidden/unsubscribe",
        };
        !topic.starts_with(forbidden)
    }
}

fn guarded() -> Setup {
    setup().access(Rules)
}

pub(crate) fn alice(connect: super::wire::Packet) -> super::wire::Packet {
    connect.user("alice").password("secret")
}

// covers: [MQTT-3.2.2-7] [MQTT-4.13.2-1]
#[test]
fn mqtt5_3_1_4_2_failed_authentication_is_refused_with_its_reason_and_closed() {
    guarded().run(|broker| {
        let cases = [
            (v5("a").user("alice").password("wrong"), 0x86),
            (v5("a").user("bob").password("secret"), 0x86),
            (v5("a").user("alice"), 0x86),
            (v5("a"), 0x87),
            (v5("a").password("secret"), 0x87),
            (v5("a").user("banned"), 0x8A),
        ];
        for (connect, code) in cases {
            let mut a = broker.open();
            a.send(connect);
            a.expect_refused(code);
        }
        broker.connect(alice(v5("a"))).expect_alive();
    });
}

// covers: [MQTT311-3.2.2-5] [MQTT311-3.2.2-4]
#[test]
fn mqtt311_3_2_2_5_failed_authentication_has_return_codes_4_and_5() {
    guarded().run(|broker| {
        for new in [v311, v31] {
            for (connect, code) in
                [(new("a").user("alice").password("wrong"), 4), (new("a"), 5), (new("a").user("banned"), 5)]
            {
                let mut a = broker.open();
                a.send(connect);
                a.expect_refused(code);
            }
            broker.connect(alice(new("a"))).expect_alive();
        }
    });
}

/// A refused stranger neither ends nor resumes the session of the client that it names.
#[test]
fn mqtt5_3_1_4_2_a_refused_connect_does_not_touch_the_session_of_its_client_id() {
    guarded().run(|broker| {
        let mut a = broker.connect(alice(v5("a")).session_expiry(100));
        a.subscribe("t", 1);
        let mut stranger = broker.open();
        stranger.send(v5("a").user("alice").password("wrong"));
        stranger.expect_refused(0x86);
        a.expect_alive();
        a.leave();
        stranger = broker.open();
        stranger.send(v5("a").user("alice").password("wrong"));
        stranger.expect_refused(0x86);
        assert!(broker.connect(alice(v5("a")).clean(false)).session_present());
    });
}

#[test]
fn anonymous_clients_are_refused_where_the_listener_says_so() {
    setup().listener(|listener| listener.allow_anonymous = false).run(|broker| {
        let mut a = broker.open();
        a.send(v5("a"));
        a.expect_refused(0x87);
        let mut b = broker.open();
        b.send(v311("b"));
        b.expect_refused(5);
        // Nobody knows a password here, so a name proves nothing.
        let mut c = broker.open();
        c.send(v5("c").user("u").password("p"));
        c.expect_refused(0x87);
    });
}

// covers: [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-4.3.3-9]
#[test]
fn mqtt5_4_3_3_9_after_a_refusing_pubrec_the_identifier_is_free() {
    guarded().run(|broker| {
        let mut watcher = broker.connect(alice(v5("watcher")));
        watcher.subscribe("#", 2);
        let mut a = broker.connect(alice(v5("a")));
        a.send(publish("forbidden/publish").payload("x"));
        a.expect_nothing();
        a.send(publish("forbidden/publish").payload("x").qos(1).id(1));
        a.expect(puback(1).code(0x87));
        for _ in 0..2 {
            a.send(publish("forbidden/publish").payload("x").qos(2).id(5));
            a.expect(pubrec(5).code(0x87));
        }
        watcher.expect_nothing();
        // No PUBREL is due; the identifier is a new message.
        a.send(publish("allowed").payload("y").qos(2).id(5));
        a.expect(pubrec(5));
        a.send(pubrel(5));
        a.expect(pubcomp(5));
        watcher.expect_message(publish("allowed").payload("y").qos(2));
    });
}

/// A refused message takes no place in the window either.
#[test]
fn refused_qos_2_messages_do_not_fill_the_receive_maximum() {
    guarded().settings(|settings| settings.strict_receive_maximum = true).run(|broker| {
        let mut a = broker.connect(alice(v5("a")));
        for id in 1..=100 {
            a.send(publish("forbidden/publish").qos(2).id(id));
            a.expect(pubrec(id).code(0x87));
        }
        a.expect_alive();
    });
}

#[test]
fn mqtt311_3_3_5_2_a_forbidden_publish_is_acknowledged_or_closed() {
    guarded().run(|broker| {
        let mut watcher = broker.connect(alice(v311("watcher")));
        watcher.subscribe("#", 0);
        let mut a = broker.connect(alice(v311("a")));
        a.send(publish("forbidden/publish").qos(1).id(1));
        if !a.is_closed() {
            a.expect(puback(1));
            a.send(publish("forbidden/publish").qos(2).id(2));
            a.expect(pubrec(2));
            a.send(pubrel(2));
            a.expect(pubcomp(2));
            a.send(publish("forbidden/publish").retain().payload("x"));
        }
        watcher.expect_nothing();
        let mut late = broker.connect(alice(v311("late")));
        late.subscribe("#", 0);
        late.expect_nothing();
    });
}

// covers: [MQTT-3.8.4-7] [MQTT-3.9.3-2] [MQTT311-3.8.4-5] [MQTT311-3.9.3-2]
#[test]
fn mqtt5_3_9_3_1_a_forbidden_filter_has_its_code_among_the_granted_ones() {
    guarded().run(|broker| {
        let mut publisher = broker.connect(alice(v5("publisher")));
        for (connect, code) in [(v5("a"), 0x87), (v311("a"), 0x80)] {
            let mut a = broker.connect(alice(connect));
            a.send(subscribe(1).filter("ok", 2).filter("forbidden/subscribe/x", 1).filter("fine", 0));
            a.expect(suback(1, &[2, code, 0]));
            publisher.publish(publish("forbidden/subscribe/x").qos(1));
            a.expect_nothing();
            publisher.publish(publish("fine").qos(1));
            a.expect(publish("fine"));
        }
    });
}

/// MQTT 3.1 has no failure code in SUBACK: the reader refuses anything but 0, 1 and 2.
#[test]
fn mqtt31_suback_has_no_failure_code() {
    guarded().run(|broker| {
        let mut a = broker.connect(alice(v31("a")));
        a.send(subscribe(1).filter("forbidden/subscribe/x", 1));
        if !a.is_closed() {
            let answer = a.receive();
            assert!(answer.codes.len() == 1 && answer.codes[0] < 3, "{answer}");
        }
        broker.connect(alice(v5("publisher"))).publish(publish("forbidden/subscribe/x").qos(1));
        assert!(a.drain().is_empty());
    });
}

// covers: [MQTT-3.11.3-2]
#[test]
fn mqtt5_3_11_3_1_a_forbidden_unsubscribe_has_its_code_among_the_others() {
    guarded().run(|broker| {
        let mut a = broker.connect(alice(v5("a")));
        a.subscribe("forbidden/unsubscribe/x", 0);
        a.subscribe("t", 0);
        a.send(unsubscribe(9).filter("forbidden/unsubscribe/x", 0).filter("t", 0).filter("u", 0));
        a.expect(unsuback(9, &[0x87, 0, 0x11]));
        a.send(publish("forbidden/unsubscribe/x"));
        a.expect(publish("forbidden/unsubscribe/x"));
    });
}

/// Delivery is asked for as well: a subscription does not open what reading rules close.
#[test]
fn messages_that_a_client_may_not_receive_are_not_sent() {
    guarded().run(|broker| {
        let mut publisher = broker.connect(alice(v5("publisher")));
        publisher.publish(publish("forbidden/receive/kept").qos(1).payload("x").retain());
        let mut a = broker.connect(alice(v5("a")));
        a.subscribe("#", 1);
        publisher.publish(publish("forbidden/receive/live").qos(1));
        a.expect_nothing();
        publisher.publish(publish("open").qos(1));
        a.expect_message(publish("open").qos(1));
        // What was queued for an offline session is asked for too, and what a group would give it.
        let connect = alice(v5("b")).clean(false).session_expiry(100);
        let mut b = broker.connect(connect.clone());
        b.subscribe("#", 1);
        b.subscribe("$share/g/#", 1);
        b.drain();
        b.cut();
        publisher.publish(publish("forbidden/receive/queued").qos(1));
        publisher.publish(publish("open").qos(1));
        let mut b = broker.connect(connect);
        for _ in 0..2 {
            b.expect_message(publish("open").qos(1));
        }
        b.expect_nothing();
    });
}

/// A will is published under the rules for its client.
#[test]
fn a_forbidden_will_is_not_published() {
    guarded().run(|broker| {
        let mut watcher = broker.connect(alice(v5("watcher")));
        watcher.subscribe("#", 0);
        let mut a = broker.open();
        a.send(alice(v5("a")).will(publish("forbidden/publish").payload("x")));
        a.drain();
        a.cut();
        watcher.expect_nothing();
    });
}

/// `$SYS` is the broker's own. Other topics that begin with `$` are not.
#[test]
fn nobody_publishes_below_sys() {
    setup().run(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("$SYS/#", 0);
        watcher.drain();
        let mut a = broker.connect(v5("a"));
        for topic in ["$SYS", "$SYS/", "$SYS/broker/version"] {
            a.send(publish(topic).payload("x").qos(1).id(1).retain());
            a.expect(puback(1).code(0x87));
            a.send(publish(topic).payload("x").qos(2).id(2));
            a.expect(pubrec(2).code(0x87));
            a.send(publish(topic).payload("x"));
        }
        let mut b = broker.connect(v311("b").will(publish("$SYS/broker/version").payload("x").retain()));
        b.cut();
        watcher.expect_nothing();
        let mut late = broker.connect(v5("late"));
        late.subscribe("$SYS/#", 0);
        late.expect_nothing();
        watcher.subscribe("$SYSTEM/#", 0);
        a.send(publish("$SYSTEM/x"));
        watcher.expect(publish("$SYSTEM/x"));
    });
}

#[test]
fn clients_of_an_internal_listener_need_no_login_and_may_publish_below_sys() {
    let setup = setup().access(Rules).settings(|settings| {
        settings.client_id_prefix = "sensor-".into();
        settings.keep_alive_max = 10;
    });
    let within = Arc::new(Identity { is_internal: true, ..Identity::default() });
    setup.listener(|listener| listener.identity = Some(within)).run(|broker| {
        let mut a = broker.connect(v5("bridge").keep_alive(0));
        broker.seconds(100);
        a.subscribe("$SYS/bridge", 1);
        a.send(publish("$SYS/bridge").payload("up"));
        a.expect(publish("$SYS/bridge").payload("up"));
    });
}

/// Who may publish changes while the broker runs.
#[derive(Default)]
struct Changing(std::sync::atomic::AtomicBool);

impl Access for &'static Changing {
    fn login(&self, _: &Login<'_>) -> Verdict {
        Verdict::Accept(Arc::new(Identity::default()))
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        None
    }

    fn may(&self, _: &Identity, client_id: &str, action: Action, _: &str) -> bool {
        let is_forbidden = self.0.load(std::sync::atomic::Ordering::Relaxed);
        !(is_forbidden && action == Action::Publish && client_id == "publisher")
    }
}

/// Mosquitto CVE-2018-12546: a retained message must not outlive its publisher's right.
#[test]
fn mosquitto_2018_12546_retained_message_outlives_the_right_to_publish_it() {
    for (checks, expected) in [(true, 0), (false, 1)] {
        let rules: &'static Changing = Box::leak(Box::default());
        let broker = setup().settings(|settings| settings.check_retain_source = checks).access(rules).broker(1);
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("t").payload("secret").qos(1).retain());
        let mut before = broker.connect(v5("before"));
        before.subscribe("t", 0);
        assert_eq!(before.drain().len(), 1, "while it may");
        rules.0.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut after = broker.connect(v5("after"));
        after.subscribe("t", 0);
        assert_eq!(after.drain().len(), expected, "check_retain_source {checks}");
    }
}

#[test]
fn mosquitto_2018_12546_the_right_counts_after_a_restart_too() {
    let rules: &'static Changing = Box::leak(Box::default());
    let setup = setup().settings(|settings| settings.keeps_records = true);
    let broker = setup.access(rules).broker(1);
    broker.connect(v5("publisher")).publish(publish("t").payload("secret").qos(1).retain());
    broker.crash();
    let mut before = broker.connect(v5("before"));
    before.subscribe("t", 0);
    assert_eq!(before.drain().len(), 1, "while it may");
    rules.0.store(true, std::sync::atomic::Ordering::Relaxed);
    broker.crash();
    let mut after = broker.connect(v5("after"));
    after.subscribe("t", 0);
    assert_eq!(after.drain().len(), 0);
}
