//! Reads the fields of a packet one after the other. Every method names the field for the error text.

use crate::variable_byte_integer::{Decoded, decode_variable_byte_integer};
use crate::{DecodeError, PacketId, PacketType, text};

/// The bytes of a packet that have not been read yet.
#[derive(Copy, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything that is left.
    #[inline]
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// The next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(count) else { return Err(truncated(field)) };
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let [value, rest @ ..] = self.bytes else { return Err(truncated(field)) };
        self.bytes = rest;
        Ok(*value)
    }

    #[inline]
    pub(crate) fn two_bytes(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        let [high, low, rest @ ..] = self.bytes else { return Err(truncated(field)) };
        self.bytes = rest;
        Ok(u16::from_be_bytes([*high, *low]))
    }

    pub(crate) fn four_bytes(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let [a, b, c, d, rest @ ..] = self.bytes else { return Err(truncated(field)) };
        self.bytes = rest;
        Ok(u32::from_be_bytes([*a, *b, *c, *d]))
    }

    #[inline]
    pub(crate) fn variable_byte_integer(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        if let [value, rest @ ..] = self.bytes
            && *value < 0x80
        {
            self.bytes = rest;
            return Ok(u32::from(*value));
        }
        match decode_variable_byte_integer(self.bytes) {
            Decoded::Value(value, length) => self.take(length, field).map(|_| value),
            Decoded::Incomplete => Err(truncated(field)),
            Decoded::Malformed => {
                Err(DecodeError::malformed(field, "is not in its shortest form of at most four bytes"))
            }
        }
    }

    /// Binary data: two bytes of length and that many bytes.
    #[inline]
    pub(crate) fn binary(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.two_bytes(field)?;
        self.take(usize::from(length), field)
    }

    /// A string in UTF-8.
    #[inline]
    pub(crate) fn string(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        text::from_bytes(self.binary(field)?).map_err(|fault| DecodeError::malformed(field, fault))
    }

    /// A string of which only UTF-8 is checked here: its type looks at the characters.
    #[inline]
    pub(crate) fn unchecked_string(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        // [MQTT-1.5.4-1] [MQTT311-1.5.3-1]
        core::str::from_utf8(self.binary(field)?).map_err(|_| DecodeError::malformed(field, "is not UTF-8"))
    }

    #[inline]
    pub(crate) fn packet_id(&mut self, packet: PacketType) -> Result<PacketId, DecodeError> {
        const FIELD: &str = "packet identifier";
        // [MQTT-2.2.1-3] [MQTT-2.2.1-4] [MQTT311-2.3.1-1]
        PacketId::new(self.two_bytes(FIELD)?).ok_or_else(|| DecodeError::rule(packet, FIELD, "is zero"))
    }

    /// Nothing may follow the last field.
    #[inline]
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(DecodeError::malformed("body", "goes on after its last field")) }
    }
}

#[cold]
fn truncated(field: &'static str) -> DecodeError {
    DecodeError::malformed(field, "is cut short")
}
