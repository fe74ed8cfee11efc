//! SUBSCRIBE and UNSUBSCRIBE, and their answers.

use crate::{
    PacketId, PacketType, Properties, ReasonCode, SubAck, Subscribe, SubscribeOptions, TopicFilter, UnsubAck,
    Unsubscribe,
};

use super::error::{ConnectionError, RequestError, Violation};
use super::event::{Event, ReasonCodes, Token};
use super::outgoing::Outgoing;
use super::{Core, Stage, properties};

impl Core {
    pub(super) fn subscribe(
        &mut self,
        filters: &[(TopicFilter<'_>, SubscribeOptions)],
        properties: Properties<'_>,
    ) -> Result<Token, RequestError> {
        // [MQTT-3.8.3-2] [MQTT311-3.8.3-3]
        self.check_request(filters.len(), properties, PacketType::Subscribe)?;
        for (filter, options) in filters {
            self.check_filter(*filter, *options)?;
        }
        if properties.subscription_identifier().is_some() && !self.wire.limits.subscription_identifiers_available {
            return Err(RequestError::NotSupported(ReasonCode::SubscriptionIdentifiersNotSupported));
        }
        let version = self.options.version;
        let size = Subscribe::new(PacketId::FIRST, properties, filters).encoded_len(version);
        self.send_request(
            size,
            |token| Outgoing::Subscribe { token, filters: filters.len() },
            |packet_id, output| {
                Subscribe::new(packet_id, properties, filters).encode(version, output);
            },
        )
    }

    pub(super) fn unsubscribe(
        &mut self,
        filters: &[TopicFilter<'_>],
        properties: Properties<'_>,
    ) -> Result<Token, RequestError> {
        // [MQTT-3.10.3-2] [MQTT311-3.10.3-2]
        self.check_request(filters.len(), properties, PacketType::Unsubscribe)?;
        let version = self.options.version;
        let size = Unsubscribe::new(PacketId::FIRST, properties, filters).encoded_len(version);
        self.send_request(
            size,
            |token| Outgoing::Unsubscribe { token, filters: filters.len() },
            |packet_id, output| {
                Unsubscribe::new(packet_id, properties, filters).encode(version, output);
            },
        )
    }

    fn check_request(
        &self,
        filters: usize,
        properties: Properties<'_>,
        packet: PacketType,
    ) -> Result<(), RequestError> {
        if self.stage != Stage::Connected {
            return Err(RequestError::NotConnected);
        }
        if filters == 0 {
            return Err(RequestError::NoFilters);
        }
        if !self.options.version.is_v5() && !properties.is_empty() {
            return Err(RequestError::Version5Only("a property in SUBSCRIBE or UNSUBSCRIBE"));
        }
        properties::check(properties, packet).map_err(RequestError::Property)
    }

    /// A [`TopicFilter`] is a legal UTF-8 string already [MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT311-3.8.3-1]
    /// [MQTT311-3.10.3-1].
    fn check_filter(&self, filter: TopicFilter<'_>, options: SubscribeOptions) -> Result<(), RequestError> {
        let limits = &self.wire.limits;
        let more_than_qos = SubscribeOptions { qos: options.qos, ..SubscribeOptions::default() } != options;
        if !self.options.version.is_v5() && more_than_qos {
            return Err(RequestError::Version5Only("a subscribe option other than QoS"));
        }
        // [MQTT-3.8.3-4]
        if options.no_local && filter.share().is_some() {
            return Err(RequestError::NoLocalOnShared);
        }
        if filter.share().is_some() && !limits.shared_subscription_available {
            return Err(RequestError::NotSupported(ReasonCode::SharedSubscriptionsNotSupported));
        }
        if filter.filter().contains(['+', '#']) && !limits.wildcard_subscription_available {
            return Err(RequestError::NotSupported(ReasonCode::WildcardSubscriptionsNotSupported));
        }
        Ok(())
    }

    fn send_request(
        &mut self,
        size: usize,
        kept: impl FnOnce(Token) -> Outgoing,
        encode: impl FnOnce(PacketId, &mut alloc::vec::Vec<u8>),
    ) -> Result<Token, RequestError> {
        if size > self.wire.limits.maximum_packet_size {
            return Err(RequestError::TooLarge);
        }
        let token = self.token();
        // [MQTT-2.2.1-3] [MQTT311-2.3.1-1] [MQTT311-2.3.1-2]
        let packet_id = self.outgoing.insert_request(kept(token)).ok_or(RequestError::NoPacketIdentifier)?;
        self.wire.send(size, |output| encode(packet_id, output))?;
        Ok(token)
    }

    pub(super) fn handle_suback<'a>(&mut self, suback: SubAck<'a>) -> Result<Option<Event<'a>>, ConnectionError> {
        let kind = PacketType::SubAck;
        let Some(Outgoing::Subscribe { token, filters }) = self.finish_request(suback.packet_id, kind)? else {
            return Ok(None);
        };
        if suback.reason_codes.len() != filters {
            return Err(Violation::ReasonCodeCount(kind).into());
        }
        let reason_codes = ReasonCodes(suback.reason_codes);
        Ok(Some(Event::Subscribed { token, reason_codes, properties: suback.properties }))
    }

    pub(super) fn handle_unsuback<'a>(&mut self, unsuback: UnsubAck<'a>) -> Result<Option<Event<'a>>, ConnectionError> {
        let kind = PacketType::UnsubAck;
        let Some(Outgoing::Unsubscribe { token, filters }) = self.finish_request(unsuback.packet_id, kind)? else {
            return Ok(None);
        };
        if self.options.version.is_v5() && unsuback.reason_codes.len() != filters {
            return Err(Violation::ReasonCodeCount(kind).into());
        }
        let reason_codes = ReasonCodes(unsuback.reason_codes);
        Ok(Some(Event::Unsubscribed { token, reason_codes, properties: unsuback.properties }))
    }

    /// The request that this answer is for; none for an identifier that is not in use.
    fn finish_request(&mut self, packet_id: PacketId, answer: PacketType) -> Result<Option<Outgoing>, ConnectionError> {
        let fits = match self.outgoing.get(packet_id) {
            Some(Outgoing::Subscribe { .. }) => answer == PacketType::SubAck,
            Some(Outgoing::Unsubscribe { .. }) => answer == PacketType::UnsubAck,
            Some(Outgoing::Publish(_)) => false,
            None => return Ok(None),
        };
        if !fits {
            return Err(Violation::WrongAcknowledgement(answer).into());
        }
        Ok(self.outgoing.finish_request(packet_id).ok())
    }
}
