//! The options that say where to connect and as whom; `pub` and `sub` share them.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use sori_mqtt::client_session::{ConnectOptions, WillOptions};
use sori_mqtt::{QoS, Version};

use crate::failure::Failure;

/// How long to wait for a connection, and for the broker's answers.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArguments {
    /// The broker's name or address
    #[arg(short = 'h', long, default_value = "localhost")]
    host: String,
    /// The broker's port
    #[arg(short, long, default_value_t = 1883)]
    port: u16,
    /// Client identifier; without it the broker assigns one
    #[arg(short, long)]
    id: Option<String>,
    /// User name
    #[arg(short, long)]
    username: Option<String>,
    /// Password
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
    /// Print every packet to standard error
    #[arg(short, long)]
    pub(crate) debug: bool,
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

impl ConnectionArguments {
    pub(crate) fn version(&self) -> Version {
        match self.protocol_version {
            VersionArgument::V31 => Version::V31,
            VersionArgument::V311 => Version::V311,
            VersionArgument::V5 => Version::V5,
        }
    }

    pub(crate) fn options(&self) -> Result<ConnectOptions, Failure> {
        let version = self.version();
        if self.session_expiry_interval.is_some() && !version.is_v5() {
            return Err(Failure::new("-x needs MQTT 5: leave -V out"));
        }
        let kept_by_default = if self.disable_clean_session { u32::MAX } else { 0 };
        Ok(ConnectOptions {
            version,
            client_id: self.client_id(),
            clean_start: !self.disable_clean_session,
            // Whatever an earlier run left unfinished is gone with it: the state here is empty, and rightly so.
            session_known: self.disable_clean_session,
            keep_alive: self.keepalive,
            user_name: self.username.clone(),
            password: self.password.clone().map(String::into_bytes),
            will: self.will(),
            session_expiry_interval: self.session_expiry_interval.unwrap_or(kept_by_default),
            // The commands themselves wait for acknowledgements; one message may be as large as MQTT allows.
            queue_bytes_max: usize::MAX / 4,
            response_timeout: RESPONSE_TIMEOUT,
            ..ConnectOptions::default()
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
        Some(WillOptions {
            topic: self.will_topic.clone()?,
            payload: self.will_payload.clone().unwrap_or_default().into_bytes(),
            qos: qos(self.will_qos),
            retain: self.will_retain,
            ..WillOptions::default()
        })
    }

    /// Connects to the first address of the host that answers, over TCP: an ordered byte stream that loses nothing.
    /// [MQTT-4.2.0-1] [MQTT311-7.1.2-1]
    pub(crate) fn open(&self) -> Result<TcpStream, Failure> {
        let addresses = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| Failure::new(format!("cannot find the host \"{}\": {error}", self.host)))?;
        let mut failure = Failure::new(format!("the host \"{}\" has no address", self.host));
        for address in addresses {
            match TcpStream::connect_timeout(&address, RESPONSE_TIMEOUT) {
                Ok(stream) => {
                    // Without it the last packet of a burst waits for an acknowledgement of the one before.
                    stream.set_nodelay(true).map_err(|error| Failure::new(error.to_string()))?;
                    return Ok(stream);
                }
                Err(error) => failure = cannot_connect(address, &error),
            }
        }
        Err(failure)
    }
}

fn cannot_connect(address: SocketAddr, error: &io::Error) -> Failure {
    Failure::new(match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("connection refused by {address}: is a broker running there? start one with `sori`")
        }
        io::ErrorKind::TimedOut => format!(
            "no answer from {address} within {} s: is the address right, and does a firewall let port {} through?",
            RESPONSE_TIMEOUT.as_secs(),
            address.port()
        ),
        _ => format!("cannot connect to {address}: {error}"),
    })
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
}
