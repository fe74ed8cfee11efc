//! What a visitor is answered, and how that is written. RFC 9110, RFC 9112

use super::directory::Found;
use jiff::Timestamp;
use std::fmt::Write;
use std::fs::File;

/// A status code and its reason phrase. RFC 9110 section 15
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) struct Status(pub(super) u16, &'static str);

pub(super) const OK: Status = Status(200, "OK");
pub(super) const BAD_REQUEST: Status = Status(400, "Bad Request");
pub(super) const UNAUTHORIZED: Status = Status(401, "Unauthorized");
pub(super) const NOT_FOUND: Status = Status(404, "Not Found");
pub(super) const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
pub(super) const HEAD_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");
pub(super) const UNAVAILABLE: Status = Status(503, "Service Unavailable");
pub(super) const VERSION_NOT_SUPPORTED: Status = Status(505, "HTTP Version Not Supported");

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// An answer before it is written.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    content_type: &'static str,
    /// Lines that belong to this kind of answer.
    headers: &'static str,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text(String),
    File(File, u64),
}

/// The bytes of an answer: what is at hand, and a file of which so much follows.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    pub(super) file: Option<(File, u64)>,
}

/// Pages of any origin may read the figures, as in Mosquitto; they change with each look.
const FIGURES: &str = "Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n";

impl Answer {
    pub(super) fn text(text: String) -> Answer {
        Answer { status: OK, content_type: TEXT, headers: FIGURES, body: Body::Text(text) }
    }

    pub(super) fn json(text: String) -> Answer {
        Answer { status: OK, content_type: JSON, headers: FIGURES, body: Body::Text(text) }
    }

    pub(super) fn file(found: Found) -> Answer {
        let body = Body::File(found.file, found.length);
        Answer { status: OK, content_type: found.content_type, headers: "", body }
    }

    pub(super) fn refusal(status: Status) -> Answer {
        // The sentences are Mosquitto's where it has one, for scripts that know them.
        let (text, headers) = match status {
            UNAUTHORIZED => ("Not authorised\n", "WWW-Authenticate: Basic realm=\"sori\", charset=\"UTF-8\"\r\n"),
            NOT_FOUND => ("Not found.\n", ""),
            METHOD_NOT_ALLOWED => ("Invalid HTTP Method\n", "Allow: GET, HEAD\r\n"),
            HEAD_TOO_LARGE => ("The request is above 8 KiB.\n", ""),
            UNAVAILABLE => ("Too busy.\n", "Retry-After: 10\r\n"),
            VERSION_NOT_SUPPORTED => ("Only HTTP/1.1 and HTTP/1.0 are spoken here.\n", ""),
            _ => ("This is not a legal HTTP request.\n", ""),
        };
        Answer { status, content_type: TEXT, headers, body: Body::Text(text.to_owned()) }
    }

    /// `with_body`: it was not HEAD that was asked. No other answer follows on the connection, as in Mosquitto: scripts count on
    /// that, and nobody has to know where a request with a body ends.
    pub(super) fn write(self, with_body: bool) -> Output {
        let Answer { status: Status(code, phrase), content_type, headers, body } = self;
        let length = match &body {
            Body::Text(text) => text.len() as u64,
            Body::File(_, length) => *length,
        };
        let mut head = format!("HTTP/1.1 {code} {phrase}\r\n{}Connection: close\r\n", date());
        // What a browser would guess of the contents could be a script.
        let types = format_args!("Content-Type: {content_type}\r\nX-Content-Type-Options: nosniff\r\n");
        // Writing to a string does not fail.
        let _ = write!(head, "{types}Content-Length: {length}\r\n{headers}\r\n");
        match body {
            _ if !with_body => Output { bytes: head.into_bytes(), file: None },
            Body::Text(text) => Output { bytes: (head + &text).into_bytes(), file: None },
            Body::File(file, length) => Output { bytes: head.into_bytes(), file: Some((file, length)) },
        }
    }
}

/// RFC 9110 section 5.6.7 and 6.6.1.
fn date() -> String {
    Timestamp::now().strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: Answer, with_body: bool) -> String {
        String::from_utf8(answer.write(with_body).bytes).expect("is text")
    }

    #[test]
    fn an_answer_says_how_long_it_is_and_that_it_is_the_last() {
        let text = written(Answer::text("2.1".to_owned()), true);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let lines: Vec<&str> = head.split("\r\n").filter(|line| !line.starts_with("Date: ")).collect();
        assert_eq!(
            lines,
            [
                "HTTP/1.1 200 OK",
                "Connection: close",
                "Content-Type: text/plain; charset=utf-8",
                "X-Content-Type-Options: nosniff",
                "Content-Length: 3",
                "Access-Control-Allow-Origin: *",
                "Cache-Control: no-store",
            ]
        );
        assert_eq!(body, "2.1");
        let head = written(Answer::text("2.1".to_owned()), false);
        assert!(head.contains("\r\nContent-Length: 3\r\n") && head.ends_with("\r\n\r\n"), "HEAD has no body");
    }

    #[test]
    fn a_date_is_an_http_date() {
        let date = date();
        let value = date.trim_end().strip_prefix("Date: ").expect("a header");
        assert_eq!(value.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len(), "{value}");
        assert!(value.ends_with(" GMT") && value.as_bytes()[3] == b',');
    }

    #[test]
    fn refusals_say_what_would_be_taken() {
        assert!(written(Answer::refusal(METHOD_NOT_ALLOWED), true).contains("\r\nAllow: GET, HEAD\r\n"));
        assert!(written(Answer::refusal(UNAUTHORIZED), true).contains("\r\nWWW-Authenticate: Basic realm="));
    }
}
