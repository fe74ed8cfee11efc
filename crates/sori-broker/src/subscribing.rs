//! SUBSCRIBE and UNSUBSCRIBE. MQTT 5.0 sections 3.8 to 3.11.

use crate::access::Action;
use crate::budget::DELIVERIES_OF_A_FILTER;
use crate::event::Event;
use crate::explaining::Teller;
use crate::ids::ConnectionId;
use crate::in_parts::Progress;
use crate::index::Place;
use crate::reads::RetainedRead;
use crate::session::SessionKey;
use crate::shard::Shard;
use crate::subscription::{Options, Subscriber};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{
    PacketType, Properties, PropertyBuffer, ReasonCode, RetainHandling, SubAck, Subscribe, SubscribeFilters,
    SubscribeOptions, TopicFilter, UnsubAck, Unsubscribe, UnsubscribeFilters, Version,
};

/// Filters of one packet that are put into the index, or taken out, at a time: the other shards wait so long for it, and that is still less than
/// what taking the index for each of them costs.
const FILTERS_IN_A_GO: usize = 32;

/// A subscription that a client asks for.
struct Wanted<'a> {
    filter: Option<TopicFilter<'a>>,
    options: SubscribeOptions,
    /// Why it does not get it.
    refusal: Option<ReasonCode>,
    found: Option<Found>,
}

/// What came of it in the index.
struct Found {
    place: Place,
    is_new: bool,
    /// There may be retained messages to be read, up to this version.
    reads: Option<u64>,
}

/// A subscription that a client gives up.
struct Unwanted<'a> {
    /// `None` when it has been refused.
    filter: Option<TopicFilter<'a>>,
    code: ReasonCode,
    /// Where it stood in the index.
    place: Option<Place>,
}

impl Shard {
    /// [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1] [MQTT-2.2.1-6] [MQTT311-3.8.4-1]
    /// [MQTT311-3.8.4-2] [MQTT311-3.8.4-4] [MQTT311-3.8.4-5] [MQTT311-3.9.3-1] [MQTT311-2.3.1-7]
    pub(crate) fn handle_subscribe(&mut self, id: ConnectionId, subscribe: &Subscribe<'_>) {
        let mut count = 0;
        for (filter, _) in subscribe.filters() {
            if self.has_too_many_levels(filter.as_str()) {
                return self.violated(id, ReasonCode::MalformedPacket, "a topic filter with too many levels");
            }
            count += 1;
        }
        if !self.may_answer(id, count) {
            return self.violated(
                id,
                ReasonCode::PacketTooLarge,
                "its Maximum Packet Size is too small for the SUBACK",
            );
        }
        let identifier = subscribe.properties.subscription_identifier().unwrap_or(0);
        let mut progress = Progress::new(PacketType::SubAck, subscribe.packet_id, identifier);
        let left = self.subscribe_some(id, &mut progress, subscribe.filters());
        self.conclude_part(id, progress, left);
    }

    /// As many filters as one call may handle; gives those that are left.
    pub(crate) fn subscribe_some<'a>(
        &mut self,
        id: ConnectionId,
        progress: &mut Progress,
        mut left: SubscribeFilters<'a>,
    ) -> &'a [u8] {
        let Some(c) = self.connection(id) else { return &[] };
        let (key, version, listener) = (c.session, c.version, Arc::clone(&c.listener));
        let (mount, qos_max) = (listener.mount_point.as_deref(), listener.qos_max);
        let mark = self.recorder.mark();
        let may_change = !self.is_change_refused(key);
        loop {
            let mounted = mounted_filters(mount, left.clone().map(|(filter, _)| filter));
            let some = left.by_ref().take(FILTERS_IN_A_GO).enumerate().map(|(at, (filter, options))| {
                let filter = mounted.get(at).map_or(Ok(filter), |mounted| TopicFilter::new(mounted));
                let refusal = filter.is_err().then_some(ReasonCode::TopicFilterInvalid);
                // A listener's highest QoS holds in both directions.
                let options = SubscribeOptions { qos: options.qos.min(qos_max), ..options };
                Wanted { filter: filter.ok(), options, refusal, found: None }
            });
            let mut some: Vec<Wanted<'_>> = some.collect();
            if some.is_empty() {
                break;
            }
            self.subscribe(key, &mut some, progress.identifier, may_change);
            // MQTT 3.1 has no code for failure; [MQTT-3.9.3-2] [MQTT311-3.9.3-2] are kept by the two others.
            progress.codes.extend(some.iter().map(|wanted| match (version, wanted.refusal) {
                (Version::V31, Some(_)) => 0,
                (Version::V311, Some(_)) => 0x80,
                (_, Some(code)) => code.value(),
                (_, None) => ReasonCode::granted(wanted.options.qos).value(),
            }));
            if self.has_handled(some.len()) {
                break;
            }
        }
        progress.has_recorded |= self.recorder.mark() != mark;
        progress.is_store_short |= !may_change;
        left.as_received()
    }

    /// So many filters were handled in this call. True: others should be heard before it goes on.
    fn has_handled(&mut self, filters: usize) -> bool {
        self.deliveries += filters * DELIVERIES_OF_A_FILTER;
        self.has_delivered_much()
    }

    /// All filters have been handled.
    pub(crate) fn acknowledge_filters(&mut self, id: ConnectionId, progress: &Progress) {
        let Some(c) = self.connection(id).filter(|c| c.is_open()) else { return };
        let (key, codes) = (c.session, &*progress.codes);
        let (packet_id, properties) = (progress.packet_id, Properties::EMPTY);
        if progress.kind == PacketType::SubAck {
            if progress.is_store_short && codes.iter().any(|code| *code >= 0x80) {
                self.note_refused_by_store(key, "the store has no room, or has failed");
            }
            let mut suback = SubAck { packet_id, properties, reason_codes: codes };
            let why = self.refusal(id, codes, suback.encoded_len(Version::V5));
            suback.properties = why.as_properties();
            self.send_acknowledgement(id, progress, |version, out| suback.encode(version, out));
        } else {
            let mut unsuback = UnsubAck { packet_id, properties, reason_codes: codes };
            let why = self.refusal(id, codes, unsuback.encoded_len(Version::V5));
            unsuback.properties = why.as_properties();
            self.send_acknowledgement(id, progress, |version, out| unsuback.encode(version, out));
        }
        // Retained messages follow the SUBACK, and a read that held up those behind it may be gone by an UNSUBSCRIBE.
        self.pump(key);
    }

    /// A change of the subscriptions of a session that outlives its connection needs the store.
    fn is_change_refused(&self, key: SessionKey) -> bool {
        let is_persistent = self.sessions.get(key.slot, key.generation).is_some_and(|session| session.is_persistent());
        is_persistent && self.refuses_to_keep()
    }

    /// Is an answer with so many reason codes within the client's Maximum Packet Size? [MQTT-3.1.2-24]
    fn may_answer(&self, id: ConnectionId, codes: usize) -> bool {
        // Fixed header, packet identifier and an empty property length.
        let length = 1 + sori_mqtt::variable_byte_integer_len(codes as u32 + 3) + 3 + codes;
        self.connections.get(id.slot, id.generation).is_some_and(|c| c.takes(length))
    }

    /// The Reason String of a SUBACK or UNSUBACK in which something was refused: which filter it was.
    fn refusal(&self, id: ConnectionId, codes: &[u8], length: usize) -> PropertyBuffer {
        match codes.iter().position(|code| *code >= 0x80) {
            None => PropertyBuffer::new(),
            Some(at) => {
                let text = format!("topic filter number {} was refused", at + 1);
                self.explanation(id, Teller::Acknowledgement, &text, length)
            }
        }
    }

    /// Each is granted, or has its refusal afterwards. [MQTT-3.8.4-7] [MQTT-3.2.2-10]
    fn subscribe(&mut self, key: SessionKey, all: &mut [Wanted<'_>], identifier: u32, may_change: bool) {
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return all.iter_mut().for_each(|wanted| wanted.refusal = Some(ReasonCode::UnspecifiedError));
        };
        if !self.is_unrestricted {
            let may = |filter: TopicFilter<'_>| {
                self.access.may(&session.identity, &session.client_id, Action::Subscribe, filter.filter())
            };
            for wanted in all.iter_mut().filter(|wanted| wanted.refusal.is_none()) {
                if !wanted.filter.is_some_and(may) {
                    wanted.refusal = Some(ReasonCode::NotAuthorized);
                }
            }
        }
        let is_durable = session.is_persistent() && self.settings.keeps_records;
        if all.iter().any(|wanted| wanted.refusal.is_none()) {
            self.put_in_index(key, all, (identifier, is_durable), may_change);
        }
        for wanted in all.iter().filter(|wanted| wanted.refusal.is_none()) {
            self.note_subscription(key, wanted, identifier, may_change);
        }
    }

    /// Without `may_change` only what stands there already, and so needs no record, is granted: clients ask for it each time they come.
    fn put_in_index(
        &mut self,
        key: SessionKey,
        all: &mut [Wanted<'_>],
        (identifier, is_durable): (u32, bool),
        may_change: bool,
    ) {
        let (me, limit) = (self.session_ref(key), self.settings.memory_limit);
        let filters = all.iter().filter_map(|wanted| wanted.filter);
        let bytes = filters.map(|filter| filter.as_str().len() as u64).sum();
        // Each finds out for itself whether there is room.
        self.has_memory_to_keep(bytes);
        let space = Arc::clone(&self.space);
        self.space.write_index(&mut |index| {
            for wanted in all.iter_mut().filter(|wanted| wanted.refusal.is_none()) {
                let (Some(filter), options) = (wanted.filter, wanted.options) else { continue };
                if limit > 0 && space.memory_used() + filter.as_str().len() as u64 > limit {
                    wanted.refusal = Some(ReasonCode::QuotaExceeded);
                    continue;
                }
                let old = index.find(filter, me);
                let mut until = 0;
                let mut reads = reads_retained(filter, options.retain_handling, old.is_none());
                if reads {
                    // Read under the lock of the index: whatever is stored later is matched with this subscription.
                    space.retained(&mut |retained| {
                        until = retained.version();
                        reads = retained.may_have(filter);
                    });
                }
                let subscriber = Subscriber {
                    // A subscription that is only replaced misses nothing of what is on its way. [MQTT-3.8.4-4]
                    since: old.map_or(until, |(_, old)| old.since),
                    session: me,
                    identifier,
                    options: Options::new(options.qos, options.no_local, options.retain_as_published)
                        .with_durable(is_durable),
                };
                let is_known = old.is_some_and(|(_, old)| old == subscriber);
                if !may_change && (reads || !is_known) {
                    wanted.refusal = Some(ReasonCode::QuotaExceeded);
                    continue;
                }
                let (place, old) = index.insert(filter, subscriber);
                wanted.found = Some(Found { place, is_new: old.is_none(), reads: reads.then_some(until) });
            }
        });
        self.generation = self.space.generation();
    }

    /// Without `may_change` it is one that the records know.
    fn note_subscription(&mut self, key: SessionKey, wanted: &Wanted<'_>, identifier: u32, may_change: bool) {
        let me = self.session_ref(key);
        let (Some(filter), Some(found), options) = (wanted.filter, &wanted.found, wanted.options) else { return };
        let report = self.settings.report_subscriptions;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        if found.is_new {
            session.places.insert(found.place);
            session.was_member |= found.place.group.is_some();
        }
        if may_change {
            self.recorder.note_subscribed(me, session, filter.as_str(), options, identifier);
        }
        if let Some(until) = found.reads {
            session.reads.want(RetainedRead {
                number: 0,
                place: found.place,
                filter: Box::from(filter.as_str()),
                granted: options.qos,
                identifier,
                until,
                after: None,
            });
        }
        if report {
            let client_id = Arc::clone(&session.client_id);
            self.event(Event::Subscribed { client_id, filter: Box::from(filter.as_str()), qos: options.qos });
        }
    }

    /// [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2] [MQTT311-3.10.4-4]
    /// [MQTT311-3.10.4-5] [MQTT311-3.10.4-6]
    pub(crate) fn handle_unsubscribe(&mut self, id: ConnectionId, unsubscribe: &Unsubscribe<'_>) {
        if !self.may_answer(id, unsubscribe.filters().count()) {
            return self.violated(
                id,
                ReasonCode::PacketTooLarge,
                "its Maximum Packet Size is too small for the UNSUBACK",
            );
        }
        let mut progress = Progress::new(PacketType::UnsubAck, unsubscribe.packet_id, 0);
        let left = self.unsubscribe_some(id, &mut progress, unsubscribe.filters());
        self.conclude_part(id, progress, left);
    }

    /// As many filters as one call may handle; gives those that are left.
    pub(crate) fn unsubscribe_some<'a>(
        &mut self,
        id: ConnectionId,
        progress: &mut Progress,
        mut left: UnsubscribeFilters<'a>,
    ) -> &'a [u8] {
        let Some(c) = self.connection(id) else { return &[] };
        let (key, listener) = (c.session, Arc::clone(&c.listener));
        let mount = listener.mount_point.as_deref();
        let mark = self.recorder.mark();
        if self.is_change_refused(key) {
            self.note_refused_by_store(key, "the store has no room, or has failed");
            self.violated(id, ReasonCode::QuotaExceeded, "the store has no room, or has failed");
            return &[];
        }
        loop {
            let mounted = mounted_filters(mount, left.clone());
            let some = left.by_ref().take(FILTERS_IN_A_GO).enumerate().map(|(at, filter)| {
                let filter = mounted.get(at).map_or(Ok(filter), |mounted| TopicFilter::new(mounted));
                Unwanted { filter: filter.ok(), code: ReasonCode::TopicFilterInvalid, place: None }
            });
            let mut some: Vec<Unwanted<'_>> = some.collect();
            if some.is_empty() {
                break;
            }
            self.unsubscribe(key, &mut some);
            progress.codes.extend(some.iter().map(|unwanted| unwanted.code.value()));
            if self.has_handled(some.len()) {
                break;
            }
        }
        progress.has_recorded |= self.recorder.mark() != mark;
        left.as_received()
    }

    /// From now on nothing is added; what is queued or in flight goes its way. [MQTT-3.10.4-2] [MQTT-3.10.4-3]
    /// [MQTT311-3.10.4-2] [MQTT311-3.10.4-3]
    fn unsubscribe(&mut self, key: SessionKey, all: &mut [Unwanted<'_>]) {
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return all.iter_mut().for_each(|unwanted| unwanted.code = ReasonCode::UnspecifiedError);
        };
        if !self.is_unrestricted {
            let may = |filter: TopicFilter<'_>| {
                self.access.may(&session.identity, &session.client_id, Action::Unsubscribe, filter.filter())
            };
            for unwanted in all.iter_mut() {
                if unwanted.filter.is_some_and(|filter| !may(filter)) {
                    (unwanted.filter, unwanted.code) = (None, ReasonCode::NotAuthorized);
                }
            }
        }
        if all.iter().any(|unwanted| unwanted.filter.is_some()) {
            self.take_out_of_index(key, all);
        }
        for unwanted in all.iter() {
            self.note_unsubscription(key, unwanted);
        }
    }

    fn take_out_of_index(&mut self, key: SessionKey, all: &mut [Unwanted<'_>]) {
        let me = self.session_ref(key);
        self.space.write_index(&mut |index| {
            for unwanted in all.iter_mut() {
                let Some(filter) = unwanted.filter else { continue };
                unwanted.place = index.find(filter, me).map(|(place, _)| place);
                unwanted.code = match &unwanted.place {
                    Some(place) => {
                        index.remove(place, me);
                        ReasonCode::Success
                    }
                    None => ReasonCode::NoSubscriptionExisted,
                };
            }
        });
        self.generation = self.space.generation();
    }

    fn note_unsubscription(&mut self, key: SessionKey, unwanted: &Unwanted<'_>) {
        let me = self.session_ref(key);
        let (Some(filter), Some(place)) = (unwanted.filter, &unwanted.place) else { return };
        let report = self.settings.report_subscriptions;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        self.recorder.note_unsubscribed(me, session, filter.as_str());
        session.places.remove(place);
        session.reads.forget(place);
        if report {
            let client_id = Arc::clone(&session.client_id);
            self.event(Event::Unsubscribed { client_id, filter: Box::from(filter.as_str()) });
        }
    }

    /// All subscriptions of a client: filter, options and Subscription Identifier (0 for none).
    #[must_use]
    pub fn subscriptions(&self, client_id: &str) -> Vec<(String, SubscribeOptions, u32)> {
        let Some(key) = self.client_ids.find(client_id, &self.sessions) else { return Vec::new() };
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get(key.slot, key.generation) else { return Vec::new() };
        let mut found = Vec::new();
        self.space.read_index(&mut |index| {
            found = session
                .places
                .iter()
                .filter_map(|place| index.describe(place, me))
                .map(|(filter, s)| (filter, s.options.to_subscribe_options(), s.identifier))
                .collect();
        });
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

/// [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]; shared subscriptions get no retained messages (section 4.8.2).
fn reads_retained(filter: TopicFilter<'_>, handling: RetainHandling, is_new: bool) -> bool {
    filter.share().is_none()
        && match handling {
            RetainHandling::SendAlways => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        }
}

/// Some filters, below the mount point of their listener; none where it has none.
fn mounted_filters<'a>(mount: Option<&str>, filters: impl Iterator<Item = TopicFilter<'a>>) -> Vec<String> {
    mount.map_or_else(Vec::new, |mount| {
        filters.take(FILTERS_IN_A_GO).map(|filter| mounted_filter(mount, filter)).collect()
    })
}

/// The filter below the mount point of its listener; a share name stays in front.
fn mounted_filter(mount: &str, filter: TopicFilter<'_>) -> String {
    match filter.share() {
        Some(name) => format!("$share/{name}/{mount}{}", filter.filter()),
        None => format!("{mount}{}", filter.filter()),
    }
}
