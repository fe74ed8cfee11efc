//! What a worker knows of the listeners by which its connections came in: which there are, and whom they let in by a key.

use crate::psk::{Keyring, Keys};
use std::collections::HashMap;
use std::sync::Arc;

/// Which listeners connections may belong to, and by which keys they may have come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Their numbers.
    pub(crate) there: Vec<u32>,
    /// Higher numbers belong to listeners that are newer than this list.
    pub(crate) below: u32,
    /// The keys of those whose clients need one.
    pub(crate) keys: HashMap<u32, Arc<Keys>>,
    /// That of the configuration.
    pub(crate) version: u64,
}

impl Numbers {
    /// The listener of this number was there once, and is no more.
    pub(crate) fn is_gone(&self, number: u32) -> bool {
        number < self.below && !self.there.contains(&number)
    }

    /// The identity that came in by the listener of this number, with a key of this ring, has another key now, or none.
    pub(crate) fn has_lost_key(&self, number: u32, identity: &str, ring: &Keyring) -> bool {
        // Keys that are newer than this list are judged by the next one.
        ring.version < self.version
            && self.keys.get(&number).and_then(|keys| keys.find(identity)) != ring.keys.find(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn keys(text: &str) -> Arc<Keys> {
        Arc::new(Keys::parse(Path::new("/etc/psk"), text.as_bytes(), &mut Vec::new()).expect("is good"))
    }

    #[test]
    fn a_key_is_lost_when_newer_keys_have_another_one_or_none() {
        let ring = Keyring { keys: keys("ann:11\n"), version: 3 };
        let is_lost = |version, text: Option<&str>| {
            let keys = text.map(|text| (7, keys(text))).into_iter().collect();
            let numbers = Numbers { there: vec![7], below: 8, keys, version };
            numbers.has_lost_key(7, "ann", &ring)
        };
        for (version, text, expected) in [
            (4, Some("bob:22\nann:11\n"), false),
            (4, Some("ann:12\n"), true),
            (4, Some("bob:11\n"), true),
            (4, None, true),
            // It came in after the newest keys that this list knows.
            (3, Some("bob:11\n"), false),
            (2, None, false),
        ] {
            assert_eq!(is_lost(version, text), expected, "{version} {text:?}");
        }
    }
}
