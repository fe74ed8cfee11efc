//! Messages of one connection to one topic come one after the other, and the broker takes a shorter way with all but the
//! first. Nobody may notice: a broker whose access rules have to be asked for each message looks at every packet by
//! itself, and must send every client the same bytes.

use std::sync::Arc;

use sori_broker::{
    Access, Action, ConnectionId, Exchange, Identity, ListenerSettings, Login, OpenAccess, PlainSpace, Settings, Shard,
    ShardId, Time, Verdict,
};
use sori_mqtt::{Direction, PacketType, Split, decode, split};

use super::broker::{Broker, Client, Setup, setup};
use super::random::Random;
use super::wire::{Packet, Version, publish, pubrel, raw, subscribe, v5, v31, v311};

/// Everybody is asked for.
struct AskedAccess {
    rules: Rules,
    is_steady: bool,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Rules {
    Everything,
    NoPublishing,
    /// One may not publish to `u`; two are not sent what others publish to `t`.
    Some,
}

impl AskedAccess {
    const fn each_time(rules: Rules) -> AskedAccess {
        AskedAccess { rules, is_steady: false }
    }
}

impl Access for AskedAccess {
    fn login(&self, login: &Login<'_>) -> Verdict {
        OpenAccess.login(login)
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        None
    }

    fn may(&self, _: &Identity, client_id: &str, action: Action, topic: &str) -> bool {
        match (self.rules, action) {
            (Rules::NoPublishing, Action::Publish) => false,
            (Rules::Some, Action::Publish) => (client_id, topic) != ("p4", "u"),
            (Rules::Some, Action::Receive) => !["older", "kept"].contains(&client_id) || topic != "t",
            _ => true,
        }
    }

    fn is_steady(&self) -> bool {
        self.is_steady
    }
}

/// Nearly always the same topic, and what may stand in a PUBLISH now and then.
fn packet(random: &mut Random, is_v5: bool, number: u16) -> Vec<u8> {
    if random.one_in(60) {
        let broken = [
            raw(0x36, b"\0\x01t\0\x01"),
            raw(0x32, b"\0\x01t\0\0x"),
            raw(0x38, b"\0\x01tx"),
            raw(0x30, b"\0\x05t"),
            raw(0x30, b"\0\x01+x"),
            raw(0x32, b"\0\x01t\0"),
        ];
        return broken[random.below(broken.len() as u64) as usize].clone();
    }
    if random.one_in(4) {
        // Nothing but plain ones of QoS 0, which may be delivered together.
        let version = if is_v5 { Version::V5 } else { Version::V311 };
        let topic = if random.one_in(3) { "u" } else { "t" };
        let plain = |n: u64| publish(topic).payload(vec![b'A' + n as u8; 40 * n as usize]).encode(version);
        return (0..2 + random.below(5)).flat_map(plain).collect();
    }
    let topic = ["t", "t", "t", "t", "t", "u", "u", "t/t/t/t", "$t"][random.below(9) as usize];
    let qos = random.below(3) as u8;
    let mut packet: Packet = publish(topic).qos(qos).id_if(qos > 0, number);
    packet = packet.payload(vec![b'a' + (number % 26) as u8; [0, 1, 20, 200, 3000][random.below(5) as usize]]);
    if random.one_in(8) {
        packet = packet.retain();
    }
    if qos > 0 && random.one_in(8) {
        packet = packet.dup();
    }
    if is_v5 && random.one_in(8) {
        packet = match random.below(4) {
            0 => packet.message_expiry(7),
            1 => packet.user_property("a", "b"),
            2 => packet.topic_alias(1 + random.below(2) as u16),
            _ => packet.content_type("c"),
        };
    }
    packet.encode(if is_v5 { Version::V5 } else { Version::V311 })
}

struct Crowd {
    broker: Broker,
    publishers: Vec<Client>,
    subscribers: Vec<Client>,
}

/// Subscribes, with whatever QoS is granted.
fn ask(client: &mut Client, subscription: Packet) {
    client.send(subscription);
    assert_eq!(client.receive().codes.len(), 1);
}

/// Two publishers, and some of those who may subscribe.
fn crowd(setup: &Setup, shards: u16, seed: u64) -> Crowd {
    let mut random = Random(seed * 2 + 1);
    let broker = setup.broker(shards);
    let mut publishers = vec![broker.connect(v5("p5")), broker.connect(v311("p4"))];
    let mut subscribers = Vec::new();
    for connect in [
        v5("plain").receive_maximum(4),
        v5("another"),
        v5("small").maximum_packet_size(120),
        v5("alias").topic_alias_maximum(2),
        v5("kept").session_expiry(1000),
        v311("older"),
        v31("oldest"),
        v311("stays").clean(false),
    ] {
        if random.one_in(3) {
            let mut client = broker.connect(connect);
            for filter in ["t", "#", "+"].into_iter().take(1 + random.below(3) as usize) {
                ask(&mut client, subscribe(1).filter(filter, random.below(3) as u8));
            }
            subscribers.push(client);
        }
    }
    for (name, subscription) in [
        ("numbered", subscribe(9).filter("t", 0).subscription_id(3)),
        ("shared", subscribe(9).filter("$share/g/t", 1)),
        ("sharing", subscribe(9).filter("$share/g/#", 0)),
    ] {
        if random.one_in(6) {
            let mut client = broker.connect(v5(name));
            ask(&mut client, subscription);
            subscribers.push(client);
        }
    }
    if random.one_in(4) {
        let mut away = broker.connect(v311("away").clean(false));
        ask(&mut away, subscribe(1).filter("t", random.below(2) as u8));
        away.cut();
    }
    if random.one_in(3) {
        let no_local = 0b100 | random.below(3) as u8;
        ask(&mut publishers[0], subscribe(9).filter("t", no_local));
    }
    Crowd { broker, publishers, subscribers }
}

impl Crowd {
    fn received(&mut self) -> Vec<Vec<u8>> {
        self.publishers.iter_mut().chain(&mut self.subscribers).map(Client::received_bytes).collect()
    }
}

fn walk(seed: u64, shards: u16, change: impl Fn(&mut Settings, &mut ListenerSettings)) {
    walk_by(seed, shards, None, AskedAccess::each_time(Rules::Everything), &change);
    let steady = AskedAccess { rules: Rules::Some, is_steady: true };
    walk_by(seed, shards, Some(steady), AskedAccess::each_time(Rules::Some), &change);
}

/// The same happens under both rules, if `None` are those of everybody.
fn walk_by(
    seed: u64,
    shards: u16,
    short: Option<AskedAccess>,
    long: AskedAccess,
    change: &impl Fn(&mut Settings, &mut ListenerSettings),
) {
    let with = |access: Option<AskedAccess>| {
        let (mut settings, mut listener) = (Settings::default(), ListenerSettings::default());
        change(&mut settings, &mut listener);
        let setup = setup().settings(|s| *s = settings).listener(|l| *l = listener);
        let setup = if let Some(access) = access { setup.access(access) } else { setup };
        crowd(&setup, shards, seed)
    };
    let (mut short, mut long) = (with(short), with(Some(long)));
    let mut random = Random(seed * 2 + 1);
    for round in 0..12 {
        let by = random.below(2) as usize;
        // One that does not read has messages waiting, of QoS 0 as well.
        let stalled = random.below(8) as usize;
        for crowd in [&mut short, &mut long] {
            for (at, client) in crowd.subscribers.iter_mut().enumerate() {
                client.stall(at == stalled);
            }
        }
        let mut bytes: Vec<u8> =
            (0..random.below(30)).flat_map(|n| packet(&mut random, by == 0, (round * 40 + n + 1) as u16)).collect();
        let mut rest = Vec::new();
        if random.one_in(3) {
            rest = bytes.split_off(random.below(bytes.len() as u64 + 1) as usize);
        }
        for part in [&bytes, &rest] {
            for crowd in [&mut short, &mut long] {
                crowd.publishers[by].send_bytes(part);
            }
        }
        if random.one_in(3) {
            let release: Vec<u8> = (1..30).flat_map(|n| pubrel(round as u16 * 40 + n).encode(Version::V311)).collect();
            for crowd in [&mut short, &mut long] {
                crowd.publishers[by].send_bytes(&release);
            }
        }
        let (received, expected) = (short.received(), long.received());
        for (client, (received, expected)) in received.iter().zip(&expected).enumerate() {
            let same = received.iter().zip(expected).take_while(|(a, b)| a == b).count();
            let rest = (received.get(same..), expected.get(same..));
            let what = format!(
                "seed {seed}, {shards} shard(s), round {round}, client {client}, byte {same}, by {by}, stalled {stalled}"
            );
            assert_eq!(rest, (Some(&[][..]), Some(&[][..])), "{what}");
        }
        let totals = |crowd: &Crowd| {
            let t = crowd.broker.totals();
            (t.packets_received, t.publish_received, t.publish_bytes_received, t.publish_sent, t.publish_bytes_sent)
        };
        assert_eq!(totals(&short), totals(&long), "seed {seed}, {shards} shard(s), round {round}");
    }
}

// covers: [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.6.0-6] [MQTT311-4.5.0-1]
#[test]
fn a_message_behind_another_one_of_its_topic_is_delivered_like_any_other() {
    for seed in 0..40 {
        for shards in [1, 3] {
            walk(seed, shards, |_, _| {});
            walk(seed, shards, |settings, _| {
                settings.message_size_limit = 500;
                settings.topic_levels_max = 2;
                settings.queued_messages_max = 5;
            });
            walk(seed, shards, |settings, _| {
                settings.upgrade_outgoing_qos = true;
                settings.allow_duplicate_messages = false;
                settings.memory_limit = 20_000;
            });
            walk(seed, shards, |_, listener| {
                listener.mount_point = Some("m/".into());
            });
            walk(seed, shards, |_, listener| listener.qos_max = sori_mqtt::QoS::AtMostOnce);
            walk(seed, shards, |settings, _| {
                settings.inflight_messages_max = 2;
                settings.strict_receive_maximum = true;
            });
            walk(seed, shards, |settings, _| settings.keeps_records = true);
        }
    }
}

/// Acknowledgements in their shortest form may be taken several at a time. With a reason code, which says the same in one byte more,
/// each is taken by itself.
// covers: [MQTT-4.3.2-3] [MQTT-4.3.3-4] [MQTT-4.3.3-5] [MQTT-4.3.3-11]
#[test]
fn acknowledgements_in_a_row_are_taken_like_any_other() {
    for seed in 0..150 {
        acknowledge_at_random(seed, 1 + (seed % 2) as u16, seed % 3 == 0);
    }
}

fn acknowledge_at_random(seed: u64, shards: u16, keeps_records: bool) {
    let with = || {
        let broker = setup().settings(|settings| settings.keeps_records = keeps_records).broker(shards);
        let mut clients = ["a", "b"].map(|id| {
            let expiry = if seed.is_multiple_of(2) { 1000 } else { 0 };
            broker.connect(v5(id).session_expiry(expiry).receive_maximum(7))
        });
        for client in &mut clients {
            client.subscribe("t", 2);
            client.subscribe("u", 1);
            client.subscribe("#", 2);
        }
        (broker, clients)
    };
    let (mut short, mut long) = (with(), with());
    let mut random = Random(seed + 1);
    // What each client could answer: kind and identifier.
    let mut open: [Vec<(PacketType, u16)>; 2] = Default::default();
    for round in 0..30u16 {
        let by = random.below(2) as usize;
        let mut bytes = Vec::new();
        for n in 0..random.below(6) as u16 {
            let (qos, id) = (random.below(3) as u8, round * 10 + n + 1);
            let message = publish(["t", "u", "v"][random.below(3) as usize]).qos(qos).id_if(qos > 0, id).payload("x");
            let message = if random.one_in(6) { message.retain() } else { message };
            bytes.push((message.encode(Version::V5), None));
        }
        let mut answers = open[by].split_off(random.below(open[by].len() as u64 / 2 + 1) as usize);
        if random.one_in(2) {
            answers.sort_by_key(|(kind, _)| *kind as u8);
        }
        if random.one_in(8) {
            answers.push((PacketType::PubRel, 9_999));
            answers.push(([PacketType::PubAck, PacketType::PubRec][random.below(2) as usize], 9_999));
            answers.extend(answers.first().copied());
        }
        let short_form = |(kind, id): (PacketType, u16)| [&[kind.first_byte(), 2][..], &id.to_be_bytes()].concat();
        let long_form = |(kind, id): (PacketType, u16)| [&[kind.first_byte(), 3][..], &id.to_be_bytes(), &[0]].concat();
        bytes.extend(answers.into_iter().map(|answer| (short_form(answer), Some(long_form(answer)))));
        let in_short: Vec<u8> = bytes.iter().flat_map(|(short, _)| short.clone()).collect();
        let in_long: Vec<u8> = bytes.into_iter().flat_map(|(short, long)| long.unwrap_or(short)).collect();
        short.1[by].send_bytes(&in_short);
        long.1[by].send_bytes(&in_long);
        for ((open, short), long) in open.iter_mut().zip(&mut short.1).zip(&mut long.1) {
            let (received, expected) = (short.received_bytes(), long.received_bytes());
            assert_eq!(received, expected, "seed {seed}, round {round}");
            open.extend(answers_to(&received));
        }
        let totals = |broker: &Broker| {
            let t = broker.totals();
            (t.packets_received, t.packets_sent, t.publish_sent, t.dropped_refused, t.protocol_errors)
        };
        assert_eq!(totals(&short.0), totals(&long.0), "seed {seed}, round {round}");
    }
    let [received, expected] = [short.0, long.0].map(|broker| {
        let mut late = broker.connect(v5("late"));
        late.send(subscribe(1).filter("#", 0));
        late.received_bytes()
    });
    assert_eq!(received, expected, "seed {seed}, what is retained");
}

/// What a client has to answer to what it has received.
fn answers_to(mut bytes: &[u8]) -> Vec<(PacketType, u16)> {
    let mut answers = Vec::new();
    while let Ok(Split::Frame(frame)) = split(bytes, usize::MAX) {
        bytes = &bytes[frame.size..];
        answers.extend(match decode(frame, sori_mqtt::Version::V5, Direction::ToClient) {
            Ok(sori_mqtt::Packet::Publish(publish)) => publish.packet_id.map(|id| {
                let kind =
                    if publish.qos == sori_mqtt::QoS::AtLeastOnce { PacketType::PubAck } else { PacketType::PubRec };
                (kind, id.value())
            }),
            Ok(sori_mqtt::Packet::PubRel(ack)) => Some((PacketType::PubComp, ack.packet_id.value())),
            Ok(sori_mqtt::Packet::PubRec(ack)) if !ack.reason_code.is_error() => {
                Some((PacketType::PubRel, ack.packet_id.value()))
            }
            _ => None,
        });
    }
    answers
}

/// A subscriber that does not read gets what fits, and the rest of it is dropped by the same rules.
#[test]
fn a_subscriber_that_does_not_read_is_owed_the_same_however_messages_come() {
    let with = |asked: bool| {
        let setup = setup().settings(|settings| settings.queued_messages_max = 30);
        let setup = if asked { setup.access(AskedAccess::each_time(Rules::Everything)) } else { setup };
        let broker = setup.broker(1);
        let (mut publisher, mut subscriber) = (broker.connect(v311("p")), broker.connect(v311("s")));
        subscriber.subscribe("t", 0);
        subscriber.stall(true);
        for round in 0..100 {
            publisher.send_together((0..8).map(|n| publish("t").payload(vec![b'a' + n; 3000 + round])));
        }
        subscriber.stall(false);
        publisher.send_together((0..8).map(|n| publish("t").payload([n])));
        (subscriber.received_bytes(), broker.totals().dropped_queue_full)
    };
    let (short, long) = (with(false), with(true));
    assert!(short.1 > 0, "everything fits");
    assert!(short == long, "{} bytes and {} dropped, not {} and {}", short.0.len(), short.1, long.0.len(), long.1);
}

/// Who subscribes between two messages gets the second.
#[test]
fn a_subscription_between_two_messages_of_a_topic_counts() {
    let broker = setup().broker(1);
    let (mut publisher, mut subscriber) = (broker.connect(v311("p")), broker.connect(v311("s")));
    publisher.send_together([publish("t").payload("1"), publish("t").payload("2")]);
    subscriber.subscribe("t", 0);
    publisher.send_together([publish("t").payload("3"), publish("t").payload("4")]);
    subscriber.expect(publish("t").payload("3"));
    subscriber.expect(publish("t").payload("4"));
    subscriber.unsubscribe("t");
    publisher.send_together([publish("t").payload("5"), publish("t").payload("6")]);
    subscriber.expect_nothing();
}

/// A QoS 2 message waits for the store, and those behind it with it.
#[test]
fn messages_that_come_together_stay_behind_one_that_waits_for_the_store() {
    setup().settings(|settings| settings.keeps_records = true).run(|broker| {
        let (mut publisher, mut subscriber) = (broker.connect(v311("p")), broker.connect(v311("s").clean(false)));
        subscriber.subscribe("t", 2);
        publisher.send(publish("t").payload("1"));
        subscriber.expect(publish("t").payload("1"));
        broker.world().hold_store(true);
        publisher.send_together([publish("t").qos(2).id(1).payload("2"), pubrel(1)]);
        publisher.send_together([publish("t").payload("3"), publish("t").payload("4")]);
        subscriber.expect_nothing();
        broker.world().hold_store(false);
        subscriber.expect_message(publish("t").qos(2).payload("2"));
        subscriber.expect(publish("t").payload("3"));
        subscriber.expect(publish("t").payload("4"));
    });
}

/// A client that begins with these packets.
fn open(shard: &mut Shard, packets: &[Packet]) -> ConnectionId {
    let connection = shard.open(Time(1), Arc::new(ListenerSettings::default()), "127.0.0.1:50000");
    for packet in packets {
        shard.receive(Time(1), connection, &packet.encode(Version::V311));
    }
    connection
}

/// One that reads slowly: what waits for it is not overtaken by what comes later.
#[test]
#[allow(clippy::arc_with_non_send_sync, reason = "one thread has it all")]
fn a_message_does_not_overtake_those_that_wait() {
    let with = |access: Arc<dyn Access>| {
        let settings = Arc::new(Settings { queued_messages_max: 1000, ..Settings::default() });
        let mut shard = Shard::new(ShardId(0), 1, settings, Arc::new(PlainSpace::default()), access, 1, Time(1));
        let subscriber = open(&mut shard, &[v311("s"), subscribe(1).filter("t", 0)]);
        let publisher = open(&mut shard, &[v311("p")]);
        let mut taken = Vec::new();
        for round in 0..400u16 {
            let message = |n: u8| publish("t").payload([[n, round as u8]; 600].concat()).encode(Version::V311);
            shard.receive(Time(1), publisher, &(0..4).flat_map(message).collect::<Vec<_>>());
            let bytes = shard.output(subscriber).collect::<Vec<_>>().concat();
            let count = bytes.len().min(900);
            taken.extend_from_slice(&bytes[..count]);
            shard.sent(Time(1), subscriber, count);
        }
        while shard.output_len(subscriber) > 0 {
            let bytes = shard.output(subscriber).collect::<Vec<_>>().concat();
            shard.sent(Time(1), subscriber, bytes.len());
            taken.extend(bytes);
        }
        taken
    };
    let (short, long) = (with(Arc::new(OpenAccess)), with(Arc::new(AskedAccess::each_time(Rules::Everything))));
    assert!(short == long, "{} bytes and {}", short.len(), long.len());
}

/// Other rules from one message to the next: a right that is withdrawn, and a limit.
#[test]
#[allow(clippy::arc_with_non_send_sync, reason = "one thread has it all")]
fn rules_that_change_between_two_messages_of_a_topic_count() {
    let one_level = Settings { topic_levels_max: 1, ..Settings::default() };
    let steady = |rules| -> Arc<dyn Access> { Arc::new(AskedAccess { rules, is_steady: true }) };
    let all_open = || -> Arc<dyn Access> { Arc::new(OpenAccess) };
    let asked: Arc<dyn Access> = Arc::new(AskedAccess::each_time(Rules::NoPublishing));
    let changes = [
        (all_open(), Settings::default(), asked),
        (all_open(), Settings::default(), steady(Rules::NoPublishing)),
        (steady(Rules::Everything), Settings::default(), steady(Rules::NoPublishing)),
        (all_open(), one_level, all_open()),
    ];
    for (before, settings, access) in changes {
        let space = Arc::new(PlainSpace::default());
        let mut shard = Shard::new(ShardId(0), 1, Arc::default(), space, before, 1, Time(1));
        let subscriber = open(&mut shard, &[v311("s"), subscribe(1).filter("t/#", 0)]);
        let publisher = open(&mut shard, &[v311("p"), publish("t/1/2")]);
        let two = [publish("t/1/2").encode(Version::V311), publish("t/1/2").encode(Version::V311)].concat();
        let taken = |shard: &mut Shard| {
            let taken = shard.output_len(subscriber);
            shard.sent(Time(1), subscriber, taken);
            taken
        };
        taken(&mut shard);
        shard.receive(Time(1), publisher, &two);
        assert_eq!(taken(&mut shard), two.len());
        shard.reconfigure(Time(1), Arc::new(settings), access);
        shard.receive(Time(1), publisher, &two);
        assert_eq!(taken(&mut shard), 0);
    }
}

/// What is on its way while the rules change was permitted by the old ones; that says nothing about what comes after it.
#[test]
#[allow(clippy::arc_with_non_send_sync, reason = "one thread has it all")]
fn a_message_that_is_released_under_new_rules_permits_no_other() {
    let steady = |rules| Arc::new(AskedAccess { rules, is_steady: true });
    let (space, before) = (Arc::new(PlainSpace::default()), steady(Rules::Everything));
    let mut shard = Shard::new(ShardId(0), 1, Arc::default(), space, before, 1, Time(1));
    let subscriber = open(&mut shard, &[v311("s"), subscribe(1).filter("t", 0)]);
    let publisher = open(&mut shard, &[v311("p"), publish("t").qos(2).id(1)]);
    shard.reconfigure(Time(1), Arc::default(), steady(Rules::NoPublishing));
    let before = shard.output_len(subscriber);
    shard.receive(Time(1), publisher, &pubrel(1).encode(Version::V311));
    let released = shard.output_len(subscriber);
    assert!(released > before, "it was permitted when it came");
    shard.receive(Time(1), publisher, &publish("t").encode(Version::V311));
    assert_eq!(shard.output_len(subscriber), released);
}
