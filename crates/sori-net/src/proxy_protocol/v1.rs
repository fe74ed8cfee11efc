//! Version 1: `PROXY TCP4 192.0.2.5 192.0.2.1 56324 1883\r\n`. Section 2.1

use super::{Parsed, corrupt};
use crate::error::Error;
use crate::peer::{Peer, ProxiedAddress};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line with its end. Section 2.1
pub(super) const BYTES_MAX: usize = 107;
const BEGINNING: &[u8] = b"PROXY ";

pub(super) fn parse(bytes: &[u8], peer: &mut Peer) -> Result<Parsed, Error> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        let begun = &bytes[..bytes.len().min(BEGINNING.len())];
        let may_go_on = BEGINNING.starts_with(begun) && bytes.len() < BYTES_MAX;
        return if may_go_on { Ok(Parsed::Partial) } else { Err(corrupt()) };
    };
    let line = core::str::from_utf8(&bytes[..end]).map_err(|_| corrupt())?;
    peer.address = source(line).ok_or_else(corrupt)?.map(ProxiedAddress::Ip);
    Ok(Parsed::Whole(end + 2))
}

/// The source in a line; no source when the proxy does not know it.
fn source(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    let (proxy, protocol) = (words.next()?, words.next()?);
    if proxy != "PROXY" {
        return None;
    }
    let parse: fn(&str) -> Option<IpAddr> = match protocol {
        // What follows is to be ignored.
        "UNKNOWN" => return Some(None),
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    let (source, destination) = (parse(words.next()?)?, parse(words.next()?)?);
    let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
    let _ = (destination, destination_port);
    words.next().is_none().then_some(Some(SocketAddr::new(source.to_canonical(), source_port)))
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}
