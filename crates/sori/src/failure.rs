//! How a command ends when it does not succeed: a sentence with advice, what kind of end it is, and an exit status.

use std::io;
use std::process::ExitCode;

use sori_client::{Error, Violation};
use sori_mqtt::client_session::{ConnectionError, RequestError};
use sori_mqtt::{PacketType, ReasonCode, Version};

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
            Cause::HostUnknown | Cause::CannotConnect | Cause::Proxy | Cause::Lost | Cause::Silent => true,
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

    /// What the client library says, in words about this command's options; `server` is the broker for people.
    pub(crate) fn of(error: &Error, server: &str, version: Version) -> Self {
        let lost = |cause: Option<&io::Error>| {
            let cause = cause.map_or(String::new(), |error| format!(": {error}"));
            Self::new(format!("the broker at {server} closed the connection{cause}")).with_cause(Cause::Lost)
        };
        match error {
            Error::Resolve(host, error) => {
                Self::new(format!("cannot find the host \"{host}\": {error}")).with_cause(Cause::HostUnknown)
            }
            Error::Unreachable(address, error) => cannot_connect(address, error),
            Error::TimedOut(_, _, "connection") => Self::new(format!(
                "no connection to {server} came about in time: is the address right, and does a firewall let it through?"
            ))
            .with_cause(Cause::CannotConnect),
            Error::Certificate(address, _, text) => Self::new(format!(
                "{address}: {text}; --cafile names the file of the CA that has signed the broker's certificate, --cert and \
                 --key what this client shows"
            ))
            .with_cause(Cause::Tls),
            Error::Handshake(address, text) => {
                Self::new(format!("{address}: {text}; is it a listener with TLS?")).with_cause(Cause::Tls)
            }
            Error::WebSocket(address, text) => {
                Self::new(format!("{address}: {text}; is it a listener for WebSocket?")).with_cause(Cause::Lost)
            }
            Error::NotMqtt(address, violation) if is_tls(violation) => Self::new(format!(
                "{address} speaks TLS: name the CA that has signed its certificate (--cafile)"
            ))
            .with_cause(Cause::Tls),
            Error::ClosedEarly(address) => Self::new(format!(
                "{address} closed the connection before it answered: does it speak this version of MQTT (-V), and is it a \
                 listener for this kind of connection (TLS, WebSocket)?"
            ))
            .with_cause(Cause::Lost),
            Error::Refused(_, farewell) => Self::new(ConnectionError::Refused(farewell.clone()).to_string())
                .with_cause(Cause::Refused(farewell.reason_code, version)),
            Error::Disconnected(farewell) => Self::new(ConnectionError::Disconnected(farewell.clone()).to_string())
                .with_cause(Cause::Disconnected(farewell.reason_code)),
            Error::Lost(error) => lost(error.as_deref()),
            Error::Closed(Some(error)) => Self::of(error, server, version),
            Error::Closed(None) => lost(None),
            Error::TlsFiles(text) => Self::new(format!("cannot prepare TLS: {text}")),
            other => Self::new(other.to_string()).with_cause(match other {
                Error::TimedOut(..) => Cause::Silent,
                Error::NotMqtt(..) | Error::Violation(_) => Cause::Protocol,
                Error::Proxy(..) => Cause::Proxy,
                Error::AnswerTooLarge(_) | Error::TooLarge(..) => Cause::TooLarge,
                _ => Cause::Other,
            }),
        }
    }
}

/// The records of TLS (types 20 to 23, RFC 8446 section 5.1) begin like a CONNECT, which no server sends.
fn is_tls(violation: &Violation) -> bool {
    match violation {
        Violation::Packet(error) => error.packet_type() == Some(PacketType::Connect),
        other => *other == Violation::Unexpected(PacketType::Connect),
    }
}

fn cannot_connect(address: &str, error: &io::Error) -> Failure {
    let is_path = address.starts_with(['/', '.']) || !address.contains(':');
    let message = match error.kind() {
        io::ErrorKind::NotFound => {
            format!(
                "cannot connect to the Unix socket {address}: there is no such socket; is the broker running, and is this its path?"
            )
        }
        io::ErrorKind::PermissionDenied if is_path => {
            format!("cannot connect to the Unix socket {address}: ask who owns it for the right to write to it")
        }
        io::ErrorKind::ConnectionRefused => {
            format!("connection refused by {address}: is a broker running there? start one with `sori`")
        }
        _ => format!("cannot connect to {address}: {error}"),
    };
    Failure::new(message).with_cause(Cause::CannotConnect)
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let cause = if error == RequestError::TooLarge { Cause::TooLarge } else { Cause::Other };
        Self::new(error.to_string()).with_cause(cause)
    }
}
