//! Who comes in, who does not, and what each side is told.

use crate::pair::{Pair, WHOLE, client_of, server_of};
use sori_dtls::Error;

#[test]
fn who_has_the_key_comes_in_however_the_bytes_are_cut() {
    for (identity, key) in [("ann", &b"key of ann"[..]), ("b\"b", b"key of bob"), ("cid", &[7; 512])] {
        for piece in [1, 7, WHOLE] {
            let mut pair = Pair::of(identity, key);
            assert!(pair.client.is_handshaking() && pair.server.is_handshaking());
            assert_eq!(pair.server.identity(), None, "nobody is known before the end");
            assert_eq!(pair.shake_hands(piece), (None, None));
            assert_eq!(pair.server.identity(), Some(identity));
            let long: Vec<u8> = (0..40_000u32).map(|at| at.to_le_bytes()[0]).collect();
            pair.client_sends(&long);
            pair.server_sends(b"an answer");
            assert_eq!(pair.settle(piece), (None, None));
            assert!(pair.server_got == long && pair.client_got == b"an answer");
            pair.client_closes();
            assert_eq!(pair.settle(piece), (None, None));
            assert!(pair.server.is_ended() && !pair.client.is_ended());
        }
    }
}

/// What client and server say about a handshake that fails.
fn failure(mut pair: Pair) -> (String, String) {
    let (client, server) = pair.shake_hands(WHOLE);
    assert!(pair.server.is_handshaking() && pair.server.identity().is_none());
    let told = |error: Option<Error>| error.map(|error| error.to_string()).unwrap_or_default();
    (told(client), told(server))
}

#[test]
fn both_sides_are_told_why_somebody_does_not_come_in() {
    // RFC 4279 section 2: unknown_psk_identity.
    let (client, server) = failure(Pair::of("e\nve", b"key of ann"));
    assert_eq!(client, "the server has no key for this identity (unknown_psk_identity)");
    assert_eq!(server, "there is no key for the identity \"e\\nve\"");
    let (client, server) = failure(Pair::of("ann", b"key of bob"));
    assert_eq!(client, "the server has another key for this identity (bad_record_mac)");
    assert_eq!(server, "the client has another key than the one of the identity \"ann\"");
    let chacha = client_of("ann", b"key of ann", Some("ECDHE-PSK-CHACHA20-POLY1305")).expect("a suite");
    let aes = server_of(Some("PSK-AES128-GCM-SHA256")).expect("a suite");
    let (client, server) = failure(Pair::new(&chacha, &aes));
    assert_eq!(client, "the server takes no pre-shared key here, or none of these cipher suites (handshake_failure)");
    assert!(server.starts_with("the client offers no cipher suite with a pre-shared key that is spoken here"));
}

#[test]
fn after_an_error_nothing_goes_on() {
    let mut pair = Pair::of("eve", b"key of ann");
    let (client, server) = pair.shake_hands(WHOLE);
    assert!(client.is_some() && server.is_some());
    let (mut plain, mut output) = (Vec::new(), Vec::new());
    assert!(pair.server.receive(b"x", &mut plain, &mut output).is_err());
    assert!(pair.server.send(b"x", &mut output).is_err());
    pair.server.close(&mut output);
    assert!(plain.is_empty() && output.is_empty());
}

#[test]
fn nothing_is_sent_before_the_handshake_is_done() {
    let mut pair = Pair::of("ann", b"key of ann");
    let mut output = Vec::new();
    let error = pair.client.send(b"x", &mut output).expect_err("too early");
    assert!(error.is_local() && output.is_empty());
}

#[test]
fn a_secret_of_its_own_is_made_for_each_connection_where_the_client_can() {
    for (ciphers, cipher) in [
        (None, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"),
        (Some("PSK-AES128-CBC-SHA"), "TLS_PSK_WITH_AES_128_CBC_SHA"),
        (Some("PSK-AES128-GCM-SHA256:AES128-SHA"), "TLS_PSK_WITH_AES_128_GCM_SHA256"),
    ] {
        let client = client_of("ann", b"key of ann", ciphers).expect("suites");
        let mut pair = Pair::new(&client, &server_of(None).expect("suites"));
        assert_eq!(pair.shake_hands(WHOLE), (None, None));
        assert_eq!((pair.server.version(), pair.server.cipher()), ("TLSv1.2", cipher));
        assert_eq!(pair.client.cipher(), cipher);
    }
}
