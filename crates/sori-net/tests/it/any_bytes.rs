//! Whatever comes: no panic, and never more out than came in.

use crate::certificates::Ca;
use proptest::collection::vec;
use proptest::prelude::*;
use sori_net::http::Request;
use sori_net::{ListenerTls, Proxy, ProxyProtocol, TlsServerOptions, Transport, WebSocketClient, WebSocketServer};
use std::sync::{Arc, LazyLock};

static TLS: LazyLock<ListenerTls> = LazyLock::new(|| {
    let ca = Ca::new();
    let (certfile, keyfile) = ca.server();
    ListenerTls::load(&TlsServerOptions { certfile, keyfile, ..TlsServerOptions::default() }).expect("good files")
});

fn transports() -> Vec<Transport> {
    let websocket = || Arc::new(WebSocketServer::default());
    let v2 = ProxyProtocol::V2 { require_tls: false, require_certificate: false };
    let client = WebSocketClient::new("localhost", "/");
    vec![
        Transport::plain().websocket_server(websocket(), None),
        Transport::plain().proxy_protocol(ProxyProtocol::V1),
        Transport::plain().proxy_protocol(v2).websocket_server(websocket(), None),
        Transport::plain().tls_server(&TLS).expect("a server").websocket_server(websocket(), None),
        Transport::plain().websocket_client(&client).expect("legal"),
        Transport::plain().through(&Proxy::Http { credentials: None }, "h", 1).expect("legal"),
        Transport::plain().through(&Proxy::Socks5 { credentials: None }, "h", 1).expect("legal"),
    ]
}

/// Beginnings that are legal, so that chance gets behind them.
const BEGINNINGS: [&[u8]; 6] = [
    b"",
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11",
    b"PROXY TCP4 ",
    b"HTTP/1.1 200 ",
    b"\x05\x00\x05\x00\x00",
];

proptest! {
    #[test]
    fn nothing_panics_and_no_cut_makes_a_difference(
        beginning in 0..BEGINNINGS.len(),
        noise in vec(any::<u8>(), 0..300),
        cuts in vec(1usize..40, 0..60),
    ) {
        let wire = [BEGINNINGS[beginning], &noise].concat();
        for (mut whole, mut cut) in transports().into_iter().zip(transports()) {
            let mut whole_got = Vec::new();
            let whole_outcome = whole.receive(&mut wire.clone(), &mut whole_got);
            let mut cut_got = Vec::new();
            let mut cut_outcome = Ok(());
            let mut rest = &wire[..];
            let mut cuts = cuts.iter().copied();
            while !rest.is_empty() && cut_outcome.is_ok() {
                let count = cuts.next().unwrap_or(rest.len()).min(rest.len());
                cut_outcome = cut.receive(&mut rest[..count].to_vec(), &mut cut_got);
                rest = &rest[count..];
            }
            prop_assert!(whole_got.len() <= wire.len());
            prop_assert_eq!(whole_outcome, cut_outcome);
            prop_assert_eq!(whole_got, cut_got);
            prop_assert_eq!(whole.is_open(), cut.is_open());
            prop_assert_eq!(whole.is_ended(), cut.is_ended());
        }
    }

    #[test]
    fn a_request_has_a_path_that_can_be_a_name_or_none(
        target in "[/.%a-zA-F0-9?#:]{0,40}",
        headers in vec(any::<u8>(), 0..100),
        token in "[A-Za-z0-9+/= ]{0,30}",
    ) {
        let first = format!("GET {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {token}\r\n");
        for rest in [&b"\r\n"[..], &[&headers[..], b"\r\n\r\n"].concat()] {
            if let Ok(request) = Request::parse(&[first.as_bytes(), rest].concat()) {
                prop_assert!(request.path.is_none_or(|path| path.starts_with('/') && !path.contains(char::is_control)));
            }
        }
    }
}
