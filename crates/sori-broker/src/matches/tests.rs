//! Match sets against what was put in, and what the cache keeps.

use alloc::format;
use alloc::string::String;
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

/// How many of these topics, which come in turn, are found in a round that was preceded by so many others.
fn found_in_turn(topics: usize, rounds_before: usize) -> usize {
    let mut cache = MatchCache::default();
    let topics: Vec<String> = (0..topics).map(|number| format!("in turn/{number}")).collect();
    let round = |cache: &mut MatchCache| topics.iter().filter(|topic| ask(cache, 1, topic)).count();
    for _ in 0..rounds_before {
        round(&mut cache);
    }
    round(&mut cache)
}

#[test]
fn topics_that_come_in_turn_are_found_and_those_that_are_far_too_many_are_not_kept() {
    // Which ones share a place depends on the keys of the hashes.
    let found = found_in_turn(2_000, 2);
    assert!(found >= 1_950, "{found} of 2,000");
    let found = found_in_turn(CACHED_TOPICS_MAX - 96, 8);
    assert!(found >= 3_400, "{found} of 4,000");
    let found = found_in_turn(5_000, 8);
    assert!(found >= 1_000, "{found} of 5,000, though there is no room for all");
    let found = found_in_turn(40_000, 8);
    assert!(found < 400, "{found} of 40,000");
}

/// Asks for a topic until it is kept.
fn keep(cache: &mut MatchCache, topic: &str, set: &Arc<MatchSet>) {
    for _ in 0..2 {
        let missing = cache.find(1, topic).expect_err("it is new");
        cache.keep(1, topic, missing, set);
    }
    assert!(cache.find(1, topic).is_ok(), "{topic} was kept");
    assert_eq!(cache.weight, cache.sets.iter().map(|(_, set)| set.weight()).sum::<usize>());
}

#[test]
fn topics_with_very_many_recipients_are_few_and_one_with_too_many_goes_for_the_next() {
    let with_recipients = |recipients: u32| {
        let mut builder = MatchBuilder::new(1);
        (0..recipients).for_each(|slot| builder.add(&subscriber(0, slot, 0)));
        builder.finish()
    };
    let mut cache = MatchCache::default();
    let set = with_recipients(CACHED_WEIGHT_MAX as u32 / 4);
    for number in 0..10 {
        keep(&mut cache, &format!("many/{number}"), &set);
        assert!(cache.sets.len() <= 4, "{} topics weigh {}", cache.sets.len(), cache.weight);
    }
    let mut cache = MatchCache::default();
    keep(&mut cache, "too many", &with_recipients(CACHED_WEIGHT_MAX as u32));
    keep(&mut cache, "one", &with_recipients(1));
    assert_eq!((cache.sets.len(), cache.weight), (1, 2));
}
