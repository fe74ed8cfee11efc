//! A connection behind a transport: what comes from its socket is not yet MQTT.

use crate::config::TransportConfig;
use crate::psk::Keyring;
use crate::socket::Stream;
use sori_broker::Introduction;
use sori_net::{Error, ErrorKind, Peer, ProxiedAddress, Transport};
use std::io::{self, IoSlice};
use std::net::SocketAddr;

/// Which name in a certificate is the user name. The identity of a key counts as a Common Name.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Naming {
    /// None: the client says it.
    Nothing,
    CommonName,
    Subject,
}

impl Naming {
    pub(crate) fn of(transport: &TransportConfig) -> Naming {
        match transport.names_its_clients() {
            false => Naming::Nothing,
            // It wins, as in Mosquitto.
            true if transport.use_identity_as_username => Naming::CommonName,
            true => Naming::Subject,
        }
    }
}

pub(crate) struct Carried {
    /// The socket itself.
    socket: Stream,
    transport: Transport,
    naming: Naming,
    /// The keys that counted when it was accepted.
    keyring: Option<Keyring>,
    is_introduced: bool,
}

/// What reading once has brought.
pub(crate) struct Received {
    /// The socket holds nothing more for now.
    pub(crate) is_drained: bool,
    /// Why nothing more will come.
    pub(crate) end: Option<End>,
}

pub(crate) enum End {
    /// The peer has closed the connection, or has said good-bye.
    ByPeer,
    /// The socket failed; the system's words.
    Socket(String),
    /// A stage has refused the peer, and its last words wait to be written.
    Refused {
        why: String,
        /// Mosquitto's line about it, where it has one.
        line: Option<String>,
    },
}

/// What Mosquitto says when it has no name for a client and no address.
const UNREADABLE: &str = "Client (null) [(null):0] disconnected: bad socket read/write: Invalid input";

impl Carried {
    pub(crate) fn new(socket: Stream, transport: Transport, naming: Naming, keyring: Option<Keyring>) -> Carried {
        Carried { socket, transport, naming, keyring, is_introduced: false }
    }

    /// Whose key the client has shown, and where that key was found.
    pub(crate) fn shown_key(&self) -> Option<(&str, &Keyring)> {
        let identity = self.transport.peer().tls.as_ref()?.psk_identity.as_deref()?;
        Some((identity, self.keyring.as_ref()?))
    }

    /// Read once from the socket; `buffer` is for what comes, MQTT's bytes are appended to `plain`.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], plain: &mut Vec<u8>) -> Received {
        let count = match self.socket.read(buffer) {
            Ok(0) => return Received { is_drained: true, end: Some(End::ByPeer) },
            Ok(count) => count,
            Err(error) => {
                let is_drained = error.kind() != io::ErrorKind::Interrupted;
                let is_fatal = !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                return Received { is_drained, end: is_fatal.then(|| End::Socket(error.to_string())) };
            }
        };
        let is_drained = count < buffer.len();
        let end = match self.transport.receive(&mut buffer[..count], plain) {
            Ok(()) => self.transport.is_ended().then_some(End::ByPeer),
            Err(error) => Some(End::Refused { why: error.to_string(), line: self.rejection(&error) }),
        };
        Received { is_drained, end }
    }

    fn rejection(&self, error: &Error) -> Option<String> {
        if !matches!(error.kind(), ErrorKind::ProxyProtocol | ErrorKind::ProxyRefused) {
            return None;
        }
        let from = self.transport.peer().address.as_ref().map(|address| format!(" from {}", told(address)));
        let line = format!("Connection{} rejected, {error}.", from.unwrap_or_default());
        // Who looks for Mosquitto's words about a header that it cannot read finds either of its two lines.
        let is_unreadable = error.kind() == ErrorKind::ProxyProtocol;
        Some(if is_unreadable { format!("{line} {UNREADABLE}") } else { line })
    }

    /// Mosquitto's line about the TLS that a proxy has told of.
    pub(crate) fn negotiated(&self) -> Option<String> {
        let Peer { address: Some(address), tls: Some(tls), .. } = self.transport.peer() else { return None };
        let is_told = !tls.version.is_empty() && !tls.cipher.is_empty();
        is_told.then(|| format!("Connection from {} negotiated {} cipher {}", told(address), tls.version, tls.cipher))
    }

    /// Read once from the socket and throw it away.
    pub(crate) fn read_past(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }

    /// Once, when all handshakes are done: what they have shown of the client.
    pub(crate) fn introduction(&mut self) -> Option<Introduction> {
        if self.is_introduced || !self.transport.is_open() {
            return None;
        }
        self.is_introduced = true;
        Some(introduction(self.transport.peer(), self.naming))
    }

    /// Write the pieces one after the other, as far as the transport takes them; what it has taken leaves with
    /// [`flush`](Carried::flush).
    pub(crate) fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush()?;
        if self.has_output() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.transport.send_pieces(pieces);
        self.flush()?;
        Ok(taken)
    }

    /// Write what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.has_output() {
            match self.socket.write(&[IoSlice::new(self.transport.output())]) {
                Ok(count) => self.transport.sent(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.transport.output().is_empty()
    }

    /// The good-byes of all stages, as far as the socket takes them now.
    pub(crate) fn say_good_bye(&mut self) {
        self.transport.close();
        // The peer may be gone already, which is as good.
        let _ = self.flush();
    }

    pub(crate) fn socket(&mut self) -> &mut Stream {
        &mut self.socket
    }
}

/// As Mosquitto writes it: without brackets around IPv6.
fn told(address: &ProxiedAddress) -> String {
    match address {
        ProxiedAddress::Ip(address) => format!("{}:{}", address.ip(), address.port()),
        ProxiedAddress::Unix(path) => format!("{path}:0"),
    }
}

fn introduction(peer: &Peer, naming: Naming) -> Introduction {
    let proxied = peer.address.as_ref().map(told);
    // What the proxy nearest to the client has said counts.
    let forwarded = peer.forwarded_for.map(|address| SocketAddr::new(address, 0).to_string());
    let tls = peer.tls.as_ref();
    let names = tls.and_then(|tls| tls.certificate.as_ref());
    let identity = tls.and_then(|tls| tls.psk_identity.clone());
    let user_name = match naming {
        Naming::Nothing => None,
        Naming::CommonName => identity.or_else(|| names?.common_name.clone()),
        Naming::Subject => names.and_then(|names| names.subject.clone()),
    };
    Introduction { address: forwarded.or(proxied).map(Box::from), user_name: user_name.filter(|name| !name.is_empty()) }
}
