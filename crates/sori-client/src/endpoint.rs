//! Where a server is: what a URL says, and what it says wrongly.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;
use crate::io::Connect;
#[cfg(feature = "srv")]
use crate::srv::Srv;
#[cfg(feature = "transport")]
use crate::way::Way;

/// Where to connect to.
#[derive(Clone)]
pub(crate) enum Endpoint {
    Socket(Box<Server>),
    /// Whatever makes connections: another part of this program, a test.
    Own(Arc<dyn Connect>),
}

/// A server behind a socket, and what is spoken on the way to it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) place: Place,
    /// Its name is a domain, and the DNS says which servers that has.
    #[cfg(feature = "srv")]
    pub(crate) srv: Option<Srv>,
    /// The name that its certificate has, if not its own one.
    #[cfg(all(feature = "srv", feature = "tls"))]
    pub(crate) certified_name: Option<String>,
    /// The address or name of this machine to connect from.
    pub(crate) local: Option<String>,
    pub(crate) no_delay: bool,
    /// What the URL says about TLS; without a URL that is known by its options.
    #[cfg(feature = "tls")]
    pub(crate) is_secure: Option<bool>,
    /// The path of a WebSocket, if it is one.
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Option<String>,
    #[cfg(feature = "transport")]
    pub(crate) way: Way,
}

/// Where its socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp { name: String, port: u16 },
    Unix(PathBuf),
}

/// What a URL says.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) endpoint: Endpoint,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<String>,
}

/// One kind of URL.
struct Scheme {
    name: &'static str,
    is_secure: bool,
    is_websocket: bool,
    /// As registered with IANA.
    port: u16,
}

const SCHEMES: [Scheme; 5] = [
    Scheme { name: "mqtt", is_secure: false, is_websocket: false, port: 1883 },
    Scheme { name: "tcp", is_secure: false, is_websocket: false, port: 1883 },
    Scheme { name: "mqtts", is_secure: true, is_websocket: false, port: 8883 },
    Scheme { name: "ws", is_secure: false, is_websocket: true, port: 80 },
    Scheme { name: "wss", is_secure: true, is_websocket: true, port: 443 },
];

/// Where brokers have their WebSocket, unless the URL says something else.
const WEBSOCKET_PATH: &str = "/mqtt";
/// What a server behind a Unix socket is called where a name is needed.
#[cfg(any(feature = "tls", feature = "websocket"))]
const LOCAL_NAME: &str = "localhost";

impl Endpoint {
    pub(crate) fn at(place: Place) -> Self {
        Self::Socket(Box::new(Server::at(place)))
    }

    /// The server, if it is behind a socket.
    pub(crate) fn server_mut(&mut self) -> Option<&mut Server> {
        match self {
            Self::Socket(server) => Some(server),
            Self::Own(_) => None,
        }
    }

    /// Reads `mqtt://user:password@host:port`, `mqtts://`, `ws://host:port/path`, `wss://`, or `unix:/path`.
    pub(crate) fn parse(url: &str) -> Result<Parsed, Error> {
        let wrong = |why| Error::Url(without_credentials(url), why);
        if let Some(path) = url.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(wrong("behind unix: stands the path of a socket"));
            }
            return Ok(Parsed { endpoint: Self::at(Place::Unix(path.into())), user_name: None, password: None });
        }
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| wrong("write it as mqtt://host, or unix:/path/of/a/socket"))?;
        let scheme = SCHEMES
            .iter()
            // RFC 3986 section 3.1
            .find(|known| known.name.eq_ignore_ascii_case(scheme))
            .ok_or_else(|| wrong("it begins with mqtt://, mqtts://, ws://, wss:// or unix:"))?;
        if scheme.is_secure && !cfg!(feature = "tls") {
            return Err(wrong("this program was built without the feature tls of sori-client"));
        }
        if scheme.is_websocket && !cfg!(feature = "websocket") {
            return Err(wrong("this program was built without the feature websocket of sori-client"));
        }
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        // Without its feature such a URL has been refused above.
        #[cfg_attr(not(feature = "websocket"), allow(unused_variables))]
        let websocket = match path {
            _ if path.contains('#') => {
                return Err(wrong("it has no fragment: write %23 for # in a name or a password"));
            }
            "" if scheme.is_websocket => Some(WEBSOCKET_PATH.to_owned()),
            _ if scheme.is_websocket && path.starts_with('?') => Some(format!("{WEBSOCKET_PATH}{path}")),
            _ if scheme.is_websocket => Some(path.to_owned()),
            "" | "/" => None,
            _ => return Err(wrong("behind the port comes nothing; topics are no part of it")),
        };
        let Authority { user_name, password, host, port } = Authority::parse(authority).map_err(wrong)?;
        let server = Server {
            #[cfg(feature = "tls")]
            is_secure: Some(scheme.is_secure),
            #[cfg(feature = "websocket")]
            websocket,
            ..Server::at(Place::Tcp { name: host, port: port.unwrap_or(scheme.port) })
        };
        Ok(Parsed { endpoint: Self::Socket(Box::new(server)), user_name, password })
    }
}

impl Server {
    /// Plain MQTT.
    fn at(place: Place) -> Self {
        Self {
            place,
            #[cfg(feature = "srv")]
            srv: None,
            #[cfg(all(feature = "srv", feature = "tls"))]
            certified_name: None,
            local: None,
            no_delay: true,
            #[cfg(feature = "tls")]
            is_secure: None,
            #[cfg(feature = "websocket")]
            websocket: None,
            #[cfg(feature = "transport")]
            way: Way::default(),
        }
    }

    /// The name that its certificate has.
    #[cfg(feature = "tls")]
    pub(crate) fn name(&self) -> &str {
        #[cfg(feature = "srv")]
        if let Some(name) = &self.certified_name {
            return name;
        }
        match &self.place {
            Place::Tcp { name, .. } => name,
            Place::Unix(_) => LOCAL_NAME,
        }
    }

    /// As it stands in the header `Host` of a WebSocket's request. RFC 9110 section 7.2
    #[cfg(feature = "websocket")]
    pub(crate) fn host(&self) -> String {
        match &self.place {
            Place::Tcp { .. } => self.place.to_string(),
            Place::Unix(_) => LOCAL_NAME.to_owned(),
        }
    }
}

/// What stands between `//` and the path.
pub(crate) struct Authority {
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// Reads `user:password@host:port`; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (credentials, host_and_port) = match text.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, text),
        };
        let decode = |text| percent_decode(text).ok_or("a % in it is not followed by two digits");
        let (user_name, password) = match credentials.map(|text| text.split_once(':').ok_or(text)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(decode(user)?), Some(decode(password)?)),
            Some(Err(user)) => (Some(decode(user)?), None),
        };
        let (host, port) = split_port(host_and_port).ok_or("the port is a number from 1 to 65535")?;
        if host.is_empty() {
            return Err("the host is missing");
        }
        if host.contains([' ', '[', ']', '%']) {
            return Err("the host holds a character that no host has");
        }
        Ok(Self { user_name, password, host: host.to_owned(), port })
    }
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let number = |text: &str| text.parse().ok().filter(|port| *port != 0);
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, Some(number(port)?))),
            None if rest.is_empty() => Some((address, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(number(port)?))),
        None => Some((text, None)),
    }
}

/// RFC 3986 section 2.1.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

/// The URL for a message to people.
pub(crate) fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        _ => url.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "srv")]
            Self::Socket(server) if server.srv.is_some() => match &server.place {
                // The port stands in the DNS.
                Place::Tcp { name, .. } => f.write_str(name),
                place @ Place::Unix(_) => place.fmt(f),
            },
            Self::Socket(server) => server.place.fmt(f),
            Self::Own(connect) => f.write_str(&connect.name()),
        }
    }
}

impl fmt::Display for Place {
    /// As it stands in a URL: the brackets keep the colons of an address apart from the one before the port. RFC 3986
    /// section 3.2.2
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port } => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> String {
        match Endpoint::parse(url) {
            Ok(Parsed { endpoint, user_name, password }) => {
                let credentials = [user_name, password].map(|text| text.unwrap_or("-".into()));
                format!("{endpoint} {} {}", credentials[0], credentials[1])
            }
            Err(error) => error.to_string(),
        }
    }

    #[cfg(all(feature = "tls", feature = "websocket"))]
    #[test]
    fn urls_say_where_and_as_whom() {
        assert_eq!(parsed("mqtt://localhost"), "localhost:1883 - -");
        assert_eq!(parsed("mqtt://host:1884/"), "host:1884 - -");
        assert_eq!(parsed("mqtt://me@host"), "host:1883 me -");
        assert_eq!(parsed("mqtt://m%40e:p%3Aw%25@[::1]:99"), "[::1]:99 m@e p:w%");
        assert_eq!(parsed("mqtt://me:@host"), "host:1883 me ");
        assert_eq!(parsed("mqtts://host"), "host:8883 - -");
        assert_eq!(parsed("MQTTS://host"), "host:8883 - -");
        assert_eq!(parsed("ws://host"), "host:80 - -");
        assert_eq!(parsed("wss://me:pw@host/path?x=1"), "host:443 me pw");
        assert_eq!(parsed("unix:/run/mqtt.sock"), "/run/mqtt.sock - -");
        assert_eq!(parsed("unix:///run/mqtt.sock"), "/run/mqtt.sock - -");
    }

    #[cfg(feature = "websocket")]
    #[test]
    fn a_websocket_has_a_path() {
        for (url, path) in [
            ("ws://host", Some("/mqtt")),
            ("ws://host/", Some("/")),
            ("ws://host/a/b?c=d", Some("/a/b?c=d")),
            ("ws://host?c=d", Some("/mqtt?c=d")),
            ("mqtt://host/", None),
        ] {
            let Endpoint::Socket(server) = Endpoint::parse(url).expect("a URL").endpoint else { unreachable!("{url}") };
            assert_eq!(server.websocket.as_deref(), path, "{url}");
        }
    }

    #[test]
    fn wrong_urls_are_explained_and_their_passwords_are_not_shown() {
        for (url, part) in [
            ("localhost", "write it as mqtt://host"),
            ("", "write it as mqtt://host"),
            ("http://host", "it begins with mqtt://"),
            ("mqtt://", "the host is missing"),
            ("mqtt://:1883", "the host is missing"),
            ("mqtt://host:0", "the port is a number"),
            ("mqtt://host:port", "the port is a number"),
            ("mqtt://::1", "the port is a number"),
            ("mqtt://[::1", "the port is a number"),
            ("mqtt://[::1]x", "the port is a number"),
            ("mqtt://host/topic", "topics are no part of it"),
            ("mqtts://host/#", "it has no fragment"),
            ("mqtt://a%zz:secret@host", "a % in it"),
            ("mqtt://a%4", "no host has"),
            ("mqtt://me:secret@ho st", "no host has"),
            ("unix:", "the path of a socket"),
        ] {
            let text = parsed(url);
            assert!(text.contains(part), "{url}: {text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
