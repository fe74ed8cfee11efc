//! From records back to sessions.

use crate::message::Message;
use crate::record::{Change, Record, RecordedDelivery, RecordedWill};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{PacketId, SubscribeOptions};

/// What records add up to: give each to [`Recovered::apply`], in the order in which its shard made it.
#[derive(Debug, Default)]
pub struct Recovered {
    sessions: BTreeMap<Arc<str>, RecoveredSession>,
    retained: BTreeMap<Box<str>, (u64, Option<Arc<Message>>)>,
    retained_version: u64,
}

/// One session.
#[derive(Debug, Default)]
pub struct RecoveredSession {
    pub(crate) expiry_seconds: u32,
    pub(crate) user_name: Option<Box<str>>,
    pub(crate) will: Option<RecordedWill>,
    /// When the session ends and when its will is due; `None` while it was connected.
    pub(crate) disconnected: Option<(Time, Time)>,
    pub(crate) subscriptions: BTreeMap<Box<str>, (SubscribeOptions, u32)>,
    pub(crate) queue: BTreeMap<u64, RecordedDelivery>,
    /// In the order of sending; `None` when PUBREC has come.
    pub(crate) inflight: Vec<(PacketId, Option<RecordedDelivery>)>,
    pub(crate) unreleased: Vec<(PacketId, Arc<Message>)>,
    pub(crate) last_packet_id: Option<PacketId>,
    pub(crate) last_number: u64,
}

impl Recovered {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Recovered {
        Recovered::default()
    }

    /// One more record.
    pub fn apply(&mut self, record: Record) {
        match record.change {
            Change::Ended => {
                self.sessions.remove(&record.client_id);
            }
            Change::Retained { message } => {
                let version = message.view().retained_version;
                self.apply_retained(Box::from(message.topic()), version, Some(message));
            }
            Change::RetainedGone { topic, version } => self.apply_retained(topic, version, None),
            Change::Connected { expiry_seconds, user_name, will } => {
                let session = self.sessions.entry(record.client_id).or_default();
                session.user_name = user_name;
                (session.expiry_seconds, session.will, session.disconnected) = (expiry_seconds, will, None);
            }
            change => {
                if let Some(session) = self.sessions.get_mut(&record.client_id) {
                    session.apply(change);
                }
            }
        }
    }

    fn apply_retained(&mut self, topic: Box<str>, version: u64, message: Option<Arc<Message>>) {
        self.retained_version = self.retained_version.max(version);
        let entry = self.retained.entry(topic).or_default();
        if version >= entry.0 {
            *entry = (version, message);
        }
    }

    /// The sessions that there are, by client identifier.
    pub fn take_sessions(&mut self) -> impl Iterator<Item = (Arc<str>, RecoveredSession)> + use<> {
        core::mem::take(&mut self.sessions).into_iter()
    }

    /// The version of the last change of a retained message; what comes after the restart goes on from there, so that
    /// the records of both tell which is newer.
    #[must_use]
    pub fn retained_version(&self) -> u64 {
        self.retained_version
    }

    /// The retained messages that there are, in the order in which they were stored.
    #[must_use]
    pub fn take_retained(&mut self) -> Vec<Arc<Message>> {
        let all = core::mem::take(&mut self.retained).into_values();
        let mut retained: Vec<Arc<Message>> = all.filter_map(|(_, message)| message).collect();
        retained.sort_by_key(|message| message.view().retained_version);
        retained
    }
}

impl RecoveredSession {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Disconnected { ends_at, will_at } => self.disconnected = Some((ends_at, will_at)),
            Change::WillGone => self.will = None,
            Change::Subscribed { filter, options, identifier } => {
                self.subscriptions.insert(filter, (options, identifier));
            }
            Change::Unsubscribed { filter } => {
                self.subscriptions.remove(&filter);
            }
            Change::Queued { number, delivery } => {
                self.last_number = self.last_number.max(number);
                self.queue.insert(number, delivery);
            }
            Change::Sent { number, packet_id } => {
                let delivery = self.queue.remove(&number);
                if let (Some(packet_id), Some(delivery)) = (packet_id, delivery) {
                    self.last_packet_id = Some(packet_id);
                    self.inflight.push((packet_id, Some(delivery)));
                }
            }
            Change::Dropped { number } => {
                self.queue.remove(&number);
            }
            Change::Released { packet_id } => {
                if let Some((_, delivery)) = self.inflight.iter_mut().find(|(id, _)| *id == packet_id) {
                    *delivery = None;
                }
            }
            Change::Finished { packet_id } => self.inflight.retain(|(id, _)| *id != packet_id),
            Change::Received { packet_id, message } => {
                match self.unreleased.iter_mut().find(|(id, _)| *id == packet_id) {
                    Some((_, old)) => *old = message,
                    None => self.unreleased.push((packet_id, message)),
                }
            }
            Change::Forwarded { packet_id } => self.unreleased.retain(|(id, _)| *id != packet_id),
            Change::Connected { .. } | Change::Ended | Change::Retained { .. } | Change::RetainedGone { .. } => {}
        }
    }
}
