//! Where a server is: what a URL says, and what it says wrongly.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;
use crate::io::Connect;

/// The port of `mqtt://`, as registered with IANA.
const MQTT_PORT: u16 = 1883;

/// Where to connect to.
#[derive(Clone)]
pub(crate) enum Endpoint {
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
    /// Whatever makes connections: another part of this program, a test.
    Own(Arc<dyn Connect>),
}

/// What a URL says.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) endpoint: Endpoint,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<String>,
}

impl Endpoint {
    /// Reads `mqtt://user:password@host:port`, or `unix:/path`.
    pub(crate) fn parse(url: &str) -> Result<Parsed, Error> {
        let wrong = |why| Error::Url(without_credentials(url), why);
        if let Some(path) = url.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(wrong("behind unix: stands the path of a socket"));
            }
            return Ok(Parsed { endpoint: Self::Unix(PathBuf::from(path)), user_name: None, password: None });
        }
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| wrong("write it as mqtt://host, or unix:/path/of/a/socket"))?;
        match scheme {
            "mqtt" | "tcp" => {}
            _ => return Err(wrong("it begins with mqtt:// or unix:")),
        }
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        if !matches!(path, "" | "/") {
            return Err(wrong("behind the port of mqtt:// comes nothing; topics are no part of it"));
        }
        let (credentials, host_and_port) = match authority.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, authority),
        };
        let (user_name, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            None => (None, None),
            Some((user, password)) => {
                let has_password = credentials.is_some_and(|text| text.contains(':'));
                let decode =
                    |text| percent_decode(text).ok_or_else(|| wrong("a % in it is not followed by two digits"));
                (Some(decode(user)?), if has_password { Some(decode(password)?) } else { None })
            }
        };
        let (host, port) = split_port(host_and_port).ok_or_else(|| wrong("the port is a number from 1 to 65535"))?;
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        if host.contains([' ', '[', ']', '%']) {
            return Err(wrong("the host holds a character that no host has"));
        }
        let endpoint = Self::Tcp { host: host.to_owned(), port: port.unwrap_or(MQTT_PORT) };
        Ok(Parsed { endpoint, user_name, password })
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
fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        _ => url.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Own(connect) => f.write_str(&connect.name()),
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

    #[test]
    fn urls_say_where_and_as_whom() {
        assert_eq!(parsed("mqtt://localhost"), "localhost:1883 - -");
        assert_eq!(parsed("mqtt://host:1884/"), "host:1884 - -");
        assert_eq!(parsed("mqtt://me@host"), "host:1883 me -");
        assert_eq!(parsed("mqtt://m%40e:p%3Aw%25@[::1]:99"), "[::1]:99 m@e p:w%");
        assert_eq!(parsed("mqtt://me:@host"), "host:1883 me ");
        assert_eq!(parsed("unix:/run/mqtt.sock"), "/run/mqtt.sock - -");
        assert_eq!(parsed("unix:///run/mqtt.sock"), "/run/mqtt.sock - -");
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
