//! The Packet Identifier.

use core::num::NonZeroU16;

/// The number, never zero, that ties an acknowledgement to its request.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The identifier that follows 65535.
    pub const FIRST: Self = Self(NonZeroU16::MIN);
    /// The identifier before [`PacketId::FIRST`].
    pub const LAST: Self = Self(NonZeroU16::MAX);

    /// Checks that `value` is not zero. [MQTT-2.2.1-3] [MQTT-2.2.1-4] [MQTT311-2.3.1-1]
    #[must_use]
    #[inline]
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number itself.
    #[must_use]
    #[inline]
    pub const fn value(self) -> u16 {
        self.0.get()
    }

    /// The identifier after this one; 65535 is followed by 1.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(value) => Self(value),
            None => Self::FIRST,
        }
    }
}

/// How many steps lead from `first` to `packet_id`.
#[inline]
pub(crate) fn distance(first: PacketId, packet_id: PacketId) -> usize {
    let (first, packet_id) = (usize::from(first.value()), usize::from(packet_id.value()));
    if packet_id >= first { packet_id - first } else { packet_id + usize::from(PacketId::LAST.value()) - first }
}
