//! The time at the start of a line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::fmt::strtime::{self, BrokenDownTime, Config};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Formats times, and formats each second once.
#[derive(Debug)]
pub(super) struct Timestamps {
    format: Option<String>,
    zone: TimeZone,
    latest: Option<(u64, String)>,
}

impl Timestamps {
    /// With `None` a time is the seconds since 1970.
    pub(super) fn new(format: Option<String>, zone: TimeZone) -> Timestamps {
        Timestamps { format, zone, latest: None }
    }

    pub(super) fn text(&mut self, at: SystemTime) -> &str {
        let second = seconds(at).as_secs();
        if self.latest.as_ref().is_none_or(|(known, _)| *known != second) {
            let text = match &self.format {
                Some(format) => formatted(format, &self.zone, second),
                None => second.to_string(),
            };
            self.latest = Some((second, text));
        }
        self.latest.as_ref().map_or("", |(_, text)| text)
    }
}

/// Mosquitto's words when a time cannot be formatted.
const TIME_ERROR: &str = "Time error";

fn formatted(format: &str, zone: &TimeZone, second: u64) -> String {
    let mut text = String::new();
    let config: Config<strtime::PosixCustom> = Config::new().custom(strtime::PosixCustom::new()).lenient(true);
    let done = local(zone, second)
        .and_then(|time| BrokenDownTime::from(&time).format_with_config(&config, format, &mut text).ok());
    if done.is_none() || text.is_empty() { TIME_ERROR.to_owned() } else { text }
}

fn local(zone: &TimeZone, second: u64) -> Option<Zoned> {
    let timestamp = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
    Some(timestamp.to_zoned(zone.clone()))
}

/// The time as syslog writes it, with the day padded by a blank.
pub(super) fn syslog(zone: &TimeZone, at: SystemTime) -> String {
    formatted("%b %e %H:%M:%S", zone, seconds(at).as_secs())
}

/// The time as RFC 3339 writes it, in UTC with milliseconds.
pub(super) fn rfc3339(at: SystemTime) -> String {
    let since = seconds(at);
    let second = formatted("%Y-%m-%dT%H:%M:%S", &TimeZone::UTC, since.as_secs());
    format!("{second}.{:03}Z", since.subsec_millis())
}

/// A clock before 1970 is a clock that was never set.
fn seconds(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn without_a_format_the_time_is_seconds() {
        let mut times = Timestamps::new(None, TimeZone::UTC);
        assert_eq!(times.text(at(1_700_000_000)), "1700000000");
        assert_eq!(times.text(at(1_700_000_001)), "1700000001");
    }

    #[test]
    fn a_format_is_that_of_strftime() {
        for (format, text) in [
            ("%Y-%m-%dT%H:%M:%S", "2023-11-14T22:13:20"),
            ("%F %T", "2023-11-14 22:13:20"),
            ("%s", "1700000000"),
            ("%c", "Tue Nov 14 22:13:20 2023"),
            ("%x %X", "11/14/23 22:13:20"),
            ("%", "%"),
            ("%! a", "%! a"),
            ("", "Time error"),
        ] {
            assert_eq!(Timestamps::new(Some(format.into()), TimeZone::UTC).text(at(1_700_000_000)), text, "{format}");
        }
    }

    #[test]
    fn other_programs_get_their_own_forms() {
        assert_eq!(syslog(&TimeZone::UTC, at(1_699_228_800)), "Nov  6 00:00:00");
        assert_eq!(rfc3339(at(1_700_000_000) + Duration::from_millis(7)), "2023-11-14T22:13:20.007Z");
    }
}
