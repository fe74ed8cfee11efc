//! The server's half of the handshake. RFC 6455 section 4.2

use crate::error::{Error, ErrorKind};
use crate::http::Head;
use crate::websocket::{SUB_PROTOCOLS, accept_of};
use base64ct::{Base64, Encoding};
use std::net::IpAddr;

/// The rules of a listener for WebSocket. Every path is taken.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct WebSocketServer {
    /// Pages of these origins may connect; of all, when there is none. Who sends no `Origin` is no page.
    pub origins: Vec<String>,
    /// `X-Forwarded-For` of these is believed.
    pub trusted_proxies: Vec<Network>,
}

/// Addresses with the same first bits.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// `10.0.0.0/8`, or one address; `None` when it is neither.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Network { address, bits })
    }

    /// Is this address one of them?
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u8| {
            let shift = u32::from(width - self.bits);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

impl WebSocketServer {
    /// The address of whoever is behind the proxies that are trusted: the last one that a trusted proxy has written down and
    /// that is not a trusted proxy itself. Whatever stands before it, the client can have written.
    fn forwarded_for(&self, head: &Head<'_>, from: Option<IpAddr>) -> Option<IpAddr> {
        let is_trusted = |address: IpAddr| self.trusted_proxies.iter().any(|network| network.contains(address));
        if !from.is_some_and(is_trusted) {
            return None;
        }
        let written: Vec<&str> = head.list("X-Forwarded-For").collect();
        let mut last = None;
        for text in written.into_iter().rev() {
            let address: IpAddr = text.parse().ok()?;
            last = Some(address.to_canonical());
            if !is_trusted(address) {
                break;
            }
        }
        last
    }
}

/// A handshake that is fine.
pub(crate) struct Accepted {
    pub(crate) answer: String,
    pub(crate) forwarded_for: Option<IpAddr>,
}

/// A handshake that is not; the answer is empty where nothing is said.
pub(crate) struct Refused {
    pub(crate) answer: String,
    pub(crate) error: Error,
}

fn refused(status: &str, extra: &str, what: &str) -> Refused {
    let body = format!("{what}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\n{extra}Connection: close\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Refused { answer, error: Error::new(ErrorKind::WebSocket, what) }
}

pub(crate) fn bad_request(what: &str) -> Refused {
    refused("400 Bad Request", "", what)
}

/// Answer a request, whose head is complete.
pub(crate) fn answer(server: &WebSocketServer, head: &[u8], from: Option<IpAddr>) -> Result<Accepted, Refused> {
    let head = Head::parse(head).ok_or_else(|| bad_request("this is not a legal HTTP request"))?;
    let mut parts = head.first.split(' ');
    let (method, path, version) = (parts.next(), parts.next(), parts.next());
    if path.is_none_or(str::is_empty) || parts.next().is_some() || !version.is_some_and(|v| v.starts_with("HTTP/1.")) {
        return Err(bad_request("this is not a legal HTTP request"));
    }
    if method != Some("GET") || version == Some("HTTP/1.0") {
        return Err(refused("405 Method Not Allowed", "Allow: GET\r\n", "a WebSocket begins with GET and HTTP/1.1"));
    }
    // RFC 6455 section 4.2.1
    if !head.list_has("Upgrade", "websocket") || !head.list_has("Connection", "upgrade") {
        let upgrade = "Upgrade: websocket\r\n";
        return Err(refused(
            "426 Upgrade Required",
            upgrade,
            "this is a WebSocket for MQTT; connect with an MQTT client",
        ));
    }
    if head.only("Sec-WebSocket-Version") != Some("13") {
        let version = "Sec-WebSocket-Version: 13\r\n";
        return Err(refused("426 Upgrade Required", version, "only version 13 of WebSocket is spoken here"));
    }
    let key = head.only("Sec-WebSocket-Key").filter(|key| is_key(key));
    let Some(key) = key else { return Err(bad_request("Sec-WebSocket-Key is missing or is not 16 bytes in Base64")) };
    if head.only("Host").is_none() {
        return Err(bad_request("the header Host is missing"));
    }
    if let Some(origin) = head.values("Origin").next()
        && !server.origins.is_empty()
        && (!server.origins.iter().any(|known| known == origin) || head.only("Origin").is_none())
    {
        // Mosquitto closes the connection without a word, and its tests look for that.
        let error = Error::new(ErrorKind::WebSocket, format!("non-matching http origin \"{origin}\""));
        return Err(Refused { answer: String::new(), error });
    }
    // [MQTT-6.0.0-3] [MQTT311-6.0.0-3] [MQTT-6.0.0-4] [MQTT311-6.0.0-4]
    let Some(protocol) = head.list("Sec-WebSocket-Protocol").find(|name| SUB_PROTOCOLS.contains(name)) else {
        return Err(bad_request("the client does not offer the sub-protocol mqtt"));
    };
    let accept = accept_of(key);
    // These names are in the case and order in which Mosquitto's tests compare them.
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    Ok(Accepted { answer, forwarded_for: server.forwarded_for(&head, from) })
}

fn is_key(key: &str) -> bool {
    let mut bytes = [0; 18];
    Base64::decode(key, &mut bytes).is_ok_and(|decoded| decoded.len() == 16)
}

#[cfg(test)]
mod tests;
