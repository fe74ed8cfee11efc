//! SOCKS5. The name of the server goes to the proxy as it is, and the proxy looks it up; an address goes as an address.
//!
//! ```text
//!  client                                proxy
//!  methods ────────────────────────────▶
//!          ◀──────────────────────────── the method it takes
//!  user name, password (RFC 1929) ─────▶            only if it takes that one
//!          ◀──────────────────────────── fine
//!  CONNECT host, port ─────────────────▶
//!          ◀──────────────────────────── fine, and where it connects from
//! ```

use super::{Credentials, refused, unusable};
use crate::error::Error;
use std::net::IpAddr;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_NAME_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xFF;
const CONNECT: u8 = 1;

enum Awaiting {
    Method,
    Welcome,
    Reply,
}

pub(crate) struct Socks5 {
    awaiting: Awaiting,
    credentials: Option<Vec<u8>>,
    request: Vec<u8>,
    /// What has come of the answer that is awaited.
    answer: Vec<u8>,
}

impl Socks5 {
    pub(super) fn begin(
        credentials: Option<&Credentials>,
        host: &str,
        port: u16,
        output: &mut Vec<u8>,
    ) -> Result<Socks5, Error> {
        let credentials = credentials.map(credentials_message).transpose()?;
        let request = request(host, port)?;
        // RFC 1928 section 3
        match credentials {
            Some(_) => output.extend_from_slice(&[VERSION, 2, NO_AUTHENTICATION, USER_NAME_AND_PASSWORD]),
            None => output.extend_from_slice(&[VERSION, 1, NO_AUTHENTICATION]),
        }
        Ok(Socks5 { awaiting: Awaiting::Method, credentials, request, answer: Vec::new() })
    }

    pub(super) fn receive(&mut self, piece: &[u8], output: &mut Vec<u8>) -> Result<Option<usize>, Error> {
        let mut used = 0;
        loop {
            let wanted = self.wanted()?;
            let missing = wanted - self.answer.len();
            let count = missing.min(piece.len() - used);
            self.answer.extend_from_slice(&piece[used..used + count]);
            used += count;
            if count < missing {
                return Ok(None);
            }
            // The answer's end may only now be known.
            if self.wanted()? > self.answer.len() {
                continue;
            }
            let answer = std::mem::take(&mut self.answer);
            if self.heed(&answer, output)? {
                return Ok(Some(used));
            }
        }
    }

    /// How long the answer is, as far as that is known.
    fn wanted(&self) -> Result<usize, Error> {
        Ok(match self.awaiting {
            Awaiting::Method | Awaiting::Welcome => 2,
            // RFC 1928 section 6: the kind of the address says how long it is.
            Awaiting::Reply => match *self.answer.as_slice() {
                [_, _, _, 1, ..] => 4 + 4 + 2,
                [_, _, _, 4, ..] => 4 + 16 + 2,
                [_, _, _, 3, length, ..] => 5 + usize::from(length) + 2,
                [_, _, _, 3] => 5,
                [_, _, _, _, ..] => return Err(refused("the proxy's answer is not SOCKS5")),
                _ => 4,
            },
        })
    }

    /// Gives whether the way is free.
    fn heed(&mut self, answer: &[u8], output: &mut Vec<u8>) -> Result<bool, Error> {
        match (&self.awaiting, answer) {
            (Awaiting::Method, [VERSION, NO_AUTHENTICATION]) => self.ask(output),
            (Awaiting::Method, [VERSION, USER_NAME_AND_PASSWORD]) => match &self.credentials {
                Some(message) => {
                    output.extend_from_slice(message);
                    self.awaiting = Awaiting::Welcome;
                }
                None => return Err(refused("the proxy wants a user name and a password")),
            },
            (Awaiting::Method, [VERSION, NONE_ACCEPTABLE]) => {
                return Err(refused("the proxy wants a user name and a password, or another way to say who we are"));
            }
            // RFC 1929 section 2
            (Awaiting::Welcome, [_, 0]) => self.ask(output),
            (Awaiting::Welcome, _) => return Err(refused("the proxy does not take the user name and the password")),
            (Awaiting::Reply, [VERSION, 0, ..]) => return Ok(true),
            (Awaiting::Reply, [VERSION, code, ..]) => return Err(refused(format!("the proxy says: {}", told(*code)))),
            _ => return Err(refused("the proxy's answer is not SOCKS5")),
        }
        Ok(false)
    }

    fn ask(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.request);
        self.awaiting = Awaiting::Reply;
    }
}

/// RFC 1929 section 2.
fn credentials_message(credentials: &Credentials) -> Result<Vec<u8>, Error> {
    let mut message = vec![1];
    for text in [&credentials.user_name, &credentials.password] {
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0);
        message.push(length.ok_or_else(|| unusable("SOCKS5 takes user names and passwords of 1 to 255 bytes"))?);
        message.extend_from_slice(text.as_bytes());
    }
    Ok(message)
}

/// RFC 1928 section 4.
fn request(host: &str, port: u16) -> Result<Vec<u8>, Error> {
    let mut request = vec![VERSION, CONNECT, 0];
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match bare.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            let length = u8::try_from(bare.len()).ok().filter(|length| *length > 0);
            request.push(3);
            request.push(
                length.ok_or_else(|| unusable(format!("SOCKS5 takes host names of 1 to 255 bytes, not {host:?}")))?,
            );
            request.extend_from_slice(bare.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// RFC 1928 section 6.
fn told(code: u8) -> &'static str {
    match code {
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "an error without a name",
    }
}
