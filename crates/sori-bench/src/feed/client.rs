//! A client beside a shard: it acknowledges whatever it is sent, and counts.

use sori_broker::ConnectionId;

/// What a client has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// PUBLISH packets.
    pub messages: u64,
    /// Messages of its own whose acknowledgement is complete.
    pub completed: u64,
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) connection: ConnectionId,
    pub(super) tally: Tally,
    /// Bytes of a payload that are in the next piece.
    missing: usize,
    /// What it will say in the next turn.
    answers: Vec<u8>,
    /// What it says now, kept for its memory.
    said: Vec<u8>,
}

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

impl Client {
    pub(super) fn new(connection: ConnectionId) -> Client {
        Client { connection, tally: Tally::default(), missing: 0, answers: Vec::new(), said: Vec::new() }
    }

    /// Packets of the broker; only a payload may be in another piece than what stands before it. They are taken apart by
    /// hand, because this is to cost next to nothing.
    pub(super) fn hear(&mut self, piece: &[u8]) {
        let skipped = self.missing.min(piece.len());
        self.missing -= skipped;
        let mut bytes = &piece[skipped..];
        while let [first, rest @ ..] = bytes {
            let (length, rest) = remaining_length(rest);
            let (body, after) = rest.split_at(length.min(rest.len()));
            self.missing = length - body.len();
            bytes = after;
            match first >> 4 {
                3 => self.hear_publish(*first, body),
                4 | 7 => self.tally.completed += 1,
                5 => self.answer(PUBREL, [body[0], body[1]]),
                6 => self.answer(PUBCOMP, [body[0], body[1]]),
                _ => {}
            }
        }
    }

    fn hear_publish(&mut self, first: u8, body: &[u8]) {
        self.tally.messages += 1;
        let qos = first >> 1 & 3;
        if qos > 0 {
            let at = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            self.answer(if qos == 1 { PUBACK } else { PUBREC }, [body[at], body[at + 1]]);
        }
    }

    fn answer(&mut self, kind: u8, packet_id: [u8; 2]) {
        self.answers.extend_from_slice(&[kind, 2, packet_id[0], packet_id[1]]);
    }

    pub(super) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// What it has to say.
    pub(super) fn say(&mut self) -> &[u8] {
        self.said.clear();
        std::mem::swap(&mut self.said, &mut self.answers);
        &self.said
    }
}

fn remaining_length(bytes: &[u8]) -> (usize, &[u8]) {
    let (mut length, mut at) = (0, 0);
    while bytes[at] >= 0x80 {
        length |= usize::from(bytes[at] & 0x7F) << (7 * at);
        at += 1;
    }
    (length | usize::from(bytes[at]) << (7 * at), &bytes[at + 1..])
}
