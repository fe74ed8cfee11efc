//! Records against what is written of them in docs/store-format.md, against each other, and against damage.

mod format;
mod machine;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use hashbrown::HashMap;
use proptest::prelude::*;
use sori_mqtt::{PacketId, QoS, RetainHandling, SubscribeOptions};

use super::*;
use crate::clocks::Run;
use crate::memory::MemoryUse;
use crate::offline::{PlainDelivery, PlainMessage, PlainSession, PlainWill, RecordsWriter};
use crate::record::read::RecordError;
use crate::recovered::Recovered;
use crate::time::Time;

/// Where the first record stands: no place is 0.
const BASE: u64 = 1 << 32 | 100;

#[test]
fn kinds_have_the_numbers_that_they_are_found_by() {
    for byte in 0..=u8::MAX {
        let listed = Kind::ALL.iter().copied().find(|kind| *kind as u8 == byte);
        assert_eq!(Kind::of(byte), listed, "{byte}");
    }
}

#[test]
fn the_document_lists_the_kinds_that_there_are() {
    let documented: Vec<(u8, String)> = format::rows().map(|row| (row.kind, String::from(row.name))).collect();
    let real: Vec<(u8, String)> = Kind::ALL.iter().map(|kind| (*kind as u8, format!("{kind:?}"))).collect();
    assert_eq!(documented, real);
}

/// The blob at a place.
pub(super) fn blob_at(bytes: &[u8], place: u64) -> Option<Vec<u8>> {
    let at = usize::try_from(place.checked_sub(BASE)?).ok()?;
    let header = bytes.get(at..at + BLOB_HEADER)?;
    let length = u32::from_le_bytes(header[..4].try_into().ok()?) as usize;
    bytes.get(at + BLOB_HEADER..)?.get(..length).map(Vec::from)
}

fn recovered(bytes: &[u8]) -> Result<Recovered, RecordError> {
    let mut recovered = Recovered::new();
    recovered.apply(BASE, bytes)?;
    recovered.finish(&MemoryUse::default(), &mut |place| blob_at(bytes, place));
    Ok(recovered)
}

fn a_text() -> impl Strategy<Value = String> {
    "[a-z/ä€]{1,12}"
}

fn a_qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

prop_compose! {
    fn a_message()(
        topic in a_text(),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
        properties in proptest::collection::vec(any::<u8>(), 0..10),
        qos in a_qos(),
        retain in any::<bool>(),
        expires in prop_oneof![Just(Time::NEVER), any::<u64>().prop_map(Time)],
    ) -> PlainMessage {
        PlainMessage { topic, payload, properties, qos, retain, expires }
    }
}

/// `message` is an index into the messages here.
fn a_delivery() -> impl Strategy<Value = PlainDelivery> {
    let a_qos = prop_oneof![Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)];
    (any::<u64>(), a_qos, any::<bool>(), any::<Option<NonZeroU32>>(), proptest::collection::vec(any::<u32>(), 0..3))
        .prop_map(|(message, qos, retain, group, identifiers)| PlainDelivery {
            message,
            qos,
            retain,
            group,
            identifiers,
        })
}

fn a_packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).expect("it is not 0"))
}

fn a_subscription() -> impl Strategy<Value = (SubscribeOptions, u32)> {
    (a_qos(), any::<bool>(), any::<bool>(), any::<u32>()).prop_map(
        |(qos, no_local, retain_as_published, identifier)| {
            // What was asked of retained messages then is nothing that lasts.
            let retain_handling = RetainHandling::SendAlways;
            (SubscribeOptions { qos, no_local, retain_as_published, retain_handling }, identifier)
        },
    )
}

prop_compose! {
    fn a_will()(
        message in a_message(),
        delay_seconds in any::<u32>(),
        expiry_seconds in any::<Option<u32>>(),
    ) -> PlainWill {
        PlainWill { message, delay_seconds, expiry_seconds }
    }
}

prop_compose! {
    fn a_session()(
        (expiry_seconds, expires_by_setting) in (any::<u32>(), any::<bool>()),
        (user_name, realm) in (proptest::option::of(a_text()), any::<u32>()),
        will in proptest::option::of(a_will()),
        disconnected in proptest::option::of((any::<u64>(), any::<u64>())),
        subscriptions in proptest::collection::btree_map(a_text(), a_subscription(), 0..4),
        queued in proptest::collection::vec(a_delivery(), 0..6),
        in_flight in proptest::collection::vec((a_packet_id(), proptest::option::of(a_delivery())), 0..4),
        unreleased in proptest::collection::btree_map(a_packet_id(), any::<u64>(), 0..4),
        last_packet_id in proptest::option::of((1..u16::MAX).prop_map(|id| PacketId::new(id).expect("it is not 0"))),
    ) -> PlainSession {
        PlainSession {
            client_id: String::new(),
            expiry_seconds,
            expires_by_setting,
            user_name,
            realm,
            will,
            disconnected: disconnected.map(|(ends, will)| (Time(ends), Time(will))),
            subscriptions: subscriptions.into_iter().map(|(filter, (o, i))| (filter, o, i)).collect(),
            queued,
            in_flight,
            unreleased: unreleased.into_iter().collect(),
            last_packet_id,
        }
    }
}

/// All messages, and sessions that refer to them.
#[derive(Clone, Debug)]
struct Everything {
    messages: Vec<PlainMessage>,
    sessions: BTreeMap<String, PlainSession>,
    retained: BTreeMap<String, u64>,
}

prop_compose! {
    fn everything()(
        messages in proptest::collection::vec(a_message(), 1..8),
        sessions in proptest::collection::btree_map("[a-z]{0,8}", a_session(), 0..5),
        retained in proptest::collection::btree_map(a_text(), any::<u64>(), 0..4),
    ) -> Everything {
        Everything { messages, sessions, retained }
    }
}

/// The session with every message named by `name`.
fn with_names(session: &PlainSession, client_id: &str, mut name: impl FnMut(u64) -> u64) -> PlainSession {
    let mut session = PlainSession { client_id: String::from(client_id), ..session.clone() };
    let in_flight = session.in_flight.iter_mut().filter_map(|(_, delivery)| delivery.as_mut());
    for delivery in session.queued.iter_mut().chain(in_flight) {
        delivery.message = name(delivery.message);
    }
    for (_, message) in &mut session.unreleased {
        *message = name(*message);
    }
    session
}

impl Everything {
    /// All of it as records, in one piece.
    fn write(&self) -> Vec<u8> {
        let mut writer = RecordsWriter::new();
        let numbers: Vec<u64> = self.messages.iter().map(|message| writer.message(message)).collect();
        let number = |index: u64| numbers[index as usize % numbers.len()];
        for (topic, message) in &self.retained {
            writer.retained(number(*message), topic, None);
        }
        for (client_id, session) in &self.sessions {
            writer.session(&with_names(session, client_id, number));
        }
        writer.take().bytes
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(everything in everything()) {
        let bytes = everything.write();
        let recovered = recovered(&bytes).expect("it was written just now");
        prop_assert_eq!(recovered.lost(), &[] as &[u64]);
        let count = everything.messages.len() as u64;
        // Places in the order of the messages: they are written first.
        let mut places: Vec<u64> = Vec::new();
        let mut at = 1;
        for _ in 0..count {
            places.push(BASE + at as u64 + 1);
            let length = u32::from_le_bytes(bytes[at + 1..at + 5].try_into().expect("four bytes")) as usize;
            at += 1 + BLOB_HEADER + length;
        }
        for (place, message) in places.iter().zip(&everything.messages) {
            let read = blob_at(&bytes, *place).and_then(|bytes| PlainMessage::decode(&bytes));
            prop_assert_eq!(read.as_ref(), Some(message));
        }
        let read: HashMap<String, PlainSession> =
            recovered.plain_sessions().map(|session| (session.client_id.clone(), session)).collect();
        prop_assert_eq!(read.len(), everything.sessions.len());
        for (client_id, session) in &everything.sessions {
            let expected = with_names(session, client_id, |index| places[(index % count) as usize]);
            prop_assert_eq!(read.get(client_id), Some(&expected));
        }
        format::check(&bytes).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn every_end_that_comes_too_early_is_an_error_or_between_two_records(everything in everything()) {
        let bytes = everything.write();
        let ends = format::check(&bytes).map_err(TestCaseError::fail)?;
        for end in 0..=bytes.len() {
            let read = recovered(&bytes[..end]);
            prop_assert_eq!(read.is_ok(), end == 0 || ends.contains(&end), "{} of {}", end, bytes.len());
            if let Ok(recovered) = read {
                prop_assert!(recovered.plain_sessions().count() <= everything.sessions.len());
            }
        }
    }

    /// A checksum stands before all this; what is behind it is read as if it did not.
    #[test]
    fn no_change_of_a_byte_makes_a_panic(
        everything in everything(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = everything.write();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(mut recovered) = recovered(&bytes) {
            recovered.plain_sessions().for_each(drop);
            drop(recovered.take_retained());
        }
    }

    #[test]
    fn no_bytes_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = recovered(&bytes);
    }
}

#[test]
fn a_kind_of_a_newer_version_is_refused_and_where() {
    let error = Recovered::new().apply(BASE, &[Kind::Run as u8, 27]).expect_err("no kind has this number");
    assert_eq!((error.offset, error.text, error.is_newer), (1, "an unknown kind of record", true));
}

/// A clock was set before, and is not set any more: that must not be lost with the records that tell it.
#[test]
fn what_is_written_down_once_more_means_the_same_times() {
    let session = PlainSession { disconnected: Some((Time(50_000), Time::NEVER)), ..PlainSession::default() };
    let mut writer = RecordsWriter::new();
    writer.session(&session);
    writer.retained(1 << 48 | 3, "t", None);
    let mut log = writer.take().bytes;
    write::clock(&mut log, Run { after: 0, ahead: 7000 }, Time(10));
    let told = |bytes: &[u8]| {
        let mut recovered = recovered(bytes).expect("it was written just now");
        let moved = [3, 4].map(|number| recovered.clocks().moved(number, Time(5)));
        let ends = recovered.take_sessions().map(|(_, session)| session.disconnected).collect::<Vec<_>>();
        (moved, ends)
    };
    let expected = ([Time(7005), Time(5)], vec![Some((Time(57_000), Time::NEVER))]);
    assert_eq!(told(&log), expected);
    let mut before = Recovered::new();
    before.apply(BASE, &log).expect("it was written just now");
    let mut rewriter = before.rewrite();
    let names: Vec<u8> = core::iter::from_fn(|| rewriter.next_name()).flat_map(|records| records.bytes).collect();
    let pieces: Vec<u8> = core::iter::from_fn(|| rewriter.next_piece()).flat_map(|records| records.bytes).collect();
    assert_eq!(told(&pieces), expected);
    assert_eq!(told(&[log, names, pieces].concat()), expected);
}

/// Whichever record a number stands in, it is not given out again.
#[test]
fn all_numbers_in_records_have_been_used() {
    let delivery =
        |message| PlainDelivery { message, qos: QoS::AtLeastOnce, retain: false, group: None, identifiers: vec![] };
    let number = |count: u64| 1 << 48 | count;
    let counter = |session: PlainSession| {
        let mut writer = RecordsWriter::new();
        writer.session(&session);
        recovered(&writer.take().bytes).expect("it was written just now").counter()
    };
    for count in [0, 77] {
        let one = || Some(delivery(number(count)));
        let in_flight = PlainSession { in_flight: vec![(PacketId::FIRST, one())], ..PlainSession::default() };
        let queued = PlainSession { queued: one().into_iter().collect(), ..PlainSession::default() };
        // Without a message, there is still the number of the publication.
        assert_eq!((counter(in_flight), counter(queued)), (count.max(1), count.max(1)));
        let unreleased = PlainSession { unreleased: vec![(PacketId::FIRST, number(count))], ..PlainSession::default() };
        assert_eq!(counter(unreleased), count);
        let mut writer = RecordsWriter::new();
        writer.retained(number(count), "t", None);
        assert_eq!(recovered(&writer.take().bytes).expect("it was written just now").counter(), count);
    }
}

/// Of QoS 0 nothing is recorded: read as a delivery, it would wait and go out at another QoS.
#[test]
fn deliveries_of_qos_0_are_refused() {
    let delivery = PlainDelivery { message: 1, qos: QoS::AtMostOnce, retain: false, group: None, identifiers: vec![] };
    let waiting = PlainSession { queued: vec![delivery.clone()], ..PlainSession::default() };
    let in_flight = PlainSession { in_flight: vec![(PacketId::FIRST, Some(delivery))], ..PlainSession::default() };
    for session in [waiting, in_flight] {
        let mut writer = RecordsWriter::new();
        writer.session(&session);
        let bytes = writer.take().bytes;
        let error = recovered(&bytes).expect_err("there is none");
        assert_eq!((error.offset, error.text), (bytes.len() - 2, "a delivery with a QoS that cannot be"));
    }
    // Published by nobody: its key, number, place and length are 0, the session's names 1, 0 and 0.
    let mut published = vec![Kind::Published as u8];
    published.extend([0; 25]);
    published.extend([1, 0, 0, 0]);
    let error = recovered(&published).expect_err("there is none");
    assert_eq!(error.text, "a delivery with a QoS that cannot be");
}
