//! The PROXY protocol, versions 1 and 2: a proxy says in front of everything else whom it speaks for.
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>
//!
//! Whoever can connect to such a listener can claim to be anybody: only the proxy may reach it.

mod v1;
mod v2;

use crate::error::{Error, ErrorKind};
use crate::peer::Peer;

/// What is wanted of a header.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Bytes.
    V2 {
        /// The client must have come to the proxy by TLS.
        require_tls: bool,
        /// The client must have shown the proxy a certificate, and the proxy must have verified it.
        require_certificate: bool,
    },
}

/// Collects a header that comes in pieces.
pub(crate) struct HeaderReader {
    rules: ProxyProtocol,
    bytes: Vec<u8>,
}

/// What the bytes until now are.
enum Parsed {
    Partial,
    /// A whole header, so many bytes long.
    Whole(usize),
}

impl HeaderReader {
    pub(crate) fn new(rules: ProxyProtocol) -> HeaderReader {
        HeaderReader { rules, bytes: Vec::new() }
    }

    /// Gives how many bytes of the piece belong to the header, once it is whole.
    pub(crate) fn receive(&mut self, piece: &[u8], peer: &mut Peer) -> Result<Option<usize>, Error> {
        let before = self.bytes.len();
        let most = match self.rules {
            ProxyProtocol::V1 => v1::BYTES_MAX,
            ProxyProtocol::V2 { .. } => v2::BYTES_MAX,
        };
        self.bytes.extend_from_slice(&piece[..piece.len().min(most - before)]);
        let parsed = match self.rules {
            ProxyProtocol::V1 => v1::parse(&self.bytes, peer)?,
            ProxyProtocol::V2 { .. } => v2::parse(&self.bytes, peer)?,
        };
        match parsed {
            Parsed::Partial => Ok(None),
            Parsed::Whole(length) => {
                self.check(peer)?;
                Ok(Some(length - before))
            }
        }
    }

    fn check(&self, peer: &Peer) -> Result<(), Error> {
        let ProxyProtocol::V2 { require_tls, require_certificate } = self.rules else { return Ok(()) };
        if require_tls && peer.tls.is_none() {
            return Err(refused("client did not connect using TLS"));
        }
        if require_certificate && peer.tls.as_ref().is_none_or(|tls| tls.certificate.is_none()) {
            return Err(refused("client did not provide a certificate"));
        }
        Ok(())
    }
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::ProxyRefused, what)
}

fn corrupt() -> Error {
    Error::new(ErrorKind::ProxyProtocol, "corrupt PROXY header")
}
