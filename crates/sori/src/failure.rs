//! How a command ends when it does not succeed: a sentence with advice, what kind of end it is, and an exit status.

use std::process::ExitCode;

use sori_mqtt::client_session::{ConnectionError, OptionError, RequestError};
use sori_mqtt::{ReasonCode, Version};

/// The exit statuses of sori's own commands; those of Mosquitto's clients where they have one for the case.
pub(crate) mod status {
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const CONNECTION_LOST: u8 = 7;
    pub(crate) const TIMED_OUT: u8 = 27;
    /// As a shell reports a program that SIGINT ended.
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// The end of a command that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Empty when there is nothing to say.
    pub(crate) message: String,
    pub(crate) cause: Cause,
}

/// What kind of end it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Anything else.
    Other,
    /// The name of the host has no address.
    HostUnknown,
    /// No connection came about.
    CannotConnect,
    /// TLS did not come about, or was broken.
    Tls,
    /// The proxy refused.
    Proxy,
    /// The broker refused the CONNECT.
    Refused(ReasonCode, Version),
    /// The connection was lost.
    Lost,
    /// The broker said DISCONNECT.
    Disconnected(ReasonCode),
    /// The broker broke the protocol.
    Protocol,
    /// The broker did not answer in time.
    Silent,
    /// A message is larger than the broker takes.
    TooLarge,
    /// The time that was given is over.
    TimedOut,
    /// A signal.
    Interrupted,
    /// An end that one command alone has, by its exit status.
    Own(u8),
}

impl From<u8> for Cause {
    fn from(status: u8) -> Self {
        Self::Own(status)
    }
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), cause: Cause::Other }
    }

    pub(crate) fn with_cause(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    pub(crate) fn with_status(self, status: u8) -> Self {
        self.with_cause(Cause::Own(status))
    }

    pub(crate) fn quiet(cause: impl Into<Cause>) -> Self {
        Self { message: String::new(), cause: cause.into() }
    }

    /// The exit status of sori's own commands.
    pub(crate) const fn status(&self) -> u8 {
        match self.cause {
            Cause::Other | Cause::HostUnknown | Cause::CannotConnect | Cause::Tls | Cause::Proxy | Cause::TooLarge => {
                status::ERROR
            }
            // MQTT 3 has its own numbers; the reason code says the same in all versions.
            Cause::Refused(reason_code, _) => reason_code.value(),
            Cause::Lost | Cause::Disconnected(_) | Cause::Protocol | Cause::Silent => status::CONNECTION_LOST,
            Cause::TimedOut => status::TIMED_OUT,
            Cause::Interrupted => status::INTERRUPTED,
            Cause::Own(status) => status,
        }
    }

    /// Whether another connection may go better.
    pub(crate) const fn is_retryable(&self) -> bool {
        match self.cause {
            Cause::CannotConnect | Cause::Proxy | Cause::Lost | Cause::Silent => true,
            // The one who took the session over would lose it again, and both for ever.
            Cause::Disconnected(reason_code) => !matches!(reason_code, ReasonCode::SessionTakenOver),
            _ => false,
        }
    }

    /// Says it and returns the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            eprintln!("sori: {}", self.message);
        }
        ExitCode::from(self.status())
    }

    /// The end of a connection, as the session tells it.
    pub(crate) fn of_connection(error: &ConnectionError, version: Version) -> Self {
        let cause = match error {
            ConnectionError::Refused(farewell) => Cause::Refused(farewell.reason_code, version),
            ConnectionError::Disconnected(farewell) => Cause::Disconnected(farewell.reason_code),
            ConnectionError::Violation(_) => Cause::Protocol,
            ConnectionError::Timeout(_) => Cause::Silent,
            ConnectionError::AnswerTooLarge(_) => Cause::TooLarge,
        };
        Self { message: error.to_string(), cause }
    }
}

impl From<OptionError> for Failure {
    fn from(error: OptionError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let cause = if error == RequestError::TooLarge { Cause::TooLarge } else { Cause::Other };
        Self::new(error.to_string()).with_cause(cause)
    }
}
