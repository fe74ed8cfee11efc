//! A broker with a listener for each way to it.

use sori_client::{Options, Tls, Version};

use super::brokers::{Broker, Kind, Listener, Secure, free_port, options};
use super::certificates::{Ca, Certificate};

/// A way to reach a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Tcp,
    Unix,
    Tls,
    WebSocket,
    SecureWebSocket,
}

impl Way {
    pub(crate) const ALL: [Self; 5] = [Self::Tcp, Self::Unix, Self::Tls, Self::WebSocket, Self::SecureWebSocket];

    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::SecureWebSocket)
    }
}

pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) ca: Ca,
    pub(crate) broker: Broker,
    pub(crate) tls: u16,
    pub(crate) websocket: u16,
    pub(crate) secure_websocket: u16,
}

impl Place {
    /// None if the broker is not installed.
    pub(crate) fn start(kind: Kind, certificate: Certificate) -> Option<Self> {
        Self::start_with(kind, certificate, false)
    }

    pub(crate) fn start_with(kind: Kind, certificate: Certificate, wants_client_certificates: bool) -> Option<Self> {
        let ca = Ca::new();
        let [tls, websocket, secure_websocket] = std::array::from_fn(|_| free_port());
        let (certificate, key) = ca.server(certificate);
        let secure = Secure { certificate, key, client_ca: wants_client_certificates.then(|| ca.file()) };
        let listeners = [
            Listener { port: tls, is_websocket: false, secure: Some(secure.clone()) },
            Listener { port: websocket, is_websocket: true, secure: None },
            Listener { port: secure_websocket, is_websocket: true, secure: Some(secure) },
        ];
        let broker = Broker::start_with(kind, &listeners)?;
        Some(Self { kind, ca, broker, tls, websocket, secure_websocket })
    }

    pub(crate) fn sori(certificate: Certificate) -> Self {
        Self::start(Kind::Sori, certificate).expect("is always there")
    }

    pub(crate) fn url(&self, way: Way) -> String {
        match way {
            Way::Tcp => self.broker.url(),
            Way::Unix => self.broker.unix_url(),
            Way::Tls => format!("mqtts://localhost:{}", self.tls),
            Way::WebSocket => format!("ws://localhost:{}/mqtt", self.websocket),
            Way::SecureWebSocket => format!("wss://localhost:{}", self.secure_websocket),
        }
    }

    pub(crate) fn trusting(&self) -> Tls {
        Tls::new().ca_file(self.ca.file())
    }

    /// The largest message that comes back over a WebSocket in good time.
    ///
    /// Mosquitto 2.0.11 writes one to any client in pieces of 4,116 bytes and sleeps for 100 ms after each of them: `strace` shows
    /// `sendto` of 4,116 bytes, `epoll_wait` with a time-out of 100 that finds nothing, and so on, because libwebsockets wants to write
    /// and the broker's own `epoll_wait` does not watch for that. So 70,000 bytes take 1.7 seconds, 200,000 take 4.8 and 1,500,000
    /// take 36.5. A subscriber with paho-mqtt 2.2.0 waits 4.8 seconds for 200,000 bytes, too. The other way there is no such wait:
    /// the receipt for 1,500,000 bytes over `ws://` comes within half a second.
    pub(crate) fn size_max(&self, way: Way) -> usize {
        if self.kind == Kind::Mosquitto && way.is_websocket() { 70_000 } else { usize::MAX }
    }

    /// Options for a client that comes by this way.
    pub(crate) fn options(&self, way: Way, version: Version) -> Options {
        let options = options(&self.url(way)).version(version);
        match way {
            Way::Tcp | Way::Unix => options,
            Way::Tls | Way::SecureWebSocket => options.tls(self.trusting()),
            Way::WebSocket => options.websocket_header("Origin", "http://localhost"),
        }
    }
}
