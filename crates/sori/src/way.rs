//! The way to a broker: a socket, and what lies between it and MQTT.

use std::io::{self, Write};

use sori_net::{ErrorKind, Proxy, TlsClient, TlsClientOptions, Transport, WebSocketClient};

use crate::failure::{Cause, Failure};
use crate::settings::Endpoint;
use crate::stream::Stream;

/// What lies between the socket and MQTT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) proxy: Option<ProxyServer>,
    pub(crate) tls: Option<TlsClientOptions>,
    /// The path of the request.
    pub(crate) web_socket: Option<String>,
}

/// A proxy and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyServer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) kind: Proxy,
}

/// Makes connections to one broker, as often as they are lost.
pub(crate) struct Dialer {
    endpoint: Endpoint,
    bind: Option<String>,
    no_delay: bool,
    way: Way,
    /// Kept, so that a later connection resumes the session of TLS.
    tls: Option<TlsClient>,
}

impl Dialer {
    /// Reads the files of TLS; nothing is sent yet.
    pub(crate) fn new(endpoint: Endpoint, bind: Option<String>, no_delay: bool, way: Way) -> Result<Self, Failure> {
        if way.proxy.is_some() && matches!(endpoint, Endpoint::Unix(_)) {
            return Err(Failure::new("a Unix socket is on this machine, and no proxy leads there: leave --proxy out"));
        }
        let tls = way.tls.as_ref().map(TlsClient::load).transpose();
        let tls = tls.map_err(|error| Failure::new(format!("cannot prepare TLS: {error}")))?;
        Ok(Self { endpoint, bind, no_delay, way, tls })
    }

    /// Connects the socket. The handshakes begin with it, and are over when [`Link::send`] takes something.
    pub(crate) fn open(&self) -> Result<Link, Failure> {
        let first = match &self.way.proxy {
            Some(proxy) => Endpoint::Tcp { host: proxy.host.clone(), port: proxy.port },
            None => self.endpoint.clone(),
        };
        // What is wrong with a name is said before there is a connection.
        let transport = self.transport().map_err(|error| failure(&error, "cannot begin the connection"))?;
        let stream = Stream::open(&first, self.bind.as_deref(), self.no_delay)?;
        let is_plain = self.way == Way::default();
        let mut link = Link { peer: stream.peer(), stream, transport, is_plain, speaks_tls: self.tls.is_some() };
        link.write_out().map_err(|error| {
            Failure::new(format!("{} closed the connection: {error}", link.peer)).with_cause(Cause::CannotConnect)
        })?;
        Ok(link)
    }

    fn transport(&self) -> Result<Transport, sori_net::Error> {
        let (host, port) = match &self.endpoint {
            Endpoint::Tcp { host, port } => (host.as_str(), Some(*port)),
            Endpoint::Unix(_) => ("localhost", None),
        };
        let mut transport = Transport::plain();
        if let (Some(proxy), Some(port)) = (&self.way.proxy, port) {
            transport = transport.through(&proxy.kind, host, port)?;
        }
        if let Some(tls) = &self.tls {
            transport = transport.tls_client(tls, host)?;
        }
        if let Some(path) = &self.way.web_socket {
            transport = transport.websocket_client(&WebSocketClient::new(&host_header(host, port), path))?;
        }
        Ok(transport)
    }
}

/// The brackets keep the colons of an address apart from the one before the port. RFC 3986 section 3.2.2
fn host_header(host: &str, port: Option<u16>) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    port.map_or(host.clone(), |port| format!("{host}:{port}"))
}

/// One connection.
pub(crate) struct Link {
    stream: Stream,
    transport: Transport,
    /// Nothing lies between: bytes go as they are.
    is_plain: bool,
    pub(crate) speaks_tls: bool,
    /// The other end of the socket, for messages.
    pub(crate) peer: String,
}

impl Link {
    /// For the thread that reads.
    pub(crate) fn reader(&self) -> io::Result<Stream> {
        self.stream.try_clone()
    }

    /// What came from the socket, as MQTT's bytes; with an error, those that came before it.
    pub(crate) fn receive(&mut self, mut wire: Vec<u8>) -> (Vec<u8>, Option<Failure>) {
        if self.is_plain {
            return (wire, None);
        }
        let mut plain = Vec::new();
        let outcome = self.transport.receive(&mut wire, &mut plain);
        // Answers of the handshakes, and the last words after an error. That nobody takes them is found out by reading.
        let _ = self.write_out();
        (plain, outcome.err().map(|error| failure(&error, &self.peer)))
    }

    /// Sends MQTT's bytes; gives how many were taken. None are while the handshakes go on.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        if self.is_plain {
            return (bytes.len(), self.stream.write_all(bytes));
        }
        let mut taken = 0;
        loop {
            let count = self.transport.send(bytes.get(taken..).unwrap_or_default());
            taken += count;
            let result = self.write_out();
            if count == 0 || result.is_err() {
                return (taken, result);
            }
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let output = self.transport.output();
        let (length, result) = (output.len(), self.stream.write_all(output));
        self.transport.sent(length);
        result
    }

    /// The good-byes of TLS and WebSocket.
    pub(crate) fn say_good_bye(&mut self) {
        self.transport.close();
        // Who is gone already needs none.
        let _ = self.write_out();
    }

    /// Both directions, also for the thread that is reading.
    pub(crate) fn close(&self) {
        self.stream.close();
    }
}

/// What went wrong between the socket and MQTT, and what to do about it.
fn failure(error: &sori_net::Error, peer: &str) -> Failure {
    let advice = match error.kind() {
        ErrorKind::Certificate => {
            "; --cafile names the file of the CA that has signed the broker's certificate, --cert and --key what this \
             client shows"
        }
        ErrorKind::Tls => "; is it a listener with TLS?",
        ErrorKind::WebSocket => "; is it a listener for WebSocket?",
        _ => "",
    };
    Failure::new(format!("{peer}: {error}{advice}")).with_cause(match error.kind() {
        ErrorKind::Tls | ErrorKind::Certificate => Cause::Tls,
        ErrorKind::Proxy => Cause::Proxy,
        ErrorKind::Local => Cause::Other,
        _ => Cause::Lost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_request_is_that_of_a_url() {
        assert_eq!(host_header("broker", Some(8080)), "broker:8080");
        assert_eq!(host_header("::1", Some(80)), "[::1]:80");
        assert_eq!(host_header("localhost", None), "localhost");
    }

    #[test]
    fn a_proxy_to_a_unix_socket_is_refused() {
        let kind = Proxy::Socks5 { credentials: None };
        let proxy = Some(ProxyServer { host: "localhost".to_owned(), port: 1080, kind });
        let way = Way { proxy, ..Way::default() };
        assert!(Dialer::new(Endpoint::Unix("/socket".into()), None, true, way).is_err());
    }
}
