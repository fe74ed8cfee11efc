//! What waits for a session: its queue, while there is something in it. A session that is owed nothing owns no queue.

use crate::delivery::{Delivery, Order, Stored};
use crate::memory::MemoryUse;
use crate::message::Message;
use crate::queue::{Gone, Queue};
use crate::stored_line::StoredMut;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A session's queue, or nothing. What its methods do is said in [`Queue`].
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// While there is no queue.
    last_order: Order,
    queue: Option<Box<Queue>>,
}

impl Waiting {
    fn queue(&mut self) -> &mut Queue {
        self.queue.get_or_insert_with(|| Box::new(Queue::after(self.last_order)))
    }

    /// Look at or change the queue that there is; it goes when it is empty then.
    #[inline]
    fn with<T>(&mut self, change: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let queue = self.queue.as_mut()?;
        let result = change(queue);
        if queue.is_empty() {
            self.last_order = queue.last_order();
            self.queue = None;
        }
        Some(result)
    }

    pub(crate) fn last_order(&self) -> Order {
        self.queue.as_ref().map_or(self.last_order, |queue| queue.last_order())
    }

    pub(crate) fn first_order(&self) -> Option<Order> {
        self.queue.as_ref()?.first_order()
    }

    pub(crate) fn next_order(&mut self) -> Order {
        match &mut self.queue {
            Some(queue) => queue.next_order(),
            None => {
                self.last_order = self.last_order.next();
                self.last_order
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.len())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_none()
    }

    pub(crate) fn stored_len(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.stored_len())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.bytes())
    }

    #[inline]
    pub(crate) fn holds_qos0(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.holds_qos0())
    }

    #[inline]
    pub(crate) fn front(&self) -> Option<Result<&Delivery, Order>> {
        self.queue.as_ref()?.front()
    }

    pub(crate) fn push(&mut self, delivery: Delivery) -> &Delivery {
        self.queue().push(delivery)
    }

    pub(crate) fn put_stored(&mut self, delivery: Stored, memory: &MemoryUse) {
        self.queue().put_stored(delivery, memory);
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        self.with(Queue::pop)?
    }

    pub(crate) fn pop_qos0(&mut self) -> Option<Delivery> {
        self.with(Queue::pop_qos0)?
    }

    pub(crate) fn drop_oldest(&mut self, memory: &MemoryUse) -> Option<Gone> {
        self.with(|queue| queue.drop_oldest(memory))?
    }

    pub(crate) fn first_from_group(&self) -> Option<&Delivery> {
        self.queue.as_ref()?.first_from_group()
    }

    pub(crate) fn next_from_group(&self, from: Order) -> Option<&Delivery> {
        self.queue.as_ref()?.next_from_group(from)
    }

    pub(crate) fn remove(&mut self, order: Order) -> Option<Delivery> {
        self.with(|queue| queue.remove(order))?
    }

    pub(crate) fn expire_first(&mut self, now: Time) -> Vec<Delivery> {
        self.with(|queue| queue.expire_first(now)).unwrap_or_default()
    }

    pub(crate) fn expire(&mut self, now: Time) -> Vec<Delivery> {
        self.with(|queue| queue.expire(now)).unwrap_or_default()
    }

    pub(crate) fn take_last_of_topic(&mut self, topic: &str) -> Option<Delivery> {
        self.with(|queue| queue.take_last_of_topic(topic))?
    }

    pub(crate) fn spill(&mut self, keep: usize, max: usize, memory: &MemoryUse) -> usize {
        self.with(|queue| queue.spill(keep, max, memory)).unwrap_or(0)
    }

    #[inline]
    pub(crate) fn is_running_short(&self, low: usize) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_running_short(low))
    }

    pub(crate) fn to_fetch(&self, count: usize, bytes: usize) -> impl Iterator<Item = (Order, u64)> {
        self.queue.iter().flat_map(move |queue| queue.to_fetch(count, bytes))
    }

    pub(crate) fn fetched(&mut self, order: Order, message: Option<Message>, memory: &MemoryUse) -> Option<Gone> {
        self.with(|queue| queue.fetched(order, message, memory))?
    }

    pub(crate) fn acknowledged_from(&mut self, from: Order) -> impl Iterator<Item = Result<&Delivery, StoredMut<'_>>> {
        self.queue.iter_mut().flat_map(move |queue| queue.acknowledged_from(from))
    }
}
