//! The retained messages that new subscriptions of a session ask for, read little by little as the client takes them.

use crate::index::Place;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use hashbrown::HashMap;
use sori_mqtt::QoS;

/// What a session still has to read, oldest first. It takes memory only while there is something.
#[derive(Debug, Default)]
pub(crate) struct Reads(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    list: VecDeque<RetainedRead>,
    /// The number of the read that each subscription waits for; others in the list are out of date.
    wanted: HashMap<Place, u64>,
}

/// The retained messages that one subscription asks for.
#[derive(Debug)]
pub(crate) struct RetainedRead {
    pub(crate) number: u64,
    pub(crate) place: Place,
    pub(crate) filter: Box<str>,
    pub(crate) granted: QoS,
    pub(crate) identifier: u32,
    /// Newer versions come as live messages.
    pub(crate) until: u64,
    /// The last topic looked at.
    pub(crate) after: Option<String>,
}

impl Reads {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Read for a subscription from now on, instead of an earlier read of it.
    pub(crate) fn want(&mut self, mut read: RetainedRead) {
        let waiting = self.0.get_or_insert_default();
        read.number = waiting.list.back().map_or(0, |last| last.number) + 1;
        waiting.wanted.insert(read.place, read.number);
        waiting.list.push_back(read);
        // A client that subscribes again and again must not make the list grow.
        if waiting.list.len() > 2 * waiting.wanted.len() + 8 {
            let wanted = &waiting.wanted;
            waiting.list.retain(|read| wanted.get(&read.place) == Some(&read.number));
        }
    }

    /// The subscription is gone.
    pub(crate) fn forget(&mut self, place: &Place) {
        let Some(waiting) = &mut self.0 else { return };
        if waiting.wanted.remove(place).is_some() && waiting.wanted.is_empty() {
            self.0 = None;
        }
    }

    /// The read that is going on.
    pub(crate) fn first(&mut self) -> Option<&mut RetainedRead> {
        let Waiting { list, wanted } = &mut **self.0.as_mut()?;
        while let Some(first) = list.front()
            && wanted.get(&first.place) != Some(&first.number)
        {
            list.pop_front();
        }
        list.front_mut()
    }

    /// The first read has come to its end.
    pub(crate) fn finish(&mut self) {
        if let Some(first) = self.first() {
            let place = first.place;
            self.forget(&place);
        }
    }
}

#[cfg(test)]
mod tests;
