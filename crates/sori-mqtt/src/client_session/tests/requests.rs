//! SUBSCRIBE and UNSUBSCRIBE.

use super::*;

fn filter(filter: &str) -> TopicFilter<'_> {
    TopicFilter::new(filter).expect("legal")
}

fn subscribe(client: &mut Client, filters: &[(&str, SubscribeOptions)]) -> Result<Token, RequestError> {
    let filters: Vec<_> = filters.iter().map(|(text, options)| (filter(text), *options)).collect();
    client.session.subscribe(&filters, Properties::EMPTY)
}

fn plain(qos: u8) -> SubscribeOptions {
    SubscribeOptions { qos: QoS::from_u8(qos).expect("legal"), ..SubscribeOptions::default() }
}

#[test]
// covers: [MQTT311-2.3.1-1] [MQTT311-2.3.1-2] [MQTT311-3.8.3-1] [MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT311-3.10.3-1]
fn mqtt5_2_2_1_3_requests_share_the_identifiers_of_messages() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        subscribe(&mut client, &[("a/+", plain(1)), ("b/#", plain(2))]).expect("connected");
        client.publish(1, "t").expect("sent");
        client.session.unsubscribe(&[filter("a/+")], Properties::EMPTY).expect("connected");
        assert_eq!(client.sent(), ["SUBSCRIBE 1 a/+:0x1 b/#:0x2", "PUBLISH d0 q1 r0 m2 't'", "UNSUBSCRIBE 3 a/+"]);
        assert_eq!(client.feed_bytes(suback(version)), ["subscribed 1 0x01 0x80"]);
        let unsuback: &[u8] = if version.is_v5() { &[0xB0, 4, 0, 3, 0, 0x11] } else { &[0xB0, 2, 0, 3] };
        let expected = if version.is_v5() { "unsubscribed 3 0x11" } else { "unsubscribed 3" };
        assert_eq!(client.feed_bytes(unsuback), [expected]);
        assert_eq!(client.feed_bytes(unsuback), [""; 0], "a repetition is ignored");
    }
}

/// SUBACK for the first identifier and two filters; MQTT 3.1 has no failure code, but servers send it.
fn suback(version: Version) -> &'static [u8] {
    if version.is_v5() { &[0x90, 5, 0, 1, 0, 1, 0x80] } else { &[0x90, 4, 0, 1, 1, 0x80] }
}

#[test]
// covers: [MQTT-3.10.3-2] [MQTT311-3.8.3-3] [MQTT311-3.10.3-2]
fn mqtt5_3_8_3_2_at_least_one_filter() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        assert_eq!(subscribe(&mut client, &[]), Err(RequestError::NoFilters));
        assert_eq!(client.session.unsubscribe(&[], Properties::EMPTY), Err(RequestError::NoFilters));
        assert_eq!(client.sent(), [""; 0]);
    }
}

#[test]
// covers: [MQTT-4.8.2-1] [MQTT-4.8.2-2]
fn mqtt5_3_8_3_4_no_local_is_not_for_shared_subscriptions() {
    let mut client = Client::connected(options(Version::V5), &[]);
    let no_local = SubscribeOptions { no_local: true, ..plain(0) };
    assert_eq!(subscribe(&mut client, &[("$share/g/t", no_local)]), Err(RequestError::NoLocalOnShared));
    assert!(subscribe(&mut client, &[("t", no_local), ("$share/g/t", plain(0))]).is_ok());
    assert_eq!(client.sent(), ["SUBSCRIBE 1 t:0x4 $share/g/t:0x0"]);
}

#[test]
// covers: [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT311-4.7.1-2] [MQTT311-4.7.1-3]
fn illegal_filters_cannot_be_expressed() {
    for text in ["", "a#", "a/#/b", "a+", "+a/b", "$share//t", "$share/g", "$share/+/t", "a\0"] {
        assert!(TopicFilter::new(text).is_err(), "{text}");
    }
}

#[test]
fn what_the_server_does_not_support_is_not_sent() {
    let connack = [
        Property::WildcardSubscriptionAvailable(false),
        Property::SubscriptionIdentifiersAvailable(false),
        Property::SharedSubscriptionAvailable(false),
    ];
    let mut client = Client::connected(options(Version::V5), &connack);
    for (text, reason_code) in [
        ("a/+", ReasonCode::WildcardSubscriptionsNotSupported),
        ("#", ReasonCode::WildcardSubscriptionsNotSupported),
        ("$share/g/t", ReasonCode::SharedSubscriptionsNotSupported),
    ] {
        let error = RequestError::NotSupported(reason_code);
        assert_eq!(subscribe(&mut client, &[(text, plain(0))]), Err(error));
    }
    let properties = buffer(&[Property::SubscriptionIdentifier(1)]);
    let error = RequestError::NotSupported(ReasonCode::SubscriptionIdentifiersNotSupported);
    assert_eq!(client.session.subscribe(&[(filter("t"), plain(0))], properties.as_properties()), Err(error));
    assert!(subscribe(&mut client, &[("t", plain(2))]).is_ok());
    assert_eq!(client.sent(), ["SUBSCRIBE 1 t:0x2"]);
}

#[test]
fn options_of_mqtt5_are_not_for_older_versions() {
    let mut client = Client::connected(options(Version::V311), &[]);
    let options = SubscribeOptions { retain_as_published: true, ..plain(0) };
    assert!(matches!(subscribe(&mut client, &[("t", options)]), Err(RequestError::Version5Only(_))));
}

#[test]
fn requests_do_not_outlive_the_connection() {
    let mut client = Client::connected(lasting(Version::V5), &[]);
    subscribe(&mut client, &[("t", plain(0))]).expect("connected");
    client.session.unsubscribe(&[filter("t")], Properties::EMPTY).expect("connected");
    client.session.connection_lost();
    assert_eq!(client.events(), ["request 1 lost", "request 2 lost"]);
    assert_eq!(subscribe(&mut client, &[("t", plain(0))]), Err(RequestError::NotConnected));
}
