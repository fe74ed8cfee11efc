//! Request Problem Information and Request Response Information.

use super::access::{Rules, alice};
use super::broker::{Broker, Client, everywhere, setup};
use super::wire::{Kind, Packet, publish, pubrec, pubrel, subscribe, unsubscribe, v5, v311};

/// Everything that can make a broker explain itself short of a disconnect.
fn provoke(broker: &Broker, connect: Packet) -> Vec<Packet> {
    let mut a: Client = broker.connect(connect);
    let packets = [
        publish("nobody").qos(1).id(1),
        publish("nobody").qos(2).id(2),
        pubrel(2),
        pubrel(99),
        pubrec(99),
        unsubscribe(3).filter("never", 0),
        subscribe(4).filter("t", 1),
        unsubscribe(5).filter("t", 0),
    ];
    for packet in packets {
        a.send(packet);
    }
    a.drain()
}

#[test]
fn mqtt5_3_1_2_29_without_problem_information_only_some_packets_explain() {
    everywhere(|broker| {
        let answers = provoke(broker, v5("a").request_problem_information(0));
        assert!(answers.len() >= 8, "{answers:?}");
        for answer in answers {
            let may = matches!(answer.kind, Kind::Publish | Kind::ConnAck | Kind::Disconnect);
            assert!(may || (!answer.has(0x1F) && !answer.has(0x26)), "{answer}");
        }
        // A PUBLISH keeps its User Properties.
        let mut b = broker.connect(v5("b").request_problem_information(0));
        b.subscribe("t", 0);
        b.send(publish("t").user_property("k", "v"));
        b.expect(publish("t").user_property("k", "v"));
        // The codes are the same with it.
        let codes =
            |answers: Vec<Packet>| answers.into_iter().map(|answer| (answer.code, answer.codes)).collect::<Vec<_>>();
        let without = codes(provoke(broker, v5("c").request_problem_information(0)));
        assert_eq!(without, codes(provoke(broker, v5("d").request_problem_information(1))));
        assert_eq!(without, codes(provoke(broker, v5("e"))));
    });
}

#[test]
fn mqtt5_3_1_2_28_response_information_is_not_given_to_who_did_not_ask() {
    everywhere(|broker| {
        for connect in [v5("a"), v5("a").request_response_information(0)] {
            assert!(!broker.connect(connect).connack.has(0x1A));
        }
        // Asked for, it may be given, or not.
        broker.connect(v5("a").request_response_information(1)).expect_alive();
    });
}

/// Request and response by the properties that are there for it.
#[test]
fn a_request_is_answered_by_its_response_topic() {
    everywhere(|broker| {
        let mut requester = broker.connect(v5("requester"));
        let mut responder = broker.connect(v5("responder"));
        requester.subscribe("answers/requester", 1);
        responder.subscribe("questions", 1);
        requester.publish(
            publish("questions").payload("?").qos(1).response_topic("answers/requester").correlation_data(b"42"),
        );
        let question = responder.receive();
        responder.acknowledge(&question);
        let topic = question.text(0x08).unwrap();
        responder.publish(publish(topic).payload("!").qos(1).correlation_data(b"42"));
        requester.expect_message(publish("answers/requester").payload("!").qos(1).correlation_data(b"42"));
    });
}

/// One refusal of every kind: the packets that the broker answers with.
fn refusals(broker: &Broker, connect: Packet) -> Vec<Packet> {
    let mut answers = Vec::new();
    let mut stranger = broker.open();
    stranger.send(connect.clone().user("mallory"));
    answers.extend(stranger.drain());
    let mut a = broker.open();
    a.send(alice(connect));
    a.drain();
    let packets = [
        publish("forbidden/publish").qos(1).id(1),
        publish("forbidden/publish").qos(2).id(2),
        subscribe(3).filter("t", 1).filter("forbidden/subscribe", 1),
        unsubscribe(4).filter("forbidden/unsubscribe", 0),
        publish("t").qos(3).id(1),
    ];
    for packet in packets {
        a.send(packet);
        answers.extend(a.drain());
    }
    assert!(a.is_closed() && stranger.is_closed());
    answers
}

fn without_reason_string(answers: Vec<Packet>) -> Vec<Packet> {
    answers
        .into_iter()
        .map(|mut answer| {
            answer.properties.retain(|property| property.id != 0x1F);
            answer
        })
        .collect()
}

// covers: [MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.9.2-1] [MQTT-3.11.2-1] [MQTT-3.14.2-3]
#[test]
fn mqtt5_3_1_2_29_reason_strings_go_to_who_may_have_them() {
    let explained = |on: bool| setup().access(Rules).settings(move |settings| settings.reason_strings = on);
    explained(true).run(|broker| {
        for connect in [v5("a"), v5("a").request_problem_information(1)] {
            let answers = refusals(broker, connect);
            assert_eq!(answers.len(), 6, "{answers:?}");
            for answer in &answers {
                assert!(answer.text(0x1F).is_some_and(|text| !text.is_empty()), "{answer}");
            }
        }
        for answer in refusals(broker, v5("a").request_problem_information(0)) {
            let may = matches!(answer.kind, Kind::ConnAck | Kind::Disconnect);
            assert_eq!(answer.has(0x1F), may, "{answer}");
        }
        // What is granted needs no words, and MQTT 3 has none.
        let mut a = broker.connect(alice(v5("a")));
        a.publish(publish("t").qos(2));
        a.send(subscribe(9).filter("t", 1));
        a.send(unsubscribe(10).filter("t", 0));
        assert!(!a.connack.has(0x1F) && a.drain().iter().all(|answer| !answer.has(0x1F)));
        assert_eq!(refusals(broker, v311("b")).len(), 5);
    });
    explained(false).run(|broker| {
        assert!(refusals(broker, v5("a")).iter().all(|answer| !answer.has(0x1F)));
    });
}

/// The Reason String gives way to the client's Maximum Packet Size, and nothing else does. The client checks the size.
// covers: [MQTT-3.2.2-20] [MQTT-3.4.2-3] [MQTT-3.5.2-3] [MQTT-3.9.2-2] [MQTT-3.11.2-2] [MQTT-3.14.2-4]
#[test]
fn mqtt5_3_4_2_2_reason_strings_fit_into_the_clients_maximum_packet_size() {
    setup().access(Rules).settings(|settings| settings.reason_strings = true).run(|broker| {
        let all = refusals(broker, v5("a"));
        let plain = without_reason_string(all.clone());
        let mut with = 0;
        for maximum in 16..150 {
            let answers = refusals(broker, v5("a").maximum_packet_size(maximum));
            for (answer, full) in answers.iter().zip(&all) {
                assert!(!answer.has(0x1F) || answer == full, "{answer}");
                with += usize::from(answer.has(0x1F));
            }
            assert_eq!(without_reason_string(answers), plain, "Maximum Packet Size {maximum}");
        }
        assert!(with > 100, "{with} packets with a Reason String");
    });
}

#[test]
fn mqtt5_3_1_2_28_response_information_is_given_to_who_asks() {
    setup().settings(|settings| settings.response_information = Some("answers/".into())).run(|broker| {
        let given = |connect: Packet| broker.connect(connect).connack.text(0x1A);
        assert_eq!(given(v5("a").request_response_information(1)).as_deref(), Some("answers/"));
        assert_eq!(given(v5("a").request_response_information(0)), None);
        assert_eq!(given(v5("a")), None);
        broker.connect(v311("b")).expect_alive();
    });
}
