//! The texts of log lines that other programs look for: fail2ban rules, dashboards, scripts. They are Mosquitto's.
//!
//! Each function takes what happened and gives a value to display, so that no text is built for a line which nobody
//! wants: `if log.enabled(Kind::Notice) { log.notice(format_args!("{}", lines::new_connection(peer, 1883))) }`.
//! A `peer` is address and port as in `127.0.0.1:5000`, or `2001:db8::1:5000` without brackets.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// A line that is built while it is displayed.
struct Text<F>(F);

impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for Text<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

fn text(build: impl Fn(&mut Formatter<'_>) -> fmt::Result) -> impl Display {
    Text(build)
}

/// Information, at the start.
pub fn starting(program: &str, version: &str) -> impl Display {
    text(move |f| write!(f, "{program} version {version} starting"))
}

/// Information, when everything listens.
pub fn running(program: &str, version: &str) -> impl Display {
    text(move |f| write!(f, "{program} version {version} running"))
}

/// Information, at the end.
pub fn terminating(program: &str, version: &str) -> impl Display {
    text(move |f| write!(f, "{program} version {version} terminating"))
}

/// Information: where the settings came from; `None`: from no file.
pub fn config_loaded(file: Option<&Path>) -> impl Display {
    text(move |f| match file {
        Some(file) => write!(f, "Config loaded from {}.", file.display()),
        None => f.write_str("Using default config."),
    })
}

/// Information, on SIGHUP.
pub fn reloading() -> impl Display {
    "Reloading config."
}

/// Information, before a TCP listener is opened.
pub fn opening_tcp(ipv6: bool, port: u16) -> impl Display {
    text(move |f| write!(f, "Opening {} listen socket on port {port}.", if ipv6 { "ipv6" } else { "ipv4" }))
}

/// Information, before a Unix listener is opened.
pub fn opening_unix(path: &Path) -> impl Display {
    text(move |f| write!(f, "Opening unix listen socket on path {}.", path.display()))
}

/// Notice: a connection was accepted. A Unix listener has port 0.
pub fn new_connection(peer: &str, listener_port: u16) -> impl Display {
    text(move |f| write!(f, "New connection from {peer} on port {listener_port}."))
}

/// Notice: a connection was refused because there are too many. The address has no port here.
pub fn too_many_connections(address: &str) -> impl Display {
    text(move |f| write!(f, "Client connection from {address} denied: max_connections exceeded."))
}

/// Notice: a connection was refused because its address opens too many per second.
pub fn connection_rate_exceeded(address: &str) -> impl Display {
    text(move |f| write!(f, "Client connection from {address} denied: connection_rate_per_address exceeded."))
}

/// What a connected client is known by.
#[derive(Debug, Clone, Copy)]
pub struct Connected<'a> {
    /// Address and port.
    pub peer: &'a str,
    /// The client identifier.
    pub client_id: &'a str,
    /// The protocol level: 3, 4 or 5.
    pub level: u8,
    /// Clean Session or Clean Start.
    pub clean: bool,
    /// The keep alive in seconds.
    pub keep_alive: u16,
    /// The user name, if there is one.
    pub user_name: Option<&'a str>,
    /// The client said that it is a bridge.
    pub bridge: bool,
}

/// Notice: a CONNECT was accepted.
pub fn connected(client: Connected<'_>) -> impl Display {
    text(move |f| {
        let Connected { peer, client_id, level, clean, keep_alive, user_name, bridge } = client;
        let what = if bridge { "bridge" } else { "client" };
        write!(f, "New {what} connected from {peer} as {client_id} (p{level}, c{}, k{keep_alive}", u8::from(clean))?;
        if let Some(user_name) = user_name {
            write!(f, ", u'{user_name}'")?;
        }
        f.write_str(").")
    })
}

/// Debug, after [`connected`]: payload bytes, retain and QoS of the will; the topic follows in [`indented`].
pub fn will(will: Option<(usize, bool, u8)>) -> impl Display {
    text(move |f| match will {
        Some((bytes, retain, qos)) => {
            write!(f, "Will message specified ({bytes} bytes) (r{}, q{qos}).", u8::from(retain))
        }
        None => f.write_str("No will message specified."),
    })
}

/// Debug: a detail of the line before, for instance a topic filter.
pub fn indented(detail: &str) -> impl Display {
    text(move |f| write!(f, "\t{detail}"))
}

/// Why a connection ended, in Mosquitto's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended<'a> {
    /// The client sent DISCONNECT.
    Normally,
    /// The client closed the connection without DISCONNECT.
    ConnectionClosedByClient,
    /// Nothing came within one and a half times the keep alive.
    ExceededTimeout,
    /// Another connection took the client identifier.
    SessionTakenOver,
    /// Credentials or permission are missing.
    NotAuthorised,
    /// Protocol Error.
    ProtocolError,
    /// Malformed Packet.
    MalformedPacket,
    /// A packet above the limit.
    OversizePacket,
    /// A payload above the limit.
    OversizePayload,
    /// The memory limit.
    OutOfMemory,
    /// An operator did it, or the broker stops.
    AdministrativeAction,
    /// More unacknowledged messages than allowed.
    ReceiveMaximumExceeded,
    /// Implementation specific error.
    ImplementationSpecific,
    /// The client identifier is not accepted.
    ClientIdentifierNotValid,
    /// The credentials are wrong.
    BadUserNameOrPassword,
    /// Server unavailable.
    ServerUnavailable,
    /// Server busy.
    ServerBusy,
    /// Banned.
    ClientBanned,
    /// The authentication method is not known.
    BadAuthenticationMethod,
    /// A quota.
    QuotaExceeded,
    /// The connection rate.
    ConnectionRateExceeded,
    /// A topic alias that cannot be.
    TopicAliasInvalid,
    /// A web page of another origin.
    NonMatchingHttpOrigin,
    /// QoS too high, retain not supported, or bad AUTH method.
    UsedDisallowedFeature,
    /// Reading or writing failed; the system's words.
    SystemError(&'a str),
}

impl Ended<'_> {
    fn reason(&self) -> Option<&str> {
        Some(match self {
            Ended::Normally => return None,
            Ended::ConnectionClosedByClient => "connection closed by client",
            Ended::ExceededTimeout => "exceeded timeout",
            Ended::SessionTakenOver => "session taken over",
            Ended::NotAuthorised => "not authorised",
            Ended::ProtocolError => "protocol error",
            Ended::MalformedPacket => "malformed packet",
            Ended::OversizePacket => "oversize packet",
            Ended::OversizePayload => "oversize payload",
            Ended::OutOfMemory => "out of memory",
            Ended::AdministrativeAction => "administrative action",
            Ended::ReceiveMaximumExceeded => "receive maximum exceeded",
            Ended::ImplementationSpecific => "implementation specific error",
            Ended::ClientIdentifierNotValid => "client identifier not valid",
            Ended::BadUserNameOrPassword => "bad username or password",
            Ended::ServerUnavailable => "server unavailable",
            Ended::ServerBusy => "server busy",
            Ended::ClientBanned => "client banned",
            Ended::BadAuthenticationMethod => "bad authentication method",
            Ended::QuotaExceeded => "quota exceeded",
            Ended::ConnectionRateExceeded => "connection rate exceeded",
            Ended::TopicAliasInvalid => "topic alias invalid",
            Ended::NonMatchingHttpOrigin => "non-matching http origin",
            Ended::UsedDisallowedFeature => {
                "used disallowed feature (QoS too high, retain not supported, or bad AUTH method)"
            }
            Ended::SystemError(text) => text,
        })
    }
}

/// Notice: a connection ended. Before its CONNECT a client is known by its address, without port, only.
pub fn disconnected(client_id: &str, peer: &str, ended: Ended<'_>) -> impl Display {
    text(move |f| match ended.reason() {
        Some(reason) => write!(f, "Client {client_id} [{peer}] disconnected: {reason}."),
        None => write!(f, "Client {client_id} [{peer}] disconnected."),
    })
}

/// Notice: the client of a session has stayed away for too long.
pub fn expiring(client_id: &str) -> impl Display {
    text(move |f| write!(f, "Expiring client {client_id} due to timeout."))
}

/// Information: what a client sent is against the protocol. Before its CONNECT `who` is its peer address.
pub fn protocol_error(who: &str, what: impl Display) -> impl Display {
    text(move |f| write!(f, "Protocol error from {who}: {what}."))
}

/// Notice: the first message of a client was dropped at its full queue.
pub fn dropping(client_id: &str) -> impl Display {
    text(move |f| write!(f, "Outgoing messages are being dropped for client {client_id}."))
}

/// What debug lines show of a PUBLISH.
#[derive(Debug, Clone, Copy)]
pub struct Publish<'a> {
    /// The DUP flag.
    pub dup: bool,
    /// The QoS.
    pub qos: u8,
    /// The RETAIN flag.
    pub retain: bool,
    /// The packet identifier; 0 at QoS 0.
    pub packet_id: u16,
    /// The topic name.
    pub topic: &'a str,
    /// Bytes of payload.
    pub payload_bytes: usize,
}

impl Display for Publish<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Publish { dup, qos, retain, packet_id, topic, payload_bytes } = self;
        let (dup, retain) = (u8::from(*dup), u8::from(*retain));
        write!(f, "(d{dup}, q{qos}, r{retain}, m{packet_id}, '{topic}', ... ({payload_bytes} bytes))")
    }
}

/// Debug.
pub fn received_publish(client_id: &str, publish: Publish<'_>) -> impl Display {
    text(move |f| write!(f, "Received PUBLISH from {client_id} {publish}"))
}

/// Debug: the client may not publish it.
pub fn denied_publish(client_id: &str, publish: Publish<'_>) -> impl Display {
    text(move |f| write!(f, "Denied PUBLISH from {client_id} {publish}"))
}

/// Debug.
pub fn sending_publish(client_id: &str, publish: Publish<'_>) -> impl Display {
    text(move |f| write!(f, "Sending PUBLISH to {client_id} {publish}"))
}

/// Debug: a packet of which the name alone is shown: SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT.
pub fn received(packet: &str, client_id: &str) -> impl Display {
    text(move |f| write!(f, "Received {packet} from {client_id}"))
}

/// Debug: PUBREC and PUBREL.
pub fn received_with_id(packet: &str, client_id: &str, packet_id: u16) -> impl Display {
    text(move |f| write!(f, "Received {packet} from {client_id} (Mid: {packet_id})"))
}

/// Debug: PUBACK and PUBCOMP.
pub fn received_with_reason(packet: &str, client_id: &str, packet_id: u16, reason: u8) -> impl Display {
    text(move |f| write!(f, "Received {packet} from {client_id} (Mid: {packet_id}, RC:{reason})"))
}

/// Debug: PINGRESP, SUBACK, UNSUBACK.
pub fn sending(packet: &str, client_id: &str) -> impl Display {
    text(move |f| write!(f, "Sending {packet} to {client_id}"))
}

/// Debug.
pub fn sending_connack(client_id: &str, session_present: bool, reason: u8) -> impl Display {
    text(move |f| write!(f, "Sending CONNACK to {client_id} ({}, {reason})", u8::from(session_present)))
}

/// Debug.
pub fn sending_disconnect(client_id: &str, reason: u8) -> impl Display {
    text(move |f| write!(f, "Sending DISCONNECT to {client_id} (rc{reason})"))
}

/// Debug: PUBREL and PUBCOMP.
pub fn sending_with_id(packet: &str, client_id: &str, packet_id: u16) -> impl Display {
    text(move |f| write!(f, "Sending {packet} to {client_id} (m{packet_id})"))
}

/// Debug: PUBACK and PUBREC.
pub fn sending_with_reason(packet: &str, client_id: &str, packet_id: u16, reason: u8) -> impl Display {
    text(move |f| write!(f, "Sending {packet} to {client_id} (m{packet_id}, rc{reason})"))
}

/// Debug, after SUBSCRIBE: one filter and its QoS.
pub fn filter_with_qos(filter: &str, qos: u8) -> impl Display {
    text(move |f| write!(f, "\t{filter} (QoS {qos})"))
}

/// Subscribe.
pub fn subscribed(client_id: &str, qos: u8, filter: &str) -> impl Display {
    text(move |f| write!(f, "{client_id} {qos} {filter}"))
}

/// Unsubscribe.
pub fn unsubscribed(client_id: &str, filter: &str) -> impl Display {
    text(move |f| write!(f, "{client_id} {filter}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: impl Display, text: &str) {
        assert_eq!(line.to_string(), text);
    }

    #[test]
    fn connects() {
        let client = Connected {
            peer: "127.0.0.1:5000",
            client_id: "id",
            level: 5,
            clean: true,
            keep_alive: 60,
            user_name: None,
            bridge: false,
        };
        check(new_connection("127.0.0.1:5000", 1883), "New connection from 127.0.0.1:5000 on port 1883.");
        check(connected(client), "New client connected from 127.0.0.1:5000 as id (p5, c1, k60).");
        let with_user = Connected { user_name: Some("ppppppp"), clean: false, keep_alive: 42, ..client };
        check(connected(with_user), "New client connected from 127.0.0.1:5000 as id (p5, c0, k42, u'ppppppp').");
        check(
            connected(Connected { bridge: true, level: 4, ..client }),
            "New bridge connected from 127.0.0.1:5000 as id (p4, c1, k60).",
        );
        check(will(Some((3, true, 2))), "Will message specified (3 bytes) (r1, q2).");
        check(too_many_connections("::1"), "Client connection from ::1 denied: max_connections exceeded.");
    }

    #[test]
    fn disconnects() {
        check(disconnected("id", "::1:5", Ended::Normally), "Client id [::1:5] disconnected.");
        check(
            disconnected("proxy-test", "192.0.2.5:6275", Ended::NotAuthorised),
            "Client proxy-test [192.0.2.5:6275] disconnected: not authorised.",
        );
        check(
            disconnected("id", "::1:5", Ended::SystemError("Connection reset by peer")),
            "Client id [::1:5] disconnected: Connection reset by peer.",
        );
    }

    #[test]
    fn packets() {
        let publish = Publish { dup: false, qos: 1, retain: true, packet_id: 7, topic: "a/b", payload_bytes: 12 };
        check(received_publish("id", publish), "Received PUBLISH from id (d0, q1, r1, m7, 'a/b', ... (12 bytes))");
        check(denied_publish("id", publish), "Denied PUBLISH from id (d0, q1, r1, m7, 'a/b', ... (12 bytes))");
        check(sending_with_reason("PUBACK", "id", 1, 0), "Sending PUBACK to id (m1, rc0)");
        check(received_with_reason("PUBACK", "id", 1, 16), "Received PUBACK from id (Mid: 1, RC:16)");
        check(sending_connack("id", true, 0), "Sending CONNACK to id (1, 0)");
        check(expiring("id"), "Expiring client id due to timeout.");
        check(subscribed("id", 2, "a/#"), "id 2 a/#");
    }
}
