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
    /// The broker has said in its CONNACK that it does not take this.
    NotSupported(ReasonCode),
    /// The time that was given is over.
    TimedOut,
    /// This signal.
    Interrupted(i32),
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
            Cause::Other
            | Cause::HostUnknown
            | Cause::CannotConnect
            | Cause::Tls
            | Cause::Proxy
            | Cause::TooLarge
            | Cause::NotSupported(_) => status::ERROR,
            // MQTT 3 has its own numbers; the reason code says the same in all versions.
            Cause::Refused(reason_code, _) => reason_code.value(),
            Cause::Lost | Cause::Disconnected(_) | Cause::Protocol | Cause::Silent => status::CONNECTION_LOST,
            Cause::TimedOut => status::TIMED_OUT,
            Cause::Interrupted(_) => status::INTERRUPTED,
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
        match error {
            Error::Closed(Some(error)) => Self::of(error, server, version),
            error => Self { message: words(error, server), cause: cause(error, version) },
        }
    }
}

const fn cause(error: &Error, version: Version) -> Cause {
    match error {
        Error::Resolve(..) => Cause::HostUnknown,
        Error::Unreachable(..) => Cause::CannotConnect,
        Error::TimedOut(_, _, missing) if is_connection(missing) => Cause::CannotConnect,
        Error::TimedOut(..) => Cause::Silent,
        Error::Certificate(..) | Error::Handshake(..) => Cause::Tls,
        Error::NotMqtt(_, violation) if is_tls(violation) => Cause::Tls,
        Error::NotMqtt(..) | Error::Violation(_) => Cause::Protocol,
        Error::WebSocket(..) | Error::ClosedEarly(_) | Error::Lost(_) | Error::Closed(_) => Cause::Lost,
        Error::Refused(_, farewell) => Cause::Refused(farewell.reason_code, version),
        Error::Disconnected(farewell) => Cause::Disconnected(farewell.reason_code),
        Error::Proxy(..) => Cause::Proxy,
        Error::AnswerTooLarge(_) | Error::TooLarge(..) => Cause::TooLarge,
        Error::Request(RequestError::NotSupported(reason_code)) => Cause::NotSupported(*reason_code),
        _ => Cause::Other,
    }
}

fn words(error: &Error, server: &str) -> String {
    match error {
        Error::Resolve(host, error) => format!("cannot find the host \"{host}\": {error}{}", srv_advice(host, error)),
        Error::Unreachable(address, error) => unreachable_words(address, error),
        Error::TimedOut(_, _, missing) if is_connection(missing) => format!(
            "no connection to {server} came about in time: is the address right, and does a firewall let it through?"
        ),
        Error::Certificate(address, _, text) => format!(
            "{address}: {text}; --cafile names the file of the CA that has signed the broker's certificate, --cert and \
             --key what this client shows"
        ),
        Error::Handshake(address, text) => format!("{address}: {text}; is it a listener with TLS?"),
        Error::WebSocket(address, text) => format!("{address}: {text}; is it a listener for WebSocket?"),
        Error::NotMqtt(address, violation) if is_tls(violation) => {
            format!("{address} speaks TLS: name the CA that has signed its certificate (--cafile)")
        }
        Error::ClosedEarly(address) => format!(
            "{address} closed the connection before it answered: does it speak this version of MQTT (-V), and is it a \
             listener for this kind of connection (TLS, WebSocket)?"
        ),
        Error::Refused(_, farewell) => ConnectionError::Refused(farewell.clone()).to_string(),
        Error::Disconnected(farewell) => ConnectionError::Disconnected(farewell.clone()).to_string(),
        Error::Lost(Some(error)) => format!("the broker at {server} closed the connection: {error}"),
        Error::Lost(None) | Error::Closed(None) => format!("the broker at {server} closed the connection"),
        Error::TlsFiles(text) => format!("cannot prepare TLS: {text}"),
        other => other.to_string(),
    }
}

/// What to do when the servers of a domain cannot be found. Names of services begin with `_`, those of hosts do not.
/// RFC 2782
fn srv_advice(name: &str, error: &io::Error) -> &'static str {
    match error.kind() {
        _ if !name.starts_with('_') => "",
        io::ErrorKind::NotFound => "; without -S the host of that name itself is the broker",
        _ => {
            "; is that the right name server (/etc/resolv.conf, or SORI_NAME_SERVER=ADDRESS:PORT in the environment), and \
             does it run? Without -S nobody is asked for SRV records"
        }
    }
}

/// The network gave no connection; everything else that can be missing is a packet.
const fn is_connection(missing: &str) -> bool {
    matches!(missing.as_bytes(), b"connection")
}

/// The records of TLS (types 20 to 23, RFC 8446 section 5.1) begin like a CONNECT, which no server sends.
const fn is_tls(violation: &Violation) -> bool {
    match violation {
        Violation::Packet(error) => matches!(error.packet_type(), Some(PacketType::Connect)),
        other => matches!(other, Violation::Unexpected(PacketType::Connect)),
    }
}

fn unreachable_words(address: &str, error: &io::Error) -> String {
    match error.kind() {
        // Only a Unix socket has a path that may lead nowhere.
        io::ErrorKind::NotFound => format!(
            "cannot connect to the Unix socket {address}: there is no such socket; is the broker running, and is this its path?"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("cannot connect to {address}: {error}: ask who owns the socket for the right to write to it")
        }
        io::ErrorKind::ConnectionRefused => {
            format!("connection refused by {address}: is a broker running there? start one with `sori`")
        }
        _ => format!("cannot connect to {address}: {error}"),
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let cause = if error == RequestError::TooLarge { Cause::TooLarge } else { Cause::Other };
        Self::new(error.to_string()).with_cause(cause)
    }
}
