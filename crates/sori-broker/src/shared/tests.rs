//! Whose turn it is in a group: fair among the connected, then among the others, never whom a message was taken from.

use std::collections::BTreeMap;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sori_mqtt::{QoS, TopicFilter};

use super::*;
use crate::ids::ShardId;
use crate::index::SubscriptionIndex;
use crate::looks;
use crate::subscription::Options;

fn some_node() -> NodeId {
    let filter = TopicFilter::new("t").expect("a filter");
    SubscriptionIndex::default().insert(filter, member(0)).0.node
}

fn session(slot: u32) -> SessionRef {
    SessionRef { shard: ShardId(0), slot, generation: 0 }
}

fn member(slot: u32) -> Subscriber {
    Subscriber { since: 0, session: session(slot), identifier: 0, options: Options::new(QoS::AtMostOnce, false, false) }
}

fn group(members: u32) -> Group {
    let mut group = Group::new("g", GroupNumber::of("g", "t"), some_node());
    for slot in 0..members {
        assert!(group.insert(member(slot)).is_none());
    }
    group
}

/// How often each member is chosen.
fn chosen(group: &Group, times: usize, except: Option<SessionRef>) -> BTreeMap<u32, usize> {
    let found = group.to_match();
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        if let Some(member) = found.choose(except) {
            *counts.entry(member.session.slot).or_default() += 1;
        }
    }
    counts
}

#[test]
fn connected_members_are_chosen_in_turn() {
    let group = group(3);
    assert_eq!(chosen(&group, 300, None), [(0, 100), (1, 100), (2, 100)].into());
}

/// All match sets of a group share whose turn it is, also those that were made before the group changed.
#[test]
fn match_sets_of_one_group_share_the_turn() {
    let group = group(2);
    let (first, second) = (group.to_match(), group.to_match());
    let mut slots = Vec::new();
    for _ in 0..4 {
        slots.extend([first.choose(None), second.choose(None)].into_iter().flatten().map(|m| m.session.slot));
    }
    assert_eq!(slots, [0, 1, 0, 1, 0, 1, 0, 1]);
}

/// A topic more costs no copy of the members, and no change is missed.
#[test]
fn match_sets_share_the_members_until_the_group_changes() {
    let mut group = group(3);
    let before = group.to_match();
    assert!(Arc::ptr_eq(&before.members, &group.to_match().members));
    let changes: [fn(&mut Group); 4] = [
        |group| _ = group.insert(member(7)),
        |group| _ = group.remove(session(0)),
        |group| group.set_connected(session(1), false),
        |group| {
            let member = group.find_mut(session(2)).expect("a member");
            member.options = Options::new(QoS::AtLeastOnce, false, false).with_durable(true);
        },
    ];
    let seen: [(Vec<u32>, bool); 4] = changes.map(|change| {
        change(&mut group);
        let found = group.to_match();
        let connected = &found.members()[..found.members.connected];
        (connected.iter().map(|member| member.session.slot).collect(), found.has_durable())
    });
    let slots: [&[u32]; 4] = [&[0, 1, 2, 7], &[7, 1, 2], &[7, 2], &[7, 2]];
    assert_eq!(seen, [0, 1, 2, 3].map(|at| (slots[at].to_vec(), at == 3)));
    assert_eq!(before.len(), 3, "what was found before stays");
}

#[test]
fn offline_members_are_chosen_only_when_nobody_is_connected() {
    let mut group = group(4);
    group.set_connected(session(1), false);
    group.set_connected(session(3), false);
    // Twice is once.
    group.set_connected(session(3), false);
    assert_eq!(chosen(&group, 100, None), [(0, 50), (2, 50)].into());
    group.set_connected(session(1), true);
    group.set_connected(session(1), true);
    group.set_connected(session(0), false);
    group.set_connected(session(2), false);
    assert_eq!(chosen(&group, 100, None), [(1, 100)].into());
    assert!(group.to_match().has_connected_member());
    group.set_connected(session(1), false);
    assert!(!group.to_match().has_connected_member());
    assert_eq!(chosen(&group, 100, None), [(0, 25), (1, 25), (2, 25), (3, 25)].into());
    // Nobody of that name.
    group.set_connected(session(9), true);
    assert_eq!(group.to_match().len(), 4);
}

#[test]
fn whom_a_message_was_taken_from_is_not_chosen() {
    let mut group = group(3);
    let counts = chosen(&group, 300, Some(session(1)));
    assert!(!counts.contains_key(&1) && counts.values().sum::<usize>() == 300, "{counts:?}");
    group.remove(session(0));
    group.remove(session(2));
    assert_eq!(chosen(&group, 10, Some(session(1))), BTreeMap::new());
    assert_eq!(chosen(&group, 10, None), [(1, 10)].into());
    group.remove(session(1));
    assert_eq!(chosen(&group, 10, None), BTreeMap::new());
}

#[test]
fn a_member_that_subscribes_again_is_still_one_member() {
    let mut group = group(2);
    group.set_connected(session(1), false);
    let again = Subscriber { identifier: 7, ..member(1) };
    assert_eq!(group.insert(again).map(|old| old.identifier), Some(0));
    assert_eq!(group.to_match().len(), 2);
    assert_eq!(chosen(&group, 10, None), [(0, 5), (1, 5)].into());
    assert_eq!(group.remove(session(1)).map(|old| old.identifier), Some(7));
    assert!(group.remove(session(1)).is_none());
}

#[test]
fn a_group_s_number_is_fnv_1a_of_its_name_and_filter() {
    // Computed elsewhere.
    assert_eq!(GroupNumber::of("g", "a/+").0.get(), 0x6E0A_13D8);
}

#[test]
fn groups_whose_numbers_would_be_the_same_are_two() {
    assert_eq!(GroupNumber::of("1aa9", "t"), GroupNumber::of("25054", "t"));
    let mut groups = Groups::default();
    let numbers = ["1aa9", "25054", "1aa9"].map(|name| groups.named_or_new(name, "t", some_node()).turn.group);
    assert_ne!(numbers[0], numbers[1]);
    assert_eq!(numbers[0], numbers[2]);
    groups.forget(numbers[0]);
    assert!(groups.named("1aa9").is_none());
    assert_eq!(groups.named("25054").map(|group| group.turn.group), Some(numbers[1]));
}

/// Texts of which it is the same for the hash which one of each pair stands in a name, computed elsewhere.
const ALIKE: [[&str; 2]; 8] = [
    ["1d18d", "d7038"],
    ["4a0f5", "bec20"],
    ["198eb", "52938"],
    ["19f8a", "89aa0"],
    ["0789b", "489c8"],
    ["289db", "67828"],
    ["19f8a", "89aa0"],
    ["0789b", "489c8"],
];

/// Names that all want the same number.
fn names_alike() -> Vec<String> {
    let mut names = Vec::from([String::new()]);
    for pair in ALIKE {
        names = names.iter().flat_map(|name| pair.map(|text| format!("{name}{text}"))).collect();
    }
    assert!(names.iter().all(|name| GroupNumber::of(name, "t") == GroupNumber::of(&names[0], "t")));
    names
}

#[test]
fn names_that_a_client_has_made_alike_cost_no_more_than_others() {
    let alike = names_alike();
    let others: Vec<String> = (0..alike.len()).map(|number| format!("g{number}")).collect();
    let [alike, others] = [alike, others].map(|names| {
        let mut groups = Groups::default();
        let looks = looks::during(|| {
            for name in &names {
                groups.named_or_new(name, "t", some_node());
            }
        });
        assert_eq!(groups.iter().count(), names.len());
        looks
    });
    assert!(alike <= others, "{alike} looks, and {others} for the same number of other names");
}
