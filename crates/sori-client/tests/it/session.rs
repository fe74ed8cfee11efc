//! A session event by event, over sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use sori_client::{Error, Event, Options, Properties, Publish, QoS, ReasonCode, Session, SubscribeOptions, Version};

use super::brokers::{Broker, Kind, PATIENCE, options};

fn next(session: &mut Session) -> Event {
    session.wait(Some(Instant::now() + PATIENCE)).expect("something happens")
}

#[test]
fn a_session_does_what_it_is_told_with_every_broker() {
    for kind in [Kind::Sori, Kind::Mosquitto] {
        let Some(broker) = Broker::start(kind) else { continue };
        for (version, qos) in [(Version::V311, QoS::AtMostOnce), (Version::V5, QoS::ExactlyOnce)] {
            let mut session = Session::open(broker.options(version)).expect("legal");
            assert!(matches!(next(&mut session), Event::Connected { .. }));
            let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
            session.subscribe(&["a", "b/#"], options, Properties::EMPTY).expect("legal");
            let Event::Subscribed { reason_codes, .. } = next(&mut session) else { unreachable!("SUBACK") };
            assert_eq!(reason_codes.len(), 2);
            let token = session.publish(Publish::new("b/c", "d").qos(qos)).expect("legal");
            let (mut is_published, mut is_received) = (false, false);
            while !is_published || !is_received {
                match next(&mut session) {
                    Event::Published { token: found, result } => is_published = found == token && result.is_ok(),
                    Event::Message { message, packet_id } => {
                        is_received = (message.topic(), message.payload()) == ("b/c", b"d");
                        assert_eq!(packet_id.is_some(), qos != QoS::AtMostOnce);
                    }
                    event => unreachable!("{event:?}"),
                }
            }
            session.disconnect(ReasonCode::Success, Properties::EMPTY).expect("legal");
            assert!(matches!(next(&mut session), Event::Ended { error: None }));
        }
    }
}

/// A server that accepts one client, and what is said to it then.
fn server() -> (Options, thread::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("has an address").port();
    let accepting = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        client.set_read_timeout(Some(PATIENCE)).expect("a time");
        let mut connect = [0; 2];
        client.read_exact(&mut connect).expect("CONNECT");
        client.read_exact(&mut vec![0; connect[1].into()]).expect("CONNECT");
        client.write_all(&[0x20, 2, 0, 0]).expect("CONNACK");
        client
    });
    (Options::tcp("127.0.0.1", port).version(Version::V311), accepting)
}

#[test]
fn a_message_is_acknowledged_when_the_next_event_is_asked_for() {
    let (options, accepting) = server();
    let mut session = Session::open(options).expect("legal");
    assert!(matches!(next(&mut session), Event::Connected { .. }));
    let mut server = accepting.join().expect("accepts");
    server.write_all(&[0x32, 5, 0, 1, b'a', 0, 7]).expect("PUBLISH");
    assert!(matches!(next(&mut session), Event::Message { packet_id: Some(7), .. }));
    // What is sent now is sent before the acknowledgement.
    session.publish(Publish::new("b", "").qos(QoS::AtMostOnce)).expect("legal");
    assert!(matches!(next(&mut session), Event::Published { .. }));
    session.disconnect(ReasonCode::Success, Properties::EMPTY).expect("legal");
    assert!(matches!(next(&mut session), Event::Ended { error: None }));
    let mut sent = Vec::new();
    server.read_to_end(&mut sent).expect("is closed");
    assert_eq!(sent, [0x30, 3, 0, 1, b'b', 0x40, 2, 0, 7, 0xE0, 0]);
}

#[test]
fn a_good_bye_acknowledges_the_message_before() {
    let (options, accepting) = server();
    let mut session = Session::open(options).expect("legal");
    assert!(matches!(next(&mut session), Event::Connected { .. }));
    let mut server = accepting.join().expect("accepts");
    server.write_all(&[0x32, 5, 0, 1, b'a', 0, 7]).expect("PUBLISH");
    assert!(matches!(next(&mut session), Event::Message { .. }));
    session.disconnect(ReasonCode::Success, Properties::EMPTY).expect("legal");
    assert!(matches!(next(&mut session), Event::Ended { error: None }));
    let mut sent = Vec::new();
    server.read_to_end(&mut sent).expect("is closed");
    assert_eq!(sent, [0x40, 2, 0, 7, 0xE0, 0]);
}

#[test]
fn another_thread_ends_the_waiting() {
    let (options, accepting) = server();
    let mut session = Session::open(options).expect("legal");
    assert!(matches!(next(&mut session), Event::Connected { .. }));
    let interrupter = session.interrupter();
    let thread = thread::spawn(move || interrupter.interrupt());
    assert!(session.wait(None).is_none());
    thread.join().expect("has interrupted");
    assert!(session.try_next().is_none());
    drop(accepting.join().expect("accepts"));
    assert!(matches!(next(&mut session), Event::Lost { .. }));
}

#[tokio::test]
async fn tasks_await_what_threads_wait_for() {
    let broker = Broker::sori();
    let mut session = Session::open(options(&broker.unix_url()).version(Version::V5)).expect("legal");
    assert!(matches!(session.next().await, Some(Event::Connected { .. })));
    drop(session);
}

#[test]
fn the_first_attempt_decides_and_a_store_is_not_for_sessions() {
    let mut session = Session::open("unix:/missing").expect("legal");
    let Event::Ended { error: Some(error) } = next(&mut session) else { unreachable!("nobody is there") };
    assert!(matches!(*error, Error::Unreachable(..)), "{error:?}");
    let options = Options::new("mqtt://localhost").expect("a URL").store(sori_client::Store::new("/missing"));
    assert!(matches!(Session::open(options), Err(Error::Store(_))));
}
