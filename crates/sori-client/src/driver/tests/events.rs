//! A session that is told event by event.

use sori_mqtt::SubscribeOptions;
use sori_mqtt::client_session::Delivery;

use super::super::events::EVENTS_MAX;
use super::*;
use crate::Event;

fn telling(options: Options, with_bytes: bool) -> Rig {
    let version = options.version.unwrap_or(Version::V5);
    let mut driver = Driver::telling(options, with_bytes).expect("legal");
    driver.add_handle();
    Rig { driver, now: Duration::ZERO, version }
}

/// With a server that has accepted the connection.
fn connected(options: Options) -> Rig {
    let mut rig = telling(options, false);
    rig.open();
    rig.accept(false);
    assert!(matches!(rig.told().as_slice(), [Event::Connected { session_present: false, version: Version::V5 }]));
    rig
}

impl Rig {
    fn next(&mut self) -> Option<(Event, Option<Delivery>)> {
        match self.driver.poll_event(&cx()) {
            Poll::Ready(told) => told,
            Poll::Pending => None,
        }
    }

    /// All that was told.
    fn told(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.next().map(|(event, _)| event)).collect()
    }

    fn told_once(&mut self) -> Event {
        self.next().expect("something was told").0
    }

    fn subscribe(&mut self, filters: &[&str]) -> Result<crate::Token, Error> {
        self.driver.subscribe_told(filters, SubscribeOptions::default(), Properties::EMPTY)
    }
}

#[test]
fn what_is_asked_for_is_sent_and_nothing_else() {
    let mut rig = connected(options());
    let token = rig.subscribe(&["a", "b/#"]).expect("legal");
    assert_eq!(rig.sent(), ["SUBSCRIBE 1 a b/#"]);
    let packet_id = id(1);
    rig.feed(&Packet::SubAck(SubAck { packet_id, properties: Properties::EMPTY, reason_codes: &[1, 0x87] }));
    let told = rig.told();
    let [Event::Subscribed { token: found, reason_codes, reason_string: None }] = told.as_slice() else {
        unreachable!("{told:?}")
    };
    assert_eq!((*found, reason_codes.as_slice()), (token, &[ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized][..]));
    assert!(matches!(rig.subscribe(&["a#"]), Err(Error::Topic(..))));
    rig.driver.unsubscribe_told(&["a"], Properties::EMPTY).expect("legal");
    assert_eq!(rig.sent(), ["UNSUBSCRIBE 2"]);
}

#[test]
fn a_message_for_which_there_is_no_subscription_is_told_and_acknowledged_by_whoever_takes_it() {
    let mut rig = connected(options());
    rig.message(1, 7, "a", &[]);
    let Some((Event::Message { message, packet_id: Some(7) }, Some(delivery))) = rig.next() else {
        unreachable!("a message")
    };
    assert_eq!((message.topic(), rig.sent().as_slice()), ("a", &[][..]));
    rig.driver.acknowledge(delivery, ReasonCode::Success).expect("legal");
    assert_eq!(rig.sent(), ["PUBACK 7"]);
}

#[test]
fn publishes_end_one_by_one() {
    let mut rig = connected(options());
    let token = rig.driver.publish_told(&Publish::new("a", "b")).expect("legal");
    assert_eq!(rig.sent(), ["PUBLISH 1 d0 a"]);
    rig.answer(PacketType::PubAck, 1);
    let told = rig.told();
    assert!(
        matches!(told.as_slice(), [Event::Published { token: found, result: Ok(_) }] if *found == token),
        "{told:?}"
    );
}

#[test]
fn a_full_queue_holds_the_connection_back_until_something_is_taken() {
    let mut rig = connected(options());
    for _ in 0..EVENTS_MAX {
        assert!(rig.driver.wants_input());
        rig.message(0, 0, "a", &[]);
    }
    assert!(!rig.driver.wants_input());
    rig.next().expect("a message");
    assert!(rig.driver.wants_input());
    let mut rig = connected(options().incoming_bytes_max(1));
    rig.message(0, 0, "a", &[]);
    assert!(!rig.driver.wants_input());
    rig.next().expect("a message");
    assert!(rig.driver.wants_input());
}

#[test]
fn bytes_are_told_around_what_they_mean() {
    let mut rig = telling(options(), true);
    rig.open();
    rig.accept(false);
    let told = rig.told();
    let [Event::Sent(sent), Event::Received(received), Event::Connected { .. }] = told.as_slice() else {
        unreachable!("{told:?}")
    };
    assert_eq!((sent.first(), received.first()), (Some(&0x10), Some(&0x20)));
}

#[test]
fn a_lost_connection_is_told_and_made_again() {
    let mut rig = connected(options());
    rig.subscribe(&["a"]).expect("legal");
    rig.driver.closed(rig.now, None);
    let told = rig.told();
    let [Event::RequestLost { .. }, Event::Lost { retry_in, .. }] = told.as_slice() else { unreachable!("{told:?}") };
    assert!(matches!(rig.subscribe(&["a"]), Err(Error::Request(crate::RequestError::NotConnected))));
    rig.now += *retry_in;
    rig.open();
    rig.accept(true);
    assert!(matches!(rig.told().as_slice(), [Event::Connected { session_present: true, .. }]));
    // Nothing is subscribed to again by itself.
    assert!(rig.sent().is_empty());
}

#[test]
fn the_first_attempt_decides_and_the_end_stays_the_end() {
    let mut rig = telling(options(), false);
    assert!(rig.wants_connection());
    rig.driver.open_failed(rig.now, Error::Handshake("here".to_owned(), "no".to_owned()));
    for _ in 0..2 {
        let Some((Event::Ended { error: Some(error) }, None)) = rig.next() else { unreachable!("the end") };
        assert!(matches!(*error, Error::Handshake(..)), "{error:?}");
    }
    assert!(matches!(rig.driver.publish_told(&Publish::new("a", "b")), Err(Error::Closed(_))));
}

#[test]
fn a_good_bye_says_exactly_what_it_was_given() {
    let mut rig = connected(options().session_expiry(Duration::from_secs(9)));
    let wrong = rig.driver.disconnect(rig.now, ReasonCode::NotAuthorized, Properties::EMPTY);
    assert!(matches!(wrong, Err(Error::Request(_))), "{wrong:?}");
    assert_eq!(rig.driver.link(), Link::Keep);
    rig.driver.disconnect(rig.now, ReasonCode::DisconnectWithWill, Properties::EMPTY).expect("legal");
    let mut output = Vec::new();
    rig.driver.take_output(&mut output);
    assert_eq!((output.as_slice(), rig.driver.link()), (&[0xE0, 1, 4][..], Link::Finish));
    rig.driver.closed(rig.now, None);
    assert!(matches!(rig.told_once(), Event::Ended { error: None }));
}

#[test]
fn without_a_connection_a_good_bye_is_the_end() {
    let mut rig = telling(options(), false);
    rig.driver.disconnect(rig.now, ReasonCode::Success, Properties::EMPTY).expect("legal");
    assert!(matches!(rig.told_once(), Event::Ended { error: None }));
    let mut rig = telling(options(), false);
    rig.open();
    // [MQTT-3.1.2-30]: not before the server has answered.
    rig.driver.disconnect(rig.now, ReasonCode::Success, Properties::EMPTY).expect("legal");
    assert_eq!(rig.driver.link(), Link::Finish);
}

#[test]
fn whoever_is_interrupted_gets_nothing_once() {
    let mut rig = connected(options());
    rig.message(0, 0, "a", &[]);
    rig.driver.interrupt();
    assert!(matches!(rig.driver.poll_event(&cx()), Poll::Ready(None)));
    assert!(matches!(rig.told().as_slice(), [Event::Message { .. }]));
}

#[test]
fn what_nobody_can_take_is_not_kept() {
    let mut rig = connected(options());
    rig.driver.remove_handle(rig.now);
    assert_eq!(rig.driver.link(), Link::Finish);
    rig.message(0, 0, "a", &[]);
    assert!(rig.told().is_empty());
}
