//! Messages in the store, and which publishes of the session they are.

use std::collections::BTreeMap;
use std::time::Duration;

use sori_mqtt::client_session::{ConnectOptions, Token};
use sori_mqtt::{ClientSession, Publish, QoS};

use crate::error::Error;
use crate::options::Options;
use crate::store::Open;

/// What a session needs for a message besides its bytes, at most.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// The store, if one was chosen.
pub(super) struct Kept {
    store: Option<Open>,
    /// Under which number the store has the message of a publish.
    numbers: BTreeMap<Token, u64>,
}

impl Kept {
    pub(super) fn open(options: &Options) -> Result<Self, Error> {
        let store = options.store.as_ref().map(crate::Store::open).transpose()?;
        Ok(Self { store, numbers: BTreeMap::new() })
    }

    /// What an earlier program has left has room beside what this one publishes.
    pub(super) fn make_room(&self, options: &mut ConnectOptions) {
        let Some(store) = &self.store else { return };
        let more = store.bytes() + store.messages().count() * MESSAGE_OVERHEAD_BYTES;
        options.queue_bytes_max = options.queue_bytes_max.saturating_add(more);
    }

    /// Publishes what an earlier program has left.
    pub(super) fn send_again(&mut self, session: &mut ClientSession) {
        let Some(store) = &self.store else { return };
        for (number, publish) in store.messages() {
            // What this session cannot send (in another version, perhaps) stays for another program.
            if let Ok(token) = session.publish(&publish) {
                self.numbers.insert(token, number);
            }
        }
    }

    /// Whether one was chosen.
    pub(super) fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// Whether the store has room for a message.
    pub(super) fn has_room(&self, publish: &Publish<'_>) -> Result<bool, Error> {
        match &self.store {
            Some(store) if publish.qos != QoS::AtMostOnce => store.has_room(publish),
            _ => Ok(true),
        }
    }

    /// Keeps a message that the session has accepted.
    pub(super) fn keep(&mut self, now: Duration, token: Token, publish: &Publish<'_>) -> Result<(), Error> {
        if let Some(store) = &mut self.store
            && publish.qos != QoS::AtMostOnce
        {
            self.numbers.insert(token, store.accept(now, publish)?);
        }
        Ok(())
    }

    /// A publish has come to its end.
    pub(super) fn done(&mut self, now: Duration, token: Token) {
        if let Some(store) = &mut self.store
            && let Some(number) = self.numbers.remove(&token)
        {
            store.done(now, number);
        }
    }

    /// When the store wants to write.
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        self.store.as_ref()?.deadline(now)
    }

    /// It writes.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if let Some(store) = &mut self.store {
            // A failure is told to whoever publishes next.
            let _ = store.step(now, None);
        }
    }

    /// The client has ended; the folder is free for another one.
    pub(super) fn close(&mut self) {
        if let Some(store) = self.store.take() {
            store.close();
        }
    }
}
