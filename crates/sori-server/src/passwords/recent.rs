//! Passwords that were right a moment ago, so that a thousand devices which come back after a fault of the network need not
//! wait for a thousand slow checks. A password is not kept, but a keyed hash of it, for five minutes, in memory only; the
//! key is made at the start and is nowhere else. Another password of the same user, or the same one hashed anew in the
//! file, is checked in full.

use super::hashed::Hashed;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a password is known.
const MEMORY: Duration = Duration::from_secs(300);
/// Passwords that are known at most.
const ENTRIES_MAX: usize = 65_536;

/// What was right of late.
pub(super) struct Recent {
    /// None: the system has no random numbers, and nothing is remembered.
    key: Option<[u8; 32]>,
    entries: HashMap<[u8; 32], Instant>,
    /// The table was full, and is not looked through again before this moment.
    full_until: Option<Instant>,
}

impl Recent {
    pub(super) fn new() -> Recent {
        let mut key = [0; 32];
        let key = getrandom::fill(&mut key).is_ok().then_some(key);
        Recent { key, entries: HashMap::new(), full_until: None }
    }

    /// Was this password right for this line of the file?
    pub(super) fn knows(&self, hashed: &Hashed, password: &[u8], now: Instant) -> bool {
        let seen = self.mark(hashed, password).and_then(|mark| self.entries.get(&mark));
        seen.is_some_and(|since| now.saturating_duration_since(*since) < MEMORY)
    }

    /// It was.
    pub(super) fn note(&mut self, hashed: &Hashed, password: &[u8], now: Instant) {
        let Some(mark) = self.mark(hashed, password) else { return };
        if self.entries.len() >= ENTRIES_MAX && self.full_until.is_none_or(|until| now >= until) {
            self.entries.retain(|_, since| now.saturating_duration_since(*since) < MEMORY);
            self.full_until = Some(now + MEMORY / 10);
        }
        if self.entries.len() < ENTRIES_MAX {
            self.entries.insert(mark, now);
        }
    }

    fn mark(&self, hashed: &Hashed, password: &[u8]) -> Option<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_ref()?).expect("HMAC takes keys of every length");
        mac.update(&hashed.fingerprint().to_le_bytes());
        mac.update(password);
        Some(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::Scheme;

    #[test]
    fn a_password_is_known_for_five_minutes_and_for_its_line_only() {
        let hashed = || Hashed::of_password(Scheme::Sha512, b"pw").expect("random numbers");
        let (mut recent, line, other, now) = (Recent::new(), hashed(), hashed(), Instant::now());
        assert!(!recent.knows(&line, b"pw", now));
        recent.note(&line, b"pw", now);
        let almost = now + MEMORY - Duration::from_millis(1);
        assert!(recent.knows(&line, b"pw", almost) && !recent.knows(&line, b"pw", now + MEMORY));
        assert!(
            !recent.knows(&line, b"pW", now) && !recent.knows(&line, b"", now) && !recent.knows(&other, b"pw", now)
        );
        // Another broker has another key.
        assert_ne!(Recent::new().mark(&line, b"pw"), recent.mark(&line, b"pw"));
    }

    #[test]
    fn no_more_is_known_than_there_is_room_for() {
        let line = Hashed::of_password(Scheme::Sha512, b"pw").expect("random numbers");
        let (mut recent, now) = (Recent::new(), Instant::now());
        for n in 0..ENTRIES_MAX as u32 {
            recent.note(&line, &n.to_le_bytes(), now);
        }
        recent.note(&line, b"one more", now);
        assert!(!recent.knows(&line, b"one more", now));
        let later = now + MEMORY;
        recent.note(&line, b"one more", later);
        assert!(recent.knows(&line, b"one more", later) && recent.entries.len() == 1);
    }
}
