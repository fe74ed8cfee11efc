//! Frames. RFC 6455 section 5.
//!
//! ```text
//!  FIN RSV RSV RSV opcode(4) | MASK length(7) | longer length (0, 2 or 8 bytes) | mask (0 or 4 bytes) | payload
//! ```

/// A frame that claims more is not taken. It is MQTT's largest packet, and some room for more than one packet in a frame.
pub(crate) const FRAME_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// RFC 6455 section 5.5
pub(crate) const CONTROL_BYTES_MAX: usize = 125;
/// The first two bytes, the longest length, the mask.
pub(crate) const HEADER_BYTES_MAX: usize = 2 + 8 + 4;

#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xA,
        }
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Header {
    pub(crate) is_final: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) length: u64,
}

/// Why a header is not legal, and the code of the Close frame that says so.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Illegal {
    pub(crate) code: u16,
    pub(crate) what: &'static str,
}

/// RFC 6455 section 7.4.1
pub(crate) const PROTOCOL_ERROR: u16 = 1002;
/// RFC 6455 section 7.4.1
pub(crate) const UNSUPPORTED_DATA: u16 = 1003;
/// RFC 6455 section 7.4.1
pub(crate) const MESSAGE_TOO_BIG: u16 = 1009;

pub(crate) const fn illegal(what: &'static str) -> Illegal {
    Illegal { code: PROTOCOL_ERROR, what }
}

impl Header {
    /// The header at the front of these bytes and its length; `None` when more bytes are needed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Illegal> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            // RFC 6455 section 5.2: no extension is spoken that would give these bits a meaning.
            return Err(illegal("a reserved bit is set"));
        }
        let Some(opcode) = Opcode::of(first & 0x0F) else { return Err(illegal("an opcode that is not known")) };
        let is_final = first & 0x80 != 0;
        let length_bytes = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if opcode.is_control() && (!is_final || length_bytes > 0) {
            // RFC 6455 section 5.5
            return Err(illegal("a control frame in pieces or above 125 bytes"));
        }
        let Some((longer, rest)) = rest.split_at_checked(length_bytes) else { return Ok(None) };
        let length = match length_bytes {
            0 => u64::from(second & 0x7F),
            _ => longer.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        // RFC 6455 section 5.2: the shortest form must be used.
        if (length_bytes == 2 && length < 126) || (length_bytes == 8 && length <= u64::from(u16::MAX)) {
            return Err(illegal("a length that is not in its shortest form"));
        }
        if length > FRAME_BYTES_MAX {
            return Err(Illegal { code: MESSAGE_TOO_BIG, what: "a frame above 512 MiB" });
        }
        let mut used = 2 + length_bytes;
        let mut mask = None;
        if second & 0x80 != 0 {
            let Some(key) = rest.first_chunk::<4>() else { return Ok(None) };
            mask = Some(*key);
            used += key.len();
        }
        Ok(Some((Header { is_final, opcode, mask, length }, used)))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(if self.is_final { 0x80 } else { 0 } | self.opcode.bits());
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        match self.length {
            0..=125 => out.push(masked | u8::try_from(self.length).unwrap_or(0)),
            126..=0xFFFF => {
                out.push(masked | 126);
                out.extend_from_slice(&u16::try_from(self.length).unwrap_or(u16::MAX).to_be_bytes());
            }
            _ => {
                out.push(masked | 127);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        out.extend_from_slice(self.mask.as_ref().map_or(&[][..], |mask| mask));
    }
}

/// Mask or unmask bytes that begin `offset` bytes behind the beginning of the payload. RFC 6455 section 5.3
pub(crate) fn apply_mask(bytes: &mut [u8], mask: [u8; 4], offset: u64) {
    let turned = |at: u64| mask[(at % 4) as usize];
    let key: [u8; 8] = core::array::from_fn(|at| turned(offset + at as u64));
    let word = u64::from_ne_bytes(key);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(eight) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ word).to_ne_bytes());
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, Opcode, apply_mask};

    #[test]
    fn rfc_6455_section_5_7_examples() {
        let header = Header::parse(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]).expect("legal").expect("complete").0;
        assert_eq!((header.is_final, header.opcode, header.length), (true, Opcode::Text, 5));
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply_mask(&mut payload, header.mask.expect("masked"), 0);
        assert_eq!(&payload, b"Hello");
        let long = Header::parse(&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]).expect("legal").expect("complete").0;
        assert_eq!(long.length, 65536);
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_not_before_it_is_complete() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 1 << 29] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = Header { is_final: length % 2 == 0, opcode: Opcode::Binary, mask, length };
                let mut bytes = Vec::new();
                header.write(&mut bytes);
                for cut in 0..bytes.len() {
                    assert_eq!(Header::parse(&bytes[..cut]), Ok(None), "{length} cut at {cut}");
                }
                assert_eq!(Header::parse(&bytes), Ok(Some((header, bytes.len()))));
            }
        }
    }

    #[test]
    fn headers_that_are_not_legal_are_refused() {
        let cases: [(&[u8], u16); 9] = [
            (&[0xC2, 0], 1002),
            (&[0x83, 0], 1002),
            (&[0x8B, 0], 1002),
            (&[0x09, 0], 1002),
            (&[0x88, 126, 0, 200], 1002),
            (&[0x82, 126, 0, 125], 1002),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255], 1002),
            (&[0x82, 127, 0, 0, 0, 0, 0x20, 0, 0, 1], 1009),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], 1009),
        ];
        for (bytes, code) in cases {
            assert_eq!(Header::parse(bytes).map_err(|illegal| illegal.code), Err(code), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_mask_goes_on_where_it_stopped() {
        let plain: Vec<u8> = (0..50).collect();
        let mut whole = plain.clone();
        apply_mask(&mut whole, [9, 8, 7, 6], 0);
        for cut in 0..plain.len() {
            let mut pieces = plain.clone();
            let (front, back) = pieces.split_at_mut(cut);
            apply_mask(front, [9, 8, 7, 6], 0);
            apply_mask(back, [9, 8, 7, 6], cut as u64);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }
}
