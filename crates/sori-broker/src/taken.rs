//! Numbers that are taken. The next free one is found at once, however many stand in a row before it.

use alloc::collections::BTreeMap;
use core::num::NonZeroU32;

/// Each range of numbers that are taken, from the first to the last; between two ranges there is a free number.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    ranges: BTreeMap<NonZeroU32, NonZeroU32>,
}

impl Taken {
    /// Take this number or, when it is taken, the next higher one that is free; after the highest comes 1.
    pub(crate) fn take(&mut self, wanted: NonZeroU32) -> NonZeroU32 {
        let number = self.free_from(wanted);
        let before = self.ranges.range(..number).next_back();
        let first = before.filter(|(_, last)| last.checked_add(1) == Some(number)).map_or(number, |(first, _)| *first);
        let last = number.checked_add(1).and_then(|next| self.ranges.remove(&next)).unwrap_or(number);
        self.ranges.insert(first, last);
        number
    }

    fn free_from(&self, wanted: NonZeroU32) -> NonZeroU32 {
        crate::looks::note();
        match self.range_with(wanted) {
            None => wanted,
            Some((_, last)) => last.checked_add(1).unwrap_or_else(|| self.free_from(NonZeroU32::MIN)),
        }
    }

    fn range_with(&self, number: NonZeroU32) -> Option<(NonZeroU32, NonZeroU32)> {
        let (first, last) = self.ranges.range(..=number).next_back()?;
        (*last >= number).then_some((*first, *last))
    }

    /// The number is free again.
    pub(crate) fn give_back(&mut self, number: NonZeroU32) {
        let Some((first, last)) = self.range_with(number) else { return };
        self.ranges.remove(&first);
        if first < number {
            self.ranges.insert(first, before(number));
        }
        if let Some(next) = number.checked_add(1).filter(|next| *next <= last) {
            self.ranges.insert(next, last);
        }
    }
}

/// The number before this one, which is not the lowest.
fn before(number: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(number.get() - 1).expect("there is a lower number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    /// One of few numbers at either end, so that they meet and wrap around.
    fn any_number() -> impl Strategy<Value = NonZeroU32> {
        let ends = prop_oneof![1..12_u32, u32::MAX - 8..=u32::MAX];
        ends.prop_map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
    }

    proptest! {
        #[test]
        fn like_a_search_step_by_step(steps in prop::collection::vec((any::<bool>(), any_number()), 1..80)) {
            let (mut taken, mut model) = (Taken::default(), BTreeSet::new());
            for (takes, number) in steps {
                if takes {
                    let mut expected = number;
                    while model.contains(&expected) {
                        expected = expected.checked_add(1).unwrap_or(NonZeroU32::MIN);
                    }
                    model.insert(expected);
                    prop_assert_eq!(taken.take(number), expected);
                } else {
                    model.remove(&number);
                    taken.give_back(number);
                }
                let known = |ranges: &BTreeMap<NonZeroU32, NonZeroU32>| -> u32 {
                    ranges.iter().map(|(first, last)| last.get() - first.get() + 1).sum()
                };
                prop_assert_eq!(known(&taken.ranges) as usize, model.len());
                prop_assert!(model.iter().all(|number| taken.range_with(*number).is_some()));
                let mut pairs = taken.ranges.iter().zip(taken.ranges.keys().skip(1));
                prop_assert!(pairs.all(|((_, last), next)| last.get() + 1 < next.get()), "{:?}", taken);
            }
        }
    }
}
