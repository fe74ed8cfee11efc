//! PUBLISH packets of one connection to one topic, one after the other.
//!
//! What was decided for the first of them (that the name is legal, that the client may publish there, who gets it) holds for
//! the next as long as nothing has changed. So they take a short way: the name is compared instead of checked, and
//! nothing is looked up. Whatever is not plain (RETAIN, DUP, properties, QoS 2, a right that has to be asked for each time,
//! a record to be made) ends the streak and goes by [`Shard::handle_publish`].

use crate::budget::DELIVERIES_IN_A_GO;
use crate::connection::LastTopic;
use crate::ids::{ConnectionId, SessionRef};
use crate::matches::MatchSet;
use crate::message::{MessageRef, Recorded, Wire};
use crate::routing::Routed;
use crate::run::Run;
use crate::sending::SHARED_BYTES_MIN;
use crate::session::SessionKey;
use crate::shard::Shard;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use sori_mqtt::{Frame, PacketId, PacketType, Properties, Publish, QoS, Split, split};

/// A PUBLISH of QoS 0 or 1 without DUP and RETAIN has this first byte, but for the bit of QoS 1.
const PLAIN: u8 = (PacketType::Publish as u8) << 4;
const QOS_1: u8 = 0b0010;

/// What holds for a connection as long as the streak lasts.
struct Terms {
    key: SessionKey,
    is_v5: bool,
    takes_qos1: bool,
    /// Messages of QoS 0 may be routed together.
    takes_runs: bool,
    packet_size_max: usize,
    payload_max: usize,
}

impl Shard {
    /// Takes the packets at the beginning of `bytes` that go on with the connection's last topic; gives how many bytes
    /// those were.
    #[inline]
    pub(crate) fn follow(&mut self, id: ConnectionId, bytes: &[u8]) -> usize {
        if bytes.first().is_none_or(|first| first & !QOS_1 != PLAIN) {
            return 0;
        }
        let Some(last) = self.take_last_topic(id) else { return 0 };
        let used = match &last.set {
            Some(set) => self.terms(id, &last, set).map_or(0, |terms| self.follow_on(id, &terms, &last, set, bytes)),
            None => 0,
        };
        self.put_last_topic(id, Some(last));
        used
    }

    /// The connection's last topic, taken out while it is used, if nothing has changed since.
    #[inline]
    pub(crate) fn take_last_topic(&mut self, id: ConnectionId) -> Option<Box<LastTopic>> {
        let generation = self.generation;
        let c = self.connection(id)?;
        c.last_topic.take_if(|last| last.generation == generation)
    }

    #[inline]
    pub(crate) fn put_last_topic(&mut self, id: ConnectionId, last: Option<Box<LastTopic>>) {
        if let (Some(last), Some(c)) = (last, self.connection(id)) {
            c.last_topic = Some(last);
        }
    }

    /// `None`: this topic, or this connection, has to be looked at packet by packet.
    #[inline]
    fn terms(&self, id: ConnectionId, last: &LastTopic, set: &MatchSet) -> Option<Terms> {
        let c = self.connections.get(id.slot, id.generation)?;
        let is_permitted = self.is_unrestricted || (self.is_steady && last.is_permitted);
        let is_free = is_permitted && c.listener.mount_point.is_none();
        if !is_free || c.is_leaving || set.is_empty() || self.has_too_many_levels(&last.topic) {
            return None;
        }
        let session = self.sessions.get(c.session.slot, c.session.generation)?;
        let has_room =
            session.incoming.in_flight() + c.held_pubacks() < usize::from(session.incoming.receive_maximum());
        let is_recorded = set.has_durable() && self.recorder.is_on();
        if is_recorded && self.settings.upgrade_outgoing_qos {
            return None;
        }
        let or_any = |limit: u32| if limit == 0 { usize::MAX } else { limit as usize };
        Some(Terms {
            key: c.session,
            is_v5: c.version.is_v5(),
            takes_qos1: has_room && !is_recorded && c.listener.qos_max != QoS::AtMostOnce,
            takes_runs: set.groups().is_empty() && !self.settings.upgrade_outgoing_qos,
            packet_size_max: self.settings.packet_size_max as usize,
            payload_max: or_any(self.settings.message_size_limit),
        })
    }

    #[inline]
    fn follow_on(
        &mut self,
        id: ConnectionId,
        terms: &Terms,
        last: &LastTopic,
        set: &Arc<MatchSet>,
        bytes: &[u8],
    ) -> usize {
        let (mut used, mut packets, mut payload_bytes) = (0, 0, 0);
        let mut takes_runs = terms.takes_runs;
        let publisher = self.session_ref(terms.key);
        while let Some((frame, packet_id, payload)) = next(&bytes[used..], terms, last) {
            if takes_runs && packet_id.is_none() && payload.len() < SHARED_BYTES_MIN {
                let first = (frame.size, payload.len());
                // About as many as may be delivered at once, if they are all of a size.
                let count_max = DELIVERIES_IN_A_GO.saturating_sub(self.deliveries) / set.len().max(1) + 1;
                let end = bytes.len().min(used + count_max * frame.size);
                if let Some(run) = gather(&bytes[used..end], first, terms, last, publisher) {
                    takes_runs = self.route_run(set, &run);
                    if takes_runs {
                        self.deliveries += run.count as usize * set.len();
                        used += run.packets.len();
                        packets += run.count;
                        payload_bytes += run.payload_bytes;
                        if self.has_delivered_much() {
                            break;
                        }
                        continue;
                    }
                }
            }
            let message = MessageRef {
                topic: &last.topic,
                payload,
                properties: &[],
                qos: if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
                retain: false,
                expires: Time::NEVER,
                publisher,
                retained_version: 0,
                recorded: Recorded::default(),
                wire: Wire::plain(&bytes[used..used + frame.size], terms.is_v5),
            };
            used += frame.size;
            packets += 1;
            payload_bytes += payload.len() as u64;
            let routed = self.route(set, &message, None);
            let is_answered = packet_id.is_some() || routed != Routed::Somebody;
            if is_answered && !self.answer_followed(id, terms.key, packet_id, &message, routed) {
                break;
            }
            if self.has_delivered_much() {
                break;
            }
        }
        if packets > 0 {
            self.totals.packets_received += packets;
            self.totals.publish_received += packets;
            self.totals.publish_bytes_received += payload_bytes;
            let now = self.now;
            if let Some(c) = self.connection(id) {
                c.last_received = now;
            }
        }
        used
    }

    /// Gives whether the streak may go on.
    #[inline]
    fn answer_followed(
        &mut self,
        id: ConnectionId,
        key: SessionKey,
        packet_id: Option<PacketId>,
        message: &MessageRef<'_>,
        routed: Routed,
    ) -> bool {
        let mark = self.recorder.mark();
        let publish = Publish {
            dup: false,
            qos: message.qos,
            retain: false,
            topic: message.topic,
            packet_id,
            properties: Properties::EMPTY,
            payload: message.payload,
        };
        let reason_code = routed.reason_code();
        let answer = self.conclude(id, key, &publish, reason_code);
        self.give_answer(id, mark, &publish, answer);
        !reason_code.is_error()
    }
}

/// The messages of QoS 0 at the beginning of `bytes`, if there are several. The size of the first packet and of its payload
/// are known.
#[inline]
fn gather<'a>(
    bytes: &'a [u8],
    (first_size, first_payload): (usize, usize),
    terms: &Terms,
    last: &'a LastTopic,
    publisher: SessionRef,
) -> Option<Run<'a>> {
    let (mut length, mut count, mut payload_bytes) = (first_size, 1, first_payload as u64);
    while let Some((frame, None, payload)) = next(&bytes[length..], terms, last)
        && payload.len() < SHARED_BYTES_MIN
    {
        length += frame.size;
        count += 1;
        payload_bytes += payload.len() as u64;
    }
    let packets = &bytes[..length];
    (count > 1).then_some(Run { topic: &last.topic, packets, count, payload_bytes, is_v5: terms.is_v5, publisher })
}

/// The packet at the beginning of `bytes`, if it goes on with the topic; else it is for others to say what it is.
#[allow(clippy::inline_always, reason = "called, it costs a third of what a message of QoS 0 does")]
#[inline(always)]
fn next<'a>(bytes: &'a [u8], terms: &Terms, last: &LastTopic) -> Option<(Frame<'a>, Option<PacketId>, &'a [u8])> {
    let Ok(Split::Frame(frame)) = split(bytes, terms.packet_size_max) else { return None };
    if frame.first & !QOS_1 != PLAIN {
        return None;
    }
    let [high, low, rest @ ..] = frame.body else { return None };
    if usize::from(u16::from_be_bytes([*high, *low])) != last.topic.len() {
        return None;
    }
    let (topic, mut rest) = rest.split_at_checked(last.topic.len())?;
    if topic != last.topic.as_bytes() {
        return None;
    }
    let mut packet_id = None;
    if frame.first & QOS_1 != 0 {
        let [high, low, after @ ..] = rest else { return None };
        packet_id = Some(PacketId::new(u16::from_be_bytes([*high, *low]))?);
        if !terms.takes_qos1 {
            return None;
        }
        rest = after;
    }
    if terms.is_v5 {
        rest = rest.strip_prefix(&[0])?;
    }
    (rest.len() <= terms.payload_max).then_some((frame, packet_id, rest))
}
