//! Where the bytes of messages lie: those of many small messages in one piece of memory, so that a message costs no allocation
//! of its own.

use std::sync::{Arc, OnceLock};

/// So many bytes share a piece of memory at most, unless one message alone has more: whoever keeps a single message for long
/// keeps no more than this beside it.
const BLOCK_BYTES: usize = 4 * 1024;

/// A piece of memory, which is there as soon as it is [sealed](Blocks::seal).
type Block = Arc<OnceLock<Vec<u8>>>;

/// The block that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    block: Block,
    bytes: Vec<u8>,
}

/// Bytes in a block, which lives as long as any of them.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    block: Block,
    // Nothing is longer than a packet, and a block not longer than that and what was in it before.
    begin: u32,
    length: u32,
}

impl Blocks {
    /// Puts the parts of a message behind each other. They can be read when the block is sealed.
    pub(crate) fn put(&mut self, parts: [&[u8]; 3]) -> Place {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.bytes.len() + length > BLOCK_BYTES {
            self.seal();
        }
        let begin = self.bytes.len();
        self.bytes.reserve(length);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        let number = |value| u32::try_from(value).unwrap_or_default();
        Place { block: Arc::clone(&self.block), begin: number(begin), length: number(length) }
    }

    /// What was put can be read from now on; what comes next lies elsewhere.
    pub(crate) fn seal(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = if self.bytes.len() > BLOCK_BYTES {
            std::mem::take(&mut self.bytes)
        } else {
            // Exactly as much memory as it takes, and the place to put messages together stays.
            let exact = self.bytes.clone();
            self.bytes.clear();
            exact
        };
        // It is sealed once: the next block takes its place here.
        let _ = std::mem::take(&mut self.block).set(bytes);
    }
}

impl Place {
    pub(crate) fn bytes(&self) -> &[u8] {
        debug_assert!(self.length == 0 || self.block.get().is_some(), "a driver seals before anybody can read");
        let block = self.block.get().map(Vec::as_slice).unwrap_or_default();
        block.get(self.begin as usize..(self.begin + self.length) as usize).unwrap_or_default()
    }

    pub(crate) const fn len(&self) -> usize {
        self.length as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_share_a_block_and_a_large_one_has_its_own() {
        let mut blocks = Blocks::default();
        let sizes = [0, 1, 100, 4_000, 200, 1_000_000, 7, 4_096, 4_097];
        let places: Vec<Place> = sizes.iter().map(|size| blocks.put([b"topic", &vec![7; *size], b"end"])).collect();
        blocks.seal();
        for (place, size) in places.iter().zip(sizes) {
            assert_eq!(place.bytes(), [b"topic".as_slice(), &vec![7; size], b"end"].concat());
            // What a message keeps in memory beside itself has a bound.
            let block = place.block.get().expect("is sealed");
            assert!(block.len() <= BLOCK_BYTES.max(place.len()), "{} of {}", place.len(), block.len());
        }
        let shares = |one: usize, other: usize| Arc::ptr_eq(&places[one].block, &places[other].block);
        assert!(shares(0, 1) && shares(1, 2) && !shares(2, 3) && !shares(3, 4) && !shares(4, 5) && !shares(5, 6));
    }

    #[test]
    fn nothing_takes_no_block() {
        let mut blocks = Blocks::default();
        let nothing = blocks.put([b"", b"", b""]);
        blocks.seal();
        assert_eq!(nothing.bytes(), b"");
    }
}
