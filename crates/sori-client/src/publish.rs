//! A message to be published, its will included.

use std::borrow::Cow;
use std::time::Duration;

use sori_mqtt::client_session::WillOptions;
use sori_mqtt::{Property, PropertyBuffer, QoS, ReasonCode};

/// A message to publish: topic, payload, and how.
///
/// QoS 1 unless something else is chosen: the server has it when the receipt is there.
///
/// ```
/// use sori_client::{Publish, QoS};
///
/// let reading = Publish::new("sensors/kitchen/temperature", "21.5").retain(true);
/// let command = Publish::new("valves/3/open", b"\x01").qos(QoS::ExactlyOnce).content_type("application/octet-stream");
/// ```
#[derive(Debug, Clone)]
pub struct Publish<'a> {
    pub(crate) topic: Cow<'a, str>,
    pub(crate) payload: Cow<'a, [u8]>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: PropertyBuffer,
}

/// What a payload can be made of: text or bytes, borrowed or owned.
#[derive(Debug, Clone)]
pub struct Payload<'a>(pub(crate) Cow<'a, [u8]>);

impl<'a> Publish<'a> {
    /// A message for this topic, with QoS 1, not retained.
    pub fn new(topic: impl Into<Cow<'a, str>>, payload: impl Into<Payload<'a>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into().0,
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: PropertyBuffer::new(),
        }
    }

    /// How sure its delivery is to be.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Whether the server keeps it for those who subscribe later.
    #[must_use]
    pub fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// MQTT 5.0: after this time (in whole seconds) the server delivers it no more.
    #[must_use]
    pub fn message_expiry(self, after: Duration) -> Self {
        let seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
        self.property(Property::MessageExpiryInterval(seconds))
    }

    /// MQTT 5.0: what the payload is, as a MIME type or however sender and receiver have agreed.
    #[must_use]
    pub fn content_type(self, content_type: &str) -> Self {
        self.property(Property::ContentType(content_type))
    }

    /// MQTT 5.0: a name and a value that receivers see.
    #[must_use]
    pub fn user_property(self, name: &str, value: &str) -> Self {
        self.property(Property::UserProperty(name, value))
    }

    /// MQTT 5.0: any property that a PUBLISH may have. For a will also Will Delay Interval.
    #[must_use]
    pub fn property(mut self, property: Property<'_>) -> Self {
        self.properties.push(property);
        self
    }

    /// The same message, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Publish<'static> {
        Publish {
            topic: Cow::Owned(self.topic.into_owned()),
            payload: Cow::Owned(self.payload.into_owned()),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties,
        }
    }

    /// As the codec wants it.
    pub(crate) fn as_packet(&self) -> sori_mqtt::Publish<'_> {
        sori_mqtt::Publish {
            dup: false,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: None,
            properties: self.properties.as_properties(),
            payload: &self.payload,
        }
    }

    pub(crate) fn into_will(self) -> WillOptions {
        WillOptions {
            topic: self.topic.into_owned(),
            payload: self.payload.into_owned(),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties,
        }
    }
}

impl<'a, T: Into<Cow<'a, str>>, P: Into<Payload<'a>>> From<(T, P)> for Publish<'a> {
    /// Topic and payload.
    fn from((topic, payload): (T, P)) -> Self {
        Self::new(topic, payload)
    }
}

macro_rules! payloads {
    ($($type:ty: $value:ident => $cow:expr;)*) => {$(
        impl<'a> From<$type> for Payload<'a> {
            fn from($value: $type) -> Self {
                Self($cow)
            }
        }
    )*};
}

payloads! {
    &'a str: text => Cow::Borrowed(text.as_bytes());
    &'a String: text => Cow::Borrowed(text.as_bytes());
    String: text => Cow::Owned(text.into_bytes());
    &'a [u8]: bytes => Cow::Borrowed(bytes);
    &'a Vec<u8>: bytes => Cow::Borrowed(bytes);
    Vec<u8>: bytes => Cow::Owned(bytes);
}

impl<'a, const N: usize> From<&'a [u8; N]> for Payload<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for Payload<'_> {
    fn from(bytes: [u8; N]) -> Self {
        Self(Cow::Owned(bytes.to_vec()))
    }
}

/// What the server said about a message: it has it. For QoS 0 the server says nothing, and the message was handed to the
/// connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) reason_code: ReasonCode,
    pub(crate) reason_string: Option<String>,
}

impl Receipt {
    /// [`Success`](ReasonCode::Success), or [`NoMatchingSubscribers`](ReasonCode::NoMatchingSubscribers) where an MQTT
    /// 5.0 server says so. Refusals are errors.
    #[must_use]
    pub fn reason_code(&self) -> ReasonCode {
        self.reason_code
    }

    /// MQTT 5.0: a sentence for people.
    #[must_use]
    pub fn reason_string(&self) -> Option<&str> {
        self.reason_string.as_deref()
    }
}
