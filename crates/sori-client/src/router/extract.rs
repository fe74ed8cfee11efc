//! What handlers can ask for: parts of a message, taken apart and checked.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::message::Message;

/// A message on its way into a handler.
pub struct Incoming<'m> {
    message: &'m Message,
    names: std::vec::IntoIter<&'m str>,
}

impl<'m> Incoming<'m> {
    pub(super) fn new(message: &'m Message, names: Vec<&'m str>) -> Self {
        Self { message, names: names.into_iter() }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// What stands in the place of the pattern's next name.
    pub fn next_name(&mut self) -> Option<&'m str> {
        self.names.next()
    }
}

/// A part of a message, as the argument of a handler.
pub trait FromMessage: Sized + Send + 'static {
    /// How many names of the pattern it takes.
    const NAMES: usize = 0;

    /// Takes it out of the message.
    ///
    /// # Errors
    /// The message has no such part; the text says why.
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String>;
}

/// What stands in the place of a name: the first `Name` of a handler is the pattern's first name, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name<T = String>(pub T);

/// The topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic(pub String);

/// The payload as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// The payload as UTF-8 text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

/// The payload as JSON of this shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// The User Properties, in their order; none before MQTT 5.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserProperties(pub Vec<(String, String)>);

/// The Content Type, if the sender gave one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType(pub Option<String>);

/// Where an answer is to go, with the Correlation Data that is to stand in it. Messages that want no answer have no such
/// part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    /// The Response Topic.
    pub topic: String,
    /// The Correlation Data, if there is any.
    pub correlation_data: Option<Vec<u8>>,
}

impl<T: FromStr<Err: Display> + Send + 'static> FromMessage for Name<T> {
    const NAMES: usize = 1;

    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        let text = incoming.next_name().ok_or("the pattern has no more names")?;
        text.parse().map(Self).map_err(|error| format!("\"{text}\" in the topic: {error}"))
    }
}

impl FromMessage for Message {
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        Ok(incoming.message().clone())
    }
}

impl FromMessage for Topic {
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        Ok(Self(incoming.message().topic().to_owned()))
    }
}

impl FromMessage for Bytes {
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        Ok(Self(incoming.message().payload().to_vec()))
    }
}

impl FromMessage for Text {
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        match incoming.message().text() {
            Ok(text) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("the payload is not text: {error}")),
        }
    }
}

impl<T: DeserializeOwned + Send + 'static> FromMessage for Json<T> {
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        let parsed = serde_json::from_slice(incoming.message().payload());
        parsed.map(Self).map_err(|error| format!("the payload is not the JSON that is expected: {error}"))
    }
}

impl FromMessage for UserProperties {
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        let properties = incoming.message().properties();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(Self(properties.user_properties().map(owned).collect()))
    }
}

impl FromMessage for ContentType {
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        Ok(Self(incoming.message().properties().content_type().map(str::to_owned)))
    }
}

impl FromMessage for ReplyTo {
    fn from_message(incoming: &mut Incoming<'_>) -> Result<Self, String> {
        let properties = incoming.message().properties();
        let topic = properties.response_topic().ok_or("the message wants no answer: it has no Response Topic")?;
        let correlation_data = properties.correlation_data().map(<[u8]>::to_vec);
        Ok(Self { topic: topic.to_owned(), correlation_data })
    }
}
