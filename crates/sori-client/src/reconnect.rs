//! When to connect again: exponential, with full jitter, and by cause.

use std::time::Duration;

use sori_mqtt::ReasonCode;

use crate::error::{Error, is_passing};

/// When to connect again after a loss.
///
/// The wait is a random part of a span (so that a thousand clients do not come back at once) that doubles with each
/// attempt, from [`min`](Self::min) to [`max`](Self::max). A connection that has lasted
/// [long enough](Self::stable_after) begins from the shortest span again. What time alone will not mend (a wrong password)
/// begins with the longest one; what a new connection would make worse (another client has this client identifier) ends
/// the client.
#[derive(Debug, Clone)]
pub struct Reconnect {
    min: Duration,
    max: Duration,
    stable: Duration,
    attempts_max: u32,
}

impl Default for Reconnect {
    /// 1 second to 60 seconds, anew after 10 seconds of connection, for ever.
    fn default() -> Self {
        Self {
            min: Duration::from_secs(1),
            max: Duration::from_secs(60),
            stable: Duration::from_secs(10),
            attempts_max: u32::MAX,
        }
    }
}

impl Reconnect {
    /// A lost connection is the end.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts_max: 0, ..Self::default() }
    }

    /// The first span to wait in.
    #[must_use]
    pub fn min(mut self, min: Duration) -> Self {
        self.min = min;
        self
    }

    /// The longest span to wait in.
    #[must_use]
    pub fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// How long a connection must last to count as a good one.
    #[must_use]
    pub fn stable_after(mut self, stable: Duration) -> Self {
        self.stable = stable;
        self
    }

    /// How many attempts to make in a row before giving up.
    #[must_use]
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = attempts;
        self
    }
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It may be over any moment.
    Passing,
    /// Somebody has to change something, perhaps at the server.
    Lasting,
    /// A new connection would not help, or would do harm.
    Final,
}

impl Cause {
    fn of(error: &Error) -> Self {
        match error {
            Error::Refused(_, farewell) | Error::Disconnected(farewell) => match farewell.reason_code {
                // Two clients with one identifier would throw each other out for ever.
                ReasonCode::SessionTakenOver | ReasonCode::UseAnotherServer | ReasonCode::ServerMoved => Self::Final,
                reason_code if is_passing(reason_code) => Self::Passing,
                _ => Self::Lasting,
            },
            error if error.is_retryable() => Self::Passing,
            Error::Options(_) => Self::Final,
            _ => Self::Lasting,
        }
    }
}

/// How far the waiting has grown.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: Reconnect,
    attempts: u32,
    random: Random,
}

impl Backoff {
    pub(crate) fn new(policy: Reconnect, random: Random) -> Self {
        Self { policy, attempts: 0, random }
    }

    /// Attempts in a row that have failed.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// A connection has ended after this time.
    pub(crate) fn connection_lasted(&mut self, time: Duration) {
        if time >= self.policy.stable {
            self.attempts = 0;
        }
    }

    /// How long to wait after this failure; none if there is to be no further attempt.
    pub(crate) fn next(&mut self, error: &Error) -> Option<Duration> {
        let cause = Cause::of(error);
        if cause == Cause::Final || self.attempts >= self.policy.attempts_max {
            return None;
        }
        let doubled = 1_u32.checked_shl(self.attempts).and_then(|factor| self.policy.min.checked_mul(factor));
        self.attempts = self.attempts.saturating_add(1);
        let span = match (cause, doubled) {
            (Cause::Passing, Some(doubled)) => doubled.min(self.policy.max),
            _ => self.policy.max,
        };
        Some(span.mul_f64(self.random.part()))
    }
}

/// Chance from a seed (SplitMix64): the same numbers for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, below 1.
    fn part(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let number = (self.next() >> 11) as f64;
        number / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sori_mqtt::client_session::Farewell;
    use std::io;
    use std::sync::Arc;

    fn lost() -> Error {
        Error::Lost(Some(Arc::new(io::Error::from(io::ErrorKind::ConnectionReset))))
    }

    fn refused(reason_code: ReasonCode) -> Error {
        Error::Refused("here".into(), Farewell { reason_code, reason_string: None, server_reference: None })
    }

    /// The longest of many waits, attempt by attempt, in milliseconds.
    fn spans(error: &Error, attempts: usize) -> Vec<u128> {
        let mut longest = vec![0; attempts];
        for seed in 0..400 {
            let mut backoff = Backoff::new(Reconnect::default(), Random::new(seed));
            for longest in &mut longest {
                let wait = backoff.next(error).expect("another attempt");
                *longest = wait.as_millis().max(*longest);
            }
        }
        longest
    }

    #[test]
    fn a_lost_network_is_waited_for_in_doubling_spans_with_full_jitter() {
        let spans = spans(&lost(), 9);
        for (span, full) in spans.iter().zip([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]) {
            assert!((full * 9 / 10..full).contains(span), "{spans:?}");
        }
        let mut shortest = Duration::MAX;
        for seed in 0..400 {
            let mut backoff = Backoff::new(Reconnect::default(), Random::new(seed));
            shortest = backoff.next(&lost()).expect("another attempt").min(shortest);
        }
        assert!(shortest < Duration::from_millis(20), "full jitter begins at nothing");
    }

    #[test]
    fn a_wrong_password_is_no_lost_network() {
        assert!(spans(&refused(ReasonCode::BadUserNameOrPassword), 1)[0] > 50_000);
        assert!(spans(&refused(ReasonCode::ServerBusy), 1)[0] < 1_000);
        let mut backoff = Backoff::new(Reconnect::default(), Random::new(1));
        let taken_over =
            Farewell { reason_code: ReasonCode::SessionTakenOver, reason_string: None, server_reference: None };
        assert_eq!(backoff.next(&Error::Disconnected(taken_over)), None);
        assert_eq!(backoff.next(&refused(ReasonCode::ServerMoved)), None);
    }

    #[test]
    fn only_a_connection_that_lasted_counts_as_a_good_one() {
        let mut backoff = Backoff::new(Reconnect::default(), Random::new(1));
        for _ in 0..10 {
            backoff.next(&lost());
        }
        backoff.connection_lasted(Duration::from_secs(9));
        assert_eq!(backoff.attempts(), 10);
        backoff.connection_lasted(Duration::from_secs(10));
        assert_eq!(backoff.attempts(), 0);
    }

    #[test]
    fn attempts_can_be_counted_out() {
        let mut backoff = Backoff::new(Reconnect::default().attempts_max(2), Random::new(1));
        assert!(backoff.next(&lost()).is_some());
        assert!(backoff.next(&lost()).is_some());
        assert_eq!(backoff.next(&lost()), None);
        assert_eq!(Backoff::new(Reconnect::never(), Random::new(1)).next(&lost()), None);
    }

    #[test]
    fn a_great_many_attempts_do_no_harm() {
        let mut backoff = Backoff::new(Reconnect::default().max(Duration::MAX / 4), Random::new(1));
        for _ in 0..100 {
            assert!(backoff.next(&lost()).is_some());
        }
    }
}
