//! Places against a set.

use std::collections::BTreeSet;

use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::ids::{SessionRef, ShardId};
use crate::index::SubscriptionIndex;
use crate::subscription::{Options, Subscriber};
use sori_mqtt::{QoS, TopicFilter};

/// Places of 20 filters, every fifth of them shared.
fn some_places() -> Vec<Place> {
    let mut index = SubscriptionIndex::default();
    let session = SessionRef { shard: ShardId(0), slot: 0, generation: 0 };
    let options = Options::new(QoS::AtMostOnce, false, false);
    let text = |number: u32| if number.is_multiple_of(5) { format!("$share/g/{number}") } else { format!("{number}") };
    (0..20)
        .map(|number| {
            let text = text(number);
            let filter = TopicFilter::new(&text).expect("a filter");
            index.insert(filter, Subscriber { since: 0, session, identifier: 0, options }).0
        })
        .collect()
}

proptest! {
    #[test]
    fn random_changes_agree_with_a_set(steps in prop::collection::vec((any::<bool>(), 0..20_usize), 0..100)) {
        let all = some_places();
        let mut places = Places::default();
        let mut model = BTreeSet::new();
        let number = |place: &Place| all.iter().position(|other| other == place);
        for (adds, at) in steps {
            if adds {
                places.insert(all[at]);
                model.insert(at);
            } else {
                places.remove(&all[at]);
                model.remove(&at);
            }
            let found: BTreeSet<usize> = places.iter().filter_map(number).collect();
            prop_assert_eq!(&found, &model);
            prop_assert_eq!(places.iter().count(), model.len());
            prop_assert_eq!(places.is_empty(), model.is_empty());
            prop_assert_eq!(places.has_shared(), model.iter().any(|at| at % 5 == 0));
        }
        let left = places.into_iter();
        prop_assert_eq!(left.size_hint(), (model.len(), Some(model.len())));
        prop_assert_eq!(left.collect::<Vec<_>>().iter().filter_map(number).collect::<BTreeSet<_>>(), model);
    }
}
