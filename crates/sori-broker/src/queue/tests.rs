//! The queue of a session against a list.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use hashbrown::HashMap;
use proptest::prelude::*;

use super::*;
use crate::delivery::Extra;
use crate::looks;
use crate::memory::MemoryUse;
use crate::message::MessageRef;
use crate::shared::GroupNumber;
use core::num::NonZeroU32;

fn delivery(memory: &MemoryUse, topic: &str, length: usize, qos: QoS, expires: Time) -> Delivery {
    let payload = vec![0; length];
    let message = MessageRef { qos, expires, ..MessageRef::plain(topic, &payload) };
    let message = message.to_shared(memory);
    // All of one topic come from a group.
    let group = topic.ends_with('3').then_some(GroupNumber(NonZeroU32::MIN));
    Delivery { message, key: 0, extra: Extra::new(&[], group), order: Order::default(), qos, retain: false }
}

#[derive(Clone, Debug)]
enum Step {
    Push {
        topic: u8,
        length: usize,
        qos: u8,
        expires: Option<u64>,
    },
    Pop,
    PopQos0,
    /// After so many milliseconds.
    Expire(u64),
    /// The same, in one go.
    ExpireSome(u64),
    ExpireFirst(u64),
    /// And put in a new one.
    TakeLast {
        topic: u8,
        qos: u8,
    },
    Spill {
        keep: usize,
        max: usize,
    },
    Fetch {
        count: usize,
    },
    DropOldest,
    Remove(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
            6 => (0..4_u8, 0..30_usize, 0..3_u8, prop::option::of(0..50_u64))
                .prop_map(|(topic, length, qos, expires)| Step::Push { topic, length, qos, expires }),
            3 => Just(Step::Pop),
            1 => Just(Step::PopQos0),
            1 => (0..20_u64).prop_map(Step::Expire),
            2 => (0..20_u64).prop_map(Step::ExpireSome),
            1 => (0..20_u64).prop_map(Step::ExpireFirst),
            2 => (0..4_u8, 0..3_u8).prop_map(|(topic, qos)| Step::TakeLast { topic, qos }),
    1 => (0..4_usize, prop_oneof![0..4_usize, Just(usize::MAX)]).prop_map(|(keep, max)| Step::Spill { keep, max }),
            1 => (1..6_usize).prop_map(|count| Step::Fetch { count }),
            1 => Just(Step::DropOldest),
            1 => any::<usize>().prop_map(Step::Remove),
        ]
}

/// What a delivery is known by here.
type Known = (u32, u8, usize, QoS, Time);

fn known(delivery: &Delivery) -> Known {
    let view = delivery.message.view();
    let topic = view.topic.as_bytes().last().copied().unwrap_or(0) - b'0';
    (delivery.order.0, topic, view.payload.len(), delivery.qos, view.expires)
}

/// Takes out of the list what `unwanted` names.
fn partition(list: &mut Vec<Known>, unwanted: impl FnMut(&Known) -> bool) -> Vec<Known> {
    let (taken, kept) = list.drain(..).partition(unwanted);
    *list = kept;
    taken
}

proptest! {
    // covers: [MQTT-4.6.0-5] [MQTT311-4.6.0-6] [MQTT-3.3.2-5]
    #[test]
    fn mqtt5_4_6_0_5_random_steps_agree_with_a_list(steps in prop::collection::vec(any_step(), 1..120)) {
        let memory = MemoryUse::default();
        let mut queue = Queue { last_order: Order(u32::MAX - 20), ..Queue::default() };
        let mut list: Vec<Known> = Vec::new();
        let (mut last, mut now) = (u32::MAX - 20, Time(0));
        let mut store: HashMap<u64, Message> = HashMap::new();
        for step in steps {
            match step {
                Step::Push { topic, length, qos, expires } => {
                    let qos = QoS::from_u8(qos).unwrap_or_default();
                    let expires = expires.map_or(Time::NEVER, |millis| now.plus_millis(millis));
                    last = last.wrapping_add(1);
                    let pushed = queue.push(delivery(&memory, &format!("t/{topic}"), length, qos, expires));
                    prop_assert_eq!(pushed.order.0, last);
                    list.push((last, topic, length, qos, expires));
                }
                Step::Pop => {
                    let first = if list.is_empty() { None } else { Some(list.remove(0)) };
                    if let Some(Err(_)) = queue.front() {
                        fetch(&mut queue, &store, &memory, 1);
                    }
                    prop_assert_eq!(queue.front().and_then(Result::ok).map(known), first);
                    prop_assert_eq!(queue.pop().as_ref().map(known), first);
                }
                Step::PopQos0 => {
                    let at = list.iter().position(|(_, _, _, qos, _)| *qos == QoS::AtMostOnce);
                    prop_assert_eq!(queue.pop_qos0().as_ref().map(known), at.map(|at| list.remove(at)));
                }
                Step::Spill { keep, max } => {
                    let place = |message: &Message, place: u64| {
                        if message.place() == 0 && !place.is_multiple_of(5) {
                            message.set_place(place);
                        }
                    };
                    for delivery in queue.front.iter().chain(queue.back.iter()) {
                        place(&delivery.message, u64::from(delivery.order.0) + 1);
                        let copy = delivery.message.numbered(0);
                        copy.set_place(delivery.message.place());
                        store.insert(delivery.message.place(), copy);
                    }
                    let before = queue.stored_len();
                    let spilled = queue.spill(keep, max, &memory);
                    prop_assert!(spilled <= max && queue.stored_len() == before + spilled);
                }
                Step::Fetch { count } => {
                    fetch(&mut queue, &store, &memory, count);
                }
                Step::DropOldest => {
                    let first = if list.is_empty() { None } else { Some(list.remove(0)) };
                    prop_assert_eq!(queue.drop_oldest(&memory).is_some(), first.is_some());
                }
                // What is asked for by its expiry, topic or length is in memory.
                Step::Expire(_) | Step::ExpireFirst(_) | Step::TakeLast { .. } | Step::Remove(_)
                    if queue.stored_len() > 0 => {}
                Step::Expire(millis) => {
                    now = now.plus_millis(millis);
                    let mut expired = Vec::new();
                    while queue.may_have_expired(now) {
                        expired.extend(queue.expire(now).iter().map(known));
                    }
                    expired.sort_by_key(|(order, ..)| order.wrapping_sub(u32::MAX - 20));
                    prop_assert_eq!(expired, partition(&mut list, |(_, _, _, _, expires)| *expires <= now));
                }
                Step::ExpireSome(millis) => {
                    now = now.plus_millis(millis);
                    let before = list.len();
                    for expired in queue.expire(now).iter().map(known) {
                        prop_assert!(expired.4 <= now);
                        list.retain(|one| *one != expired);
                    }
                    prop_assert_eq!(queue.len(), list.len());
                    prop_assert!(before - list.len() <= LOOKS_IN_A_GO);
                }
                // What stands at the beginning of each of the two lines has gone.
                Step::ExpireFirst(millis) => {
                    now = now.plus_millis(millis);
                    let mut goes = [true, true];
                    let expected = partition(&mut list, |(_, _, _, qos, expires)| {
                        let goes = &mut goes[usize::from(*qos == QoS::AtMostOnce)];
                        *goes &= *expires <= now;
                        *goes
                    });
                    let mut expired = Vec::new();
                    loop {
                        let some = queue.expire_first(now);
                        prop_assert!(some.len() <= EXPIRED_IN_A_GO);
                        if some.is_empty() {
                            break;
                        }
                        expired.extend(some.iter().map(known));
                    }
                    expired.sort_by_key(|(order, ..)| order.wrapping_sub(u32::MAX - 20));
                    prop_assert_eq!(expired, expected);
                }
                Step::TakeLast { topic, qos } => {
                    let at = list.iter().rposition(|(_, other, ..)| *other == topic);
                    let taken = queue.take_last_of_topic(&format!("t/{topic}"));
                    prop_assert_eq!(taken.as_ref().map(known), at.map(|at| list.remove(at)));
                    let qos = QoS::from_u8(qos).unwrap_or_default();
                    last = last.wrapping_add(1);
                    queue.push(delivery(&memory, &format!("t/{topic}"), 1, qos, Time::NEVER));
                    list.push((last, topic, 1, qos, Time::NEVER));
                }
                Step::Remove(at) => if !list.is_empty() {
                    let expected = list.remove(at % list.len());
                    let order = Order(expected.0);
                    prop_assert_eq!(queue.remove(order).as_ref().map(known), Some(expected));
                    prop_assert!(queue.remove(order).is_none());
                },
            }
            prop_assert_eq!((queue.len(), queue.is_empty(), queue.last_order().0), (list.len(), list.is_empty(), last));
            let from_groups = list.iter().filter(|(_, topic, ..)| *topic == 3).map(|(order, ..)| Order(*order));
            let mut found = Vec::new();
            let mut next = queue.first_from_group();
            while let Some(delivery) = next {
                found.push(delivery.order);
                next = queue.next_from_group(delivery.order.next());
            }
            prop_assert_eq!(found, from_groups.collect::<Vec<_>>());
            prop_assert_eq!(queue.bytes(), list.iter().map(|(_, _, length, ..)| *length as u64).sum::<u64>());
            prop_assert_eq!(queue.holds_qos0(), list.iter().any(|(_, _, _, qos, _)| *qos == QoS::AtMostOnce));
        }
        for known_first in list {
            fetch(&mut queue, &store, &memory, 3);
            prop_assert_eq!(queue.pop().as_ref().map(known), Some(known_first));
        }
        drop(store);
        prop_assert_eq!((queue.bytes(), queue.holds_qos0(), memory.bytes()), (0, false, 0));
    }
}

/// Fetches as a shard does.
fn fetch(queue: &mut Queue, store: &HashMap<u64, Message>, memory: &MemoryUse, count: usize) {
    let wanted: Vec<(Order, u64)> = queue.to_fetch(count, 1_000_000).collect();
    for (order, place) in wanted {
        let message = store.get(&place).map(|message| message.numbered(0));
        assert!(queue.fetched(order, message, memory).is_none(), "everything that was stored is found");
    }
}

/// A message that is lost is told, and what comes after it goes on.
#[test]
fn a_message_that_cannot_be_read_makes_way() {
    let memory = MemoryUse::default();
    let mut queue = Queue::default();
    for place in 1..=3 {
        let delivery = delivery(&memory, "t/0", 1, QoS::AtLeastOnce, Time::NEVER);
        delivery.message.set_place(place);
        queue.push(Delivery { key: place, ..delivery });
    }
    queue.spill(0, usize::MAX, &memory);
    assert_eq!((queue.stored_len(), queue.len()), (3, 3));
    assert!(matches!(queue.front(), Some(Err(Order(1)))));
    assert!(queue.fetched(Order(2), None, &memory).is_none(), "it is not its turn");
    let is_stored = |gone: Option<Gone>, key: u64| matches!(gone, Some(Gone::Stored(stored)) if stored.key == key);
    assert!(is_stored(queue.fetched(Order(1), None, &memory), 1));
    assert!(is_stored(queue.drop_oldest(&memory), 2));
    assert!(is_stored(queue.drop_oldest(&memory), 3));
    assert_eq!((queue.stored_len(), memory.bytes()), (0, 0));
}

const MANY: u64 = 5_000;

/// A long queue in which the delivery of each number expires at the moment that `expires` says.
fn long_queue(memory: &MemoryUse, expires: impl Fn(u64) -> Time) -> Queue {
    let mut queue = Queue::default();
    for number in 0..MANY {
        queue.push(delivery(memory, &format!("t/{number}"), 1, QoS::AtLeastOnce, expires(number)));
    }
    queue
}

/// While one message after the other expires, the queue is not looked through for each of them.
#[test]
fn a_long_queue_is_not_looked_through_for_each_message_that_expires() {
    let memory = MemoryUse::default();
    let mut queue = long_queue(&memory, |number| if number % 5 == 4 { Time(number / 5 + 1) } else { Time::NEVER });
    let mut expired = 0;
    let looks = looks::during(|| {
        for now in 0..MANY / 5 {
            expired += queue.expire(Time(now)).len();
        }
    });
    assert!(looks < 150_000, "{looks} looks at {MANY} deliveries for {expired}");
    while queue.may_have_expired(Time(2 * MANY)) {
        expired += queue.expire(Time(2 * MANY)).len();
    }
    assert_eq!((expired, queue.len()), (1_000, 4_000));
}

/// Others do not wait until a long queue has been looked through.
#[test]
fn a_long_queue_is_looked_through_in_slices() {
    let memory = MemoryUse::default();
    let mut queue = long_queue(&memory, |number| if number % 2 == 1 { Time(1) } else { Time::NEVER });
    while queue.may_have_expired(Time(1)) {
        let before = queue.len();
        let looks = looks::during(|| assert_eq!(queue.expire(Time(1)).len(), LOOKS_IN_A_GO / 2));
        assert_eq!((looks, queue.len()), (LOOKS_IN_A_GO, before - LOOKS_IN_A_GO / 2));
    }
    assert_eq!(queue.len() as u64, MANY / 2);
}

/// What expires in the order in which it waits is found at the beginning.
#[test]
fn what_expires_first_is_found_at_the_beginning() {
    let memory = MemoryUse::default();
    let mut queue = long_queue(&memory, |number| Time(number + 1));
    let looks = looks::during(|| {
        for now in 1..=MANY {
            assert_eq!(queue.expire_first(Time(now)).len(), 1);
        }
    });
    assert_eq!((looks, queue.len(), queue.bytes()), (MANY as usize, 0, 0));
}

/// The last message of a topic is found without looking through the others.
#[test]
fn the_last_message_of_a_topic_is_found_without_looking_at_all() {
    let memory = MemoryUse::default();
    let mut queue = long_queue(&memory, |_| Time::NEVER);
    let looks = looks::during(|| {
        for number in 0..MANY {
            let topic = format!("t/{}", number * 7 % MANY);
            let taken = queue.take_last_of_topic(&topic).map(|old| old.message.topic() == topic);
            assert_eq!(taken, Some(true));
            queue.push(delivery(&memory, &topic, 1, QoS::from_u8((number % 2) as u8).unwrap_or_default(), Time::NEVER));
        }
    });
    assert!(looks < 10 * MANY as usize, "{looks} looks for {MANY} messages");
}
