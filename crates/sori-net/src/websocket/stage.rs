//! WebSocket as a stage: frames in, MQTT's bytes out.

use crate::error::{Error, ErrorKind};
use crate::http::{Collected, HEAD_BYTES_MAX, HeadReader};
use crate::peer::Peer;
use crate::websocket::client::{Request, WebSocketClient};
use crate::websocket::frame::{
    CONTROL_BYTES_MAX, HEADER_BYTES_MAX, Header, Illegal, Opcode, UNSUPPORTED_DATA, apply_mask, illegal,
};
use crate::websocket::server::{self, Refused, WebSocketServer};
use std::net::IpAddr;
use std::sync::Arc;

/// RFC 6455 section 7.4.1
const NORMAL_CLOSURE: u16 = 1000;
/// Masks that are taken from the system's random numbers at once.
const MASKS: usize = 16;
/// What a request begins with.
const GET: &[u8] = b"GET ";

pub(crate) struct WebSocketStage {
    phase: Phase,
    /// A client masks what it sends.
    masks: Option<Masks>,
    /// A header that has not come whole.
    header: Vec<u8>,
    frame: Option<Frame>,
    /// A control frame's payload, as far as it has come.
    control: Vec<u8>,
    /// A message in several frames has begun. RFC 6455 section 5.4
    is_message_open: bool,
    has_sent_close: bool,
}

enum Phase {
    ServerHandshake {
        rules: Arc<WebSocketServer>,
        from: Option<IpAddr>,
        head: HeadReader,
    },
    ClientHandshake {
        request: Request,
        head: HeadReader,
    },
    Open,
    /// The peer has sent a Close frame: nothing counts any more.
    Ended,
}

/// The frame whose payload is coming.
struct Frame {
    header: Header,
    received: u64,
}

impl WebSocketStage {
    pub(crate) fn server(rules: Arc<WebSocketServer>, from: Option<IpAddr>) -> WebSocketStage {
        WebSocketStage::new(Phase::ServerHandshake { rules, from, head: HeadReader::default() }, None)
    }

    pub(crate) fn client(client: &WebSocketClient) -> Result<WebSocketStage, Error> {
        let mut key = [0; 16];
        random(&mut key)?;
        let request = client.request(key)?;
        Ok(WebSocketStage::new(Phase::ClientHandshake { request, head: HeadReader::default() }, Some(Masks::new()?)))
    }

    fn new(phase: Phase, masks: Option<Masks>) -> WebSocketStage {
        WebSocketStage {
            phase,
            masks,
            header: Vec::new(),
            frame: None,
            control: Vec::new(),
            is_message_open: false,
            has_sent_close: false,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Ended)
    }

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// A client's request.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        if let Phase::ClientHandshake { request, .. } = &self.phase {
            out.extend_from_slice(request.text.as_bytes());
        }
    }

    /// Bytes as TLS or the network gave them. `may_answer` is false while the peer does not read: then Pings have no answer
    /// (RFC 6455 section 5.5.3 wants one only to the latest).
    pub(crate) fn receive(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Vec<u8>,
        answer: &mut Vec<u8>,
        may_answer: bool,
        peer: &mut Peer,
    ) -> Result<(), Error> {
        let Some(used) = self.shake_hands(bytes, answer, peer)? else { return Ok(()) };
        let outcome = self.read_frames(&mut bytes[used..], plain, answer, may_answer);
        outcome.map_err(|Illegal { code, what }| {
            self.send_close(code, answer);
            Error::new(ErrorKind::WebSocket, what)
        })
    }

    /// Gives how many bytes were the handshake's, once it is over.
    fn shake_hands(&mut self, bytes: &[u8], answer: &mut Vec<u8>, peer: &mut Peer) -> Result<Option<usize>, Error> {
        let used = match &mut self.phase {
            Phase::Open | Phase::Ended => 0,
            Phase::ServerHandshake { rules, from, head } => {
                let collected = head.collect(bytes);
                let begun = &head.bytes()[..head.bytes().len().min(GET.len())];
                let outcome = match collected {
                    // Whoever speaks something else need not be waited for.
                    _ if !GET.starts_with(begun) => Err(server::bad_request("this is not an HTTP request")),
                    Collected::Complete(used) => server::answer(rules, head.bytes(), *from).map(|a| Some((used, a))),
                    Collected::Partial => Ok(None),
                    Collected::TooLong => Err(server::bad_request("the headers are above 8 KiB")),
                };
                match outcome {
                    Ok(None) => return Ok(None),
                    Ok(Some((used, accepted))) => {
                        answer.extend_from_slice(accepted.answer.as_bytes());
                        peer.forwarded_for = accepted.forwarded_for;
                        used
                    }
                    Err(Refused { answer: text, error }) => {
                        answer.extend_from_slice(text.as_bytes());
                        return Err(error);
                    }
                }
            }
            Phase::ClientHandshake { request, head } => match head.collect(bytes) {
                Collected::Partial => return Ok(None),
                Collected::Complete(used) => {
                    request.check(head.bytes())?;
                    used
                }
                Collected::TooLong => {
                    let what = format!("the server's answer has no end within {HEAD_BYTES_MAX} bytes");
                    return Err(Error::new(ErrorKind::WebSocket, what));
                }
            },
        };
        if !self.is_open() {
            self.phase = Phase::Open;
        }
        Ok(Some(used))
    }

    fn read_frames(
        &mut self,
        mut bytes: &mut [u8],
        plain: &mut Vec<u8>,
        answer: &mut Vec<u8>,
        may_answer: bool,
    ) -> Result<(), Illegal> {
        while !matches!(self.phase, Phase::Ended) {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None => {
                    let Some((header, used)) = self.read_header(bytes)? else { return Ok(()) };
                    bytes = &mut bytes[used..];
                    self.frame.insert(Frame { header, received: 0 })
                }
            };
            let left = frame.header.length - frame.received;
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, rest) = bytes.split_at_mut(count);
            bytes = rest;
            if let Some(mask) = frame.header.mask {
                apply_mask(payload, mask, frame.received);
            }
            frame.received += count as u64;
            let (opcode, is_complete) = (frame.header.opcode, frame.received == frame.header.length);
            if opcode.is_control() {
                self.control.extend_from_slice(payload);
            } else {
                // [MQTT-6.0.0-2] [MQTT311-6.0.0-2]: packets may begin and end anywhere.
                plain.extend_from_slice(payload);
            }
            if !is_complete {
                return Ok(());
            }
            self.frame = None;
            if opcode.is_control() {
                let payload = std::mem::take(&mut self.control);
                self.heed(opcode, &payload, answer, may_answer)?;
            }
        }
        Ok(())
    }

    /// The next header and how many of these bytes belong to it.
    fn read_header(&mut self, bytes: &[u8]) -> Result<Option<(Header, usize)>, Illegal> {
        let before = self.header.len();
        let found = if before == 0 {
            Header::parse(bytes)?
        } else {
            self.header.extend_from_slice(&bytes[..bytes.len().min(HEADER_BYTES_MAX - before)]);
            Header::parse(&self.header)?
        };
        let Some((header, used)) = found else {
            if before == 0 {
                self.header = bytes.to_vec();
            }
            return Ok(None);
        };
        self.header = Vec::new();
        self.check(&header)?;
        Ok(Some((header, used - before)))
    }

    /// Does this frame fit here?
    fn check(&mut self, header: &Header) -> Result<(), Illegal> {
        // RFC 6455 section 5.1
        match (header.mask.is_some(), self.masks.is_some()) {
            (false, false) => return Err(illegal("a frame of a client without mask")),
            (true, true) => return Err(illegal("a frame of a server with a mask")),
            _ => {}
        }
        match header.opcode {
            // [MQTT-6.0.0-1] [MQTT311-6.0.0-1]
            Opcode::Text => Err(Illegal { code: UNSUPPORTED_DATA, what: "a frame of text; MQTT's are binary" }),
            Opcode::Binary | Opcode::Continuation => {
                // RFC 6455 section 5.4
                if self.is_message_open != (header.opcode == Opcode::Continuation) {
                    return Err(illegal("a continuation without a beginning, or a beginning within a message"));
                }
                self.is_message_open = !header.is_final;
                Ok(())
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => Ok(()),
        }
    }

    fn heed(&mut self, opcode: Opcode, payload: &[u8], answer: &mut Vec<u8>, may_answer: bool) -> Result<(), Illegal> {
        match opcode {
            Opcode::Ping if may_answer && !self.has_sent_close => self.write(Opcode::Pong, payload, answer),
            Opcode::Close => {
                self.phase = Phase::Ended;
                let code = match payload {
                    [] => NORMAL_CLOSURE,
                    [high, low, reason @ ..] => {
                        let code = u16::from_be_bytes([*high, *low]);
                        if !is_close_code(code) || core::str::from_utf8(reason).is_err() {
                            return Err(illegal("a Close frame with a code or a reason that is not legal"));
                        }
                        code
                    }
                    _ => return Err(illegal("a Close frame of one byte")),
                };
                self.send_close(code, answer);
            }
            _ => {}
        }
        Ok(())
    }

    /// MQTT's bytes as one binary frame. [MQTT-6.0.0-1] [MQTT311-6.0.0-1]
    pub(crate) fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        if !self.has_sent_close {
            self.write(Opcode::Binary, plain, out);
        }
    }

    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if self.is_open() {
            self.send_close(NORMAL_CLOSURE, out);
        }
    }

    /// RFC 6455 section 5.5.1: at most one, and nothing after it.
    fn send_close(&mut self, code: u16, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_sent_close, true) {
            self.write(Opcode::Close, &code.to_be_bytes(), out);
        }
    }

    fn write(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        debug_assert!(!opcode.is_control() || payload.len() <= CONTROL_BYTES_MAX, "control frames are short");
        let mask = self.masks.as_mut().map(Masks::next);
        out.reserve(HEADER_BYTES_MAX + payload.len());
        Header { is_final: true, opcode, mask, length: payload.len() as u64 }.write(out);
        let start = out.len();
        out.extend_from_slice(payload);
        if let Some(mask) = mask {
            apply_mask(&mut out[start..], mask, 0);
        }
    }
}

/// RFC 6455 section 7.4: codes that may stand in a frame.
fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Masks of frames, which nobody may foresee. RFC 6455 section 5.3
struct Masks {
    bytes: [u8; MASKS * 4],
    used: usize,
}

impl Masks {
    fn new() -> Result<Masks, Error> {
        let mut bytes = [0; MASKS * 4];
        random(&mut bytes)?;
        Ok(Masks { bytes, used: 0 })
    }

    fn next(&mut self) -> [u8; 4] {
        if self.used >= self.bytes.len() {
            // It has worked before. Should it fail now, the old ones serve again: a mask protects proxies on the way
            // from scripts in browsers, and a program of this kind is none.
            let _ = random(&mut self.bytes);
            self.used = 0;
        }
        let mask = std::array::from_fn(|at| self.bytes[self.used + at]);
        self.used += 4;
        mask
    }
}

fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes)
        .map_err(|error| Error::new(ErrorKind::Local, format!("the machine gives no random numbers: {error}")))
}
