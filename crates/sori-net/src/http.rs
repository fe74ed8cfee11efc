//! The head of an HTTP message: as much of RFC 9112 as handshakes and small requests need. Bodies are not read here.

mod request;

pub use request::{Credentials, Method, Rejected, Request};

/// A head that is longer is not read to its end.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Lines with more headers than so many are not a handshake's.
const HEADERS_MAX: usize = 100;
const END: &[u8] = b"\r\n\r\n";

/// Collects a head that comes in pieces.
#[derive(Debug, Default)]
pub struct HeadReader {
    bytes: Vec<u8>,
}

/// What became of a piece.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Collected {
    /// More is needed.
    Partial,
    /// The head is complete; so many bytes of the piece belong to it.
    Complete(usize),
    /// It has no end within [`HEAD_BYTES_MAX`].
    TooLong,
}

impl HeadReader {
    /// Takes the next piece of what came.
    pub fn collect(&mut self, piece: &[u8]) -> Collected {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&piece[..piece.len().min(HEAD_BYTES_MAX + 1 - before.min(HEAD_BYTES_MAX))]);
        // The end may have begun in the piece before.
        let from = before.saturating_sub(END.len() - 1);
        match self.bytes[from..].windows(END.len()).position(|window| window == END) {
            Some(at) if from + at + END.len() <= HEAD_BYTES_MAX => {
                let end = from + at + END.len();
                self.bytes.truncate(end);
                Collected::Complete(end - before)
            }
            None if self.bytes.len() <= HEAD_BYTES_MAX => Collected::Partial,
            _ => Collected::TooLong,
        }
    }

    /// What was collected.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The parts of a head.
pub(crate) struct Head<'a> {
    /// The request line or the status line.
    pub(crate) first: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Head<'a> {
    /// `None` when it is not a legal head.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Head<'a>> {
        let text = core::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
        let mut lines = text.split("\r\n");
        let first = lines.next().filter(|first| is_printable(first))?;
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let value = value.trim_matches([' ', '\t']);
            // RFC 9112 section 5.1: no space before the colon, and section 5.2: a folded line is refused.
            if !is_token(name) || !is_printable(value) || headers.len() >= HEADERS_MAX {
                return None;
            }
            headers.push((name, value));
        }
        Some(Head { first, headers })
    }

    /// All values of one header, those that stand in one line behind commas included.
    #[cfg(any(feature = "websocket", test))]
    pub(crate) fn list<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.values(name).flat_map(|value| value.split(',')).map(|item| item.trim_matches([' ', '\t']))
    }

    pub(crate) fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The value of a header that may stand there once only.
    pub(crate) fn only(&self, name: &str) -> Option<&'a str> {
        let mut values = self.values(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    #[cfg(feature = "websocket")]
    pub(crate) fn list_has(&self, name: &str, word: &str) -> bool {
        self.list(name).any(|item| item.eq_ignore_ascii_case(word))
    }
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// May it stand in a line of a head? Line ends and other control characters may not.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
}

#[cfg(test)]
mod tests {
    use super::{Collected, HEAD_BYTES_MAX, Head, HeadReader};

    #[test]
    fn a_head_is_found_wherever_it_is_cut() {
        let wire = b"GET / HTTP/1.1\r\nHost: a\r\nX: b, c\r\nx:d\r\n\r\nrest";
        for cut in 0..wire.len() {
            let mut reader = HeadReader::default();
            let mut used = 0;
            for piece in [&wire[..cut], &wire[cut..]] {
                match reader.collect(piece) {
                    Collected::Partial => used += piece.len(),
                    Collected::Complete(count) => {
                        used += count;
                        break;
                    }
                    Collected::TooLong => unreachable!("it is short"),
                }
            }
            assert_eq!(&wire[used..], b"rest", "cut at {cut}");
            let head = Head::parse(reader.bytes()).expect("legal");
            assert_eq!(head.first, "GET / HTTP/1.1");
            assert_eq!(head.list("x").collect::<Vec<_>>(), ["b", "c", "d"]);
            assert_eq!((head.only("host"), head.only("x")), (Some("a"), None));
        }
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let mut reader = HeadReader::default();
        for _ in 0..HEAD_BYTES_MAX {
            assert!(matches!(reader.collect(b"a"), Collected::Partial));
        }
        assert!(matches!(reader.collect(b"a"), Collected::TooLong));
        assert!(matches!(HeadReader::default().collect(&[b'a'; 100_000]), Collected::TooLong));
    }

    #[test]
    fn a_head_that_is_not_legal_is_refused() {
        for head in [
            "a\r\nno colon\r\n\r\n",
            "a\r\nX : b\r\n\r\n",
            "a\r\nX: b\r\n folded\r\n\r\n",
            "a\nb: c\r\n\r\n",
            "a\r\n: b\r\n\r\n",
        ] {
            assert!(Head::parse(head.as_bytes()).is_none(), "{head:?}");
        }
    }
}
