//! Reads against a list of those that are wanted.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::ids::{SessionRef, ShardId};
use crate::index::SubscriptionIndex;
use crate::subscription::{Options, Subscriber};
use sori_mqtt::TopicFilter;

fn places() -> Vec<Place> {
    let mut index = SubscriptionIndex::default();
    let session = SessionRef { shard: ShardId(0), slot: 0, generation: 0 };
    let options = Options::new(QoS::AtMostOnce, false, false);
    ["a", "b", "c"]
        .iter()
        .map(|filter| {
            let filter = TopicFilter::new(filter).expect("a filter");
            index.insert(filter, Subscriber { since: 0, session, identifier: 0, options }).0
        })
        .collect()
}

#[derive(Copy, Clone, Debug)]
enum Step {
    Want(usize),
    Forget(usize),
    Finish,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => (0..3_usize).prop_map(Step::Want), 1 => (0..3_usize).prop_map(Step::Forget), 1 => Just(Step::Finish)]
}

proptest! {
    #[test]
    fn the_first_read_is_the_oldest_that_is_wanted(steps in prop::collection::vec(any_step(), 1..60)) {
        let places = places();
        let mut reads = Reads::default();
        // Subscription and `until` of each read.
        let mut list: Vec<(usize, u64)> = Vec::new();
        for (step, until) in steps.into_iter().zip(1..) {
            match step {
                Step::Want(at) => {
                    let (place, filter) = (places[at], Box::from("a"));
                    let granted = QoS::AtMostOnce;
                    reads.want(RetainedRead { number: 0, place, filter, granted, identifier: 0, until, after: None });
                    list.retain(|(other, _)| *other != at);
                    list.push((at, until));
                }
                Step::Forget(at) => {
                    reads.forget(&places[at]);
                    list.retain(|(other, _)| *other != at);
                }
                Step::Finish => {
                    reads.finish();
                    list.drain(..1.min(list.len()));
                }
            }
            prop_assert_eq!(reads.is_empty(), list.is_empty());
            prop_assert_eq!(reads.first().map(|read| read.until), list.first().map(|(_, until)| *until));
            prop_assert!(reads.0.as_ref().is_none_or(|waiting| waiting.list.len() <= 14), "what is out of date goes");
        }
    }
}
