//! The one value that a caller drives: stages between MQTT and the network.

use crate::error::{Error, ErrorKind};
use crate::output::Output;
use crate::peer::Peer;
use crate::proxy::{Proxy, ProxyClient};
use crate::proxy_protocol::{HeaderReader, ProxyProtocol};
#[cfg(feature = "tls")]
use crate::tls::{ListenerTls, TlsClient, TlsStage};
#[cfg(feature = "websocket")]
use crate::websocket::{WebSocketClient, WebSocketServer, WebSocketStage};
use std::io::IoSlice;
#[cfg(feature = "websocket")]
use std::net::IpAddr;
#[cfg(feature = "websocket")]
use std::sync::Arc;

/// While so much waits to be written, [`Transport::send`] takes nothing, so that a peer that does not read costs no more.
pub(crate) const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Bytes that [`Transport::send`] takes at once.
pub(crate) const SEND_BYTES_MAX: usize = 64 * 1024;

/// The way between an MQTT connection and the network: bytes in, bytes out.
///
/// # How it is driven
///
/// Whatever the caller's sockets are, the steps are these, in any order and as often as they apply:
///
/// 1. *Write what waits.* [`output`](Self::output) is for the network; tell with [`sent`](Self::sent) how much has left. There
///    may be some after each other call, and on the client's side already at the beginning.
/// 2. *Read.* Give what came from the network to [`receive`](Self::receive), cut anywhere. MQTT's bytes are appended to the
///    caller's buffer, never more of them than came from the network. At the network's end call
///    [`receive_end`](Self::receive_end).
/// 3. *Send.* Once [`is_open`](Self::is_open), MQTT's bytes go into [`send`](Self::send), which says how many it has taken: none while
///    the handshake goes on or too much output waits. What it has taken is output.
/// 4. *Close.* [`close`](Self::close) appends the good-byes of all stages to the output. Write it, then shut the socket down. When
///    the other side has said good-bye, [`is_ended`](Self::is_ended): it sends nothing more.
///
/// A time limit for the handshake is the caller's: it is over when the transport is open.
///
/// # Errors
///
/// After an [`Error`] nothing but the output is of use: it may hold last words, which say why to the peer.
pub struct Transport {
    /// What comes before everything else, once.
    preamble: Option<Box<Preamble>>,
    #[cfg(feature = "tls")]
    tls: Option<Box<TlsStage>>,
    #[cfg(feature = "websocket")]
    websocket: Option<Box<WebSocketStage>>,
    output: Output,
    peer: Box<Peer>,
    is_closing: bool,
}

enum Preamble {
    Header(HeaderReader),
    Proxy(ProxyClient),
}

impl Transport {
    /// Nothing between MQTT and the network. Stages are added from the network inwards.
    pub fn plain() -> Transport {
        Transport {
            preamble: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "websocket")]
            websocket: None,
            output: Output::default(),
            peer: Box::default(),
            is_closing: false,
        }
    }

    /// A server's first stage: the connection begins with a header of the PROXY protocol.
    #[must_use]
    pub fn proxy_protocol(mut self, rules: ProxyProtocol) -> Transport {
        self.preamble = Some(Box::new(Preamble::Header(HeaderReader::new(rules))));
        self
    }

    /// A client's first stage: a proxy is asked for the way to `host` and `port`.
    ///
    /// # Errors
    ///
    /// The name or the credentials are too long for the proxy's protocol.
    pub fn through(mut self, proxy: &Proxy, host: &str, port: u16) -> Result<Transport, Error> {
        let client = ProxyClient::begin(proxy, host, port, self.output.end())?;
        self.preamble = Some(Box::new(Preamble::Proxy(client)));
        Ok(self)
    }

    /// TLS, the server's side.
    ///
    /// # Errors
    ///
    /// The machine failed.
    #[cfg(feature = "tls")]
    pub fn tls_server(mut self, tls: &ListenerTls) -> Result<Transport, Error> {
        self.tls = Some(Box::new(TlsStage::server(tls)?));
        Ok(self)
    }

    /// TLS, the client's side. `host` is the name or address that the server's certificate is to have.
    ///
    /// # Errors
    ///
    /// `host` is neither a name nor an address.
    #[cfg(feature = "tls")]
    pub fn tls_client(mut self, tls: &TlsClient, host: &str) -> Result<Transport, Error> {
        self.tls = Some(Box::new(TlsStage::client(tls, host)?));
        self.begin()?;
        Ok(self)
    }

    /// WebSocket, the server's side. `from` is where the connection comes from: `X-Forwarded-For` is believed only of
    /// [trusted proxies](WebSocketServer::trusted_proxies).
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket_server(mut self, server: Arc<WebSocketServer>, from: Option<IpAddr>) -> Transport {
        self.websocket = Some(Box::new(WebSocketStage::server(server, from)));
        self
    }

    /// WebSocket, the client's side.
    ///
    /// # Errors
    ///
    /// The host, the path or a header cannot stand in a request, or the machine gives no random numbers.
    #[cfg(feature = "websocket")]
    pub fn websocket_client(mut self, client: &WebSocketClient) -> Result<Transport, Error> {
        self.websocket = Some(Box::new(WebSocketStage::client(client)?));
        self.begin()?;
        Ok(self)
    }

    /// May MQTT's bytes be sent? It begins when all handshakes are done and ends with [`close`](Self::close).
    pub fn is_open(&self) -> bool {
        self.is_through() && !self.is_closing
    }

    /// Has the other side said that it sends nothing more?
    pub fn is_ended(&self) -> bool {
        let is_ended = false;
        #[cfg(feature = "tls")]
        let is_ended = is_ended || self.tls.as_ref().is_some_and(|tls| tls.is_ended());
        #[cfg(feature = "websocket")]
        let is_ended = is_ended || self.websocket.as_ref().is_some_and(|websocket| websocket.is_ended());
        is_ended
    }

    /// What is known of the other side.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What the server chose of the names that TLS's ALPN offered.
    #[cfg(feature = "tls")]
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.tls.as_ref().and_then(|tls| tls.alpn_protocol())
    }

    /// What waits to be written to the network.
    pub fn output(&self) -> &[u8] {
        self.output.waiting()
    }

    /// The first `count` bytes of the output have been written.
    pub fn sent(&mut self, count: usize) {
        self.output.sent(count);
    }

    /// Bytes came from the network, cut anywhere. They may be overwritten (TLS decrypts in place). MQTT's bytes are
    /// appended to `plain`.
    ///
    /// # Errors
    ///
    /// The other side has not kept to one of the protocols, or has refused. What was appended to `plain` before is good.
    pub fn receive(&mut self, wire: &mut [u8], plain: &mut Vec<u8>) -> Result<(), Error> {
        let mut wire = wire;
        if let Some(preamble) = &mut self.preamble {
            let taken = match &mut **preamble {
                Preamble::Header(reader) => reader.receive(wire, &mut self.peer)?,
                Preamble::Proxy(client) => client.receive(wire, self.output.end())?,
            };
            let Some(taken) = taken else { return Ok(()) };
            self.preamble = None;
            self.begin()?;
            wire = &mut wire[taken..];
            if wire.is_empty() {
                return Ok(());
            }
        }
        self.receive_behind_preamble(wire, plain)
    }

    #[cfg(feature = "tls")]
    fn receive_behind_preamble(&mut self, wire: &mut [u8], plain: &mut Vec<u8>) -> Result<(), Error> {
        let Some(tls) = &mut self.tls else { return self.receive_decrypted(wire, plain) };
        let was_handshaking = tls.is_handshaking();
        #[cfg(feature = "websocket")]
        let has_more_stages = self.websocket.is_some();
        #[cfg(not(feature = "websocket"))]
        let has_more_stages = false;
        let mut between = Vec::new();
        let decrypted = if has_more_stages { &mut between } else { &mut *plain };
        let outcome = tls.receive(wire, decrypted, self.output.end());
        if was_handshaking && !tls.is_handshaking() {
            self.peer.tls = Some(tls.facts());
            self.begin_websocket()?;
        }
        if !between.is_empty() {
            self.receive_decrypted(&mut between, plain)?;
        }
        outcome
    }

    #[cfg(not(feature = "tls"))]
    fn receive_behind_preamble(&mut self, wire: &mut [u8], plain: &mut Vec<u8>) -> Result<(), Error> {
        self.receive_decrypted(wire, plain)
    }

    fn receive_decrypted(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> Result<(), Error> {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            let mut answer = Vec::new();
            let may_answer = self.output.len() < OUTPUT_BYTES_MAX;
            let outcome = websocket.receive(bytes, plain, &mut answer, may_answer, &mut self.peer);
            self.put_out(&answer)?;
            return outcome;
        }
        plain.extend_from_slice(bytes);
        Ok(())
    }

    /// The network has ended: nothing more comes.
    ///
    /// # Errors
    ///
    /// The other side has not said so by its protocol before, so something may be missing ([`ErrorKind::Truncated`]); a proxy
    /// has not opened the way ([`ErrorKind::Proxy`]).
    pub fn receive_end(&mut self) -> Result<(), Error> {
        if matches!(self.preamble.as_deref(), Some(Preamble::Proxy(_))) {
            return Err(Error::new(ErrorKind::Proxy, "the proxy closed the connection"));
        }
        if !self.is_through() {
            return Err(Error::new(ErrorKind::Truncated, "the connection was closed during the handshake"));
        }
        #[cfg(feature = "tls")]
        if self.tls.as_ref().is_some_and(|tls| !tls.is_ended()) {
            return Err(Error::new(ErrorKind::Truncated, "the connection was closed without TLS's close_notify"));
        }
        Ok(())
    }

    /// MQTT's bytes; gives how many were taken.
    pub fn send(&mut self, plain: &[u8]) -> usize {
        self.send_pieces(&[IoSlice::new(plain)])
    }

    /// MQTT's bytes in pieces, one behind the other; gives how many were taken.
    pub fn send_pieces(&mut self, pieces: &[IoSlice<'_>]) -> usize {
        if !self.is_open() || self.output.len() >= OUTPUT_BYTES_MAX {
            return 0;
        }
        match pieces {
            [] => 0,
            [one] => self.send_bytes(&one[..one.len().min(SEND_BYTES_MAX)]),
            _ => {
                let mut bytes = Vec::new();
                for piece in pieces {
                    let room = SEND_BYTES_MAX - bytes.len();
                    bytes.extend_from_slice(&piece[..piece.len().min(room)]);
                }
                self.send_bytes(&bytes)
            }
        }
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            #[cfg(feature = "tls")]
            if self.tls.is_some() {
                let mut frame = Vec::new();
                websocket.send(bytes, &mut frame);
                return if self.put_out(&frame).is_ok() { bytes.len() } else { 0 };
            }
            websocket.send(bytes, self.output.end());
            return bytes.len();
        }
        if self.put_out(bytes).is_ok() { bytes.len() } else { 0 }
    }

    /// Nothing more is sent: say good-bye in all stages. Calling it again does nothing.
    pub fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closing, true) && self.preamble.is_none() {
            self.say_good_bye();
        }
    }

    fn say_good_bye(&mut self) {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            let mut frame = Vec::new();
            websocket.close(&mut frame);
            // A connection that cannot encrypt any more has no good-bye left to say.
            let _ = self.put_out(&frame);
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.close(self.output.end());
        }
    }

    /// Are all handshakes done?
    fn is_through(&self) -> bool {
        let is_through = self.preamble.is_none();
        #[cfg(feature = "tls")]
        let is_through = is_through && self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking());
        #[cfg(feature = "websocket")]
        let is_through = is_through && self.websocket.as_ref().is_none_or(|websocket| websocket.is_open());
        is_through
    }

    /// A client speaks first, as soon as what is before its stage is through.
    fn begin(&mut self) -> Result<(), Error> {
        if self.preamble.is_some() {
            return Ok(());
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.begin(self.output.end())?;
            if tls.is_handshaking() {
                return Ok(());
            }
        }
        self.begin_websocket()
    }

    fn begin_websocket(&mut self) -> Result<(), Error> {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            let mut request = Vec::new();
            websocket.begin(&mut request);
            return self.put_out(&request);
        }
        Ok(())
    }

    /// Bytes behind all other stages: through TLS, if there is TLS, to the network.
    fn put_out(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.send(bytes, self.output.end());
        }
        self.output.end().extend_from_slice(bytes);
        Ok(())
    }
}

impl core::fmt::Debug for Transport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Transport").field("is_open", &self.is_open()).field("peer", &self.peer).finish_non_exhaustive()
    }
}
