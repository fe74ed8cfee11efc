//! Version 2. Section 2.2
//!
//! ```text
//!  signature (12) | version, command (1) | family, protocol (1) | length (2) | addresses | type (1) length (2) value ...
//! ```

use super::{Parsed, corrupt, refused};
use crate::error::Error;
use crate::peer::{CertificateNames, Peer, ProxiedAddress, TlsFacts};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const HEAD_BYTES: usize = 16;
/// Addresses and values together: a certificate's names, a few identifiers.
const CONTENTS_BYTES_MAX: usize = 4096;
pub(super) const BYTES_MAX: usize = HEAD_BYTES + CONTENTS_BYTES_MAX;
/// A path of a Unix socket. Section 2.2
const PATH_BYTES: usize = 108;

/// `PP2_TYPE_SSL` and what is in it. Section 2.2.6
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
const CLIENT_SSL: u8 = 0x01;
const CLIENT_CERT_SESS: u8 = 0x04;

pub(super) fn parse(bytes: &[u8], peer: &mut Peer) -> Result<Parsed, Error> {
    if !SIGNATURE.starts_with(&bytes[..bytes.len().min(SIGNATURE.len())]) {
        return Err(corrupt());
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(Parsed::Partial) };
    let (command, family) = (head[12], head[13]);
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > CONTENTS_BYTES_MAX {
        return Err(corrupt());
    }
    let Some(contents) = rest.get(..length) else { return Ok(Parsed::Partial) };
    match command {
        // The proxy speaks for nobody: it looks whether somebody is here. It knows now; Mosquitto closes as well.
        0x20 => return Err(refused("the proxy only looked whether the broker is there")),
        0x21 => {}
        _ => return Err(corrupt()),
    }
    let (address, values) = address(family, contents).ok_or_else(corrupt)?;
    peer.address = address;
    for value in Values(values) {
        let (kind, value) = value.ok_or_else(corrupt)?;
        if kind == SSL {
            peer.tls = tls(value).ok_or_else(corrupt)?;
        }
    }
    Ok(Parsed::Whole(HEAD_BYTES + length))
}

/// The source, and what stands behind the addresses. As in Mosquitto, a proxy that speaks for somebody must say for whom:
/// the unspecified family is refused.
fn address(family: u8, contents: &[u8]) -> Option<(Option<ProxiedAddress>, &[u8])> {
    match family {
        0x11 => {
            let (addresses, values) = contents.split_first_chunk::<12>()?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes([high, low]));
            Some((Some(ProxiedAddress::Ip(address)), values))
        }
        0x21 => {
            let (addresses, values) = contents.split_first_chunk::<36>()?;
            let source = Ipv6Addr::from(*addresses.first_chunk::<16>()?);
            let port = u16::from_be_bytes([addresses[32], addresses[33]]);
            let address = SocketAddr::new(IpAddr::V6(source).to_canonical(), port);
            Some((Some(ProxiedAddress::Ip(address)), values))
        }
        0x31 => {
            // A proxy may leave out what is not used of the two paths; then no values can follow.
            let (path, values) = contents.split_at_checked(2 * PATH_BYTES).unwrap_or((contents, &[]));
            let path = &path[..path.len().min(PATH_BYTES)];
            let path = path.split(|byte| *byte == 0).next().unwrap_or(&[]);
            let path = core::str::from_utf8(path).ok().filter(|path| !path.is_empty())?;
            Some((Some(ProxiedAddress::Unix(path.into())), values))
        }
        _ => None,
    }
}

/// Section 2.2.6.
fn tls(value: &[u8]) -> Option<Option<TlsFacts>> {
    let (head, values) = value.split_first_chunk::<5>()?;
    let [client, verify @ ..] = *head;
    let mut facts = TlsFacts::default();
    let mut names = CertificateNames::default();
    for value in Values(values) {
        let (kind, value) = value?;
        let text = core::str::from_utf8(value).ok();
        match kind {
            SSL_VERSION => facts.version = text?.into(),
            SSL_CIPHER => facts.cipher = text?.into(),
            SSL_CN => names.common_name = text.filter(|name| !name.contains('\0')).map(Into::into),
            _ => {}
        }
    }
    // A proxy may tell of a connection without TLS, too.
    if client & CLIENT_SSL == 0 {
        return Some(None);
    }
    let is_verified = client & CLIENT_CERT_SESS != 0 && u32::from_be_bytes(verify) == 0;
    facts.certificate = is_verified.then_some(names);
    Some(Some(facts))
}

/// Type, length, value, one behind the other.
struct Values<'a>(&'a [u8]);

impl<'a> Iterator for Values<'a> {
    type Item = Option<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let found = split(self.0);
        self.0 = found.map_or(&[], |(_, _, rest)| rest);
        Some(found.map(|(kind, value, _)| (kind, value)))
    }
}

fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([kind, high, low], rest) = bytes.split_first_chunk::<3>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
    Some((*kind, value, rest))
}
