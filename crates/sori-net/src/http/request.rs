//! A request as a server reads it: RFC 9112 section 3, with the credentials of RFC 7617.

use super::{Head, is_token};
use base64ct::{Base64, Encoding};

/// What a request asks for.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// The path without percent signs and without what stands behind a `?`; `None` when the target is no path.
    pub path: Option<String>,
    /// Who asks.
    pub credentials: Credentials,
}

/// The methods that a server of files tells apart.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Method {
    /// Send it.
    Get,
    /// Send all but the body.
    Head,
    /// Anything else.
    Other,
}

/// What the header `Authorization` says.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum Credentials {
    /// Nothing, or something of another scheme than Basic.
    None,
    /// A name and a password.
    Basic {
        /// What stands before the colon.
        user_name: String,
        /// What stands behind it.
        password: Vec<u8>,
    },
    /// Basic, but neither name nor password can be found in it.
    Malformed,
}

/// Why a head is not a request.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Rejected {
    /// It breaks the rules.
    Illegal,
    /// It is of another version than HTTP/1.
    Version,
}

impl Request {
    /// Reads a head that is complete.
    ///
    /// # Errors
    /// It is not a request.
    ///
    /// ```
    /// use sori_net::http::{Credentials, Method, Request};
    ///
    /// let request = Request::parse(b"GET /a%20b?c HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("is legal");
    /// assert_eq!((request.method, request.path.as_deref()), (Method::Get, Some("/a b")));
    /// assert_eq!(request.credentials, Credentials::None);
    /// ```
    pub fn parse(head: &[u8]) -> Result<Request, Rejected> {
        let head = Head::parse(head).ok_or(Rejected::Illegal)?;
        let mut parts = head.first.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Rejected::Illegal);
        };
        let is_newer = match version.strip_prefix("HTTP/") {
            Some("1.1") => true,
            Some("1.0") => false,
            Some(_) => return Err(Rejected::Version),
            None => return Err(Rejected::Illegal),
        };
        // RFC 9112 section 3.2: a request of HTTP/1.1 has exactly one Host.
        if !is_token(method) || target.is_empty() || (is_newer && head.only("Host").is_none()) {
            return Err(Rejected::Illegal);
        }
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        Ok(Request { method, path: path(target), credentials: credentials(&head) })
    }
}

fn path(target: &str) -> Option<String> {
    let path = origin_form(target).split(['?', '#']).next().filter(|path| path.starts_with('/'))?;
    let decoded = String::from_utf8(percent_decoded(path.as_bytes())?).ok()?;
    (!decoded.contains(char::is_control)).then_some(decoded)
}

/// RFC 9112 section 3.2.2: a target may also name the server.
fn origin_form(target: &str) -> &str {
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    match rest {
        None => target,
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
    }
}

/// RFC 3986 section 2.1; `None` where a percent sign has no two digits behind it.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(*rest.next()?)? << 4 | digit(*rest.next()?)?,
            other => other,
        });
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn credentials(head: &Head<'_>) -> Credentials {
    let mut values = head.values("Authorization");
    let Some(value) = values.next() else { return Credentials::None };
    // RFC 9110 section 11.4: the scheme is compared without regard to case.
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Credentials::None;
    }
    let only = Some(token.trim()).filter(|_| values.next().is_none());
    only.and_then(basic).unwrap_or(Credentials::Malformed)
}

/// RFC 7617 section 2.
fn basic(token: &str) -> Option<Credentials> {
    let decoded = Base64::decode_vec(token).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user_name = core::str::from_utf8(&decoded[..colon]).ok()?.to_owned();
    Some(Credentials::Basic { user_name, password: decoded[colon + 1..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(first: &str, headers: &str) -> Result<Request, Rejected> {
        Request::parse(format!("{first}\r\n{headers}\r\n").as_bytes())
    }

    fn path_of(target: &str) -> Option<String> {
        parse(&format!("GET {target} HTTP/1.1"), "Host: a\r\n").expect("is legal").path
    }

    #[test]
    fn targets_become_paths() {
        for (target, expected) in [
            ("/", Some("/")),
            ("/a/b.html", Some("/a/b.html")),
            ("/a?b=/c", Some("/a")),
            ("/%61%2Fb%c3%bC", Some("/a/b\u{fc}")),
            ("/..%2f..%2Fetc", Some("/../../etc")),
            ("http://host:80/x/y?z", Some("/x/y")),
            ("HTTPS://host", Some("/")),
            ("../../etc/passwd", None),
            ("*", None),
            ("host:443", None),
            ("/%", None),
            ("/%2", None),
            ("/%zz", None),
            ("/%+1", None),
            ("/%ff", None),
            ("/a%00b", None),
            ("/a%0ab", None),
        ] {
            assert_eq!(path_of(target).as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn what_is_no_request_is_rejected() {
        for first in ["GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 x", "G(T / HTTP/1.1", "GET / MQTT/5.0"] {
            assert_eq!(parse(first, "Host: a\r\n"), Err(Rejected::Illegal), "{first}");
        }
        assert_eq!(parse("GET / HTTP/1.1", ""), Err(Rejected::Illegal), "no Host");
        assert_eq!(parse("GET / HTTP/1.1", "Host: a\r\nHost: b\r\n"), Err(Rejected::Illegal));
        assert_eq!(parse("GET / HTTP/2.0", "Host: a\r\n"), Err(Rejected::Version));
        let other = |first| parse(first, "Host: a\r\n").expect("is legal").method;
        assert_eq!([other("HEAD / HTTP/1.1"), other("get / HTTP/1.1")], [Method::Head, Method::Other]);
    }

    #[test]
    fn credentials_are_basic_or_none() {
        let of = |headers: &str| parse("GET / HTTP/1.0", headers).expect("is legal").credentials;
        let ann = Credentials::Basic { user_name: "ann".to_owned(), password: b"a:b".to_vec() };
        assert_eq!(of("Authorization: Basic YW5uOmE6Yg==\r\n"), ann);
        assert_eq!(of("authorization: bASIC  YW5uOmE6Yg==\r\n"), ann);
        let nobody = Credentials::Basic { user_name: String::new(), password: Vec::new() };
        assert_eq!(of("Authorization: Basic Og==\r\n"), nobody);
        for other in ["", "Authorization: Bearer YW5uOmE6Yg==\r\n", "Authorization:\r\n"] {
            assert_eq!(of(other), Credentials::None, "{other}");
        }
        for malformed in ["Basic", "Basic !", "Basic YW5u", "Basic YW5uOmE6Yg", "Basic /zo="] {
            assert_eq!(of(&format!("Authorization: {malformed}\r\n")), Credentials::Malformed, "{malformed}");
        }
        let twice = "Authorization: Basic YW5uOmE6Yg==\r\n";
        assert_eq!(of(&[twice, twice].concat()), Credentials::Malformed);
    }
}
