//! Any file with keys of TLS-PSK is read without a panic, and each identity has the first key that stands there for it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_server::psk::Keys;
use std::collections::HashSet;
use std::path::Path;

fuzz_target!(|input: &[u8]| {
    let mut remarks = Vec::new();
    let keys = Keys::parse(Path::new("keys"), input, &mut remarks);
    assert_eq!(keys.is_none(), remarks.iter().any(|remark| remark.is_error()));
    let Some(keys) = keys else { return };
    let mut identities = HashSet::new();
    for (at, line) in input.split(|byte| *byte == b'\n').enumerate() {
        if line.starts_with(b"#") {
            continue;
        }
        let line = std::str::from_utf8(line).expect("a good line is UTF-8");
        let Some((identity, key)) = line.split_once(':') else { continue };
        if identities.insert(identity.trim()) {
            assert_eq!(keys.line(identity.trim()), Some(at + 1));
            let found: String =
                keys.find(identity.trim()).into_iter().flatten().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, key.trim().to_ascii_lowercase());
        }
    }
    assert_eq!(keys.len(), identities.len());
});
