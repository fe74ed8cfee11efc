//! Listeners behind a proxy that tells whom it speaks for.

use super::broker::{Broker, command, free_port};
use super::client::{Client, Received, hello};
use sori_net::{Transport, WebSocketClient};

fn options(port: u16, more: &str) -> String {
    format!("listener {port} 127.0.0.1\n{more}\n")
}

fn value(kind: u8, contents: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(contents.len()).expect("short").to_be_bytes(), contents].concat()
}

/// A header of version 2 for 192.0.2.5:6275, with these values.
fn v2(values: &[u8]) -> Vec<u8> {
    let contents = [&[192, 0, 2, 5, 127, 0, 0, 1, 0x18, 0x83, 7, 0x5B][..], values].concat();
    let length = u16::try_from(contents.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", &length[..], &contents].concat()
}

/// What a proxy tells of TLS: the client came by it, and showed a certificate if there is a name.
fn tls(common_name: Option<&str>) -> Vec<u8> {
    let name = common_name.map(|name| value(0x22, name.as_bytes())).unwrap_or_default();
    let client = if common_name.is_some() { 7 } else { 1 };
    value(0x20, &[&[client, 0, 0, 0, 0][..], &value(0x21, b"TLSv1.3"), &name].concat())
}

#[test]
fn version_1_tells_the_address() {
    let port = free_port();
    let broker = Broker::start(&options(port, "enable_proxy_protocol 1"));
    let line = b"PROXY TCP4 192.0.2.5 127.0.0.1 6275 1883\r\n";
    let mut client = Client::open_after(port, line, Transport::plain()).expect("open");
    assert_eq!(client.hello(&hello("a")), 0);
    broker.wait_for_log("New client connected from 192.0.2.5:6275 as a ");
    let mut bad = Client::open(port);
    bad.say(|out| hello("b").encode(out));
    assert_eq!(bad.receive(), Received::End);
    broker.wait_for_log("disconnected: corrupt PROXY header");
}

#[test]
fn version_2_tells_the_address_and_then_comes_anything() {
    let (plain, websocket) = (free_port(), free_port());
    let lines =
        [options(plain, "enable_proxy_protocol 2"), options(websocket, "enable_proxy_protocol 2\nprotocol websockets")];
    let broker = Broker::start(&lines.concat());
    let mut client = Client::open_after(plain, &v2(b""), Transport::plain()).expect("open");
    assert_eq!(client.hello(&hello("a")), 0);
    broker.wait_for_log("New client connected from 192.0.2.5:6275 as a ");
    let transport = Transport::plain().websocket_client(&WebSocketClient::new("localhost", "/mqtt")).expect("legal");
    let mut client = Client::open_after(websocket, &v2(b""), transport).expect("a handshake");
    assert_eq!(client.hello(&hello("w")), 0);
    broker.wait_for_log("New client connected from 192.0.2.5:6275 as w ");
    // A value that is longer than all that follows.
    let mut long = Client::open(plain);
    long.send(&v2(&[b'a'; 501]));
    assert_eq!(long.receive(), Received::End);
    broker.wait_for_log(
        "rejected, corrupt PROXY header. Client (null) [(null):0] disconnected: bad socket read/write: Invalid input",
    );
    // The proxy looks whether somebody is there.
    let mut look = Client::open(plain);
    look.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    assert_eq!(look.receive(), Received::End);
}

#[test]
fn what_version_2_tells_of_tls_counts() {
    let (tls_only, named) = (free_port(), free_port());
    let lines = [
        options(tls_only, "enable_proxy_protocol 2\nproxy_protocol_v2_require_tls true"),
        options(named, "enable_proxy_protocol 2\nrequire_certificate true\nuse_identity_as_username true"),
    ];
    let broker = Broker::start(&lines.concat());
    let open = |port: u16, values: &[u8]| Client::open_after(port, &v2(values), Transport::plain()).expect("open");
    assert_eq!(open(tls_only, b"").receive(), Received::End);
    broker.wait_for_log("disconnected: client did not connect using TLS");
    assert_eq!(open(tls_only, &tls(None)).hello(&hello("a")), 0);
    assert_eq!(open(named, &tls(None)).receive(), Received::End);
    broker.wait_for_log("disconnected: client did not provide a certificate");
    assert_eq!(open(named, &tls(Some("device-7"))).hello(&hello("b")), 0);
    broker.wait_for_log(", u'device-7')");
    assert_eq!(open(named, &tls(Some(""))).hello(&hello("c")), 0x86, "no name, no user");
}

#[test]
fn what_does_not_go_together_refuses_the_start() {
    let file = std::env::temp_dir().join(format!("sori-proxy-{}.conf", std::process::id()));
    for (lines, text) in [
        ("enable_proxy_protocol 0", "Error: enable_proxy_protocol must be 1 or 2."),
        ("enable_proxy_protocol 3", "Error: enable_proxy_protocol must be 1 or 2."),
        (
            "enable_proxy_protocol 2\nuse_subject_as_username true",
            "Error: use_subject_as_username cannot be used with `enable_proxy_protocol 2`.",
        ),
        (
            "enable_proxy_protocol 2\ncertfile a\nkeyfile b",
            "Error: certfile and keyfile cannot be used with `enable_proxy_protocol 2`.",
        ),
    ] {
        std::fs::write(&file, options(free_port(), lines)).expect("a file");
        let output = command(&["-c", file.to_str().expect("is text")]).output().expect("starts");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), log.contains(text)), (Some(3), true), "{lines}\n{log}");
    }
    std::fs::remove_file(&file).expect("is there");
}
