//! A client as real ones are: it keeps its session, resends what was not acknowledged, acknowledges in order.
//!
//! It owns no socket: packets come in through [`Device::packet`], bytes go out through [`Socket::outbox`]. What it does of
//! its own accord is decided in [`crate::workload`].

use std::collections::{HashMap, HashSet, VecDeque};

use sori_mqtt::{Ack, Direction, PacketId, PacketType, Property, PropertyBuffer, Publish, QoS, ReasonCode, Version};

use crate::host::LinkId;
use crate::random::Random;
use crate::seen::{Reader, Seen, SeenConnAck, SeenPublish};

/// What a client is like.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) version: Version,
    /// What it speaks when it is fickle.
    pub(crate) versions: &'static [Version],
    /// v5 in seconds; for 3.x anything but 0 means CleanSession 0.
    pub(crate) session_expiry: u32,
    /// Session Expiry Intervals that it may say in DISCONNECT.
    pub(crate) last_intervals: &'static [u32],
    pub(crate) clean_percent: u32,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) packet_size_max: Option<u32>,
    pub(crate) topic_alias_max: u16,
    pub(crate) keep_alive: u16,
    pub(crate) will_percent: u32,
    /// Acknowledgements wait.
    pub(crate) slow: bool,
    /// Now and then a message is refused (v5).
    pub(crate) refuses: bool,
    /// How often it speaks another version than its own.
    pub(crate) fickle_percent: u32,
}

/// A client: one client identifier, one session, now and then more than one socket.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) habits: Habits,
    /// What it remembers of its session; `None` when there is nothing to resume.
    pub(crate) session: Option<SessionState>,
    pub(crate) sockets: Vec<Socket>,
    /// The topic of its last QoS 0 message.
    pub(crate) last_topic: Option<&'static str>,
    /// It found a session that it knows nothing about, so it has to begin anew. [MQTT-3.2.2-4]
    pub(crate) must_start_clean: bool,
}

#[derive(Debug, Default)]
pub(crate) struct SessionState {
    /// In the order of sending.
    pub(crate) outgoing: VecDeque<Outgoing>,
    /// QoS 2 identifiers between PUBLISH and PUBREL.
    incoming: HashSet<u16>,
    last_id: u16,
}

/// A message that the broker has not acknowledged to the end.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) id: u16,
    pub(crate) message: Draft,
    released: bool,
    /// The connection on which PUBLISH was sent last.
    sent_on: LinkId,
}

/// A message to be published.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) topic: &'static str,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: PropertyBuffer,
}

/// One connection from the client's side.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) link: LinkId,
    pub(crate) version: Version,
    pub(crate) clean_start: bool,
    /// The session ends with this connection.
    pub(crate) ends_session: bool,
    pub(crate) session_expiry: u32,
    pub(crate) connected: bool,
    pub(crate) reader: Reader,
    /// Packets that came while other sockets of the same client were open.
    held: VecDeque<Seen>,
    /// Acknowledgements to be sent, in order.
    acks: VecDeque<Vec<u8>>,
    /// Bytes to be sent at once.
    pub(crate) outbox: Vec<u8>,
    receive_maximum: usize,
    topic_alias_max: u16,
    aliases: HashMap<&'static str, u16>,
    /// Identifiers of SUBSCRIBE and UNSUBSCRIBE packets without an answer.
    requests: HashSet<u16>,
}

/// What a device wants done with a socket after a packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Wish {
    Nothing,
    /// Close it without a word.
    Drop,
}

/// In 3.x nobody says how many unacknowledged messages are welcome.
const INFLIGHT_MAX: u16 = 20;

impl Socket {
    pub(crate) fn new(link: LinkId, version: Version, clean_start: bool, session_expiry: u32) -> Socket {
        Socket {
            link,
            version,
            clean_start,
            ends_session: session_expiry == 0 || (!version.is_v5() && clean_start),
            session_expiry,
            connected: false,
            reader: Reader::new(Direction::ToClient, version),
            held: VecDeque::new(),
            acks: VecDeque::new(),
            outbox: Vec::new(),
            receive_maximum: usize::from(INFLIGHT_MAX),
            topic_alias_max: 0,
            aliases: HashMap::new(),
            requests: HashSet::new(),
        }
    }

    fn ack(&mut self, kind: PacketType, id: u16, reason_code: ReasonCode) {
        let Some(packet_id) = PacketId::new(id) else { return };
        let mut bytes = Vec::new();
        Ack { reason_code, ..Ack::success(packet_id) }.encode(kind, self.version, &mut bytes);
        self.acks.push_back(bytes);
    }

    pub(crate) fn has_acks(&self) -> bool {
        !self.acks.is_empty()
    }

    /// Sends some of the waiting acknowledgements, in order.
    pub(crate) fn send_acks(&mut self, count: usize) {
        for bytes in self.acks.drain(..count.min(self.acks.len())) {
            self.outbox.extend_from_slice(&bytes);
        }
    }

    /// Sends a QoS 0 message behind CONNECT, without waiting for the answer.
    pub(crate) fn send_at_once(&mut self, message: &Draft, random: &mut Random) {
        self.send_publish(message, 0, false, random);
    }

    fn send_publish(&mut self, message: &Draft, id: u16, dup: bool, random: &mut Random) {
        let mut properties = if self.version.is_v5() { message.properties.clone() } else { PropertyBuffer::new() };
        let topic =
            if self.version.is_v5() { self.alias(message.topic, &mut properties, random) } else { message.topic };
        Publish {
            dup,
            qos: message.qos,
            retain: message.retain,
            topic,
            packet_id: PacketId::new(id),
            properties: properties.as_properties(),
            payload: &message.payload,
        }
        .encode(self.version, &mut self.outbox);
    }

    /// Uses an alias now and then, and gives back the topic to be written.
    fn alias(&mut self, topic: &'static str, properties: &mut PropertyBuffer, random: &mut Random) -> &'static str {
        if self.topic_alias_max == 0 || random.chance(60) {
            return topic;
        }
        if let Some(alias) = self.aliases.get(topic) {
            properties.push(Property::TopicAlias(*alias));
            return "";
        }
        let alias = random.range(1, u32::from(self.topic_alias_max)) as u16;
        self.aliases.retain(|_, other| *other != alias);
        self.aliases.insert(topic, alias);
        properties.push(Property::TopicAlias(alias));
        topic
    }
}

impl Device {
    pub(crate) fn new(name: String, habits: Habits) -> Device {
        Device { name, habits, session: None, sockets: Vec::new(), last_topic: None, must_start_clean: false }
    }

    /// The socket that may be used: the only one, and the broker has answered.
    pub(crate) fn active(&mut self) -> Option<&mut Socket> {
        match self.sockets.as_mut_slice() {
            [socket] if socket.connected => Some(socket),
            _ => None,
        }
    }

    /// A socket is gone, whoever closed it.
    pub(crate) fn lost(&mut self, link: LinkId, random: &mut Random) -> Vec<LinkId> {
        let Some(index) = self.sockets.iter().position(|socket| socket.link == link) else { return Vec::new() };
        let socket = self.sockets.remove(index);
        if socket.ends_session && self.sockets.is_empty() {
            self.session = None;
        }
        self.survivor(random)
    }

    /// When one socket is left of several, what came on it meanwhile is taken in.
    fn survivor(&mut self, random: &mut Random) -> Vec<LinkId> {
        let mut drop = Vec::new();
        while let [socket] = self.sockets.as_mut_slice() {
            let link = socket.link;
            let Some(seen) = socket.held.pop_front() else { break };
            if self.take_in(seen, random) == Wish::Drop {
                drop.push(link);
                break;
            }
        }
        drop
    }

    /// A packet came.
    pub(crate) fn packet(&mut self, link: LinkId, seen: Seen, random: &mut Random) -> Wish {
        let alone = self.sockets.len() == 1;
        let Some(socket) = self.sockets.iter_mut().find(|socket| socket.link == link) else { return Wish::Nothing };
        if alone && socket.held.is_empty() {
            return self.take_in(seen, random);
        }
        // With several sockets open it is not known yet which one the broker keeps: nothing is acknowledged before.
        socket.held.push_back(seen);
        Wish::Nothing
    }

    fn take_in(&mut self, seen: Seen, random: &mut Random) -> Wish {
        match seen {
            Seen::ConnAck(connack) => return self.connack(&connack, random),
            Seen::Publish(publish) => self.publish(&publish, random),
            Seen::Ack { kind, id, reason } => self.ack(kind, id, reason, random),
            Seen::SubAck { id, .. } | Seen::UnsubAck { id, .. } => {
                self.sockets[0].requests.remove(&id);
            }
            Seen::Disconnect { .. } => return Wish::Drop,
            _ => {}
        }
        Wish::Nothing
    }

    fn connack(&mut self, connack: &SeenConnAck, random: &mut Random) -> Wish {
        if connack.reason != 0 {
            return Wish::Drop;
        }
        let socket = &mut self.sockets[0];
        socket.connected = true;
        socket.receive_maximum = usize::from(connack.receive_maximum.min(INFLIGHT_MAX));
        socket.topic_alias_max = connack.topic_alias_max;
        // MQTT 3.1 does not say whether there was a session: its clients go on with what they remember.
        let unknown = socket.version == Version::V31 && self.session.is_some();
        if socket.clean_start || !(connack.present || unknown) {
            // [MQTT-3.2.2-5]
            self.session = Some(SessionState::default());
            self.must_start_clean = false;
            return Wish::Nothing;
        }
        let Some(session) = &self.session else {
            // [MQTT-3.2.2-4]
            self.must_start_clean = true;
            return Wish::Drop;
        };
        // [MQTT-4.4.0-1]
        for outgoing in session.outgoing.iter().filter(|outgoing| outgoing.released) {
            let Some(packet_id) = PacketId::new(outgoing.id) else { continue };
            Ack::success(packet_id).encode(PacketType::PubRel, socket.version, &mut socket.outbox);
        }
        self.resend(random);
        Wish::Nothing
    }

    /// Sends again what was sent on an earlier connection, in the original order and within the server's Receive Maximum.
    /// [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-3.3.4-7]
    fn resend(&mut self, random: &mut Random) {
        let Some(session) = &mut self.session else { return };
        let socket = &mut self.sockets[0];
        let mut in_flight = session.outgoing.iter().filter(|outgoing| outgoing.sent_on == socket.link).count();
        for outgoing in session.outgoing.iter_mut().filter(|outgoing| !outgoing.released) {
            if outgoing.sent_on == socket.link {
                continue;
            }
            if in_flight >= socket.receive_maximum {
                return;
            }
            in_flight += 1;
            outgoing.sent_on = socket.link;
            socket.send_publish(&outgoing.message, outgoing.id, true, random);
        }
    }

    fn publish(&mut self, publish: &SeenPublish, random: &mut Random) {
        let Some(session) = &mut self.session else { return };
        let socket = &mut self.sockets[0];
        let refused = self.habits.refuses && socket.version.is_v5() && random.chance(5);
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => {
                let reason = if refused { ReasonCode::QuotaExceeded } else { ReasonCode::Success };
                socket.ack(PacketType::PubAck, publish.id, reason);
            }
            QoS::ExactlyOnce if refused && !session.incoming.contains(&publish.id) => {
                socket.ack(PacketType::PubRec, publish.id, ReasonCode::ImplementationSpecificError);
            }
            QoS::ExactlyOnce => {
                session.incoming.insert(publish.id);
                socket.ack(PacketType::PubRec, publish.id, ReasonCode::Success);
            }
        }
    }

    fn ack(&mut self, kind: PacketType, id: u16, reason: u8, random: &mut Random) {
        let Some(session) = &mut self.session else { return };
        let socket = &mut self.sockets[0];
        match kind {
            PacketType::PubRel => {
                session.incoming.remove(&id);
                socket.ack(PacketType::PubComp, id, ReasonCode::Success);
            }
            PacketType::PubRec if reason < 0x80 => {
                if let Some(outgoing) = session.outgoing.iter_mut().find(|outgoing| outgoing.id == id) {
                    outgoing.released = true;
                }
                socket.ack(PacketType::PubRel, id, ReasonCode::Success);
            }
            _ => {
                session.outgoing.retain(|outgoing| outgoing.id != id);
                self.resend(random);
            }
        }
    }

    /// Publishes if the window allows it.
    pub(crate) fn send(&mut self, message: Draft, random: &mut Random) -> bool {
        let Some(session) = self.session.as_mut() else { return false };
        let [socket] = self.sockets.as_mut_slice() else { return false };
        if !socket.connected {
            return false;
        }
        if message.qos == QoS::AtMostOnce {
            self.last_topic = Some(message.topic);
            socket.send_publish(&message, 0, false, random);
            return true;
        }
        if session.outgoing.len() >= socket.receive_maximum {
            return false;
        }
        let id = session.free_id(&socket.requests);
        socket.send_publish(&message, id, false, random);
        session.outgoing.push_back(Outgoing { id, message, released: false, sent_on: socket.link });
        true
    }

    /// An identifier for a SUBSCRIBE or UNSUBSCRIBE.
    pub(crate) fn request_id(&mut self) -> Option<PacketId> {
        let session = self.session.as_mut()?;
        let [socket] = self.sockets.as_mut_slice() else { return None };
        let id = session.free_id(&socket.requests);
        socket.requests.insert(id);
        PacketId::new(id)
    }
}

impl SessionState {
    fn free_id(&mut self, requests: &HashSet<u16>) -> u16 {
        loop {
            self.last_id = self.last_id % 65_535 + 1;
            let id = self.last_id;
            if !requests.contains(&id) && self.outgoing.iter().all(|outgoing| outgoing.id != id) {
                return id;
            }
        }
    }
}
