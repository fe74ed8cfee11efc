//! Any two messages of a client that authenticates with SCRAM: no panic, and nobody comes in without the password.
//!
//! The messages have a zero byte between them. A byte 1 in the second one stands for the nonce in the broker's answer, which no fuzzer could
//! guess.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sori_broker::{Access, ConnectionId, Login, OpenAccess, ShardId, Step};
use sori_mqtt::Version;
use sori_server::scram::{Credential, Credentials, METHOD, ScramAccess};

static ACCESS: LazyLock<ScramAccess> = LazyLock::new(|| {
    let mut credentials = Credentials::new(1).expect("the system has random numbers");
    credentials.insert("user", Credential::of_password("pencil", [7; 16], 1));
    ScramAccess::new(Arc::new(credentials), Arc::new(OpenAccess))
});

fuzz_target!(|data: &[u8]| {
    let mut messages = data.splitn(2, |byte| *byte == 0);
    let (first, last) = (messages.next().unwrap_or_default(), messages.next().unwrap_or_default());
    let login = Login {
        client_id: "c",
        user_name: None,
        password: None,
        is_proven: false,
        allow_anonymous: false,
        version: Version::V5,
        address: "",
        place: 0,
        answer_to: (ShardId(0), ConnectionId::NONE),
    };
    let mut exchange = ACCESS.exchange(METHOD, &login).expect("the method is known");
    let Step::Continue(answer) = exchange.step(Some(first)) else { return };
    let answer = String::from_utf8(answer).expect("text");
    let nonce = answer.strip_prefix("r=").and_then(|rest| rest.split(',').next()).expect("a nonce");
    let mut whole = Vec::new();
    for byte in last {
        if *byte == 1 { whole.extend_from_slice(nonce.as_bytes()) } else { whole.push(*byte) }
    }
    assert!(matches!(exchange.step(Some(&whole)), Step::Refuse(_)));
    assert!(matches!(exchange.step(Some(&whole)), Step::Refuse(_)));
});
