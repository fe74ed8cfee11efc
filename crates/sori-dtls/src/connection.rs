//! One connection: records in, plain bytes out.

use crate::error::Error;
use crate::wire::Wire;
use core::fmt;
use openssl::ssl::{self, ErrorCode, Ssl, SslRef, SslStream};

/// Room for what is decrypted at once.
const READ_BYTES: usize = 4096;

/// A connection of either side.
///
/// 1. On the client's side call [`begin`](Self::begin) once. Whatever is appended to an `output` is for the network.
/// 2. Give what came from the network to [`receive`](Self::receive), cut anywhere.
/// 3. Once it is not [handshaking](Self::is_handshaking) any more, plain bytes go into [`send`](Self::send).
/// 4. [`close`](Self::close) says good-bye. When the other side has done so, the connection [is ended](Self::is_ended).
///
/// After an [`Error`] nothing but the output is of use.
pub struct PskConnection {
    stream: SslStream<Wire>,
    is_ended: bool,
    is_closed: bool,
    has_failed: bool,
}

impl PskConnection {
    pub(crate) fn new(ssl: Ssl) -> Result<PskConnection, Error> {
        let stream = SslStream::new(ssl, Wire::default())?;
        Ok(PskConnection { stream, is_ended: false, is_closed: false, has_failed: false })
    }

    /// A client's first words.
    ///
    /// # Errors
    ///
    /// The machine failed.
    pub fn begin(&mut self, output: &mut Vec<u8>) -> Result<(), Error> {
        self.receive(&[], &mut Vec::new(), output)
    }

    /// Bytes came from the network. Plain bytes are appended to `plain`, also before an error.
    ///
    /// # Errors
    ///
    /// The other side has no key or another one, or has broken the protocol.
    pub fn receive(&mut self, wire: &[u8], plain: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<(), Error> {
        if self.has_failed {
            return Err(Error::peer("this connection has failed before"));
        }
        self.stream.get_mut().arrive(wire);
        let outcome = self.read(plain);
        self.stream.get_mut().depart(output);
        self.has_failed = outcome.is_err();
        outcome.map_err(|error| Error::of(&error, self.stream.ssl()))
    }

    /// Until OpenSSL wants more than has come.
    fn read(&mut self, plain: &mut Vec<u8>) -> Result<(), ssl::Error> {
        if self.is_handshaking() {
            match self.stream.do_handshake() {
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                outcome => outcome?,
            }
        }
        loop {
            let start = plain.len();
            plain.resize(start + READ_BYTES, 0);
            let outcome = self.stream.ssl_read(&mut plain[start..]);
            plain.truncate(start + outcome.as_ref().copied().unwrap_or(0));
            match outcome {
                Ok(_) => {}
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    self.is_ended = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Plain bytes, all of which become output.
    ///
    /// # Errors
    ///
    /// The handshake goes on, or the connection has failed or is closed.
    pub fn send(&mut self, plain: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        if self.has_failed || self.is_closed || self.is_handshaking() {
            return Err(Error::local("nothing can be sent before the handshake is done or after the end"));
        }
        let mut rest = plain;
        let mut outcome = Ok(());
        while !rest.is_empty() && outcome.is_ok() {
            outcome = self.stream.ssl_write(rest).map(|count| rest = rest.get(count..).unwrap_or_default());
        }
        self.stream.get_mut().depart(output);
        self.has_failed = outcome.is_err();
        outcome.map_err(|error| Error::of(&error, self.stream.ssl()))
    }

    /// Nothing more is sent. Calling it again does nothing.
    pub fn close(&mut self, output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_closed, true) && !self.has_failed {
            // Whoever cannot say good-bye goes without.
            let _ = self.stream.shutdown();
            self.stream.get_mut().depart(output);
        }
    }

    /// Is it not yet known who is there?
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        !self.ssl().is_init_finished()
    }

    /// Has the other side said that it sends nothing more?
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whose key was shown, once the handshake is done.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        if self.is_handshaking() {
            return None;
        }
        std::str::from_utf8(self.ssl().psk_identity()?).ok()
    }

    /// The version, as OpenSSL names it: `TLSv1.2`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.ssl().version_str()
    }

    /// The cipher suite, by its name of the standard.
    #[must_use]
    pub fn cipher(&self) -> &'static str {
        self.ssl().current_cipher().and_then(|cipher| cipher.standard_name()).unwrap_or("")
    }

    /// What the server chose of the names that ALPN offered.
    #[must_use]
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.ssl().selected_alpn_protocol()
    }

    fn ssl(&self) -> &SslRef {
        self.stream.ssl()
    }
}

impl fmt::Debug for PskConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskConnection").field("is_handshaking", &self.is_handshaking()).finish_non_exhaustive()
    }
}
