//! The options that say where to connect and as whom; `pub`, `sub` and `rr` share them.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};
use sori_client::{Options, Proxy, Reconnect};
use sori_mqtt::client_session::WillOptions;
use sori_mqtt::{Property, PropertyBuffer, QoS, Version};

use crate::failure::Failure;
use crate::settings::{Connection, Endpoint, TraceStyle, Way};
use crate::transport::TlsArguments;

#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArguments {
    /// The broker's name or address
    #[arg(short = 'h', long, default_value = "localhost")]
    host: String,
    /// The broker's port; without it 1883, and 8883 with TLS
    #[arg(short, long)]
    port: Option<u16>,
    /// Ask the DNS for the servers of the host's domain (SRV records) and try them in the order that it says
    #[arg(short = 'S', long, conflicts_with_all = ["port", "url", "unix"])]
    srv: bool,
    /// All in one: mqtt://, mqtts://, ws:// or wss://, as in wss://user:password@host:443/mqtt
    #[arg(short = 'L', long, value_parser = broker_url, conflicts_with_all = ["host", "port", "unix"])]
    url: Option<Options>,
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
    tls: TlsArguments,
    /// Connect through a proxy: socks5h://[user[:password]@]host[:port], or http://...
    #[arg(long, value_name = "URL", value_parser = proxy, conflicts_with = "unix")]
    proxy: Option<Proxy>,
}

/// A URL of `-L`; what is wrong with it is said without its password.
fn broker_url(text: &str) -> Result<Options, String> {
    Options::new(text).map_err(why)
}

/// The URL of `--proxy`.
fn proxy(text: &str) -> Result<Proxy, String> {
    Proxy::try_from(text).map_err(why)
}

/// What is wrong with a URL, without the URL: that stands there already.
pub(crate) fn why(error: sori_client::Error) -> String {
    match error {
        sori_client::Error::Url(_, why) => why.to_owned(),
        other => other.to_string(),
    }
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
            Endpoint::Domain(domain) => domain,
            Endpoint::Tcp { host, port } => format!("{host}:{port}"),
            Endpoint::Url(options) => options.server(),
        }
    }

    fn endpoint(&self) -> Endpoint {
        match (&self.url, &self.unix) {
            (Some(url), _) => Endpoint::Url(Box::new(url.clone())),
            (None, Some(path)) => Endpoint::Unix(path.clone()),
            (None, None) if self.srv => Endpoint::Domain(self.host.clone()),
            (None, None) => {
                let port = self.port.unwrap_or(if self.tls.is_given() { 8883 } else { 1883 });
                Endpoint::Tcp { host: self.host.clone(), port }
            }
        }
    }

    fn way(&self) -> Result<Way, Failure> {
        Ok(Way { proxy: self.proxy.clone(), tls: self.tls.tls()?, web_socket: None })
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
            user_name: self.username.clone(),
            password: self.password.clone().map(String::into_bytes),
            keep_alive: self.keepalive,
            version,
            clean_start: !self.disable_clean_session,
            session_expiry_interval: self.session_expiry_interval.unwrap_or(kept_by_default),
            will: self.will(),
            in_flight_max: self.in_flight_max,
            trace: self.debug.then_some(TraceStyle::Sori),
            reconnect: if self.reconnect { Reconnect::default() } else { Reconnect::never() },
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
    fn wrong_urls_are_explained_without_the_url() {
        assert_eq!(broker_url("mqtts://me:secret@h:1").map(|url| url.server()), Ok("h:1".to_owned()));
        assert_eq!(
            broker_url("http://h").map(|_| ()),
            Err("it begins with mqtt://, mqtts://, ws://, wss:// or unix:".into())
        );
        assert!(broker_url("mqtt://h/topic").is_err_and(|why| why.contains("topics are no part of it")));
        assert!(proxy("socks4://h").is_err_and(|why| why.contains("socks5://")));
    }

    #[test]
    fn a_user_property_is_a_name_and_a_value() {
        assert_eq!(name_and_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(name_and_value("a").is_err());
    }
}
