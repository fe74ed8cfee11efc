//! `sori pub`.

use std::io::Write;
use std::process::{Child, Stdio};

use sori_mqtt::{Packet, PacketType, QoS, ReasonCode};

use crate::broker::{Broker, unused_port};
use crate::{result, sori};

fn start(words: &str, broker: &Broker) -> Child {
    sori(&format!("pub -h 127.0.0.1 -p {{port}} {words}"), broker.port).spawn().expect("starts")
}

fn end(child: Child) -> (i32, String, String) {
    result(&child.wait_with_output().expect("ends"))
}

const QUIET_SUCCESS: (i32, String, String) = (0, String::new(), String::new());

#[test]
fn a_message_is_acknowledged_before_the_end() {
    for version in ["31", "mqttv311", "5"] {
        let broker = Broker::new();
        let child = start(&format!("-V {version} -t a/b -m hi -q 2"), &broker);
        let mut peer = broker.connected();
        assert_eq!(peer.publish(), (QoS::ExactlyOnce, "a/b".into(), "hi".into()));
        peer.acknowledge(PacketType::PubRec, 1, ReasonCode::Success);
        peer.expect(PacketType::PubRel);
        peer.acknowledge(PacketType::PubComp, 1, ReasonCode::Success);
        peer.expect_goodbye();
        assert_eq!(end(child), QUIET_SUCCESS, "{version}");
    }
}

#[test]
fn a_denied_message_is_an_error() {
    let broker = Broker::new();
    let child = start("-t a/b -m hi -q 1", &broker);
    let mut peer = broker.connected();
    peer.publish();
    peer.acknowledge(PacketType::PubAck, 1, ReasonCode::NotAuthorized);
    peer.expect_goodbye();
    let message = "sori: the broker did not take the message for \"a/b\": not authorized\n";
    assert_eq!(end(child), (1, String::new(), message.into()));
}

#[test]
fn a_refused_connection_names_the_reason() {
    for (version, status) in [("311", 0x87), ("5", 0x87)] {
        let broker = Broker::new();
        let child = start(&format!("-V {version} -t a -m hi"), &broker);
        let mut peer = broker.accept();
        peer.expect(PacketType::Connect);
        peer.answer(ReasonCode::NotAuthorized);
        let message = "sori: the server refused the connection: not authorized\n";
        assert_eq!(end(child), (status, String::new(), message.into()));
    }
}

#[test]
fn a_broker_that_hangs_up_is_an_error() {
    let broker = Broker::new();
    let child = start("-t a -m hi", &broker);
    let mut peer = broker.accept();
    peer.expect(PacketType::Connect);
    drop(peer);
    let (status, _, err) = end(child);
    assert_eq!(status, 7);
    assert!(err.contains("closed the connection before it answered"), "{err}");
}

#[test]
fn the_broker_s_last_word_is_reported() {
    let broker = Broker::new();
    let child = start("-t a -m hi -q 1", &broker);
    let mut peer = broker.connected();
    peer.publish();
    peer.send_bytes(&[0xE0, 1, 0x8B]);
    drop(peer);
    assert_eq!(end(child), (7, String::new(), "sori: the server ended the connection: server shutting down\n".into()));
}

#[test]
fn a_broker_that_breaks_the_protocol_is_told_so() {
    let broker = Broker::new();
    let child = start("-t a -m hi -q 1", &broker);
    let mut peer = broker.connected();
    peer.publish();
    peer.send_bytes(&[0x20, 3, 0, 0, 0]);
    assert_eq!(peer.expect_goodbye(), [0xE0, 1, 0x82]);
    let (status, _, err) = end(child);
    assert_eq!(status, 7);
    assert!(err.contains("the server broke the protocol: CONNACK"), "{err}");
}

#[test]
fn each_line_is_a_message() {
    let broker = Broker::new();
    let mut command = sori("pub -h 127.0.0.1 -p {port} -t log -l -q 1", broker.port);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("starts");
    let lines: Vec<String> = (0..250).map(|number| format!("line {number}")).collect();
    let mut stdin = child.stdin.take().expect("a pipe");
    // The last line has no line break, and no line is lost for it.
    stdin.write_all(lines.join("\n").as_bytes()).expect("room in the pipe");
    drop(stdin);
    let mut peer = broker.connected();
    for (packet_id, line) in (1..).zip(&lines) {
        assert_eq!(peer.publish(), (QoS::AtLeastOnce, "log".into(), line.clone()));
        peer.acknowledge(PacketType::PubAck, packet_id, ReasonCode::Success);
    }
    peer.expect_goodbye();
    assert_eq!(end(child), QUIET_SUCCESS);
}

#[test]
fn connect_carries_the_options() {
    let broker = Broker::new();
    let words = "-t a -n -r -i me -u user -P secret -k 30 -c -x 90 \
                 --will-topic gone --will-payload bye --will-qos 1 --will-retain";
    let child = start(&words.split_whitespace().collect::<Vec<_>>().join(" "), &broker);
    let mut peer = broker.accept();
    let connect = peer.expect(PacketType::Connect);
    peer.decoded(&connect, |_, packet| {
        let Packet::Connect(connect) = packet else { unreachable!("a CONNECT") };
        assert_eq!((connect.client_id, connect.user_name), ("me", Some("user")));
        assert_eq!((connect.password, connect.keep_alive), (Some(&b"secret"[..]), 30));
        assert_eq!((connect.clean_start, connect.properties.session_expiry_interval()), (false, Some(90)));
        let will = connect.will.expect("a will");
        assert_eq!((will.topic, will.payload), ("gone", &b"bye"[..]));
        assert_eq!((will.qos, will.retain), (QoS::AtLeastOnce, true));
    });
    peer.answer(ReasonCode::Success);
    assert_eq!(peer.expect(PacketType::Publish), [0x31, 4, 0, 1, b'a', 0]);
    peer.expect_goodbye();
    assert_eq!(end(child), QUIET_SUCCESS);
}

#[test]
fn a_wrong_topic_is_explained_before_anything_is_sent() {
    let expected = (1, String::new(), "sori: cannot publish to \"a/#\": topic holds a wildcard\n".into());
    assert_eq!(
        result(&sori("pub -h 127.0.0.1 -p {port} -t a/# -m hi", unused_port()).output().expect("starts")),
        expected
    );
}
