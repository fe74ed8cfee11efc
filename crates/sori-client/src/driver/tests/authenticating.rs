//! Enhanced authentication, step by step.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use sori_mqtt::{Auth, ConnAck, Disconnect, Packet, PacketType, Property, PropertyBuffer, QoS, ReasonCode, Version};

use super::{Rig, options};
use crate::{Authenticator, Error, Options, Publish};

/// Says what it was asked, and answers as it was told to.
#[derive(Clone, Default)]
struct Script {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<Result<(), String>>>>,
}

impl Script {
    fn note(&self, what: &str, data: Option<&[u8]>) -> Result<(), String> {
        let data = data.map_or("nothing".into(), String::from_utf8_lossy);
        self.asked.lock().expect("whole").push(format!("{what} {data}"));
        self.answers.lock().expect("whole").pop_front().unwrap_or(Ok(()))
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("whole"))
    }

    fn refuses(&self, after: usize) {
        let answers = (0..after).map(|_| Ok(())).chain([Err("no".to_owned())]);
        self.answers.lock().expect("whole").extend(answers);
    }

    fn options(&self) -> Options {
        options().version(Version::V5).authenticator(self.clone())
    }
}

impl Authenticator for Script {
    fn method(&self) -> &str {
        "TEST"
    }

    fn start(&mut self) -> Option<Vec<u8>> {
        let _ = self.note("start", None);
        Some(b"hello".to_vec())
    }

    fn answer(&mut self, data: Option<&[u8]>) -> Result<Option<Vec<u8>>, String> {
        self.note("answer", data).map(|()| Some(b"answer".to_vec()))
    }

    fn finish(&mut self, data: Option<&[u8]>) -> Result<(), String> {
        self.note("finish", data)
    }
}

/// The properties of a packet of the exchange.
fn said(data: &str) -> PropertyBuffer {
    let mut properties = PropertyBuffer::new();
    properties.push(Property::AuthenticationMethod("TEST"));
    properties.push(Property::AuthenticationData(data.as_bytes()));
    properties
}

impl Rig {
    /// The shell asks what there is to ask.
    fn answer_questions(&mut self) {
        while let Some((authenticator, question)) = self.driver.take_question() {
            let answer = authenticator.answer(&question);
            self.driver.answered(self.now, &question, answer);
        }
    }

    fn open_authenticating(&mut self) {
        assert!(self.wants_connection());
        self.answer_questions();
        self.driver.opened(self.now);
        assert_eq!(self.sent(), ["CONNECT TEST hello"]);
    }

    fn challenge(&mut self, reason_code: ReasonCode, data: &str) {
        let properties = said(data);
        self.feed(&Packet::Auth(Auth { reason_code, properties: properties.as_properties() }));
        self.answer_questions();
    }

    fn let_in(&mut self, session_present: bool) {
        let properties = said("proof");
        let (reason_code, properties) = (ReasonCode::Success, properties.as_properties());
        self.feed(&Packet::ConnAck(ConnAck { session_present, reason_code, properties }));
    }
}

#[test]
fn a_connection_is_there_when_both_sides_have_proved_who_they_are() {
    let script = Script::default();
    let mut rig = Rig::new(script.options(), true);
    rig.open_authenticating();
    rig.challenge(ReasonCode::ContinueAuthentication, "who?");
    assert_eq!(rig.sent(), ["AUTH"]);
    rig.let_in(false);
    assert!(rig.driver.connect_result().is_none(), "the proof has not been looked at");
    rig.answer_questions();
    assert!(matches!(rig.driver.connect_result(), Some(Ok(()))));
    assert_eq!(script.asked(), ["start nothing", "answer who?", "finish proof"]);

    // And again on the next connection.
    rig.lose();
    rig.skip();
    rig.open_authenticating();
    assert_eq!(script.asked(), ["start nothing"]);
}

#[test]
fn a_server_that_cannot_prove_who_it_is_is_told_nothing() {
    let script = Script::default();
    let mut rig = Rig::new(script.options(), false);
    rig.open_authenticating();
    rig.let_in(false);
    rig.answer_questions();
    for _ in 0..2 {
        rig.driver.publish(&Publish::new("t", "secret").qos(QoS::ExactlyOnce)).expect("room");
    }
    assert_eq!(rig.sent(), ["PUBLISH 1 d0 t", "PUBLISH 2 d0 t"]);
    rig.answer(PacketType::PubRec, 1);
    assert_eq!(rig.sent(), ["PUBREL"]);
    rig.lose();
    rig.skip();
    script.refuses(1);
    rig.open_authenticating();
    rig.let_in(true);
    rig.answer_questions();
    assert_eq!(rig.sent(), ["DISCONNECT"], "and not what is in flight");
    rig.lose();
    assert!(matches!(
        rig.driver.state(),
        crate::State::Disconnected { error, .. } if matches!(&*error, Error::Authentication(text) if text == "no")
    ));
    // It may have been another server.
    rig.skip();
    rig.open_authenticating();
    rig.let_in(true);
    rig.answer_questions();
    assert_eq!(rig.sent(), ["PUBREL", "PUBLISH 2 d1 t"]);
}

#[test]
fn a_challenge_without_an_answer_ends_the_first_attempt() {
    let script = Script::default();
    script.refuses(1);
    let mut rig = Rig::new(script.options(), true);
    rig.open_authenticating();
    rig.challenge(ReasonCode::ContinueAuthentication, "nonsense");
    assert_eq!(rig.sent(), ["DISCONNECT"]);
    rig.lose();
    assert_eq!(rig.end().as_deref(), Some("the authentication cannot go on: no"));
}

#[test]
fn authenticating_again_ends_as_the_server_says() {
    let script = Script::default();
    let mut rig = Rig::new(script.options(), true);
    assert!(matches!(rig.driver.reauthenticate(), Err(Error::Request(_))), "not connected");
    rig.open_authenticating();
    rig.let_in(false);
    rig.answer_questions();
    rig.sent();
    rig.driver.reauthenticate().expect("begins");
    rig.driver.reauthenticate().expect("goes on");
    rig.answer_questions();
    assert_eq!(rig.sent(), ["AUTH"]);
    rig.challenge(ReasonCode::ContinueAuthentication, "who?");
    assert!(rig.driver.reauthenticated().is_none());
    rig.challenge(ReasonCode::Success, "proof");
    assert!(matches!(rig.driver.reauthenticated(), Some(Ok(()))));
    assert_eq!(script.asked().len(), 5);

    rig.driver.reauthenticate().expect("begins");
    rig.answer_questions();
    let properties = sori_mqtt::Properties::EMPTY;
    rig.feed(&Packet::Disconnect(Disconnect { reason_code: ReasonCode::NotAuthorized, properties }));
    assert!(matches!(rig.driver.reauthenticated(), Some(Err(Error::Disconnected(_)))));
    rig.lose();

    // A connection that is lost takes it along.
    rig.skip();
    rig.open_authenticating();
    rig.let_in(true);
    rig.answer_questions();
    rig.driver.reauthenticate().expect("begins");
    rig.lose();
    assert!(matches!(rig.driver.reauthenticated(), Some(Err(Error::Lost(_)))));
}

#[test]
fn without_an_authenticator_nobody_authenticates_again_and_with_one_not_before_5() {
    let mut rig = Rig::connected(options());
    assert!(matches!(rig.driver.reauthenticate(), Err(Error::Request(_))));
    let old = Script::default().options().version(Version::V311);
    assert!(matches!(super::Driver::new(old, true).map(|_| ()), Err(Error::Options(_))));
}
