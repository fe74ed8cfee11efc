//! Any request: no panic, the same head wherever it is cut, and a path that can be a name of a file.
//!
//! The first byte chooses how it is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_net::http::{Collected, HEAD_BYTES_MAX, HeadReader, Request};

fuzz_target!(|data: &[u8]| {
    let Some((piece, wire)) = data.split_first() else { return };
    let whole = collected(wire.chunks(wire.len().max(1)));
    assert_eq!(whole, collected(wire.chunks(usize::from(*piece).max(1))));
    let Some(Ok(request)) = whole.as_deref().map(Request::parse) else { return };
    if let Some(path) = request.path {
        assert!(path.starts_with('/') && !path.contains(char::is_control));
    }
});

fn collected<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut reader = HeadReader::default();
    for piece in pieces {
        match reader.collect(piece) {
            Collected::Partial => {}
            Collected::Complete(_) => {
                assert!(reader.bytes().len() <= HEAD_BYTES_MAX);
                return Some(reader.bytes().to_vec());
            }
            Collected::TooLong => return None,
        }
    }
    None
}
