//! The body of one chunk of a `mosquitto.db`, read field by field.

use super::{ImportFault, Place};

/// What is left of a chunk. Numbers are big-endian, but for those that Mosquitto writes as they lie in its memory.
pub(super) struct Chunk<'a> {
    bytes: &'a [u8],
    /// Where in the file `bytes` begins.
    offset: u64,
    name: &'static str,
}

impl<'a> Chunk<'a> {
    pub(super) const fn new(name: &'static str, offset: u64, bytes: &'a [u8]) -> Self {
        Self { bytes, offset, name }
    }

    pub(super) const fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn place(&self) -> Place {
        Place::Byte(self.offset)
    }

    pub(super) fn fault(&self, what: &str) -> ImportFault {
        ImportFault::damaged(self.place(), format!("{} {what}", self.name))
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ImportFault> {
        let Some((taken, left)) = self.bytes.split_at_checked(length) else {
            return Err(self.fault(&format!("is too short: {length} bytes wanted, {} left", self.left())));
        };
        self.bytes = left;
        self.offset += length as u64;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImportFault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, ImportFault> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn two_bytes(&mut self) -> Result<u16, ImportFault> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn four_bytes(&mut self) -> Result<u32, ImportFault> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes after their length in two bytes.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], ImportFault> {
        let length = self.two_bytes()?;
        self.take(length.into())
    }

    /// The number of a message. It only has to be the same wherever the message is meant, so its byte order is of no
    /// importance.
    pub(super) fn store_id(&mut self) -> Result<u64, ImportFault> {
        self.array().map(u64::from_le_bytes)
    }

    /// A moment in seconds since 1970, 0 for none, in the byte order and the width of the machine that wrote it.
    pub(super) fn seconds(&mut self, width: usize) -> Result<Option<u64>, ImportFault> {
        let fault = self.fault("holds a time that is no time between 1970 and 9999");
        let seconds = match width {
            4 => self.array().map(u32::from_le_bytes)?.into(),
            8 => self.array().map(in_either_byte_order)?,
            _ => return Err(fault),
        };
        if seconds < SECONDS_MAX { Ok(Some(seconds).filter(|seconds| *seconds > 0)) } else { Err(fault) }
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), ImportFault> {
        match self.left() {
            0 => Ok(()),
            left => Err(self.fault(&format!("is too long: {left} bytes are left over"))),
        }
    }
}

/// Read in the wrong byte order, a moment of our days lies far behind the year 9999, and so tells a file of a big-endian
/// machine from one of a little-endian machine.
const fn in_either_byte_order(bytes: [u8; 8]) -> u64 {
    let seconds = u64::from_le_bytes(bytes);
    if seconds < SECONDS_MAX { seconds } else { u64::from_be_bytes(bytes) }
}

/// The end of the year 9999.
pub(super) const SECONDS_MAX: u64 = 253_402_300_800;
