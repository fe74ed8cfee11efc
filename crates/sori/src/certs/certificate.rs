//! Reading a certificate again.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{DistinguishedName, DnType, DnValue, SanType};
use x509_parser::asn1_rs::Tag;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use crate::failure::Failure;

/// More than any chain of certificates has.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a certificate is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Authority,
    Server,
    Client,
    /// A server that is a client of others too.
    Both,
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Authority => "an authority",
            Kind::Server => "a server",
            Kind::Client => "a client",
            Kind::Both => "a server and a client",
            Kind::Other => "neither a server nor a client",
        })
    }
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) file: PathBuf,
    pub(super) der: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) subject: String,
    pub(super) issuer: String,
    /// Host names and addresses.
    pub(super) names: Vec<String>,
    /// In seconds since 1970, as is `end`.
    pub(super) begin: i64,
    pub(super) end: i64,
    /// SubjectPublicKeyInfo, in DER.
    pub(super) public_key: Vec<u8>,
}

/// What stays the same when a certificate is made anew.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) subject: DistinguishedName,
    pub(super) names: Vec<SanType>,
    /// How others name its key.
    pub(super) key_id: Option<Vec<u8>>,
}

impl Certificate {
    /// All certificates of a file, at least one.
    pub(super) fn read(file: &Path) -> Result<Vec<Certificate>, Failure> {
        let shown = file.display();
        let fail = |why: String| Failure::new(format!("{shown} {why}"));
        let length = fs::metadata(file).map_err(|error| fail(format!("cannot be read: {error}")))?.len();
        if length > FILE_BYTES_MAX {
            return Err(fail("is no file of certificates: it is too large".to_owned()));
        }
        let bytes = fs::read(file).map_err(|error| fail(format!("cannot be read: {error}")))?;
        let mut certificates = Vec::new();
        for pem in Pem::iter_from_buffer(&bytes) {
            let pem = pem.map_err(|error| fail(format!("is broken: {error}")))?;
            if pem.label == "CERTIFICATE" {
                let certificate = Certificate::parse(file, pem.contents);
                certificates
                    .push(certificate.map_err(|why| fail(format!("holds a certificate that is broken: {why}")))?);
            }
        }
        if certificates.is_empty() {
            let text = "holds no certificate: it begins with a line `-----BEGIN CERTIFICATE-----`";
            return Err(fail(text.to_owned()));
        }
        Ok(certificates)
    }

    /// The one of a file that has no more.
    pub(super) fn read_one(file: &Path) -> Result<Certificate, Failure> {
        let mut all = Certificate::read(file)?;
        match (all.pop(), all.len()) {
            (Some(certificate), 0) => Ok(certificate),
            (_, more) => Err(Failure::new(format!("{} holds {} certificates, not one", file.display(), more + 1))),
        }
    }

    fn parse(file: &Path, der: Vec<u8>) -> Result<Certificate, String> {
        let parsed = x509(&der)?;
        let names = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = names.map(|names| names.value.general_names.iter().map(name_text).collect()).unwrap_or_default();
        Ok(Certificate {
            file: file.to_owned(),
            kind: kind(&parsed)?,
            subject: name(parsed.subject()),
            issuer: name(parsed.issuer()),
            names,
            begin: parsed.validity().not_before.timestamp(),
            end: parsed.validity().not_after.timestamp(),
            public_key: parsed.public_key().raw.to_vec(),
            der,
        })
    }

    /// By the names and the signature.
    pub(super) fn is_signed_by(&self, authority: &Certificate) -> bool {
        let (Ok(own), Ok(authority)) = (x509(&self.der), x509(&authority.der)) else { return false };
        own.issuer().as_raw() == authority.subject().as_raw()
            && own.verify_signature(Some(authority.public_key())).is_ok()
    }

    /// What a certificate that replaces this one has to say.
    pub(super) fn parts(&self) -> Result<Parts, String> {
        let parsed = x509(&self.der)?;
        let (mut names, mut key_id) = (Vec::new(), None);
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(alternatives) => {
                    let alternatives: Result<_, _> = alternatives.general_names.iter().map(alternative).collect();
                    names = alternatives?;
                }
                ParsedExtension::SubjectKeyIdentifier(id) => key_id = Some(id.0.to_vec()),
                ParsedExtension::BasicConstraints(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::AuthorityKeyIdentifier(_) => {}
                _ => return Err(format!("its extension {} would be lost", extension.oid)),
            }
        }
        Ok(Parts { subject: distinguished_name(parsed.subject())?, names, key_id })
    }
}

fn x509(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    X509Certificate::from_der(der).map(|(_, parsed)| parsed).map_err(|error| error.to_string())
}

fn kind(parsed: &X509Certificate<'_>) -> Result<Kind, String> {
    if parsed.is_ca() {
        return Ok(Kind::Authority);
    }
    let usage = parsed.extended_key_usage().map_err(|error| error.to_string())?;
    Ok(match usage.map(|usage| (usage.value.server_auth, usage.value.client_auth)) {
        Some((true, true)) => Kind::Both,
        Some((true, false)) => Kind::Server,
        Some((false, true)) => Kind::Client,
        // What is not limited is for both.
        None => Kind::Both,
        Some((false, false)) => Kind::Other,
    })
}

/// The common name if there is one, else all there is.
fn name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|value| value.as_str().ok());
    let text = common.map_or_else(|| name.to_string(), str::to_owned);
    // It comes from whoever has made it, and goes to a terminal.
    text.escape_debug().to_string()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn name_text(name: &GeneralName<'_>) -> String {
    let text = match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => address(bytes).map_or_else(|| "?".to_owned(), |address| address.to_string()),
        other => other.to_string(),
    };
    text.escape_debug().to_string()
}

fn alternative(name: &GeneralName<'_>) -> Result<SanType, String> {
    let lost = || format!("its name {} would be lost", name_text(name));
    match name {
        GeneralName::DNSName(text) => (*text).try_into().map(SanType::DnsName).map_err(|_| lost()),
        GeneralName::URI(text) => (*text).try_into().map(SanType::URI).map_err(|_| lost()),
        GeneralName::RFC822Name(text) => (*text).try_into().map(SanType::Rfc822Name).map_err(|_| lost()),
        GeneralName::IPAddress(bytes) => address(bytes).map(SanType::IpAddress).ok_or_else(lost),
        _ => Err(lost()),
    }
}

/// The same name, byte for byte: what an authority has signed names it so.
fn distinguished_name(name: &X509Name<'_>) -> Result<DistinguishedName, String> {
    let mut same = DistinguishedName::new();
    for attribute in name.iter_attributes() {
        let lost = || format!("the part {} of its name would be lost", attribute.attr_type());
        let numbers: Vec<u64> = attribute.attr_type().iter().ok_or_else(lost)?.collect();
        let kind = DnType::from_oid(&numbers);
        let text = attribute.as_str().map_err(|_| lost())?;
        let value = match attribute.attr_value().header.tag() {
            Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
            Tag::PrintableString => DnValue::PrintableString(text.try_into().map_err(|_| lost())?),
            Tag::Ia5String => DnValue::Ia5String(text.try_into().map_err(|_| lost())?),
            _ => return Err(lost()),
        };
        // A second part of the same type would take the place of the first.
        if same.get(&kind).is_some() {
            return Err(lost());
        }
        same.push(kind, value);
    }
    Ok(same)
}

/// The day of a moment in seconds since 1970, as `2026-11-29`.
pub(super) fn day(seconds: i64) -> String {
    match ASN1Time::from_timestamp(seconds).map(|time| time.to_datetime()) {
        Ok(time) => format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day()),
        Err(_) => "a day beyond all calendars".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (253_402_300_799, "9999-12-31")] {
            assert_eq!(day(seconds), text);
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_are_an_error() {
        for bytes in [&b""[..], b"\x30\x82\xff\xff", b"\x30\x03\x02\x01\x01", &[0x30; 400]] {
            assert!(Certificate::parse(Path::new("file"), bytes.to_vec()).is_err(), "{bytes:?}");
        }
    }
}
