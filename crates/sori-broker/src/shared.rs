//! Shared subscriptions: a group of sessions that divide the messages of one filter among them. MQTT 5.0 section 4.8.2.

use crate::ids::SessionRef;
use crate::subscription::Subscriber;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A number that no other living group has.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct GroupNumber(NonZeroU32);

impl GroupNumber {
    pub(crate) const FIRST: GroupNumber = GroupNumber(NonZeroU32::MIN);

    pub(crate) fn next(self) -> GroupNumber {
        GroupNumber(self.0.checked_add(1).unwrap_or(NonZeroU32::MIN))
    }
}

/// What the match sets of all shards know of one group: whose turn it is.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) group: GroupNumber,
    next: AtomicUsize,
}

/// One group below one filter.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Box<str>,
    pub(crate) turn: Arc<Turn>,
    /// Those that are connected stand first.
    members: Vec<Subscriber>,
    connected: usize,
}

impl Group {
    pub(crate) fn new(name: &str, number: GroupNumber) -> Group {
        let turn = Arc::new(Turn { group: number, next: AtomicUsize::new(0) });
        Group { name: Box::from(name), turn, members: Vec::new(), connected: 0 }
    }

    pub(crate) fn members(&self) -> &[Subscriber] {
        &self.members
    }

    pub(crate) fn to_match(&self) -> GroupMatch {
        GroupMatch { turn: Arc::clone(&self.turn), members: self.members.clone(), connected: self.connected }
    }

    /// A connected session joins; gives its earlier subscription, which this one replaces.
    pub(crate) fn insert(&mut self, subscriber: Subscriber) -> Option<Subscriber> {
        let old = self.remove(subscriber.session);
        self.members.insert(self.connected, subscriber);
        self.connected += 1;
        old
    }

    pub(crate) fn remove(&mut self, session: SessionRef) -> Option<Subscriber> {
        let at = self.members.iter().position(|m| m.session == session)?;
        if at < self.connected {
            self.connected -= 1;
        }
        Some(self.members.remove(at))
    }

    /// The session has connected, or its connection has ended.
    pub(crate) fn set_connected(&mut self, session: SessionRef, connected: bool) {
        let Some(at) = self.members.iter().position(|m| m.session == session) else { return };
        if (at < self.connected) == connected {
            return;
        }
        let member = self.members.remove(at);
        if connected {
            self.members.insert(self.connected, member);
            self.connected += 1;
        } else {
            self.connected -= 1;
            self.members.push(member);
        }
    }
}

/// A group as a match set has it.
#[derive(Debug)]
pub(crate) struct GroupMatch {
    pub(crate) turn: Arc<Turn>,
    members: Vec<Subscriber>,
    connected: usize,
}

impl GroupMatch {
    /// The member whose turn it is, in a circle over the connected ones; offline sessions only when none is connected.
    /// `None` when there is nobody else than `except`, whom a message has just been taken from.
    pub(crate) fn choose(&self, except: Option<SessionRef>) -> Option<Subscriber> {
        let able = if self.connected > 0 { &self.members[..self.connected] } else { &self.members[..] };
        for _ in 0..able.len() {
            let turn = self.turn.next.fetch_add(1, Ordering::Relaxed);
            let member = able[turn % able.len()];
            if Some(member.session) != except {
                return Some(member);
            }
        }
        None
    }

    pub(crate) fn has_connected_member(&self) -> bool {
        self.connected > 0
    }
}

#[cfg(test)]
mod tests;
