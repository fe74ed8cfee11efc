//! Shared subscriptions: a group of sessions that divide the messages of one filter among them. MQTT 5.0 section 4.8.2.

use crate::ids::SessionRef;
use crate::index::{NodeId, Place};
use crate::subscribers::Subscribers;
use crate::subscription::Subscriber;
use crate::taken::Taken;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicUsize, Ordering};
use once_cell::race::OnceBox;

/// How many members of a group are tried for a message beside the first.
const OTHERS_TRIED_MAX: u8 = 8;

/// The number of a group, made of its name and its filter, so that it is the same after a restart. No other group of its filter has
/// it; that another one whose filter matches the same topic has it, is as likely as one in four thousand million.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub(crate) struct GroupNumber(pub(crate) NonZeroU32);

impl GroupNumber {
    /// FNV-1a of `name/filter`, and 1 instead of 0. The records depend on it.
    pub(crate) fn of(name: &str, filter: &str) -> GroupNumber {
        let bytes = name.bytes().chain([b'/']).chain(filter.bytes());
        let hash = bytes.fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        GroupNumber(NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN))
    }
}

/// What the match sets of all shards know of one group: whose turn it is.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) group: GroupNumber,
    node: NodeId,
    next: AtomicUsize,
}

/// One group below one filter.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Box<str>,
    pub(crate) turn: Arc<Turn>,
    connected: Subscribers,
    offline: Subscribers,
    /// Both, for all match sets together; made for the first of them after a change.
    members: OnceBox<Arc<Members>>,
}

/// The members of a group as its match sets have them.
#[derive(Debug)]
struct Members {
    /// The connected ones first.
    list: Box<[Subscriber]>,
    connected: usize,
    /// There is one whose deliveries are recorded.
    has_durable: bool,
}

impl Members {
    fn of(connected: &[Subscriber], offline: &[Subscriber]) -> Members {
        let list = [connected, offline].concat().into_boxed_slice();
        let has_durable = list.iter().any(|member| member.options.is_recorded());
        Members { list, connected: connected.len(), has_durable }
    }
}

impl Group {
    pub(crate) fn new(name: &str, number: GroupNumber, node: NodeId) -> Group {
        let turn = Arc::new(Turn { group: number, node, next: AtomicUsize::new(0) });
        let (connected, offline) = (Subscribers::None, Subscribers::None);
        Group { name: Box::from(name), turn, connected, offline, members: OnceBox::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connected.is_empty() && self.offline.is_empty()
    }

    pub(crate) fn find(&self, session: SessionRef) -> Option<&Subscriber> {
        self.connected.find(session).or_else(|| self.offline.find(session))
    }

    pub(crate) fn find_mut(&mut self, session: SessionRef) -> Option<&mut Subscriber> {
        self.members = OnceBox::new();
        let Group { connected, offline, .. } = self;
        connected.find_mut(session).or_else(|| offline.find_mut(session))
    }

    pub(crate) fn to_match(&self) -> GroupMatch {
        let make = || Box::new(Arc::new(Members::of(self.connected.as_slice(), self.offline.as_slice())));
        GroupMatch { turn: Arc::clone(&self.turn), members: Arc::clone(self.members.get_or_init(make)) }
    }

    /// A connected session joins; gives its earlier subscription, which this one replaces.
    pub(crate) fn insert(&mut self, subscriber: Subscriber) -> Option<Subscriber> {
        self.members = OnceBox::new();
        let was_offline = self.offline.remove(subscriber.session);
        self.connected.insert(subscriber).or(was_offline)
    }

    pub(crate) fn remove(&mut self, session: SessionRef) -> Option<Subscriber> {
        self.members = OnceBox::new();
        self.connected.remove(session).or_else(|| self.offline.remove(session))
    }

    /// The session has connected, or its connection has ended.
    pub(crate) fn set_connected(&mut self, session: SessionRef, connected: bool) {
        self.members = OnceBox::new();
        let (from, to) =
            if connected { (&mut self.offline, &mut self.connected) } else { (&mut self.connected, &mut self.offline) };
        if let Some(member) = from.remove(session) {
            to.insert(member);
        }
    }
}

/// The groups below one filter, found by name or by number.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_name: BTreeMap<Box<str>, GroupNumber>,
    groups: BTreeMap<GroupNumber, Group>,
    /// The numbers of all groups: clients can choose names that all want the same.
    numbers: Taken,
}

impl Groups {
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    pub(crate) fn get(&self, number: GroupNumber) -> Option<&Group> {
        self.groups.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: GroupNumber) -> Option<&mut Group> {
        self.groups.get_mut(&number)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Group> {
        self.by_name.get(name).and_then(|number| self.groups.get(number))
    }

    /// The group of this name below `filter`, which ends at `node`.
    pub(crate) fn named_or_new(&mut self, name: &str, filter: &str, node: NodeId) -> &mut Group {
        let number = self.by_name.get(name).copied().unwrap_or_else(|| {
            let number = GroupNumber(self.numbers.take(GroupNumber::of(name, filter).0));
            self.by_name.insert(Box::from(name), number);
            number
        });
        self.groups.entry(number).or_insert_with(|| Group::new(name, number, node))
    }

    /// Forget a group that has no members any more.
    pub(crate) fn forget(&mut self, number: GroupNumber) {
        if let Some(group) = self.groups.remove(&number) {
            self.by_name.remove(&group.name);
            self.numbers.give_back(number.0);
        }
    }
}

/// A group as a match set has it.
#[derive(Debug)]
pub(crate) struct GroupMatch {
    pub(crate) turn: Arc<Turn>,
    members: Arc<Members>,
}

impl GroupMatch {
    /// The member whose turn it is, in a circle over the connected ones; offline sessions only when none is connected.
    /// `None` when there is nobody else than `except`, whom a message has just been taken from.
    pub(crate) fn choose(&self, except: Option<SessionRef>) -> Option<Subscriber> {
        let Members { list, connected, .. } = &*self.members;
        let able = if *connected > 0 { &list[..*connected] } else { &list[..] };
        let turn = self.turn.next.fetch_add(1, Ordering::Relaxed);
        (0..able.len()).map(|step| able[turn.wrapping_add(step) % able.len()]).find(|m| Some(m.session) != except)
    }

    pub(crate) fn len(&self) -> usize {
        self.members.list.len()
    }

    pub(crate) fn members(&self) -> &[Subscriber] {
        &self.members.list
    }

    /// Where its members stand in the index.
    pub(crate) fn place(&self) -> Place {
        Place { node: self.turn.node, group: Some(self.turn.group) }
    }

    /// How many members are tried for a message beside the first.
    pub(crate) fn others_tried(&self) -> u8 {
        u8::try_from(self.len().saturating_sub(1)).unwrap_or(u8::MAX).min(OTHERS_TRIED_MAX)
    }

    /// Is there a member whose deliveries are recorded?
    pub(crate) fn has_durable(&self) -> bool {
        self.members.has_durable
    }

    pub(crate) fn has_connected_member(&self) -> bool {
        self.members.connected > 0
    }
}

#[cfg(test)]
mod tests;
