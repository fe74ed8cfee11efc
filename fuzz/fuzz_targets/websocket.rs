//! WebSocket, both sides, against any other side: in its handshake, and behind a good one.
//!
//! The first byte chooses the side and where it begins, the second one how the others are cut.

#![no_main]

mod cut;

use libfuzzer_sys::fuzz_target;
use sori_net::{Transport, WebSocketClient, WebSocketServer};
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let [choice, piece, wire @ ..] = data else { return };
    let make = || {
        let (mut client, mut server) = (client(), server());
        if choice & 2 != 0 {
            carry(&mut client, &mut server);
            carry(&mut server, &mut client);
            assert!(client.is_open() && server.is_open());
        }
        if choice & 1 == 0 { server } else { client }
    };
    cut::feed(make(), make(), wire, *piece);
});

fn client() -> Transport {
    Transport::plain().websocket_client(&WebSocketClient::new("localhost", "/mqtt")).expect("legal")
}

fn server() -> Transport {
    let trusted = sori_net::websocket::Network::parse("127.0.0.1").expect("an address");
    let rules = WebSocketServer { trusted_proxies: vec![trusted], ..WebSocketServer::default() };
    Transport::plain().websocket_server(Arc::new(rules), Some([127, 0, 0, 1].into()))
}

fn carry(from: &mut Transport, to: &mut Transport) {
    let mut wire = from.output().to_vec();
    from.sent(wire.len());
    to.receive(&mut wire, &mut Vec::new()).expect("a good handshake");
}
