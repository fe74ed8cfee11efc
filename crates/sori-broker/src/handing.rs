//! What a member of a group that is lost has not acknowledged goes to the other members: what waits, and what was sent at QoS 1. What was
//! sent at QoS 2 stays with its session (section 4.8.2).
//!
//! Where it is very much, some of it goes in each turn; but a session that is in the records hands back at once what it has when it ends: they
//! say in one piece that it has ended and who has got its messages.

use crate::delivery::{Delivery, Kept, Order};
use crate::ids::{SessionRef, Slots};
use crate::routing::WhenFull;
use crate::session::{Session, SessionKey};
use crate::shard::Shard;
use crate::shared::GroupNumber;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::{self, Vec};
use sori_mqtt::{PacketId, QoS, Resend};

/// A session that hands back what it has from groups.
#[derive(Debug)]
pub(crate) struct Handing {
    who: Who,
    me: SessionRef,
    /// What is in flight at QoS 1 comes first,
    in_flight: vec::IntoIter<PacketId>,
    /// then what waits, from here on.
    next: Option<Order>,
    groups: Groups,
}

#[derive(Debug)]
enum Who {
    /// It waits for its client, and keeps its messages unless another member is connected.
    Away(SessionKey),
    Ended(Box<Session>),
}

/// Groups of which a session that leaves has something.
#[derive(Debug, Default)]
struct Groups {
    /// It is no member of these any more.
    left: BTreeSet<GroupNumber>,
    /// Nobody else could take it.
    lone: BTreeSet<GroupNumber>,
}

/// Where a session has a message.
enum At {
    InFlight(PacketId),
    Queued(Order),
}

impl Shard {
    /// The session has lost its connection, and its groups know. [MQTT-4.8.2-4] [MQTT-4.8.2-5]
    pub(crate) fn hand_back(&mut self, key: SessionKey) {
        let me = self.session_ref(key);
        let Some(session) = self.session(key) else { return };
        let Some((in_flight, next)) = from_groups(session) else { return };
        // Should it stand there already, because it was back for a moment only, one of the two finds nothing left.
        let who = Who::Away(key);
        self.handings.push_back(Handing { who, me, in_flight, next, groups: Groups::default() });
        self.hand_some();
    }

    /// The same for one that has ended, of which nothing remains then.
    pub(crate) fn hand_on(&mut self, me: SessionRef, mut session: Session) {
        let Some((in_flight, next)) = from_groups(&mut session) else { return self.bury(me, session) };
        let is_recorded = session.is_recorded;
        let who = Who::Ended(Box::new(session));
        let handing = Handing { who, me, in_flight, next, groups: Groups::default() };
        if is_recorded {
            return self.finish_handing(handing);
        }
        self.handings.push_back(handing);
        self.hand_some();
    }

    /// Hand back some messages.
    pub(crate) fn hand_some(&mut self) {
        while self.budget.handed > 0
            && let Some(mut handing) = self.handings.pop_front()
        {
            if self.go_on_handing(&mut handing) {
                self.end_handing(handing);
            } else {
                self.handings.push_front(handing);
            }
        }
    }

    /// The broker stops: everything is handed back.
    pub(crate) fn finish_all_handing(&mut self) {
        while let Some(handing) = self.handings.pop_front() {
            self.finish_handing(handing);
        }
    }

    fn finish_handing(&mut self, mut handing: Handing) {
        let left = core::mem::replace(&mut self.budget.handed, usize::MAX);
        self.go_on_handing(&mut handing);
        self.end_handing(handing);
        self.budget.handed = left;
    }

    fn end_handing(&mut self, handing: Handing) {
        if let Who::Ended(session) = handing.who {
            self.bury(handing.me, *session);
        }
    }

    /// Gives whether that was all.
    fn go_on_handing(&mut self, handing: &mut Handing) -> bool {
        let Handing { who, me, in_flight, next, groups } = handing;
        let has_ended = matches!(who, Who::Ended(_));
        while self.budget.handed > 0 {
            let Some(session) = session_of(who, &mut self.sessions) else { return true };
            let is_kept = session.is_persistent();
            let Some((at, delivery)) = next_from_group(session, in_flight, next) else { return true };
            self.budget.handed -= 1;
            if !self.give_to_another(*me, is_kept, &delivery, has_ended, groups) {
                continue;
            }
            let Some(session) = session_of(who, &mut self.sessions) else { return true };
            match at {
                At::InFlight(packet_id) => {
                    if let Ok(kept) = session.outgoing.puback(packet_id) {
                        session.inflight_bytes -= kept.payload_length();
                        self.recorder.note_finished(*me, session, packet_id);
                    }
                }
                At::Queued(place) => {
                    session.queue.remove(place);
                    self.recorder.note_dropped(*me, session, &delivery);
                }
            }
        }
        false
    }

    /// Another member of its group gets what this session had; gives whether one takes it.
    fn give_to_another(
        &mut self,
        me: SessionRef,
        is_kept: bool,
        delivery: &Delivery,
        has_ended: bool,
        groups: &mut Groups,
    ) -> bool {
        let Some(group) = delivery.group().filter(|group| !groups.lone.contains(group)) else { return false };
        let message = delivery.message.view();
        if has_ended && groups.left.insert(group) {
            self.leave_group(me, message.topic, group);
        }
        // [MQTT-3.3.2-5]
        if message.is_expired(self.now) {
            return false;
        }
        let set = self.match_set(message.topic);
        let others = set.group(group);
        let Some(others) = others.filter(|others| has_ended || others.has_connected_member()) else {
            groups.lone.insert(group);
            return false;
        };
        // What no checkpoint has written down for this session may have gone from the store meanwhile: if it is
        // recorded for another one now, then with the message.
        let mut shared = (is_kept && delivery.key != 0).then(|| delivery.message.clone());
        let when_all_are_full = if has_ended { WhenFull::Drop } else { WhenFull::GiveBack };
        self.deliver_to_group(others, message, &mut shared, Some(me), when_all_are_full)
    }
}

/// What a session has from groups, if anything.
fn from_groups(session: &mut Session) -> Option<(vec::IntoIter<PacketId>, Option<Order>)> {
    let is_from_group =
        |kept: &Kept| matches!(kept, Kept::Message(d) if d.group().is_some() && d.qos == QoS::AtLeastOnce);
    let in_flight = session.outgoing.iter_mut().filter_map(|(id, kept)| is_from_group(kept).then_some(id));
    let in_flight: Vec<PacketId> = in_flight.collect();
    let next = session.queue.first_from_group().map(|delivery| delivery.order);
    (!in_flight.is_empty() || next.is_some()).then(|| (in_flight.into_iter(), next))
}

/// `None`: it has gone, or its client is back.
fn session_of<'a>(who: &'a mut Who, sessions: &'a mut Slots<Session>) -> Option<&'a mut Session> {
    match who {
        Who::Ended(session) => Some(session),
        Who::Away(key) => sessions.get_mut(key.slot, key.generation).filter(|session| session.connection.is_none()),
    }
}

fn next_from_group(
    session: &Session,
    in_flight: &mut vec::IntoIter<PacketId>,
    next: &mut Option<Order>,
) -> Option<(At, Delivery)> {
    for packet_id in in_flight.by_ref() {
        if let Some(Resend::Publish { message: Kept::Message(delivery), .. }) = session.outgoing.find(packet_id) {
            return Some((At::InFlight(packet_id), Delivery::clone(delivery)));
        }
    }
    let delivery = session.queue.next_from_group((*next)?)?;
    *next = Some(delivery.order.next());
    Some((At::Queued(delivery.order), delivery.clone()))
}
