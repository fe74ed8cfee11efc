//! Messages in the store, which publishes of the session they are, and how far these are.

use std::collections::BTreeMap;
use std::time::Duration;

use sori_mqtt::client_session::{ConnectOptions, Progress, Token};
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

    /// What an earlier program has left has room beside what this one publishes, and the store wants to know what becomes of
    /// the messages.
    pub(super) fn prepare(&self, mut options: ConnectOptions) -> ConnectOptions {
        let Some(store) = &self.store else { return options };
        let more = store.bytes() + store.len() * MESSAGE_OVERHEAD_BYTES;
        options.queue_bytes_max = options.queue_bytes_max.saturating_add(more);
        options.report_progress = true;
        options
    }

    /// Goes on with what an earlier program has left: in the session that it had, if the server still has that.
    pub(super) fn go_on(&mut self, session: &mut ClientSession) {
        let Some(store) = &self.store else { return };
        for kept in store.in_flight() {
            if let Some(token) = session.restore(&kept.publish, kept.is_released) {
                self.numbers.insert(token, kept.number);
            }
        }
        for (number, publish) in store.unsent() {
            // What this session cannot send (in another version, perhaps) stays for another program.
            if let Ok(token) = session.publish(&publish) {
                self.numbers.insert(token, number);
            }
        }
    }

    /// Writes down how far the messages are, before the output says it to the server.
    pub(super) fn follow(&mut self, now: Duration, session: &mut ClientSession) {
        let Some(store) = &mut self.store else { return };
        while let Some(progress) = session.poll_progress() {
            let number = |token| self.numbers.get(&token).copied();
            match progress {
                Progress::Sent { token, packet_id } => {
                    if let Some(number) = number(token) {
                        store.sent(number, packet_id);
                    }
                }
                Progress::Released { token } => {
                    if let Some(number) = number(token) {
                        store.released(number);
                    }
                }
                Progress::Forgotten => store.forget(),
            }
        }
        // A failure is told to whoever publishes next. What is on its way goes on: otherwise it would be lost.
        let _ = store.fence(now);
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
