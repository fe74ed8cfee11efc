//! Every truncation and every flipped bit of whole files: an error or an import, never a panic.

use super::encoder::Encoder;
use super::{data, import};
use crate::import::{ImportFault, Place};
use std::io::Read;

const FILES: [&str; 3] = ["v3-1.4.15.db", "v5-1.6.10.db", "v6-2.1.2.db"];

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).expect("the file is in the repository")
}

/// Where chunks begin, found by the lengths alone.
fn boundaries(file: &[u8]) -> Vec<usize> {
    let head = if file[22] < 5 { 6 } else { 8 };
    let mut found = vec![23];
    while let Some(length) = file.get(found[found.len() - 1] + head - 4..).and_then(<[u8]>::first_chunk) {
        found.push(found[found.len() - 1] + head + u32::from_be_bytes(*length) as usize);
    }
    found
}

#[test]
fn a_file_that_was_cut_off_is_refused_unless_between_two_chunks() {
    for name in FILES {
        let bytes = bytes(name);
        let boundaries = boundaries(&bytes);
        assert_eq!(boundaries.last(), Some(&bytes.len()));
        for length in 1..bytes.len() {
            match import(&bytes[..length]) {
                Ok(_) => assert!(boundaries.contains(&length), "{name} cut off after {length} bytes was taken"),
                Err(error) => {
                    assert!(!boundaries.contains(&length), "{name} cut off after {length} bytes: {error}");
                    let chunk = boundaries.iter().rev().find(|start| **start < length).map_or(0, |start| *start as u64);
                    let is_there = |place| matches!(place, Place::Byte(place) if (chunk..=chunk + 8).contains(&place));
                    let fault = error.fault();
                    assert!(
                        matches!(fault, ImportFault::Damaged { place, .. } if is_there(*place)),
                        "{length}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_another_value() {
    for name in FILES {
        let mut bytes = bytes(name);
        let mut refused = 0;
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Err(error) = import(&bytes) {
                refused += 1;
                assert!(!matches!(error.fault(), ImportFault::Io(_)), "bit {bit} of {name}: {error}");
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        // The lengths alone are a good part of such small files.
        assert!(refused > bytes.len(), "{refused} of {} flipped bits of {name} were seen", bytes.len() * 8);
    }
}

/// A file that hands out what it has and is asked for more.
struct Measured<'a> {
    bytes: &'a [u8],
    asked_max: usize,
}

impl Read for Measured<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.asked_max = self.asked_max.max(into.len());
        self.bytes.read(into)
    }
}

/// The room that is offered to the file shows what was allocated before its bytes came.
#[test]
fn memory_does_not_follow_a_claimed_length() {
    for version in [3, 6] {
        for kind in [2, 3, 6, 77] {
            let mut encoder = Encoder::new(version);
            encoder.chunk(kind, b"short");
            let at = encoder.bytes.len() - 5;
            encoder.bytes[at - 4..at].copy_from_slice(&u32::MAX.to_be_bytes());
            let mut file = Measured { bytes: &encoder.bytes, asked_max: 0 };
            let error = crate::import::read_mosquitto_db("mosquitto.db".as_ref(), &mut file).expect_err("cut off");
            assert!(error.to_string().contains("the file ends within"), "{error}");
            assert!(file.asked_max <= 1 << 16, "{} bytes at once", file.asked_max);
        }
    }
}
