//! Any answer of a name server to the question for SRV records: no panic, no name without an end, nothing taken for the answer
//! that is not it, and no record that does not stand there.
//!
//! The first byte chooses the form: even for a whole message; odd for one that lacks the number and the question of the client.

#![no_main]

// The parser is private to the client and remains so: its file is compiled in here.
#[path = "../../crates/sori-client/src/srv/message.rs"]
mod message;

use libfuzzer_sys::fuzz_target;
use message::{Answer, Record, answer, question};

const NAME: &str = "_mqtt._tcp.example.org";
/// The end of the owner's name, type, class, TTL and length; priority, weight, port and target. RFC 1035 section 3.2.1, RFC 2782
const RECORD_BYTES_MIN: usize = (1 + 10) + (6 + 1);

fuzz_target!(|data: &[u8]| {
    let wire = match data {
        [form, wire @ ..] if form % 2 == 0 => wire.to_vec(),
        [_, flags_high, flags_low, records @ ..] => with_question([*flags_high, *flags_low], records),
        _ => return,
    };
    let id = wire.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    let Some(found) = answer(&wire, id, NAME) else { return };
    assert_eq!(answer(&wire, !id, NAME), None);
    assert_eq!(answer(&wire, id, "_mqtt._tcp.example.com"), None);
    assert_eq!(answer(&wire, id, &NAME.to_ascii_uppercase()).as_ref(), Some(&found));
    // QR and TC, RFC 1035 section 4.1.1: it is an answer, and whether it is cut.
    assert!(wire[2] & 0x80 != 0);
    assert_eq!(found == Answer::Truncated, wire[2] & 0x02 != 0);
    match found {
        Answer::Records(records) => check(&records, &wire),
        Answer::Failed(why) => assert!(!why.is_empty()),
        Answer::Truncated => {}
    }
});

/// The question that was asked, with these flags, and behind it what begins with the number of records.
fn with_question(flags: [u8; 2], records: &[u8]) -> Vec<u8> {
    let mut wire = question(0x1234, NAME).expect("the name is short");
    wire[2..4].copy_from_slice(&flags);
    let (counts, records) = records.split_at(records.len().min(6));
    wire[6..6 + counts.len()].copy_from_slice(counts);
    wire.extend_from_slice(records);
    wire
}

/// All of them name hosts or the root, and stand in the message one behind the other.
fn check(records: &[Record], wire: &[u8]) {
    let mut from = 0;
    for Record { priority, weight, port, target } in records {
        // RFC 1035 section 2.3.4
        assert!(target.len() <= 253, "{target}");
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_of_host);
        assert!(target.is_empty() || target.split('.').all(is_label), "{target}");
        let numbers = [*priority, *weight, *port].map(u16::to_be_bytes).concat();
        let is_there = |at: &usize| {
            let record = &wire[*at..*at + RECORD_BYTES_MIN];
            record[1..3] == [0, 33] && record[11..17] == numbers && name(wire, *at + 17).as_ref() == Some(target)
        };
        let at = (from..=wire.len() - RECORD_BYTES_MIN).find(is_there);
        from = at.expect("each is in the message") + RECORD_BYTES_MIN;
    }
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The name that stands at this place, wherever its pointers lead. RFC 1035 section 4.1.4
fn name(wire: &[u8], mut at: usize) -> Option<String> {
    let mut labels = Vec::new();
    // Those that come back to where they were have no end.
    for _ in 0..wire.len() {
        let length = usize::from(*wire.get(at)?);
        if length == 0 {
            return String::from_utf8(labels.join(&b'.')).ok();
        }
        if length >= 0xC0 {
            at = (length & 0x3F) << 8 | usize::from(*wire.get(at + 1)?);
        } else {
            labels.push(wire.get(at + 1..)?.get(..length)?);
            at += 1 + length;
        }
    }
    None
}
