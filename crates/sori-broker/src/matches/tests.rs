//! Match sets against what was put in, and what the cache keeps.

use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;
use sori_mqtt::QoS;

use super::*;

fn subscriber(shard: u16, slot: u32, identifier: u32) -> Subscriber {
    let session = SessionRef { shard: ShardId(shard), slot, generation: 0 };
    let options = Options::new(QoS::AtMostOnce, false, false);
    Subscriber { since: 0, session, identifier, options }
}

proptest! {
    /// One builder for many topics: each set has what was put in for it, by shard, those of a session in their order.
    #[test]
    fn a_set_has_what_was_gathered_for_it(
        topics in prop::collection::vec(prop::collection::vec((0..4_u16, 0..5_u32), 0..12), 1..6),
    ) {
        let mut builder = MatchBuilder::new(4);
        for topic in topics {
            for (&(shard, slot), number) in topic.iter().zip(0..) {
                builder.add(&subscriber(shard, slot, number));
            }
            let set = builder.finish();
            let mut expected: Vec<(u16, u32, u32)> =
                topic.iter().zip(0..).map(|(&(shard, slot), number)| (shard, slot, number)).collect();
            expected.sort_unstable();
            let of_shard = |shard| set.recipients(ShardId(shard)).iter().map(move |r| (shard, r.slot, r.identifier));
            prop_assert_eq!((0..5).flat_map(of_shard).collect::<Vec<_>>(), expected.clone());
            let mut shards: Vec<ShardId> = expected.iter().map(|(shard, ..)| ShardId(*shard)).collect();
            shards.dedup();
            prop_assert_eq!(set.shards(), shards);
            prop_assert_eq!((set.is_empty(), set.weight()), (expected.is_empty(), expected.len() + 1));
        }
    }
}

fn ask(cache: &mut MatchCache, generation: u64, topic: &str) -> bool {
    let set = MatchBuilder::new(1).finish();
    match cache.find(generation, topic) {
        Ok(_) => true,
        Err(missing) => {
            cache.keep(generation, topic, missing, &set);
            false
        }
    }
}

#[test]
fn a_topic_is_kept_when_it_is_asked_for_again_and_until_the_index_changes() {
    let mut cache = MatchCache::default();
    assert_eq!([ask(&mut cache, 1, "a"), ask(&mut cache, 1, "a"), ask(&mut cache, 1, "a")], [false, false, true]);
    assert_eq!([ask(&mut cache, 2, "a"), ask(&mut cache, 2, "a")], [false, true], "what was asked for is known");
    assert!(!ask(&mut cache, 1, "a"), "the set of another generation");
}

#[test]
fn topics_that_come_once_take_no_memory_and_others_only_so_much() {
    let mut cache = MatchCache::default();
    for number in 0..100_000 {
        ask(&mut cache, 1, &format!("once/{number}"));
    }
    assert!(cache.sets.len() < 10, "{} were kept, though marks are seldom alike", cache.sets.len());
    for number in 0..20_000 {
        let topic = format!("twice/{number}");
        assert_eq!([ask(&mut cache, 1, &topic), ask(&mut cache, 1, &topic)], [false, false]);
        assert!(ask(&mut cache, 1, &topic), "{topic} was kept");
        assert!(cache.sets.len() <= CACHED_TOPICS_MAX);
    }
}
