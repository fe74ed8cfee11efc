//! Tests of `property`.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use Direction::{ToClient, ToServer};
use Place::{Packet, Will};

/// Every place and the properties that section 3 lists for it; the table in the code goes the other way, property by
/// property.
const BY_PLACE: &[(Place, Direction, &[u8])] = &[
    (Packet(PacketType::Connect), ToServer, &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]),
    (Will, ToServer, &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]),
    (
        Packet(PacketType::ConnAck),
        ToClient,
        &[0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A],
    ),
    (Packet(PacketType::Publish), ToServer, &[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26]),
    (Packet(PacketType::Publish), ToClient, &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26]),
    (Packet(PacketType::PubAck), ToServer, &[0x1F, 0x26]),
    (Packet(PacketType::PubAck), ToClient, &[0x1F, 0x26]),
    (Packet(PacketType::PubRec), ToServer, &[0x1F, 0x26]),
    (Packet(PacketType::PubRel), ToServer, &[0x1F, 0x26]),
    (Packet(PacketType::PubComp), ToServer, &[0x1F, 0x26]),
    (Packet(PacketType::Subscribe), ToServer, &[0x0B, 0x26]),
    (Packet(PacketType::SubAck), ToClient, &[0x1F, 0x26]),
    (Packet(PacketType::Unsubscribe), ToServer, &[0x26]),
    (Packet(PacketType::UnsubAck), ToClient, &[0x1F, 0x26]),
    (Packet(PacketType::Disconnect), ToServer, &[0x11, 0x1C, 0x1F, 0x26]),
    (Packet(PacketType::Disconnect), ToClient, &[0x1C, 0x1F, 0x26]),
    (Packet(PacketType::Auth), ToServer, &[0x15, 0x16, 0x1F, 0x26]),
    (Packet(PacketType::Auth), ToClient, &[0x15, 0x16, 0x1F, 0x26]),
];

/// A legal value of each property.
fn sample(identifier: PropertyIdentifier) -> Property<'static> {
    use PropertyIdentifier as Id;
    match identifier {
        Id::PayloadFormatIndicator => Property::PayloadFormatIndicator(true),
        Id::MessageExpiryInterval => Property::MessageExpiryInterval(0x0102_0304),
        Id::ContentType => Property::ContentType("text"),
        Id::ResponseTopic => Property::ResponseTopic("a/b"),
        Id::CorrelationData => Property::CorrelationData(&[0, 1, 255]),
        Id::SubscriptionIdentifier => Property::SubscriptionIdentifier(268_435_455),
        Id::SessionExpiryInterval => Property::SessionExpiryInterval(u32::MAX),
        Id::AssignedClientIdentifier => Property::AssignedClientIdentifier("id"),
        Id::ServerKeepAlive => Property::ServerKeepAlive(0),
        Id::AuthenticationMethod => Property::AuthenticationMethod("method"),
        Id::AuthenticationData => Property::AuthenticationData(&[7]),
        Id::RequestProblemInformation => Property::RequestProblemInformation(false),
        Id::WillDelayInterval => Property::WillDelayInterval(0),
        Id::RequestResponseInformation => Property::RequestResponseInformation(true),
        Id::ResponseInformation => Property::ResponseInformation("r"),
        Id::ServerReference => Property::ServerReference("other:1883"),
        Id::ReasonString => Property::ReasonString(""),
        Id::ReceiveMaximum => Property::ReceiveMaximum(1),
        Id::TopicAliasMaximum => Property::TopicAliasMaximum(0),
        Id::TopicAlias => Property::TopicAlias(1),
        Id::MaximumQoS => Property::MaximumQoS(QoS::AtLeastOnce),
        Id::RetainAvailable => Property::RetainAvailable(false),
        Id::UserProperty => Property::UserProperty("name", "value"),
        Id::MaximumPacketSize => Property::MaximumPacketSize(1),
        Id::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(true),
        Id::SubscriptionIdentifiersAvailable => Property::SubscriptionIdentifiersAvailable(true),
        Id::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(false),
    }
}

/// Reads `bytes` as the properties of one place; what is wrong is told as its reason code.
fn read(bytes: &[u8], place: Place, direction: Direction) -> Result<Vec<Property<'_>>, ReasonCode> {
    let mut whole = Vec::new();
    encode_variable_byte_integer(bytes.len() as u32, &mut whole);
    whole.extend_from_slice(bytes);
    let checked = Properties::read(&mut Reader::new(&whole), place, direction).map(|properties| properties.len());
    match checked {
        Ok(length) => {
            assert_eq!(length, bytes.len());
            Ok(Properties { bytes }.iter().collect())
        }
        Err(error) => Err(error.reason_code()),
    }
}

fn bytes_of(properties: &[Property<'_>]) -> Vec<u8> {
    let mut buffer = PropertyBuffer::new();
    for property in properties {
        buffer.push(*property);
    }
    buffer.0
}

/// The sample, and before it what it needs to be legal.
fn with_companion(identifier: PropertyIdentifier) -> Vec<Property<'static>> {
    match identifier {
        PropertyIdentifier::AuthenticationData => {
            vec![sample(PropertyIdentifier::AuthenticationMethod), sample(identifier)]
        }
        _ => vec![sample(identifier)],
    }
}

const fn malformed_or_protocol_error(place: Place) -> ReasonCode {
    match place {
        Packet(PacketType::Subscribe | PacketType::Unsubscribe) => ReasonCode::MalformedPacket,
        _ => ReasonCode::ProtocolError,
    }
}

// covers: [MQTT-3.3.4-6] [MQTT-3.14.2-2]
#[test]
fn every_property_is_accepted_exactly_where_the_standard_lists_it() {
    for (place, direction, allowed) in BY_PLACE {
        for identifier in PropertyIdentifier::ALL {
            let bytes = bytes_of(&with_companion(*identifier));
            let result = read(&bytes, *place, *direction);
            if allowed.contains(&(*identifier as u8)) {
                assert_eq!(result, Ok(with_companion(*identifier)), "{place:?} {direction:?}");
            } else {
                assert_eq!(
                    result,
                    Err(malformed_or_protocol_error(*place)),
                    "{identifier:?} in {place:?} {direction:?}"
                );
            }
        }
    }
}

#[test]
fn only_user_properties_and_the_subscription_identifiers_of_publish_are_repeated() {
    for (place, direction, allowed) in BY_PLACE {
        for identifier in PropertyIdentifier::ALL.iter().filter(|identifier| allowed.contains(&(**identifier as u8))) {
            let mut twice = with_companion(*identifier);
            twice.push(sample(*identifier));
            let repeated = *identifier == PropertyIdentifier::UserProperty
                || (*identifier == PropertyIdentifier::SubscriptionIdentifier && *place == Packet(PacketType::Publish));
            let expected = if repeated { Ok(twice.clone()) } else { Err(ReasonCode::ProtocolError) };
            assert_eq!(read(&bytes_of(&twice), *place, *direction), expected, "{identifier:?} in {place:?}");
        }
    }
}

#[test]
fn the_lookup_of_where_a_property_may_stand_says_the_same() {
    for (place, direction, allowed) in BY_PLACE {
        for identifier in PropertyIdentifier::ALL {
            let listed = allowed.contains(&(*identifier as u8));
            match place {
                Will => assert_eq!(identifier.allowed_in_will(), listed),
                // What only one side may send is allowed in the packet, but not in this direction.
                Packet(packet) if listed => assert!(identifier.allowed_in(*packet)),
                Packet(packet) => assert!(
                    !identifier.allowed_in(*packet) || check_sender(*identifier, Packet(*packet), *direction).is_err()
                ),
            }
        }
    }
    assert!(PropertyIdentifier::SubscriptionIdentifier.repeated_in(PacketType::Publish));
    assert!(!PropertyIdentifier::SubscriptionIdentifier.repeated_in(PacketType::Subscribe));
    for identifier in PropertyIdentifier::ALL {
        assert!(!identifier.allowed_in(PacketType::PingReq) && !identifier.allowed_in(PacketType::PingResp));
    }
}

#[test]
fn a_value_that_is_cut_short_is_malformed() {
    for (place, direction, allowed) in BY_PLACE {
        for identifier in PropertyIdentifier::ALL.iter().filter(|identifier| allowed.contains(&(**identifier as u8))) {
            let bytes = bytes_of(&[sample(*identifier)]);
            for end in 1..bytes.len() {
                let result = read(&bytes[..end], *place, *direction);
                assert_eq!(result, Err(ReasonCode::MalformedPacket), "{identifier:?} {end}");
            }
        }
    }
}

#[test]
fn unknown_identifiers_are_malformed() {
    let known: Vec<u8> = PropertyIdentifier::ALL.iter().map(|identifier| *identifier as u8).collect();
    for identifier in (0..=0x7F_u8).filter(|identifier| !known.contains(identifier)) {
        assert_eq!(PropertyIdentifier::from_u8(identifier), None);
        let bytes = [identifier, 0, 0, 0, 0];
        let result = read(&bytes, Packet(PacketType::Connect), ToServer);
        assert_eq!(result, Err(ReasonCode::MalformedPacket));
    }
    // An identifier is a variable byte integer; the second one would be 0x26 in a byte too many.
    for bytes in [&[0x81, 0x01, 0][..], &[0xA6, 0x00, 0, 0, 0, 0], &[0xFF, 0xFF, 0xFF, 0xFF, 0x01]] {
        assert_eq!(read(bytes, Packet(PacketType::Connect), ToServer), Err(ReasonCode::MalformedPacket));
    }
}

// covers: [MQTT-3.3.2-14]
#[test]
fn mqtt5_3_3_2_8_values_that_do_not_exist_are_refused() {
    use ReasonCode::{MalformedPacket, ProtocolError, TopicAliasInvalid};
    const CONNECT: Place = Packet(PacketType::Connect);
    const CONNACK: Place = Packet(PacketType::ConnAck);
    const PUBLISH: Place = Packet(PacketType::Publish);
    let cases: &[(&[u8], Place, Direction, ReasonCode)] = &[
        (&[0x01, 2], PUBLISH, ToServer, ProtocolError),
        (&[0x08, 0, 0], PUBLISH, ToServer, ProtocolError),
        (&[0x08, 0, 1, b'#'], PUBLISH, ToServer, ProtocolError),
        (&[0x08, 0, 3, b'a', b'/', b'+'], Will, ToServer, ProtocolError),
        (&[0x0B, 0], PUBLISH, ToClient, ProtocolError),
        (&[0x0B, 0], Packet(PacketType::Subscribe), ToServer, ProtocolError),
        (&[0x0B, 0x80, 0x00], PUBLISH, ToClient, MalformedPacket),
        (&[0x17, 2], CONNECT, ToServer, ProtocolError),
        (&[0x19, 255], CONNECT, ToServer, ProtocolError),
        (&[0x21, 0, 0], CONNECT, ToServer, ProtocolError),
        (&[0x23, 0, 0], PUBLISH, ToServer, TopicAliasInvalid),
        (&[0x23, 0, 0], PUBLISH, ToClient, TopicAliasInvalid),
        (&[0x24, 2], CONNACK, ToClient, ProtocolError),
        (&[0x25, 2], CONNACK, ToClient, ProtocolError),
        (&[0x27, 0, 0, 0, 0], CONNECT, ToServer, ProtocolError),
        (&[0x28, 2], CONNACK, ToClient, ProtocolError),
        (&[0x29, 2], CONNACK, ToClient, ProtocolError),
        (&[0x2A, 2], CONNACK, ToClient, ProtocolError),
        // Authentication Data without Authentication Method.
        (&[0x16, 0, 0], CONNECT, ToServer, ProtocolError),
    ];
    for (bytes, place, direction, reason) in cases {
        assert_eq!(read(bytes, *place, *direction), Err(*reason), "{bytes:02x?}");
    }
}

// covers: [MQTT-3.3.2-13] [MQTT-3.3.2-19] [MQTT-1.5.4-1] [MQTT-1.5.4-2]
#[test]
fn mqtt5_1_5_7_1_every_string_of_every_property_follows_the_rules_of_strings() {
    for (place, direction, allowed) in BY_PLACE {
        for identifier in PropertyIdentifier::ALL.iter().filter(|identifier| allowed.contains(&(**identifier as u8))) {
            let mut places = Vec::new();
            match sample(*identifier) {
                Property::UserProperty(..) => places.extend([[0x26, 0, 1, 0xFF, 0, 0], [0x26, 0, 0, 0, 1, 0xFF]]),
                Property::ContentType(_)
                | Property::ResponseTopic(_)
                | Property::AssignedClientIdentifier(_)
                | Property::AuthenticationMethod(_)
                | Property::ResponseInformation(_)
                | Property::ServerReference(_)
                | Property::ReasonString(_) => places.push([*identifier as u8, 0, 3, b'a', 0xFF, b'b']),
                _ => {}
            }
            for mut bytes in places {
                for wrong in [0xFF, 0x00] {
                    bytes.iter_mut().filter(|byte| **byte == 0xFF).for_each(|byte| *byte = wrong);
                    let result = read(&bytes, *place, *direction);
                    assert_eq!(result, Err(ReasonCode::MalformedPacket), "{bytes:02x?}");
                }
            }
        }
    }
}

// covers: [MQTT-3.3.2-18]
#[test]
fn mqtt5_3_1_3_10_properties_keep_their_order() {
    let properties = [
        Property::UserProperty("b", "1"),
        Property::ContentType("c"),
        Property::UserProperty("a", "2"),
        Property::UserProperty("b", "3"),
    ];
    let bytes = bytes_of(&properties);
    assert_eq!(read(&bytes, Will, ToServer).as_deref(), Ok(&properties[..]));
    let pairs: Vec<_> = Properties { bytes: &bytes }.user_properties().collect();
    assert_eq!(pairs, [("b", "1"), ("a", "2"), ("b", "3")]);
}

#[test]
fn every_lookup_finds_its_property_among_all_others() {
    let all: Vec<Property<'_>> = PropertyIdentifier::ALL.iter().map(|identifier| sample(*identifier)).collect();
    let bytes = bytes_of(&all);
    let properties = Properties { bytes: &bytes };
    assert_eq!(properties.payload_format_indicator(), Some(true));
    assert_eq!(properties.message_expiry_interval(), Some(0x0102_0304));
    assert_eq!(properties.content_type(), Some("text"));
    assert_eq!(properties.correlation_data(), Some(&[0, 1, 255][..]));
    assert_eq!(properties.maximum_qos(), Some(QoS::AtLeastOnce));
    assert_eq!(properties.shared_subscription_available(), Some(false));
    assert_eq!(properties.subscription_identifiers().collect::<Vec<_>>(), [268_435_455]);
    assert_eq!(Properties::EMPTY.content_type(), None);
    assert_eq!(Properties::EMPTY.iter().count(), 0);
}

#[test]
fn the_length_of_a_property_is_the_number_of_its_bytes() {
    for identifier in PropertyIdentifier::ALL {
        let property = sample(*identifier);
        let bytes = bytes_of(&[property]);
        assert_eq!(bytes.len(), property.encoded_len(), "{identifier:?}");
        assert_eq!(property.identifier(), *identifier);
        assert_eq!(PropertyIdentifier::from_u8(bytes[0]), Some(*identifier));
    }
}

#[test]
fn mqtt5_2_2_2_1_no_properties_is_the_length_zero() {
    let mut out = Vec::new();
    Properties::EMPTY.encode(&mut out);
    assert_eq!(out, [0]);
    let missing = Properties::read(&mut Reader::new(&[]), Packet(PacketType::Publish), ToServer);
    assert_eq!(missing.map_err(|error| error.reason_code()), Err(ReasonCode::MalformedPacket));
}

#[test]
fn a_property_length_beyond_the_packet_is_malformed() {
    for bytes in [&[1][..], &[2, 0x01], &[0x80], &[0xFF, 0xFF, 0xFF, 0x7F, 0x01, 0x01], &[0x80, 0x80, 0x80, 0x80]] {
        let result = Properties::read(&mut Reader::new(bytes), Packet(PacketType::Publish), ToServer);
        assert_eq!(result.map_err(|error| error.reason_code()), Err(ReasonCode::MalformedPacket), "{bytes:02x?}");
    }
}

// covers: [MQTT-1.5.5-1]
#[test]
fn a_property_length_may_take_several_bytes_but_no_more_than_needed() {
    for length in [127, 128, 129, 16_383, 16_384] {
        let value = "x".repeat(length - 5);
        let bytes = bytes_of(&[Property::UserProperty("", &value)]);
        assert_eq!(bytes.len(), length);
        let result = read(&bytes, Packet(PacketType::Publish), ToServer);
        assert_eq!(result, Ok(vec![Property::UserProperty("", &value)]));
    }
    let mut longer_than_needed = vec![0x80, 0x00];
    longer_than_needed.resize(300, 0);
    let result = Properties::read(&mut Reader::new(&longer_than_needed), Packet(PacketType::Publish), ToServer);
    assert_eq!(result.map_err(|error| error.reason_code()), Err(ReasonCode::MalformedPacket));
}

#[test]
fn a_buffer_can_be_used_again() {
    let mut buffer = PropertyBuffer::new();
    buffer.push(Property::TopicAlias(1));
    buffer.clear();
    buffer.push(Property::ContentType("a")).extend(Properties { bytes: &[0x01, 1] });
    let properties: Vec<_> = buffer.as_properties().iter().collect();
    assert_eq!(properties, [Property::ContentType("a"), Property::PayloadFormatIndicator(true)]);
}
