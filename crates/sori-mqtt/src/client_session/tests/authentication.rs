//! Enhanced authentication.

use super::*;
use crate::Auth;

fn with_method() -> ConnectOptions {
    let authentication = Authentication { method: "M".into(), data: Some(b"hello".to_vec()) };
    ConnectOptions { authentication: Some(authentication), ..options(Version::V5) }
}

fn auth(client: &mut Client, reason_code: ReasonCode, method: &str, data: &[u8]) -> Vec<String> {
    let properties = buffer(&[Property::AuthenticationMethod(method), Property::AuthenticationData(data)]);
    client.feed(&Packet::Auth(Auth { reason_code, properties: properties.as_properties() }))
}

fn connecting(options: ConnectOptions) -> Client {
    let mut client = Client::new(options);
    client.session.connect(client.now).expect("idle");
    client
}

const METHOD: Property<'static> = Property::AuthenticationMethod("M");

#[test]
// covers: [MQTT-3.1.2-30] [MQTT-4.12.0-5] [MQTT-3.15.1-1] [MQTT-3.15.2-1] [MQTT-3.15.2-2] [MQTT-3.15.2-3]
fn mqtt5_4_12_0_3_the_answer_to_a_challenge() {
    let mut client = connecting(with_method());
    assert!(client.session.output().ends_with(b"\x15\0\x01M\x16\0\x05hello\0\x02me"));
    client.sent();
    assert_eq!(client.session.authenticate(None), Err(RequestError::NotAuthenticating), "the server's turn");
    assert_eq!(auth(&mut client, ReasonCode::ContinueAuthentication, "M", b"who?"), ["challenge who?"]);
    client.publish(0, "t").expect("kept");
    client.session.authenticate(Some(b"me")).expect("a challenge");
    assert_eq!(client.sent(), ["AUTH 0x18 M me"], "and nothing else before CONNACK");
    assert_eq!(client.session.authenticate(None), Err(RequestError::NotAuthenticating));
    assert_eq!(client.accept(false, &[METHOD]), ["connected, session present false", "published 1 Sent"]);
}

#[test]
fn mqtt5_4_12_0_5_another_method_is_a_violation() {
    let mut client = connecting(with_method());
    let events = auth(&mut client, ReasonCode::ContinueAuthentication, "N", b"");
    assert_eq!(events, ["error: the server broke the protocol: another authentication method than agreed"]);
    for connack in [&[][..], &[Property::AuthenticationMethod("N")]] {
        let events = connecting(with_method()).accept(false, connack);
        assert_eq!(events, ["error: the server broke the protocol: another authentication method than agreed"]);
    }
    let events = connecting(options(Version::V5)).accept(false, &[METHOD]);
    assert_eq!(events, ["error: the server broke the protocol: another authentication method than agreed"]);
}

#[test]
fn mqtt5_4_12_0_7_no_method_no_auth() {
    let mut client = Client::connected(options(Version::V5), &[]);
    assert_eq!(client.session.authenticate(None), Err(RequestError::NotAuthenticating));
    assert_eq!(client.session.reauthenticate(None), Err(RequestError::NotAuthenticating));
    assert_eq!(client.sent(), [""; 0]);
    let events = auth(&mut client, ReasonCode::ContinueAuthentication, "M", b"");
    assert_eq!(events, ["error: the server broke the protocol: AUTH came when it was not expected"]);
    assert_eq!(client.sent(), ["DISCONNECT 0x82"]);
    let old = ConnectOptions { version: Version::V311, ..with_method() };
    assert_eq!(ClientSession::new(old).expect_err("not legal"), OptionError::Version5Only("enhanced authentication"));
}

#[test]
fn mqtt5_4_12_1_1_reauthentication_with_the_same_method() {
    let mut client = Client::connected(with_method(), &[METHOD]);
    client.session.reauthenticate(Some(b"again")).expect("connected");
    assert_eq!(client.session.reauthenticate(None), Err(RequestError::NotAuthenticating), "one at a time");
    client.publish(0, "t").expect("messages go on");
    assert_eq!(client.sent(), ["AUTH 0x19 M again", "PUBLISH d0 q0 r0 m0 't'"]);
    client.events();
    assert_eq!(auth(&mut client, ReasonCode::ContinueAuthentication, "M", b"2"), ["challenge 2"]);
    client.session.authenticate(Some(b"3")).expect("a challenge");
    assert_eq!(auth(&mut client, ReasonCode::Success, "M", b""), ["authenticated"]);
    client.session.reauthenticate(None).expect("once more");
    assert_eq!(client.sent(), ["AUTH 0x18 M 3", "AUTH 0x19 M "]);
}

#[test]
fn mqtt5_4_12_1_2_a_failed_reauthentication_ends_the_connection() {
    let mut client = Client::connected(with_method(), &[METHOD]);
    client.session.reauthenticate(None).expect("connected");
    let events = client.feed_bytes(&[0xE0, 1, 0x87]);
    assert_eq!(events, ["error: the server ended the connection: not authorized"]);
    assert!(!client.session.is_open());

    let mut client = Client::connected(with_method(), &[METHOD]);
    client.session.reauthenticate(None).expect("connected");
    client.sent();
    auth(&mut client, ReasonCode::Success, "N", b"");
    assert_eq!((client.session.is_open(), client.sent()), (false, Vec::from(["DISCONNECT 0x82".into()])));
}

#[test]
fn success_before_connack_is_a_violation() {
    let mut client = connecting(with_method());
    let events = auth(&mut client, ReasonCode::Success, "M", b"");
    assert_eq!(events, ["error: the server broke the protocol: AUTH came when it was not expected"]);
}
