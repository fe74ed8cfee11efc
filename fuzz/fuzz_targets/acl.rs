//! Any ACL file is read without a panic, and any client is told yes or no; a name that holds a wildcard gets nothing from
//! patterns, whatever the file says.
//!
//! The input is four parts with a zero byte between them: the file, a client identifier, a user name (empty: none), a topic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_server::acl::{Client, Decision, Rules};
use sori_server::explain::Action;
use std::path::Path;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (file, client_id, user_name, topic) = (part(), part(), part(), part());
    let mut remarks = Vec::new();
    let rules = Rules::parse(Path::new("acl"), file, &mut remarks);
    assert_eq!(rules.is_none(), remarks.iter().any(|remark| remark.is_error()));
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let (Some(rules), Some(client_id), Some(user_name), Some(topic)) =
        (rules, text(client_id), text(user_name), text(topic))
    else {
        return;
    };
    let client = Client { client_id, user_name: Some(user_name).filter(|name| !name.is_empty()) };
    for action in [Action::Publish, Action::Receive] {
        let decision = rules.decide(client, action, topic);
        let _ = rules.reason(decision);
        let Decision::Granted(line) = decision else { continue };
        let line = file.split(|byte| *byte == b'\n').nth(line - 1).expect("the line is there");
        if client_id.contains(['+', '#']) || user_name.contains(['+', '#']) {
            assert!(!line.trim_ascii_start().starts_with(b"pattern"), "CVE-2017-7650");
        }
    }
});
