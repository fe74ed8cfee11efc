//! What has happened, as an onlooker between the broker and the network knows it.
//!
//! The book is kept from the packets that cross the broker's border and from the standard, never from the broker's own
//! state: who was connected, which session lasts, which subscription existed when, who published what and when
//! that was acknowledged, what was delivered to whom. The rules in [`crate::check`] read it.
//!
//! # When
//!
//! All that happens in one turn of one shard is simultaneous; two events are in order only if they belong to different
//! turns or to one connection. A packet counts as arrived in the turn in which a shard read it, and what
//! follows a CONNECT waits until that CONNECT is answered, because the connection may have to move first.

mod crashed;
mod filters;
mod things;

pub(crate) use filters::{filter_matches, split_share};
pub(crate) use things::{Delivery, Ending, Event, Held, Lasting, Link, Message, Moment, Session, Subscription, What};

use std::collections::{BTreeMap, HashMap, HashSet};

use sori_broker::Settings;
use sori_mqtt::{PacketType, QoS, SubscribeOptions, Version};

use crate::host::LinkId;
use crate::seen::{Seen, SeenConnAck, SeenConnect, SeenPublish};

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) links: Vec<Link>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) messages: BTreeMap<u64, Message>,
    /// When the broker was back after each crash.
    pub(crate) crashes: Vec<Moment>,
    /// How many of them all shards have been awake after.
    crashes_slept_over: usize,
    /// Before each of them everything until the end of this turn was on the disk.
    pub(crate) durable_turns: Vec<u64>,
    /// The store refuses work, or did lately: what nobody acknowledged may be lost.
    pub(crate) store_refuses: bool,
    /// It did at some time since the last rest.
    pub(crate) store_refused: bool,
    /// The latest session of each client identifier.
    current: HashMap<String, usize>,
    empties: u64,
    is_memory_limited: bool,
    /// Clients whose sessions have ended since their last connection, as the broker says.
    expired: HashSet<String>,
    /// What sessions last before MQTT 5.0, and at most since then.
    lasting_by_setting: Option<Lasting>,
}

/// Within this time after its moment a deadline may or may not have been noticed.
pub(crate) const TOLERANCE_MILLIS: u64 = 1000;

/// The reason code of who loses a session to another connection.
pub(crate) const SESSION_TAKEN_OVER: u8 = 0x8E;

/// More than header, identifiers and properties of any message take.
pub(crate) const ROOM_FOR_PROPERTIES: usize = 150;

/// Names of messages without a payload begin here.
const EMPTY_KEYS: u64 = 1 << 40;

impl Facts {
    pub(crate) fn new(settings: &Settings) -> Facts {
        let lasting = settings.persistent_client_expiration.map(|seconds| Lasting::Millis(seconds * 1000));
        Facts { lasting_by_setting: lasting, is_memory_limited: settings.memory_limit > 0, ..Facts::default() }
    }

    pub(crate) fn link(&self, link: LinkId) -> &Link {
        &self.links[link.0]
    }

    pub(crate) fn session_of(&self, link: LinkId) -> Option<&Session> {
        self.link(link).session.map(|session| &self.sessions[session])
    }

    /// The client's present connection may not take a message of this size. [MQTT-3.1.2-25]
    pub(crate) fn may_be_too_large(&self, session: &Session, message: &Message) -> bool {
        let size = message.size + message.topic.len() + ROOM_FOR_PROPERTIES;
        let of_session = session.links.iter().map(|link| self.link(*link));
        of_session.chain(self.unanswered(&session.client)).any(|link| size > link.packet_size_max() as usize)
    }

    /// Connections whose CONNECT was read and never answered.
    pub(crate) fn unanswered(&self, client: &str) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.unanswered && link.client == client)
    }

    /// The smallest Maximum Packet Size that the broker may have heard of since the connection `since`.
    pub(crate) fn packet_size_min(&self, link: LinkId, since: LinkId) -> u32 {
        let accepted = self.link(since).accepted.unwrap_or_default();
        let is_later = |other: &&Link| other.ended.is_some_and(|(ended, _)| ended.number > accepted.number);
        let unanswered = self.unanswered(&self.link(link).client).filter(is_later).map(Link::packet_size_max);
        unanswered.min().unwrap_or(u32::MAX).min(self.link(link).packet_size_max())
    }

    /// The session is there, its client is connected, and nothing can be missing for any other reason.
    pub(crate) fn is_settled(&self, session: &Session) -> bool {
        session.ended.is_none() && session.link.is_some_and(|link| self.link(link).is_live())
    }

    /// The last session of a client, ended or not.
    pub(crate) fn latest_session(&self, client: &str) -> Option<usize> {
        self.current.get(client).copied()
    }

    /// Takes an event; gives back the events that became effective, in order.
    pub(crate) fn admit(&mut self, event: Event) -> Vec<Event> {
        while self.links.len() <= event.link.0 {
            self.links.push(Link { opened: event.moment, ..Link::default() });
        }
        let link = &mut self.links[event.link.0];
        match &event.what {
            What::In(Seen::Connect(_)) if link.connect.is_none() => vec![event],
            What::In(..) if link.ended.is_some() || link.closed => Vec::new(),
            What::In(..) if link.accepted.is_none() => {
                link.waiting.push(event);
                Vec::new()
            }
            What::Out(Seen::ConnAck(SeenConnAck { reason: 0, .. }), _) => {
                let moment = event.moment;
                let waiting = std::mem::take(&mut link.waiting);
                let mut events = vec![event];
                events.extend(waiting.into_iter().map(|event| Event { moment, early: Some(event.moment), ..event }));
                events
            }
            _ => vec![event],
        }
    }

    /// Writes one effective event into the book.
    pub(crate) fn note(&mut self, event: &Event) {
        let (link, moment) = (event.link, event.moment);
        match &event.what {
            What::Opened => self.links[link.0].opened = moment,
            What::In(seen) => {
                self.links[link.0].last_in = event.early.unwrap_or(moment);
                let key = self.note_in(link, moment, seen);
                if let (Some(early), Some(message)) = (event.early, key.and_then(|key| self.messages.get_mut(&key))) {
                    (message.first, message.early) = (early.min(message.first), true);
                    if message.qos == 0 && self.store_refused {
                        // The store may have refused it before CONNACK was sent.
                        message.acknowledged = None;
                    }
                }
            }
            What::Out(seen, _) => self.note_out(link, moment, seen),
            What::Garbled(_) => {}
            What::NetworkClosed => {
                self.leave_unanswered(link, moment);
                self.end(link, moment, Ending::Network, true);
            }
            What::Crashed => {
                self.leave_unanswered(link, moment);
                self.end(link, moment, Ending::Crash, true);
            }
            What::BrokerClosed => {
                self.leave_unanswered(link, moment);
                self.forget_unread(link, moment);
                if let Some((ended, Ending::Disconnect(_))) = self.links[link.0].ended
                    && ended.turn == moment.turn
                {
                    // Perhaps it closed for another reason, before it came to DISCONNECT.
                    self.links[link.0].ended_again = Some(moment);
                    if self.links[link.0].said_disconnect.is_some() {
                        self.keep_lasting(link);
                    }
                }
                let ending = if !self.links[link.0].refused && self.is_wanted(link) {
                    Ending::TakenOver
                } else {
                    Ending::Broker
                };
                self.end(link, moment, ending, true);
            }
        }
    }

    /// Gives the name of a message.
    fn note_in(&mut self, link: LinkId, moment: Moment, seen: &Seen) -> Option<u64> {
        if self.links[link.0].ended.is_some() {
            return None;
        }
        match seen {
            Seen::Connect(connect) => {
                let entry = &mut self.links[link.0];
                entry.client.clone_from(&connect.client_id);
                entry.keep_alive = connect.keep_alive;
                entry.connect = Some((**connect).clone());
                entry.asked = moment.at;
            }
            Seen::Publish(publish) => return self.note_publish(link, moment, publish),
            Seen::Subscribe { id, identifier, filters } => {
                self.note_subscribe(link, moment, *id, *identifier, filters);
            }
            Seen::Unsubscribe { id, filters } => self.note_unsubscribe(link, moment, *id, filters),
            Seen::Ack { kind: PacketType::PubComp, id, .. } => {
                if let Some(session) = self.links[link.0].session {
                    self.sessions[session].outgoing.remove(id);
                }
            }
            Seen::Disconnect { reason, session_expiry } => {
                if let (Some(session), Some(expiry)) = (self.links[link.0].session, session_expiry) {
                    self.links[link.0].lasting_before = Some(self.sessions[session].lasting);
                    self.sessions[session].lasting = self.lasting_granted(*expiry);
                }
                self.end(link, moment, Ending::Disconnect(*reason), false);
            }
            _ => {}
        }
        None
    }

    fn note_out(&mut self, link: LinkId, moment: Moment, seen: &Seen) {
        match seen {
            Seen::ConnAck(connack) if connack.reason != 0 => self.links[link.0].refused = true,
            Seen::ConnAck(connack) => self.note_accepted(link, moment, connack),
            Seen::Publish(publish) => self.note_delivery(link, moment, publish),
            Seen::Ack { kind: PacketType::PubAck | PacketType::PubRec, id, reason } => {
                self.note_acknowledged(link, moment, *id, *reason, seen);
            }
            Seen::Ack { kind: PacketType::PubComp, id, .. } => {
                let Some(session) = self.links[link.0].session else { return };
                let key = self.sessions[session].incoming.remove(id);
                if let Some(message) = key.and_then(|key| self.messages.get_mut(&key)) {
                    message.routed.get_or_insert(moment);
                }
            }
            Seen::SubAck { id, codes } => self.note_suback(link, moment, *id, codes),
            Seen::UnsubAck { id, .. } => {
                let Some(session) = self.links[link.0].session else { return };
                for subscription in &mut self.sessions[session].subscriptions {
                    let is_answer = subscription.unsubscribe == Some((link, *id));
                    if is_answer && !subscription.replaced && subscription.left.is_none() {
                        subscription.left = Some(moment);
                    }
                }
            }
            Seen::Disconnect { reason, .. } => self.links[link.0].said_disconnect = Some(*reason),
            _ => {}
        }
    }

    fn note_accepted(&mut self, link: LinkId, moment: Moment, connack: &SeenConnAck) {
        let entry = &mut self.links[link.0];
        let Some(connect) = entry.connect.clone() else { return };
        if let Some(assigned) = &connack.assigned {
            entry.client.clone_from(assigned);
        }
        entry.keep_alive = connack.keep_alive.unwrap_or(entry.keep_alive);
        let client = entry.client.clone();
        let prior = self.current.get(&client).copied();
        if let Some(old) = prior.and_then(|prior| self.sessions[prior].link).filter(|old| *old != link) {
            self.end(old, moment, Ending::TakenOver, false);
        }
        let asked = self.links[link.0].asked;
        let expected = self.present_expected(&client, prior, connect.clean_start, (asked, moment.at));
        self.links[link.0].present_expected = expected;
        // MQTT 3.1 has no session present flag: there only the rules can tell.
        let is_unsaid = connect.version == Version::V31;
        let may_be_present = expected != Some(false) && !connect.clean_start;
        let present = if is_unsaid { may_be_present } else { connack.present };
        let session = match prior {
            Some(prior) if present && self.sessions[prior].ended.is_none() => {
                if (is_unsaid && expected.is_none()) || self.may_be_another(prior) {
                    self.doubt_contents(prior, moment);
                }
                prior
            }
            _ => {
                if let Some(prior) = prior {
                    self.end_session(prior, moment);
                    self.sessions[prior].gone_since = Some(self.links[link.0].asked);
                }
                self.sessions.push(Session::new(&client));
                self.sessions.len() - 1
            }
        };
        self.expired.remove(&client);
        self.current.insert(client, session);
        let lasting_asked = self.lasting_asked(&connect);
        let entry = &mut self.sessions[session];
        entry.link = Some(link);
        entry.links.push(link);
        entry.offline_since = None;
        entry.is_doubtful = false;
        entry.lasting = connack.session_expiry.map_or(lasting_asked, lasting);
        let entry = &mut self.links[link.0];
        entry.session = Some(session);
        entry.accepted = Some(moment);
        self.note_will(link, moment, session, &connect);
    }

    /// What CONNACK has to say; the broker looked for the session at some time since the CONNECT came. [MQTT-3.2.2-2] [MQTT-3.2.2-3]
    fn present_expected(
        &self,
        client: &str,
        prior: Option<usize>,
        clean_start: bool,
        (asked, now): (u64, u64),
    ) -> Option<bool> {
        if clean_start {
            return Some(false);
        }
        let Some(prior) = prior.map(|prior| &self.sessions[prior]) else {
            return if self.is_unclear_since(client, Moment::default()) { None } else { Some(false) };
        };
        if prior.ended.is_some() && !prior.is_doubtful {
            return Some(false);
        }
        match self.expires_between(prior) {
            _ if prior.is_doubtful => None,
            Some((_, at)) if asked >= at + TOLERANCE_MILLIS => Some(false),
            Some((at, _)) if now >= at => None,
            _ => Some(true),
        }
    }

    /// When an offline session's time is over: at the earliest and at the latest.
    fn expires_between(&self, session: &Session) -> Option<(u64, u64)> {
        let (Some(since), Lasting::Millis(millis)) = (session.offline_since, session.lasting) else { return None };
        let again = session.links.last().and_then(|link| self.link(*link).ended_again);
        Some((since.at + millis, again.unwrap_or(since).at + millis))
    }

    /// The session that the client finds need not be the one that it left: that has ended, and a CONNECT that was never answered has
    /// begun another. The client cannot tell the two apart, and no broker can help it.
    fn may_be_another(&self, prior: usize) -> bool {
        let session = &self.sessions[prior];
        let (Some(since), true) = (session.offline_since, session.is_doubtful) else { return false };
        let mut ends_at = self.expires_between(session).map_or(u64::MAX, |(at, _)| at);
        for link in self.unanswered(&session.client) {
            let (Some(connect), Some((ended, _))) = (&link.connect, link.ended) else { continue };
            if ended.number <= since.number {
                continue;
            }
            if connect.clean_start || ends_at <= ended.at {
                return true;
            }
            if let Lasting::Millis(millis) = self.lasting_asked(connect) {
                ends_at = ends_at.min(ended.at + millis);
            }
        }
        false
    }

    /// How long a session lasts by its CONNECT.
    fn lasting_asked(&self, connect: &SeenConnect) -> Lasting {
        match connect.version {
            Version::V5 => self.lasting_granted(connect.session_expiry.unwrap_or(0)),
            _ if connect.clean_start => Lasting::Millis(0),
            _ => self.lasting_by_setting.unwrap_or(Lasting::Forever),
        }
    }

    /// How long a session of MQTT 5.0 lasts that asks for this.
    fn lasting_granted(&self, seconds: u32) -> Lasting {
        match (lasting(seconds), self.lasting_by_setting) {
            (Lasting::Millis(asked), Some(Lasting::Millis(most))) => Lasting::Millis(asked.min(most)),
            (Lasting::Forever, Some(most)) => most,
            (asked, _) => asked,
        }
    }

    /// The broker says that the session of this client has ended because it stayed away for too long. When it should have is
    /// checked by what the client is told; it matters where the client is told nothing.
    pub(crate) fn note_expired(&mut self, client: &str) {
        self.expired.insert(client.to_owned());
    }

    /// Whatever was in the session may be there still or not.
    fn doubt_contents(&mut self, session: usize, moment: Moment) {
        let session = &mut self.sessions[session];
        session.perhaps_another = Some(moment);
        session.subscriptions.iter_mut().for_each(|subscription| subscription.is_doubtful = true);
        for key in session.incoming.values() {
            // Sent again, it is another message for another session.
            if let Some(message) = self.messages.get_mut(key) {
                message.sessions_differ = true;
            }
        }
    }

    /// A connection ends before its CONNACK. The broker may have done for that CONNECT whatever there was to do: begun a
    /// session or gone on with it, kept the will, taken messages that stood behind it.
    fn leave_unanswered(&mut self, link: LinkId, moment: Moment) {
        let entry = &mut self.links[link.0];
        // A CONNACK that waited for a store which failed is a refusal in the end.
        if entry.accepted.is_some() || entry.closed || (entry.refused && !self.store_refused) {
            return;
        }
        let Some(connect) = entry.connect.clone() else { return };
        entry.unanswered = true;
        let waiting = std::mem::take(&mut entry.waiting);
        if let Some(session) = self.current.get(&connect.client_id).copied() {
            self.sessions[session].is_doubtful = true;
            // Another one may have begun, and nobody has told the client.
            if self.expired.remove(&connect.client_id) {
                self.doubt_contents(session, moment);
            }
        }
        let session = self.sessions.len();
        self.sessions.push(Session { ended: Some(moment), ..Session::new(&connect.client_id) });
        self.links[link.0].session = Some(session);
        self.note_will(link, moment, session, &connect);
        for event in waiting {
            if let What::In(Seen::Publish(publish)) = &event.what {
                self.note_publish(link, event.moment, publish);
            }
        }
        for message in self.messages.values_mut().filter(|message| message.session == session) {
            (message.acknowledged, message.routed) = (None, message.routed.map(|_| moment));
            // It was heard when the broker came to that CONNECT.
            (message.last, message.early) = (moment, true);
        }
    }

    fn note_will(&mut self, link: LinkId, moment: Moment, session: usize, connect: &SeenConnect) {
        let Some(will) = &connect.will else { return };
        let Some(key) = key_of(&will.payload) else { return };
        self.links[link.0].will = Some(key);
        self.messages.insert(
            key,
            Message {
                topic: will.topic.clone(),
                qos: will.qos as u8,
                retain: will.retain,
                empty: false,
                size: will.payload.len(),
                client: connect.client_id.clone(),
                session,
                will_of: Some(link),
                will_delay: u64::from(will.delay_seconds) * 1000,
                expiry: will.expiry,
                carried: will.carried.clone(),
                version: connect.version,
                first: moment,
                last: moment,
                sends: 1,
                early: false,
                acknowledged: None,
                refused: false,
                was_refused: false,
                may_be_kept: false,
                routed: None,
                went_with_session: false,
                past: false,
                sessions_differ: false,
                versions_differ: false,
            },
        );
    }

    /// Gives the message's name.
    fn note_publish(&mut self, link: LinkId, moment: Moment, publish: &SeenPublish) -> Option<u64> {
        let entry = &mut self.links[link.0];
        let session = entry.session?;
        let version = entry.version();
        let client = entry.client.clone();
        let topic = resolve(&mut entry.in_aliases, publish);
        let pending = self.sessions[session].incoming.get(&publish.id).copied();
        let key = key_of(&publish.payload)
            .or(pending.filter(|_| publish.id != 0 && publish.payload.is_empty()))
            .unwrap_or_else(|| {
                self.empties += 1;
                EMPTY_KEYS + self.empties
            });
        if publish.id != 0 {
            self.sessions[session].incoming.insert(publish.id, key);
        }
        // At QoS 0 nobody is told that there is no room for a retained message.
        let may_be_dropped = self.store_refuses || (publish.retain && self.is_memory_limited);
        let routed = (publish.id == 0).then_some(moment);
        let acknowledged = routed.filter(|_| !may_be_dropped);
        self.messages
            .entry(key)
            .and_modify(|message| {
                message.sends += 1;
                // What acknowledged it was a refusal, which says nothing of this time.
                message.acknowledged = message.acknowledged.filter(|_| !message.refused);
                message.refused = false;
                message.last = moment;
                message.routed = routed;
                message.sessions_differ |= message.session != session;
                message.versions_differ |= message.version != version;
            })
            .or_insert_with(|| Message {
                topic,
                qos: publish.qos as u8,
                retain: publish.retain,
                empty: publish.payload.is_empty(),
                size: publish.payload.len(),
                client,
                session,
                will_of: None,
                will_delay: 0,
                expiry: publish.expiry,
                carried: publish.carried.clone(),
                version,
                first: moment,
                last: moment,
                sends: 1,
                early: false,
                acknowledged,
                refused: false,
                was_refused: false,
                may_be_kept: false,
                routed,
                went_with_session: false,
                past: false,
                sessions_differ: false,
                versions_differ: false,
            });
        Some(key)
    }

    fn note_acknowledged(&mut self, link: LinkId, moment: Moment, id: u16, reason: u8, seen: &Seen) {
        let Some(session) = self.links[link.0].session else { return };
        let Some(key) = self.sessions[session].incoming.get(&id).copied() else { return };
        // A QoS 2 identifier stays taken until PUBREL, unless PUBREC refused the message. [MQTT-4.3.3-9]
        let finished = matches!(seen, Seen::Ack { kind: PacketType::PubAck, .. }) || reason >= 0x80;
        if finished {
            self.sessions[session].incoming.remove(&id);
        }
        if let Some(message) = self.messages.get_mut(&key) {
            message.refused |= reason >= 0x80;
            message.was_refused |= message.refused;
            message.acknowledged.get_or_insert(moment);
            message.may_be_kept |= message.refused && self.store_refused;
            // If it is, a QoS 2 message goes its way when its session ends.
            if finished && !(message.may_be_kept && message.qos == 2) {
                message.routed.get_or_insert(moment);
            }
        }
    }

    fn note_subscribe(
        &mut self,
        link: LinkId,
        moment: Moment,
        packet: u16,
        identifier: Option<u32>,
        filters: &[(String, SubscribeOptions)],
    ) {
        let Some(session) = self.links[link.0].session else { return };
        for (place, (filter, options)) in filters.iter().enumerate() {
            let (share, inner) = split_share(filter);
            let subscriptions = &mut self.sessions[session].subscriptions;
            let was_new = new_before(subscriptions, filter);
            for old in subscriptions.iter_mut().filter(|old| old.filter == *filter) {
                old.leaving.get_or_insert(moment);
                // An UNSUBSCRIBE whose answer got lost is overtaken by the new request.
                old.replaced |= old.left.is_none();
            }
            subscriptions.push(Subscription {
                filter: filter.clone(),
                share,
                inner,
                options: *options,
                identifier,
                link,
                packet,
                place,
                asked: moment,
                granted: None,
                refused: false,
                was_new,
                leaving: None,
                left: None,
                unsubscribed: false,
                unsubscribe: None,
                replaced: false,
                past: false,
                is_doubtful: false,
            });
        }
    }

    fn note_suback(&mut self, link: LinkId, moment: Moment, packet: u16, codes: &[u8]) {
        let Some(session) = self.links[link.0].session else { return };
        let subscriptions = &mut self.sessions[session].subscriptions;
        for index in 0..subscriptions.len() {
            let entry = &mut subscriptions[index];
            if entry.link != link || entry.packet != packet || entry.granted.is_some() || entry.refused {
                continue;
            }
            match codes.get(entry.place) {
                Some(&qos) if qos <= 2 => entry.granted = Some((moment, qos)),
                _ => entry.refused = true,
            }
            let (filter, refused) = (entry.filter.clone(), entry.refused);
            for old in subscriptions[..index].iter_mut().filter(|old| old.filter == filter && old.left.is_none()) {
                if !refused {
                    old.left = Some(moment);
                }
            }
        }
    }

    fn note_unsubscribe(&mut self, link: LinkId, moment: Moment, packet: u16, filters: &[String]) {
        let Some(session) = self.links[link.0].session else { return };
        for subscription in &mut self.sessions[session].subscriptions {
            if subscription.left.is_none() && filters.contains(&subscription.filter) {
                subscription.leaving.get_or_insert(moment);
                subscription.unsubscribed = true;
                subscription.unsubscribe = Some((link, packet));
                subscription.replaced = false;
            }
        }
    }

    fn note_delivery(&mut self, link: LinkId, moment: Moment, publish: &SeenPublish) {
        let entry = &mut self.links[link.0];
        let topic = resolve(&mut entry.out_aliases, publish);
        let Some(session) = entry.session else { return };
        let key = key_of(&publish.payload);
        let entry = &mut self.sessions[session];
        let is_old = || entry.deliveries.iter().any(|delivery| delivery.key == key);
        let is_past = || key.is_some_and(|key| !self.messages.contains_key(&key));
        // A broker that kept the identifier and lost the connection before the packet left says DUP though nobody saw it.
        let mut dup = publish.dup && (is_old() || is_past() || key.is_none());
        if publish.qos == QoS::ExactlyOnce {
            // After a crash the broker need not know that it was sent; the client knows by its identifier.
            dup |= entry.outgoing.insert(publish.id, key) == Some(key) && key.is_some();
        }
        self.sessions[session].deliveries.push(Delivery {
            moment,
            link,
            key,
            topic,
            qos: publish.qos as u8,
            retain: publish.retain,
            dup,
            identifiers: publish.identifiers.clone(),
            carried: publish.carried.clone(),
        });
        if let Some(message) = key.and_then(|key| self.messages.get_mut(&key))
            && message.will_of.is_some()
        {
            message.acknowledged.get_or_insert(moment);
            message.routed.get_or_insert(moment);
        }
    }

    /// Another connection of the same client waits for its CONNACK.
    fn is_wanted(&self, link: LinkId) -> bool {
        let Link { client, said_disconnect, .. } = &self.links[link.0];
        let other_reason = said_disconnect.is_some_and(|reason| reason != SESSION_TAKEN_OVER);
        !other_reason
            && self.links.iter().any(|other| {
                let waits = other.connect.is_some() && other.accepted.is_none() && !other.refused && !other.closed;
                waits && other.client == *client
            })
    }

    /// When the broker itself ends a connection, what came in the same turn may not have been looked at any more.
    fn forget_unread(&mut self, link: LinkId, moment: Moment) {
        let Link { ended: None | Some((_, Ending::TakenOver)), session: Some(session), .. } = self.links[link.0] else {
            return;
        };
        for message in self.messages.values_mut() {
            if message.qos == 0 && message.session == session && message.last.turn == moment.turn {
                message.acknowledged = None;
            }
        }
    }

    fn end(&mut self, link: LinkId, moment: Moment, ending: Ending, closed: bool) {
        let entry = &mut self.links[link.0];
        entry.closed |= closed;
        if entry.ended.is_some() {
            return;
        }
        entry.ended = Some((moment, ending));
        if let Some(message) = entry.will.and_then(|key| self.messages.get_mut(&key)) {
            (message.first, message.last) = (moment, moment);
        }
        let Some(session) = entry.session else { return };
        let session = &mut self.sessions[session];
        if session.link != Some(link) {
            return;
        }
        for key in session.incoming.values() {
            let unanswered = |message: &&mut Message| message.qos == 1 && message.acknowledged.is_none();
            if let Some(message) = self.messages.get_mut(key).filter(unanswered) {
                message.routed = Some(moment);
            }
        }
        self.links[link.0].lasting_at_end = Some(session.lasting);
        session.link = None;
        session.offline_since = Some(moment);
        if session.lasting == Lasting::Millis(0)
            && let Some(session) = self.links[link.0].session
        {
            self.end_session(session, moment);
        }
    }

    fn end_session(&mut self, session: usize, moment: Moment) {
        let session = &mut self.sessions[session];
        if session.ended.is_some() {
            return;
        }
        session.ended = Some(moment);
        for (_, key) in session.incoming.drain() {
            if let Some(message) = self.messages.get_mut(&key) {
                message.went_with_session |= message.routed.is_none();
                message.routed.get_or_insert(moment);
            }
        }
    }

    /// Forgets what no rule will ask about again: everything but what may be retained, the wills to come, and the
    /// subscriptions that last.
    ///
    /// Not while a client is kept out, as one is whose queue is full again and again: its messages are still to come.
    pub(crate) fn forget_past(&mut self) {
        if self.sessions.iter().any(|session| session.ended.is_none() && !self.is_settled(session)) {
            return;
        }
        let mut latest: HashMap<String, Moment> = HashMap::new();
        for message in self.messages.values().filter(|message| message.retain && message.is_certain()) {
            let latest = latest.entry(message.topic.clone()).or_default();
            *latest = message.first.max(*latest);
        }
        self.messages.retain(|_, message| {
            let waits = message.may_be_kept && message.routed.is_none();
            let to_come = message.will_of.is_some() && message.acknowledged.is_none()
                || waits && self.sessions[message.session].ended.is_none();
            to_come || (message.retain && !latest.get(&message.topic).is_some_and(|at| message.until().precedes(*at)))
        });
        for message in self.messages.values_mut() {
            message.past = message.routed.is_some() || message.may_be_kept;
        }
        for session in &mut self.sessions {
            session.deliveries.retain(|delivery| {
                delivery.key.and_then(|key| self.messages.get(&key)).is_some_and(|message| !message.past)
            });
            session.subscriptions.iter_mut().for_each(|subscription| subscription.past = true);
            // What is asked about a message once more is asked by the subscriptions that it may have met.
            let may_be_asked = |subscription: &Subscription| {
                let mut left = self.messages.values().filter(|message| !message.past && message.will_of.is_none());
                left.any(|message| {
                    subscription.matches(&message.topic) && subscription.may_see(message.first, message.until())
                })
            };
            session.subscriptions.retain(|subscription| {
                !subscription.refused && (subscription.left.is_none() || may_be_asked(subscription))
            });
        }
    }
}

fn lasting(seconds: u32) -> Lasting {
    if seconds == u32::MAX { Lasting::Forever } else { Lasting::Millis(u64::from(seconds) * 1000) }
}

/// Whether a subscription to the filter would be a new one: not known while an answer is outstanding.
fn new_before(subscriptions: &[Subscription], filter: &str) -> Option<bool> {
    let same = || subscriptions.iter().filter(|old| old.filter == filter && !old.refused);
    if same().any(|old| old.granted.is_some() && old.leaving.is_none() && !old.is_doubtful) {
        return Some(false);
    }
    if same().all(|old| old.left.is_some()) { Some(true) } else { None }
}

/// The topic of a PUBLISH, with the alias looked up or noted. An unknown alias gives an empty topic.
fn resolve(aliases: &mut HashMap<u16, String>, publish: &SeenPublish) -> String {
    match publish.alias {
        Some(alias) if publish.topic.is_empty() => aliases.get(&alias).cloned().unwrap_or_default(),
        Some(alias) => {
            aliases.insert(alias, publish.topic.clone());
            publish.topic.clone()
        }
        None => publish.topic.clone(),
    }
}

/// The name that a payload begins with.
pub(crate) fn key_of(payload: &[u8]) -> Option<u64> {
    let rest = payload.strip_prefix(b"m")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// A payload with a name, `size` bytes long if there is room for it.
pub(crate) fn payload_of(key: u64, size: usize) -> Vec<u8> {
    let mut payload = format!("m{key}.").into_bytes();
    payload.resize(size.max(payload.len()), b'.');
    payload
}
