//! How a command ends when it does not succeed: a sentence with advice, and an exit status.

use std::process::ExitCode;

use sori_mqtt::client_session::{ConnectionError, OptionError, RequestError};

/// The exit statuses; those of Mosquitto's clients where they have one for the case.
pub(crate) mod status {
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const CONNECTION_LOST: u8 = 7;
    pub(crate) const TIMED_OUT: u8 = 27;
    /// As a shell reports a program that SIGINT ended.
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// The end of a command that did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Empty when there is nothing to say.
    message: String,
    status: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: status::ERROR }
    }

    pub(crate) fn with_status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn quiet(status: u8) -> Self {
        Self { message: String::new(), status }
    }

    /// Says it and returns the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            eprintln!("sori: {}", self.message);
        }
        ExitCode::from(self.status)
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let status = match &error {
            // MQTT 3 has its own numbers; Mosquitto's clients exit with what stood in the packet, and sori with the
            // reason code, which says the same in all versions.
            ConnectionError::Refused(farewell) => farewell.reason_code.value(),
            _ => status::CONNECTION_LOST,
        };
        Self { message: error.to_string(), status }
    }
}

impl From<OptionError> for Failure {
    fn from(error: OptionError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::new(error.to_string())
    }
}
