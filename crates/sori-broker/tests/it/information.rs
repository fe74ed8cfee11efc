//! Request Problem Information and Request Response Information.

use super::broker::{Broker, Client, everywhere};
use super::wire::{Kind, Packet, publish, pubrec, pubrel, subscribe, unsubscribe, v5};

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
