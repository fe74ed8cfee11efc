//! The subscriptions of one filter against a map, through all the forms that they are kept in.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sori_mqtt::QoS;

use super::*;
use crate::ids::ShardId;
use crate::subscription::Options;

fn session(slot: u32) -> SessionRef {
    SessionRef { shard: ShardId(0), slot, generation: 0 }
}

fn subscriber(slot: u32, identifier: u32) -> Subscriber {
    let options = Options::new(QoS::AtMostOnce, false, false);
    Subscriber { since: 0, session: session(slot), identifier, options }
}

/// Options are three things in one byte.
#[test]
fn options_keep_what_they_were_made_of() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for (no_local, as_published) in [(false, false), (false, true), (true, false), (true, true)] {
            let options = Options::new(qos, no_local, as_published);
            assert_eq!(
                (options.qos(), options.no_local(), options.retain_as_published()),
                (qos, no_local, as_published)
            );
            let written = options.to_subscribe_options();
            assert_eq!((written.qos, written.no_local, written.retain_as_published), (qos, no_local, as_published));
        }
    }
}

proptest! {
    /// Through all its forms, from none over a few to many with a table of places, and back.
    #[test]
    fn random_changes_agree_with_a_map(steps in prop::collection::vec((any::<bool>(), 0..60_u32, any::<u32>()), 1..400)) {
        let mut subscribers = Subscribers::default();
        let mut map: BTreeMap<u32, u32> = BTreeMap::new();
        for (insert, slot, identifier) in steps {
            if insert {
                let old = subscribers.insert(subscriber(slot, identifier)).map(|old| old.identifier);
                prop_assert_eq!(old, map.insert(slot, identifier));
            } else {
                let old = subscribers.remove(session(slot)).map(|old| old.identifier);
                prop_assert_eq!(old, map.remove(&slot));
            }
            prop_assert_eq!(subscribers.is_empty(), map.is_empty());
            let mut all: Vec<(u32, u32)> = subscribers.as_slice().iter().map(|s| (s.session.slot, s.identifier)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, map.iter().map(|(slot, identifier)| (*slot, *identifier)).collect::<Vec<_>>());
            for slot in 0..60 {
                let found = subscribers.find(session(slot)).map(|found| found.identifier);
                prop_assert_eq!(found, map.get(&slot).copied());
            }
        }
    }
}

/// Thousands of sessions leave one filter without a search each, and without keeping the memory.
#[test]
fn many_subscribers_leave_in_any_order() {
    let mut subscribers = Subscribers::default();
    for slot in 0..10_000 {
        subscribers.insert(subscriber(slot, slot));
    }
    for slot in (0..10_000).map(|number| number * 7919 % 10_000) {
        assert_eq!(subscribers.remove(session(slot)).map(|old| old.identifier), Some(slot));
        if let Subscribers::Many(many) = &subscribers {
            assert!(many.list.capacity() <= 4 * many.list.len().max(4) || many.list.len() > 5000);
        }
    }
    assert!(matches!(subscribers, Subscribers::None));
}
