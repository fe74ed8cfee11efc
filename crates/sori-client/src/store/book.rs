//! What the records say together: which messages are open, and how far each of them is.
//!
//! The same steps are taken when they happen and when a later program reads them.

use std::collections::BTreeMap;

use sori_mqtt::{PacketId, Publish, QoS};

use super::record::{self, Record};

/// The open messages by their numbers, which are in the order of acceptance.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<u64, Entry>,
    next: u64,
    /// Counts what was sent: the order of sending is that of identifiers, and need not be that of acceptance.
    next_turn: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// The record of the message.
    record: Vec<u8>,
    flight: Option<Flight>,
}

/// A message that was sent in the session which there is.
#[derive(Debug, Clone, Copy)]
struct Flight {
    turn: u64,
    packet_id: PacketId,
    is_released: bool,
}

/// A message that was in flight.
pub(crate) struct InFlight<'a> {
    pub(crate) number: u64,
    /// With its packet identifier.
    pub(crate) publish: Publish<'a>,
    /// PUBREC had come.
    pub(crate) is_released: bool,
}

impl Book {
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Of all messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the records of a frame say.
    pub(super) fn replay(&mut self, records: &[u8]) -> Result<(), String> {
        let mut rest = records;
        while !rest.is_empty() {
            let Some((number, record, after)) = record::split(rest) else {
                return Err("a record that this version does not know".to_owned());
            };
            match record {
                Record::Accepted(record) => self.accept(number, record.to_vec()),
                Record::Done => drop(self.done(number)),
                Record::Sent(packet_id) => drop(self.sent(number, packet_id)),
                Record::Released => drop(self.released(number)),
                Record::Forgotten => self.forget(),
            }
            self.next = self.next.max(number.saturating_add(1));
            rest = after;
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, number: u64, record: Vec<u8>) {
        self.next = self.next.max(number.saturating_add(1));
        // A checkpoint writes it once more, and how far it is stands behind that.
        if let std::collections::btree_map::Entry::Vacant(place) = self.entries.entry(number) {
            self.bytes += record.len();
            place.insert(Entry { record, flight: None });
        }
    }

    /// Gives whether it was open.
    pub(super) fn done(&mut self, number: u64) -> bool {
        let Some(entry) = self.entries.remove(&number) else { return false };
        self.bytes -= entry.record.len();
        true
    }

    /// Gives the QoS, if it is open.
    pub(super) fn sent(&mut self, number: u64, packet_id: PacketId) -> Option<QoS> {
        let entry = self.entries.get_mut(&number)?;
        // A checkpoint says it once more, and may be cut off before it has come to those that were sent later.
        if entry.flight.is_none_or(|flight| flight.packet_id != packet_id) {
            entry.flight = Some(Flight { turn: self.next_turn, packet_id, is_released: false });
            self.next_turn += 1;
        }
        Some(record::decode(&entry.record)?.qos)
    }

    /// Gives whether it is open and was sent.
    pub(super) fn released(&mut self, number: u64) -> bool {
        let flight = self.entries.get_mut(&number).and_then(|entry| entry.flight.as_mut());
        flight.map(|flight| flight.is_released = true).is_some()
    }

    pub(super) fn forget(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.flight = None);
    }

    /// What was in flight, in the order in which it was sent.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = InFlight<'_>> {
        let flights = self.entries.iter().filter_map(|(number, entry)| Some((entry.flight?, *number, entry)));
        let mut flights: Vec<(Flight, u64, &Entry)> = flights.collect();
        flights.sort_unstable_by_key(|(flight, ..)| flight.turn);
        flights.into_iter().filter_map(|(flight, number, entry)| {
            let publish = Publish { packet_id: Some(flight.packet_id), ..record::decode(&entry.record)? };
            Some(InFlight { number, publish, is_released: flight.is_released })
        })
    }

    /// What was not, in the order in which it was accepted.
    pub(super) fn unsent(&self) -> impl Iterator<Item = (u64, Publish<'_>)> {
        let unsent = self.entries.iter().filter(|(_, entry)| entry.flight.is_none());
        unsent.filter_map(|(number, entry)| Some((*number, record::decode(&entry.record)?)))
    }

    /// The records that say all of it.
    pub(super) fn walk(&self) -> impl Iterator<Item = Vec<u8>> {
        let messages = self.entries.values().map(|entry| entry.record.clone());
        let flights = self.in_flight().map(|flight| {
            let packet_id = flight.publish.packet_id.unwrap_or(PacketId::FIRST);
            let mut records = record::sent(flight.number, packet_id);
            if flight.is_released {
                records.extend(record::released(flight.number));
            }
            records
        });
        messages.chain(flights)
    }
}
