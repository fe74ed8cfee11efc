//! The table against a slow and obvious model, for all short sequences and for long random ones.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// One entry per unfinished message, in the order of sending; everything is searched.
#[derive(Debug, Default)]
struct Model {
    entries: Vec<Entry>,
    last_id: u16,
    receive_maximum: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    id: u16,
    kind: Kind,
    message: u32,
    waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Qos1,
    Qos2,
    Released,
    Request,
}

impl Model {
    fn next_id(&self) -> u16 {
        if self.last_id == 65_535 { 1 } else { self.last_id + 1 }
    }

    fn waits(&self) -> bool {
        self.entries.iter().any(|entry| entry.waits)
    }

    fn quota(&self) -> usize {
        let counted = self.entries.iter().filter(|entry| entry.kind != Kind::Request && !entry.waits).count();
        self.receive_maximum.saturating_sub(counted)
    }

    fn ring_is_full(&self) -> bool {
        self.entries.first().is_some_and(|oldest| oldest.id == self.next_id())
    }

    fn push(&mut self, kind: Kind, message: u32) -> u16 {
        self.last_id = self.next_id();
        self.entries.push(Entry { id: self.last_id, kind, message, waits: false });
        self.last_id
    }

    fn insert(&mut self, kind: Kind, message: u32) -> Option<u16> {
        (self.quota() > 0 && !self.waits() && !self.ring_is_full()).then(|| self.push(kind, message))
    }

    fn find(&self, id: u16) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }

    fn finish(&mut self, id: u16, kinds: &[Kind]) -> Result<Entry, AckError> {
        let position = self.find(id).ok_or(AckError::UnknownPacketId)?;
        if !kinds.contains(&self.entries[position].kind) {
            return Err(AckError::WrongState);
        }
        Ok(self.entries.remove(position))
    }

    fn pubrec(&mut self, id: u16, refused: bool) -> PubRec<u32> {
        let Some(position) = self.find(id) else { return PubRec::Unknown };
        let entry = &mut self.entries[position];
        match entry.kind {
            Kind::Released => PubRec::Release(None),
            Kind::Qos1 | Kind::Request => PubRec::WrongState,
            Kind::Qos2 if refused => PubRec::Ended(self.entries.remove(position).message),
            Kind::Qos2 => {
                entry.kind = Kind::Released;
                entry.waits = false;
                PubRec::Release(Some(entry.message))
            }
        }
    }

    fn next_resend(&mut self) -> Option<(u16, QoS, u32)> {
        if self.quota() == 0 {
            return None;
        }
        let entry = self.entries.iter_mut().find(|entry| entry.waits)?;
        entry.waits = false;
        let qos = if entry.kind == Kind::Qos1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        Some((entry.id, qos, entry.message))
    }
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Insert(QoS),
    Request,
    /// The acknowledgements name a message by its distance from the last identifier.
    PubAck(u16),
    PubRec(u16),
    PubRecRefused(u16),
    PubComp(u16),
    Answer(u16),
    Resume(u16),
    Resend,
    TakeRequest,
    Drain,
}

/// Table and model side by side.
struct Pair {
    table: OutgoingMessages<u32>,
    model: Model,
    message: u32,
}

impl Pair {
    fn new(receive_maximum: u16, last_id: u16) -> Self {
        let mut table = OutgoingMessages::new(receive_maximum);
        assert!(table.set_last_id(id(last_id)));
        let model = Model { last_id, receive_maximum: usize::from(receive_maximum), ..Model::default() };
        Self { table, model, message: 0 }
    }

    fn step(&mut self, operation: Operation) {
        self.message += 1;
        let (table, model, message) = (&mut self.table, &mut self.model, self.message);
        let back = |distance: u16| id((u32::from(model.last_id) + 65_534 - u32::from(distance)) as u16 % 65_535 + 1);
        match operation {
            Operation::Insert(qos) => {
                let kind = if qos == QoS::AtLeastOnce { Kind::Qos1 } else { Kind::Qos2 };
                assert_eq!(table.insert(qos, message).map(PacketId::value), model.insert(kind, message));
            }
            Operation::Request => {
                let expected = (!model.ring_is_full()).then(|| model.push(Kind::Request, message));
                assert_eq!(table.insert_request(message).map(PacketId::value), expected);
            }
            Operation::PubAck(distance) => {
                let id = back(distance);
                let expected = model.finish(id.value(), &[Kind::Qos1]).map(|entry| entry.message);
                assert_eq!(table.puback(id), expected);
            }
            Operation::PubRec(distance) => {
                let id = back(distance);
                assert_eq!(table.pubrec(id, ReasonCode::Success), model.pubrec(id.value(), false));
            }
            Operation::PubRecRefused(distance) => {
                let id = back(distance);
                assert_eq!(table.pubrec(id, ReasonCode::QuotaExceeded), model.pubrec(id.value(), true));
            }
            Operation::PubComp(distance) => {
                let id = back(distance);
                let expected = model.finish(id.value(), &[Kind::Released]).map(|_| ());
                assert_eq!(table.pubcomp(id), expected);
            }
            Operation::Answer(distance) => {
                let id = back(distance);
                let known = model.find(id.value()).map(|position| model.entries[position]);
                let known = known.filter(|entry| entry.kind != Kind::Released).map(|entry| entry.message);
                assert_eq!(table.get(id).copied(), known);
                let expected = model.finish(id.value(), &[Kind::Request]).map(|entry| entry.message);
                assert_eq!(table.finish_request(id), expected);
            }
            Operation::Resume(receive_maximum) => {
                table.resume(receive_maximum);
                model.receive_maximum = usize::from(receive_maximum);
                for entry in &mut model.entries {
                    entry.waits = matches!(entry.kind, Kind::Qos1 | Kind::Qos2);
                }
            }
            Operation::Resend => {
                let sent = table.next_resend().map(|(id, qos, message)| (id.value(), qos, *message));
                assert_eq!(sent, model.next_resend());
            }
            Operation::TakeRequest => {
                let position = model.entries.iter().position(|entry| entry.kind == Kind::Request);
                let expected = position.map(|position| model.entries.remove(position));
                let expected = expected.map(|entry| (entry.id, entry.message));
                assert_eq!(table.take_request().map(|(id, message)| (id.value(), message)), expected);
            }
            Operation::Drain => {
                let unacknowledged = model.entries.iter().filter(|e| matches!(e.kind, Kind::Qos1 | Kind::Qos2));
                let expected: Vec<u32> = unacknowledged.map(|entry| entry.message).collect();
                assert_eq!(table.drain().collect::<Vec<_>>(), expected);
                model.entries.clear();
            }
        }
        self.compare();
    }

    fn compare(&self) {
        let (table, model) = (&self.table, &self.model);
        let messages: Vec<Entry> = model.entries.iter().copied().filter(|entry| entry.kind != Kind::Request).collect();
        assert_eq!(usize::from(table.quota()), model.quota());
        assert_eq!(table.in_flight(), messages.len());
        assert_eq!(table.is_empty(), messages.is_empty());
        assert_eq!(table.waiting(), messages.iter().filter(|entry| entry.waits).count());
        assert_eq!(table.last_id().value(), model.last_id);
        assert_eq!(table.can_send(), model.quota() > 0 && !model.waits() && !model.ring_is_full());
        let resent: Vec<(u16, Kind, u32)> = table
            .iter_resend()
            .map(|resend| match resend {
                Resend::Publish { packet_id, qos: QoS::AtLeastOnce, message } => {
                    (packet_id.value(), Kind::Qos1, *message)
                }
                Resend::Publish { packet_id, message, .. } => (packet_id.value(), Kind::Qos2, *message),
                Resend::PubRel { packet_id } => (packet_id.value(), Kind::Released, 0),
            })
            .collect();
        let expected: Vec<(u16, Kind, u32)> = messages
            .iter()
            .map(|entry| (entry.id, entry.kind, if entry.kind == Kind::Released { 0 } else { entry.message }))
            .collect();
        assert_eq!(resent, expected);
        let released: Vec<u16> = table.iter_releases().map(PacketId::value).collect();
        let expected: Vec<u16> = messages.iter().filter(|e| e.kind == Kind::Released).map(|entry| entry.id).collect();
        assert_eq!(released, expected);
    }
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

#[test]
fn all_short_sequences_behave_like_the_model() {
    // Identifiers start so close to the end that most sequences cross it.
    let operations = [
        Operation::Insert(QoS::AtLeastOnce),
        Operation::Insert(QoS::ExactlyOnce),
        Operation::Request,
        Operation::PubAck(0),
        Operation::PubAck(1),
        Operation::PubRec(0),
        Operation::PubRec(1),
        Operation::PubRecRefused(1),
        Operation::PubComp(1),
        Operation::Resume(2),
        Operation::Resend,
    ];
    let mut sequence = vec![0usize; 5];
    'sequences: loop {
        let mut pair = Pair::new(2, 65_533);
        for index in &sequence {
            pair.step(operations[*index]);
        }
        for digit in &mut sequence {
            *digit += 1;
            if *digit < operations.len() {
                continue 'sequences;
            }
            *digit = 0;
        }
        break;
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => prop_oneof![Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)].prop_map(Operation::Insert),
        1 => Just(Operation::Request),
        3 => (0..12u16).prop_map(Operation::PubAck),
        3 => (0..12u16).prop_map(Operation::PubRec),
        1 => (0..12u16).prop_map(Operation::PubRecRefused),
        3 => (0..12u16).prop_map(Operation::PubComp),
        1 => (0..12u16).prop_map(Operation::Answer),
        1 => (1..8u16).prop_map(Operation::Resume),
        2 => Just(Operation::Resend),
        1 => Just(Operation::TakeRequest),
        1 => any::<bool>().prop_map(|drain| if drain { Operation::Drain } else { Operation::Resend }),
    ]
}

proptest! {
    #[test]
    fn random_sequences_behave_like_the_model(
        operations in prop::collection::vec(operation(), 0..200),
        receive_maximum in 1..12u16,
        last_id in prop_oneof![Just(65_535u16), 65_500..=65_535u16, 1..=100u16],
    ) {
        let mut pair = Pair::new(receive_maximum, last_id);
        for operation in operations {
            pair.step(operation);
        }
    }

    #[test]
    fn a_table_rebuilt_from_its_entries_is_the_same(
        operations in prop::collection::vec(operation(), 0..100),
        last_id in prop_oneof![65_500..=65_535u16, 1..=100u16],
    ) {
        let mut pair = Pair::new(20, last_id);
        for operation in operations {
            pair.step(operation);
        }
        let mut rebuilt = OutgoingMessages::new(pair.table.receive_maximum());
        for packet_id in (1..=u16::MAX).filter_map(PacketId::new) {
            let listed = pair.table.iter_resend().find(|resend| resend.packet_id() == packet_id);
            prop_assert_eq!(pair.table.find(packet_id), listed);
        }
        for resend in pair.table.iter_resend() {
            let restored = match resend {
                Resend::Publish { packet_id, qos, message } => {
                    rebuilt.restore(packet_id, OutgoingState::Publish { qos, message: *message })
                }
                Resend::PubRel { packet_id } => rebuilt.restore(packet_id, OutgoingState::Released),
            };
            prop_assert!(restored);
        }
        prop_assert!(rebuilt.set_last_id(pair.table.last_id()));
        prop_assert!(rebuilt.iter_resend().eq(pair.table.iter_resend()));
        prop_assert_eq!(rebuilt.last_id(), pair.table.last_id());
        prop_assert_eq!(rebuilt.in_flight(), pair.table.in_flight());
    }
}

#[test]
// covers: [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT311-2.3.1-1] [MQTT311-2.3.1-2] [MQTT311-2.3.1-4]
fn mqtt5_2_2_1_3_identifiers_are_not_zero_and_not_in_use() {
    let mut table = OutgoingMessages::new(u16::MAX);
    let mut seen = vec![false; 65_536];
    for _ in 0..65_535u32 {
        let packet_id = table.insert(QoS::AtLeastOnce, ()).expect("identifiers are left");
        assert!(!core::mem::replace(&mut seen[usize::from(packet_id.value())], true));
    }
    assert!(!seen[0]);
    assert_eq!(table.insert(QoS::AtLeastOnce, ()), None, "all identifiers are in use");
    assert_eq!(table.insert_request(()), None);
}

#[test]
fn one_message_that_is_never_acknowledged_stops_the_ring_before_its_identifier_comes_again() {
    let mut table = OutgoingMessages::new(u16::MAX);
    let stuck = table.insert(QoS::AtLeastOnce, 0u32).expect("empty");
    for message in 1..65_535u32 {
        let packet_id = table.insert(QoS::AtLeastOnce, message).expect("room");
        assert_ne!(packet_id, stuck);
        assert_eq!(table.puback(packet_id), Ok(message));
    }
    assert_eq!(table.in_flight(), 1);
    assert!(!table.can_send());
    assert_eq!(table.insert(QoS::AtLeastOnce, 0), None);
    assert_eq!(table.puback(stuck), Ok(0));
    assert!(table.is_empty() && table.can_send());
    assert_eq!(table.ring.capacity(), 0, "the large ring is given back");
}

#[test]
fn an_empty_table_owns_no_heap_memory() {
    assert_eq!(OutgoingMessages::<[u64; 8]>::new(10).ring.capacity(), 0);
}

#[test]
// covers: [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3] [MQTT-3.3.4-8] [MQTT-3.3.4-10]
fn mqtt5_3_3_4_7_no_more_in_flight_than_receive_maximum() {
    let mut table = OutgoingMessages::new(2);
    let first = table.insert(QoS::AtLeastOnce, 1).expect("quota");
    let second = table.insert(QoS::ExactlyOnce, 2).expect("quota");
    assert_eq!((table.quota(), table.insert(QoS::AtLeastOnce, 3)), (0, None));
    assert!(table.insert_request(4).is_some(), "other packets are not held back");
    assert_eq!(table.pubrec(second, ReasonCode::Success), PubRec::Release(Some(2)));
    assert_eq!(table.quota(), 0, "PUBREC below 0x80 gives nothing back");
    assert_eq!(table.puback(first), Ok(1));
    assert_eq!(table.pubcomp(second), Ok(()));
    assert_eq!(table.quota(), 2);
}

#[test]
// covers: [MQTT311-4.3.3-1]
fn mqtt5_4_3_3_6_after_pubrec_only_pubrel_is_sent_again() {
    let mut table = OutgoingMessages::new(10);
    let packet_id = table.insert(QoS::ExactlyOnce, "message").expect("quota");
    assert_eq!(table.pubrec(packet_id, ReasonCode::NoMatchingSubscribers), PubRec::Release(Some("message")));
    table.resume(10);
    assert_eq!(table.iter_releases().collect::<Vec<_>>(), [packet_id]);
    assert_eq!(table.next_resend(), None);
}

#[test]
fn mqtt5_4_4_0_2_a_refusal_ends_the_delivery() {
    let mut table = OutgoingMessages::new(10);
    let first = table.insert(QoS::ExactlyOnce, 1).expect("quota");
    let second = table.insert(QoS::AtLeastOnce, 2).expect("quota");
    assert_eq!(table.pubrec(first, ReasonCode::NotAuthorized), PubRec::Ended(1));
    assert_eq!(table.puback(second), Ok(2));
    table.resume(10);
    assert_eq!(table.iter_resend().count(), 0);
}

#[test]
// covers: [MQTT311-4.6.0-1] [MQTT-4.4.0-1] [MQTT311-4.4.0-1]
fn mqtt5_4_6_0_1_resends_come_in_the_original_order_within_the_new_quota() {
    let mut table = OutgoingMessages::new(10);
    for message in 1..=4 {
        table.insert(QoS::AtLeastOnce, message);
    }
    table.resume(2);
    assert_eq!(table.next_resend(), Some((id(1), QoS::AtLeastOnce, &1)));
    assert_eq!(table.next_resend(), Some((id(2), QoS::AtLeastOnce, &2)));
    assert_eq!(table.next_resend(), None, "Receive Maximum 2");
    assert_eq!(table.insert(QoS::AtLeastOnce, 5), None, "a new message does not overtake");
    assert_eq!(table.puback(id(1)), Ok(1));
    assert_eq!(table.next_resend(), Some((id(3), QoS::AtLeastOnce, &3)));
    assert_eq!(table.puback(id(4)), Ok(4), "an acknowledgement from the earlier connection");
    assert_eq!((table.waiting(), table.next_resend()), (0, None));
}

#[test]
fn acknowledgements_of_the_wrong_kind_change_nothing() {
    let mut table = OutgoingMessages::new(10);
    let one = table.insert(QoS::AtLeastOnce, 1).expect("quota");
    let two = table.insert(QoS::ExactlyOnce, 2).expect("quota");
    let request = table.insert_request(3).expect("identifiers are left");
    assert_eq!(table.puback(two), Err(AckError::WrongState));
    assert_eq!(table.puback(request), Err(AckError::WrongState));
    assert_eq!(table.pubrec(one, ReasonCode::Success), PubRec::WrongState);
    assert_eq!(table.pubcomp(one), Err(AckError::WrongState));
    assert_eq!(table.finish_request(one), Err(AckError::WrongState));
    assert_eq!(table.puback(id(4)), Err(AckError::UnknownPacketId));
    assert_eq!((table.in_flight(), table.get(request)), (2, Some(&3)));
}
