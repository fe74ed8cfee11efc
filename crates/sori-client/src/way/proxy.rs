//! A proxy on the way to a server.

use std::fmt;

use crate::endpoint::{Authority, Place, without_credentials};
use crate::error::Error;

/// A proxy, by its URL: `socks5://user:password@host:port` (port 1080) or `http://host:port` (CONNECT, port 8080).
/// `socks5h://` is the same as `socks5://`: the proxy resolves the server's name in any case.
///
/// ```
/// use sori_client::{Options, Proxy};
///
/// let proxy = Proxy::try_from("socks5://proxy.example")?;
/// let options = Options::new("mqtt://broker.example")?.proxy(proxy)?;
/// # Ok::<(), sori_client::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(crate) place: Place,
    pub(super) kind: sori_net::Proxy,
}

impl TryFrom<&str> for Proxy {
    type Error = Error;

    fn try_from(url: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Url(without_credentials(url), why);
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(wrong("behind the port of a proxy comes nothing"));
        }
        let authority = Authority::parse(authority).map_err(wrong)?;
        if authority.user_name.as_deref() == Some("") {
            // RFC 1929 section 2 and RFC 7617 section 2 have none.
            return Err(wrong("the user name is missing"));
        }
        let credentials = authority.user_name.map(|user_name| sori_net::proxy::Credentials {
            user_name,
            password: authority.password.unwrap_or_default(),
        });
        let is_socks5_login = |login: &sori_net::proxy::Credentials| {
            [&login.user_name, &login.password].iter().all(|word| (1..=255).contains(&word.len()))
        };
        let (kind, port) = match scheme.to_ascii_lowercase().as_str() {
            // RFC 1929 section 2
            "socks5" | "socks5h" if !credentials.as_ref().is_none_or(is_socks5_login) => {
                return Err(wrong("SOCKS5 wants a password with the user name, both of 1 to 255 bytes"));
            }
            "socks5" | "socks5h" => (sori_net::Proxy::Socks5 { credentials }, 1080),
            "http" => (sori_net::Proxy::Http { credentials }, 8080),
            _ => return Err(wrong("a proxy's URL begins with socks5:// or http://")),
        };
        Ok(Self { place: Place::Tcp { name: authority.host, port: authority.port.unwrap_or(port) }, kind })
    }
}

impl TryFrom<&String> for Proxy {
    type Error = Error;

    fn try_from(url: &String) -> Result<Self, Error> {
        Self::try_from(url.as_str())
    }
}

impl fmt::Debug for Proxy {
    /// Without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_of_two_kinds() {
        let check = |url: &str, place: &str, is_http: bool| {
            let proxy = Proxy::try_from(url).expect("a proxy");
            assert_eq!(proxy.place.to_string(), place, "{url}");
            assert_eq!(matches!(proxy.kind, sori_net::Proxy::Http { .. }), is_http, "{url}");
            assert!(!format!("{proxy:?}").contains("secret"), "{proxy:?}");
        };
        check("socks5://h", "h:1080", false);
        check("SOCKS5H://u:secret@[::1]:2/", "[::1]:2", false);
        check("http://h:3128/", "h:3128", true);
        check("http://u:secret@h", "h:8080", true);
        for url in [
            "socks4://h",
            "https://h",
            "h",
            "http://",
            "http://h:0",
            "http://h/path",
            "socks5://u%4:secret@h",
            "socks5://u@h",
            "socks5://u:@h",
            "http://:secret@h",
        ] {
            let error = Proxy::try_from(url).expect_err(url).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
