//! The URLs of `-L` and `--proxy`.
//!
//! What `-L` takes has the looks of a URL and is none: nothing in it stands for something else, so a password is what is
//! written there, and behind the host stands a topic. sori-client reads the URLs of sori's own commands.

use std::ffi::OsStr;

use sori_client::Proxy;

use super::answer::{Answer, Value, wrong, wrong_briefly};
use super::flags::add_topic;
use super::options::Options;
use crate::connection::why;

/// The schemes of `-L`: name, port, TLS, WebSocket.
const SCHEMES: &[(&str, u16, bool, bool)] = &[
    ("mqtt://", 1883, false, false),
    ("mqtts://", 8883, true, false),
    ("ws://", 1883, false, true),
    ("wss://", 8883, true, true),
];

/// `scheme://[user[:password]@]host[:port]/topic`; what stands between `/` and the end is the topic as it is.
pub(super) fn apply(options: &mut Options, url: &str) -> Result<(), Answer> {
    let scheme = SCHEMES.iter().find(|(scheme, ..)| starts_with_ignoring_case(url, scheme));
    let Some((scheme, port, is_tls, is_web_socket)) = scheme else { return wrong("Unsupported URL scheme.") };
    let rest = url.get(scheme.len()..).unwrap_or_default();
    let Some((authority, topic)) = rest.split_once('/') else {
        return wrong_briefly("Invalid URL for -L argument specified - topic missing.");
    };
    add_topic(options, Value(OsStr::new(topic)), "-L topic")?;
    let host_and_port = match authority.split_once('@') {
        None => authority,
        Some((user, host_and_port)) => {
            let (name, password) = user.split_once(':').map_or((user, None), |(name, word)| (name, Some(word)));
            options.connection.user_name = Some(name.to_owned());
            if let Some(password) = password {
                options.connection.password = Some(password.as_bytes().to_vec());
            }
            host_and_port
        }
    };
    let (host, own_port) = split_port(host_and_port)
        .map_or_else(|| wrong(format!("Invalid URL for -L argument specified - wrong port in {host_and_port}.")), Ok)?;
    options.host = Some(host.to_owned());
    options.unix = None;
    options.port = Some(own_port.unwrap_or(*port));
    options.tls.system_roots |= is_tls;
    options.web_socket |= is_web_socket;
    Ok(())
}

/// `socks5h://[user[:password]@]host[:port]`, with `%25`, `%3A` and `%40` for `%`, `:` and `@`.
pub(super) fn proxy(url: &str) -> Result<Proxy, Answer> {
    if !url.starts_with("socks5h://") {
        return wrong_briefly(format!("Unsupported proxy protocol: {url}"));
    }
    Proxy::try_from(url).map_err(why).or_else(|why| wrong(format!("Invalid proxy: {why}.")))
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`; `None` for a port that is none.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    match port {
        None => Some((host, None)),
        Some(port) => {
            let number = Value(OsStr::new(port)).number().filter(|_| !port.is_empty());
            number.map(|port| (host, Some(port)))
        }
    }
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use sori_mqtt::Version;

    use super::super::Program;
    use super::*;

    #[test]
    fn a_url_says_where_and_as_whom() {
        let check = |url: &str, host: &str, port, user: Option<&str>, password: Option<&str>, topic: &str| {
            let mut options = Options::new(Program::Pub);
            assert_eq!(apply(&mut options, url), Ok(()), "{url}");
            assert_eq!((options.host.as_deref(), options.port), (Some(host), Some(port)), "{url}");
            assert_eq!(options.connection.user_name.as_deref(), user, "{url}");
            assert_eq!(options.connection.password.as_deref(), password.map(str::as_bytes), "{url}");
            assert_eq!(options.topics, [topic], "{url}");
            assert_eq!(
                (options.tls.system_roots, options.web_socket),
                (url.contains("s://h") && !url.starts_with("ws:"), url.starts_with('w'))
            );
            assert_eq!(options.version, Version::V311);
        };
        check("mqtt://h/t", "h", 1883, None, None, "t");
        check("MQTT://h:1/a/b", "h", 1, None, None, "a/b");
        check("mqtt://u@h/t", "h", 1883, Some("u"), None, "t");
        check("mqtt://u:p:q@h:2/t", "h", 2, Some("u"), Some("p:q"), "t");
        check("mqtt://[::1]:3/t", "::1", 3, None, None, "t");
        check("mqtts://h/t", "h", 8883, None, None, "t");
        check("ws://h/t", "h", 1883, None, None, "t");
        check("wss://h:443/t", "h", 443, None, None, "t");
        check("mqtt://h:1x/t", "h", 1, None, None, "t");
    }

    #[test]
    fn a_url_that_is_none_is_refused() {
        for url in [
            "invalid://",
            "mqtt:/h/t",
            "mqtt://h",
            "mqtt://h:port/t",
            "mqtt://h:70000/t",
            "mqtt://h:/t",
            "mqtt://h/a/+",
            "",
        ] {
            assert!(apply(&mut Options::new(Program::Pub), url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_proxy_is_one_of_sori_client_and_of_one_kind() {
        for (url, same) in [("socks5h://h", "socks5://h:1080"), ("socks5h://u%40:p@[::1]:2", "socks5://u%40:p@[::1]:2")]
        {
            assert_eq!(proxy(url).ok(), Proxy::try_from(same).ok(), "{url}");
        }
        for url in [
            "socks5://h",
            "http://h",
            "socks5h://",
            "socks5h://h:0",
            "socks5h://h:x",
            "socks5h://:p@h",
            "socks5h://u%+4@h",
        ] {
            assert!(proxy(url).is_err(), "{url}");
        }
    }
}
