//! What a command says to its user, and with which exit status it ends: in sori's words or in those of Mosquitto's clients.
//!
//! Scripts read both. Where Mosquitto's words or numbers are known to them, they stay; sori's own commands
//! say more, and a message that the broker did not take is an error there.

use sori_mqtt::{ReasonCode, Version};

use crate::event::Refusal;
use crate::failure::{Cause, Failure};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Sori,
    Mosquitto {
        /// No word about errors.
        quiet: bool,
        /// Say also what was subscribed to.
        debug: bool,
        /// mosquitto_pub has one more sentence for a refused connection than the others.
        publishes: bool,
    },
}

impl Voice {
    /// A message that the broker did not take; for sori that is how the command will end.
    pub(crate) fn not_taken(self, topic: &str, number: u16, refusal: &Refusal) -> Result<(), Failure> {
        match self {
            Self::Sori => {
                let more = refusal.reason_string.as_ref().map_or(String::new(), |text| format!(" ({text})"));
                Err(Failure::new(format!(
                    "the broker did not take the message for \"{topic}\": {}{more}",
                    refusal.reason
                )))
            }
            Self::Mosquitto { .. } => {
                self.error_line(&format!("Warning: Publish {number} failed: {}.", reason_text(&refusal.reason)));
                if let Some(text) = &refusal.reason_string {
                    self.error_line(text);
                }
                Ok(())
            }
        }
    }

    /// Whether a message that was refused only for being retained is published without that.
    pub(crate) fn leaves_retain_out(self, failure: &Failure) -> bool {
        matches!(self, Self::Mosquitto { .. }) && failure.cause == Cause::NotSupported(ReasonCode::RetainNotSupported)
    }

    /// A single message that was not even sent. Mosquitto's client takes its own goodbye for a lost connection then; with
    /// lines and requests it tells what is wrong, as [`mosquitto_end`] does.
    pub(crate) fn not_sent(self, failure: Failure) -> Failure {
        if self == Self::Sori || !matches!(failure.cause, Cause::Other | Cause::TooLarge | Cause::NotSupported(_)) {
            return failure;
        }
        if failure.cause == Cause::NotSupported(ReasonCode::QoSNotSupported) {
            self.error_line("Error: Message QoS not supported on broker, try a lower QoS.");
        }
        failure.with_cause(Cause::Lost)
    }

    /// SUBACK. One refused filter is worth a word, all of them are the end.
    pub(crate) fn subscribed(
        self,
        filters: &[String],
        number: u16,
        reason_codes: &[ReasonCode],
        reason_string: Option<&str>,
    ) -> Result<(), Failure> {
        let all_refused = reason_codes.iter().all(|reason_code| reason_code.is_error());
        match self {
            Self::Sori => {
                let more = reason_string.map_or(String::new(), |text| format!(" ({text})"));
                let refused = filters.iter().zip(reason_codes).filter(|(_, reason_code)| reason_code.is_error());
                let refused: Vec<String> = refused
                    .map(|(filter, reason_code)| {
                        format!("the broker refused the subscription to \"{filter}\": {}{more}", reason_code.text())
                    })
                    .collect();
                if all_refused {
                    return Err(Failure::new(refused.join("\nsori: ")));
                }
                refused.iter().for_each(|refusal| eprintln!("sori: {refusal}"));
            }
            Self::Mosquitto { quiet, debug, .. } => {
                if debug && !quiet {
                    let codes: Vec<String> = reason_codes.iter().map(|code| code.value().to_string()).collect();
                    println!("Subscribed (mid: {number}): {}", codes.join(", "));
                }
                if all_refused {
                    return Err(Failure::new("All subscription requests were denied."));
                }
            }
        }
        Ok(())
    }

    /// The connection was lost and is being made again.
    pub(crate) fn lost(self, failure: &Failure) {
        if self == Self::Sori {
            eprintln!("sori: {}; connecting again", failure.message);
        }
    }

    /// A message could not be written as it was asked for.
    pub(crate) fn complain(self, complaint: &str) {
        match self {
            Self::Sori => eprintln!("sori: {complaint}"),
            Self::Mosquitto { .. } => self.error_line(&format!("Error: {complaint}")),
        }
    }

    /// Says how the command ended, if there is something to say, and gives its exit status.
    pub(crate) fn end(self, result: &Result<(), Failure>) -> u8 {
        let Err(failure) = result else { return 0 };
        match self {
            Self::Sori => {
                if !failure.message.is_empty() {
                    eprintln!("sori: {}", failure.message);
                }
                failure.status()
            }
            Self::Mosquitto { publishes, .. } => {
                let (mut lines, code) = mosquitto_end(failure);
                if matches!(failure.cause, Cause::Refused(..)) && !publishes {
                    lines.truncate(1);
                }
                lines.iter().for_each(|line| self.error_line(line));
                code
            }
        }
    }

    fn error_line(self, line: &str) {
        if !matches!(self, Self::Mosquitto { quiet: true, .. }) {
            eprintln!("{line}");
        }
    }
}

/// Error numbers of libmosquitto, which its clients end with.
mod number {
    pub(super) const PROTOCOL: u8 = 2;
    pub(super) const CONNECTION_LOST: u8 = 7;
    pub(super) const TLS: u8 = 8;
    pub(super) const PROXY: u8 = 16;
    pub(super) const KEEP_ALIVE: u8 = 19;
    pub(super) const QOS_NOT_SUPPORTED: u8 = 24;
    pub(super) const OVERSIZE_PACKET: u8 = 25;
    pub(super) const TIMEOUT: u8 = 27;
}

/// The lines and the exit status of Mosquitto's clients for this end.
fn mosquitto_end(failure: &Failure) -> (Vec<String>, u8) {
    let error = |text: &str| vec![format!("Error: {text}")];
    match failure.cause {
        Cause::Other if failure.message.is_empty() => (Vec::new(), 1),
        Cause::Other if failure.message.starts_with("All subscription") => (vec![failure.message.clone()], 0),
        Cause::NotSupported(ReasonCode::QoSNotSupported) => {
            (error(&format!("Requested QoS not supported on server. ({})", failure.message)), number::QOS_NOT_SUPPORTED)
        }
        Cause::Other | Cause::CannotConnect | Cause::NotSupported(_) => (error(&failure.message), 1),
        Cause::HostUnknown => (vec![format!("Unable to connect (Lookup error). {}", failure.message)], 1),
        Cause::Tls => (error(&format!("A TLS error occurred. ({})", failure.message)), number::TLS),
        Cause::Proxy => (error(&format!("Proxy error. ({})", failure.message)), number::PROXY),
        Cause::Refused(reason_code, version) => refused(reason_code, version),
        Cause::Lost => (error(&format!("The connection was lost. ({})", failure.message)), number::CONNECTION_LOST),
        Cause::Disconnected(_) => {
            (error(&format!("The connection was lost. ({})", failure.message)), number::CONNECTION_LOST)
        }
        Cause::Protocol => {
            (error(&format!("A network protocol error occurred: {}", failure.message)), number::PROTOCOL)
        }
        Cause::Silent => (error(&format!("Keepalive exceeded ({})", failure.message)), number::KEEP_ALIVE),
        Cause::TooLarge => {
            let text = format!("Packet larger than supported by the server. ({})", failure.message);
            (error(&text), number::OVERSIZE_PACKET)
        }
        Cause::TimedOut => (vec!["Timed out".to_owned()], number::TIMEOUT),
        // As a shell reports a program that the signal ended, which is how those of Mosquitto end.
        Cause::Interrupted(signal) => (Vec::new(), u8::try_from(signal).unwrap_or_default().saturating_add(128)),
        Cause::Own(status) => (error(&failure.message), status),
    }
}

/// The exit status is what stood in the CONNACK. Mosquitto has lost the full stops of these sentences in 2.1, for MQTT 5
/// earlier; whoever looks for the words without them finds them with them, too.
fn refused(reason_code: ReasonCode, version: Version) -> (Vec<String>, u8) {
    let (reason, status) = match reason_code.connect_return_code() {
        Some(code) if !version.is_v5() => (format!("Connection Refused: {}.", connack_text(code)), code),
        _ => (reason_text(reason_code.text()), reason_code.value()),
    };
    let hint = match reason_code {
        ReasonCode::UnsupportedProtocolVersion if version.is_v5() => {
            ". Try connecting to an MQTT v5 broker, or use MQTT v3.x mode. (-V mqttv311)"
        }
        _ => "",
    };
    (vec![format!("Connection error: {reason}{hint}"), "Error: The connection was refused.".to_owned()], status)
}

/// Scripts look for these words.
const fn connack_text(code: u8) -> &'static str {
    match code {
        1 => "unacceptable protocol version",
        2 => "identifier rejected",
        3 => "broker unavailable",
        4 => "bad user name or password",
        5 => "not authorised",
        _ => "unknown reason",
    }
}

/// What the standard names with capitals, and Mosquitto after it, at the beginning of a reason.
const TERMS: &[&str] = &[
    "Bad User Name or Password",
    "Client Identifier",
    "Keep Alive",
    "Malformed Packet",
    "Packet Identifier",
    "Protocol Error",
    "Receive Maximum",
    "Shared Subscriptions",
    "Topic Alias",
    "Topic Filter",
    "Topic Name",
    "Unsupported Protocol Version",
    "Wildcard Subscriptions",
];

/// A reason as Mosquitto's clients write it.
fn reason_text(text: &str) -> String {
    let begins = |term: &&&str| text.get(..term.len()).is_some_and(|start| start.eq_ignore_ascii_case(term));
    if let Some(term) = TERMS.iter().find(begins) {
        return format!("{term}{}", text.get(term.len()..).unwrap_or_default());
    }
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_ends_as_scripts_expect() {
        let check = |reason_code, version, line: &str, status| {
            let (lines, found) = mosquitto_end(&Failure::quiet(Cause::Refused(reason_code, version)));
            assert_eq!((lines.first().map(String::as_str), found), (Some(line), status));
        };
        let (bad, not) = (ReasonCode::BadUserNameOrPassword, ReasonCode::NotAuthorized);
        check(bad, Version::V311, "Connection error: Connection Refused: bad user name or password.", 4);
        check(not, Version::V31, "Connection error: Connection Refused: not authorised.", 5);
        check(not, Version::V5, "Connection error: Not authorized", 135);
        check(bad, Version::V5, "Connection error: Bad User Name or Password", 134);
        check(ReasonCode::PacketTooLarge, Version::V5, "Connection error: Packet too large", 149);
        let hint =
            "Unsupported Protocol Version. Try connecting to an MQTT v5 broker, or use MQTT v3.x mode. (-V mqttv311)";
        check(ReasonCode::UnsupportedProtocolVersion, Version::V5, &format!("Connection error: {hint}"), 132);
    }

    #[test]
    fn every_other_end_has_its_number() {
        for (cause, status) in [
            (Cause::Other, 1),
            (Cause::HostUnknown, 1),
            (Cause::CannotConnect, 1),
            (Cause::Tls, 8),
            (Cause::Proxy, 16),
            (Cause::Lost, 7),
            (Cause::Protocol, 2),
            (Cause::Silent, 19),
            (Cause::TooLarge, 25),
            (Cause::NotSupported(ReasonCode::QoSNotSupported), 24),
            (Cause::NotSupported(ReasonCode::RetainNotSupported), 1),
            (Cause::TimedOut, 27),
            (Cause::Interrupted(2), 130),
            (Cause::Interrupted(15), 143),
        ] {
            assert_eq!(mosquitto_end(&Failure::new("why").with_cause(cause)).1, status, "{cause:?}");
        }
    }
}
