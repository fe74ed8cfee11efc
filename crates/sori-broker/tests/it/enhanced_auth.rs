//! The AUTH exchange of MQTT 5.0 section 4.12, with a method of the test's own: the broker asks for as many words as
//! the method's name says, and the last word decides.

use std::sync::Arc;

use sori_broker::{Access, Action, Exchange, Identity, Login, Step, Verdict};
use sori_mqtt::ReasonCode;

use super::broker::{Broker, Client, everywhere, setup};
use super::wire::{Packet, auth, connack, disconnect, pingreq, publish, raw, subscribe, v5, v311};

struct Words;

struct Asking {
    left: u8,
}

impl Access for Words {
    fn login(&self, login: &Login<'_>) -> Verdict {
        Verdict::Accept(Arc::new(Identity { user_name: login.user_name.map(Box::from), ..Identity::default() }))
    }

    fn exchange(&self, method: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        let left = match method {
            "none" => 0,
            "one" => 1,
            "two" => 2,
            _ => return None,
        };
        Some(Box::new(Asking { left }))
    }

    fn may(&self, _: &Identity, _: &str, _: Action, _: &str) -> bool {
        true
    }
}

impl Exchange for Asking {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        match data {
            Some(b"wrong") => Step::Refuse(ReasonCode::NotAuthorized),
            _ if self.left > 0 => {
                self.left -= 1;
                Step::Continue(format!("{} left", self.left).into_bytes())
            }
            _ => {
                let identity = Arc::new(Identity { user_name: Some("user".into()), ..Identity::default() });
                Step::Done(identity, Some(b"welcome".to_vec()))
            }
        }
    }
}

fn run(test: impl Fn(&Broker)) {
    setup().access(Words).run(test);
}

fn words(method: &str) -> Packet {
    v5("a").auth_method(method).auth_data("hello")
}

/// Says the words that the broker asks for.
fn connected(broker: &Broker, method: &str, words: u8) -> Client {
    let mut a = broker.open();
    a.send(self::words(method));
    for left in (0..words).rev() {
        a.expect(auth(0x18).auth_method(method).auth_data(format!("{left} left")));
        a.send(auth(0x18).auth_method(method).auth_data("word"));
    }
    let answer = a.receive();
    assert!(connack().auth_method(method).auth_data("welcome").is_met_by(&answer), "{answer}");
    a
}

// covers: [MQTT-4.12.0-5]
#[test]
fn mqtt5_4_12_0_2_the_servers_auth_carries_0x18_and_the_method() {
    run(|broker| {
        for (method, words) in [("none", 0), ("one", 1), ("two", 2)] {
            let mut a = connected(broker, method, words);
            a.subscribe("t", 0);
            a.send(publish("t"));
            a.expect(publish("t"));
            a.leave();
        }
    });
}

#[test]
fn mqtt5_4_12_0_1_an_unknown_method_is_refused() {
    run(|broker| {
        let mut a = broker.open();
        a.send(words("telepathy"));
        a.expect_refused(0x8C);
    });
    // A broker that knows no method at all.
    everywhere(|broker| {
        let mut a = broker.open();
        a.send(words("one"));
        a.expect_refused(0x8C);
    });
}

#[test]
fn mqtt5_4_12_0_4_rejection_at_any_point_closes() {
    run(|broker| {
        let mut a = broker.open();
        a.send(v5("a").auth_method("two").auth_data("wrong"));
        a.expect_refused(0x87);
        for right in 0..2 {
            let mut a = broker.open();
            a.send(words("two"));
            for _ in 0..right {
                a.receive();
                a.send(auth(0x18).auth_method("two").auth_data("word"));
            }
            a.receive();
            a.send(auth(0x18).auth_method("two").auth_data("wrong"));
            a.expect_refused(0x87);
        }
    });
}

// covers: [MQTT-4.12.0-3]
#[test]
fn mqtt5_4_12_0_5_another_method_or_code_in_the_exchange_is_refused() {
    run(|broker| {
        let wrong = [
            auth(0x18).auth_method("two").auth_data("word"),
            auth(0x18).auth_data("word"),
            auth(0x18),
            auth(0).auth_method("one").auth_data("word"),
            auth(0x19).auth_method("one").auth_data("word"),
            auth(0x05).auth_method("one").auth_data("word"),
        ];
        for packet in wrong {
            let mut a = broker.open();
            a.send(words("one"));
            a.expect(auth(0x18).auth_method("one").auth_data("0 left"));
            a.send(packet);
            a.expect_connect_refused(&[0x81, 0x82, 0x87, 0x8C]);
        }
    });
}

// covers: [MQTT-3.2.0-1]
#[test]
fn mqtt5_3_1_2_30_only_auth_and_disconnect_may_come_before_the_connack() {
    run(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("#", 0);
        for packet in [publish("t"), subscribe(1).filter("t", 0), pingreq(), v5("a")] {
            let mut a = broker.open();
            a.send(words("one"));
            a.receive();
            a.send(packet);
            a.expect_connect_refused(&[0x82]);
        }
        let mut a = broker.open();
        a.send(words("one").will(publish("w").payload("x")));
        a.receive();
        a.send(disconnect());
        a.expect_closed();
        watcher.expect_nothing();
    });
}

// covers: [MQTT-4.12.0-7]
#[test]
fn mqtt5_4_12_0_6_without_a_method_there_is_no_auth_and_no_method_in_connack() {
    run(|broker| {
        let mut a = broker.connect(v5("a"));
        assert!(!a.connack.has(0x15) && !a.connack.has(0x16));
        for packet in [auth(0x18).auth_method("one"), auth(0x19).auth_method("one")] {
            a = broker.connect(v5("a"));
            a.send(packet);
            a.expect_disconnect(0x82);
        }
    });
}

#[test]
fn authentication_data_without_a_method_is_a_protocol_error() {
    run(|broker| {
        let mut a = broker.open();
        a.send(v5("a").auth_data("hello"));
        a.expect_connect_refused(&[0x82]);
    });
}

#[test]
fn mqtt5_4_12_1_1_re_authentication_goes_through_the_method_again() {
    run(|broker| {
        let mut a = connected(broker, "one", 1);
        a.subscribe("t", 0);
        for _ in 0..2 {
            a.send(auth(0x19).auth_method("one").auth_data("again"));
            a.expect(auth(0x18).auth_method("one").auth_data("0 left"));
            // Traffic goes on meanwhile.
            a.send(publish("t"));
            a.expect(publish("t"));
            a.send(auth(0x18).auth_method("one").auth_data("word"));
            a.expect(auth(0).auth_method("one").auth_data("welcome"));
        }
        a.expect_alive();
    });
}

#[test]
fn mqtt5_4_12_1_2_failed_re_authentication_is_disconnected_with_a_reason() {
    run(|broker| {
        let mut a = connected(broker, "one", 1);
        a.send(auth(0x19).auth_method("one").auth_data("wrong"));
        a.expect_disconnect(0x87);
        let mut a = connected(broker, "one", 1);
        a.send(auth(0x19).auth_method("one").auth_data("again"));
        a.receive();
        a.send(auth(0x18).auth_method("one").auth_data("wrong"));
        a.expect_disconnect(0x87);
    });
}

#[test]
fn mqtt5_4_12_1_1_re_authentication_by_another_method_is_a_protocol_error() {
    run(|broker| {
        for packet in [auth(0x19).auth_method("two"), auth(0x19), auth(0x18).auth_method("one")] {
            let mut a = connected(broker, "one", 1);
            a.send(packet);
            a.expect_disconnect(0x82);
        }
    });
}

#[test]
fn mqtt5_3_15_1_1_auth_flags_must_be_0() {
    run(|broker| {
        for flags in 1..16 {
            let mut a = connected(broker, "none", 0);
            a.send(auth(0x19).auth_method("none").flags(flags));
            // Mosquitto's tests want 0x82.
            a.expect_disconnect_with_one_of(&[0x81, 0x82]);
        }
    });
}

#[test]
fn mqtt5_3_15_2_1_only_the_listed_authenticate_reason_codes() {
    run(|broker| {
        for code in [0, 1, 0x10, 0x80, 0x87, 0xFF] {
            let mut a = connected(broker, "none", 0);
            a.send(auth(code).auth_method("none"));
            a.expect_disconnect_with_one_of(&[0x81, 0x82]);
        }
    });
}

/// The server's AUTH packets say no more than they must. The client checks the size.
// covers: [MQTT-3.15.2-3]
#[test]
fn mqtt5_3_15_2_2_auth_fits_into_the_clients_maximum_packet_size() {
    run(|broker| {
        let mut a = broker.open();
        a.send(words("one").maximum_packet_size(30));
        let question = a.expect(auth(0x18).auth_method("one").auth_data("0 left"));
        assert!(!question.has(0x1F) && !question.has(0x26));
    });
}

#[test]
fn auth_is_no_packet_of_3_1_1() {
    run(|broker| {
        let mut a = broker.connect(v311("a"));
        a.send_bytes(&raw(0xF0, &[]));
        a.expect_closed();
    });
}

/// An exchange that the client never finishes ends with the connect time-out.
#[test]
fn an_unfinished_exchange_times_out() {
    run(|broker| {
        let mut a = broker.open();
        a.send(words("one"));
        a.receive();
        broker.seconds(11);
        a.expect_connect_refused(&[0x80, 0x82, 0x87]);
    });
}

/// The old connection of the client stays until the new one has proved who it is.
// covers: [MQTT-3.1.4-3]
#[test]
fn an_unfinished_exchange_takes_nothing_over() {
    run(|broker| {
        let mut old = connected(broker, "one", 1);
        let mut stranger = broker.open();
        stranger.send(words("one"));
        stranger.receive();
        old.expect_alive();
        stranger.send(auth(0x18).auth_method("one").auth_data("wrong"));
        stranger.expect_refused(0x87);
        old.expect_alive();
        connected(broker, "one", 1).expect_alive();
        old.expect_disconnect(0x8E);
    });
}

/// Whoever says a name has it; only Ann may publish.
struct Names;

struct Naming;

impl Access for Names {
    fn login(&self, _: &Login<'_>) -> Verdict {
        Verdict::Accept(Arc::default())
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        Some(Box::new(Naming))
    }

    fn may(&self, identity: &Identity, _: &str, action: Action, _: &str) -> bool {
        action != Action::Publish || identity.user_name.as_deref() == Some("ann")
    }

    fn is_steady(&self) -> bool {
        true
    }
}

impl Exchange for Naming {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        let name = String::from_utf8_lossy(data.unwrap_or_default());
        Step::Done(Arc::new(Identity { user_name: Some(name.into()), ..Identity::default() }), None)
    }
}

/// What one user was permitted says nothing about the next one on the same connection.
#[test]
fn who_authenticates_again_as_somebody_else_has_other_rights() {
    setup().access(Names).run(|broker| {
        let mut subscriber = broker.connect(v5("s"));
        subscriber.subscribe("t", 0);
        let mut client = broker.connect(v5("a").auth_method("names").auth_data("ann"));
        client.send_together([publish("t"), publish("t")]);
        subscriber.expect(publish("t"));
        subscriber.expect(publish("t"));
        client.send(auth(0x19).auth_method("names").auth_data("bob"));
        client.expect(auth(0x00).auth_method("names"));
        client.send_together([publish("t"), publish("t")]);
        subscriber.expect_nothing();
    });
}
