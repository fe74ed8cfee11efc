//! What the clients of a run do, drawn from the seed: who they are, what they say, which settings the broker has.

use sori_broker::{QueueFull, Settings};
use sori_mqtt::{
    Connect, Disconnect, Properties, Property, PropertyBuffer, QoS, ReasonCode, RetainHandling, Subscribe,
    SubscribeOptions, TopicFilter, Unsubscribe, Version, Will,
};
use sori_store::Options;

use crate::device::{Device, Draft, Habits, Socket};
use crate::facts::payload_of;
use crate::host::LinkId;
use crate::random::Random;

/// Few topics, so that clients meet each other.
const TOPICS: &[&str] = &["a", "a/b", "a/b/c", "a/d", "e", "e/b", "f/g/h", "/x", "$s/t"];

const WILL_TOPICS: &[&str] = &["a/w", "w", "a/b"];

const FILTERS: &[&str] = &[
    "a", "a/b", "a/b/c", "a/d", "e", "#", "a/#", "+", "+/b", "a/+", "a/+/c", "+/+/+", "e/#", "f/#", "/+", "$s/#", "w",
    "a/w",
];

const SHARED: &[&str] = &["$share/one/a/#", "$share/two/a/b", "$share/two/e", "$share/one/#", "$share/three/+/b"];

const QOS: &[QoS] = &[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Names for everything that has to be told apart.
#[derive(Debug, Default)]
pub(crate) struct Names {
    message: u64,
    identifier: u32,
}

impl Names {
    fn message(&mut self) -> u64 {
        self.message += 1;
        self.message
    }

    fn identifier(&mut self) -> u32 {
        self.identifier += 1;
        // Some are longer than others on the wire.
        self.identifier + if self.identifier.is_multiple_of(3) { 2_000_000 } else { 0 }
    }
}

/// The broker's settings of a run: mostly roomy, so that every message must arrive, sometimes narrow.
pub(crate) fn settings(random: &mut Random) -> Settings {
    let mut settings = Settings { report_subscriptions: false, ..Settings::default() };
    settings.allow_duplicate_messages = random.chance(60);
    settings.inflight_messages_max = random.pick(&[20, 20, 20, 0, 1, 2, 5]);
    settings.queue_qos0_messages = random.chance(25);
    settings.upgrade_outgoing_qos = random.chance(15);
    if random.chance(15) {
        settings.persistent_client_expiration = Some(u64::from(random.range(2, 60)));
    }
    if random.chance(20) {
        settings.queued_messages_max = u64::from(random.range(3, 20));
        settings.queue_full =
            random.pick(&[QueueFull::DropNewest, QueueFull::DropOldest, QueueFull::LatestValue, QueueFull::Disconnect]);
    } else {
        settings.queued_messages_max = 100_000;
    }
    settings.strict_receive_maximum = random.chance(50);
    settings
}

/// Little memory, so that what waits is on the disk only.
pub(crate) fn settings_with_disk(random: &mut Random) -> Settings {
    let memory_limit = random.pick(&[0, 0, 400_000]);
    Settings { keeps_records: true, memory_limit, ..settings(random) }
}

/// A store of many small segments, that may be full at any time.
pub(crate) fn store_options(random: &mut Random) -> Options {
    Options {
        segment_bytes: random.pick(&[4 << 10, 16 << 10, 64 << 10]),
        reserve_bytes: 4 << 10,
        checkpoint_bytes_min: random.pick(&[8 << 10, 32 << 10, 1 << 20]),
        size_limit: random.pick(&[None, None, None, None, Some(100_000), Some(400_000)]),
        store_id: random.next(),
        ..Options::default()
    }
}

pub(crate) fn habits(random: &mut Random) -> Habits {
    let version = random.pick(&[Version::V5, Version::V5, Version::V5, Version::V311, Version::V311, Version::V31]);
    Habits {
        version,
        versions: &[Version::V5, Version::V311, Version::V31],
        session_expiry: random.pick(&[0, 1, 3, 30, 30, 3600, 3600, 3600, u32::MAX, u32::MAX]),
        clean_percent: random.pick(&[0, 0, 5, 30, 100]),
        receive_maximum: random.pick(&[None, None, None, Some(1), Some(2), Some(7), Some(65_535)]),
        packet_size_max: random.pick(&[None, None, None, None, Some(80), Some(300)]),
        topic_alias_max: random.pick(&[0, 0, 1, 3, 20]),
        keep_alive: random.pick(&[0, 0, 0, 5, 60]),
        will_percent: random.pick(&[0, 30, 80]),
        slow: random.chance(40),
        refuses: random.chance(15),
        fickle_percent: 4,
        last_intervals: &[0, 2, 3600, u32::MAX, u32::MAX],
    }
}

/// Habits of a client whose broker crashes: it needs to be told whether its session is there, which MQTT 3.1 does not do.
pub(crate) fn habits_with_crashes(random: &mut Random) -> Habits {
    let habits = habits(random);
    let version = if habits.version == Version::V31 { Version::V311 } else { habits.version };
    Habits { version, versions: &[Version::V5, Version::V311], ..habits }
}

/// The one that watches and whose session outlasts a crash.
pub(crate) fn lasting_observer() -> Habits {
    Habits { session_expiry: u32::MAX, clean_percent: 0, ..observer() }
}

/// The one that watches: it is always there, hears everything, and answers at once.
pub(crate) fn observer() -> Habits {
    Habits {
        version: Version::V5,
        versions: &[Version::V5],
        session_expiry: 0,
        clean_percent: 100,
        receive_maximum: None,
        packet_size_max: None,
        topic_alias_max: 0,
        keep_alive: 0,
        will_percent: 0,
        slow: false,
        refuses: false,
        fickle_percent: 0,
        last_intervals: &[0],
    }
}

/// A socket for the device with CONNECT in its outbox.
pub(crate) fn connect(device: &mut Device, link: LinkId, names: &mut Names, random: &mut Random) -> Socket {
    let habits = device.habits.clone();
    let version = if random.chance(habits.fickle_percent) { random.pick(habits.versions) } else { habits.version };
    let forgets = !version.is_v5() && habits.session_expiry == 0;
    // MQTT 3.1 never says whether a session was there, so a client that remembers none must begin anew.
    let forgets = forgets || (version == Version::V31 && device.session.is_none());
    let clean_start = device.must_start_clean || forgets || random.chance(habits.clean_percent);
    let session_expiry = match version {
        Version::V5 => habits.session_expiry,
        _ if clean_start => 0,
        _ => u32::MAX,
    };
    if clean_start {
        // The client forgets at once, so it has to insist until the broker has forgotten too.
        device.session = None;
        device.must_start_clean = true;
    }
    let mut properties = PropertyBuffer::new();
    if version.is_v5() {
        connect_properties(&habits, session_expiry, &mut properties);
    }
    let will = random.chance(habits.will_percent).then(|| will(version, names, random));
    let mut socket = Socket::new(link, version, clean_start, session_expiry);
    Connect {
        version,
        bridge: false,
        clean_start,
        keep_alive: habits.keep_alive,
        client_id: &device.name,
        will: will.as_ref().map(|(draft, delay)| Will {
            topic: draft.topic,
            payload: &draft.payload,
            qos: draft.qos,
            retain: draft.retain,
            properties: if version.is_v5() { delay.as_properties() } else { Properties::EMPTY },
        }),
        user_name: None,
        password: None,
        properties: properties.as_properties(),
    }
    .encode(&mut socket.outbox);
    if random.chance(20) {
        let mut draft = draft(version, names, random);
        draft.qos = QoS::AtMostOnce;
        draft.topic = device.last_topic.unwrap_or(draft.topic);
        socket.send_at_once(&draft, random);
    }
    socket
}

fn connect_properties(habits: &Habits, session_expiry: u32, properties: &mut PropertyBuffer) {
    if session_expiry != 0 {
        properties.push(Property::SessionExpiryInterval(session_expiry));
    }
    if let Some(maximum) = habits.receive_maximum {
        properties.push(Property::ReceiveMaximum(maximum));
    }
    if let Some(maximum) = habits.packet_size_max {
        properties.push(Property::MaximumPacketSize(maximum));
    }
    if habits.topic_alias_max != 0 {
        properties.push(Property::TopicAliasMaximum(habits.topic_alias_max));
    }
}

fn will(version: Version, names: &mut Names, random: &mut Random) -> (Draft, PropertyBuffer) {
    let mut draft = draft(version, names, random);
    draft.topic = random.pick(WILL_TOPICS);
    if draft.payload.is_empty() {
        draft.payload = payload_of(names.message(), 10);
    }
    let mut properties = draft.properties.clone();
    let delay = random.pick(&[0, 0, 1, 2, 10]);
    if delay != 0 {
        properties.push(Property::WillDelayInterval(delay));
    }
    (draft, properties)
}

/// A message to publish.
pub(crate) fn draft(version: Version, names: &mut Names, random: &mut Random) -> Draft {
    let retain = random.chance(25);
    let key = names.message();
    let size = random.pick(&[0, 0, 0, 20, 20, 60, 250, 3000]);
    let payload = if retain && random.chance(20) { Vec::new() } else { payload_of(key, size) };
    let mut properties = PropertyBuffer::new();
    if version.is_v5() {
        publish_properties(&mut properties, random);
    }
    Draft { topic: random.pick(TOPICS), payload, qos: random.pick(QOS), retain, properties }
}

fn publish_properties(properties: &mut PropertyBuffer, random: &mut Random) {
    if random.chance(15) {
        properties.push(Property::MessageExpiryInterval(random.range(1, 6)));
    }
    if random.chance(10) {
        properties.push(Property::PayloadFormatIndicator(random.chance(50)));
    }
    if random.chance(10) {
        properties.push(Property::ContentType("text/plain"));
    }
    if random.chance(10) {
        properties.push(Property::ResponseTopic("answers/here")).push(Property::CorrelationData(&[0, 1, 255]));
    }
    for _ in 0..random.pick(&[0, 0, 0, 1, 3]) {
        let value = random.pick(&["", "x", "y"]);
        properties.push(Property::UserProperty("name", value));
    }
}

/// Writes a SUBSCRIBE to one to three filters into the device's outbox.
pub(crate) fn subscribe(device: &mut Device, names: &mut Names, random: &mut Random) {
    let filters: Vec<_> = (0..random.pick(&[1, 1, 1, 2, 3])).map(|_| filter_and_options(random)).collect();
    subscribe_to(device, &filters, random.chance(75).then(|| names.identifier()));
}

fn filter_and_options(random: &mut Random) -> (&'static str, SubscribeOptions) {
    let shared = random.chance(20);
    let filter = if shared { random.pick(SHARED) } else { random.pick(FILTERS) };
    let options = SubscribeOptions {
        qos: random.pick(QOS),
        // [MQTT-3.8.3-4]
        no_local: !shared && random.chance(15),
        retain_as_published: random.chance(30),
        retain_handling: random.pick(&[
            RetainHandling::SendAlways,
            RetainHandling::SendAlways,
            RetainHandling::SendIfNew,
            RetainHandling::DoNotSend,
        ]),
    };
    (filter, options)
}

/// Writes a SUBSCRIBE to these filters into the device's outbox.
pub(crate) fn subscribe_to(device: &mut Device, filters: &[(&str, SubscribeOptions)], identifier: Option<u32>) {
    let Some(packet_id) = device.request_id() else { return };
    let Some(socket) = device.active() else { return };
    let v5 = socket.version.is_v5();
    let filters: Vec<_> = filters
        .iter()
        .filter_map(|(filter, options)| {
            let options = if v5 { *options } else { SubscribeOptions { qos: options.qos, ..Default::default() } };
            TopicFilter::new(filter).ok().map(|filter| (filter, options))
        })
        .collect();
    let mut properties = PropertyBuffer::new();
    if let Some(identifier) = identifier.filter(|_| v5) {
        properties.push(Property::SubscriptionIdentifier(identifier));
    }
    Subscribe::new(packet_id, properties.as_properties(), &filters).encode(socket.version, &mut socket.outbox);
}

/// Writes an UNSUBSCRIBE into the device's outbox; the filters need not be subscribed to.
pub(crate) fn unsubscribe(device: &mut Device, random: &mut Random) {
    let Some(packet_id) = device.request_id() else { return };
    let Some(socket) = device.active() else { return };
    let filters: Vec<_> = (0..random.pick(&[1, 1, 2]))
        .filter_map(|_| {
            TopicFilter::new(if random.chance(20) { random.pick(SHARED) } else { random.pick(FILTERS) }).ok()
        })
        .collect();
    Unsubscribe::new(packet_id, Properties::EMPTY, &filters).encode(socket.version, &mut socket.outbox);
}

/// Writes a DISCONNECT into the device's outbox, with whatever a client may say there.
pub(crate) fn disconnect(device: &mut Device, random: &mut Random) {
    let intervals = device.habits.last_intervals;
    let Some(socket) = device.active() else { return };
    let mut properties = PropertyBuffer::new();
    let mut reason_code = ReasonCode::Success;
    if socket.version.is_v5() {
        reason_code = random.pick(&[
            ReasonCode::Success,
            ReasonCode::Success,
            ReasonCode::DisconnectWithWill,
            ReasonCode::UnspecifiedError,
        ]);
        if socket.session_expiry != 0 && random.chance(40) {
            let expiry = random.pick(intervals);
            properties.push(Property::SessionExpiryInterval(expiry));
            socket.ends_session = expiry == 0;
        }
    }
    Disconnect { reason_code, properties: properties.as_properties() }.encode(socket.version, &mut socket.outbox);
}

/// What the observer and the probes subscribe to.
pub(crate) const EVERYTHING: (&str, SubscribeOptions) = (
    "#",
    SubscribeOptions {
        qos: QoS::ExactlyOnce,
        no_local: false,
        retain_as_published: true,
        retain_handling: RetainHandling::SendAlways,
    },
);

/// Everything that `#` leaves out.
pub(crate) const EVERYTHING_SYSTEM: (&str, SubscribeOptions) = ("$s/#", EVERYTHING.1);
