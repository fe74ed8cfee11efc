//! TLS with pre-shared keys between both ends, alone and with other stages around it.

use crate::certificates::Ca;
use crate::pair::Pair;
use sori_net::tls::{PskClientOptions, PskKeys, PskServerOptions};
use sori_net::{ErrorKind, ListenerTls, Peer, ProxyProtocol, TlsClient, Transport, WebSocketClient, WebSocketServer};
use std::sync::Arc;

struct OneKey;

impl PskKeys for OneKey {
    fn key(&self, identity: &[u8]) -> Option<&[u8]> {
        (identity == b"device").then_some(b"a key")
    }
}

fn server(key_log: Option<std::path::PathBuf>) -> ListenerTls {
    let options = PskServerOptions { hint: "hint".to_owned(), keys: Arc::new(OneKey), ciphers: None, key_log };
    ListenerTls::with_keys(&options).expect("good options")
}

fn client(identity: &str, key: &[u8]) -> TlsClient {
    let options = PskClientOptions {
        identity: identity.to_owned(),
        key: key.to_owned(),
        alpn: vec![b"mqtt".to_vec()],
        ..PskClientOptions::default()
    };
    TlsClient::with_key(&options).expect("good options")
}

fn identity(peer: &Peer) -> Option<&str> {
    peer.tls.as_ref()?.psk_identity.as_deref()
}

#[test]
fn keys_carry_bytes_however_they_are_cut_also_below_websocket_and_behind_a_proxy() {
    for (piece, host) in [(1, "localhost"), (7, "127.0.0.1"), (1400, "[::1]"), (usize::MAX, "not a name")] {
        let (server, client) = (server(None), client("device", b"a key"));
        let mut pair = Pair::new(
            Transport::plain().tls_client(&client, host).expect("a client"),
            Transport::plain().tls_server(&server).expect("a server"),
        );
        pair.piece = piece;
        pair.settle().expect("a handshake");
        pair.assert_talks();
        let facts = pair.server.peer().tls.as_ref().expect("TLS");
        assert_eq!((&*facts.version, &*facts.cipher), ("TLSv1.2", "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"));
        assert_eq!((identity(pair.server.peer()), &facts.certificate), (Some("device"), &None));

        let web = WebSocketClient::new("localhost", "/mqtt");
        let client = Transport::plain().tls_client(&client, host).and_then(|below| below.websocket_client(&web));
        let server = Transport::plain().proxy_protocol(ProxyProtocol::V1).tls_server(&server).expect("a server");
        let server = server.websocket_server(Arc::new(WebSocketServer::default()), None);
        let mut pair = Pair::new(client.expect("a client"), server);
        pair.piece = piece;
        let mut header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec();
        pair.server.receive(&mut header, &mut Vec::new()).expect("a header");
        pair.settle().expect("a handshake");
        pair.assert_talks();
        assert_eq!(identity(pair.server.peer()), Some("device"));
        pair.client.close();
        pair.settle().expect("a good-bye");
        assert!(pair.server.is_ended());
    }
}

#[test]
fn who_has_not_the_key_is_told_so_by_an_alert() {
    for (identity, key, expected) in [
        ("nobody", &b"a key"[..], "there is no key for the identity \"nobody\""),
        ("device", b"b key", "the client has another key than the one of the identity \"device\""),
    ] {
        let mut pair = Pair::new(
            Transport::plain().tls_client(&client(identity, key), "localhost").expect("a client"),
            Transport::plain().tls_server(&server(None)).expect("a server"),
        );
        let error = pair.settle().expect_err("it is refused");
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Tls, expected.to_owned()));
        assert!(!pair.server.is_open() && pair.server.peer().tls.is_none());
        // RFC 5246 section 7.2: an alert is a record of type 21.
        assert_eq!(pair.server.output().first(), Some(&21));
    }
}

#[test]
fn the_secrets_of_connections_are_written_where_that_is_wanted() {
    let ca = Ca::new();
    let file = ca.path("secrets");
    let mut pair = Pair::new(
        Transport::plain().tls_client(&client("device", b"a key"), "localhost").expect("a client"),
        Transport::plain().tls_server(&server(Some(file.clone()))).expect("a server"),
    );
    pair.settle().expect("a handshake");
    let text = std::fs::read_to_string(file).expect("was written");
    assert!(text.starts_with("CLIENT_RANDOM ") && text.ends_with('\n'), "{text}");
}
