//! With `log_type all` the log shows what passes, in Mosquitto's words.

use sori_mqtt::{Connect, Disconnect, PINGREQ, PacketType, Properties, QoS, ReasonCode, Version, Will};

use super::broker::{Broker, wait_until};
use super::client::{Client, Received, hello};

/// These lines stand in the log, in this order, maybe with others between them.
#[track_caller]
fn expect(broker: &Broker, lines: &[&str]) {
    broker.wait_for_log(lines.last().expect("there are some"));
    let log = broker.log();
    let mut written = log.lines();
    for line in lines {
        assert!(written.any(|found| found == *line), "{line:?} is not there, or not in its place:\n{log}");
    }
}

#[test]
fn what_a_client_says_and_hears_is_told_packet_by_packet() {
    let broker = Broker::start("log_type all");
    let properties = Properties::EMPTY;
    let will = Will { topic: "last", payload: b"abc", qos: QoS::ExactlyOnce, retain: true, properties };
    let (mut client, _) = Client::connect_with(broker.port, &Connect { will: Some(will), ..hello("id") });
    client.subscribe("a/#", QoS::ExactlyOnce);
    client.publish("a/b", b"123456789012", QoS::AtLeastOnce, 7);
    let mut answers = [client.receive(), client.receive()];
    answers.sort_by_key(|answer| matches!(answer, Received::Message { .. }));
    let Received::Message { packet_id: Some(packet_id), .. } = answers[1] else { unreachable!("{answers:?}") };
    client.acknowledge(PacketType::PubAck, packet_id);
    client.send(&PINGREQ);
    assert_eq!(client.receive(), Received::PingResp);
    client.say(|out| {
        Disconnect { reason_code: ReasonCode::Success, properties }.encode(Version::V5, out);
    });
    expect(&broker, &["Will message specified (3 bytes) (r1, q2).", "\tlast", "Sending CONNACK to id (0, 0)"]);
    expect(
        &broker,
        &[
            "Sending CONNACK to id (0, 0)",
            "Received SUBSCRIBE from id",
            "\ta/# (QoS 2)",
            "Sending SUBACK to id",
            "Received PUBLISH from id (d0, q1, r0, m7, 'a/b', ... (12 bytes))",
            "Received PUBACK from id (Mid: 1, RC:0)",
            "Received PINGREQ from id",
            "Sending PINGRESP to id",
            "Received DISCONNECT from id",
        ],
    );
    expect(&broker, &["Sending PUBLISH to id (d0, q1, r0, m1, 'a/b', ... (12 bytes))"]);
    expect(&broker, &["Sending PUBACK to id (m7, rc0)"]);
    expect(&broker, &["id 2 a/#"]);
}

#[test]
fn a_refusal_and_a_connection_that_moves_are_told_too() {
    let broker = Broker::start("log_type all\nthreads 3\nmax_qos 1");
    let mut refused = Client::open(broker.port);
    refused.speak(Version::V31);
    refused.say(|out| Connect { version: Version::V31, ..hello("") }.encode(out));
    assert_eq!(refused.receive(), Received::ConnAck { session_present: false, code: 0x85 });
    expect(&broker, &["Sending CONNACK to <unknown> (0, 2)"]);
    for _ in 0..3 {
        let (mut client, _) = Client::resume(broker.port, "mover");
        client.publish_and_wait("a", b"");
    }
    expect(
        &broker,
        &["No will message specified.", "Sending CONNACK to mover (0, 0)", "Sending CONNACK to mover (1, 0)"],
    );
    wait_until("each of them was heard", || {
        broker.log().matches("Received PUBLISH from mover (d0, q1, r0, m1, 'a', ... (0 bytes))").count() == 3
    });
}

#[test]
fn each_message_that_is_denied_is_told() {
    let acl = std::env::temp_dir().join(format!("sori-denied-{}", std::process::id()));
    std::fs::write(&acl, "topic readwrite ok\n").expect("can be written");
    let broker = Broker::start(&format!("log_type all\nacl_file {}", acl.display()));
    let mut client = Client::connect(broker.port, "id");
    client.publish_and_wait("ok", b"1");
    for packet_id in [7, 8] {
        client.publish("no", b"12", QoS::AtLeastOnce, packet_id);
        assert!(matches!(client.receive(), Received::Refused(PacketType::PubAck, _, 0x87)));
    }
    client.publish("$SYS/x", b"123", QoS::AtMostOnce, 0);
    expect(
        &broker,
        &[
            "Denied PUBLISH from id (d0, q1, r0, m7, 'no', ... (2 bytes))",
            "Denied PUBLISH from id (d0, q1, r0, m8, 'no', ... (2 bytes))",
            "Denied PUBLISH from id (d0, q0, r0, m0, '$SYS/x', ... (3 bytes))",
        ],
    );
    let reason = format!("Client id may not publish to 'no': no line of {} grants it.", acl.display());
    assert_eq!(broker.log().matches(&reason).count(), 1, "the reason is told once");
    std::fs::remove_file(acl).expect("is there");
}

#[test]
fn without_debug_lines_nothing_of_it_is_told() {
    let broker = Broker::start("");
    Client::connect(broker.port, "id").publish_and_wait("a", b"");
    broker.wait_for_log("Client id [127.0.0.1");
    assert!(!broker.log().contains("PUBLISH") && !broker.log().contains("CONNACK"), "{}", broker.log());
}
