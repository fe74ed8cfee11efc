//! How to connect, and the bounds of what is kept here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sori_mqtt::client_session::{Authentication, ConnectOptions, OptionError};
use sori_mqtt::{Property, Version};

use crate::authenticator::{Asked, Authenticator};
use crate::endpoint::{Endpoint, Parsed, Place};
use crate::error::Error;
use crate::io::Connect;
use crate::publish::Publish;
use crate::reconnect::Reconnect;

/// For so long a server keeps the session of a client that did not say good-bye, unless something else is chosen:
/// long enough to come back with nothing lost and nothing doubled.
const SESSION_EXPIRY_SECONDS: u32 = 300;
/// Messages that an MQTT 5.0 server may have in flight.
const RECEIVE_MAXIMUM: u16 = 1_000;
/// Messages that this client has in flight with a server that cannot tell how many it takes.
const IN_FLIGHT_MAX_BEFORE_5: u16 = 20;
/// Topic aliases of either side.
const TOPIC_ALIAS_MAXIMUM: u16 = 16;
/// Bytes of messages that wait to be sent or taken.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Where to connect to, and how.
///
/// ```
/// use sori_client::{Options, Publish};
/// use std::time::Duration;
///
/// let options = Options::new("mqtt://localhost")?
///     .client_id("thermometer-7")
///     .credentials("thermometer", "secret")
///     .will(Publish::new("devices/thermometer-7/status", "offline").retain(true))
///     .keep_alive(Duration::from_secs(30));
/// # Ok::<(), sori_client::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) endpoint: Endpoint,
    pub(crate) session: ConnectOptions,
    /// None: 5.0, and 3.1.1 for servers that do not know it.
    pub(crate) version: Option<Version>,
    pub(crate) in_flight_max: Option<u16>,
    pub(crate) authenticator: Option<Asked>,
    pub(crate) reconnect: Reconnect,
    pub(crate) when_full: WhenFull,
    pub(crate) incoming_bytes_max: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) seed: u64,
    #[cfg(feature = "store")]
    pub(crate) store: Option<crate::Store>,
}

/// What happens to a message when too much waits to be sent already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Publishing waits until there is room.
    #[default]
    Wait,
    /// It is refused ([`Error::QueueFull`]).
    Refuse,
    /// The oldest messages that were not sent are given up for it; their receipts are errors ([`Error::Dropped`]).
    DropOldest,
}

impl Options {
    /// A server by its URL: `mqtt://user:password@host:port`, `mqtts://`, `ws://host:port/path`, `wss://` or
    /// `unix:/path/of/a/socket`. Without a port it is the registered one: 1883, 8883, 80 or 443. A WebSocket without a path has
    /// `/mqtt`.
    ///
    /// # Errors
    /// The URL is not one of a server.
    pub fn new(url: &str) -> Result<Self, Error> {
        let Parsed { endpoint, user_name, password } = Endpoint::parse(url)?;
        let mut options = Self::to(endpoint);
        options.session.user_name = user_name;
        options.session.password = password.map(String::into_bytes);
        Ok(options)
    }

    /// A server by the name or address of its host and the port: plain MQTT, unless [`tls`](Self::tls) or
    /// [`websocket`](Self::websocket) say something else. For programs that have the parts of a URL and not the whole.
    ///
    /// ```
    /// # #[cfg(all(feature = "tls", feature = "websocket"))] {
    /// use sori_client::{Options, Tls};
    ///
    /// let options = Options::tcp("broker.example", 8443).tls(Tls::new()).websocket("/mqtt");
    /// # }
    /// ```
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::to(Endpoint::at(Place::Tcp { name: host.into(), port }))
    }

    /// The servers of a domain, by what the DNS says of it: its SRV records `_mqtt._tcp`, and with [`tls`](Self::tls)
    /// `_secure-mqtt._tcp` (RFC 2782). They are looked up for each connection; when one does not answer, the next one is
    /// tried. A certificate must have the name of the server when that is below the domain, else that of the domain, as the DNS
    /// proves nothing.
    #[cfg(feature = "srv")]
    pub fn srv(domain: impl Into<String>) -> Self {
        let mut endpoint = Endpoint::at(Place::Tcp { name: domain.into(), port: 0 });
        if let Some(server) = endpoint.server_mut() {
            server.srv = Some(crate::srv::Srv::default());
        }
        Self::to(endpoint)
    }

    /// Asks this name server for the servers of a [domain](Self::srv), and not those of the machine.
    #[cfg(feature = "srv")]
    #[must_use]
    pub fn name_server(mut self, address: std::net::SocketAddr) -> Self {
        if let Some(srv) = self.endpoint.server_mut().and_then(|server| server.srv.as_mut()) {
            srv.name_server = Some(address);
        }
        self
    }

    /// A server by the path of its Unix socket. Where TLS or a WebSocket need a name, it is `localhost`.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::to(Endpoint::at(Place::Unix(path.into())))
    }

    /// A server that is reached by something else than a socket: in the same program, in a test.
    pub fn over(connect: impl Connect) -> Self {
        Self::to(Endpoint::Own(Arc::new(connect)))
    }

    fn to(endpoint: Endpoint) -> Self {
        let session = ConnectOptions {
            session_expiry_interval: SESSION_EXPIRY_SECONDS,
            receive_maximum: RECEIVE_MAXIMUM,
            topic_alias_maximum: TOPIC_ALIAS_MAXIMUM,
            topic_alias_outgoing_max: TOPIC_ALIAS_MAXIMUM,
            queue_bytes_max: QUEUE_BYTES_MAX,
            acknowledge_at_once: false,
            send_anew: true,
            ..ConnectOptions::default()
        };
        Self {
            endpoint,
            session,
            version: None,
            in_flight_max: None,
            authenticator: None,
            reconnect: Reconnect::default(),
            when_full: WhenFull::Wait,
            incoming_bytes_max: QUEUE_BYTES_MAX,
            connect_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
            seed: chance(),
            #[cfg(feature = "store")]
            store: None,
        }
    }

    /// Whom to trust with `mqtts://` and `wss://`, and how to prove who this client is. For other URLs it is an error; where
    /// there was no URL ([`tcp`](Self::tcp), [`unix`](Self::unix)) TLS is spoken from now on.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::Tls) -> Self {
        if let Some(server) = self.endpoint.server_mut() {
            server.way.tls = Some(tls);
        }
        self
    }

    /// MQTT in a WebSocket at this path, with a query if there is one: what `ws://host/path` says in a URL.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket(mut self, path: impl Into<String>) -> Self {
        if let Some(server) = self.endpoint.server_mut() {
            server.websocket = Some(path.into());
        }
        self
    }

    /// Another header in the request that opens a WebSocket: credentials for what stands in front of the broker, an
    /// `Origin`.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Some(server) = self.endpoint.server_mut() {
            server.way.headers.push((name.into(), value.into()));
        }
        self
    }

    /// Goes through a [`Proxy`](crate::Proxy), or its URL: `socks5://user:password@host:port` or `http://host:port`
    /// (CONNECT). The proxy resolves the server's name. No proxy leads to a Unix socket: that is an error on connecting.
    ///
    /// # Errors
    /// The URL is not one of a proxy.
    #[cfg(feature = "proxy")]
    pub fn proxy<P: TryInto<crate::Proxy>>(mut self, proxy: P) -> Result<Self, Error>
    where
        Error: From<P::Error>,
    {
        let proxy = proxy.try_into()?;
        if let Some(server) = self.endpoint.server_mut() {
            server.way.proxy = Some(proxy);
        }
        Ok(self)
    }

    /// Connects from this address of this machine, or from the one that this name has: for machines with several.
    #[must_use]
    pub fn local_address(mut self, address: impl Into<String>) -> Self {
        if let Some(server) = self.endpoint.server_mut() {
            server.local = Some(address.into());
        }
        self
    }

    /// Whether small packets go at once (the default), or wait until the server's machine has acknowledged those before
    /// (RFC 896): fewer bytes on the network, and up to some hundred milliseconds more until they arrive.
    #[must_use]
    pub fn no_delay(mut self, no_delay: bool) -> Self {
        if let Some(server) = self.endpoint.server_mut() {
            server.no_delay = no_delay;
        }
        self
    }

    /// The server in words for people: its host and port, or its path.
    #[must_use]
    pub fn server(&self) -> String {
        self.endpoint.to_string()
    }

    /// Reads the files that are needed to connect, so that what is wrong with them is told at once.
    pub(crate) fn load(&mut self) -> Result<(), Error> {
        #[cfg(feature = "transport")]
        if let Some(server) = self.endpoint.server_mut() {
            let mut way = server.way.clone();
            way.load(server)?;
            server.way = way;
        }
        Ok(())
    }

    /// The client identifier. Without it the server assigns one.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.session.client_id = client_id.into();
        self
    }

    /// A user name, without touching the password.
    #[must_use]
    pub fn user_name(mut self, user_name: impl Into<String>) -> Self {
        self.session.user_name = Some(user_name.into());
        self
    }

    /// A password, without touching the user name; MQTT 5.0 has it also without one [MQTT-3.1.2-19].
    #[must_use]
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.session.password = Some(password.into());
        self
    }

    /// User name and password.
    #[must_use]
    pub fn credentials(mut self, user_name: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        self.session.user_name = Some(user_name.into());
        self.session.password = Some(password.into());
        self
    }

    /// MQTT 5.0: proves who this client is by a method of enhanced authentication. The authenticator is for one client; options
    /// that are cloned have the same one.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        let authenticator = Asked::new(authenticator);
        self.session.authentication = Some(Authentication { method: authenticator.method(), data: None });
        self.authenticator = Some(authenticator);
        self
    }

    /// The message that the server publishes when this client is lost. Its Will Delay Interval, if it is to have one, is a
    /// [property](Publish::property).
    #[must_use]
    pub fn will(mut self, will: Publish<'_>) -> Self {
        self.session.will = Some(will.into_owned().into_will());
        self
    }

    /// The server is sent a sign of life after so long without any other; zero turns that off. The default is 60 seconds.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.session.keep_alive = u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX);
        self
    }

    /// Whether to begin with a new session (the default), or with the one that an earlier program with this client
    /// identifier has left: then it also outlives this program, with its subscriptions and what comes in for them.
    #[must_use]
    pub fn clean_start(mut self, clean_start: bool) -> Self {
        self.session.clean_start = clean_start;
        self.session.session_known = !clean_start;
        self
    }

    /// MQTT 5.0: how long the server keeps the session while there is no connection. The default is 300 seconds; with
    /// [`clean_start`](Self::clean_start) a good-bye ends the session at once.
    #[must_use]
    pub fn session_expiry(mut self, expiry: Duration) -> Self {
        self.session.session_expiry_interval = u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX);
        self
    }

    /// The version to speak. Without it 5.0 is spoken, and 3.1.1 with servers that do not understand it.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// MQTT 5.0: how many messages with QoS 1 and 2 the server may have in flight; the default is 1,000. It bounds what
    /// waits for a [manual acknowledgement](crate::Subscribe::manual_acks).
    #[must_use]
    pub fn receive_maximum(mut self, messages: u16) -> Self {
        self.session.receive_maximum = messages;
        self
    }

    /// How many messages with QoS 1 and 2 this client has in flight at most. The default is what an MQTT 5.0 server allows,
    /// and 20 for others, which cannot tell: more of QoS 2 stall Mosquitto.
    #[must_use]
    pub fn in_flight_max(mut self, messages: u16) -> Self {
        self.in_flight_max = Some(messages);
        self
    }

    /// The largest packet to accept, in bytes. MQTT 5.0 tells the server, which then leaves out what is larger; before,
    /// it ends the connection.
    #[must_use]
    pub fn maximum_packet_size(mut self, bytes: u32) -> Self {
        self.session.maximum_packet_size = bytes;
        self
    }

    /// MQTT 5.0: how many topic aliases either side uses at most; the default is 16.
    #[must_use]
    pub fn topic_alias_maximum(self, aliases: u16) -> Self {
        self.topic_aliases(aliases, aliases)
    }

    /// MQTT 5.0: the same with a number of its own for each side: how many the server may use, and this client.
    #[must_use]
    pub fn topic_aliases(mut self, incoming_max: u16, outgoing_max: u16) -> Self {
        self.session.topic_alias_maximum = incoming_max;
        self.session.topic_alias_outgoing_max = outgoing_max;
        self
    }

    /// MQTT 5.0: the method of an enhanced authentication, and its first data if the method lets the client begin.
    #[must_use]
    pub fn authentication(mut self, method: impl Into<String>, data: Option<Vec<u8>>) -> Self {
        self.session.authentication = Some(Authentication { method: method.into(), data });
        self
    }

    /// MQTT 5.0: another property of the CONNECT, such as a User Property.
    #[must_use]
    pub fn property(mut self, property: Property<'_>) -> Self {
        self.session.properties.push(property);
        self
    }

    /// How many bytes of messages wait at most until they are sent and acknowledged, and what happens then. The default
    /// is 64 MiB and [`WhenFull::Wait`].
    #[must_use]
    pub fn queue_bytes_max(mut self, bytes: usize, when_full: WhenFull) -> Self {
        self.session.queue_bytes_max = bytes;
        self.when_full = when_full;
        self
    }

    /// Keeps messages with QoS 1 and 2 in a folder until they have their receipt, so that the next program sends what this one
    /// could not.
    #[cfg(feature = "store")]
    #[must_use]
    pub fn store(mut self, store: crate::Store) -> Self {
        self.store = Some(store);
        self
    }

    /// How many bytes of messages that came in wait at most, in the queues of all subscriptions together. The default is
    /// 64 MiB.
    #[must_use]
    pub fn incoming_bytes_max(mut self, bytes: usize) -> Self {
        self.incoming_bytes_max = bytes;
        self
    }

    /// When to connect again after a loss.
    #[must_use]
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// How long to wait until the network has made a connection, and then again for the server's answers. The default is
    /// 10 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self.session.response_timeout = timeout;
        self
    }

    /// How long closing waits for receipts of what was published. The default is 10 seconds.
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Where chance comes from, so that a test can have the same one twice.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn in_flight_max_for(&self, version: Version) -> u16 {
        self.in_flight_max.unwrap_or(if version.is_v5() { u16::MAX } else { IN_FLIGHT_MAX_BEFORE_5 })
    }

    /// What a session is made of, checked.
    pub(crate) fn connect_options(&self) -> Result<ConnectOptions, Error> {
        let version = self.version.unwrap_or(Version::V5);
        let session =
            ConnectOptions { version, in_flight_max: self.in_flight_max_for(version), ..self.session.clone() };
        if session.client_id.is_empty() && !session.clean_start {
            return Err(OptionError::ClientIdMissing.into());
        }
        Ok(session)
    }
}

impl TryFrom<&str> for Options {
    type Error = Error;

    fn try_from(url: &str) -> Result<Self, Error> {
        Self::new(url)
    }
}

impl TryFrom<String> for Options {
    type Error = Error;

    fn try_from(url: String) -> Result<Self, Error> {
        Self::new(&url)
    }
}

impl TryFrom<&String> for Options {
    type Error = Error;

    fn try_from(url: &String) -> Result<Self, Error> {
        Self::new(url)
    }
}

/// A number that differs from one program and one call to the next: the standard library seeds its hash maps with such.
pub(crate) fn chance() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
