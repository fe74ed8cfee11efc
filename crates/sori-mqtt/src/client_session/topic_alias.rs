//! Topic aliases, both ways. They do not outlive the connection [MQTT-3.3.2-7].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use super::error::Violation;

/// The aliases that the server has made.
#[derive(Debug, Default)]
pub(super) struct IncomingAliases {
    maximum: u16,
    topics: BTreeMap<u16, Box<str>>,
}

impl IncomingAliases {
    pub(super) fn new(maximum: u16) -> Self {
        Self { maximum, topics: BTreeMap::new() }
    }

    /// A PUBLISH with this topic and alias came in. Every alias up to the maximum is accepted [MQTT-3.3.2-10].
    pub(super) fn receive(&mut self, alias: u16, topic: &str) -> Result<(), Violation> {
        if alias > self.maximum {
            return Err(Violation::TopicAliasTooLarge);
        }
        if !topic.is_empty() {
            self.topics.insert(alias, topic.into());
        } else if !self.topics.contains_key(&alias) {
            return Err(Violation::TopicAliasUnknown);
        }
        Ok(())
    }

    pub(super) fn topic(&self, alias: u16) -> Option<&str> {
        self.topics.get(&alias).map(AsRef::as_ref)
    }
}

/// The aliases made for the server: the first topics get one each, later ones none.
#[derive(Debug, Default)]
pub(super) struct OutgoingAliases {
    maximum: u16,
    aliases: BTreeMap<Box<str>, u16>,
}

/// How to send a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alias {
    None,
    /// Send topic and alias, then [`OutgoingAliases::made`].
    New(u16),
    /// Send the alias and no topic.
    Known(u16),
}

impl OutgoingAliases {
    /// `maximum` is what both sides allow; with 0 no alias is ever sent [MQTT-3.2.2-18].
    pub(super) fn new(maximum: u16) -> Self {
        Self { maximum, aliases: BTreeMap::new() }
    }

    /// Aliases go from 1 [MQTT-3.3.2-8] to the server's maximum [MQTT-3.2.2-17] [MQTT-3.3.2-9].
    pub(super) fn find(&self, topic: &str) -> Alias {
        if self.maximum == 0 {
            return Alias::None;
        }
        match self.aliases.get(topic) {
            Some(alias) => Alias::Known(*alias),
            None => match u16::try_from(self.aliases.len() + 1) {
                Ok(alias) if alias <= self.maximum => Alias::New(alias),
                _ => Alias::None,
            },
        }
    }

    pub(super) fn made(&mut self, topic: &str, alias: u16) {
        self.aliases.insert(topic.into(), alias);
    }
}
