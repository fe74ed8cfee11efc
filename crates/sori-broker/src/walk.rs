//! How far the writing down of one session for a checkpoint has come. It takes several turns where the session has very
//! much, and the session changes meanwhile: whoever reads begins with its Session record, and what changes from then on is
//! recorded as at any time.

use crate::delivery::Order;
use crate::index::Place;
use alloc::vec::{self, Vec};
use sori_mqtt::PacketId;

/// What is still to be written down of a session; what it was answered PUBREC for is known to its
/// [`UnreleasedLine`](crate::unreleased::UnreleasedLine).
#[derive(Debug)]
pub(crate) struct Walk {
    /// The checkpoint.
    pub(crate) number: u64,
    pub(crate) subscriptions: Subscriptions,
    /// What was in flight when the session's turn came. An identifier may be in use again, or not at all.
    pub(crate) in_flight: vec::IntoIter<PacketId>,
    /// The deliveries from here
    pub(crate) next: Order,
    /// to here, both included.
    pub(crate) end: Order,
}

/// Which subscriptions are still to be written down.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Subscriptions {
    /// Those behind this one.
    After(Option<Place>),
    None,
}

impl Walk {
    /// Nothing is to be written down.
    pub(crate) fn of_nothing(number: u64) -> Walk {
        let (end, in_flight) = (Order::default(), Vec::new().into_iter());
        Walk { number, subscriptions: Subscriptions::None, in_flight, next: end.next(), end }
    }

    /// Is this delivery still to be written down, if it waits?
    pub(crate) fn covers(&self, order: Order) -> bool {
        !order.is_before(self.next) && !self.end.is_before(order)
    }
}
