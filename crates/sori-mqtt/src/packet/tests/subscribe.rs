//! Tests of the packet `subscribe`.

use super::*;
use crate::{PacketId, QoS, TopicFilter};

/// The packet identifier and, in MQTT 5.0, no properties.
fn head(version: Version) -> &'static [u8] {
    if version.is_v5() { &[0, 1, 0] } else { &[0, 1] }
}

fn subscribe(version: Version, filters: &[(&str, u8)]) -> Vec<u8> {
    let filters: Vec<u8> =
        filters.iter().flat_map(|(filter, options)| [field(filter), [*options].to_vec()].concat()).collect();
    packet(0x82, &[head(version), &filters])
}

fn subscribed(bytes: &[u8], version: Version) -> Subscribe<'_> {
    match accepted(bytes, version, ToServer) {
        Packet::Subscribe(subscribe) => subscribe,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn filters_and_options_keep_their_order() {
    let bytes = subscribe(V5, &[("a/+", 0x00), ("$share/g/#", 0x29), ("a/+", 0x16)]);
    let filters: Vec<_> = subscribed(&bytes, V5).filters().collect();
    let texts: Vec<_> = filters.iter().map(|(filter, _)| filter.as_str()).collect();
    assert_eq!(texts, ["a/+", "$share/g/#", "a/+"]);
    let options: Vec<_> = filters.iter().map(|(_, options)| options.to_bits()).collect();
    assert_eq!(options, [0x00, 0x29, 0x16]);
}

#[test]
fn filters_that_are_left_are_gone_on_with_later() {
    let bytes = subscribe(V5, &[("a/+", 0x00), ("$share/g/#", 0x29), ("b", 0x16)]);
    let whole: Vec<_> = subscribed(&bytes, V5).filters().collect();
    let names: Vec<_> = ["a/+", "$share/g/#", "b"].into_iter().flat_map(field).collect();
    let bytes_of_names = packet(0xA2, &[&[0, 9], &names]);
    let Packet::Unsubscribe(unsubscribe) = accepted(&bytes_of_names, V311, ToServer) else { unreachable!() };
    for first in 0..=whole.len() {
        let mut filters = subscribed(&bytes, V5).filters();
        let begun = filters.by_ref().take(first).count();
        let left = filters.as_received().to_vec();
        let later: Vec<_> = SubscribeFilters::from_checked(&left).collect();
        assert_eq!((begun, &later[..]), (first, &whole[first..]));

        let mut filters = unsubscribe.filters();
        let begun = filters.by_ref().take(first).count();
        let left = filters.as_received().to_vec();
        let later = UnsubscribeFilters::from_checked(&left);
        assert!(begun == first && later.eq(whole[first..].iter().map(|(filter, _)| *filter)));
    }
    let built = Subscribe::new(PacketId::FIRST, Properties::EMPTY, &whole);
    let mut filters = built.filters();
    assert_eq!((filters.by_ref().count(), filters.as_received()), (3, &[][..]));
}

// covers: [MQTT311-3.8.3-4]
#[test]
fn mqtt5_3_8_3_5_every_options_byte_is_judged() {
    for bits in 0..=255_u8 {
        let legal = bits & 0b11 != 3 && bits >> 4 & 0b11 != 3 && bits >> 6 == 0;
        assert_eq!(SubscribeOptions::from_bits(bits).map(SubscribeOptions::to_bits), legal.then_some(bits));
        let v5 = subscribe(V5, &[("a", bits)]);
        assert_eq!(read(&v5, V5, ToServer).is_ok(), legal);
        for version in [V31, V311] {
            let bytes = subscribe(version, &[("a", bits)]);
            assert_eq!(read(&bytes, version, ToServer).is_ok(), bits < 3);
        }
        if !legal {
            assert_eq!(refused(&v5, V5, ToServer), ReasonCode::MalformedPacket);
            assert_eq!(refused(&subscribe(V311, &[("a", bits)]), V311, ToServer), ReasonCode::MalformedPacket);
        }
    }
    let options = SubscribeOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: false,
        retain_handling: RetainHandling::SendIfNew,
    };
    assert_eq!(options.to_bits(), 0b01_0110);
}

// covers: [MQTT311-3.8.3-3]
#[test]
fn mqtt5_3_8_3_2_there_is_at_least_one_filter() {
    for version in VERSIONS {
        assert_eq!(refused(&packet(0x82, &[head(version)]), version, ToServer), ReasonCode::MalformedPacket);
    }
}

#[test]
fn mqtt5_3_8_3_4_no_local_does_not_go_with_a_share() {
    assert_eq!(refused(&subscribe(V5, &[("a", 0x04), ("$share/g/a", 0x05)]), V5, ToServer), ReasonCode::ProtocolError);
    subscribed(&subscribe(V5, &[("a", 0x04), ("$share/g/a", 0x01)]), V5);
}

// covers: [MQTT-3.10.3-1] [MQTT311-3.8.3-1] [MQTT311-3.10.3-1]
#[test]
fn mqtt5_3_8_3_1_every_filter_is_a_legal_string() {
    for version in VERSIONS {
        for wrong in [&b"a\xFF"[..], b"a\0", b"", b"a\x02"] {
            for filters in [[wrong, b"b"], [b"b", wrong]] {
                let with_options = [field(filters[0]), [0].to_vec(), field(filters[1]), [0].to_vec()].concat();
                let bytes = packet(0x82, &[head(version), &with_options]);
                assert_eq!(refused(&bytes, version, ToServer), ReasonCode::MalformedPacket, "{bytes:02x?}");
                let bytes = packet(0xA2, &[head(version), &[field(filters[0]), field(filters[1])].concat()]);
                assert_eq!(refused(&bytes, version, ToServer), ReasonCode::MalformedPacket, "{bytes:02x?}");
            }
        }
    }
}

// covers: [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.8.2-1] [MQTT-4.8.2-2]
#[test]
fn a_filter_that_no_topic_could_match_has_its_own_reason_code() {
    for version in VERSIONS {
        for filter in ["a#", "#/a", "a+/b", "$share//a", "$share/g", "$share/+/a"] {
            let bytes = subscribe(version, &[("b", 0), (filter, 0)]);
            assert_eq!(refused(&bytes, version, ToServer), ReasonCode::TopicFilterInvalid, "{filter}");
            let bytes = packet(0xA2, &[head(version), &field(filter)]);
            assert_eq!(refused(&bytes, version, ToServer), ReasonCode::TopicFilterInvalid, "{filter}");
        }
    }
}

// covers: [MQTT-2.2.1-3] [MQTT311-2.3.1-1]
#[test]
fn a_packet_identifier_of_0_is_malformed_here() {
    for version in VERSIONS {
        let none: &[u8] = if version.is_v5() { &[0] } else { &[] };
        let subscribe = packet(0x82, &[&[0, 0], none, &field("a"), &[0]]);
        assert_eq!(refused(&subscribe, version, ToServer), ReasonCode::MalformedPacket);
        let unsubscribe = packet(0xA2, &[&[0, 0], none, &field("a")]);
        assert_eq!(refused(&unsubscribe, version, ToServer), ReasonCode::MalformedPacket);
    }
}

// covers: [MQTT311-3.10.3-2]
#[test]
fn mqtt5_3_10_3_2_there_is_at_least_one_filter_to_unsubscribe() {
    for version in VERSIONS {
        assert_eq!(refused(&packet(0xA2, &[head(version)]), version, ToServer), ReasonCode::MalformedPacket);
    }
}

#[test]
fn unsubscribe_lists_its_filters() {
    let bytes = packet(0xA2, &[&[0, 9], &field("a"), &field("b/#"), &field("$share/g/+")]);
    let Packet::Unsubscribe(unsubscribe) = accepted(&bytes, V311, ToServer) else { unreachable!() };
    let filters: Vec<_> = unsubscribe.filters().map(TopicFilter::as_str).collect();
    assert_eq!(filters, ["a", "b/#", "$share/g/+"]);
}

#[test]
fn what_is_built_is_what_is_received() {
    let filter = |text| TopicFilter::new(text).expect("a filter");
    let options = SubscribeOptions { qos: QoS::AtLeastOnce, no_local: true, ..SubscribeOptions::default() };
    let filters = [(filter("a/#"), options), (filter("b"), SubscribeOptions::default())];
    let built = Subscribe::new(PacketId::FIRST, Properties::EMPTY, &filters);
    let bytes = subscribe(V5, &[("a/#", 0x05), ("b", 0x00)]);
    assert_eq!(subscribed(&bytes, V5), built);
    let mut out = Vec::new();
    built.encode(V5, &mut out);
    assert_eq!(out, bytes);
    out.clear();
    // MQTT 3.x has the QoS alone.
    built.encode(V311, &mut out);
    assert_eq!(out, subscribe(V311, &[("a/#", 0x01), ("b", 0x00)]));
    assert_eq!(built.encoded_len(V311), out.len());

    let filters = [filter("a/#"), filter("b")];
    let built = Unsubscribe::new(PacketId::FIRST, Properties::EMPTY, &filters);
    out.clear();
    built.encode(V311, &mut out);
    assert_eq!(out, packet(0xA2, &[head(V311), &field("a/#"), &field("b")]));
    assert_eq!(read(&out, V311, ToServer), Ok(Packet::Unsubscribe(built)));
}
