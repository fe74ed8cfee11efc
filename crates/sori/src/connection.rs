//! The options that say where to connect and as whom; `pub`, `sub` and `rr` share them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use sori_mqtt::client_session::WillOptions;
use sori_mqtt::{Property, PropertyBuffer, QoS, Version};

use crate::failure::Failure;
use crate::settings::{Connection, Endpoint, Reconnect, TraceStyle};
use crate::transport::TransportArguments;
use crate::url::Url;
use crate::way::Way;

#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArguments {
    /// The broker's name or address
    #[arg(short = 'h', long, default_value = "localhost")]
    host: String,
    /// The broker's port; without it 1883, and 8883 with TLS
    #[arg(short, long)]
    port: Option<u16>,
    /// All in one: mqtt://, mqtts://, ws:// or wss://, as in wss://user:password@host:443/mqtt
    #[arg(short = 'L', long, value_parser = broker_url, conflicts_with_all = ["host", "port", "unix"])]
    url: Option<BrokerUrl>,
    /// Connect to this Unix socket instead of a host
    #[arg(long, value_name = "PATH", conflicts_with_all = ["host", "port"])]
    unix: Option<PathBuf>,
    /// Connect from this address of this machine
    #[arg(short = 'A', long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Client identifier; without it the broker assigns one
    #[arg(short, long)]
    id: Option<String>,
    /// User name
    #[arg(short, long)]
    username: Option<String>,
    /// Password; other users of this machine can see it while this runs
    #[arg(short = 'P', long = "pw", value_name = "PASSWORD")]
    password: Option<String>,
    /// Seconds after which a sign of life is sent
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    keepalive: u16,
    /// Version of MQTT
    #[arg(short = 'V', long, value_enum, value_name = "VERSION", default_value = "5")]
    protocol_version: VersionArgument,
    /// Keep the session for the next connection with this client identifier
    #[arg(short = 'c', long, requires = "id")]
    disable_clean_session: bool,
    /// Seconds for which the broker keeps the session, -1 for ever (MQTT 5; with -c: for ever)
    #[arg(short = 'x', long, value_name = "SECONDS", allow_hyphen_values = true, value_parser = session_expiry)]
    session_expiry_interval: Option<u32>,
    /// The most messages of QoS 1 and 2 on their way at a time
    #[arg(short = 'M', long, value_name = "COUNT", default_value_t = u16::MAX, hide_default_value = true, value_parser = value_parser!(u16).range(1..))]
    in_flight_max: u16,
    /// Connect again when the connection is lost, after 1 second and then ever longer up to a minute
    #[arg(long)]
    reconnect: bool,
    /// Topic of the message that the broker publishes when this client is lost
    #[arg(long, value_name = "TOPIC", help_heading = "Will")]
    will_topic: Option<String>,
    /// Its payload
    #[arg(long, value_name = "TEXT", requires = "will_topic", help_heading = "Will")]
    will_payload: Option<String>,
    /// Its QoS
    #[arg(long, value_name = "QOS", requires = "will_topic", default_value_t = 0, value_parser = value_parser!(u8).range(0..=2), help_heading = "Will")]
    will_qos: u8,
    /// Retain it
    #[arg(long, requires = "will_topic", help_heading = "Will")]
    will_retain: bool,
    /// Publish it only when this client is away for so long (MQTT 5)
    #[arg(long, value_name = "SECONDS", requires = "will_topic", help_heading = "Will")]
    will_delay: Option<u32>,
    /// Print every packet to standard error
    #[arg(short, long)]
    debug: bool,
    #[command(flatten)]
    transport: TransportArguments,
}

/// A URL of `-L`, and what its scheme means.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BrokerUrl {
    endpoint: Endpoint,
    tls: bool,
    web_socket: Option<String>,
    user_name: Option<String>,
    password: Option<String>,
}

fn broker_url(text: &str) -> Result<BrokerUrl, String> {
    let Url { scheme, user_name, password, host, port, path } = Url::parse(text)?;
    let (tls, usual_port, is_web_socket) = match scheme.as_str() {
        "mqtt" => (false, 1883, false),
        "mqtts" => (true, 8883, false),
        "ws" => (false, 80, true),
        "wss" => (true, 443, true),
        _ => return Err("it begins with mqtt://, mqtts://, ws:// or wss://".to_owned()),
    };
    if !is_web_socket && !matches!(path.as_str(), "" | "/") {
        return Err("behind the port of mqtt:// comes nothing; the topic is an option of its own".to_owned());
    }
    let web_socket = is_web_socket.then(|| if path.starts_with('/') { path } else { format!("/{path}") });
    let endpoint = Endpoint::Tcp { host, port: port.unwrap_or(usual_port) };
    Ok(BrokerUrl { endpoint, tls, web_socket, user_name, password })
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum VersionArgument {
    #[value(name = "31", alias = "mqttv31")]
    V31,
    #[value(name = "311", alias = "mqttv311")]
    V311,
    #[value(name = "5", alias = "mqttv5")]
    V5,
}

fn session_expiry(text: &str) -> Result<u32, String> {
    match text {
        "-1" | "∞" => Ok(u32::MAX),
        _ => text.parse().map_err(|_| "a number of seconds, or -1 for ever".to_owned()),
    }
}

/// The QoS of an option that clap has checked.
pub(crate) fn qos(value: u8) -> QoS {
    QoS::from_u8(value).unwrap_or_default()
}

/// `name=value` of a user property.
pub(crate) fn name_and_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "a name and a value, as in unit=celsius".to_owned())
}

impl ConnectionArguments {
    pub(crate) const fn version(&self) -> Version {
        match self.protocol_version {
            VersionArgument::V31 => Version::V31,
            VersionArgument::V311 => Version::V311,
            VersionArgument::V5 => Version::V5,
        }
    }

    /// Options that only MQTT 5 has are refused with another version, and not left out in silence.
    pub(crate) fn needs_version_5(&self, option: &str, is_given: bool) -> Result<(), Failure> {
        if is_given && !self.version().is_v5() {
            return Err(Failure::new(format!("{option} needs MQTT 5: leave -V out")));
        }
        Ok(())
    }

    /// The broker, for people.
    pub(crate) fn broker(&self) -> String {
        match self.endpoint() {
            Endpoint::Unix(path) => path.display().to_string(),
            Endpoint::Tcp { host, port } => format!("{host}:{port}"),
        }
    }

    fn endpoint(&self) -> Endpoint {
        match (&self.url, &self.unix) {
            (Some(url), _) => url.endpoint.clone(),
            (None, Some(path)) => Endpoint::Unix(path.clone()),
            (None, None) => {
                let port = self.port.unwrap_or(if self.transport.asks_for_tls() { 8883 } else { 1883 });
                Endpoint::Tcp { host: self.host.clone(), port }
            }
        }
    }

    fn way(&self) -> Result<Way, Failure> {
        let (tls, web_socket) = self.url.as_ref().map_or((false, None), |url| (url.tls, url.web_socket.clone()));
        self.transport.way(tls, web_socket)
    }

    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        let version = self.version();
        self.needs_version_5("-x", self.session_expiry_interval.is_some())?;
        self.needs_version_5("--will-delay", self.will_delay.is_some())?;
        let kept_by_default = if self.disable_clean_session { u32::MAX } else { 0 };
        Ok(Connection {
            endpoint: self.endpoint(),
            way: self.way()?,
            bind: self.bind.clone(),
            client_id: self.client_id(),
            user_name: self.username.clone().or_else(|| self.url.as_ref()?.user_name.clone()),
            password: self.password.clone().or_else(|| self.url.as_ref()?.password.clone()).map(String::into_bytes),
            keep_alive: self.keepalive,
            version,
            clean_start: !self.disable_clean_session,
            session_expiry_interval: self.session_expiry_interval.unwrap_or(kept_by_default),
            will: self.will(),
            in_flight_max: self.in_flight_max,
            trace: self.debug.then_some(TraceStyle::Sori),
            reconnect: self
                .reconnect
                .then_some(Reconnect { first: Duration::from_secs(1), longest: Duration::from_secs(60) }),
            ..Connection::default()
        })
    }

    /// MQTT 3.1 knows no identifiers that the broker assigns.
    fn client_id(&self) -> String {
        match (&self.id, self.protocol_version) {
            (Some(id), _) => id.clone(),
            (None, VersionArgument::V31) => format!("sori-{}", std::process::id()),
            (None, _) => String::new(),
        }
    }

    fn will(&self) -> Option<WillOptions> {
        let mut properties = PropertyBuffer::new();
        if let Some(seconds) = self.will_delay {
            properties.push(Property::WillDelayInterval(seconds));
        }
        Some(WillOptions {
            topic: self.will_topic.clone()?,
            payload: self.will_payload.clone().unwrap_or_default().into_bytes(),
            qos: qos(self.will_qos),
            retain: self.will_retain,
            properties,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_expiry_for_ever() {
        assert_eq!(session_expiry("-1"), Ok(u32::MAX));
        assert_eq!(session_expiry("∞"), Ok(u32::MAX));
        assert_eq!(session_expiry("90"), Ok(90));
        assert!(session_expiry("-2").is_err() && session_expiry("soon").is_err());
    }

    #[test]
    fn the_scheme_of_a_url_says_what_lies_between() {
        let check = |text: &str, port, tls, web_socket: Option<&str>| {
            let url = broker_url(text).expect("a URL");
            assert_eq!(url.endpoint, Endpoint::Tcp { host: "h".to_owned(), port }, "{text}");
            assert_eq!((url.tls, url.web_socket.as_deref()), (tls, web_socket), "{text}");
        };
        check("mqtt://h", 1883, false, None);
        check("mqtts://h:1", 1, true, None);
        check("ws://h", 80, false, Some("/"));
        check("wss://h/mqtt?x", 443, true, Some("/mqtt?x"));
        check("ws://h?x", 80, false, Some("/?x"));
        for text in ["http://h", "mqtt://h/topic", "h"] {
            assert!(broker_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_user_property_is_a_name_and_a_value() {
        assert_eq!(name_and_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(name_and_value("a").is_err());
    }
}
