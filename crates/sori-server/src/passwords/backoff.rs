//! Who guesses passwords has to wait, longer and longer, and who knows one does not.
//!
//! Failed logins are counted by user and by address. After a few of them nothing is checked for a while: one second, then
//! two, up to a minute; who asks meanwhile gets the same answer as for a wrong password, at no cost. A user from an
//! address from which it has logged in before is counted apart from both, so that nobody is kept out by what others do:
//! not a user by guesses from elsewhere, nor the devices of a house by one of them that has an old password. Addresses of
//! this machine are not counted: they are a proxy's as often as not.
//!
//! What was counted is forgotten ten minutes after the last failure. The tables are bounded; what does not fit is not
//! counted, and that is counted.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Failures that have no consequence, of a user or of a user at an address it is known at.
const USER_FAILURES_FREE: u32 = 5;
/// The same for an address, behind which there may be many.
const ADDRESS_FAILURES_FREE: u32 = 20;
/// The first wait, which doubles with each further failure.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// When what was counted is forgotten.
const MEMORY: Duration = Duration::from_secs(600);
/// Entries of each table.
const ENTRIES_MAX: usize = 16_384;

/// The failed logins of late.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    users: Table<Box<str>>,
    addresses: Table<IpAddr>,
    /// Users at addresses from which they have logged in.
    known: Table<(Option<IpAddr>, Box<str>)>,
    failures: u64,
    refused: u64,
    uncounted: u64,
}

/// Somebody has to wait from now on.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wait {
    pub(crate) failures: u32,
    pub(crate) wait: Duration,
    /// It is the address that has to wait, whoever the user.
    pub(crate) is_address: bool,
}

/// How often what has happened, for operators.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// Passwords that were wrong.
    pub(crate) failures: u64,
    /// Logins that were refused unchecked.
    pub(crate) refused: u64,
    /// Failures for which the tables had no room.
    pub(crate) uncounted: u64,
}

impl Backoff {
    /// Must this login wait? Then it is to be refused without a check.
    pub(crate) fn must_wait(&mut self, address: Option<IpAddr>, user: &str, now: Instant) -> bool {
        let key = (address.map(network), Box::from(user));
        let must_wait = match self.known.find(&key, now) {
            Some(entry) => entry.is_waiting(now),
            None => {
                let of_user = self.users.find(&key.1, now).is_some_and(|entry| entry.is_waiting(now));
                let of_address = counted(address).and_then(|address| self.addresses.find(&address, now));
                of_user || of_address.is_some_and(|entry| entry.is_waiting(now))
            }
        };
        self.refused += u64::from(must_wait);
        must_wait
    }

    /// A password was wrong. Gives who has to wait because of that.
    pub(crate) fn failed(&mut self, address: Option<IpAddr>, user: &str, now: Instant) -> Option<Wait> {
        self.failures += 1;
        let key = (address.map(network), Box::from(user));
        if self.known.find(&key, now).is_some() {
            return self.known.count(key, now).and_then(|entry| entry.wait(USER_FAILURES_FREE, now, false));
        }
        let of_user = self.users.count(key.1, now);
        self.uncounted += u64::from(of_user.is_none());
        let of_user = of_user.and_then(|entry| entry.wait(USER_FAILURES_FREE, now, false));
        let of_address = counted(address).map(|address| self.addresses.count(address, now));
        self.uncounted += u64::from(of_address.as_ref().is_some_and(Option::is_none));
        let of_address = of_address.flatten().and_then(|entry| entry.wait(ADDRESS_FAILURES_FREE, now, true));
        of_user.or(of_address)
    }

    /// A password was right: this user is known at this address.
    pub(crate) fn succeeded(&mut self, address: Option<IpAddr>, user: &str, now: Instant) {
        let key = (address.map(network), Box::from(user));
        let entry = Entry { failures: 0, since: now, until: now };
        self.known.insert(key, entry, now);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { failures: self.failures, refused: self.refused, uncounted: self.uncounted }
    }
}

/// Who counts as one: an IPv4 address, or the 2^64 addresses that one subscriber of an IPv6 network has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

/// The address, if failures are counted for it.
fn counted(address: Option<IpAddr>) -> Option<IpAddr> {
    address.filter(|address| !address.to_canonical().is_loopback()).map(network)
}

#[derive(Debug)]
struct Entry {
    failures: u32,
    /// The last failure, or the login.
    since: Instant,
    /// Nothing is checked before.
    until: Instant,
}

impl Entry {
    fn is_waiting(&self, now: Instant) -> bool {
        now < self.until
    }

    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= MEMORY
    }

    /// The wait that begins now, if one does.
    fn wait(&mut self, free: u32, now: Instant, is_address: bool) -> Option<Wait> {
        let doublings = self.failures.checked_sub(free)?;
        let wait = WAIT_FIRST.saturating_mul(1 << doublings.min(16)).min(WAIT_MAX);
        self.until = now + wait;
        Some(Wait { failures: self.failures, wait, is_address })
    }
}

#[derive(Debug)]
struct Table<K> {
    entries: HashMap<K, Entry>,
    /// The table was full, and is not looked through again before this moment.
    full_until: Option<Instant>,
}

impl<K> Default for Table<K> {
    fn default() -> Table<K> {
        Table { entries: HashMap::new(), full_until: None }
    }
}

impl<K: Hash + Eq> Table<K> {
    fn find(&mut self, key: &K, now: Instant) -> Option<&mut Entry> {
        self.entries.get_mut(key).filter(|entry| !entry.is_old(now))
    }

    /// One failure more; `None` when there is no room.
    fn count(&mut self, key: K, now: Instant) -> Option<&mut Entry> {
        self.make_room(&key, now)?;
        let entry = self.entries.entry(key).or_insert(Entry { failures: 0, since: now, until: now });
        if entry.is_old(now) {
            entry.failures = 0;
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.since = now;
        Some(entry)
    }

    fn insert(&mut self, key: K, new: Entry, now: Instant) {
        if self.make_room(&key, now).is_none() {
            return;
        }
        match self.entries.get_mut(&key) {
            // Failures are not forgotten by a login: another client may guess from behind the same address.
            Some(entry) if !entry.is_old(now) => entry.since = now,
            _ => {
                self.entries.insert(key, new);
            }
        }
    }

    /// When the table is full, what is old goes; to look for that takes time, and is not done for each login of a flood.
    fn make_room(&mut self, key: &K, now: Instant) -> Option<()> {
        if self.entries.len() < ENTRIES_MAX || self.entries.contains_key(key) {
            return Some(());
        }
        if self.full_until.is_some_and(|until| now < until) {
            return None;
        }
        self.entries.retain(|_, entry| !entry.is_old(now));
        if self.entries.len() < ENTRIES_MAX {
            return Some(());
        }
        self.full_until = Some(now + WAIT_FIRST);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    /// So many failures of a user; the waits that they begin, in seconds.
    fn fail(backoff: &mut Backoff, from: Option<IpAddr>, user: &str, times: usize, now: Instant) -> Vec<u64> {
        (0..times).map(|_| backoff.failed(from, user, now).map_or(0, |wait| wait.wait.as_secs())).collect()
    }

    #[test]
    fn a_user_waits_longer_with_each_failure_and_is_forgiven_in_the_end() {
        let (mut backoff, now, from) = (Backoff::default(), Instant::now(), address("127.0.0.1"));
        assert_eq!(fail(&mut backoff, from, "ann", 12, now), [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(backoff.must_wait(from, "ann", now + 59 * SECOND));
        assert!(!backoff.must_wait(from, "ann", now + 60 * SECOND));
        assert!(!backoff.must_wait(from, "bob", now), "others need not wait");
        assert_eq!(fail(&mut backoff, from, "ann", 1, now + 60 * SECOND), [60]);
        assert_eq!(fail(&mut backoff, from, "ann", 1, now + 700 * SECOND), [0], "ten minutes later it is forgotten");
        assert_eq!(backoff.counts(), Counts { failures: 14, refused: 1, uncounted: 0 });
    }

    #[test]
    fn an_address_waits_whoever_the_user_is() {
        let (mut backoff, now, from) = (Backoff::default(), Instant::now(), address("192.0.2.1"));
        let waits: Vec<_> = (0..21).map(|n| backoff.failed(from, &format!("user{n}"), now)).collect();
        assert!(waits[..19].iter().all(Option::is_none));
        let first = Some(Wait { failures: 20, wait: SECOND, is_address: true });
        assert_eq!((waits[19], waits[20].map(|wait| wait.wait)), (first, Some(2 * SECOND)));
        assert!(backoff.must_wait(from, "new", now) && !backoff.must_wait(address("192.0.2.2"), "new", now));
        // One IPv6 network is one address, and an IPv4 address in IPv6 notation is itself.
        assert!(backoff.must_wait(address("::ffff:192.0.2.1"), "new", now));
        for n in 0..20 {
            backoff.failed(address(&format!("2001:db8::{n:x}")), &format!("v6 {n}"), now);
        }
        assert!(backoff.must_wait(address("2001:db8::ffff"), "new", now));
        assert!(!backoff.must_wait(address("2001:db8:0:1::1"), "new", now));
    }

    #[test]
    fn a_known_user_is_not_kept_out_by_others() {
        let (mut backoff, now, home, away) =
            (Backoff::default(), Instant::now(), address("192.0.2.1"), address("192.0.2.9"));
        backoff.succeeded(home, "ann", now);
        // Somebody else guesses, at home and elsewhere.
        fail(&mut backoff, away, "ann", 30, now);
        fail(&mut backoff, home, "bob", 30, now);
        assert!(!backoff.must_wait(home, "ann", now));
        assert!(backoff.must_wait(away, "ann", now) && backoff.must_wait(home, "carol", now));
        // But who guesses from her own address waits, too, and her logins in between do not help.
        assert_eq!(fail(&mut backoff, home, "ann", 4, now), [0; 4]);
        backoff.succeeded(home, "ann", now);
        assert_eq!(fail(&mut backoff, home, "ann", 2, now), [1, 2]);
        assert!(backoff.must_wait(home, "ann", now));
    }

    #[test]
    fn this_machine_and_its_sockets_are_no_address() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        for from in [None, address("127.0.0.1"), address("::1")] {
            for n in 0..100 {
                assert_eq!(backoff.failed(from, &format!("{from:?} {n}"), now), None);
            }
            assert!(!backoff.must_wait(from, "new", now));
        }
    }

    #[test]
    fn full_tables_count_no_more_and_make_room_when_time_has_passed() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        for n in 0..ENTRIES_MAX {
            backoff.failed(None, &n.to_string(), now);
        }
        assert_eq!(fail(&mut backoff, None, "one more", 9, now), [0; 9]);
        assert_eq!(backoff.counts().uncounted, 9);
        assert_eq!(fail(&mut backoff, None, "0", 4, now), [0, 0, 0, 1], "those that are there are still counted");
        backoff.succeeded(None, "ann", now);
        let later = now + MEMORY + SECOND;
        assert_eq!(fail(&mut backoff, None, "one more", 5, later), [0, 0, 0, 0, 1]);
        assert!(backoff.users.entries.len() < 10);
    }
}
