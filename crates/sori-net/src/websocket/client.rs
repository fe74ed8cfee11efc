//! The client's half of the handshake. RFC 6455 section 4.1

use crate::error::{Error, ErrorKind};
use crate::http::{Head, is_printable, is_token};
use crate::websocket::accept_of;
use base64ct::{Base64, Encoding};

/// What a client asks a server for.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct WebSocketClient {
    /// The host, and its port where that is not the usual one: what stands in the header `Host`.
    pub host: String,
    /// The path, with a query if there is one.
    pub path: String,
    /// The sub-protocol: `mqtt`, or `mqttv3.1` for servers that know nothing else.
    pub protocol: String,
    /// More headers: credentials for whatever stands in front of the broker, an `Origin`.
    pub headers: Vec<(String, String)>,
}

impl WebSocketClient {
    /// The sub-protocol `mqtt` and no more headers.
    pub fn new(host: &str, path: &str) -> WebSocketClient {
        WebSocketClient { host: host.into(), path: path.into(), protocol: "mqtt".into(), headers: Vec::new() }
    }

    /// The request with this key. RFC 6455 section 4.1
    pub(crate) fn request(&self, key: [u8; 16]) -> Result<Request, Error> {
        let refused = |what: &str, text: &str| {
            Err(Error::new(ErrorKind::Local, format!("{text:?} cannot stand in a WebSocket request as {what}")))
        };
        if self.host.is_empty() || !is_printable(&self.host) || self.host.contains([' ', '/']) {
            return refused("a host", &self.host);
        }
        if !self.path.starts_with('/') || !is_printable(&self.path) || self.path.contains(' ') {
            return refused("a path, which begins with /", &self.path);
        }
        if !is_token(&self.protocol) {
            return refused("a sub-protocol", &self.protocol);
        }
        let key = Base64::encode_string(&key);
        let (path, host, protocol) = (&self.path, &self.host, &self.protocol);
        let mut text = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocol}\r\n"
        );
        for (name, value) in &self.headers {
            if !is_token(name) || !is_printable(value) {
                return refused("a header", &format!("{name}: {value}"));
            }
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        Ok(Request { text, accept: accept_of(&key), protocol: protocol.clone() })
    }
}

/// A request, and what its answer must say.
pub(crate) struct Request {
    pub(crate) text: String,
    accept: String,
    protocol: String,
}

impl Request {
    /// Is this head the answer? RFC 6455 section 4.1
    pub(crate) fn check(&self, head: &[u8]) -> Result<(), Error> {
        let fails = |what: String| Err(Error::new(ErrorKind::WebSocket, what));
        let Some(head) = Head::parse(head).filter(|head| head.first.starts_with("HTTP/1.")) else {
            return fails("the server does not answer with HTTP".into());
        };
        let status = head.first.split_once(' ').map_or("", |(_, status)| status);
        if !status.starts_with("101") {
            return fails(format!("the server answers \"{status}\" and opens no WebSocket; is the path right?"));
        }
        if !head.list_has("Upgrade", "websocket") || !head.list_has("Connection", "upgrade") {
            return fails("the server's answer does not upgrade to WebSocket".into());
        }
        if head.only("Sec-WebSocket-Accept") != Some(&self.accept) {
            return fails("the server's Sec-WebSocket-Accept does not belong to our key".into());
        }
        // [MQTT-6.0.0-4]
        if head.only("Sec-WebSocket-Protocol") != Some(&self.protocol) {
            return fails(format!("the server does not take the sub-protocol \"{}\"", self.protocol));
        }
        if head.values("Sec-WebSocket-Extensions").any(|value| !value.is_empty()) {
            return fails("the server wants an extension that was not offered".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::WebSocketClient;

    #[test]
    fn values_that_would_break_the_request_are_refused() {
        let good = WebSocketClient::new("localhost:8080", "/mqtt");
        assert!(good.request([0; 16]).is_ok());
        let injected = ("X".to_owned(), "a\r\nHost: b".to_owned());
        for client in [
            WebSocketClient { host: "a\r\nb".into(), ..good.clone() },
            WebSocketClient { path: "mqtt".into(), ..good.clone() },
            WebSocketClient { path: "/a b".into(), ..good.clone() },
            WebSocketClient { protocol: String::new(), ..good.clone() },
            WebSocketClient { headers: vec![injected], ..good.clone() },
        ] {
            assert!(client.request([0; 16]).is_err(), "{client:?}");
        }
    }

    // covers: [MQTT-6.0.0-4] [MQTT311-6.0.0-4]
    #[test]
    fn only_the_right_answer_is_taken() {
        let request = WebSocketClient::new("h", "/").request(*b"the sample nonce").expect("legal");
        let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
        assert_eq!(request.check(good.as_bytes()), Ok(()));
        for (from, to) in [
            ("101 Switching Protocols", "404 Not Found"),
            ("HTTP/1.1", "SSH-2.0"),
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("Connection: Upgrade", "Connection: close"),
            ("s3pPL", "S3pPL"),
            ("Protocol: mqtt", "Protocol: mqttv3.1"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        ] {
            assert!(request.check(good.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
    }
}
