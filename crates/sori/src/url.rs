//! URLs of brokers and proxies, as `--url` and `--proxy` take them.

/// `scheme://[user[:password]@]host[:port][/path]`. RFC 3986 section 3
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// In small letters.
    pub(crate) scheme: String,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<String>,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// With its `/`; empty if there is none.
    pub(crate) path: String,
}

impl Url {
    /// What is wrong with it is said without its password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("a URL, as in mqtts://broker:8883")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, host_and_port) = match authority.rsplit_once('@') {
            Some((user, host_and_port)) => (Some(user), host_and_port),
            None => (None, authority),
        };
        let (user_name, password) =
            match user.map(|user| user.split_once(':').map_or((user, None), |(a, b)| (a, Some(b)))) {
                None => (None, None),
                Some((name, password)) => (Some(percent_decoded(name)?), password.map(percent_decoded).transpose()?),
            };
        let (host, port) = split_port(host_and_port).ok_or("the port is a number from 1 to 65535")?;
        if host.is_empty() {
            return Err("the host is missing".to_owned());
        }
        let (scheme, host, path) = (scheme.to_ascii_lowercase(), host.to_owned(), path.to_owned());
        Ok(Self { scheme, user_name, password, host, port, path })
    }
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(|port| port.parse().ok().filter(|port| *port > 0));
    match port {
        None => Some((host, None)),
        Some(port) => port.map(|port| (host, Some(port))),
    }
}

/// What stands for itself and what is written as `%` and two digits; the error says what is wrong. RFC 3986 section 2.1
pub(crate) fn percent_decoded(text: &str) -> Result<String, &'static str> {
    let mut decoded = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let value = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(value.ok_or("a % in the user name or password is not followed by two digits")?);
    }
    String::from_utf8(decoded).map_err(|_| "the user name or password is no UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_as_whom() {
        let check = |text: &str, host: &str, port, user: Option<&str>, password: Option<&str>, path: &str| {
            let url = Url::parse(text).expect("a URL");
            assert_eq!((url.host.as_str(), url.port, url.path.as_str()), (host, port, path), "{text}");
            assert_eq!((url.user_name.as_deref(), url.password.as_deref()), (user, password), "{text}");
        };
        check("mqtt://h", "h", None, None, None, "");
        check("WS://h:80/mqtt?a=b", "h", Some(80), None, None, "/mqtt?a=b");
        check("mqtts://u%40x:p%3A@[::1]:2/", "::1", Some(2), Some("u@x"), Some("p:"), "/");
        for text in ["h:1", "mqtt://", "mqtt://h:0", "mqtt://h:x", "mqtt://[::1]x", "mqtt://u%4@h", "mqtt://u%FF@h"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
