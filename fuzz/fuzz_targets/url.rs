//! Any URL of a server or of a proxy: no panic, an error that keeps the password for itself, and no two ways to read it.
//!
//! The first byte chooses which of the two it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_client::Options;

fuzz_target!(|data: &[u8]| {
    let Some((choice, url)) = data.split_first() else { return };
    let Ok(url) = std::str::from_utf8(url) else { return };
    if choice % 2 == 1 {
        if let Err(error) = Options::tcp("localhost", 1883).proxy(url) {
            assert!(!error.to_string().is_empty());
        }
        return;
    }
    match Options::new(url) {
        Ok(options) => assert!(!options.server().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
