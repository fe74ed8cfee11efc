//! Any password file is read without a panic; what is read is what stands there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_server::passwords::{Hashed, Users};
use std::path::Path;

fuzz_target!(|input: &[u8]| {
    let mut remarks = Vec::new();
    let users = Users::parse(Path::new("users"), input, &mut remarks);
    assert_eq!(users.is_none(), remarks.iter().any(|remark| remark.is_error()));
    for user in users.iter().flat_map(Users::entries) {
        // Nothing is computed here: that takes its time on purpose.
        let written = user.hashed.to_string();
        assert_eq!(Hashed::parse(&written).as_ref(), Ok(&user.hashed));
        assert_eq!(users.as_ref().and_then(|users| users.find(&user.name)), Some(user));
    }
});
