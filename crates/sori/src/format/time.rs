//! The time at which a message arrived, and how it is written.

use jiff::Zoned;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};

/// When a message arrived, in the local time zone.
#[derive(Debug, Clone)]
pub(crate) struct Arrival(Zoned);

impl Arrival {
    pub(crate) fn now() -> Self {
        Self(Zoned::now())
    }

    #[cfg(test)]
    pub(super) const fn at(time: Zoned) -> Self {
        Self(time)
    }

    pub(super) fn nanoseconds(&self) -> i32 {
        self.0.subsec_nanosecond()
    }

    /// What strftime makes of `%` and this letter. Letters that the C library does not have stay as they are.
    pub(super) fn strftime(&self, letter: char) -> String {
        const LETTERS: &str = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ";
        if LETTERS.contains(letter) { self.formatted(&format!("%{letter}")) } else { format!("%{letter}") }
    }

    /// `2026-01-31T12:00:00+0000`
    pub(super) fn iso_8601(&self) -> String {
        self.formatted("%Y-%m-%dT%H:%M:%S%z")
    }

    /// `2026-01-31T12:00:00.123456+0000`
    pub(super) fn iso_8601_micro(&self) -> String {
        let micro = self.nanoseconds() / 1000;
        format!("{}.{micro:06}{}", self.formatted("%Y-%m-%dT%H:%M:%S"), self.formatted("%z"))
    }

    /// `1769860800.123456789`
    pub(super) fn unix(&self) -> String {
        format!("{}.{:09}", self.0.timestamp().as_second(), self.nanoseconds())
    }

    fn formatted(&self, format: &str) -> String {
        let config: Config<PosixCustom> = Config::new().custom(PosixCustom::new()).lenient(true);
        let mut text = String::new();
        // With known letters and a whole time nothing can fail; a lenient format would leave the letter.
        match BrokenDownTime::from(&self.0).format_with_config(&config, format, &mut text) {
            Ok(()) => text,
            Err(_) => format.to_owned(),
        }
    }
}
