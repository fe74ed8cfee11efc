//! The files of TLS: whether they can be used, and the dates of certificates. What is said of those that are over, that
//! soon will be, or that are not valid yet is a warning: the broker starts with them all the same, as its clients decide
//! whether they take them.

use super::files::pointed;
use super::transport::Fault;
use super::{ListenerConfig, Remark, Setting, Severity};
use jiff::Timestamp;
use sori_net::tls::{Validity, validities};
use std::path::Path;
use std::time::SystemTime;

/// Who has so many days left or fewer should care now.
const DAYS_MIN: i64 = 30;
const DAY: i64 = 24 * 60 * 60;

/// Everything that is wrong with the files of TLS of a listener, each at the line that names it.
pub(super) fn read(listener: &ListenerConfig, settings: &[Setting], remarks: &mut Vec<Remark>) {
    for Fault { option, text } in listener.tls_faults() {
        let remark = pointed(option, settings, Remark::new(Severity::Failure, text));
        let at = remark.at.clone().or_else(|| listener.declared_at.clone());
        let remark = remark.at(at);
        // Listeners may share their files.
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
}

/// What there is to say about the certificates of a listener at this time.
pub(super) fn examine(listener: &ListenerConfig, now: SystemTime) -> Vec<Remark> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let transport = &listener.transport;
    // Without client certificates the CAs only complete the server's chain.
    let authorities = transport.cafile.as_deref().filter(|_| transport.require_certificate);
    let files = [(transport.certfile.as_deref(), "renew it"), (authorities, "replace it by its successor")];
    let mut remarks = Vec::new();
    for (path, mend) in files {
        let Some(path) = path else { continue };
        // What cannot be read has been told already.
        let all = validities(path).unwrap_or_default();
        for (number, validity) in all.iter().enumerate() {
            let Some(said) = validity.and_then(|validity| said(validity, now)) else { continue };
            let text = format!("{} {said}.", subject(path, number, all.len()));
            let hint = format!("{mend}; the broker takes up a new file by itself.");
            remarks.push(Remark::new(Severity::Warning, text).hint(hint).at(listener.declared_at.clone()));
        }
    }
    remarks
}

fn subject(path: &Path, number: usize, count: usize) -> String {
    match count {
        1 => format!("The certificate in {}", path.display()),
        _ => format!("Certificate {} of {count} in {}", number + 1, path.display()),
    }
}

/// `None`: it is in order.
fn said(validity: Validity, now: i64) -> Option<String> {
    let Validity { from, until } = validity;
    if now > until {
        return Some(format!("has expired on {}", date(until)));
    }
    if now < from {
        return Some(format!("is not valid before {}", date(from)));
    }
    match (until - now) / DAY {
        0 => Some(format!("expires within a day, on {}", date(until))),
        1 => Some(format!("expires in 1 day, on {}", date(until))),
        days @ ..=DAYS_MIN => Some(format!("expires in {days} days, on {}", date(until))),
        _ => None,
    }
}

/// The day, in UTC.
fn date(second: i64) -> String {
    match Timestamp::from_second(second) {
        Ok(at) => at.strftime("%Y-%m-%d").to_string(),
        Err(_) => format!("{second} s after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_before_the_end_it_is_told() {
        let until = 1_709_251_199;
        let validity = Validity { from: until - 100 * DAY, until };
        for (left, expected) in [
            (101 * DAY, Some("is not valid before 2023-11-21")),
            (31 * DAY, None),
            (31 * DAY - 1, Some("expires in 30 days, on 2024-02-29")),
            (DAY, Some("expires in 1 day, on 2024-02-29")),
            (DAY - 1, Some("expires within a day, on 2024-02-29")),
            (0, Some("expires within a day, on 2024-02-29")),
            (-1, Some("has expired on 2024-02-29")),
        ] {
            assert_eq!(said(validity, until - left).as_deref(), expected, "{left} seconds before");
        }
    }
}
