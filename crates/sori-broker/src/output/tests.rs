//! The pieces beside a plain buffer: whatever is appended and however it is written, the same bytes come in the same order.

use super::*;
use crate::memory::MemoryUse;
use crate::message::MessageRef;
use crate::random::Random;

fn message(payload: &[u8]) -> Message {
    MessageRef::plain("t", payload).to_shared(&MemoryUse::default())
}

#[test]
fn pieces_are_written_in_their_order_and_forgotten() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut below = |limit: u64| random.next() % limit;
        let (mut output, mut expected, mut next) = (Output::default(), Vec::new(), 0u8);
        for _ in 0..100 {
            let mut bytes = |length: u64| -> Vec<u8> {
                next = next.wrapping_add(7);
                (0..length).map(|at| next.wrapping_add(at as u8)).collect()
            };
            match below(5) {
                0 => {
                    let payload = bytes(below(40));
                    output.push_payload(message(&payload));
                    expected.extend_from_slice(&payload);
                }
                1 | 2 => {
                    let packet = bytes(below(20));
                    output.buffer().extend_from_slice(&packet);
                    expected.extend_from_slice(&packet);
                }
                3 => output.forget_written(below(30) as usize),
                _ => {
                    let count = (below(80) as usize).min(expected.len());
                    output.written(count);
                    expected.drain(..count);
                    if expected.is_empty() {
                        output.take_buffer();
                    }
                }
            }
            assert_eq!(output.pieces().collect::<Vec<_>>().concat(), expected, "seed {seed}");
            assert_eq!(output.len(), expected.len(), "seed {seed}");
            assert!(output.pieces().all(|piece| !piece.is_empty()), "seed {seed}");
        }
        output.written(expected.len());
        assert!(output.shared.is_none(), "seed {seed}: messages are held for nothing");
    }
}
