//! How many connections there are, in all, by listener and by address, and whether one more may come in.

use crate::config::Config;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From how many addresses on those that were quiet for a second are forgotten.
const RATES_MAX: usize = 65_536;

/// Why a connection is not let in.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Refusal {
    TooMany,
    TooFast,
}

/// The count of open connections.
#[derive(Debug)]
pub(crate) struct Places {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limits: Limits,
    total: usize,
    by_listener: HashMap<u32, usize>,
    by_address: HashMap<IpAddr, usize>,
    rates: HashMap<IpAddr, Rate>,
}

/// The limits that a configuration sets. `None` is no limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    total: Option<usize>,
    by_listener: HashMap<u32, NonZeroU32>,
    by_address: Option<usize>,
    rate_by_address: Option<u32>,
}

#[derive(Copy, Clone, Debug)]
struct Rate {
    since: Instant,
    count: u32,
}

impl Limits {
    /// Those of a configuration; what its listeners set is told by their numbers.
    pub(crate) fn of(config: &Config, by_listener: HashMap<u32, NonZeroU32>) -> Limits {
        Limits {
            total: config.global_max_connections.map(count),
            by_listener,
            by_address: config.max_connections_per_address.map(count),
            rate_by_address: config.connection_rate_per_address.map(NonZeroU32::get),
        }
    }
}

fn count(limit: NonZeroU32) -> usize {
    limit.get() as usize
}

impl Places {
    pub(crate) fn new(limits: Limits) -> Places {
        Places { state: Mutex::new(State { limits, ..State::default() }) }
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        self.with(|state| state.limits = limits);
    }

    /// May a connection from this address come in now? If so it has a place until [`Places::leave`].
    pub(crate) fn enter(&self, listener: u32, address: Option<IpAddr>, now: Instant) -> Result<(), Refusal> {
        self.with(|state| state.enter(listener, address.map(network), now))
    }

    pub(crate) fn leave(&self, listener: u32, address: Option<IpAddr>) {
        self.with(|state| state.leave(listener, address.map(network)));
    }
}

/// Who counts as one: an IPv4 address, or the 2^64 addresses that one subscriber of an IPv6 network has.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

impl State {
    fn enter(&mut self, listener: u32, address: Option<IpAddr>, now: Instant) -> Result<(), Refusal> {
        let is_full = |limit: Option<usize>, count: usize| limit.is_some_and(|limit| count >= limit);
        let listener_limit = self.limits.by_listener.get(&listener).copied().map(count);
        let of_listener = self.by_listener.get(&listener).copied().unwrap_or(0);
        let of_address = address.and_then(|a| self.by_address.get(&a)).copied().unwrap_or(0);
        if is_full(self.limits.total, self.total)
            || is_full(listener_limit, of_listener)
            || (address.is_some() && is_full(self.limits.by_address, of_address))
        {
            return Err(Refusal::TooMany);
        }
        if let (Some(rate), Some(address)) = (self.limits.rate_by_address, address)
            && !self.is_within_rate(address, rate, now)
        {
            return Err(Refusal::TooFast);
        }
        self.total += 1;
        *self.by_listener.entry(listener).or_default() += 1;
        if let Some(address) = address {
            *self.by_address.entry(address).or_default() += 1;
        }
        Ok(())
    }

    fn is_within_rate(&mut self, address: IpAddr, per_second: u32, now: Instant) -> bool {
        let second = Duration::from_secs(1);
        if self.rates.len() >= RATES_MAX {
            self.rates.retain(|_, rate| now.duration_since(rate.since) < second);
        }
        let rate = self.rates.entry(address).or_insert(Rate { since: now, count: 0 });
        if now.duration_since(rate.since) >= second {
            *rate = Rate { since: now, count: 0 };
        }
        rate.count = rate.count.saturating_add(1);
        rate.count <= per_second
    }

    fn leave(&mut self, listener: u32, address: Option<IpAddr>) {
        self.total -= 1;
        take_one(&mut self.by_listener, listener);
        if let Some(address) = address {
            take_one(&mut self.by_address, address);
        }
    }
}

/// One less; what is none is forgotten.
fn take_one<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn a_full_listener_lets_in_again_when_one_leaves() {
        let places = Places::new(Limits { by_listener: HashMap::from([(0, NonZeroU32::MIN)]), ..Limits::default() });
        let now = Instant::now();
        assert_eq!(places.enter(0, HERE, now), Ok(()));
        assert_eq!(places.enter(0, HERE, now), Err(Refusal::TooMany));
        assert_eq!(places.enter(1, HERE, now), Ok(()));
        places.leave(0, HERE);
        assert_eq!(places.enter(0, HERE, now), Ok(()));
    }

    #[test]
    fn addresses_are_counted_apart_and_forgotten() {
        let places = Places::new(Limits { by_address: Some(1), ..Limits::default() });
        let (now, there) = (Instant::now(), Some("127.0.0.2".parse().expect("an address")));
        assert_eq!(places.enter(0, HERE, now), Ok(()));
        assert_eq!(places.enter(0, HERE, now), Err(Refusal::TooMany));
        assert_eq!(places.enter(0, there, now), Ok(()));
        assert_eq!(places.enter(0, None, now), Ok(()), "a Unix socket has no address");
        places.leave(0, HERE);
        assert_eq!(places.with(|state| state.by_address.len()), 1);
    }

    #[test]
    fn one_ipv6_network_counts_as_one() {
        let places = Places::new(Limits { by_address: Some(1), ..Limits::default() });
        let from = |text: &str| Some(text.parse().expect("an address"));
        let now = Instant::now();
        assert_eq!(places.enter(0, from("2001:db8:0:1::1"), now), Ok(()));
        assert_eq!(places.enter(0, from("2001:db8:0:1:ffff::2"), now), Err(Refusal::TooMany));
        assert_eq!(places.enter(0, from("2001:db8:0:2::1"), now), Ok(()));
    }

    #[test]
    fn a_rate_begins_anew_each_second() {
        let places = Places::new(Limits { rate_by_address: Some(2), ..Limits::default() });
        let now = Instant::now();
        let got: Vec<_> = (0..3).map(|_| places.enter(0, HERE, now).is_ok()).collect();
        assert_eq!(got, [true, true, false]);
        assert_eq!(places.enter(0, HERE, now + Duration::from_secs(1)), Ok(()));
    }
}
