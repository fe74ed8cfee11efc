//! Request and response as `sori rr` and `mosquitto_rr` do it: one message out, one message back.

use std::time::{Duration, Instant};

use sori_mqtt::{Property, PropertyBuffer, TopicFilter, TopicName};

use crate::client::Client;
use crate::event::Event;
use crate::failure::{Cause, Failure};
use crate::message::Message;
use crate::printer::Printer;
use crate::settings::{Connection, Payload, PublishOrder, RequestOrder};
use crate::subscribing::Show;
use crate::voice::Voice;

/// Subscribes to the response topic, publishes the request, and shows the first response.
pub(crate) fn request(connection: &Connection, order: &RequestOrder, voice: Voice) -> Result<(), Failure> {
    let topic = |topic: &str| match TopicName::new(topic) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!("\"{topic}\" cannot be used for a request: {error}"))),
    };
    topic(&order.request.topic)?;
    topic(&order.response_topic)?;
    let printer = match Printer::new(&order.output, voice, None) {
        Ok(printer) => printer,
        Err(end) => return end.result(),
    };
    let mut client = Client::connect(connection)?;
    let until = order.wait.map(|wait| Instant::now() + wait);
    let properties = properties(order, connection.version.is_v5());
    let mut requester = Requester { order, voice, printer, properties, sent_at: None };
    loop {
        let event = client.wait(until)?;
        match requester.handle(&mut client, event) {
            Ok(false) => {}
            Ok(true) => {
                client.disconnect();
                return Ok(());
            }
            Err(failure) => {
                match failure.cause {
                    Cause::TimedOut if matches!(voice, Voice::Mosquitto { .. }) => client.disconnect_with_will(),
                    _ => client.disconnect(),
                }
                return Err(failure);
            }
        }
    }
}

struct Requester<'a> {
    order: &'a RequestOrder,
    voice: Voice,
    printer: Printer<'a>,
    properties: PropertyBuffer,
    sent_at: Option<Instant>,
}

/// Those of the request, and where the response is expected.
fn properties(order: &RequestOrder, is_v5: bool) -> PropertyBuffer {
    let mut properties = PropertyBuffer::new();
    if is_v5 {
        properties.extend(order.request.properties.as_properties());
        properties.push(Property::ResponseTopic(&order.response_topic));
    }
    properties
}

impl Requester<'_> {
    /// Whether the response has come.
    fn handle(&mut self, client: &mut Client, event: Event) -> Result<bool, Failure> {
        match event {
            Event::Connected => {
                let filters = std::slice::from_ref(&self.order.response_topic);
                client.subscribe(filters, self.order.options, self.order.subscribe_properties.as_properties())?;
            }
            Event::Subscribed { number, reason_codes, reason_string } => {
                let filters = std::slice::from_ref(&self.order.response_topic);
                self.voice.subscribed(filters, number, &reason_codes, reason_string.as_deref())?;
                self.send(client)?;
            }
            Event::Published { number, refusal: Some(refusal) } => {
                self.voice.not_taken(&self.order.request.topic, number, &refusal)?;
            }
            Event::Message(message) if self.is_response(&message) => {
                let arrived = Instant::now();
                return self.show(&message, arrived).map(|()| true);
            }
            Event::TimedOut => return Err(Failure::quiet(Cause::TimedOut)),
            Event::Interrupted(signal) => return Err(Failure::quiet(Cause::Interrupted(signal))),
            _ => {}
        }
        Ok(false)
    }

    fn send(&mut self, client: &mut Client) -> Result<(), Failure> {
        let PublishOrder { topic, payload, qos, retain, .. } = &self.order.request;
        let payload = match payload {
            Payload::Bytes(payload) => payload.as_slice(),
            Payload::Lines => &[],
        };
        self.sent_at = Some(Instant::now());
        client.publish(topic, payload, (*qos, *retain), self.properties.as_properties())?;
        Ok(())
    }

    /// On the response topic, after the request; with another message's correlation data it is another one's response.
    fn is_response(&self, message: &Message) -> bool {
        let is_its_topic = match (TopicFilter::new(&self.order.response_topic), TopicName::new(&message.topic)) {
            (Ok(filter), Ok(topic)) => filter.matches(topic),
            _ => false,
        };
        let expected = self.properties.as_properties().correlation_data();
        let found = message.properties.as_properties().correlation_data();
        let correlates = self.voice != Voice::Sori || expected.is_none() || found.is_none() || expected == found;
        is_its_topic && correlates && self.sent_at.is_some() && !(self.order.skip_retained && message.retain)
    }

    fn show(&mut self, message: &Message, arrived: Instant) -> Result<(), Failure> {
        let mut shown = self.printer.message(message);
        if let Some(sent_at) = self.sent_at.filter(|_| self.order.latency) {
            let line = format!("Latency: {}", latency(arrived.saturating_duration_since(sent_at)));
            shown = shown.and_then(|()| self.printer.line(&line));
        }
        shown.and_then(|()| self.printer.idle()).or_else(crate::printer::OutputEnd::result)
    }
}

/// In the unit that gives a readable number.
fn latency(duration: Duration) -> String {
    let nanoseconds = duration.subsec_nanos();
    if duration.as_secs() > 0 {
        format!("{}.{nanoseconds:09}", duration.as_secs())
    } else if nanoseconds < 1_000 {
        format!("{nanoseconds}ns")
    } else if nanoseconds < 1_000_000 {
        format!("{:.6}µs", f64::from(nanoseconds) / 1e3)
    } else {
        format!("{:.6}ms", f64::from(nanoseconds) / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_has_the_unit_that_fits() {
        assert_eq!(latency(Duration::from_nanos(999)), "999ns");
        assert_eq!(latency(Duration::from_nanos(123_456)), "123.456000µs");
        assert_eq!(latency(Duration::from_nanos(1_500_000)), "1.500000ms");
        assert_eq!(latency(Duration::new(2, 5)), "2.000000005");
    }
}
