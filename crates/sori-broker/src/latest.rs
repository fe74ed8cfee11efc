//! The deliveries of each topic in a queue, found by the topic. Only a full queue in which the latest value counts has such
//! a table: it is made when it is asked for the first time, and changed with the queue from then on.

use crate::delivery::{Delivery, Order};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};
use sori_mqtt::QoS;

#[derive(Debug, Default)]
pub(crate) struct Latest {
    hasher: DefaultHashBuilder,
    /// What was chosen at QoS 0, and the rest: each of the two goes in its own order.
    qos0: HashTable<Topic>,
    acknowledged: HashTable<Topic>,
}

#[derive(Debug)]
struct Topic {
    hash: u64,
    places: Places,
}

/// Where the deliveries of a topic stand, oldest first.
#[derive(Debug)]
enum Places {
    One(Order),
    #[expect(clippy::box_collection, reason = "most topics have one, and pay for the place of what is larger")]
    Many(Box<VecDeque<Order>>),
}

impl Latest {
    /// The last delivery of this topic; `has_topic` says whether the delivery in this place has it.
    pub(crate) fn find(&self, topic: &str, has_topic: impl Fn(Order) -> bool) -> Option<Order> {
        let hash = self.hasher.hash_one(topic);
        let [qos0, acknowledged] = [&self.qos0, &self.acknowledged].map(|table| {
            let found = table.find(hash, |topic| topic.hash == hash && has_topic(topic.places.last()))?;
            Some(found.places.last())
        });
        match (qos0, acknowledged) {
            (Some(one), Some(other)) if one.is_before(other) => Some(other),
            (one, other) => one.or(other),
        }
    }

    /// A delivery has come in, behind those of its topic.
    pub(crate) fn note(&mut self, delivery: &Delivery, has_topic: impl Fn(Order) -> bool) {
        let (hash, order) = (self.hash(delivery), delivery.order);
        let table = self.table(delivery);
        match table.find_mut(hash, |topic| topic.hash == hash && has_topic(topic.places.last())) {
            Some(topic) => topic.places.push(order),
            None => {
                table.insert_unique(hash, Topic { hash, places: Places::One(order) }, |topic| topic.hash);
            }
        }
    }

    /// A delivery has gone, wherever it stood among those of its topic.
    pub(crate) fn forget(&mut self, delivery: &Delivery) {
        let (hash, order) = (self.hash(delivery), delivery.order);
        let is_it = |topic: &Topic| topic.hash == hash && topic.places.has(order);
        if let Ok(mut found) = self.table(delivery).find_entry(hash, is_it)
            && !found.get_mut().places.remove(order)
        {
            found.remove();
        }
    }

    fn hash(&self, delivery: &Delivery) -> u64 {
        self.hasher.hash_one(delivery.message.topic())
    }

    fn table(&mut self, delivery: &Delivery) -> &mut HashTable<Topic> {
        if delivery.qos == QoS::AtMostOnce { &mut self.qos0 } else { &mut self.acknowledged }
    }
}

impl Places {
    fn last(&self) -> Order {
        match self {
            Places::One(one) => *one,
            Places::Many(many) => many[many.len() - 1],
        }
    }

    fn has(&self, order: Order) -> bool {
        match self {
            Places::One(one) => *one == order,
            Places::Many(many) => many.get(position(many, order)) == Some(&order),
        }
    }

    fn push(&mut self, order: Order) {
        match self {
            Places::One(one) => *self = Places::Many(Box::new([*one, order].into())),
            Places::Many(many) => many.push_back(order),
        }
    }

    /// Take out one that is there; gives whether something is left.
    fn remove(&mut self, order: Order) -> bool {
        let Places::Many(many) = self else { return false };
        many.remove(position(many, order));
        if many.len() == 1 {
            *self = Places::One(many[0]);
        }
        true
    }
}

/// Where this order stands, or would stand.
fn position(many: &VecDeque<Order>, order: Order) -> usize {
    many.partition_point(|other| other.is_before(order))
}
