//! The subject of a certificate as text, byte for byte as OpenSSL writes it with `-nameopt RFC2253`, because rules for
//! users are written with these names.

use crate::peer::CertificateNames;
use crate::tls::validity::{Validity, seconds};
use core::fmt::Write;

/// An element of DER: its tag, its contents, the whole of it.
struct Element<'a> {
    tag: u8,
    contents: &'a [u8],
    whole: &'a [u8],
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, the version of a certificate. RFC 5280 section 4.1
const VERSION: u8 = 0xA0;

const COMMON_NAME: &str = "2.5.4.3";

/// The short names that OpenSSL has for attributes of a subject.
const SHORT_NAMES: [(&str, &str); 29] = [
    (COMMON_NAME, "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.16", "postalAddress"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.18", "postOfficeBox"),
    ("2.5.4.20", "telephoneNumber"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.72", "role"),
    ("2.5.4.97", "organizationIdentifier"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// The names in a certificate (DER); `None` when it is none.
pub fn names_of(certificate: &[u8]) -> Option<CertificateNames> {
    let (_, subject) = issuer_and_subject(certificate)?;
    let mut names = CertificateNames { common_name: None, subject: Some(text(subject)?.into()) };
    for attribute in attributes(subject)? {
        let (oid, value) = attribute?;
        if oid == COMMON_NAME {
            // A name with a NUL in it is a trick, and the first one counts.
            names.common_name = decoded(&value).filter(|name| !name.contains('\0')).map(Into::into);
            break;
        }
    }
    Some(names)
}

/// Who has signed a certificate (DER), and for whom.
pub(crate) fn issuer_and_subject(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let Fields { issuer, subject, .. } = fields(certificate)?;
    Some((issuer, subject))
}

/// The public key in a certificate of version 1, as a SubjectPublicKeyInfo; `None` for those of other versions.
pub(crate) fn public_key_of_version_1(certificate: &[u8]) -> Option<&[u8]> {
    let Fields { is_version_1, public_key, .. } = fields(certificate)?;
    public_key.filter(|_| is_version_1)
}

/// When a certificate (DER) is valid; `None` when it is none or does not say it as it must. RFC 5280 section 4.1.2.5
pub(super) fn validity_of(certificate: &[u8]) -> Option<Validity> {
    let Fields { validity, .. } = fields(certificate)?;
    let (from, rest) = element(validity)?;
    let (until, _) = element(rest)?;
    let time = |element: &Element<'_>| match element.tag {
        UTC_TIME => seconds(element.contents, false),
        GENERALIZED_TIME => seconds(element.contents, true),
        _ => None,
    };
    Some(Validity { from: time(&from)?, until: time(&until)? })
}

/// What is looked at in a certificate. RFC 5280 section 4.1
struct Fields<'a> {
    /// It says no version, and has no extensions.
    is_version_1: bool,
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    /// With its tag and length. Names and dates are read without it.
    public_key: Option<&'a [u8]>,
}

fn fields(certificate: &[u8]) -> Option<Fields<'_>> {
    let (certificate, _) = element(certificate)?;
    let (to_be_signed, _) = element(certificate.contents)?;
    let mut rest = to_be_signed.contents;
    let (first, behind) = element(rest)?;
    let is_version_1 = first.tag != VERSION;
    if !is_version_1 {
        rest = behind;
    }
    let mut next = |tag: u8| {
        let (found, behind) = element(rest).filter(|(found, _)| found.tag == tag)?;
        rest = behind;
        Some(found)
    };
    let (_serial_number, _signature) = (next(INTEGER)?, next(SEQUENCE)?);
    let (issuer, validity, subject) = (next(SEQUENCE)?.contents, next(SEQUENCE)?.contents, next(SEQUENCE)?.contents);
    Some(Fields { is_version_1, issuer, validity, subject, public_key: next(SEQUENCE).map(|found| found.whole) })
}

/// One element from the front, and what follows it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x0F))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (contents, behind) = rest.split_at_checked(length)?;
    let whole = &bytes[..bytes.len() - behind.len()];
    Some((Element { tag, contents, whole }, behind))
}

fn elements(mut bytes: &[u8]) -> impl Iterator<Item = Option<Element<'_>>> {
    core::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let Some((next, rest)) = element(bytes) else {
            bytes = &[];
            return Some(None);
        };
        bytes = rest;
        Some(Some(next))
    })
}

type Attribute<'a> = Option<(String, Element<'a>)>;

/// All attributes of a name, in the order in which they stand there.
fn attributes(name: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let mut all = Vec::new();
    for set in elements(name) {
        let set = set.filter(|set| set.tag == SET)?;
        all.extend(elements(set.contents).map(|pair| attribute(&pair?)));
    }
    Some(all)
}

fn attribute<'a>(pair: &Element<'a>) -> Attribute<'a> {
    let (oid, rest) = element(pair.contents)?;
    let (value, _) = element(rest)?;
    (oid.tag == OBJECT_IDENTIFIER).then_some(())?;
    Some((dotted(oid.contents)?, value))
}

/// RFC 2253 section 2: the last attribute comes first. OpenSSL turns the order in a set with several values, too.
fn text(name: &[u8]) -> Option<String> {
    let mut out = String::new();
    let sets: Vec<Option<Element<'_>>> = elements(name).collect();
    for set in sets.into_iter().rev() {
        let set = set.filter(|set| set.tag == SET)?;
        let pairs: Vec<Option<Element<'_>>> = elements(set.contents).collect();
        for (number, pair) in pairs.into_iter().rev().enumerate() {
            if !out.is_empty() {
                out.push(if number > 0 { '+' } else { ',' });
            }
            let (oid, value) = attribute(&pair?)?;
            match SHORT_NAMES.iter().find(|(known, _)| *known == oid) {
                Some((_, short)) => {
                    out.push_str(short);
                    out.push('=');
                    match decoded(&value) {
                        Some(decoded) => escape(&decoded, &mut out),
                        None => dump(value.whole, &mut out),
                    }
                }
                // RFC 2253 section 2.4: the value of an unknown attribute is its DER.
                None => {
                    out.push_str(&oid);
                    out.push('=');
                    dump(value.whole, &mut out);
                }
            }
        }
    }
    Some(out)
}

fn dotted(oid: &[u8]) -> Option<String> {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0u64;
    for byte in oid {
        arc = arc.checked_mul(128)?.checked_add(u64::from(byte & 0x7F))?;
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let top = (arc / 40).min(2);
                arcs.push(top);
                arc -= top * 40;
            }
            arcs.push(arc);
            arc = 0;
        }
    }
    Some(arcs.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
}

/// The text of a value; `None` for a kind that is no text.
fn decoded(value: &Element<'_>) -> Option<String> {
    let bytes = value.contents;
    match value.tag {
        // UTF8String
        12 => String::from_utf8(bytes.to_vec()).ok(),
        // NumericString, PrintableString, T61String (as Latin 1), IA5String, times, VisibleString
        18 | 19 | 20 | 22 | 23 | 24 | 26 => Some(bytes.iter().copied().map(char::from).collect()),
        // UniversalString
        28 => bytes.chunks(4).map(|c| char::from_u32(u32::from_be_bytes(c.try_into().ok()?))).collect(),
        // BMPString
        30 => bytes.chunks(2).map(|c| char::from_u32(u32::from(u16::from_be_bytes(c.try_into().ok()?)))).collect(),
        _ => None,
    }
}

/// RFC 2253 section 2.4; what is not printable ASCII is written as the bytes of its UTF-8.
fn escape(value: &str, out: &mut String) {
    let last = value.len().wrapping_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let is_edge = (at == 0 && matches!(byte, b'#' | b' ')) || (at == last && byte == b' ');
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => out.extend(['\\', char::from(byte)]),
            _ if is_edge => out.extend(['\\', char::from(byte)]),
            0x20..=0x7E => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "\\{byte:02X}")),
        }
    }
}

fn dump(der: &[u8], out: &mut String) {
    out.push('#');
    for byte in der {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02X}");
    }
}

#[cfg(test)]
mod tests;
