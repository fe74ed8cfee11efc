//! Subjects against what OpenSSL prints of them.

use super::{names_of, validity_of};
use crate::peer::CertificateNames;

/// Made with `openssl req`; the expected text is what `openssl x509 -nameopt RFC2253` prints of it.
const ODD: &[u8] = include_bytes!("odd_subject.der");
const ODD_TEXT: &str = concat!(
    "CN=second,CN=d\\C3\\A9vice 1\\,a,street=Main\\0Aroad,SN=\\  lead and trail\\ ,GN=J\\C3\\BCrgen,1.2",
    ".3.4.5=#0C06736563726574,serialNumber=12 34,emailAddress=a@b.example,UID=u-1,DC=example,OU",
    "=\\ x,OU=\\#begins,O=Acme\\, Inc \\<x\\>\\; \\\\ \\+ =,C=DE",
);

#[test]
fn the_subject_is_written_as_openssl_writes_it() {
    let names = names_of(ODD).expect("a certificate");
    assert_eq!(names.subject.as_deref(), Some(ODD_TEXT));
    assert_eq!(names.common_name.as_deref(), Some("dévice 1,a"), "the first Common Name counts");
}

#[test]
fn a_certificate_cut_anywhere_or_changed_anywhere_is_no_reason_to_panic() {
    for cut in 0..ODD.len() {
        let _ = (names_of(&ODD[..cut]), validity_of(&ODD[..cut]));
        let mut changed = ODD.to_vec();
        for bit in 0..8 {
            changed[cut] ^= 1 << bit;
            let _ = (names_of(&changed), validity_of(&changed));
            changed[cut] ^= 1 << bit;
        }
    }
    assert_eq!(names_of(b""), None);
}

/// A certificate with this subject, as far as it is looked at.
fn with_subject(subject: &[u8]) -> Vec<u8> {
    let wrap = |tag: u8, contents: &[u8]| {
        let mut der = vec![tag, 0x82];
        der.extend_from_slice(&u16::try_from(contents.len()).expect("short").to_be_bytes());
        der.extend_from_slice(contents);
        der
    };
    let inner: Vec<u8> = [vec![0x02, 1, 7], vec![0x30, 0], vec![0x30, 0], vec![0x30, 0], wrap(0x30, subject)].concat();
    wrap(0x30, &wrap(0x30, &inner))
}

/// One attribute of a subject: its identifier, the kind of its value, the value.
fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    let short = |tag: u8, contents: &[u8]| {
        [vec![tag, u8::try_from(contents.len()).expect("short")], contents.to_vec()].concat()
    };
    short(0x31, &short(0x30, &[short(0x06, oid), short(tag, value)].concat()))
}

#[test]
fn values_of_every_kind_become_text_or_their_der() {
    let cn = [0x55, 0x04, 0x03];
    for (tag, value, text) in [
        (12, &b"a"[..], "CN=a"),
        (30, &[0, b'a', 0x20, 0xAC][..], "CN=a\\E2\\82\\AC"),
        (28, &[0, 0, 0, b'a'][..], "CN=a"),
        (20, &[0xE9][..], "CN=\\C3\\A9"),
        (19, &[1, 0x7F][..], "CN=\\01\\7F"),
        (19, &b" "[..], "CN=\\ "),
        (4, &[1, 2][..], "CN=#04020102"),
        (12, &[0xFF][..], "CN=#0C01FF"),
    ] {
        let names = names_of(&with_subject(&attribute(&cn, tag, value))).expect("a subject");
        assert_eq!(names.subject.as_deref(), Some(text));
    }
}

#[test]
fn a_common_name_with_nul_in_it_is_none() {
    let names = names_of(&with_subject(&attribute(&[0x55, 0x04, 0x03], 12, b"admin\0x"))).expect("a subject");
    assert_eq!(names.common_name, None);
    let empty = names_of(&with_subject(b"")).expect("a subject");
    assert_eq!(empty, CertificateNames { common_name: None, subject: Some("".into()) });
}
