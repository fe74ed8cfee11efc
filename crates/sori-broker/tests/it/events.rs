//! What operators are told: one event for each connection that comes, is refused or ends, with client, address, cause.

use std::sync::Arc;

use sori_broker::{Access, Action, Cause, Event, Exchange, Identity, Login, Verdict};
use sori_mqtt::{PacketId, QoS, ReasonCode, Version};

use super::broker::{Broker, everywhere, setup};
use super::wire::{Packet, disconnect, pingreq, publish, raw, subscribe, unsubscribe, v5, v31, v311};

/// The one event of the last step.
#[track_caller]
fn one_event(broker: &Broker) -> Event {
    let mut events = broker.events();
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

/// Why the client "a" has gone, which must be all that there is to tell.
#[track_caller]
fn cause(broker: &Broker) -> Cause {
    match one_event(broker) {
        Event::Disconnected { client_id, address, cause } => {
            assert!(&*client_id == "a" && !address.is_empty(), "{client_id} {address}");
            cause
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connect_is_told_with_what_it_asked_for() {
    everywhere(|broker| {
        let cases = [
            (v5("a").keep_alive(60).user("u"), Version::V5, true, 60, Some("u")),
            (v311("a").clean(false), Version::V311, false, 0, None),
            (v31("a").keep_alive(5), Version::V31, true, 5, None),
        ];
        for (connect, spoken, clean, seconds, user) in cases {
            let mut a = broker.connect(connect);
            let Event::Connected { client_id, address, version, clean_start, keep_alive, user_name } =
                one_event(broker)
            else {
                panic!("not connected");
            };
            assert!(&*client_id == "a" && !address.is_empty());
            assert_eq!((version, clean_start, keep_alive, user_name.as_deref()), (spoken, clean, seconds, user));
            a.leave();
            assert_eq!(cause(broker), Cause::ByClient(ReasonCode::Success));
        }
    });
}

#[test]
fn the_end_of_a_connection_is_told_with_its_cause() {
    everywhere(|broker| {
        for new in [v5, v311] {
            let connect = || {
                let client = broker.connect(new("a").keep_alive(10));
                broker.events();
                client
            };
            connect().cut();
            assert!(matches!(cause(broker), Cause::Network(_)));
            let mut a = connect();
            broker.seconds(16);
            assert!(a.is_closed());
            assert_eq!(cause(broker), Cause::KeepAlive);
            a = connect();
            a.send(publish("t").qos(3).id(1));
            assert!(matches!(cause(broker), Cause::Protocol(ReasonCode::MalformedPacket, text) if !text.is_empty()));
            // Two events: the old connection goes, the new one comes.
            let old = connect();
            let _new = broker.connect(new("a"));
            assert!(old.is_closed());
            let events = broker.events();
            let taken = |event: &&Event| matches!(event, Event::Disconnected { cause: Cause::TakenOver, .. });
            assert_eq!((events.len(), events.iter().filter(taken).count()), (2, 1), "{events:?}");
        }
        let mut a = broker.connect(v5("a"));
        broker.events();
        a.send(disconnect().code(4));
        assert_eq!(cause(broker), Cause::ByClient(ReasonCode::DisconnectWithWill));
    });
}

/// Each fault has one line, and is counted.
#[test]
fn each_fault_is_one_event_and_counted() {
    everywhere(|broker| {
        let faults: [Vec<u8>; 8] = [
            raw(0x00, &[]),
            raw(0x20, &[0, 0, 0]),
            raw(0x36, b"\0\x01t\0\x01\0"),
            raw(0x30, b"\0\x01+\0"),
            raw(0x80, &[]),
            raw(0x82, &[]),
            raw(0xC1, &[]),
            vec![0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 1],
        ];
        for new in [v5, v311] {
            for bytes in &faults {
                let mut a = broker.connect(new("a"));
                let (errors, _) = (broker.totals().protocol_errors, broker.events());
                a.send_bytes(bytes);
                assert!(a.is_closed());
                assert!(matches!(cause(broker), Cause::Protocol(..)), "{bytes:02X?}");
                assert_eq!(broker.totals().protocol_errors, errors + 1, "{bytes:02X?}");
            }
        }
    });
}

#[test]
fn each_refusal_is_one_event() {
    everywhere(|broker| {
        let refused: [(Vec<u8>, Option<&str>); 6] = [
            (v5("a").receive_maximum(0).encode(super::wire::Version::V5), None),
            (v311("").clean(false).encode(super::wire::Version::V311), None),
            (v5("a").protocol("MQTT", 6).encode(super::wire::Version::V5), None),
            (pingreq().encode(super::wire::Version::V5), None),
            (vec![0x10, 0xFF, 0xFF, 0xFF, 0xFF, 1], None),
            (v5("a").auth_method("unknown").encode(super::wire::Version::V5), Some("a")),
        ];
        for (bytes, id) in refused {
            let mut a = broker.open();
            a.send_bytes(&bytes);
            assert!(a.is_closed());
            let Event::Refused { address, client_id, reason_code, text } = one_event(broker) else {
                panic!("not refused: {bytes:02X?}");
            };
            assert!(!address.is_empty() && reason_code.is_error() && !text.is_empty());
            if id.is_some() {
                assert_eq!(client_id.as_deref(), id);
            }
        }
        // So is the end of a connection that never came to its CONNECT.
        let a = broker.open();
        broker.seconds(11);
        assert!(a.is_closed());
        assert!(matches!(one_event(broker), Event::Refused { .. }));
    });
}

#[test]
fn subscriptions_are_told_when_asked_for() {
    for wanted in [true, false] {
        setup().settings(|settings| settings.report_subscriptions = wanted).run(|broker| {
            let mut a = broker.connect(v5("a"));
            broker.events();
            a.subscribes(subscribe(1).filter("t", 1).filter("u", 0));
            a.send(unsubscribe(2).filter("t", 0).filter("never", 0));
            let events = broker.events();
            if !wanted {
                assert!(events.is_empty(), "{events:?}");
                return;
            }
            let made = events.iter().filter(|event| matches!(event, Event::Subscribed { .. })).count();
            let removed = |event: &&Event| matches!(event, Event::Unsubscribed { filter, .. } if &**filter == "t");
            assert_eq!((made, events.iter().filter(removed).count()), (2, 1), "{events:?}");
        });
    }
}

/// Everybody may come in, and nobody may do anything.
struct DenyAll;

impl Access for DenyAll {
    fn login(&self, _: &Login<'_>) -> Verdict {
        Verdict::Accept(Arc::new(Identity::default()))
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        None
    }

    fn may(&self, _: &Identity, _: &str, _: Action, _: &str) -> bool {
        false
    }
}

/// Each message that a client may not publish, where that is asked for.
#[test]
fn messages_that_are_denied_are_told_when_asked_for() {
    for wanted in [true, false] {
        let denying = setup().settings(|settings| settings.report_denied = wanted).access(DenyAll);
        denying.run(|broker| {
            let mut a = broker.connect(v5("a"));
            broker.events();
            a.send(publish("t").payload("12345").qos(2).id(7).retain().dup());
            a.send(publish("u"));
            let denied = |topic: &str, dup, qos, retain, id, payload_bytes| Event::Denied {
                client_id: "a".into(),
                topic: topic.into(),
                dup,
                qos,
                retain,
                packet_id: PacketId::new(id),
                payload_bytes,
                is_reserved: false,
            };
            let all =
                [denied("t", true, QoS::ExactlyOnce, true, 7, 5), denied("u", false, QoS::AtMostOnce, false, 0, 0)];
            assert_eq!(broker.events(), if wanted { &all[..] } else { &[] });
            // The broker's own topics are not a matter of rules, so that nobody else tells of them.
            a.send(publish("$SYS/x"));
            assert!(matches!(one_event(broker), Event::Denied { is_reserved: true, .. }));
        });
    }
}

/// A full queue is told once, not once for each message, and again after it had room.
#[test]
fn a_full_queue_is_told_once() {
    setup().settings(|settings| settings.queued_messages_max = 5).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 1);
        for _ in 0..2 {
            broker.events();
            for _ in 0..50 {
                publisher.publish(publish("t").qos(1));
            }
            let Event::Dropping { client_id, .. } = one_event(broker) else { panic!("no event of a full queue") };
            assert_eq!(&*client_id, "a");
            loop {
                let messages: Vec<Packet> = a.drain();
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    a.acknowledge(&message);
                }
            }
        }
    });
}
