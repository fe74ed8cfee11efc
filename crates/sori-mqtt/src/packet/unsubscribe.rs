//! UNSUBSCRIBE: a client wants no more messages of some filters.

use alloc::vec::Vec;

use super::filters::{Filters, List};
use super::subscribe::read_filter;
use crate::property::Place;
use crate::reader::Reader;
use crate::{DecodeError, Direction, PacketId, PacketType, Properties, TopicFilter, Version, writer};

/// An UNSUBSCRIBE packet.
#[derive(Copy, Clone, Debug)]
pub struct Unsubscribe<'a> {
    /// The identifier that UNSUBACK repeats.
    pub packet_id: PacketId,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
    filters: List<'a, TopicFilter<'a>>,
}

impl<'a> Unsubscribe<'a> {
    /// A packet to send. There must be at least one filter. [MQTT-3.10.3-2] [MQTT311-3.10.3-2]
    #[must_use]
    pub const fn new(packet_id: PacketId, properties: Properties<'a>, filters: &'a [TopicFilter<'a>]) -> Self {
        Self { packet_id, properties, filters: List::Given(filters) }
    }

    /// The filters, in the order of the packet.
    #[must_use]
    pub const fn filters(&self) -> UnsubscribeFilters<'a> {
        Filters(self.filters)
    }

    pub(super) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id(PacketType::Unsubscribe)?;
        let properties = if version.is_v5() {
            Properties::read(&mut reader, Place::Packet(PacketType::Unsubscribe), Direction::ToServer)?
        } else {
            Properties::EMPTY
        };
        // [MQTT-3.10.3-2] [MQTT311-3.10.3-2]
        if reader.is_empty() {
            return Err(DecodeError::malformed("list of topic filters", "is empty"));
        }
        let filters = List::Received(reader.rest());
        while !reader.is_empty() {
            read_filter(&mut reader)?;
        }
        Ok(Self { packet_id, properties, filters })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        debug_assert!(self.filters().next().is_some(), "UNSUBSCRIBE has at least one filter");
        if !writer::fixed_header(PacketType::Unsubscribe.first_byte(), self.body_len(version), out) {
            return;
        }
        writer::packet_id(self.packet_id, out);
        if version.is_v5() {
            self.properties.encode(out);
        }
        for filter in self.filters() {
            writer::string(filter.as_str(), out);
        }
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        writer::packet_len(self.body_len(version))
    }

    fn body_len(&self, version: Version) -> usize {
        let properties = if version.is_v5() { self.properties.encoded_len() } else { 0 };
        2 + properties + self.filters().map(|filter| writer::string_len(filter.as_str())).sum::<usize>()
    }
}

/// The filters of an UNSUBSCRIBE.
pub type UnsubscribeFilters<'a> = Filters<'a, TopicFilter<'a>>;

impl<'a> Iterator for UnsubscribeFilters<'a> {
    type Item = TopicFilter<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_by(read_filter)
    }
}

/// Equal packets say the same; it does not matter whether they were received or built.
impl PartialEq for Unsubscribe<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.packet_id == other.packet_id && self.properties == other.properties && self.filters().eq(other.filters())
    }
}
