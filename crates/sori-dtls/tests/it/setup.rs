//! Rules of a server and a client that cannot be kept, and those that are not seen from outside.

use crate::pair::{KNOWN, Pair, WHOLE, client_of, server_of};
use sori_dtls::{KeyLog, PskClient, PskClientOptions, PskServer, PskServerOptions};
use std::sync::{Arc, Mutex};

#[test]
fn a_list_of_ciphers_without_a_key_is_refused() {
    for list in ["ECDHE-RSA-AES256-GCM-SHA384", "aNULL", "PSK-NULL-SHA256", "RSA-PSK-AES256-CBC-SHA", "x", "", "a\0b"] {
        let error = server_of(Some(list)).expect_err(list);
        assert!(error.is_local() && error.to_string().contains("none of them has a pre-shared key"), "{error}");
        assert!(client_of("ann", b"k", Some(list)).is_err(), "{list}");
    }
    for list in ["ALL", "HIGH:@STRENGTH", "ALL:eNULL:@SECLEVEL=0", "PSK-AES128-CCM8:@SECLEVEL=0"] {
        server_of(Some(list)).expect(list);
    }
}

/// Without the suites being left out that need no key, this client would be let in by an anonymous Diffie-Hellman exchange.
#[test]
fn whatever_the_lists_say_nobody_comes_in_without_a_key() {
    let everything = Some("ALL:COMPLEMENTOFALL:@SECLEVEL=0");
    let client = client_of("eve", b"another key", everything).expect("suites");
    let mut pair = Pair::new(&client, &server_of(everything).expect("suites"));
    let (_, server) = pair.shake_hands(WHOLE);
    assert_eq!(server.expect("is refused").to_string(), "there is no key for the identity \"eve\"");
}

#[test]
fn identities_keys_hints_and_names_have_their_bounds() {
    let long = "i".repeat(257);
    for (identity, key) in [("", &b"k"[..]), (&long, b"k"), ("a\0", b"k"), ("a", b""), ("a", &[1; 513])] {
        assert!(client_of(identity, key, None).is_err(), "{} {}", identity.len(), key.len());
    }
    client_of(&long[..256], &[1; 512], None).expect("the longest");
    for hint in [&long, "a\0b"] {
        let options = PskServerOptions { hint, keys: Arc::new(KNOWN), ciphers: None, key_log: None };
        let error = PskServer::new(options).expect_err("no hint");
        assert_eq!(error.to_string(), "a hint has at most 256 bytes, and none of them is 0");
    }
    let client = client_of("ann", b"key of ann", None).expect("good options");
    assert!(client.connect(Some("a\0b")).is_err() && client.connect(Some(&long)).is_err());
    let alpn = &[Vec::new()];
    assert!(
        PskClient::new(PskClientOptions { identity: "a", key: b"k", alpn, ..PskClientOptions::default() }).is_err()
    );
}

#[test]
fn the_longest_identity_comes_in() {
    struct Anybody;
    impl sori_dtls::Keys for Anybody {
        fn key(&self, _: &[u8]) -> Option<&[u8]> {
            Some(b"one key")
        }
    }
    let long = "i".repeat(256);
    let options = PskServerOptions { hint: &long, keys: Arc::new(Anybody), ciphers: None, key_log: None };
    let server = PskServer::new(options).expect("good options");
    let mut pair = Pair::new(&client_of(&long, b"one key", None).expect("good options"), &server);
    assert_eq!(pair.shake_hands(WHOLE), (None, None));
    assert_eq!(pair.server.identity(), Some(&long[..]));
}

#[test]
fn secrets_are_logged_where_that_is_wanted_and_no_key_is() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&lines);
    let key_log = KeyLog(Arc::new(move |line: &str| noted.lock().expect("nobody panics").push(line.to_owned())));
    let options = PskServerOptions { hint: "", keys: Arc::new(KNOWN), ciphers: None, key_log: Some(key_log) };
    let server = PskServer::new(options).expect("good options");
    let mut pair = Pair::new(&client_of("ann", b"key of ann", None).expect("good options"), &server);
    assert_eq!(pair.shake_hands(WHOLE), (None, None));
    let lines = lines.lock().expect("nobody panics");
    assert!(lines.len() == 1 && lines[0].starts_with("CLIENT_RANDOM "), "{lines:?}");
    let shown = format!("{server:?} {:?} {:?}", pair.server, pair.client);
    assert!(!shown.contains("key of ann"), "{shown}");
}
