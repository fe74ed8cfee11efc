//! All subscriptions of the broker: a tree of topic filters that finds those which match a topic.
//!
//! The tree is flat. A node is an entry of one array; the way from a node to its child is a table keyed by parent and
//! level, so that a filter costs one small entry in each. The level `+` hangs directly on the node, because every
//! match asks for it. Nothing here recurses: a filter may have 65,535 levels.
//!
//! ```text
//!   a/+/c        root ─"a"→ 1 ─plus→ 2 ─"c"→ 3 { subscribers, groups }
//! ```

use crate::ids::SessionRef;
use crate::matches::{MatchBuilder, MatchSet};
use crate::memory::MemoryUse;
use crate::shared::{GroupNumber, Groups};
use crate::slab::Slab;
use crate::subscribers::Subscribers;
use crate::subscription::Subscriber;
use crate::table::Table;
use crate::tokens::{Token, Tokens};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use hashbrown::DefaultHashBuilder;
use sori_mqtt::TopicFilter;

/// A node of the tree; the root is number 0.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub(crate) struct NodeId(u32);

const ROOT: NodeId = NodeId(0);
/// No node: the root is nobody's child.
const NONE: NodeId = ROOT;

#[derive(Debug)]
struct Node {
    parent: NodeId,
    token: Token,
    children: u32,
    plus: NodeId,
    hash: NodeId,
    subscribers: Subscribers,
    /// Boxed, because few filters have groups and every node pays for the place.
    groups: Option<Box<Groups>>,
}

impl Node {
    fn new(parent: NodeId, token: Token) -> Node {
        Node { parent, token, children: 0, plus: NONE, hash: NONE, subscribers: Subscribers::None, groups: None }
    }

    fn is_unused(&self) -> bool {
        self.children == 0 && self.subscribers.is_empty() && self.groups.is_none()
    }
}

impl Default for Node {
    fn default() -> Node {
        Node::new(NONE, Token::PLUS)
    }
}

/// The subscription index.
#[derive(Debug)]
pub struct SubscriptionIndex {
    hasher: DefaultHashBuilder,
    tokens: Tokens,
    edges: Table<u32>,
    nodes: Slab<Node>,
    subscriptions: usize,
    shared_subscriptions: usize,
    memory: MemoryUse,
}

/// What a level of a filter takes: its node, its edge, its text.
const LEVEL_BYTES: i64 = size_of::<Node>() as i64 + 48;

impl Default for SubscriptionIndex {
    fn default() -> SubscriptionIndex {
        let mut nodes = Slab::default();
        assert_eq!(nodes.insert(Node::default()), ROOT.0, "the first node");
        SubscriptionIndex {
            hasher: DefaultHashBuilder::default(),
            tokens: Tokens::default(),
            edges: Table::default(),
            nodes,
            subscriptions: 0,
            shared_subscriptions: 0,
            memory: MemoryUse::default(),
        }
    }
}

/// What a look into the index works with, used again for the next.
#[derive(Debug)]
pub(crate) struct Matcher {
    /// The nodes that the levels looked at so far lead to.
    here: Vec<NodeId>,
    next: Vec<NodeId>,
    found: MatchBuilder,
}

/// Nodes that a matcher keeps room for.
const NODES_KEPT_MAX: usize = 1024;

impl Matcher {
    /// One for a broker of so many shards.
    pub(crate) fn new(shards: u16) -> Matcher {
        Matcher { here: Vec::new(), next: Vec::new(), found: MatchBuilder::new(shards) }
    }
}

/// Where a subscription stands; the session keeps it to find its subscriptions again.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) node: NodeId,
    /// The group's number for a shared subscription.
    pub(crate) group: Option<GroupNumber>,
}

impl SubscriptionIndex {
    /// How many subscriptions there are, shared ones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscriptions
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subscriptions == 0
    }

    /// How many of them are shared.
    #[must_use]
    pub fn shared_len(&self) -> usize {
        self.shared_subscriptions
    }

    /// The bytes that the tree takes, counted as it grows and shrinks.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.memory.clone()
    }

    /// Put a subscription in, or another one in its place, which is given back. [MQTT-3.8.4-3]
    pub(crate) fn insert(&mut self, filter: TopicFilter<'_>, subscriber: Subscriber) -> (Place, Option<Subscriber>) {
        let at = self.node_for(filter.filter());
        let node = &mut self.nodes[at.0];
        let (group, old) = match filter.share() {
            None => (None, node.subscribers.insert(subscriber)),
            Some(name) => {
                let group = node.groups.get_or_insert_default().named_or_new(name, filter.filter(), at);
                (Some(group.turn.group), group.insert(subscriber))
            }
        };
        if old.is_none() {
            self.subscriptions += 1;
            self.shared_subscriptions += usize::from(group.is_some());
        }
        (Place { node: at, group }, old)
    }

    /// The session's subscription to exactly this filter, compared character by character.
    /// [MQTT-3.10.4-1] [MQTT311-3.10.4-1]
    pub(crate) fn find(&self, filter: TopicFilter<'_>, session: SessionRef) -> Option<(Place, Subscriber)> {
        let at = self.find_node(filter.filter())?;
        let node = &self.nodes[at.0];
        match filter.share() {
            None => node.subscribers.find(session).map(|s| (Place { node: at, group: None }, *s)),
            Some(name) => {
                let group = node.groups.as_ref()?.named(name)?;
                group.find(session).map(|s| (Place { node: at, group: Some(group.turn.group) }, *s))
            }
        }
    }

    /// Take a subscription out.
    pub(crate) fn remove(&mut self, place: &Place, session: SessionRef) -> Option<Subscriber> {
        let node = self.nodes.get_mut(place.node.0)?;
        let removed = match place.group {
            None => node.subscribers.remove(session),
            Some(number) => {
                let groups = node.groups.as_mut()?;
                let group = groups.get_mut(number)?;
                let removed = group.remove(session);
                if group.is_empty() {
                    groups.forget(number);
                }
                if groups.is_empty() {
                    node.groups = None;
                }
                removed
            }
        }?;
        self.subscriptions -= 1;
        self.shared_subscriptions -= usize::from(place.group.is_some());
        self.prune(place.node);
        Some(removed)
    }

    /// A session's client is there or not, and what it is owed is recorded or not.
    pub(crate) fn mark(&mut self, place: &Place, session: SessionRef, connected: bool, durable: bool) {
        let Some(node) = self.nodes.get_mut(place.node.0) else { return };
        let subscriber = match place.group {
            None => node.subscribers.find_mut(session),
            Some(number) => {
                let Some(group) = node.groups.as_mut().and_then(|groups| groups.get_mut(number)) else { return };
                group.set_connected(session, connected);
                group.find_mut(session)
            }
        };
        if let Some(subscriber) = subscriber {
            subscriber.options = subscriber.options.with_durable(durable);
        }
    }

    /// The filter of a subscription, as the client wrote it, and the subscription.
    pub(crate) fn describe(&self, place: &Place, session: SessionRef) -> Option<(String, Subscriber)> {
        let node = self.nodes.get(place.node.0)?;
        let filter = self.filter_of(place.node);
        match place.group {
            None => node.subscribers.find(session).map(|s| (filter, *s)),
            Some(number) => {
                let group = node.groups.as_ref()?.get(number)?;
                group.find(session).map(|s| (alloc::format!("$share/{}/{filter}", group.name), *s))
            }
        }
    }

    /// Everything that matches `topic`. [MQTT-3.3.2-3] [MQTT-4.7.3-4] [MQTT311-3.3.2-3] [MQTT311-4.7.3-4]
    #[must_use]
    pub(crate) fn matches(&self, topic: &str, matcher: &mut Matcher) -> Arc<MatchSet> {
        let Matcher { here, next, found } = matcher;
        here.clear();
        here.push(ROOT);
        let mut first = true;
        for level in topic.split('/') {
            let token = self.tokens.find(level).filter(|&t| t != Token::PLUS && t != Token::HASH);
            // [MQTT-4.7.2-1] [MQTT311-4.7.2-1]: a leading wildcard does not match a topic that begins with `$`.
            let wildcards = !(first && level.starts_with('$'));
            for &at in &*here {
                let node = &self.nodes[at.0];
                if wildcards {
                    self.collect(node.hash, found);
                    next.extend(Some(node.plus).filter(|&n| n != NONE));
                }
                next.extend(token.and_then(|token| self.child(at, token)));
            }
            here.clear();
            core::mem::swap(here, next);
            if here.is_empty() {
                break;
            }
            first = false;
        }
        for &at in &*here {
            self.collect_node(at, found);
            // `sport/#` also matches `sport`: MQTT 5.0 section 4.7.1.2.
            self.collect(self.nodes[at.0].hash, found);
        }
        here.shrink_to(NODES_KEPT_MAX);
        next.shrink_to(NODES_KEPT_MAX);
        found.finish()
    }

    fn collect(&self, at: NodeId, found: &mut MatchBuilder) {
        if at != NONE {
            self.collect_node(at, found);
        }
    }

    fn collect_node(&self, at: NodeId, found: &mut MatchBuilder) {
        let node = &self.nodes[at.0];
        for subscriber in node.subscribers.as_slice() {
            found.add(subscriber);
        }
        for group in node.groups.iter().flat_map(|groups| groups.iter()) {
            found.add_group(group.to_match());
        }
    }

    fn edge_hash(&self, parent: NodeId, token: Token) -> u64 {
        self.hasher.hash_one((parent.0, token.0))
    }

    fn child(&self, parent: NodeId, token: Token) -> Option<NodeId> {
        match token {
            Token::PLUS => Some(self.nodes[parent.0].plus).filter(|&n| n != NONE),
            Token::HASH => Some(self.nodes[parent.0].hash).filter(|&n| n != NONE),
            _ => self
                .edges
                .find(self.edge_hash(parent, token), |&n| {
                    let node = &self.nodes[n];
                    node.parent == parent && node.token == token
                })
                .map(|&n| NodeId(n)),
        }
    }

    fn find_node(&self, filter: &str) -> Option<NodeId> {
        let mut at = ROOT;
        for level in filter.split('/') {
            at = self.child(at, self.tokens.find(level)?)?;
        }
        Some(at)
    }

    fn node_for(&mut self, filter: &str) -> NodeId {
        let mut at = ROOT;
        for level in filter.split('/') {
            let found = self.tokens.find(level).and_then(|token| self.child(at, token));
            at = found.unwrap_or_else(|| self.add_child(at, level));
        }
        at
    }

    fn add_child(&mut self, parent: NodeId, level: &str) -> NodeId {
        let token = self.tokens.acquire(level);
        self.memory.add(LEVEL_BYTES + level.len() as i64);
        let node = Node::new(parent, token);
        let number = self.nodes.insert(node);
        let above = &mut self.nodes[parent.0];
        above.children += 1;
        match token {
            Token::PLUS => above.plus = NodeId(number),
            Token::HASH => above.hash = NodeId(number),
            _ => {
                let (hasher, nodes) = (&self.hasher, &self.nodes);
                let hash = |n: u32| hasher.hash_one((nodes[n].parent.0, nodes[n].token.0));
                self.edges.insert_unique(hash(number), number, |&n| hash(n));
            }
        }
        NodeId(number)
    }

    /// Take away nodes that nothing uses any more, from `at` upwards.
    fn prune(&mut self, mut at: NodeId) {
        while at != ROOT && self.nodes[at.0].is_unused() {
            let (parent, token) = (self.nodes[at.0].parent, self.nodes[at.0].token);
            match token {
                Token::PLUS => self.nodes[parent.0].plus = NONE,
                Token::HASH => self.nodes[parent.0].hash = NONE,
                _ => {
                    let (hasher, nodes) = (&self.hasher, &self.nodes);
                    let hash = |n: u32| hasher.hash_one((nodes[n].parent.0, nodes[n].token.0));
                    self.edges.remove(hash(at.0), |&n| n == at.0, |&n| hash(n));
                }
            }
            self.nodes[parent.0].children -= 1;
            self.memory.add(-LEVEL_BYTES - self.tokens.text(token).len() as i64);
            self.tokens.release(token);
            self.nodes.remove(at.0);
            at = parent;
        }
    }

    fn filter_of(&self, at: NodeId) -> String {
        let mut levels = Vec::new();
        let mut node = at;
        while node != ROOT {
            levels.push(self.tokens.text(self.nodes[node.0].token));
            node = self.nodes[node.0].parent;
        }
        levels.reverse();
        levels.join("/")
    }
}

#[cfg(test)]
mod tests;
