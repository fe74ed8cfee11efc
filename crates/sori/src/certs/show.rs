//! `sori certs show`: whose certificates these are, for which names, and until when.

use std::path::PathBuf;

use super::certificate::{Certificate, Kind, day};
use crate::failure::Failure;

const DAY: i64 = 86_400;
/// The exit status when one is over, or soon will be.
const OVER: u8 = 1;

pub(super) fn run(files: &[PathBuf], warn: i64, now: i64) -> Result<(), Failure> {
    let mut all_good = true;
    for file in files {
        for certificate in Certificate::read(file)? {
            let (text, is_good) = describe(&certificate, warn, now);
            print!("{text}");
            all_good &= is_good;
        }
    }
    if all_good { Ok(()) } else { Err(Failure::quiet(OVER)) }
}

/// What there is to say, and whether it is good for longer than `warn` days.
fn describe(certificate: &Certificate, warn: i64, now: i64) -> (String, bool) {
    let Certificate { file, kind, subject, issuer, names, begin, end, .. } = certificate;
    let mut text = format!("{}: {subject}, {kind}\n", file.display());
    if !names.is_empty() {
        text += &format!("  names    {}\n", names.join(", "));
    }
    let by = if issuer == subject && *kind == Kind::Authority { "itself" } else { issuer };
    text += &format!("  signed   by {by}\n");
    let (verdict, is_good) = verdict(*begin, *end, warn, now);
    text += &format!("  good     from {} to {}: {verdict}\n", day(*begin), day(*end));
    if *kind == Kind::Server && names.is_empty() {
        text += "  WARNING  it names no server: clients of today look at no other name\n";
    }
    if !is_good {
        text += &format!("  WARNING  `sori certs renew {}` makes it anew\n", file.display());
    }
    (text, is_good)
}

fn verdict(begin: i64, end: i64, warn: i64, now: i64) -> (String, bool) {
    let days = |seconds: i64| match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    if now < begin {
        return ("NOT YET GOOD, is the clock right?".to_owned(), false);
    }
    if now > end {
        return (format!("OVER since {}", days(now - end)), false);
    }
    (format!("{} left", days(end - now)), end - now > warn.saturating_mul(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_days_are_counted() {
        let check = |now, text: &str, is_good| {
            assert_eq!(verdict(10 * DAY, 50 * DAY, 30, now), (text.to_owned(), is_good), "{now}");
        };
        check(10 * DAY, "40 days left", true);
        check(20 * DAY - 1, "30 days left", true);
        check(20 * DAY, "30 days left", false);
        check(49 * DAY, "1 day left", false);
        check(50 * DAY, "less than a day left", false);
        check(50 * DAY + 1, "OVER since less than a day", false);
        check(52 * DAY, "OVER since 2 days", false);
        check(10 * DAY - 1, "NOT YET GOOD, is the clock right?", false);
    }
}
