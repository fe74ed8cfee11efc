//! One subscription as the index keeps it, and as a match set hands it to the shard that delivers.

use crate::ids::SessionRef;
use sori_mqtt::{QoS, RetainHandling, SubscribeOptions};

/// A session's subscription to one filter.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Subscriber {
    /// A stored message whose version is not above this one was there to be read when the subscription was made, and
    /// so reaches it as a retained message; its live copy is skipped. 0 when nothing retained was to be read.
    pub(crate) since: u64,
    pub(crate) session: SessionRef,
    /// The Subscription Identifier, 0 for none.
    pub(crate) identifier: u32,
    pub(crate) options: Options,
}

/// Granted QoS, No Local, Retain As Published, and whether the session outlives its connection. The QoS is a field of its
/// own, because its unused values tell apart what else may stand in the place of a subscription.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Options {
    granted: QoS,
    flags: u8,
}

impl Options {
    const NO_LOCAL: u8 = 0b1;
    const RETAIN_AS_PUBLISHED: u8 = 0b10;
    const DURABLE: u8 = 0b100;

    pub(crate) fn new(granted: QoS, no_local: bool, retain_as_published: bool) -> Options {
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let flags = flag(no_local, Options::NO_LOCAL) | flag(retain_as_published, Options::RETAIN_AS_PUBLISHED);
        Options { granted, flags }
    }

    #[inline]
    pub(crate) fn qos(self) -> QoS {
        self.granted
    }

    #[inline]
    pub(crate) fn no_local(self) -> bool {
        self.flags & Options::NO_LOCAL != 0
    }

    #[inline]
    pub(crate) fn retain_as_published(self) -> bool {
        self.flags & Options::RETAIN_AS_PUBLISHED != 0
    }

    /// Is what the session gets to be recorded?
    #[inline]
    pub(crate) fn is_durable(self) -> bool {
        self.flags & Options::DURABLE != 0
    }

    /// May there be something to be recorded for it: a delivery above QoS 0?
    #[inline]
    pub(crate) fn is_recorded(self) -> bool {
        self.is_durable() && self.qos() != QoS::AtMostOnce
    }

    pub(crate) fn with_durable(self, durable: bool) -> Options {
        let flags = if durable { self.flags | Options::DURABLE } else { self.flags & !Options::DURABLE };
        Options { flags, ..self }
    }

    pub(crate) fn to_subscribe_options(self) -> SubscribeOptions {
        SubscribeOptions {
            qos: self.qos(),
            no_local: self.no_local(),
            retain_as_published: self.retain_as_published(),
            retain_handling: RetainHandling::SendAlways,
        }
    }
}
