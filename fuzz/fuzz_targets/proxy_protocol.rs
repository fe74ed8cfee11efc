//! Any header of the PROXY protocol, version 1 or 2.
//!
//! The first byte chooses the version and what it must tell, the second one how the others are cut.

#![no_main]

mod cut;

use libfuzzer_sys::fuzz_target;
use sori_net::{ProxyProtocol, Transport};

fuzz_target!(|data: &[u8]| {
    let [choice, piece, wire @ ..] = data else { return };
    let rules = match choice & 1 {
        0 => ProxyProtocol::V1,
        _ => ProxyProtocol::V2 { require_tls: choice & 2 != 0, require_certificate: choice & 4 != 0 },
    };
    let make = || Transport::plain().proxy_protocol(rules);
    cut::feed(make(), make(), wire, *piece);
});
