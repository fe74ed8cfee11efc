//! The driver: a server of bytes, and time that the test moves.

mod authenticating;
mod events;

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sori_mqtt::{
    Ack, ConnAck, Direction, Packet, PacketId, PacketType, Properties, Property, PropertyBuffer, Publish as Received,
    QoS, ReasonCode, Split, SubAck, Version, decode, split,
};

use super::{Driver, Link, Step};
use crate::message::Message;
use crate::{Error, Options, Overflow, Publish, Reconnect, State, Subscribe};

/// A driver, its time, and what it says to the server.
struct Rig {
    driver: Driver,
    now: Duration,
    version: Version,
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn options() -> Options {
    Options::new("mqtt://test").expect("a URL").client_id("tester").seed(1)
}

impl Rig {
    fn new(options: Options, first_must_succeed: bool) -> Self {
        let version = options.version.unwrap_or(Version::V5);
        let driver = Driver::new(options, first_must_succeed).expect("legal");
        Self { driver, now: Duration::ZERO, version }
    }

    /// With a server that has accepted the connection.
    fn connected(options: Options) -> Self {
        let mut rig = Self::new(options, true);
        rig.open();
        rig.accept(false);
        rig.sent();
        rig
    }

    /// The driver wants a connection, and gets it.
    fn open(&mut self) {
        assert!(self.wants_connection());
        self.driver.opened(self.now);
        assert!(self.sent().first().is_some_and(|sent| sent.starts_with("CONNECT")));
    }

    fn wants_connection(&mut self) -> bool {
        matches!(self.driver.poll_step(self.now, &cx()), Poll::Ready(Step::Open(_)))
    }

    fn accept(&mut self, session_present: bool) {
        let (reason_code, properties) = (ReasonCode::Success, Properties::EMPTY);
        self.feed(&Packet::ConnAck(ConnAck { session_present, reason_code, properties }));
    }

    fn feed(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes);
        self.driver.received(self.now, &bytes);
    }

    fn answer(&mut self, packet: PacketType, packet_id: u16) {
        let mut bytes = Vec::new();
        let ack = Ack { packet_id: id(packet_id), reason_code: ReasonCode::Success, properties: Properties::EMPTY };
        ack.encode(packet, self.version, &mut bytes);
        self.driver.received(self.now, &bytes);
    }

    fn grant(&mut self, packet_id: u16, code: u8) {
        let suback = SubAck { packet_id: id(packet_id), properties: Properties::EMPTY, reason_codes: &[code] };
        self.feed(&Packet::SubAck(suback));
    }

    fn message(&mut self, qos: u8, packet_id: u16, topic: &str, identifiers: &[u32]) {
        let mut properties = PropertyBuffer::new();
        for identifier in identifiers {
            properties.push(Property::SubscriptionIdentifier(*identifier));
        }
        let publish = Received {
            dup: false,
            qos: QoS::from_u8(qos).expect("legal"),
            retain: false,
            topic,
            packet_id: PacketId::new(packet_id),
            properties: properties.as_properties(),
            payload: b"hi",
        };
        self.feed(&Packet::Publish(publish));
    }

    /// What was sent since the last call.
    fn sent(&mut self) -> Vec<String> {
        let (mut output, mut sent) = (Vec::new(), Vec::new());
        self.driver.take_output(&mut output);
        let mut rest = output.as_slice();
        while let Ok(Split::Frame(frame)) = split(rest, usize::MAX) {
            let packet = decode(frame, self.version, Direction::ToServer).expect("a legal packet of a client");
            sent.push(match &packet {
                Packet::Publish(publish) => {
                    let number = publish.packet_id.map_or(0, PacketId::value);
                    format!("PUBLISH {number} d{} {}", u8::from(publish.dup), publish.topic)
                }
                Packet::Subscribe(subscribe) => {
                    let filters: Vec<_> = subscribe.filters().map(|(filter, _)| filter.as_str().to_owned()).collect();
                    format!("SUBSCRIBE {} {}", subscribe.packet_id.value(), filters.join(" "))
                }
                Packet::Unsubscribe(unsubscribe) => format!("UNSUBSCRIBE {}", unsubscribe.packet_id.value()),
                Packet::PubAck(ack) | Packet::PubRec(ack) => {
                    format!("{} {}", packet.packet_type().name(), ack.packet_id.value())
                }
                Packet::Connect(connect) if connect.properties.authentication_method().is_some() => {
                    let (method, data) =
                        (connect.properties.authentication_method(), connect.properties.authentication_data());
                    let data = String::from_utf8_lossy(data.unwrap_or_default());
                    format!("CONNECT {} {data}", method.unwrap_or_default())
                }
                other => other.packet_type().name().to_owned(),
            });
            rest = &rest[frame.size..];
        }
        sent
    }

    fn lose(&mut self) {
        self.driver.closed(self.now, None);
    }

    /// Time passes until the driver has something to do.
    fn skip(&mut self) -> Duration {
        let deadline = self.driver.deadline().expect("has plans");
        let skipped = deadline.saturating_sub(self.now);
        self.now = self.now.max(deadline);
        self.driver.handle_timeout(self.now);
        skipped
    }

    fn stream(&mut self, subscribe: impl Into<Subscribe>) -> u64 {
        self.driver.subscribe(&subscribe.into()).expect("legal")
    }

    /// How many messages a stream has.
    fn taken(&mut self, stream: u64) -> usize {
        let (mut taken, mut batch) = (0, VecDeque::new());
        while let Poll::Ready(Some(_)) = self.driver.poll_next(stream, &cx(), &mut batch) {
            taken += 1 + batch.drain(..).len();
        }
        self.driver.unpark(stream);
        taken
    }

    /// One message of a stream, and how many came with it.
    fn take(&mut self, stream: u64) -> Option<(Message, usize)> {
        let mut batch = VecDeque::new();
        match self.driver.poll_next(stream, &cx(), &mut batch) {
            Poll::Ready(Some(taken)) => Some((Message::new(taken.body, None), batch.len())),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }

    fn end(&self) -> Option<String> {
        match self.driver.state() {
            State::Closed { error } => Some(error.map_or("wanted".into(), |error| error.to_string())),
            _ => None,
        }
    }
}

#[test]
fn what_was_published_before_the_connection_follows_the_subscriptions() {
    let mut rig = Rig::new(options(), false);
    rig.driver.publish(&("t", "early").into()).expect("kept");
    rig.stream("f");
    rig.open();
    rig.accept(false);
    assert_eq!(rig.sent(), ["SUBSCRIBE 1 f", "PUBLISH 2 d0 t"]);
}

#[test]
fn a_lost_connection_is_made_again_and_what_was_in_flight_is_sent_again() {
    let mut rig = Rig::connected(options());
    let stream = rig.stream("f");
    assert!(matches!(rig.driver.poll_subscribed(stream, &cx()), Poll::Pending));
    rig.grant(1, 1);
    assert!(matches!(rig.driver.poll_subscribed(stream, &cx()), Poll::Ready(Ok(()))));
    let token = rig.driver.publish(&("t", "x").into()).expect("room");
    assert_eq!(rig.sent(), ["SUBSCRIBE 1 f", "PUBLISH 2 d0 t"]);
    rig.lose();
    assert!(!rig.wants_connection());
    assert!(rig.skip() < Duration::from_secs(1));
    rig.open();
    rig.accept(true);
    assert_eq!(rig.sent(), ["PUBLISH 2 d1 t"], "the session has the subscription");
    rig.answer(PacketType::PubAck, 2);
    assert!(matches!(rig.driver.poll_receipt(token, &cx()), Poll::Ready(Ok(_))));
}

#[test]
fn a_lost_session_is_made_up_for() {
    let mut rig = Rig::connected(options());
    rig.stream("f");
    rig.grant(1, 1);
    let token = rig.driver.publish(&("t", "x").into()).expect("room");
    rig.sent();
    rig.lose();
    rig.skip();
    rig.open();
    rig.accept(false);
    assert_eq!(rig.sent(), ["SUBSCRIBE 3 f", "PUBLISH 4 d0 t"]);
    rig.answer(PacketType::PubAck, 4);
    assert!(matches!(rig.driver.poll_receipt(token, &cx()), Poll::Ready(Ok(_))));
}

#[test]
fn a_subscription_that_is_refused_after_a_reconnect_ends_its_stream_and_is_told() {
    let mut rig = Rig::connected(options());
    let stream = rig.stream("f");
    rig.grant(1, 1);
    rig.lose();
    rig.skip();
    rig.open();
    let watcher = rig.driver.watch();
    rig.accept(false);
    rig.sent();
    rig.grant(2, 0x87);
    assert!(matches!(rig.driver.poll_next(stream, &cx(), &mut VecDeque::new()), Poll::Ready(None)));
    assert!(matches!(rig.driver.stream_error(stream), Some(Error::SubscribeRefused(..))));
    let mut told = Vec::new();
    while let Poll::Ready(Some(state)) = rig.driver.poll_state(watcher, &cx()) {
        told.push(state);
    }
    assert!(matches!(told.last(), Some(State::SubscriptionLost { filter, .. }) if filter == "f"), "{told:?}");
}

#[test]
fn waits_grow_and_begin_anew_after_a_good_connection() {
    let mut rig = Rig::connected(options().reconnect(Reconnect::default().stable_after(Duration::from_secs(10))));
    let mut waits = Vec::new();
    for _ in 0..12 {
        rig.lose();
        waits.push(rig.skip());
        rig.open();
        rig.accept(true);
    }
    assert!(waits.iter().max() > Some(&Duration::from_secs(10)), "{waits:?}");
    rig.now += Duration::from_secs(11);
    rig.lose();
    assert!(rig.skip() < Duration::from_secs(1));
}

#[test]
fn the_first_failure_is_the_end_where_that_was_wanted_and_else_is_not() {
    let refused =
        || Error::Unreachable("test".into(), std::sync::Arc::new(std::io::ErrorKind::ConnectionRefused.into()));
    let mut rig = Rig::new(options(), true);
    assert!(rig.wants_connection());
    rig.driver.open_failed(rig.now, refused());
    assert!(rig.end().is_some_and(|end| end.contains("nothing listens")));
    assert!(matches!(rig.driver.connect_result(), Some(Err(Error::Unreachable(..)))));
    assert!(matches!(rig.driver.poll_step(rig.now, &cx()), Poll::Ready(Step::End)));

    let mut rig = Rig::new(options(), false);
    assert!(rig.wants_connection());
    rig.driver.open_failed(rig.now, refused());
    rig.skip();
    assert!(rig.wants_connection());
}

#[test]
fn attempts_that_take_too_long_are_given_up() {
    let mut rig = Rig::new(options().connect_timeout(Duration::from_secs(3)), false);
    assert!(rig.wants_connection());
    assert_eq!(rig.skip(), Duration::from_secs(3));
    assert_eq!(rig.driver.link(), Link::Drop);
    assert!(matches!(rig.driver.state(), State::Disconnected { error, .. } if matches!(*error, Error::TimedOut(..))));
}

#[test]
fn each_round_tries_5_and_then_311() {
    let mut rig = Rig::new(options(), false);
    for _ in 0..3 {
        rig.version = Version::V5;
        rig.open();
        rig.lose();
        rig.version = Version::V311;
        rig.open();
        rig.lose();
        rig.skip();
    }
    rig.version = Version::V5;
    rig.open();
    rig.accept(false);
    assert!(matches!(rig.driver.state(), State::Connected { version: Version::V5, .. }));
}

#[test]
fn closing_delivers_then_says_good_bye() {
    let mut rig = Rig::connected(options());
    rig.driver.publish(&("t", "x").into()).expect("room");
    rig.driver.begin_close(rig.now);
    assert_eq!(rig.sent(), ["PUBLISH 1 d0 t"]);
    assert!(matches!(rig.driver.publish(&("t", "late").into()), Err(Error::Closed(None))));
    assert_eq!(rig.driver.link(), Link::Keep);
    rig.answer(PacketType::PubAck, 1);
    assert_eq!(rig.driver.link(), Link::Finish);
    assert_eq!(rig.sent(), ["DISCONNECT"]);
    rig.lose();
    assert_eq!(rig.end().as_deref(), Some("wanted"));
    assert!(matches!(rig.driver.close_result(), Some(Ok(()))));
}

#[test]
fn closing_does_not_wait_for_ever() {
    let mut rig = Rig::connected(options().close_timeout(Duration::from_secs(5)).keep_alive(Duration::ZERO));
    rig.driver.publish(&("t", "x").into()).expect("room");
    rig.driver.begin_close(rig.now);
    rig.sent();
    assert_eq!(rig.skip(), Duration::from_secs(5));
    assert_eq!(rig.driver.link(), Link::Finish);
    // Nor for a server that does not read the good-bye.
    rig.skip();
    assert_eq!(rig.driver.link(), Link::Drop);
    assert!(matches!(rig.driver.close_result(), Some(Err(Error::Undelivered(1)))));

    let mut offline = Rig::new(options().close_timeout(Duration::from_secs(5)), false);
    offline.driver.publish(&("t", "x").into()).expect("kept");
    offline.driver.begin_close(offline.now);
    assert!(offline.wants_connection(), "what was accepted is to be delivered");
    while offline.end().is_none() {
        offline.skip();
        let _ = offline.wants_connection();
    }
    assert_eq!(offline.now, Duration::from_secs(5));
}

#[test]
fn a_full_queue_holds_the_connection_back_as_long_as_nobody_waits_for_anything_else() {
    let mut rig = Rig::connected(options().keep_alive(Duration::from_secs(60)));
    let full = rig.stream(Subscribe::new("full").queue(2, Overflow::Wait));
    rig.grant(1, 1);
    let other = rig.stream("other");
    rig.grant(2, 1);
    assert!(rig.driver.wants_input());
    rig.message(1, 1, "full", &[1]);
    rig.message(1, 2, "full", &[1]);
    assert!(!rig.driver.wants_input());
    // Somebody waits for the other stream.
    assert!(matches!(rig.driver.poll_next(other, &cx(), &mut VecDeque::new()), Poll::Pending));
    assert!(rig.driver.wants_input());
    rig.driver.unpark(other);
    assert!(!rig.driver.wants_input());
    // Or for a receipt.
    rig.driver.publish(&("t", "x").into()).expect("room");
    assert!(rig.driver.wants_input());
    rig.message(1, 3, "full", &[1]);
    rig.answer(PacketType::PubAck, 3);
    assert!(!rig.driver.wants_input());
    // While nothing is read, nothing can be missed.
    for _ in 0..20 {
        rig.skip();
    }
    assert_eq!(rig.driver.link(), Link::Keep);
    assert_eq!(rig.taken(full), 3);
    assert!(rig.driver.wants_input());
}

#[test]
fn beyond_all_memory_the_server_keeps_what_it_may_not_forget() {
    let mut rig = Rig::connected(options().incoming_bytes_max(70));
    let stream = rig.stream(Subscribe::new("t").queue(1_000, Overflow::Wait));
    rig.grant(1, 1);
    rig.sent();
    rig.message(1, 1, "t", &[1]);
    rig.message(1, 2, "t", &[1]);
    assert_eq!(rig.sent(), ["PUBACK 1", "PUBACK 2"]);
    rig.message(1, 3, "t", &[1]);
    rig.message(0, 0, "t", &[1]);
    assert_eq!(rig.sent(), [""; 0], "there is no memory for more");
    assert_eq!(rig.driver.dropped(stream), 1, "QoS 0 is not sent again");
    assert_eq!(rig.taken(stream), 3);
    assert_eq!(rig.sent(), ["PUBACK 3"]);
    for packet_id in 4..=20 {
        rig.message(1, packet_id, "t", &[1]);
    }
    assert!(rig.taken(stream) < 8, "and even that has a bound");
}

#[test]
fn messages_go_where_their_identifiers_say_and_else_where_filters_match() {
    let mut rig = Rig::connected(options());
    let (all, one) = (rig.stream("a/#"), rig.stream("a/1"));
    rig.grant(1, 1);
    rig.grant(2, 1);
    // The server sends one copy for each subscription.
    rig.message(0, 0, "a/1", &[1]);
    rig.message(0, 0, "a/1", &[2]);
    assert_eq!((rig.taken(all), rig.taken(one)), (1, 1));
    // Or one for both, or says nothing about it.
    rig.message(0, 0, "a/1", &[1, 2]);
    assert_eq!((rig.taken(all), rig.taken(one)), (1, 1));
    rig.message(0, 0, "a/1", &[]);
    assert_eq!((rig.taken(all), rig.taken(one)), (1, 1));
    rig.message(0, 0, "nobody", &[]);
    rig.message(0, 0, "nobody", &[77]);
    assert_eq!(rig.driver.unmatched(), 2);
}

#[test]
fn identifiers_of_an_earlier_program_mislead_nobody() {
    let mut rig = Rig::new(options().client_id("kept").clean_start(false), true);
    rig.open();
    rig.accept(true);
    // Identifier 1 was another filter's in the earlier program; nobody has subscribed here.
    rig.message(1, 1, "later", &[1]);
    rig.message(1, 2, "never", &[2]);
    rig.sent();
    let other = rig.stream("other");
    let later = rig.stream("later");
    assert_eq!((rig.taken(other), rig.taken(later)), (0, 1));
    // What nobody claims holds up the others for a moment only.
    rig.now += Duration::from_secs(5);
    rig.driver.handle_timeout(rig.now);
    assert_eq!(rig.driver.unmatched(), 1);
    let sent = rig.sent();
    assert!(sent.contains(&"PUBACK 1".to_owned()) && sent.contains(&"PUBACK 2".to_owned()), "{sent:?}");
}

#[test]
fn a_message_of_two_careful_streams_is_acknowledged_when_both_have_done_so() {
    let mut rig = Rig::connected(options());
    let careful = |filter: &str| Subscribe::new(filter).manual_acks(true);
    let (one, two) = (rig.stream(careful("a/#")), rig.stream(careful("a/1")));
    rig.grant(1, 1);
    rig.grant(2, 1);
    rig.sent();
    rig.message(1, 7, "a/1", &[1, 2]);
    for (stream, expected) in [(one, &[][..]), (two, &["PUBACK 7"])] {
        let received = match rig.driver.poll_next(stream, &cx(), &mut VecDeque::new()) {
            Poll::Ready(received) => received.expect("goes on"),
            Poll::Pending => unreachable!("there is a message"),
        };
        assert!(matches!(received.due, super::Due::OnAcceptance(_)));
        if let super::Due::OnAcceptance(delivery) = received.due {
            rig.driver.acknowledge(delivery, ReasonCode::Success).expect("legal");
        }
        assert_eq!(rig.sent(), expected);
    }
}

#[test]
fn dropping_a_stream_unsubscribes_unless_the_session_is_to_stay() {
    for is_kept in [true, false] {
        let options = options().client_id("c").clean_start(!is_kept);
        let mut rig = Rig::connected(options);
        let (stream, other) = (rig.stream("f"), rig.stream("f"));
        rig.grant(2, 1);
        rig.sent();
        rig.driver.remove_stream(other, false);
        assert_eq!(rig.sent(), [""; 0], "somebody still wants it");
        rig.driver.remove_stream(stream, false);
        let expected: &[&str] = if is_kept { &[] } else { &["UNSUBSCRIBE 3"] };
        assert_eq!(rig.sent(), expected);
    }
}

#[test]
fn a_request_waits_for_the_subscription_to_its_response() {
    let mut rig = Rig::connected(options());
    let request = Publish::new("ask", "?").into_owned();
    let id = rig.driver.begin_request(rig.now, request, Duration::from_secs(10)).expect("legal");
    let asked = rig.sent();
    assert!(asked.len() == 1 && asked[0].starts_with("SUBSCRIBE 1 sori/reply/"), "{asked:?}");
    rig.grant(1, 1);
    assert_eq!(rig.sent(), ["PUBLISH 2 d0 ask"]);
    assert!(matches!(rig.driver.poll_reply(id, &cx()), Poll::Pending));
    rig.answer(PacketType::PubAck, 2);
    assert!(matches!(rig.driver.poll_reply(id, &cx()), Poll::Pending));
    assert_eq!(rig.skip(), Duration::from_secs(10));
    assert!(matches!(rig.driver.poll_reply(id, &cx()), Poll::Ready(Err(Error::NoAnswer(_)))));
}

#[test]
fn a_session_taken_over_is_not_fought_for() {
    let mut rig = Rig::connected(options());
    rig.driver.received(rig.now, &[0xE0, 2, 0x8E, 0]);
    assert_eq!(rig.driver.link(), Link::Finish);
    rig.lose();
    assert!(rig.end().is_some_and(|end| end.contains("session taken over")));
}

#[test]
fn a_batch_counts_in_the_bounds_until_it_has_been_looked_at() {
    let mut rig = Rig::connected(options());
    let stream = rig.stream(Subscribe::new("t").queue(32, Overflow::Wait));
    rig.grant(1, 1);
    for _ in 0..32 {
        rig.message(0, 0, "t", &[1]);
    }
    assert!(!rig.driver.wants_input());
    let (message, more) = rig.take(stream).expect("there is one");
    assert_eq!((message.topic(), message.text(), more), ("t", Ok("hi"), 32 / 8));
    assert!(rig.driver.wants_input(), "one has left");
    rig.message(0, 0, "t", &[1]);
    assert!(!rig.driver.wants_input(), "and four only come with it");
    let _ = rig.take(stream).expect("there is one");
    for _ in 0..5 {
        assert!(rig.driver.wants_input());
        rig.message(0, 0, "t", &[1]);
    }
    assert!(!rig.driver.wants_input());
    while rig.take(stream).is_some() {}
    assert_eq!(rig.driver.incoming_bytes(), 0);
    // A batch whose stream is dropped takes no memory any more.
    for _ in 0..32 {
        rig.message(0, 0, "t", &[1]);
    }
    let _ = rig.take(stream).expect("there is one");
    rig.driver.remove_stream(stream, true);
    assert!(rig.driver.wants_input() && rig.driver.incoming_bytes() == 0);
}

#[test]
fn what_may_have_to_give_way_or_is_to_be_acknowledged_is_taken_alone() {
    for (overflow, manual_acks) in
        [(Overflow::DropOldest, false), (Overflow::DropNewest, false), (Overflow::Wait, true)]
    {
        let mut rig = Rig::connected(options());
        let stream = rig.stream(Subscribe::new("t").queue(100, overflow).manual_acks(manual_acks));
        rig.grant(1, 1);
        for packet_id in 1..=50 {
            rig.message(1, packet_id, "t", &[1]);
        }
        for _ in 0..50 {
            assert_eq!(rig.take(stream).map(|(_, more)| more), Some(0), "{overflow:?}");
        }
    }
}

/// What is allocated are the blocks in which the messages lie, many in each: two allocations for 4 KiB of messages.
#[test]
fn a_message_that_comes_in_takes_no_memory_of_its_own() {
    const COUNT: u16 = 500;
    for version in [Version::V311, Version::V5] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let mut rig = Rig::connected(options().version(version));
            let stream = rig.stream(Subscribe::new("sensors/+/temperature").queue(COUNT.into(), Overflow::Wait));
            rig.grant(1, qos as u8);
            let (mut bytes, mut size, mut output) = (Vec::new(), 0, Vec::new());
            let mut properties = PropertyBuffer::new();
            if version.is_v5() {
                properties.push(Property::SubscriptionIdentifier(1));
            }
            for packet_id in 1..=COUNT {
                let packet_id = if qos == QoS::AtMostOnce { None } else { PacketId::new(packet_id) };
                let (topic, properties) = ("sensors/17/temperature", properties.as_properties());
                let payload = [b'x'; 64].as_slice();
                let publish = Received { dup: false, qos, retain: false, topic, packet_id, properties, payload };
                publish.encode(version, &mut bytes);
                size += topic.len() + properties.len() + payload.len();
            }
            let mut turn = || {
                rig.driver.received(rig.now, &bytes);
                assert_eq!(rig.taken(stream), usize::from(COUNT));
                rig.driver.take_output(&mut output);
            };
            // Buffers grow to their sizes.
            turn();
            turn();
            let allocations = allocation_counter::measure(turn).count_total;
            let blocks = size.div_ceil(4 * 1024 - size / usize::from(COUNT)) as u64;
            // The test's own batch of messages has its memory anew, too.
            assert!(allocations <= 2 * blocks + 8, "{version:?} {qos:?}: {allocations} for {blocks} blocks");
        }
    }
}

/// In TLS 1.3 a server refuses a client's certificate when the handshake is over for the client.
#[cfg(feature = "transport")]
#[test]
fn what_ends_the_way_before_the_server_has_answered_is_told() {
    let mut transport =
        sori_net::Transport::plain().websocket_client(&sori_net::WebSocketClient::new("host", "/")).expect("legal");
    let refusal = transport.receive(&mut b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), &mut Vec::new());
    let refusal = || std::io::Error::other(refusal.clone().expect_err("is none"));
    let mut rig = Rig::new(options().version(Version::V5), true);
    rig.open();
    rig.driver.closed(rig.now, Some(refusal()));
    assert!(matches!(rig.driver.connect_result(), Some(Err(Error::WebSocket(..)))));
    // Later it is a connection that was lost, and may come back.
    let mut rig = Rig::connected(options());
    rig.driver.closed(rig.now, Some(refusal()));
    assert!(matches!(rig.driver.state(), State::Disconnected { error, .. } if matches!(*error, Error::Lost(Some(_)))));
}
