//! Records from bytes. What is read is what this crate wrote, behind a checksum; it is read as if it were not.

use crate::ids::{SessionRef, ShardId};
use crate::message::{MessageRef, Recorded, Wire};
use crate::record::write::{RETAIN, SHARED, USER_HAS_NAME, USER_HAS_REALM};
use crate::record::{BLOB_HEADER, Kind};
use crate::shared::GroupNumber;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use sori_mqtt::{PacketId, QoS, TopicName};

/// Records that cannot be read: they were written by a newer version, or are not what was written.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct RecordError {
    /// Where in the bytes.
    pub offset: usize,
    /// What is wrong there.
    pub text: &'static str,
    /// Nothing is: only a newer version writes what stands there.
    pub is_newer: bool,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} of the records", self.text, self.offset)
    }
}

impl core::error::Error for RecordError {}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, RecordError>;

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn wrong<T>(&self, text: &'static str) -> Read<T> {
        Err(RecordError { offset: self.at, text, is_newer: false })
    }

    pub(crate) fn newer<T>(&self, text: &'static str) -> Read<T> {
        Err(RecordError { offset: self.at, text, is_newer: true })
    }

    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else { return self.wrong("a record ends too early") };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    pub(crate) fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn kind(&mut self) -> Read<Kind> {
        let byte = self.byte()?;
        match Kind::of(byte) {
            Some(kind) => Ok(kind),
            None => {
                self.at -= 1;
                self.newer("an unknown kind of record")
            }
        }
    }

    pub(crate) fn varint(&mut self) -> Read<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.wrong("a number that is too long")
    }

    pub(crate) fn varint32(&mut self) -> Read<u32> {
        u32::try_from(self.varint()?).or_else(|_| self.wrong("a number that is too large"))
    }

    pub(crate) fn length(&mut self) -> Read<usize> {
        usize::try_from(self.varint()?).or_else(|_| self.wrong("a length that is too large"))
    }

    pub(crate) fn number(&mut self) -> Read<u64> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    pub(crate) fn time(&mut self) -> Read<Time> {
        Ok(Time(self.number()?))
    }

    pub(crate) fn text(&mut self) -> Read<&'a str> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        core::str::from_utf8(bytes).or_else(|_| self.wrong("a text that is not UTF-8"))
    }

    /// The user name of a client, and the realm that it is under.
    pub(crate) fn user(&mut self) -> Read<(Option<Box<str>>, u32)> {
        let flags = self.byte()?;
        if flags & !(USER_HAS_NAME | USER_HAS_REALM) != 0 {
            return self.newer("unknown flags of a user");
        }
        let name = if flags & USER_HAS_NAME == 0 { None } else { Some(Box::from(self.text()?)) };
        let realm = if flags & USER_HAS_REALM == 0 { 0 } else { self.seconds()? };
        Ok((name, realm))
    }

    /// Four bytes.
    pub(crate) fn seconds(&mut self) -> Read<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(crate) fn packet_id(&mut self) -> Read<PacketId> {
        let bytes = self.take(2)?;
        let id = u16::from_le_bytes([bytes[0], bytes[1]]);
        PacketId::new(id).map_or_else(|| self.wrong("packet identifier 0"), Ok)
    }

    pub(crate) fn session(&mut self) -> Read<SessionRef> {
        let shard = u16::try_from(self.varint()?).or_else(|_| self.wrong("a shard that cannot be"))?;
        Ok(SessionRef { shard: ShardId(shard), slot: self.varint32()?, generation: self.varint32()? })
    }

    pub(crate) fn identifiers(&mut self) -> Read<Vec<u32>> {
        let count = self.length()?;
        // Grows with what is there, not with what the count says.
        let mut identifiers = Vec::new();
        for _ in 0..count {
            identifiers.push(self.varint32()?);
        }
        Ok(identifiers)
    }

    /// How a session is owed a message: the flags, and the group that it was chosen from. Nothing of QoS 0 is recorded.
    pub(crate) fn delivery(&mut self) -> Read<(u8, Option<GroupNumber>)> {
        let flags = self.byte()?;
        if !matches!(flags & 0b11, 1 | 2) {
            self.at -= 1;
            return self.wrong("a delivery with a QoS that cannot be");
        }
        if flags & SHARED == 0 {
            return Ok((flags, None));
        }
        match NonZeroU32::new(self.seconds()?) {
            Some(group) => Ok((flags, Some(GroupNumber(group)))),
            None => self.wrong("a group without a number"),
        }
    }

    /// A message behind its length; gives it, and where its length stands.
    pub(crate) fn message(&mut self) -> Read<(usize, MessageRef<'a>)> {
        let at = self.at;
        let header = self.take(BLOB_HEADER)?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let begin = self.at;
        let body = self.take(length)?;
        let message = message_body(body).map_err(|e| RecordError { offset: begin + e.offset, ..e })?;
        Ok((at, message))
    }
}

pub(crate) fn qos(flags: u8) -> QoS {
    match flags & 0b11 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// A message without its length.
pub(crate) fn message_body(bytes: &[u8]) -> Read<MessageRef<'_>> {
    let mut reader = Reader::new(bytes);
    let (number, expires, flags) = (reader.number()?, reader.time()?, reader.byte()?);
    let topic = reader.text()?;
    if TopicName::new(topic).is_err() {
        return reader.wrong("a topic that is none");
    }
    let length = reader.length()?;
    let properties = reader.take(length)?;
    Ok(MessageRef {
        topic,
        payload: reader.rest(),
        properties,
        qos: qos(flags),
        retain: flags & RETAIN != 0,
        expires,
        publisher: SessionRef::NOBODY,
        retained_version: 0,
        recorded: Recorded { number, key: 0, waits: false },
        wire: Wire::default(),
    })
}
