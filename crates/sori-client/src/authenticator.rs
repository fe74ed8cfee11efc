//! Enhanced authentication of MQTT 5.0, section 4.12: a method of one's own, such as SCRAM, in the place of a password.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// One method of enhanced authentication, and what this client knows for it.
///
/// ```text
///   client                                   server
///     │ ── CONNECT  method, start ────────────► │     or AUTH 0x19, to authenticate again
///     │ ◄─ AUTH 0x18  data ──────────────────── │  ┐
///     │ ── AUTH 0x18  what it is answered ────► │  ┘  as often as the method wants
///     │ ◄─ CONNACK  data ────────────────────── │     or AUTH 0; `finish` looks at the data
/// ```
///
/// The exchange begins anew with each connection. It is asked by the task that drives the connection, which waits for it:
/// what takes long is done before. It may use the client.
pub trait Authenticator: Send + 'static {
    /// The name of the method, such as `SCRAM-SHA-256`; always the same.
    fn method(&self) -> &str;

    /// An exchange begins. Gives the first data, if the method lets the client begin.
    fn start(&mut self) -> Option<Vec<u8>>;

    /// The server wants to know more. Gives the answer.
    ///
    /// # Errors
    /// What is wrong with that; the connection ends with [`Error::Authentication`](crate::Error::Authentication).
    fn answer(&mut self, data: Option<&[u8]>) -> Result<Option<Vec<u8>>, String>;

    /// The server has let this client in. With many methods its last data prove that it is the right server; until this has
    /// returned nothing else is said to it.
    ///
    /// # Errors
    /// It is not; the connection ends with [`Error::Authentication`](crate::Error::Authentication).
    fn finish(&mut self, data: Option<&[u8]>) -> Result<(), String>;
}

/// What the authenticator is to be asked, when nothing is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Start,
    Challenge(Option<Vec<u8>>),
    Finish(Option<Vec<u8>>),
}

/// What it says: data, if there are any.
pub(crate) type Answer = Result<Option<Vec<u8>>, String>;

/// The authenticator of a client, for the task that drives it.
#[derive(Clone)]
pub(crate) struct Asked(Arc<Mutex<dyn Authenticator>>);

impl Asked {
    pub(crate) fn new(authenticator: impl Authenticator) -> Self {
        Self(Arc::new(Mutex::new(authenticator)))
    }

    pub(crate) fn method(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).method().to_owned()
    }

    pub(crate) fn answer(&self, question: &Question) -> Answer {
        let mut authenticator = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match question {
            Question::Start => Ok(authenticator.start()),
            Question::Challenge(data) => authenticator.answer(data.as_deref()),
            Question::Finish(data) => authenticator.finish(data.as_deref()).map(|()| None),
        }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator")
    }
}
