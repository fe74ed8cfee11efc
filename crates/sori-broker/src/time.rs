//! A moment as the caller counts it. The broker has no clock: every input carries the time.

/// Milliseconds since an epoch that the caller chose (Unix time in production), never going back.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct Time(pub u64);

impl Time {
    /// A moment that never comes: "does not expire".
    pub const NEVER: Time = Time(u64::MAX);

    /// This moment plus `seconds`; [`Time::NEVER`] stays.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Time {
        self.plus_millis(seconds.saturating_mul(1000))
    }

    /// This moment plus `millis`; [`Time::NEVER`] stays.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Time {
        Time(self.0.saturating_add(millis))
    }

    /// Whole seconds from `now` until this moment, rounded up, so that an interval which has not passed is never 0.
    #[must_use]
    pub const fn seconds_after(self, now: Time) -> u64 {
        self.0.saturating_sub(now.0).div_ceil(1000)
    }
}
