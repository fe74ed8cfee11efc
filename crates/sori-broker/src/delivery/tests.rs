//! The queue of a session against a list.

use alloc::format;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::*;
use crate::ids::SessionRef;
use crate::memory::MemoryUse;
use crate::message::MessageRef;

fn delivery(memory: &MemoryUse, topic: &str, length: usize, qos: QoS, expires: Time) -> Delivery {
    let payload = alloc::vec![0; length];
    let message = MessageRef {
        topic,
        payload: &payload,
        properties: &[],
        qos,
        retain: false,
        expires,
        publisher: SessionRef::NOBODY,
        retained_version: 0,
    };
    let message = message.to_shared(memory);
    Delivery { number: 0, message, identifiers: Identifiers::None, group: None, qos, retain: false }
}

#[test]
fn identifiers_are_kept_in_order_whatever_their_number() {
    for identifiers in [&[][..], &[7], &[1, 2], &[3, 3, 268_435_455]] {
        assert_eq!(Identifiers::from_slice(identifiers).as_slice(), identifiers);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push { topic: u8, length: usize, qos: u8, expires: Option<u64> },
    Pop,
    Expire(u64),
    TakeLast { topic: u8 },
    TakeLonger { than: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, 0..30_usize, 0..3_u8, prop::option::of(0..50_u64))
            .prop_map(|(topic, length, qos, expires)| Step::Push { topic, length, qos, expires }),
        3 => Just(Step::Pop),
        1 => (0..50_u64).prop_map(Step::Expire),
        1 => (0..4_u8).prop_map(|topic| Step::TakeLast { topic }),
        1 => (0..30_usize).prop_map(|than| Step::TakeLonger { than }),
    ]
}

/// What a delivery is known by here.
type Known = (u64, u8, usize, QoS, Time);

fn known(delivery: &Delivery) -> Known {
    let view = delivery.message.view();
    let topic = view.topic.as_bytes().last().copied().unwrap_or(0) - b'0';
    (delivery.number, topic, view.payload.len(), delivery.qos, view.expires)
}

/// Takes out of the list what `unwanted` names.
fn partition(list: &mut Vec<Known>, unwanted: impl Fn(&Known) -> bool) -> Vec<Known> {
    let (taken, kept) = list.drain(..).partition(unwanted);
    *list = kept;
    taken
}

proptest! {
    // covers: [MQTT-4.6.0-5] [MQTT311-4.6.0-6] [MQTT-3.3.2-5]
    #[test]
    fn mqtt5_4_6_0_5_random_steps_agree_with_a_list(steps in prop::collection::vec(any_step(), 1..120)) {
        let memory = MemoryUse::default();
        let mut queue = Queue::after(100);
        let mut list: Vec<Known> = Vec::new();
        let mut last = 100;
        for step in steps {
            match step {
                Step::Push { topic, length, qos, expires } => {
                    let qos = QoS::from_u8(qos).unwrap_or_default();
                    let expires = expires.map_or(Time::NEVER, Time);
                    last += 1;
                    let pushed = queue.push(delivery(&memory, &format!("t/{topic}"), length, qos, expires));
                    prop_assert_eq!(pushed.number, last);
                    list.push((last, topic, length, qos, expires));
                }
                Step::Pop => {
                    let first = if list.is_empty() { None } else { Some(list.remove(0)) };
                    prop_assert_eq!(queue.front().map(known), first);
                    prop_assert_eq!(queue.pop().as_ref().map(known), first);
                }
                Step::Expire(now) => {
                    let expired: Vec<Known> = queue.expire(Time(now)).iter().map(known).collect();
                    prop_assert_eq!(expired, partition(&mut list, |(_, _, _, _, expires)| *expires <= Time(now)));
                }
                Step::TakeLast { topic } => {
                    let at = list.iter().rposition(|(_, other, ..)| *other == topic);
                    let taken = queue.take_last_of_topic(&format!("t/{topic}"));
                    prop_assert_eq!(taken.as_ref().map(known), at.map(|at| list.remove(at)));
                }
                Step::TakeLonger { than } => {
                    let taken: Vec<Known> = queue.take(|d| d.payload_length() > than as u64).iter().map(known).collect();
                    prop_assert_eq!(taken, partition(&mut list, |(_, _, length, ..)| *length > than));
                }
            }
            prop_assert_eq!((queue.len(), queue.is_empty(), queue.last_number()), (list.len(), list.is_empty(), last));
            prop_assert_eq!(queue.bytes(), list.iter().map(|(_, _, length, ..)| *length as u64).sum::<u64>());
            prop_assert_eq!(queue.holds_qos0(), list.iter().any(|(_, _, _, qos, _)| *qos == QoS::AtMostOnce));
        }
        while queue.pop().is_some() {}
        prop_assert_eq!((queue.bytes(), queue.holds_qos0(), memory.bytes()), (0, false, 0));
    }
}

/// A number belongs to one delivery for ever; one that comes back with its number does not take another.
#[test]
fn numbers_go_on_and_are_not_used_twice() {
    let memory = MemoryUse::default();
    let mut queue = Queue::default();
    let make = || delivery(&memory, "t/0", 1, QoS::AtLeastOnce, Time::NEVER);
    assert_eq!(queue.push(make()).number, 1);
    assert_eq!(queue.next_number(), 2);
    assert_eq!(queue.push(make()).number, 3);
    assert_eq!(queue.put(Delivery { number: 2, ..make() }).number, 2);
    assert_eq!(queue.push(make()).number, 4);
    assert_eq!(queue.last_number(), 4);
}
