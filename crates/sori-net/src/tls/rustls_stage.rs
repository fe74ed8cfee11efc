//! TLS with certificates, by rustls.
//!
//! rustls keeps no buffers here: it decrypts the caller's bytes in place, and only the beginning of a record that has not
//! come whole is kept. An idle connection thus costs its keys and little more.

use crate::error::{CertificateFault, Error, ErrorKind};
use crate::peer::TlsFacts;
use crate::tls::names::names_of;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{AlertDescription, CertificateError, ClientConfig, CommonState, ProtocolVersion, ServerConfig};
use std::sync::Arc;

/// Room for what a record adds to its contents, and for a key update before it.
const RECORD_OVERHEAD: usize = 64;
/// Contents of one record. RFC 8446 section 5.1
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// The beginning of a handshake message may be so long. rustls takes messages up to 64 KiB, which may come in pieces.
const PARTIAL_BYTES_MAX: usize = 96 * 1024;

enum Side {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

pub(crate) struct RustlsStage {
    side: Side,
    /// The beginning of a record or a handshake message that has not come whole.
    partial: Vec<u8>,
    is_ended: bool,
    is_closed: bool,
    /// It has refused something, and rustls is not to be asked again.
    has_failed: bool,
}

/// What is wanted of a connection that may send.
enum Errand<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    CloseNotify,
}

impl RustlsStage {
    pub(crate) fn server(config: Arc<ServerConfig>) -> Result<RustlsStage, Error> {
        Ok(RustlsStage::new(Side::Server(Box::new(UnbufferedServerConnection::new(config).map_err(told)?))))
    }

    pub(crate) fn client(config: Arc<ClientConfig>, host: &str) -> Result<RustlsStage, Error> {
        // The brackets of an IPv6 address belong to URLs only.
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| Error::new(ErrorKind::Local, format!("\"{host}\" is neither a host name nor an address")))?;
        let connection = UnbufferedClientConnection::new(config, name).map_err(told)?;
        Ok(RustlsStage::new(Side::Client(Box::new(connection))))
    }

    fn new(side: Side) -> RustlsStage {
        RustlsStage { side, partial: Vec::new(), is_ended: false, is_closed: false, has_failed: false }
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Server(connection) => connection,
            Side::Client(connection) => connection,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// The peer has said close_notify.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }

    pub(crate) fn alpn_protocol(&self) -> Option<&[u8]> {
        self.common().alpn_protocol()
    }

    /// What the handshake has shown.
    pub(crate) fn facts(&self) -> TlsFacts {
        let common = self.common();
        let version = match common.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "",
        };
        let cipher = common.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("");
        let certificate = common.peer_certificates().and_then(<[_]>::first);
        TlsFacts {
            version: version.into(),
            cipher: cipher.into(),
            certificate: certificate.map(|certificate| names_of(certificate).unwrap_or_default()),
            psk_identity: None,
        }
    }

    /// A client's first words.
    pub(crate) fn begin(&mut self, output: &mut Vec<u8>) -> Result<(), Error> {
        match self.side {
            Side::Server(_) => Ok(()),
            Side::Client(_) => self.process_partial(&mut Vec::new(), output, &Errand::Nothing),
        }
    }

    pub(crate) fn receive(&mut self, wire: &mut [u8], plain: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<(), Error> {
        if !self.partial.is_empty() {
            self.partial.extend_from_slice(wire);
            return self.process_partial(plain, output, &Errand::Nothing);
        }
        let used = self.process(wire, plain, output, &Errand::Nothing)?;
        self.keep(wire[used..].to_vec())
    }

    pub(crate) fn send(&mut self, plain: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        self.process_partial(&mut Vec::new(), output, &Errand::Encrypt(plain))
    }

    pub(crate) fn close(&mut self, output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_closed, true) {
            // Whoever cannot say good-bye goes without.
            let _ = self.process_partial(&mut Vec::new(), output, &Errand::CloseNotify);
        }
    }

    /// rustls remembers where in its input it stopped, so it is always shown the input that it has not used.
    fn process_partial(&mut self, plain: &mut Vec<u8>, output: &mut Vec<u8>, errand: &Errand<'_>) -> Result<(), Error> {
        let mut bytes = std::mem::take(&mut self.partial);
        let used = self.process(&mut bytes, plain, output, errand)?;
        bytes.drain(..used);
        if bytes.is_empty() { Ok(()) } else { self.keep(bytes) }
    }

    fn keep(&mut self, partial: Vec<u8>) -> Result<(), Error> {
        if partial.len() > PARTIAL_BYTES_MAX {
            return Err(Error::new(ErrorKind::Tls, "a handshake message in too many pieces"));
        }
        self.partial = partial;
        Ok(())
    }

    /// Let rustls work until it wants more bytes; gives how many of `wire` it needs no longer.
    fn process(
        &mut self,
        wire: &mut [u8],
        plain: &mut Vec<u8>,
        output: &mut Vec<u8>,
        errand: &Errand<'_>,
    ) -> Result<usize, Error> {
        if self.has_failed {
            return Err(Error::new(ErrorKind::Tls, "this connection has failed before"));
        }
        let outcome = match &mut self.side {
            Side::Server(connection) => process(&mut **connection, wire, plain, output, errand, &mut self.is_ended),
            Side::Client(connection) => process(&mut **connection, wire, plain, output, errand, &mut self.is_ended),
        };
        self.has_failed = outcome.is_err();
        outcome
    }
}

fn told(error: rustls::Error) -> Error {
    let mut text = error.to_string();
    // The verifier's own error has no type here.
    if text.contains("UnsupportedCertVersion") {
        text.push_str(
            ": it is of X.509 version 1, which cannot say what it is for; its CA has to sign it again as version 3 \
             (sori certs client NAME, or openssl x509 -req -extfile)",
        );
    }
    Error::new(told_kind(&error), text).with_fault(fault_of(&error))
}

fn told_kind(error: &rustls::Error) -> ErrorKind {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => ErrorKind::Certificate,
        rustls::Error::InvalidCertRevocationList(_) => ErrorKind::Certificate,
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateRequired,
        ) => ErrorKind::Certificate,
        rustls::Error::FailedToGetRandomBytes | rustls::Error::FailedToGetCurrentTime => ErrorKind::Local,
        _ => ErrorKind::Tls,
    }
}

/// Which of the usual causes it is.
fn fault_of(error: &rustls::Error) -> Option<CertificateFault> {
    Some(match error {
        rustls::Error::InvalidCertificate(cause) => match cause {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                CertificateFault::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                CertificateFault::OtherName
            }
            // An end entity's certificate that is a CA's comes from nobody, too.
            CertificateError::UnknownIssuer | CertificateError::Other(_) => CertificateFault::NotTrusted,
            CertificateError::Revoked => CertificateFault::Revoked,
            _ => return None,
        },
        rustls::Error::AlertReceived(_) if told_kind(error) == ErrorKind::Certificate => CertificateFault::Refused,
        _ => return None,
    })
}

/// The one method that both sides of rustls have and no trait of its own has.
trait Records {
    type Data;

    fn step<'c, 'i>(&'c mut self, wire: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn has_output(&self) -> bool;
}

impl Records for UnbufferedServerConnection {
    type Data = rustls::server::ServerConnectionData;

    fn step<'c, 'i>(&'c mut self, wire: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(wire)
    }

    fn has_output(&self) -> bool {
        self.wants_write()
    }
}

impl Records for UnbufferedClientConnection {
    type Data = rustls::client::ClientConnectionData;

    fn step<'c, 'i>(&'c mut self, wire: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(wire)
    }

    fn has_output(&self) -> bool {
        self.wants_write()
    }
}

fn process<R: Records>(
    connection: &mut R,
    wire: &mut [u8],
    plain: &mut Vec<u8>,
    output: &mut Vec<u8>,
    errand: &Errand<'_>,
    is_ended: &mut bool,
) -> Result<usize, Error> {
    let mut used = 0;
    loop {
        let UnbufferedStatus { mut discard, state, .. } = connection.step(&mut wire[used..]);
        let mut is_done = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(told)?;
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(output, RECORD_OVERHEAD, |room| match data.encode(room) {
                    Ok(count) => Ok(count),
                    Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                        Err(Some(required_size))
                    }
                    Err(EncodeError::AlreadyEncoded) => Err(None),
                })?;
            }
            // What was encoded stands in the output, which is transmitted before anything that comes later.
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => *is_ended = true,
            Ok(ConnectionState::WriteTraffic(traffic)) => {
                run_errand(traffic, errand, output)?;
                is_done = true;
            }
            // BlockedHandshake, Closed; early data is never offered or taken.
            Ok(_) => is_done = true,
            Err(error) => {
                used += discard;
                encode_alert(connection, &mut wire[used..], output);
                return Err(told(error));
            }
        }
        used += discard;
        if is_done {
            return Ok(used);
        }
    }
}

fn run_errand<D>(mut traffic: WriteTraffic<'_, D>, errand: &Errand<'_>, output: &mut Vec<u8>) -> Result<(), Error> {
    let room_wanted = match errand {
        Errand::Nothing => return Ok(()),
        Errand::Encrypt(plain) => plain.len() + (plain.len() / RECORD_BYTES_MAX + 2) * RECORD_OVERHEAD,
        Errand::CloseNotify => RECORD_OVERHEAD,
    };
    append(output, room_wanted, |room| {
        let written = match errand {
            Errand::Encrypt(plain) => traffic.encrypt(plain, room),
            _ => traffic.queue_close_notify(room),
        };
        written.map_err(|error| match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => Some(required_size),
            EncryptError::EncryptExhausted => None,
        })
    })
}

/// After an error, what rustls wants to tell the peer.
fn encode_alert<R: Records>(connection: &mut R, wire: &mut [u8], output: &mut Vec<u8>) {
    // Once nothing is left to be sent, rustls would read the bytes again that it has refused.
    while connection.has_output()
        && let Ok(ConnectionState::EncodeTlsData(mut data)) = connection.step(wire).state
    {
        let appended = append(output, RECORD_OVERHEAD, |room| match data.encode(room) {
            Ok(count) => Ok(count),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => Err(Some(required_size)),
            Err(EncodeError::AlreadyEncoded) => Err(None),
        });
        if appended.is_err() {
            return;
        }
    }
}

/// Append what `write` writes, which tells how much room it needs when it has too little.
fn append(
    output: &mut Vec<u8>,
    room_first: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let start = output.len();
    let mut room = room_first;
    // The second attempt has the room that the first one asked for.
    for _ in 0..2 {
        output.resize(start + room, 0);
        match write(&mut output[start..]) {
            Ok(count) => {
                output.truncate(start + count);
                return Ok(());
            }
            Err(Some(needed)) => room = needed,
            Err(None) => break,
        }
    }
    output.truncate(start);
    Err(Error::new(ErrorKind::Tls, "the keys of this connection are used up"))
}
