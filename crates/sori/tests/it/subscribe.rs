//! `sori sub`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};

use sori_mqtt::{Packet, PacketId, PacketType, Properties, ReasonCode, SubAck};

use crate::broker::Broker;
use crate::{result, sori};

fn start(words: &str, broker: &Broker) -> Child {
    sori(&format!("sub -h 127.0.0.1 -p {{port}} {words}"), broker.port).spawn().expect("starts")
}

fn end(child: Child) -> (i32, String, String) {
    result(&child.wait_with_output().expect("ends"))
}

#[test]
fn messages_are_printed_until_there_are_enough() {
    let broker = Broker::new();
    let child = start("-t a -v -C 2", &broker);
    let mut peer = broker.subscribed();
    for (topic, payload) in [("a", &b"one"[..]), ("b", b""), ("c", b"too much")] {
        peer.message(topic, payload);
    }
    peer.expect_goodbye();
    assert_eq!(end(child), (0, "a one\nb (null)\n".into(), String::new()));
}

#[test]
fn ctrl_c_says_goodbye() {
    for signal in ["-INT", "-TERM"] {
        let broker = Broker::new();
        let mut child = start("-t a", &broker);
        let mut peer = broker.subscribed();
        peer.message("a", b"seen");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert_eq!(line, "seen\n");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        peer.expect_goodbye();
        assert_eq!(end(child), (0, String::new(), String::new()));
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let broker = Broker::new();
    let mut child = start("-t a", &broker);
    let mut peer = broker.subscribed();
    drop(child.stdout.take());
    peer.message("a", b"for nobody");
    peer.expect_goodbye();
    assert_eq!(end(child), (0, String::new(), String::new()));
}

#[test]
fn time_is_up() {
    let broker = Broker::new();
    let child = start("-t a -W 1", &broker);
    broker.subscribed().expect_goodbye();
    assert_eq!(end(child), (27, String::new(), String::new()));
}

#[test]
fn refused_subscriptions_are_named() {
    let broker = Broker::new();
    let child = start("-t a -t b", &broker);
    let mut peer = broker.connected();
    peer.expect(PacketType::Subscribe);
    let (packet_id, properties) = (PacketId::FIRST, Properties::EMPTY);
    peer.send(&Packet::SubAck(SubAck { packet_id, properties, reason_codes: &[0x87, 0x80] }));
    peer.expect_goodbye();
    let message = "sori: the broker refused the subscription to \"a\": not authorized\n\
                   sori: the broker refused the subscription to \"b\": unspecified error\n";
    assert_eq!(end(child), (1, String::new(), message.into()));
}

#[test]
fn a_lost_connection_is_an_error() {
    let broker = Broker::new();
    let child = start("-t a", &broker);
    drop(broker.subscribed());
    let message = format!("sori: the broker at 127.0.0.1:{} closed the connection\n", broker.port);
    assert_eq!(end(child), (7, String::new(), message));
}

#[test]
fn debug_shows_every_packet() {
    let broker = Broker::new();
    let child = start("-t a -C 1 -d -V 311", &broker);
    let mut peer = broker.accept();
    peer.expect(PacketType::Connect);
    peer.answer(ReasonCode::Success);
    peer.expect(PacketType::Subscribe);
    peer.send_bytes(&[0x90, 3, 0, 1, 0]);
    peer.message("a", b"hi");
    peer.expect_goodbye();
    let expected = "-> CONNECT client \"\", clean start true, keep alive 60\n\
                    <- CONNACK success, session present false\n\
                    -> SUBSCRIBE m1 \"a\" q0\n\
                    <- SUBACK m1 [0]\n\
                    <- PUBLISH d0 q0 r0 m0 \"a\" (2 bytes)\n\
                    -> DISCONNECT success\n";
    assert_eq!(end(child), (0, "hi\n".into(), expected.into()));
}
