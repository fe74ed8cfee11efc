//! CONNECT: RFC 9110 section 9.3.6, with Basic credentials (RFC 7617).

use super::{Credentials, refused, unusable};
use crate::error::Error;
use crate::http::{Collected, Head, HeadReader, is_printable};
use base64ct::{Base64, Encoding};

pub(crate) struct Connect {
    head: HeadReader,
}

impl Connect {
    pub(super) fn begin(
        credentials: Option<&Credentials>,
        host: &str,
        port: u16,
        output: &mut Vec<u8>,
    ) -> Result<Connect, Error> {
        if host.is_empty() || !is_printable(host) || host.contains([' ', '/', '@']) {
            return Err(unusable(format!("{host:?} is no host name")));
        }
        let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
        let target = if is_bare_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(Credentials { user_name, password }) = credentials {
            // RFC 7617 section 2
            if user_name.contains(':') {
                return Err(unusable("a user name for an HTTP proxy cannot hold a colon"));
            }
            let both = Base64::encode_string(format!("{user_name}:{password}").as_bytes());
            request.extend(["Proxy-Authorization: Basic ", &both, "\r\n"]);
        }
        request.push_str("\r\n");
        output.extend_from_slice(request.as_bytes());
        Ok(Connect { head: HeadReader::default() })
    }

    pub(super) fn receive(&mut self, piece: &[u8]) -> Result<Option<usize>, Error> {
        let used = match self.head.collect(piece) {
            Collected::Partial => return Ok(None),
            Collected::Complete(used) => used,
            Collected::TooLong => return Err(refused("the proxy's answer has no end")),
        };
        let head = Head::parse(self.head.bytes()).filter(|head| head.first.starts_with("HTTP/1."));
        let Some(head) = head else { return Err(refused("the proxy does not answer with HTTP")) };
        let status = head.first.split_once(' ').map_or("", |(_, status)| status);
        match status.as_bytes() {
            [b'2', _, _] | [b'2', _, _, b' ', ..] => Ok(Some(used)),
            _ if status.starts_with("407") => Err(refused("the proxy wants a user name and a password, or others")),
            _ => Err(refused(format!("the proxy answers \"{status}\""))),
        }
    }
}
