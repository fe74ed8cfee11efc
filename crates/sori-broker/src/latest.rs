//! The last delivery of each topic in a queue, found by the topic. Only a full queue in which the latest value counts
//! has such a table: it is made when it is asked for the first time, and changed with the queue from then on.

use crate::delivery::{Delivery, Order};
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};

#[derive(Debug, Default)]
pub(crate) struct Latest {
    hasher: DefaultHashBuilder,
    last: HashTable<Last>,
}

#[derive(Debug)]
struct Last {
    /// Of the topic.
    hash: u64,
    order: Order,
}

impl Latest {
    /// The last delivery of this topic; `has_topic` says whether the delivery in this place has it.
    pub(crate) fn find(&self, topic: &str, has_topic: impl Fn(Order) -> bool) -> Option<Order> {
        let hash = self.hasher.hash_one(topic);
        self.last.find(hash, |last| last.hash == hash && has_topic(last.order)).map(|last| last.order)
    }

    /// A delivery has come in.
    pub(crate) fn note(&mut self, delivery: &Delivery, has_topic: impl Fn(Order) -> bool) {
        let (hash, order) = (self.hasher.hash_one(delivery.message.topic()), delivery.order);
        match self.last.find_mut(hash, |last| last.hash == hash && has_topic(last.order)) {
            Some(last) if last.order.is_before(order) => last.order = order,
            Some(_) => {}
            None => {
                self.last.insert_unique(hash, Last { hash, order }, |last| last.hash);
            }
        }
    }

    /// A delivery has gone.
    pub(crate) fn forget(&mut self, delivery: &Delivery) {
        let hash = self.hasher.hash_one(delivery.message.topic());
        if let Ok(found) = self.last.find_entry(hash, |last| last.order == delivery.order) {
            found.remove();
        }
    }
}
