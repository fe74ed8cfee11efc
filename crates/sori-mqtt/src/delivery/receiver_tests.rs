//! The table against a slow and obvious model, and the rules one by one.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Operation {
    Qos1,
    PubAck,
    Qos2(u16),
    Release(u16),
    Resume,
    Restore(u16),
}

/// Each identifier with "was sent on this connection"; the order does not matter.
#[derive(Default)]
struct Model {
    unreleased: Vec<(u16, bool)>,
    qos1: usize,
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

fn check(operations: Vec<Operation>) {
    let mut table = IncomingMessages::new(3);
    let mut model = Model::default();
    for operation in operations {
        match operation {
            Operation::Qos1 => {
                table.publish_qos1();
                model.qos1 += 1;
            }
            Operation::PubAck => {
                table.puback();
                model.qos1 = model.qos1.saturating_sub(1);
            }
            Operation::Qos2(value) => {
                let known = model.unreleased.iter_mut().find(|(known, _)| *known == value);
                let expected = if known.is_some() { Incoming::Duplicate } else { Incoming::New };
                match known {
                    Some((_, current)) => *current = true,
                    None => model.unreleased.push((value, true)),
                }
                assert_eq!(table.publish_qos2(id(value)), expected);
            }
            Operation::Release(value) => {
                let before = model.unreleased.len();
                model.unreleased.retain(|(known, _)| *known != value);
                assert_eq!(table.release(id(value)), model.unreleased.len() < before);
            }
            Operation::Resume => {
                table.resume(3);
                model.unreleased.iter_mut().for_each(|(_, current)| *current = false);
                model.qos1 = 0;
            }
            Operation::Restore(value) => {
                table.restore(id(value));
                if !model.unreleased.iter().any(|(known, _)| *known == value) {
                    model.unreleased.push((value, false));
                }
            }
        }
        let in_flight = model.qos1 + model.unreleased.iter().filter(|(_, current)| *current).count();
        assert_eq!(table.in_flight(), in_flight);
        assert_eq!(table.is_exceeded(), in_flight > 3);
        assert_eq!(table.unreleased(), model.unreleased.len());
        let mut listed: Vec<u16> = table.iter().map(PacketId::value).collect();
        let mut expected: Vec<u16> = model.unreleased.iter().map(|(value, _)| *value).collect();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
        assert!((1..=9).all(|value| table.contains(id(value)) == expected.contains(&value)));
    }
}

proptest! {
    #[test]
    fn random_sequences_behave_like_the_model(operations in prop::collection::vec(prop_oneof![
        1 => Just(Operation::Qos1),
        1 => Just(Operation::PubAck),
        4 => (1..10u16).prop_map(Operation::Qos2),
        3 => (1..10u16).prop_map(Operation::Release),
        1 => Just(Operation::Resume),
        1 => (1..10u16).prop_map(Operation::Restore),
    ], 0..200)) {
        check(operations);
    }
}

#[test]
// covers: [MQTT-4.3.3-12] [MQTT311-4.3.3-2]
fn mqtt5_4_3_3_10_a_repeated_qos2_publish_is_no_second_delivery() {
    let mut table = IncomingMessages::new(10);
    assert_eq!(table.publish_qos2(id(7)), Incoming::New);
    assert_eq!(table.publish_qos2(id(7)), Incoming::Duplicate);
    table.resume(10);
    assert_eq!(table.publish_qos2(id(7)), Incoming::Duplicate);
    assert!(table.release(id(7)));
    assert!(!table.release(id(7)));
    assert_eq!(table.publish_qos2(id(7)), Incoming::New);
}

#[test]
fn mqtt5_4_3_3_9_after_a_refusal_the_identifier_is_free() {
    let mut table = IncomingMessages::new(10);
    assert_eq!(table.publish_qos2(id(7)), Incoming::New);
    table.forget(id(7));
    assert_eq!(table.publish_qos2(id(7)), Incoming::New);
}

#[test]
// covers: [MQTT-3.3.4-7] [MQTT-3.3.4-9]
fn what_an_earlier_connection_left_does_not_count_against_receive_maximum() {
    let mut table = IncomingMessages::new(1);
    table.publish_qos2(id(1));
    assert!(!table.is_exceeded());
    table.resume(1);
    table.publish_qos2(id(2));
    assert!(!table.is_exceeded());
    table.publish_qos2(id(1));
    assert!(table.is_exceeded());
}

#[test]
fn memory_is_given_back() {
    let mut table = IncomingMessages::new(u16::MAX);
    assert!(table.unreleased.is_none());
    for value in 1..=1_000 {
        table.publish_qos2(id(value));
    }
    for value in 1..=1_000 {
        assert!(table.release(id(value)));
    }
    assert_eq!(table.unreleased.as_ref().map(|unreleased| unreleased.ids.capacity()), Some(0));
    table.shrink_to_fit();
    assert!(table.unreleased.is_none());
}
