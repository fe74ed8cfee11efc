//! Any answers of a proxy: HTTP CONNECT and SOCKS5.
//!
//! The first byte chooses the proxy and whether it gets credentials, the second one how the others are cut.

#![no_main]

mod cut;

use libfuzzer_sys::fuzz_target;
use sori_net::proxy::Credentials;
use sori_net::{Proxy, Transport};

fuzz_target!(|data: &[u8]| {
    let [choice, piece, wire @ ..] = data else { return };
    let credentials = (choice & 2 != 0).then(|| Credentials { user_name: "user".into(), password: "password".into() });
    let proxy = if choice & 1 == 0 { Proxy::Http { credentials } } else { Proxy::Socks5 { credentials } };
    let make = || Transport::plain().through(&proxy, "broker.example", 1883).expect("legal");
    cut::feed(make(), make(), wire, *piece);
});
