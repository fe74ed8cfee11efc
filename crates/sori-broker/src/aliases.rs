//! Topic aliases of one connection, in both directions. MQTT 5.0 section 3.3.2.3.4.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Aliases that the client has set. They end with the connection. [MQTT-3.3.2-7]
#[derive(Debug, Default)]
pub(crate) struct AliasesIn {
    topics: Vec<Option<Arc<str>>>,
}

impl AliasesIn {
    /// `alias` is in 1..=Topic Alias Maximum: the caller has checked.
    pub(crate) fn set(&mut self, alias: u16, topic: &str) {
        let at = usize::from(alias) - 1;
        if self.topics.len() <= at {
            self.topics.resize(at + 1, None);
        }
        if self.topics[at].as_deref() != Some(topic) {
            self.topics[at] = Some(Arc::from(topic));
        }
    }

    pub(crate) fn find(&self, alias: u16) -> Option<Arc<str>> {
        self.topics.get(usize::from(alias).wrapping_sub(1))?.clone()
    }
}

/// Aliases that the broker sets towards a client, first come, first served.
#[derive(Debug)]
pub(crate) struct AliasesOut {
    topics: Vec<Box<str>>,
    /// The client's Topic Alias Maximum, or the broker's own if that is less. [MQTT-3.1.2-26] [MQTT-3.3.2-11]
    count_max: u16,
}

/// How a topic is written with an alias.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Alias {
    /// Topic and alias together: from now on the alias stands for it.
    Set(u16),
    /// The alias alone.
    Use(u16),
}

impl AliasesOut {
    pub(crate) fn new(count_max: u16) -> AliasesOut {
        AliasesOut { topics: Vec::new(), count_max }
    }

    pub(crate) fn find(&self, topic: &str) -> Option<Alias> {
        match (1..).zip(&self.topics).find(|(_, t)| ***t == *topic) {
            Some((alias, _)) => Some(Alias::Use(alias)),
            None if self.topics.len() < usize::from(self.count_max) => Some(Alias::Set(self.topics.len() as u16 + 1)),
            None => None,
        }
    }

    /// What an alias stands for.
    pub(crate) fn topic(&self, alias: u16) -> Option<&str> {
        self.topics.get(usize::from(alias).wrapping_sub(1)).map(|topic| &**topic)
    }

    /// The alias of [`AliasesOut::find`] has been sent.
    pub(crate) fn sent(&mut self, alias: Alias, topic: &str) {
        if let Alias::Set(_) = alias {
            self.topics.push(Box::from(topic));
        }
    }
}

#[cfg(test)]
mod tests;
