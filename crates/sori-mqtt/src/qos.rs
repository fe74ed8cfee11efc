//! Quality of Service.

/// How often a message arrives.
#[repr(u8)]
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug, Hash, Default)]
pub enum QoS {
    /// Zero times or once; no acknowledgement.
    #[default]
    AtMostOnce = 0,
    /// Once or more often; PUBACK.
    AtLeastOnce = 1,
    /// Exactly once; PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS of this number; 3 and more do not exist.
    #[must_use]
    #[inline]
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}
