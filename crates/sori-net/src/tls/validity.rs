//! From when until when a certificate is valid. RFC 5280 section 4.1.2.5

use crate::tls::files::{self, LoadError};
use crate::tls::names::validity_of;
use std::path::Path;

/// The time in which a certificate is valid, in seconds since 1970-01-01, UTC.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Validity {
    /// The first second.
    pub from: i64,
    /// The last second.
    pub until: i64,
}

/// When the certificates of a PEM file are valid, in the order of the file. `None` stands for one whose dates cannot be read.
///
/// # Errors
///
/// The file cannot be read, or holds no certificate.
///
/// ```no_run
/// for validity in sori_net::tls::validities("/etc/sori/server.pem".as_ref())?.into_iter().flatten() {
///     println!("valid until {} seconds after 1970", validity.until);
/// }
/// # Ok::<(), sori_net::LoadError>(())
/// ```
pub fn validities(path: &Path) -> Result<Vec<Option<Validity>>, LoadError> {
    Ok(files::certificates(path)?.iter().map(|certificate| validity_of(certificate)).collect())
}

/// A UTCTime `YYMMDDhhmmssZ` (RFC 5280 section 4.1.2.5.1: years below 50 are of this century) or a GeneralizedTime
/// `YYYYMMDDhhmmssZ` (section 4.1.2.5.2).
pub(super) fn seconds(text: &[u8], is_generalized: bool) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let digits = if is_generalized { 14 } else { 12 };
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = text.split_at(digits - 10);
    let year = match (year.parse::<i64>().ok()?, is_generalized) {
        (year, true) => year,
        (year @ 0..50, false) => 2000 + year,
        (year, false) => 1900 + year,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    let is_good = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    is_good.then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days since 1970-01-01 in the Gregorian calendar. A year begins with March here, so that the day which some years have
/// more is its last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    // Days before the month: from March on, five months have 153.
    let in_year = (153 * month + 2) / 5 + day - 1;
    // 719468 days lie between the first of March of the year 0 and 1970.
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_date_makes_of_them() {
        // `date -u -d "2049-12-31 23:59:59" +%s` and so on.
        for (text, is_generalized, expected) in [
            ("700101000000Z", false, Some(0)),
            ("491231235959Z", false, Some(2_524_607_999)),
            ("500101000000Z", false, Some(-631_152_000)),
            ("20240229120000Z", true, Some(1_709_208_000)),
            ("20240301000000Z", true, Some(1_709_251_200)),
            ("21000301000000Z", true, Some(4_107_542_400)),
            ("99991231235959Z", true, Some(253_402_300_799)),
            ("00000101000000Z", true, Some(-62_167_219_200)),
            ("20241301000000Z", true, None),
            ("20240100000000Z", true, None),
            ("202401010000Z", true, None),
            ("240101000000", false, None),
            ("2401010000+0Z", false, None),
            ("", false, None),
        ] {
            assert_eq!(seconds(text.as_bytes(), is_generalized), expected, "{text}");
        }
    }
}
