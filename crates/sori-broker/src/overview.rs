//! What people may want to see of a shard: its sessions and their subscriptions.

use crate::session::SessionKey;
use crate::shard::Shard;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::QoS;

/// One session of a shard.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Its client identifier.
    pub client_id: Arc<str>,
    /// Its client is connected.
    pub is_connected: bool,
    /// Messages that wait for it.
    pub queued: usize,
    /// Messages that were dropped for it.
    pub dropped: u64,
    /// Its subscriptions: the filter as the client wrote it, and the granted QoS.
    pub subscriptions: Vec<(String, QoS)>,
}

impl Shard {
    /// All sessions of this shard.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        let mut views = Vec::new();
        self.space.read_index(&mut |index| {
            views = self
                .sessions
                .iter()
                .map(|(slot, generation, session)| {
                    let me = self.session_ref(SessionKey { slot, generation });
                    let described = session.places.iter().filter_map(|place| index.describe(place, me));
                    SessionView {
                        client_id: Arc::clone(&session.client_id),
                        is_connected: session.connection.is_some(),
                        queued: session.queue.len(),
                        dropped: session.dropped,
                        subscriptions: described.map(|(filter, s)| (filter, s.options.qos())).collect(),
                    }
                })
                .collect();
        });
        views
    }
}
