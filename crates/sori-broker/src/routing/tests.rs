//! What a member of a group leaves behind when its connection ends.

use std::sync::Arc;
use std::vec::Vec;

use super::*;
use crate::access::OpenAccess;
use crate::event::{Cause, Effect};
use crate::ids::ConnectionId;
use crate::looks;
use crate::settings::{ListenerSettings, Settings};
use crate::space::PlainSpace;
use crate::time::Time;

const NOW: Time = Time(1000);

#[allow(clippy::arc_with_non_send_sync, reason = "a shard takes an `Arc`, also where there is one thread")]
fn shard() -> Shard {
    let (settings, space) = (Arc::new(Settings::default()), Arc::new(PlainSpace::default()));
    Shard::new(ShardId(0), 1, settings, space, Arc::new(OpenAccess), 7, NOW)
}

fn say(shard: &mut Shard, id: ConnectionId, packet: &[u8]) {
    shard.receive(NOW, id, packet);
    settle(shard);
}

fn settle(shard: &mut Shard) {
    while let Some(id) = shard.next_flush() {
        let length = shard.output_len(id);
        shard.sent(NOW, id, length);
    }
    shard.mail_posted();
    while let Some(effect) = shard.next_effect() {
        if let Effect::Drain { then, .. } | Effect::TakeMail { then } = effect {
            shard.drained(NOW, then);
        }
    }
}

/// An MQTT 3.1.1 client whose session is kept.
fn connect(shard: &mut Shard, client_id: u8) -> ConnectionId {
    let id = shard.open(NOW, Arc::new(ListenerSettings::default()), "127.0.0.1:1");
    say(shard, id, &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 0, 0, 1, client_id]);
    id
}

fn subscribe(shard: &mut Shard, id: ConnectionId, filter: &str) {
    let beginning = [0x82, filter.len() as u8 + 5, 0, 1, 0, filter.len() as u8];
    say(shard, id, &[&beginning, filter.as_bytes(), &[1]].concat());
}

/// Publishes at QoS 1 to a topic of one character.
fn publish(shard: &mut Shard, id: ConnectionId, topic: u8, count: u8) {
    let packets: Vec<[u8; 7]> = (1..=count).map(|number| [0x32, 5, 0, 1, topic, 0, number]).collect();
    say(shard, id, packets.as_flattened());
}

fn leave(shard: &mut Shard, id: ConnectionId) {
    shard.closed(NOW, id, Cause::Network("gone".into()));
    settle(shard);
}

fn queued(shard: &Shard) -> Vec<usize> {
    shard.sessions.iter().map(|(_, _, session)| session.queue.len()).filter(|len| *len > 0).collect()
}

/// A member of a group that leaves does not look through what waits for it, when nothing of that is the group's.
#[test]
fn who_leaves_with_nothing_of_a_group_looks_through_nothing() {
    let mut shard = shard();
    let (member, publisher) = (connect(&mut shard, b'm'), connect(&mut shard, b'p'));
    subscribe(&mut shard, member, "t");
    subscribe(&mut shard, member, "$share/g/s");
    leave(&mut shard, member);
    publish(&mut shard, publisher, b't', 200);
    let member = connect(&mut shard, b'm');
    assert_eq!(queued(&shard), [180]);
    let looks = looks::during(|| leave(&mut shard, member));
    assert_eq!((looks, queued(&shard)), (0, [180].into()));
}

/// What is the group's stays where it is until somebody else is there to take it.
#[test]
fn what_is_of_a_group_stays_until_another_member_is_connected() {
    let mut shard = shard();
    let (member, publisher) = (connect(&mut shard, b'm'), connect(&mut shard, b'p'));
    subscribe(&mut shard, member, "t");
    subscribe(&mut shard, member, "$share/g/s");
    leave(&mut shard, member);
    for _ in 0..40 {
        publish(&mut shard, publisher, b's', 2);
        publish(&mut shard, publisher, b't', 1);
    }
    let member = connect(&mut shard, b'm');
    leave(&mut shard, member);
    assert_eq!(queued(&shard), [100], "20 are in flight");
    let other = connect(&mut shard, b'o');
    subscribe(&mut shard, other, "$share/g/s");
    let member = connect(&mut shard, b'm');
    leave(&mut shard, member);
    // Of 20 in flight, 14 are the group's; so are 66 of 100 that wait. The other one has 20 of these 80 in flight.
    assert_eq!(queued(&shard), [34, 60]);
}
