//! TLS as a stage: records in, plain bytes out, by whichever library does it.

use crate::error::Error;
use crate::peer::TlsFacts;
use crate::tls::client::{self, TlsClient};
use crate::tls::listener::{self, ListenerTls};
#[cfg(feature = "psk")]
use crate::tls::psk::PskStage;
use crate::tls::rustls_stage::RustlsStage;

pub(crate) enum TlsStage {
    /// With certificates.
    Rustls(RustlsStage),
    /// With pre-shared keys.
    #[cfg(feature = "psk")]
    Psk(PskStage),
}

/// The same method of whichever stage it is.
macro_rules! of {
    ($stage:expr, $inner:ident => $call:expr) => {
        match $stage {
            TlsStage::Rustls($inner) => $call,
            #[cfg(feature = "psk")]
            TlsStage::Psk($inner) => $call,
        }
    };
}

impl TlsStage {
    pub(crate) fn server(tls: &ListenerTls) -> Result<TlsStage, Error> {
        Ok(match tls.current() {
            listener::By::Certificate(config) => TlsStage::Rustls(RustlsStage::server(config)?),
            #[cfg(feature = "psk")]
            listener::By::Keys(server) => TlsStage::Psk(PskStage::server(&server)?),
        })
    }

    pub(crate) fn client(tls: &TlsClient, host: &str) -> Result<TlsStage, Error> {
        Ok(match tls.by() {
            client::By::Certificate(config) => TlsStage::Rustls(RustlsStage::client(config, host)?),
            #[cfg(feature = "psk")]
            client::By::Key(client) => TlsStage::Psk(PskStage::client(&client, host)?),
        })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        of!(self, stage => stage.is_handshaking())
    }

    /// The peer has said close_notify.
    pub(crate) fn is_ended(&self) -> bool {
        of!(self, stage => stage.is_ended())
    }

    pub(crate) fn alpn_protocol(&self) -> Option<&[u8]> {
        of!(self, stage => stage.alpn_protocol())
    }

    /// What the handshake has shown.
    pub(crate) fn facts(&self) -> TlsFacts {
        of!(self, stage => stage.facts())
    }

    /// A client's first words.
    pub(crate) fn begin(&mut self, output: &mut Vec<u8>) -> Result<(), Error> {
        of!(self, stage => stage.begin(output))
    }

    pub(crate) fn receive(&mut self, wire: &mut [u8], plain: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<(), Error> {
        of!(self, stage => stage.receive(wire, plain, output))
    }

    pub(crate) fn send(&mut self, plain: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        of!(self, stage => stage.send(plain, output))
    }

    pub(crate) fn close(&mut self, output: &mut Vec<u8>) {
        of!(self, stage => stage.close(output));
    }
}
