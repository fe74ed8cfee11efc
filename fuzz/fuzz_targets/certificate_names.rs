//! Whatever stands in the place of a certificate, its names are read without a panic, and the text of a subject is one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_net::tls::names_of;

fuzz_target!(|data: &[u8]| {
    let Some(names) = names_of(data) else { return };
    assert!(names.common_name.is_none_or(|name| !name.contains('\0')));
    // RFC 2253 section 2.4: what cannot stand there as it is gets a backslash.
    assert!(names.subject.expect("a certificate has one").chars().all(|c| !c.is_ascii_control()));
});
