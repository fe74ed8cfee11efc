//! What waits to be written to a connection: packets one after the other in a buffer, and large payloads where they are
//! kept for everybody who gets them.
//!
//! ```text
//!   buffer   [ PUBACK ][ PUBLISH, but for its payload ]              [ PUBLISH ]
//!   shared                                             [ payload ]
//! ```
//!
//! To copy a small payload costs less than to keep count of who still needs it. A large one that a thousand subscribers
//! get would be a thousand copies, in time and in memory.

use crate::message::Message;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    /// So much of the buffer has been written.
    written: usize,
    shared: Option<Box<Shared>>,
}

/// The payloads that are not in the buffer.
#[derive(Debug, Default)]
struct Shared {
    payloads: VecDeque<Payload>,
    /// What is left of them to be written.
    bytes: usize,
}

#[derive(Debug)]
struct Payload {
    /// It comes behind so much of the buffer.
    at: usize,
    message: Message,
    /// So much of it has been written.
    written: usize,
}

impl Payload {
    fn rest(&self) -> &[u8] {
        &self.message.payload()[self.written..]
    }
}

impl Output {
    /// How many bytes there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.written + self.shared.as_ref().map_or(0, |shared| shared.bytes)
    }

    /// To append packets to.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The payload of `message` is what comes next.
    pub(crate) fn push_payload(&mut self, message: Message) {
        let shared = self.shared.get_or_insert_default();
        shared.bytes += message.payload_length() as usize;
        shared.payloads.push_back(Payload { at: self.buffer.len(), message, written: 0 });
    }

    /// All of it, piece by piece; no piece is empty.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = self.written;
        let mut payloads = self.shared.iter().flat_map(|shared| &shared.payloads).peekable();
        core::iter::from_fn(move || {
            let until = payloads.peek().map_or(self.buffer.len(), |payload| payload.at);
            if from < until {
                return self.buffer.get(core::mem::replace(&mut from, until)..until);
            }
            payloads.next().map(Payload::rest)
        })
        .filter(|piece| !piece.is_empty())
    }

    /// The first `bytes` have been written.
    #[inline]
    pub(crate) fn written(&mut self, bytes: usize) {
        match &self.shared {
            None => self.written = (self.written + bytes).min(self.buffer.len()),
            Some(_) => self.written_in_pieces(bytes),
        }
    }

    #[cold]
    fn written_in_pieces(&mut self, mut bytes: usize) {
        let Some(shared) = &mut self.shared else { return };
        while let Some(first) = shared.payloads.front_mut() {
            let before = bytes.min(first.at - self.written);
            self.written += before;
            bytes -= before;
            let of_payload = bytes.min(first.rest().len());
            first.written += of_payload;
            shared.bytes -= of_payload;
            bytes -= of_payload;
            if self.written < first.at || !first.rest().is_empty() {
                return;
            }
            shared.payloads.pop_front();
        }
        self.shared = None;
        self.written(bytes);
    }

    /// Gives memory back when more than `max` bytes at the beginning of the buffer have been written.
    pub(crate) fn forget_written(&mut self, max: usize) {
        if self.written <= max {
            return;
        }
        self.buffer.drain(..self.written);
        for payload in self.shared.iter_mut().flat_map(|shared| &mut shared.payloads) {
            payload.at -= self.written;
        }
        self.written = 0;
    }

    /// All has been written: gives the buffer away.
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        self.written = 0;
        core::mem::take(&mut self.buffer)
    }
}

#[cfg(test)]
mod tests;
