//! Listeners with WebSocket, with and without TLS.

use super::broker::{Broker, free_port};
use super::certificates::Ca;
use super::client::{Client, Received, hello};
use sori_mqtt::QoS;
use sori_net::tls::ServerRoots;
use sori_net::{TlsClient, TlsClientOptions, Transport, WebSocketClient};

fn options(port: u16, more: &str) -> String {
    format!("listener {port} 127.0.0.1\nprotocol websockets\n{more}\n")
}

fn transport(headers: &[(&str, &str)]) -> Transport {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let client = WebSocketClient { headers, ..WebSocketClient::new("localhost", "/any/path") };
    Transport::plain().websocket_client(&client).expect("legal")
}

#[track_caller]
fn talks(mut a: Client, mut b: Client) {
    assert_eq!((a.hello(&hello("a")), b.hello(&hello("b"))), (0, 0));
    a.subscribe("t", QoS::AtLeastOnce);
    for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        let payload: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[0]).collect();
        b.publish("t", &payload, QoS::AtMostOnce, 0);
        assert_eq!(a.message(), ("t".to_owned(), payload));
    }
}

// covers: [MQTT-6.0.0-1] [MQTT311-6.0.0-1] [MQTT-6.0.0-2] [MQTT311-6.0.0-2] [MQTT-6.0.0-3] [MQTT311-6.0.0-3] [MQTT-6.0.0-4] [MQTT311-6.0.0-4]
#[test]
fn mqtt5_6_0_0_1_messages_of_every_size_come_through() {
    let port = free_port();
    let _broker = Broker::start(&options(port, ""));
    let open = || Client::open_by(port, transport(&[])).expect("a handshake");
    talks(open(), open());
}

#[test]
fn secure_websockets() {
    let (ca, port) = (Ca::new(), free_port());
    let (certfile, keyfile) = ca.server();
    let lines = format!("certfile {}\nkeyfile {}", certfile.display(), keyfile.display());
    let _broker = Broker::start(&options(port, &lines));
    let roots = ServerRoots::Files { cafile: Some(ca.path("ca.pem")), capath: None };
    let tls = TlsClient::load(&TlsClientOptions { roots, ..TlsClientOptions::default() }).expect("good files");
    let open = || {
        let transport = Transport::plain().tls_client(&tls, "localhost").expect("a name");
        let transport = transport.websocket_client(&WebSocketClient::new("localhost", "/mqtt")).expect("legal");
        Client::open_by(port, transport).expect("a handshake")
    };
    talks(open(), open());
}

#[test]
fn websockets_origin_closes_without_a_word() {
    let port = free_port();
    let broker =
        Broker::start(&options(port, "websockets_origin https://a.example\nwebsockets_origin https://b.example"));
    for origin in ["https://a.example", "https://b.example"] {
        let mut page = Client::open_by(port, transport(&[("Origin", origin)])).expect("a handshake");
        assert_eq!(page.hello(&hello(origin)), 0);
    }
    assert!(Client::open_by(port, transport(&[("Origin", "https://evil.example")])).is_err());
    broker.wait_for_log("disconnected: non-matching http origin \"https://evil.example\"");
}

#[test]
fn x_forwarded_for_counts_in_the_log_when_the_proxy_is_trusted() {
    let (trusting, wary) = (free_port(), free_port());
    let lines = [options(trusting, "websockets_trusted_proxy 127.0.0.0/8"), options(wary, "")].concat();
    let broker = Broker::start(&lines);
    for (port, id) in [(trusting, "known"), (wary, "unknown")] {
        let header = ("X-Forwarded-For", "203.0.113.9, 192.0.2.7");
        let mut client = Client::open_by(port, transport(&[header])).expect("a handshake");
        assert_eq!(client.hello(&hello(id)), 0);
    }
    broker.wait_for_log("New client connected from 192.0.2.7:0 as known ");
    broker.wait_for_log("New client connected from 127.0.0.1:");
}

#[test]
fn who_speaks_no_websocket_is_answered_and_closed() {
    let port = free_port();
    let broker = Broker::start(&options(port, ""));
    let mut plain = Client::open(port);
    plain.say(|out| hello("a").encode(out));
    assert!(matches!(plain.stream.peek(&mut [0; 1]), Ok(1)), "an answer");
    broker.wait_for_log("disconnected: this is not an HTTP request");
    let mut endless = Client::open(port);
    endless.send(&[b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 20_000]].concat());
    broker.wait_for_log("disconnected: the headers are above 8 KiB");
}

#[test]
fn frames_that_are_not_legal_end_the_connection() {
    let port = free_port();
    let broker = Broker::start(&options(port, ""));
    let mut client = Client::open_by(port, transport(&[])).expect("a handshake");
    assert_eq!(client.hello(&hello("a")), 0);
    // A frame without mask.
    std::io::Write::write_all(&mut client.stream, &[0x82, 2, 0xC0, 0]).expect("is open");
    assert_eq!(client.receive(), Received::End);
    broker.wait_for_log("Client a [127.0.0.1:");
    broker.wait_for_log("disconnected: a frame of a client without mask.");
}
