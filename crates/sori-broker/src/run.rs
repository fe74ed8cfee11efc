//! Messages that are delivered together: plain ones of QoS 0, of one publisher to one topic, one behind the other.
//!
//! Whoever gets one of them gets them all, in the same form as they came. So what is asked of a recipient is asked once, and
//! its output gets all packets in one piece. Where anything is to be decided message by message, they go one by one.

use crate::ids::SessionRef;
use crate::matches::{MatchSet, Recipient};
use crate::message::{MessageRef, Recorded, Wire};
use crate::sending::may_receive;
use crate::shard::{OUTPUT_MAX, OUTPUT_URGENT, Shard};
use crate::time::Time;
use alloc::sync::Arc;
use sori_mqtt::{QoS, Split, split};

/// Several messages, as they lie in a read buffer or in mail.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) topic: &'a str,
    /// Whole PUBLISH packets of QoS 0 without DUP, RETAIN and properties.
    pub(crate) packets: &'a [u8],
    pub(crate) count: u64,
    /// The bytes of all payloads.
    pub(crate) payload_bytes: u64,
    pub(crate) is_v5: bool,
    pub(crate) publisher: SessionRef,
}

impl<'a> Run<'a> {
    /// One after the other.
    pub(crate) fn messages(self) -> impl Iterator<Item = MessageRef<'a>> {
        let mut rest = self.packets;
        core::iter::from_fn(move || {
            let Ok(Split::Frame(frame)) = split(rest, usize::MAX) else { return None };
            let (packet, after) = rest.split_at(frame.size);
            rest = after;
            let wire = Wire::plain(packet, self.is_v5);
            let payload = frame.body.get(2 + self.topic.len() + wire.after_topic(QoS::AtMostOnce)..)?;
            Some(MessageRef {
                topic: self.topic,
                payload,
                properties: &[],
                qos: QoS::AtMostOnce,
                retain: false,
                expires: Time::NEVER,
                publisher: self.publisher,
                retained_version: 0,
                recorded: Recorded::default(),
                wire,
            })
        })
    }
}

impl Shard {
    /// Gives whether the run is on its way; if not, its messages are to be routed one by one.
    /// [MQTT-4.6.0-6] [MQTT311-4.6.0-5]
    pub(crate) fn route_run(&mut self, set: &Arc<MatchSet>, run: &Run<'_>) -> bool {
        let here = set.recipients(self.id);
        if !self.all_take(here, run) {
            return false;
        }
        self.append_run(here, run);
        for &shard in set.shards().iter().filter(|shard| **shard != self.id) {
            if let Some(mail) = self.mail.get_mut(usize::from(shard.0)) {
                mail.push_run(run, set);
            }
        }
        true
    }

    /// A run from another shard.
    pub(crate) fn deliver_run(&mut self, recipients: &[Recipient], run: &Run<'_>) {
        if self.all_take(recipients, run) {
            return self.append_run(recipients, run);
        }
        for message in run.messages() {
            self.deliver_to_all(recipients, &message, &mut None);
        }
    }

    /// Who has several subscriptions to the topic gets the copies of a message next to each other, not run by run.
    fn all_take(&self, recipients: &[Recipient], run: &Run<'_>) -> bool {
        let mut last = None;
        recipients.iter().all(|to| last.replace(to.slot) != Some(to.slot) && self.takes(to, run))
    }

    /// Is there nothing to be decided about this recipient, but that it gets the packets now and as they are?
    #[inline]
    fn takes(&self, to: &Recipient, run: &Run<'_>) -> bool {
        let Some(session) = self.sessions.get(to.slot, to.generation) else { return false };
        let Some((slot, generation)) = session.connection else { return false };
        let Some(c) = self.connections.get(slot, generation) else { return false };
        let fits = c.owed() + run.packets.len() < OUTPUT_MAX;
        let has_room = fits && !session.queue.holds_qos0() && !c.holds_publishes();
        let is_plain = to.identifier == 0 && c.version.is_v5() == run.is_v5 && c.gets_as_it_came();
        has_room && is_plain && c.takes_any_size()
    }

    fn append_run(&mut self, recipients: &[Recipient], run: &Run<'_>) {
        for to in recipients {
            // [MQTT-3.8.3-3]
            if to.options.no_local() && run.publisher == to.session(self.id) {
                continue;
            }
            let Some(session) = self.sessions.get(to.slot, to.generation) else { continue };
            if !self.is_unrestricted && !may_receive(&*self.access, session, run.topic) {
                continue;
            }
            let Some((slot, generation)) = session.connection else { continue };
            let Some(c) = self.connections.get_mut(slot, generation) else { continue };
            self.outbox.buffer(c).extend_from_slice(run.packets);
            self.totals.packets_sent += run.count;
            self.totals.publish_sent += run.count;
            self.totals.publish_bytes_sent += run.payload_bytes;
            self.urgent |= c.output.len() > OUTPUT_URGENT;
        }
    }
}
