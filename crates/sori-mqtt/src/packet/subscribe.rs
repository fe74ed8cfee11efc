//! SUBSCRIBE: a client asks for messages.

use alloc::vec::Vec;

use super::filters::{Filters, List};
use crate::property::Place;
use crate::reader::Reader;
use crate::{
    DecodeError, Direction, PacketId, PacketType, Properties, QoS, ReasonCode, TopicError, TopicFilter, Version, writer,
};

/// When retained messages are sent for a subscription.
#[repr(u8)]
#[derive(Copy, Clone, Eq, PartialEq, Debug, Hash, Default)]
pub enum RetainHandling {
    /// At every SUBSCRIBE.
    #[default]
    SendAlways = 0,
    /// If the subscription did not exist.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// The byte after each filter. Before MQTT 5.0 it holds the QoS alone.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Hash, Default)]
pub struct SubscribeOptions {
    /// The highest QoS that messages are sent with.
    pub qos: QoS,
    /// Do not send back what this client published itself.
    pub no_local: bool,
    /// Keep the retain flag of messages as published.
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
}

impl SubscribeOptions {
    /// The byte as in the packet.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        self.qos as u8
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling as u8) << 4
    }

    /// Nothing if a reserved bit is set, or the QoS or the retain handling is 3. [MQTT-3.8.3-5]
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        let retain_handling = match bits >> 4 {
            0 => RetainHandling::SendAlways,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return None,
        };
        let Some(qos) = QoS::from_u8(bits & 0b11) else { return None };
        Some(Self { qos, no_local: bits & 0b100 != 0, retain_as_published: bits & 0b1000 != 0, retain_handling })
    }

    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let bits = reader.byte("subscription options")?;
        if !version.is_v5() {
            // [MQTT311-3.8.3-4]
            let qos = QoS::from_u8(bits).ok_or_else(|| DecodeError::malformed("requested QoS", "is above 2"))?;
            return Ok(Self { qos, ..Self::default() });
        }
        Self::from_bits(bits).ok_or_else(|| DecodeError::malformed("subscription options", "have an illegal bit set"))
    }
}

/// A SUBSCRIBE packet.
#[derive(Copy, Clone, Debug)]
pub struct Subscribe<'a> {
    /// The identifier that SUBACK repeats.
    pub packet_id: PacketId,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
    filters: List<'a, (TopicFilter<'a>, SubscribeOptions)>,
}

impl<'a> Subscribe<'a> {
    /// A packet to send. There must be at least one filter. [MQTT-3.8.3-2] [MQTT311-3.8.3-3]
    #[must_use]
    pub const fn new(
        packet_id: PacketId,
        properties: Properties<'a>,
        filters: &'a [(TopicFilter<'a>, SubscribeOptions)],
    ) -> Self {
        Self { packet_id, properties, filters: List::Given(filters) }
    }

    /// The filters and their options, in the order of the packet.
    #[must_use]
    pub const fn filters(&self) -> SubscribeFilters<'a> {
        Filters(self.filters)
    }

    pub(super) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id(PacketType::Subscribe)?;
        let properties = if version.is_v5() {
            Properties::read(&mut reader, Place::Packet(PacketType::Subscribe), Direction::ToServer)?
        } else {
            Properties::EMPTY
        };
        // [MQTT-3.8.3-2] [MQTT311-3.8.3-3]
        if reader.is_empty() {
            return Err(DecodeError::malformed("list of topic filters", "is empty"));
        }
        let filters = List::Received(reader.rest());
        while !reader.is_empty() {
            let (filter, options) = read_filter_and_options(&mut reader, version)?;
            // [MQTT-3.8.3-4]
            if options.no_local && filter.share().is_some() {
                return Err(DecodeError::protocol("no local", "is set on a shared subscription"));
            }
        }
        Ok(Self { packet_id, properties, filters })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        debug_assert!(self.filters().next().is_some(), "SUBSCRIBE has at least one filter");
        if !writer::fixed_header(PacketType::Subscribe.first_byte(), self.body_len(version), out) {
            return;
        }
        writer::packet_id(self.packet_id, out);
        if version.is_v5() {
            self.properties.encode(out);
        }
        for (filter, options) in self.filters() {
            writer::string(filter.as_str(), out);
            out.push(if version.is_v5() { options.to_bits() } else { options.qos as u8 });
        }
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        writer::packet_len(self.body_len(version))
    }

    fn body_len(&self, version: Version) -> usize {
        let properties = if version.is_v5() { self.properties.encoded_len() } else { 0 };
        let filters: usize = self.filters().map(|(filter, _)| writer::string_len(filter.as_str()) + 1).sum();
        2 + properties + filters
    }
}

/// The filters of a SUBSCRIBE and their options.
pub type SubscribeFilters<'a> = Filters<'a, (TopicFilter<'a>, SubscribeOptions)>;

impl<'a> Iterator for SubscribeFilters<'a> {
    type Item = (TopicFilter<'a>, SubscribeOptions);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_by(|reader| read_filter_and_options(reader, Version::V5))
    }
}

/// Equal packets say the same; it does not matter whether they were received or built.
impl PartialEq for Subscribe<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.packet_id == other.packet_id && self.properties == other.properties && self.filters().eq(other.filters())
    }
}

fn read_filter_and_options<'a>(
    reader: &mut Reader<'a>,
    version: Version,
) -> Result<(TopicFilter<'a>, SubscribeOptions), DecodeError> {
    Ok((read_filter(reader)?, SubscribeOptions::read(reader, version)?))
}

/// [MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT311-3.8.3-1] [MQTT311-3.10.3-1]
pub(super) fn read_filter<'a>(reader: &mut Reader<'a>) -> Result<TopicFilter<'a>, DecodeError> {
    TopicFilter::new(reader.unchecked_string("topic filter")?).map_err(invalid_filter)
}

#[cold]
fn invalid_filter(error: TopicError) -> DecodeError {
    let reason = match error {
        TopicError::WildcardPosition | TopicError::Share => ReasonCode::TopicFilterInvalid,
        _ => ReasonCode::MalformedPacket,
    };
    DecodeError::new(reason, "topic filter", error.text())
}
