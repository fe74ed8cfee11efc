//! What the book is about: moments and events, connections, sessions, subscriptions, deliveries, messages.

use std::collections::HashMap;

use sori_broker::Settings;
use sori_mqtt::{RetainHandling, SubscribeOptions, Version};

use super::filter_matches;
use crate::host::LinkId;
use crate::seen::{Carried, Seen, SeenConnect, SeenPublish};

/// A point of the run.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug, Default)]
pub(crate) struct Moment {
    /// Counts the turns of all shards.
    pub(crate) turn: u64,
    /// Counts the events.
    pub(crate) number: u64,
    /// Milliseconds of the virtual clock.
    pub(crate) at: u64,
}

impl Moment {
    /// Later than everything.
    pub(crate) const LAST: Moment = Moment { turn: u64::MAX, number: u64::MAX, at: u64::MAX };

    /// Surely earlier: in a turn before.
    pub(crate) fn precedes(self, other: Moment) -> bool {
        self.turn < other.turn
    }
}

/// Something that crossed the border.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) moment: Moment,
    /// When it was read, if that was before CONNACK: it became effective at some time between the two.
    pub(crate) early: Option<Moment>,
    pub(crate) link: LinkId,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Opened,
    /// A packet from the client.
    In(Seen),
    /// A packet from the broker, and its size.
    Out(Seen, usize),
    /// The broker wrote what is no packet.
    Garbled(String),
    /// The broker was told that the connection is gone.
    NetworkClosed,
    /// The broker closed the connection.
    BrokerClosed,
    /// The broker crashed, and the connection is gone with it.
    Crashed,
}

/// How a connection ended, from the broker's side.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Ending {
    /// The client said DISCONNECT with this reason.
    Disconnect(u8),
    Network,
    Broker,
    TakenOver,
    /// The broker crashed.
    Crash,
}

#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) opened: Moment,
    pub(crate) connect: Option<SeenConnect>,
    /// When CONNECT was read.
    pub(crate) asked: u64,
    /// When it was accepted: CONNACK.
    pub(crate) accepted: Option<Moment>,
    pub(crate) refused: bool,
    pub(crate) client: String,
    pub(crate) session: Option<usize>,
    pub(crate) ended: Option<(Moment, Ending)>,
    /// A crash may have made the broker forget how and when it ended: then it counts as ended when the broker was back.
    pub(crate) ended_again: Option<Moment>,
    pub(crate) closed: bool,
    pub(crate) last_in: Moment,
    /// When the last bytes were read, whole packets or not.
    pub(crate) last_bytes: u64,
    pub(crate) keep_alive: u16,
    pub(crate) said_disconnect: Option<u8>,
    pub(crate) will: Option<u64>,
    /// Whether CONNACK had to say that there was a session; not known while one is just about to expire.
    pub(crate) present_expected: Option<bool>,
    /// When the session was to end, counted from the end of the connection.
    pub(crate) lasting_at_end: Option<Lasting>,
    /// The same, had the client not said something else in DISCONNECT.
    pub(super) lasting_before: Option<Lasting>,
    /// The broker read CONNECT and never answered. What it did for that CONNECT, it may have done.
    pub(crate) unanswered: bool,
    pub(super) in_aliases: HashMap<u16, String>,
    pub(super) out_aliases: HashMap<u16, String>,
    pub(super) waiting: Vec<Event>,
}

impl Link {
    pub(crate) fn version(&self) -> Version {
        self.connect.as_ref().map_or(Version::V5, |connect| connect.version)
    }

    /// The topic of a PUBLISH to the client, its alias looked up.
    pub(crate) fn out_topic<'a>(&'a self, publish: &'a SeenPublish) -> Option<&'a str> {
        match publish.alias {
            Some(alias) => self.out_aliases.get(&alias).map(String::as_str),
            None => Some(&publish.topic),
        }
    }

    /// The client's Maximum Packet Size.
    pub(crate) fn packet_size_max(&self) -> u32 {
        self.connect.as_ref().and_then(|connect| connect.packet_size_max).unwrap_or(u32::MAX)
    }

    /// Connected, as far as the broker can know.
    pub(crate) fn is_live(&self) -> bool {
        self.accepted.is_some() && self.ended.is_none() && !self.closed
    }
}

/// What a session is until: its connection's end plus this many milliseconds.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Lasting {
    Millis(u64),
    Forever,
}

/// One session, from a CONNACK without session present to its end.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: String,
    pub(crate) ended: Option<Moment>,
    /// When the CONNECT was read that ended it; its CONNACK told so.
    pub(crate) gone_since: Option<u64>,
    pub(crate) link: Option<LinkId>,
    pub(crate) links: Vec<LinkId>,
    pub(crate) offline_since: Option<Moment>,
    /// Nobody outside can know whether the broker has it still, until the next CONNACK tells.
    pub(crate) is_doubtful: bool,
    /// When a CONNACK said that there is a session, which need not be this one any more: it may have ended, and a CONNECT that
    /// was never answered may have begun another.
    pub(crate) perhaps_another: Option<Moment>,
    pub(crate) lasting: Lasting,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) deliveries: Vec<Delivery>,
    /// Packet identifiers of the client's unfinished PUBLISH packets: QoS 1 until PUBACK, QoS 2 until PUBCOMP.
    pub(super) incoming: HashMap<u16, u64>,
    /// QoS 2 messages that were sent to the client and are not finished, by packet identifier.
    pub(super) outgoing: HashMap<u16, Option<u64>>,
}

impl Session {
    pub(super) fn new(client: &str) -> Session {
        Session {
            client: client.to_owned(),
            ended: None,
            gone_since: None,
            link: None,
            links: Vec::new(),
            offline_since: None,
            is_doubtful: false,
            perhaps_another: None,
            lasting: Lasting::Forever,
            subscriptions: Vec::new(),
            deliveries: Vec::new(),
            incoming: HashMap::new(),
            outgoing: HashMap::new(),
        }
    }
}

/// All that is known of a session's subscription to one filter while a message was routed.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) filter: &'a str,
    pub(crate) share: Option<&'a str>,
    /// One, or several when it was replaced at that time.
    pub(crate) versions: Vec<&'a Subscription>,
    /// It was surely in force when the message came, and nobody has unsubscribed since.
    pub(crate) surely: bool,
}

impl Held<'_> {
    /// The lowest QoS that the message may be delivered with.
    pub(crate) fn qos_least(&self, message: &Message, settings: &Settings) -> u8 {
        self.versions.iter().map(|version| version.delivery_qos(message, settings)).min().unwrap_or(0)
    }

    /// No Local may have kept the message back. [MQTT-3.8.3-3]
    pub(crate) fn may_be_local(&self, message: &Message, session: &Session) -> bool {
        message.client == session.client && self.versions.iter().any(|version| version.options.no_local)
    }
}

impl Session {
    /// The subscriptions, shared ones included, that the message may have met.
    pub(crate) fn held(&self, message: &Message) -> Vec<Held<'_>> {
        let mut held: Vec<Held<'_>> = Vec::new();
        for subscription in self.subscriptions.iter().filter(|subscription| subscription.matches(&message.topic)) {
            // A shared subscription may get later what another member could not keep.
            let until = if subscription.share.is_some() { Moment::LAST } else { message.until() };
            if !subscription.may_see(message.first, until) {
                continue;
            }
            let sure = subscription.granted.is_some_and(|(granted, _)| granted.precedes(message.first))
                && !subscription.is_doubtful;
            match held.iter_mut().find(|held| held.filter == subscription.filter) {
                Some(held) => {
                    held.versions.push(subscription);
                    held.surely |= sure;
                }
                None => held.push(Held {
                    filter: &subscription.filter,
                    share: subscription.share.as_deref(),
                    versions: vec![subscription],
                    surely: sure,
                }),
            }
        }
        for held in &mut held {
            held.surely &= !held.versions.iter().any(|version| version.unsubscribed)
                && !self.subscriptions.iter().any(|later| {
                    later.filter == held.filter && later.unsubscribed && message.first.number < later.asked.number
                });
        }
        held
    }

    /// New messages with this name that were sent to the client; resends are not new.
    pub(crate) fn fresh(&self, key: u64) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter().filter(move |delivery| delivery.key == Some(key) && !delivery.dup)
    }
}

/// One SUBSCRIBE to one filter. A later one to the same filter replaces it.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) share: Option<String>,
    /// The filter without `$share/name/`.
    pub(crate) inner: String,
    pub(crate) options: SubscribeOptions,
    pub(crate) identifier: Option<u32>,
    pub(crate) link: LinkId,
    pub(crate) packet: u16,
    pub(crate) place: usize,
    pub(crate) asked: Moment,
    /// When SUBACK said so, and the granted QoS.
    pub(crate) granted: Option<(Moment, u8)>,
    pub(crate) refused: bool,
    /// A subscription to this filter surely, or surely not, existed when this one was asked for.
    pub(crate) was_new: Option<bool>,
    /// When UNSUBSCRIBE or a replacing SUBSCRIBE arrived.
    pub(crate) leaving: Option<Moment>,
    /// When it was answered.
    pub(crate) left: Option<Moment>,
    /// An UNSUBSCRIBE asked for its end.
    pub(crate) unsubscribed: bool,
    /// Which.
    pub(super) unsubscribe: Option<(LinkId, u16)>,
    /// The answer to a later SUBSCRIBE will say that it is gone, not that to an UNSUBSCRIBE.
    pub(super) replaced: bool,
    /// What was due at its beginning was looked after when the broker was last at rest.
    pub(crate) past: bool,
    /// It may have gone with a session that ended unseen.
    pub(super) is_doubtful: bool,
}

impl Subscription {
    pub(crate) fn matches(&self, topic: &str) -> bool {
        filter_matches(&self.inner, topic)
    }

    /// It may have been in force at some time between the two moments.
    pub(crate) fn may_see(&self, from: Moment, to: Moment) -> bool {
        !self.refused && !to.precedes(self.asked) && self.left.is_none_or(|left| !left.precedes(from))
    }

    /// [MQTT-3.8.4-8], or Mosquitto's `upgrade_outgoing_qos`.
    pub(crate) fn delivery_qos(&self, message: &Message, settings: &Settings) -> u8 {
        if settings.upgrade_outgoing_qos { self.qos() } else { self.qos().min(message.qos) }
    }

    /// A retained message of before may be sent because of it. [MQTT-3.3.1-9] to [MQTT-3.3.1-11]
    pub(crate) fn may_replay(&self) -> bool {
        let wanted = match self.options.retain_handling {
            RetainHandling::SendAlways => true,
            RetainHandling::SendIfNew => self.was_new != Some(false),
            RetainHandling::DoNotSend => false,
        };
        wanted && self.share.is_none() && !self.refused
    }

    /// ... has to be sent.
    pub(crate) fn must_replay(&self) -> bool {
        let sure = self.options.retain_handling == RetainHandling::SendAlways || self.was_new == Some(true);
        sure && self.may_replay() && self.granted.is_some()
    }

    pub(crate) fn qos(&self) -> u8 {
        self.granted.map_or(self.options.qos as u8, |(_, qos)| qos)
    }
}

/// A PUBLISH to a client.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) moment: Moment,
    pub(crate) link: LinkId,
    /// `None`: an empty payload has no name on it.
    pub(crate) key: Option<u64>,
    pub(crate) topic: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// Sent before: it says so, or it is a QoS 2 message whose packet identifier says so.
    pub(crate) dup: bool,
    pub(crate) identifiers: Vec<u32>,
    pub(crate) carried: Carried,
}

/// An application message from a client, or a will.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) empty: bool,
    pub(crate) size: usize,
    pub(crate) client: String,
    pub(crate) session: usize,
    /// The connection whose will it is.
    pub(crate) will_of: Option<LinkId>,
    pub(crate) will_delay: u64,
    pub(crate) expiry: Option<u32>,
    pub(crate) carried: Carried,
    pub(crate) version: Version,
    /// When it arrived first; for a will, when its connection ended.
    pub(crate) first: Moment,
    /// It came behind a CONNECT that was answered later.
    pub(crate) early: bool,
    pub(crate) last: Moment,
    /// How often the client sent it.
    pub(crate) sends: u32,
    /// When the broker took it over: PUBACK, PUBREC, at once for QoS 0; for a will when it was first seen.
    pub(crate) acknowledged: Option<Moment>,
    pub(crate) refused: bool,
    /// It was refused at least once, and sent again perhaps.
    pub(crate) was_refused: bool,
    /// A store that failed may have it though it was refused.
    pub(crate) may_be_kept: bool,
    /// When it had certainly gone on its way: with the acknowledgement, a QoS 2 message at the latest with PUBCOMP, or
    /// when its session ended without one. A message that is not acknowledged goes its way at once or never.
    pub(crate) routed: Option<Moment>,
    /// It went because its session ended.
    pub(super) went_with_session: bool,
    /// It was looked after when the broker was last at rest.
    pub(crate) past: bool,
    /// It was sent in more than one session, so that the broker had to take it for several messages.
    pub(crate) sessions_differ: bool,
    /// It was sent in more than one version of MQTT, with properties and without.
    pub(crate) versions_differ: bool,
}

impl Message {
    /// The end of the time in which it may have been routed.
    pub(crate) fn until(&self) -> Moment {
        match self.routed {
            Some(routed) => routed.max(self.last),
            None => Moment::LAST,
        }
    }

    /// When the message, arrived at its latest, is no longer valid.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        // Sent again in MQTT 3 it has no expiry any more.
        let expiry = self.expiry.filter(|_| !self.versions_differ);
        expiry.map(|seconds| self.last.at + self.will_delay + u64::from(seconds) * 1000)
    }

    /// It may have expired by now.
    pub(crate) fn may_have_expired(&self, now: u64) -> bool {
        // In MQTT 3 it had no expiry, in MQTT 5.0 perhaps.
        self.versions_differ || self.expiry.is_some_and(|seconds| now >= self.first.at + u64::from(seconds) * 1000)
    }

    /// It has certainly been routed: not refused, and a QoS 2 message not expired before its PUBREL.
    pub(crate) fn is_certain(&self) -> bool {
        let in_time = self.qos != 2 || !self.may_have_expired(self.until().at);
        self.acknowledged.is_some() && self.routed.is_some() && !self.refused && in_time
    }

    /// How often the broker had to take it for a message. A resent QoS 2 message is the same one. [MQTT-4.3.3-10]
    pub(crate) fn times(&self) -> usize {
        if self.qos == 2 && !self.sessions_differ { 1 } else { self.sends as usize }
    }

    /// This one was certainly taken over before the other arrived.
    pub(crate) fn surely_before(&self, other: &Message) -> bool {
        let clients = self.will_of.is_none() && other.will_of.is_none();
        // What was refused and is kept all the same comes when its session ends.
        let comes_late = self.may_be_kept && self.routed.is_none();
        let same_stream = clients && !comes_late && self.session == other.session && self.qos == other.qos;
        self.until().precedes(other.first) || (same_stream && self.last.number < other.first.number)
    }
}
