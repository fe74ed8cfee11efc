//! Requests, and what becomes of them.

use super::{Network, WebSocketServer, answer};
use std::net::IpAddr;

const GOOD: &str = "GET /any/path?x HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: foo, mqtt\r\n";

fn ask(server: &WebSocketServer, request: &str, from: Option<IpAddr>) -> Result<String, String> {
    match answer(server, format!("{request}\r\n").as_bytes(), from) {
        Ok(accepted) => {
            assert!(accepted.answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            Ok(accepted.forwarded_for.map_or_else(|| "none".into(), |address| address.to_string()))
        }
        Err(refused) => Err(refused.answer.lines().next().unwrap_or_default().to_owned()),
    }
}

// covers: [MQTT-6.0.0-3] [MQTT311-6.0.0-3] [MQTT-6.0.0-4] [MQTT311-6.0.0-4]
#[test]
fn requests_and_what_becomes_of_them() {
    let any = WebSocketServer::default();
    assert_eq!(ask(&any, GOOD, None), Ok("none".into()));
    assert_eq!(ask(&any, &GOOD.replace("foo, mqtt", "mqttv3.1"), None), Ok("none".into()));
    for (from, to, status) in [
        ("GET", "POST", "HTTP/1.1 405 Method Not Allowed"),
        ("HTTP/1.1", "HTTP/1.0", "HTTP/1.1 405 Method Not Allowed"),
        ("HTTP/1.1", "MQTT", "HTTP/1.1 400 Bad Request"),
        ("Upgrade: WebSocket", "X: y", "HTTP/1.1 426 Upgrade Required"),
        ("keep-alive, Upgrade", "keep-alive", "HTTP/1.1 426 Upgrade Required"),
        ("Version: 13", "Version: 8", "HTTP/1.1 426 Upgrade Required"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", "HTTP/1.1 400 Bad Request"),
        ("Host: localhost", "X: y", "HTTP/1.1 400 Bad Request"),
        ("foo, mqtt", "foo", "HTTP/1.1 400 Bad Request"),
        ("foo, mqtt", "MQTT", "HTTP/1.1 400 Bad Request"),
    ] {
        assert_eq!(ask(&any, &GOOD.replacen(from, to, 1), None), Err(status.into()), "{from} -> {to}");
    }
}

#[test]
fn websockets_origin_is_compared_exactly() {
    let server = WebSocketServer { origins: vec!["https://a.example".into()], ..WebSocketServer::default() };
    assert_eq!(ask(&server, &format!("{GOOD}Origin: https://a.example\r\n"), None), Ok("none".into()));
    assert_eq!(ask(&server, GOOD, None), Ok("none".into()), "who is no page sends no Origin");
    for other in ["https://a.example.evil", "https://b.example", "https://A.example", "https://a.example\r\nOrigin: b"]
    {
        assert_eq!(ask(&server, &format!("{GOOD}Origin: {other}\r\n"), None), Err(String::new()), "{other}");
    }
}

#[test]
fn x_forwarded_for_is_believed_only_of_trusted_proxies() {
    let trusted_proxies = ["10.0.0.0/8", "::1"].map(|text| Network::parse(text).expect("legal")).to_vec();
    let server = WebSocketServer { trusted_proxies, ..WebSocketServer::default() };
    let from = |text: &str| Some(text.parse().expect("an address"));
    let request = format!("{GOOD}X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\nX-Forwarded-For: 10.1.2.3\r\n");
    assert_eq!(ask(&server, &request, from("10.9.9.9")), Ok("192.0.2.7".into()));
    assert_eq!(ask(&server, &request, from("::1")), Ok("192.0.2.7".into()));
    assert_eq!(ask(&server, &request, from("192.0.2.1")), Ok("none".into()));
    assert_eq!(ask(&server, &request, None), Ok("none".into()));
    assert_eq!(ask(&WebSocketServer::default(), &request, from("10.9.9.9")), Ok("none".into()));
    let odd = format!("{GOOD}X-Forwarded-For: unknown\r\n");
    assert_eq!(ask(&server, &odd, from("10.9.9.9")), Ok("none".into()));
}

#[test]
fn networks_are_read_and_compared() {
    for text in ["10.0.0.0/33", "::/129", "a", "10.0.0.0/", "/8", "10.0.0.0/-1"] {
        assert!(Network::parse(text).is_none(), "{text}");
    }
    let has = |network: &str, address: &str| {
        Network::parse(network).expect("legal").contains(address.parse().expect("an address"))
    };
    assert!(has("0.0.0.0/0", "255.1.2.3") && has("::/0", "fe80::1") && has("192.0.2.1", "::ffff:192.0.2.1"));
    assert!(!has("192.0.2.0/24", "192.0.3.1") && !has("::/0", "10.0.0.1") && has("fd00::/8", "fdff::1"));
}
