//! TLS with pre-shared keys instead of certificates, by `sori-dtls`.

use crate::error::{Error, ErrorKind};
use crate::peer::TlsFacts;
use crate::tls::client::{self, TlsClient};
use crate::tls::files::LoadError;
use crate::tls::key_log::KeyLogFile;
use crate::tls::listener::{self, ListenerTls};
use rustls::pki_types::ServerName;
use sori_dtls::{KeyLog, Keys, PskClient, PskConnection, PskServer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The rules of a listener whose clients have keys.
pub struct PskServerOptions {
    /// It is told to each client before it names itself. RFC 4279 section 5.2
    pub hint: String,
    /// Whose key is which.
    pub keys: Arc<dyn Keys>,
    /// The suites, as an OpenSSL list. Those without a key are left out of it.
    pub ciphers: Option<String>,
    /// Secrets are written there, for Wireshark.
    pub key_log: Option<PathBuf>,
}

/// The rules of a client that has a key.
#[derive(Default)]
pub struct PskClientOptions {
    /// Who it is.
    pub identity: String,
    /// Its key.
    pub key: Vec<u8>,
    /// The protocols that ALPN offers.
    pub alpn: Vec<Vec<u8>>,
    /// The suites, as an OpenSSL list. Those without a key are left out of it.
    pub ciphers: Option<String>,
    /// Secrets are written there, for Wireshark.
    pub key_log: Option<PathBuf>,
}

impl ListenerTls {
    /// A listener whose clients have keys instead of certificates. TLS 1.2 only.
    ///
    /// # Errors
    ///
    /// What cannot be used of the options, and why.
    pub fn with_keys(options: &PskServerOptions) -> Result<ListenerTls, LoadError> {
        let server = PskServer::new(sori_dtls::PskServerOptions {
            hint: &options.hint,
            keys: Arc::clone(&options.keys),
            ciphers: options.ciphers.as_deref(),
            key_log: key_log(options.key_log.as_deref())?,
        });
        Ok(ListenerTls::by(listener::By::Keys(Arc::new(server.map_err(unusable)?))))
    }
}

impl TlsClient {
    /// A client with a key instead of certificates: the server proves that it has the same one. TLS 1.2 only.
    ///
    /// # Errors
    ///
    /// What cannot be used of the options, and why.
    pub fn with_key(options: &PskClientOptions) -> Result<TlsClient, LoadError> {
        let client = PskClient::new(sori_dtls::PskClientOptions {
            identity: &options.identity,
            key: &options.key,
            ciphers: options.ciphers.as_deref(),
            alpn: &options.alpn,
            key_log: key_log(options.key_log.as_deref())?,
        });
        Ok(TlsClient::of(client::By::Key(Arc::new(client.map_err(unusable)?))))
    }
}

fn unusable(error: sori_dtls::Error) -> LoadError {
    LoadError::general(error.to_string())
}

fn key_log(path: Option<&Path>) -> Result<Option<KeyLog>, LoadError> {
    let file = path.map(KeyLogFile::open).transpose()?;
    Ok(file.map(|file| KeyLog(Arc::new(move |line: &str| file.write_line(line)))))
}

pub(crate) struct PskStage(PskConnection);

impl PskStage {
    pub(crate) fn server(server: &PskServer) -> Result<PskStage, Error> {
        server.accept().map(PskStage).map_err(told)
    }

    pub(crate) fn client(client: &PskClient, host: &str) -> Result<PskStage, Error> {
        // An address is no name that could be told. RFC 6066 section 3
        let is_name = matches!(ServerName::try_from(host), Ok(ServerName::DnsName(_)));
        client.connect(is_name.then_some(host)).map(PskStage).map_err(told)
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.0.is_ended()
    }

    pub(crate) fn alpn_protocol(&self) -> Option<&[u8]> {
        self.0.alpn_protocol()
    }

    pub(crate) fn facts(&self) -> TlsFacts {
        TlsFacts {
            version: self.0.version().into(),
            cipher: self.0.cipher().into(),
            certificate: None,
            psk_identity: self.0.identity().map(Box::from),
        }
    }

    pub(crate) fn begin(&mut self, output: &mut Vec<u8>) -> Result<(), Error> {
        self.0.begin(output).map_err(told)
    }

    pub(crate) fn receive(&mut self, wire: &[u8], plain: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<(), Error> {
        self.0.receive(wire, plain, output).map_err(told)
    }

    pub(crate) fn send(&mut self, plain: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        self.0.send(plain, output).map_err(told)
    }

    pub(crate) fn close(&mut self, output: &mut Vec<u8>) {
        self.0.close(output);
    }
}

fn told(error: sori_dtls::Error) -> Error {
    let kind = if error.is_local() { ErrorKind::Local } else { ErrorKind::Tls };
    Error::new(kind, error.to_string())
}
