//! The index against a slow, obvious one: a list of filters, each matched level by level.

use std::collections::BTreeMap;

use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;
use sori_mqtt::QoS;

use super::*;
use crate::ids::ShardId;
use crate::subscription::Options;

fn session(number: u32) -> SessionRef {
    SessionRef { shard: ShardId((number % 3) as u16), slot: number, generation: 0 }
}

fn subscriber(number: u32, identifier: u32) -> Subscriber {
    let options = Options::new(QoS::AtLeastOnce, false, false);
    Subscriber { since: 0, session: session(number), identifier, options }
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("a valid filter")
}

/// The rules of MQTT 5.0 section 4.7, slowly.
fn matches(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) => true,
            ([first, filter @ ..], [level, topic @ ..]) => (*first == "+" || first == level) && levels(filter, topic),
            (filter, topic) => filter.is_empty() && topic.is_empty(),
        }
    }
    let hidden = topic.starts_with('$') && filter.starts_with(['+', '#']);
    !hidden && levels(&filter.split('/').collect::<Vec<_>>(), &topic.split('/').collect::<Vec<_>>())
}

/// All texts of up to `count` levels out of `alphabet`.
fn texts(alphabet: &[&str], count: usize) -> Vec<String> {
    let mut all: Vec<String> = alphabet.iter().map(ToString::to_string).collect();
    let mut longest = all.clone();
    for _ in 1..count {
        longest =
            longest.iter().flat_map(|start| alphabet.iter().map(move |level| format!("{start}/{level}"))).collect();
        all.extend(longest.iter().cloned());
    }
    all
}

/// Slot and identifier of every recipient on every shard, sorted.
fn recipients(set: &MatchSet) -> Vec<(u32, u32)> {
    let shards = (0..3).map(ShardId);
    let mut all: Vec<(u32, u32)> = shards
        .flat_map(|shard| set.recipients(shard))
        .map(|recipient| (recipient.slot, recipient.identifier))
        .collect();
    all.sort_unstable();
    all
}

fn expect_empty(index: &SubscriptionIndex) {
    assert!(index.is_empty() && index.shared_len() == 0);
    assert_eq!(index.edges.len(), 0, "edges are left");
    assert_eq!(index.nodes.len(), 1, "nodes are left besides the root");
    assert!(index.nodes[0].is_unused());
    assert!(index.tokens.is_empty(), "levels are left");
}

/// Every filter of up to four levels, all in one tree, against every topic of up to four levels.
// covers: [MQTT311-3.3.2-3] [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT311-4.7.2-1]
#[test]
fn mqtt5_3_3_2_3_a_small_world_of_filters_and_topics_matches_as_the_standard_says() {
    let mut filters = texts(&["", "a", "b", "+", "$"], 4);
    let with_hash: Vec<String> = texts(&["", "a", "+", "$"], 3).iter().map(|start| format!("{start}/#")).collect();
    filters.extend(with_hash);
    filters.push("#".into());
    filters.retain(|text| !text.is_empty());
    let mut index = SubscriptionIndex::default();
    let mut places = Vec::new();
    for (number, text) in (0..).zip(&filters) {
        let (place, old) = index.insert(filter(text), subscriber(number, number));
        assert!(old.is_none());
        places.push(place);
    }
    assert_eq!(index.len(), filters.len());
    let mut matcher = Matcher::new(3);
    for topic in texts(&["", "a", "b", "c", "$"], 4).iter().filter(|topic| !topic.is_empty()) {
        let expected: Vec<(u32, u32)> =
            (0..).zip(&filters).filter(|(_, text)| matches(text, topic)).map(|(number, _)| (number, number)).collect();
        assert_eq!(recipients(&index.matches(topic, &mut matcher)), expected, "topic {topic:?}");
    }
    for ((number, text), place) in (0..).zip(&filters).zip(&places) {
        let (described, _) = index.describe(place, session(number)).expect("a subscription");
        assert_eq!(described, *text);
        assert_eq!(index.find(filter(text), session(number)).map(|(found, _)| found), Some(*place));
        assert!(index.find(filter(text), session(number + 1)).is_none());
        assert!(index.remove(place, session(number)).is_some());
        assert!(index.find(filter(text), session(number)).is_none());
    }
    expect_empty(&index);
}

/// No recursion, no limit but memory. [MQTT-4.7.3-3]
#[test]
fn filters_of_65535_levels_match_and_leave_nothing() {
    let mut index = SubscriptionIndex::default();
    let deep = "/".repeat(65_534);
    let plus = "+/".repeat(32_766) + "+";
    let (first, _) = index.insert(filter(&deep), subscriber(1, 1));
    let (second, _) = index.insert(filter(&plus), subscriber(2, 2));
    assert_eq!(recipients(&index.matches(&deep, &mut Matcher::new(3))), [(1, 1)]);
    assert_eq!(recipients(&index.matches(&"/".repeat(32_766), &mut Matcher::new(3))), [(2, 2)]);
    index.remove(&first, session(1));
    index.remove(&second, session(2));
    expect_empty(&index);
}

/// What a random test does to the index.
#[derive(Clone, Debug)]
enum Step {
    Insert { filter: String, session: u32, identifier: u32 },
    Remove { filter: String, session: u32 },
    Connect { filter: String, session: u32, connected: bool },
    Match { topic: String },
}

fn any_filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just("a"), Just("b"), Just(""), Just("+"), Just("$x"), Just("a b")];
    let share = prop_oneof![3 => Just(""), 1 => Just("$share/g/"), 1 => Just("$share/h/")];
    (share, prop::collection::vec(level, 1..4), any::<bool>())
        .prop_map(|(share, levels, hash)| format!("{share}{}{}", levels.join("/"), if hash { "/#" } else { "" }))
        .prop_filter("a valid filter", |text| TopicFilter::new(text).is_ok())
}

fn any_step() -> impl Strategy<Value = Step> {
    let session = 0..40_u32;
    prop_oneof![
        4 => (any_filter(), session.clone(), 0..5_u32)
            .prop_map(|(filter, session, identifier)| Step::Insert { filter, session, identifier }),
        3 => (any_filter(), session.clone()).prop_map(|(filter, session)| Step::Remove { filter, session }),
        1 => (any_filter(), session, any::<bool>())
            .prop_map(|(filter, session, connected)| Step::Connect { filter, session, connected }),
        2 => prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just(""), Just("$x"), Just("a b")], 1..4)
            .prop_map(|levels| Step::Match { topic: levels.join("/") }),
    ]
}

proptest! {
    // covers: [MQTT311-3.8.4-3] [MQTT-3.10.4-1] [MQTT311-3.10.4-1]
    #[test]
    fn mqtt5_3_8_4_3_random_changes_agree_with_a_list(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut index = SubscriptionIndex::default();
        // Filter as written and session to identifier and place.
        let mut list: BTreeMap<(String, u32), (u32, Place)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert { filter: text, session, identifier } => {
                    let (place, old) = index.insert(filter(&text), subscriber(session, identifier));
                    let before = list.insert((text, session), (identifier, place));
                    prop_assert_eq!(old.map(|old| old.identifier), before.map(|(identifier, _)| identifier));
                }
                Step::Remove { filter: text, session: number } => {
                    let found = index.find(filter(&text), session(number));
                    let known = list.remove(&(text, number));
                    prop_assert_eq!(found.as_ref().map(|(place, old)| (old.identifier, *place)), known);
                    if let Some((place, _)) = found {
                        prop_assert!(index.remove(&place, session(number)).is_some());
                        prop_assert!(index.remove(&place, session(number)).is_none());
                    }
                }
                Step::Connect { filter: text, session: number, connected } => {
                    if let Some((_, place)) = list.get(&(text, number)) {
                        index.mark(place, session(number), connected, false);
                    }
                }
                Step::Match { topic } => {
                    let set = index.matches(&topic, &mut Matcher::new(3));
                    let own = list.iter().filter(|((text, _), _)| !text.starts_with("$share/"));
                    let mut expected: Vec<(u32, u32)> = own
                        .filter(|((text, _), _)| matches(text, &topic))
                        .map(|((_, session), (identifier, _))| (*session, *identifier))
                        .collect();
                    expected.sort_unstable();
                    prop_assert_eq!(recipients(&set), expected);
                    let mut groups: Vec<&str> = list
                        .keys()
                        .filter(|(text, _)| text.strip_prefix("$share/").is_some_and(|rest| matches(&rest[2..], &topic)))
                        .map(|(text, _)| text.as_str())
                        .collect();
                    groups.dedup();
                    prop_assert_eq!(set.groups().len(), groups.len());
                }
            }
            prop_assert_eq!(index.len(), list.len());
            let shared = list.keys().filter(|(text, _)| text.starts_with("$share/")).count();
            prop_assert_eq!(index.shared_len(), shared);
        }
        for ((text, number), (identifier, place)) in list {
            let described = index.describe(&place, session(number)).map(|(text, old)| (text, old.identifier));
            prop_assert_eq!(described, Some((text, identifier)));
            index.remove(&place, session(number));
        }
        expect_empty(&index);
    }
}
