//! WebSocket between both ends, and against peers that do not keep to it.

use crate::pair::Pair;
use sori_net::{ErrorKind, Transport, WebSocketClient, WebSocketServer};
use std::sync::Arc;

fn client() -> Transport {
    Transport::plain().websocket_client(&WebSocketClient::new("localhost", "/mqtt")).expect("legal")
}

fn server() -> Transport {
    Transport::plain().websocket_server(Arc::new(WebSocketServer::default()), None)
}

/// A server whose handshake is done.
fn open_server() -> Transport {
    let mut pair = Pair::new(client(), server());
    pair.settle().expect("a handshake");
    pair.server
}

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).expect("short")),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(length).expect("not that long").to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

// covers: [MQTT-6.0.0-1] [MQTT311-6.0.0-1] [MQTT-6.0.0-2] [MQTT311-6.0.0-2] [MQTT-6.0.0-3] [MQTT311-6.0.0-3] [MQTT-6.0.0-4] [MQTT311-6.0.0-4]
#[test]
fn mqtt5_6_0_0_2_bytes_come_through_however_they_are_cut() {
    for piece in [1, 2, 3, 5, 14, 1000, usize::MAX] {
        let mut pair = Pair::new(client(), server());
        pair.piece = piece;
        pair.settle().expect("a handshake");
        pair.assert_talks();
    }
}

#[test]
fn frames_behind_the_handshake_in_the_same_bytes_are_read() {
    let mut client = client();
    let mut server = server();
    let mut wire = client.output().to_vec();
    client.sent(wire.len());
    wire.extend_from_slice(&frame(0x82, b"CONNECT"));
    let mut got = Vec::new();
    server.receive(&mut wire, &mut got).expect("legal");
    assert_eq!(got, b"CONNECT");
}

/// NanoMQ 2026-25627: a frame shorter than the packet. RFC 6455 section 5.4: fragments, with control frames between them.
// covers: [MQTT-6.0.0-2] [MQTT311-6.0.0-2]
#[test]
fn packets_over_the_borders_of_frames_come_through_at_every_cut() {
    let wire = [
        frame(0x82, b"\x30"),
        frame(0x82, b""),
        frame(0x02, b"\x0a\x00"),
        frame(0x89, b"ping"),
        frame(0x00, b"\x01a"),
        frame(0x8A, b"unasked"),
        frame(0x80, b"payload"),
    ]
    .concat();
    for cut in 0..=wire.len() {
        let mut server = open_server();
        let mut got = Vec::new();
        let mut copy = wire.clone();
        let (front, back) = copy.split_at_mut(cut);
        server.receive(front, &mut got).expect("legal");
        server.receive(back, &mut got).expect("legal");
        assert_eq!(got, b"\x30\x0a\x00\x01apayload", "cut at {cut}");
        assert_eq!(server.output(), b"\x8a\x04ping", "the Pong");
    }
}

#[test]
fn frames_that_are_not_legal_end_the_connection_with_a_code() {
    let long_close = [&[0x03, 0xE8][..], &[0xFF]].concat();
    for (wire, code, what) in [
        // [MQTT-6.0.0-1]
        (frame(0x81, b"text"), 1003, "text"),
        (vec![0x82, 0x01, 0x00], 1002, "no mask"),
        (frame(0x80, b"x"), 1002, "a continuation of nothing"),
        ([frame(0x02, b"x"), frame(0x82, b"y")].concat(), 1002, "a beginning within a message"),
        (frame(0x92, b"x"), 1002, "a reserved bit"),
        (frame(0x83, b"x"), 1002, "a reserved opcode"),
        (frame(0x09, b"x"), 1002, "a Ping in pieces"),
        (frame(0x89, &[0; 126]), 1002, "a long Ping"),
        (frame(0x88, b"x"), 1002, "a Close of one byte"),
        (frame(0x88, &1005u16.to_be_bytes()), 1002, "a code that may not be sent"),
        (frame(0x88, &long_close), 1002, "a reason that is no UTF-8"),
        (vec![0x82, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4], 1009, "a frame of 1 GiB"),
    ] {
        let mut server = open_server();
        let mut wire = wire;
        let error = server.receive(&mut wire, &mut Vec::new()).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::WebSocket, "{what}");
        let last_words = [&[0x88, 2][..], &u16::to_be_bytes(code)].concat();
        assert_eq!(server.output(), last_words, "{what}");
    }
}

#[test]
fn a_client_refuses_masked_frames() {
    let mut pair = Pair::new(client(), server());
    pair.settle().expect("a handshake");
    let error = pair.client.receive(&mut frame(0x82, b"x"), &mut Vec::new()).expect_err("RFC 6455 section 5.1");
    assert_eq!(error.kind(), ErrorKind::WebSocket);
}

#[test]
fn close_is_answered_once_and_nothing_counts_after_it() {
    let mut pair = Pair::new(client(), server());
    pair.settle().expect("a handshake");
    pair.client.close();
    pair.client.close();
    assert_eq!(pair.client.output().len(), 2 + 4 + 2, "one Close frame");
    pair.settle().expect("closing");
    assert!(pair.client.is_ended() && pair.server.is_ended());
    let mut server = open_server();
    let mut got = Vec::new();
    let mut wire = [frame(0x88, &1001u16.to_be_bytes()), frame(0x82, b"late")].concat();
    server.receive(&mut wire, &mut got).expect("legal");
    assert_eq!((server.output(), got.len()), (&b"\x88\x02\x03\xe9"[..], 0));
    assert_eq!(server.send(b"late"), 4, "it is taken");
    assert_eq!(server.output().len(), 4, "and goes nowhere: RFC 6455 section 5.5.1");
}

#[test]
fn pings_without_end_do_not_fill_the_memory() {
    let mut server = open_server();
    for _ in 0..10_000 {
        server.receive(&mut frame(0x89, &[7; 125]), &mut Vec::new()).expect("legal");
    }
    assert!(server.output().len() < 65 * 1024, "{} bytes wait", server.output().len());
    server.sent(server.output().len());
    server.receive(&mut frame(0x89, b"again"), &mut Vec::new()).expect("legal");
    assert_eq!(server.output(), b"\x8a\x05again");
}

#[test]
fn a_peer_that_does_not_read_is_not_sent_more() {
    let mut server = open_server();
    let mut sent = 0;
    loop {
        match server.send(&[1; 10_000]) {
            0 => break,
            count => sent += count,
        }
    }
    assert!(sent < 128 * 1024 && server.output().len() < 129 * 1024);
}

#[test]
fn who_speaks_mqtt_or_tls_to_a_websocket_is_refused_at_once() {
    for wire in [&b"\x10\x0d\x00\x04MQTT"[..], b"\x16\x03\x01", b"POST / HTTP/1.1\r\n"] {
        let mut server = server();
        let error = server.receive(&mut wire.to_vec(), &mut Vec::new()).expect_err("it is no GET");
        assert_eq!(error.to_string(), "this is not an HTTP request");
        assert!(server.output().starts_with(b"HTTP/1.1 400 "));
    }
    let mut server = server();
    let mut endless = [b"GET / HTTP/1.1\r\nA: ".to_vec(), vec![b'a'; 9000]].concat();
    let error = server.receive(&mut endless, &mut Vec::new()).expect_err("it has no end");
    assert_eq!(error.to_string(), "the headers are above 8 KiB");
}
