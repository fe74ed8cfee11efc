//! The list in a SUBSCRIBE or UNSUBSCRIBE.

use crate::DecodeError;
use crate::reader::Reader;

/// The filters of a SUBSCRIBE with their options, or those of an UNSUBSCRIBE, one after the other. Whoever does not go through all of
/// them at once keeps [those that are left](Self::as_received).
#[derive(Clone, Debug)]
pub struct Filters<'a, T>(pub(super) List<'a, T>);

/// As received and checked, or as given by the caller.
#[derive(Copy, Clone, Debug)]
pub(super) enum List<'a, T> {
    Received(&'a [u8]),
    Given(&'a [T]),
}

impl<'a, T> Filters<'a, T> {
    /// Filters that were checked before and kept.
    #[must_use]
    pub const fn from_checked(bytes: &'a [u8]) -> Self {
        Self(List::Received(bytes))
    }

    /// Those that are left, as they stand in the packet; none of a packet that was not received.
    #[must_use]
    pub const fn as_received(&self) -> &'a [u8] {
        match self.0 {
            List::Received(bytes) => bytes,
            List::Given(_) => &[],
        }
    }
}

impl<'a, T: Copy> Filters<'a, T> {
    /// The next one; `read` takes one from what was received.
    #[inline]
    pub(super) fn next_by(&mut self, read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>) -> Option<T> {
        match &mut self.0 {
            List::Received([]) => None,
            List::Received(bytes) => {
                let mut reader = Reader::new(bytes);
                // Received bytes were checked in `decode`: nothing fails here.
                let next = read(&mut reader).ok();
                *bytes = reader.rest();
                next
            }
            List::Given(given) => given.split_off_first().copied(),
        }
    }
}
