//! What goes into a certificate: whose it is, what it is for, and for how long. RFC 5280.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
};
use x509_parser::time::ASN1Time;

use super::certificate::{self, Certificate, Kind, Parts};
use crate::failure::Failure;

/// RFC 5280 appendix A.1, `ub-common-name`.
const COMMON_NAME_CHARACTERS_MAX: usize = 64;
/// RFC 5280 section 4.1.2.2: positive, and 20 bytes at most. So many random ones never come twice.
const SERIAL_NUMBER_BYTES: usize = 16;
const DAY: i64 = 86_400;
/// Devices whose clock is a little behind take a new certificate too.
const CLOCK_SKEW: i64 = 3600;
/// The last second that a certificate can name. RFC 5280 section 4.1.2.5.
const LAST: i64 = 253_402_300_799;

/// From when to when, in seconds since 1970.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) begin: i64,
    pub(super) end: i64,
}

impl Lifetime {
    pub(super) fn days(now: i64, days: i64) -> Lifetime {
        Lifetime::seconds(now, days.saturating_mul(DAY))
    }

    /// As long as this certificate was meant to be good.
    pub(super) fn as_long_as(now: i64, old: &Certificate) -> Lifetime {
        Lifetime::seconds(now, (old.end - old.begin - CLOCK_SKEW).max(DAY))
    }

    fn seconds(now: i64, seconds: i64) -> Lifetime {
        Lifetime { begin: now, end: now.saturating_add(seconds).min(LAST) }
    }

    /// No longer than the authority: what it signs is nothing without it.
    pub(super) fn within(self, authority_end: i64) -> Lifetime {
        Lifetime { end: self.end.min(authority_end), ..self }
    }

    /// The day of the end.
    pub(super) fn end_day(self) -> String {
        certificate::day(self.end)
    }
}

/// A certificate that is to be made.
#[derive(Debug)]
pub(super) struct Request {
    kind: Kind,
    subject: DistinguishedName,
    names: Vec<SanType>,
    /// How others name its key; without it, a hash of the key.
    key_id: Option<Vec<u8>>,
}

impl Request {
    pub(super) fn authority(name: &str) -> Result<Request, Failure> {
        Ok(Request { kind: Kind::Authority, subject: common_name(name)?, names: Vec::new(), key_id: None })
    }

    pub(super) fn client(name: &str) -> Result<Request, Failure> {
        Ok(Request { kind: Kind::Client, subject: common_name(name)?, names: Vec::new(), key_id: None })
    }

    /// The first name is also the subject's: old clients look there.
    pub(super) fn server(names: &[String]) -> Result<Request, Failure> {
        let alternatives: Result<Vec<SanType>, Failure> = names.iter().map(|name| alternative(name)).collect();
        let first = names.iter().find(|name| name.chars().count() <= COMMON_NAME_CHARACTERS_MAX);
        let subject = common_name(first.map_or("MQTT server", String::as_str))?;
        Ok(Request { kind: Kind::Server, subject, names: alternatives?, key_id: None })
    }

    /// What an old certificate says, for a new one. What would be lost on the way is a reason not to.
    pub(super) fn again(old: &Certificate) -> Result<Request, String> {
        if old.kind == Kind::Other {
            return Err("it is neither an authority's, nor a server's, nor a client's".to_owned());
        }
        if old.kind == Kind::Authority && old.issuer != old.subject {
            return Err(format!("it is an authority that another one has signed: '{}'", old.issuer));
        }
        let Parts { subject, names, key_id } = old.parts()?;
        Ok(Request { kind: old.kind, subject, names, key_id })
    }

    pub(super) fn parameters(&self, lifetime: Lifetime) -> Result<CertificateParams, Failure> {
        let mut serial = [0; SERIAL_NUMBER_BYTES];
        getrandom::fill(&mut serial)
            .map_err(|error| Failure::new(format!("the system gives no random numbers: {error}")))?;
        // Neither negative nor 0.
        serial[0] = serial[0] & 0x7f | 0x40;
        let mut parameters = CertificateParams::default();
        parameters.serial_number = Some(SerialNumber::from_slice(&serial));
        parameters.not_before = time(lifetime.begin - CLOCK_SKEW)?.to_datetime();
        parameters.not_after = time(lifetime.end)?.to_datetime();
        parameters.distinguished_name = self.subject.clone();
        parameters.subject_alt_names.clone_from(&self.names);
        parameters.use_authority_key_identifier_extension = true;
        if let Some(id) = &self.key_id {
            parameters.key_identifier_method = KeyIdMethod::PreSpecified(id.clone());
        }
        // RFC 5280 section 4.2.1.3 and 4.2.1.12.
        (parameters.is_ca, parameters.key_usages) = match self.kind {
            Kind::Authority => (
                IsCa::Ca(BasicConstraints::Constrained(0)),
                vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
            ),
            _ => (IsCa::ExplicitNoCa, vec![KeyUsagePurpose::DigitalSignature]),
        };
        parameters.extended_key_usages = match self.kind {
            Kind::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Kind::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Kind::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Kind::Authority | Kind::Other => Vec::new(),
        };
        Ok(parameters)
    }
}

fn time(seconds: i64) -> Result<ASN1Time, Failure> {
    ASN1Time::from_timestamp(seconds).map_err(|_| Failure::new("the clock of this machine is far off"))
}

fn usage<T>(text: String) -> Result<T, Failure> {
    Err(Failure::new(text).with_status(2))
}

fn common_name(name: &str) -> Result<DistinguishedName, Failure> {
    let length = name.chars().count();
    if !(1..=COMMON_NAME_CHARACTERS_MAX).contains(&length) || name.chars().any(char::is_control) {
        let text = format!("'{}' is no name: 1 to {COMMON_NAME_CHARACTERS_MAX} characters", name.escape_debug());
        return usage(text);
    }
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, DnValue::Utf8String(name.to_owned()));
    Ok(subject)
}

/// A name or an address, as clients are told it.
fn alternative(name: &str) -> Result<SanType, Failure> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    if let Some((_, host)) = name.split_once("://") {
        let host = host.split(['/', ':']).next().unwrap_or_default();
        return usage(format!("'{name}' is an address of the web; the name of the server in it is '{host}'"));
    }
    if let Some((host, port)) = name.rsplit_once(':')
        && port.parse::<u16>().is_ok()
    {
        return usage(format!("a certificate is for all ports: write '{host}'"));
    }
    if !is_dns_name(name) {
        return usage(format!("'{name}' is neither a host name nor an address"));
    }
    let name = name.to_owned().try_into();
    name.map(SanType::DnsName).map_err(|_| Failure::new("the name has other letters than a to z").with_status(2))
}

/// RFC 1123 section 2.1, with `_` as local networks have it, and `*` for the first label.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        let is_in = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_in) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (name, found) in [
            ("broker.lan", Some("DnsName")),
            ("broker", Some("DnsName")),
            ("*.example.org", Some("DnsName")),
            ("192.168.1.5", Some("IpAddress(192.168.1.5)")),
            ("[2001:db8::1]", Some("IpAddress(2001:db8::1)")),
            ("::1", Some("IpAddress(::1)")),
            ("broker.lan:8883", None),
            ("mqtts://broker.lan", None),
            ("", None),
            ("a b", None),
            ("-a", None),
            ("a..b", None),
            ("*", None),
            ("b\u{fc}ro.lan", None),
        ] {
            let alternative = alternative(name).ok().map(|alternative| format!("{alternative:?}"));
            match found {
                Some(found) => {
                    assert!(alternative.as_ref().is_some_and(|a| a.starts_with(found)), "{name}: {alternative:?}")
                }
                None => assert_eq!(alternative, None, "{name}"),
            }
        }
    }

    #[test]
    fn a_common_name_has_1_to_64_characters() {
        assert!(common_name(&"\u{e4}".repeat(64)).is_ok());
        for name in ["", "a\nb", "a".repeat(65).as_str()] {
            assert!(common_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn nothing_outlives_its_authority_or_the_calendar() {
        let lifetime = Lifetime::days(1000, 2);
        assert_eq!(lifetime, Lifetime { begin: 1000, end: 1000 + 2 * DAY });
        assert_eq!(lifetime.within(5000).end, 5000);
        assert_eq!(lifetime.within(i64::MAX), lifetime);
        assert_eq!(Lifetime::days(i64::MAX, 36_500).end, LAST);
    }
}
