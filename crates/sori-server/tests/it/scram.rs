//! SCRAM-SHA-256 with real AUTH packets: through shards in virtual time, and over sockets.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sori_broker::{Access, Event, ListenerSettings, OpenAccess, Settings};
use sori_mqtt::client_session::{self, Authentication, ClientSession, ConnectOptions, ConnectionError};
use sori_mqtt::{Properties, Publish, QoS, ReasonCode, SubscribeOptions, TopicFilter};
use sori_server::config::{Defaults, Source, load};
use sori_server::scram::{Credential, Credentials, METHOD, ScramAccess};
use sori_server::{Server, log::Log, machine::Machine};
use sori_sim::{Peer, World};

use super::broker::free_port;

/// Too few for real passwords, and quick without optimisation.
const ITERATIONS: u32 = 64;

fn access() -> ScramAccess {
    let mut credentials = Credentials::new(ITERATIONS).expect("random numbers");
    for (user, password) in [("user", "pencil"), ("other", "crayon")] {
        credentials.insert(user, Credential::of_password(password, [user.len() as u8; 16], ITERATIONS));
    }
    ScramAccess::new(Arc::new(credentials), Arc::new(OpenAccess))
}

// The client's side of RFC 5802, written from the document and not from the broker's code.

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// What a client answers to server-first-message, and what the broker must say to that.
fn proof(first_bare: &str, server_first: &str, password: &str) -> (String, String) {
    let mut fields = server_first.split(',');
    let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name)).expect(name);
    let (nonce, salt, iterations) = (field("r="), field("s="), field("i="));
    let salt = Base64::decode_vec(salt).expect("a salt");
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations.parse().expect("a number"), &mut salted);
    let without_proof = format!("c=biws,r={nonce}");
    let signed = format!("{first_bare},{server_first},{without_proof}");
    let client_key = hmac(&salted, "Client Key");
    let signature = hmac(&Sha256::digest(client_key), &signed);
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
    let expected = hmac(&hmac(&salted, "Server Key"), &signed);
    let answer = format!("{without_proof},p={}", Base64::encode_string(&proof));
    (answer, format!("v={}", Base64::encode_string(&expected)))
}

/// A way to the broker and back.
trait Wire {
    fn write(&mut self, bytes: &[u8]);
    /// What has come; nothing more comes when that is empty.
    fn read(&mut self) -> Vec<u8>;
}

impl Wire for (Rc<RefCell<World>>, Peer) {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().send(self.1, bytes);
    }

    fn read(&mut self) -> Vec<u8> {
        self.0.borrow_mut().take(self.1)
    }
}

impl Wire for TcpStream {
    fn write(&mut self, bytes: &[u8]) {
        self.write_all(bytes).expect("the broker reads");
    }

    fn read(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        match Read::read(self, &mut buffer) {
            Ok(count) => buffer.truncate(count),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => buffer.clear(),
            Err(error) => panic!("the broker answers in time: {error}"),
        }
        buffer
    }
}

/// A device that proves who it is.
struct Device<W> {
    session: ClientSession,
    wire: W,
    /// Every packet from the broker, by its length.
    answers: Vec<usize>,
    messages: Vec<String>,
}

/// What [`Device::run`] ended with.
#[derive(PartialEq, Eq, Debug)]
enum End {
    Authenticated,
    Subscribed,
    Message,
    Refused(ReasonCode),
    Disconnected(ReasonCode),
}

impl<W: Wire> Device<W> {
    fn new(client_id: &str, wire: W, user: Option<&str>) -> Device<W> {
        let authentication =
            user.map(|user| Authentication { method: METHOD.into(), data: Some(first(user).into_bytes()) });
        let options = ConnectOptions { client_id: client_id.into(), authentication, ..ConnectOptions::default() };
        let mut session = ClientSession::new(options).expect("legal options");
        session.connect(Duration::ZERO).expect("a new session connects");
        Device { session, wire, answers: Vec::new(), messages: Vec::new() }
    }

    /// Until something comes to its end. The broker's proof is checked as well.
    fn run(&mut self, user: &str, password: &str) -> End {
        let mut expected = None;
        loop {
            let output = self.session.output().to_vec();
            if !output.is_empty() {
                self.wire.write(&output);
                self.session.written(output.len());
            }
            if let Some(end) = self.take_events(user, password, &mut expected) {
                return end;
            }
            if self.session.output().is_empty() {
                let input = self.wire.read();
                assert!(!input.is_empty(), "the broker says why it closes");
                self.answers.push(input.len());
                self.session.receive(Duration::ZERO, &input);
            }
        }
    }

    fn take_events(&mut self, user: &str, password: &str, expected: &mut Option<String>) -> Option<End> {
        use client_session::Event;
        loop {
            let answer = match self.session.poll_event() {
                Ok(None) => return None,
                Ok(Some(Event::Challenge { data, .. })) => {
                    let server_first = std::str::from_utf8(data.expect("a challenge")).expect("text");
                    let first = first(user);
                    let bare = first.strip_prefix("n,,").expect("the client's own words");
                    let (answer, signature) = proof(bare, server_first, password);
                    *expected = Some(signature);
                    answer
                }
                Ok(Some(Event::Connected { properties, .. } | Event::Authenticated { properties })) => {
                    // The broker knows the user's keys too.
                    assert_eq!(properties.authentication_data(), expected.as_deref().map(str::as_bytes));
                    return Some(End::Authenticated);
                }
                Ok(Some(Event::Subscribed { .. })) => return Some(End::Subscribed),
                Ok(Some(Event::Message(message))) => {
                    self.messages.push(String::from_utf8_lossy(message.payload).into_owned());
                    return Some(End::Message);
                }
                Ok(Some(_)) => continue,
                Err(ConnectionError::Refused(farewell)) => return Some(End::Refused(farewell.reason_code)),
                Err(ConnectionError::Disconnected(farewell)) => return Some(End::Disconnected(farewell.reason_code)),
                Err(error) => panic!("{error:?}"),
            };
            self.session.authenticate(Some(answer.as_bytes())).expect("it was asked");
        }
    }

    fn authenticate_again(&mut self, user: &str, password: &str) -> End {
        self.session.reauthenticate(Some(first(user).as_bytes())).expect("it is connected");
        self.run(user, password)
    }

    fn subscribe(&mut self, filter: &str) {
        let filter = (TopicFilter::new(filter).expect("legal"), SubscribeOptions::default());
        self.session.subscribe(&[filter], Properties::EMPTY).expect("it is connected");
        assert_eq!(self.run("", ""), End::Subscribed);
    }

    fn publish(&mut self, topic: &str, payload: &str) {
        let publish = Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
        };
        self.session.publish(&publish).expect("it is connected");
    }
}

/// client-first-message. The nonce does not matter here.
fn first(user: &str) -> String {
    format!("n,,n={user},r=fyko+d2lbbFgONRv9qkxdawL")
}

/// A broker of so many shards, on which a client without a user name comes in by the method only.
fn world(shards: u16) -> Rc<RefCell<World>> {
    let listener = ListenerSettings { allow_anonymous: false, ..ListenerSettings::default() };
    let access: Arc<dyn Access> = Arc::new(access());
    Rc::new(RefCell::new(World::with_access(Settings::default(), listener, access, shards, 1)))
}

type InWorld = Device<(Rc<RefCell<World>>, Peer)>;

fn device(world: &Rc<RefCell<World>>, shard: u16, user: Option<&str>) -> InWorld {
    let peer = world.borrow_mut().open_on(shard);
    Device::new("device", (Rc::clone(world), peer), user)
}

#[test]
fn who_knows_the_password_comes_in_and_sees_the_broker_s_proof() {
    let world = world(1);
    let mut device = device(&world, 0, Some("user"));
    assert_eq!(device.run("user", "pencil"), End::Authenticated);
    let known_as = world.borrow_mut().events().into_iter().find_map(|event| match event {
        Event::Connected { user_name, .. } => Some(user_name),
        _ => None,
    });
    assert_eq!(known_as.flatten().as_deref(), Some("user"));
    device.subscribe("t");
    device.publish("t", "hello");
    assert_eq!(device.run("", ""), End::Message);
    assert_eq!(device.messages, ["hello"]);
}

#[test]
fn a_wrong_password_and_a_user_that_does_not_exist_are_answered_alike() {
    let refused = |user: &str, password: &str| {
        let mut device = device(&world(1), 0, Some(user));
        assert_eq!(device.run(user, password), End::Refused(ReasonCode::NotAuthorized));
        device.answers
    };
    let wrong = refused("user", "pencils");
    assert_eq!(wrong.len(), 2, "a challenge and a CONNACK");
    assert_eq!(wrong, refused("nobody", "pencil"));
    assert_eq!(wrong, refused("user", "crayon"));
}

#[test]
fn without_the_method_the_other_rules_decide() {
    let mut device = device(&world(1), 0, None);
    assert_eq!(device.run("", ""), End::Refused(ReasonCode::NotAuthorized), "anonymous clients are not allowed");
}

// covers: [MQTT-4.12.1-1]
#[test]
fn mqtt5_4_12_1_2_who_fails_to_authenticate_again_is_disconnected() {
    let world = world(1);
    for (user, password) in [("user", "wrong"), ("other", "crayon"), ("nobody", "pencil")] {
        let mut device = device(&world, 0, Some("user"));
        assert_eq!(device.run("user", "pencil"), End::Authenticated);
        assert_eq!(device.authenticate_again("user", "pencil"), End::Authenticated);
        assert_eq!(device.authenticate_again("user", "pencil"), End::Authenticated, "as often as it likes");
        let end = device.authenticate_again(user, password);
        assert_eq!(end, End::Disconnected(ReasonCode::NotAuthorized), "{user} {password}");
    }
}

#[test]
fn the_proof_goes_along_when_the_connection_moves_to_the_session_s_shard() {
    let world = world(3);
    let mut devices: Vec<InWorld> = (0..3).map(|shard| device(&world, shard, Some("user"))).collect();
    for device in &mut devices {
        assert_eq!(device.run("user", "pencil"), End::Authenticated);
    }
    assert_eq!(devices[2].authenticate_again("user", "pencil"), End::Authenticated);
    assert_eq!(devices[0].run("", ""), End::Disconnected(ReasonCode::SessionTakenOver));
    assert_eq!(world.borrow().totals().clients_connected, 1);
}

#[test]
fn over_a_socket() {
    let port = free_port();
    let source = Source { files: &[], ports: &[port], defaults: Defaults::Native, persistence_location: None };
    let mut config = load(&source).expect("legal").config;
    config.threads = NonZeroU16::new(2);
    config.persistence = false;
    let server = Server::start_with(config, Log::silent(), Machine::read(), Arc::new(access())).expect("starts");
    let open = |client_id: &str, user| {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
        Device::new(client_id, stream, Some(user))
    };
    let mut subscriber = open("subscriber", "user");
    assert_eq!(subscriber.run("user", "pencil"), End::Authenticated);
    subscriber.subscribe("t");
    let mut publisher = open("publisher", "other");
    assert_eq!(publisher.run("other", "crayon"), End::Authenticated);
    publisher.publish("t", "hello");
    assert_eq!(publisher.authenticate_again("other", "crayon"), End::Authenticated);
    assert_eq!(subscriber.run("", ""), End::Message);
    assert_eq!(subscriber.messages, ["hello"]);
    assert_eq!(open("stranger", "user").run("user", "crayon"), End::Refused(ReasonCode::NotAuthorized));
    assert_eq!(publisher.authenticate_again("other", "pencil"), End::Disconnected(ReasonCode::NotAuthorized));
    server.stop();
}
