//! Deliveries one behind the other, in pieces: a long line grows and shrinks without being copied to another place, and
//! takes hardly more memory than what stands in it.
//!
//! ```text
//!   pieces   [ 1 2 3 ][ 4 5 6 7 ][ 8 9     ]
//!   pop_front ◄                      ▲ push_back
//! ```

use crate::delivery::{Delivery, Order};
use alloc::collections::VecDeque;

/// So many deliveries make a piece: one kibibyte.
const PIECE_LEN: usize = 32;

/// Deliveries by their order, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// None of them is empty.
    pieces: VecDeque<VecDeque<Delivery>>,
    len: usize,
}

impl Line {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn front(&self) -> Option<&Delivery> {
        self.pieces.front()?.front()
    }

    pub(crate) fn get(&self, mut at: usize) -> Option<&Delivery> {
        for piece in &self.pieces {
            match piece.get(at) {
                Some(delivery) => return Some(delivery),
                None => at -= piece.len(),
            }
        }
        None
    }

    /// The one that has this order.
    pub(crate) fn find(&self, order: Order) -> Option<&Delivery> {
        let (piece, at) = self.place_of(order);
        self.pieces.get(piece)?.get(at).filter(|delivery| delivery.order == order)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.pieces.iter().flatten()
    }

    /// All from the first whose order is not before `from`.
    pub(crate) fn iter_from(&self, from: Order) -> impl Iterator<Item = &Delivery> {
        let (piece, at) = self.place_of(from);
        let first = self.pieces.get(piece).into_iter().flat_map(move |piece| piece.range(at..));
        first.chain(self.pieces.range(self.pieces.len().min(piece + 1)..).flatten())
    }

    /// The piece, and the place in it, where an order stands or would stand.
    fn place_of(&self, order: Order) -> (usize, usize) {
        let is_before = |d: &Delivery| d.order.is_before(order);
        let piece = self.pieces.partition_point(|piece| piece.back().is_some_and(is_before));
        (piece, self.pieces.get(piece).map_or(0, |piece| piece.partition_point(is_before)))
    }

    #[inline]
    pub(crate) fn push_back(&mut self, delivery: Delivery) -> &Delivery {
        self.len += 1;
        let has_room = self.pieces.back().is_some_and(|piece| piece.len() < PIECE_LEN);
        if !has_room {
            // Most lines are short: the first piece grows as it is needed.
            let piece = if self.pieces.is_empty() { VecDeque::new() } else { VecDeque::with_capacity(PIECE_LEN) };
            self.pieces.push_back(piece);
        }
        let piece = self.pieces.back_mut().expect("there is one with room");
        piece.push_back(delivery);
        piece.back().expect("it was pushed just now")
    }

    /// An empty line holds no memory for what was in it.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<Delivery> {
        let first = self.pieces.front_mut()?;
        let delivery = first.pop_front()?;
        let is_over = first.is_empty();
        self.len -= 1;
        if is_over {
            self.forget_first();
        }
        Some(delivery)
    }

    #[cold]
    fn forget_first(&mut self) {
        self.pieces.pop_front();
        if self.pieces.is_empty() {
            *self = Line::default();
        }
    }

    /// Take out the one that has this order.
    pub(crate) fn remove(&mut self, order: Order) -> Option<Delivery> {
        let (number, at) = self.place_of(order);
        let piece = self.pieces.get_mut(number)?;
        let delivery = if piece.get(at)?.order == order { piece.remove(at) } else { None }?;
        if piece.is_empty() {
            self.pieces.remove(number);
        }
        self.len -= 1;
        Some(delivery)
    }

    /// Take away everything behind the first `keep`.
    pub(crate) fn split_off(&mut self, keep: usize) -> Line {
        if keep >= self.len {
            return Line::default();
        }
        let (mut number, mut at) = (0, keep);
        while at >= self.pieces[number].len() {
            at -= self.pieces[number].len();
            number += 1;
        }
        let mut pieces = self.pieces.split_off(number);
        if at > 0 {
            let behind = pieces[0].split_off(at);
            self.pieces.extend(pieces.front_mut().map(|first| core::mem::replace(first, behind)));
        }
        let len = core::mem::replace(&mut self.len, keep) - keep;
        self.pieces.shrink_to_fit();
        Line { pieces, len }
    }

    /// Put what stands in `other` behind what stands here.
    pub(crate) fn append(&mut self, other: &mut Line) {
        self.pieces.append(&mut other.pieces);
        self.len += core::mem::take(&mut other.len);
    }
}

impl IntoIterator for Line {
    type Item = Delivery;
    type IntoIter = core::iter::Flatten<alloc::collections::vec_deque::IntoIter<VecDeque<Delivery>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryUse;
    use crate::message::MessageRef;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use sori_mqtt::QoS;

    fn delivery(order: u32) -> Delivery {
        let message = MessageRef::plain("t", b"p").to_shared(&MemoryUse::default());
        Delivery { message, key: 0, extra: None, order: Order(order), qos: QoS::AtLeastOnce, retain: false }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u32),
        Pop(u32),
        Remove(usize),
        Split(usize),
        Append,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..100_u32).prop_map(Step::Push),
            2 => (1..80_u32).prop_map(Step::Pop),
            3 => any::<usize>().prop_map(Step::Remove),
            1 => any::<usize>().prop_map(Step::Split),
            1 => Just(Step::Append),
        ]
    }

    proptest! {
        /// A line does what one piece would do, with orders that wrap around.
        #[test]
        fn like_one_piece(steps in prop::collection::vec(step(), 1..60)) {
            let (mut line, mut behind) = (Line::default(), Line::default());
            let (mut model, mut model_behind) = (VecDeque::new(), VecDeque::new());
            let mut next = u32::MAX - 300;
            for step in steps {
                match step {
                    Step::Push(count) if behind.is_empty() => for _ in 0..count {
                        next = next.wrapping_add(1);
                        prop_assert_eq!(line.push_back(delivery(next)).order, Order(next));
                        model.push_back(next);
                    },
                    Step::Push(_) => {}
                    Step::Pop(count) => for _ in 0..count {
                        prop_assert_eq!(line.pop_front().map(|d| d.order.0), model.pop_front());
                    },
                    Step::Remove(at) => if !model.is_empty() {
                        let order = model.remove(at % model.len());
                        let removed = order.and_then(|order| line.remove(Order(order)));
                        prop_assert_eq!(removed.as_ref().map(|d| d.order.0), order);
                        prop_assert!(order.is_some_and(|order| line.remove(Order(order)).is_none()));
                    },
                    Step::Split(at) => if behind.is_empty() {
                        let at = at % (model.len() + 1);
                        behind = line.split_off(at);
                        model_behind = model.split_off(at);
                    },
                    Step::Append => {
                        line.append(&mut behind);
                        model.append(&mut model_behind);
                    }
                }
                let orders = |line: &Line| line.iter().map(|d| d.order.0).collect::<Vec<_>>();
                prop_assert_eq!(orders(&line), Vec::from(model.clone()));
                prop_assert_eq!(orders(&behind), Vec::from(model_behind.clone()));
                prop_assert_eq!((line.len(), line.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(line.front().map(|d| d.order.0), model.front().copied());
                let at = model.len() / 3;
                prop_assert_eq!(line.get(at).map(|d| d.order.0), model.get(at).copied());
                if let Some(order) = model.get(at) {
                    prop_assert_eq!(line.find(Order(*order)).map(|d| d.order.0), Some(*order));
                    prop_assert!(line.find(Order(order.wrapping_add(1000))).is_none());
                    let from: Vec<u32> = line.iter_from(Order(*order)).map(|d| d.order.0).collect();
                    prop_assert_eq!(from, model.range(at..).copied().collect::<Vec<_>>());
                }
                prop_assert!(line.pieces.iter().all(|piece| !piece.is_empty()));
            }
        }
    }

    #[test]
    fn nothing_is_kept_for_what_was_there() {
        let mut line = Line::default();
        (0..100).for_each(|order| {
            line.push_back(delivery(order));
        });
        while line.pop_front().is_some() {}
        assert_eq!(line.pieces.capacity(), 0);
    }
}
