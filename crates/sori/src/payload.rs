//! The options that say what to send; `pub` and `rr` share them.

use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use sori_mqtt::{Property, PropertyBuffer};

use crate::connection::{ConnectionArguments, name_and_value};
use crate::failure::Failure;
use crate::publishing::cannot_read_input;

#[derive(Args, Debug)]
pub(crate) struct PayloadArguments {
    /// Send this text
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, group = "payload")]
    message: Option<String>,
    /// Send the contents of this file
    #[arg(short, long, group = "payload")]
    file: Option<PathBuf>,
    /// Send all of standard input as one message
    #[arg(short = 's', long, group = "payload")]
    stdin_file: bool,
    /// Send an empty message
    #[arg(short, long, group = "payload")]
    null_message: bool,
}

impl PayloadArguments {
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Failure> {
        if let Some(text) = &self.message {
            return Ok(text.clone().into_bytes());
        }
        if let Some(path) = &self.file {
            return std::fs::read(path)
                .map_err(|error| Failure::new(format!("cannot read the file \"{}\": {error}", path.display())));
        }
        let mut payload = Vec::new();
        if self.stdin_file {
            io::stdin().read_to_end(&mut payload).map_err(|error| cannot_read_input(&error))?;
        }
        Ok(payload)
    }
}

/// What MQTT 5 can say about a message.
#[derive(Args, Debug)]
#[command(next_help_heading = "Properties of the message (MQTT 5)")]
pub(crate) struct PropertyArguments {
    /// What kind of payload it is, as in text/plain or application/json
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Say that the payload is text in UTF-8
    #[arg(long)]
    payload_is_text: bool,
    /// Seconds after which the broker drops the message if it could not deliver it
    #[arg(long, value_name = "SECONDS")]
    expiry: Option<u32>,
    /// Data by which the sender knows the answer to this message again
    #[arg(long, value_name = "TEXT")]
    correlation_data: Option<String>,
    /// A name and a value of your own; may be given several times
    #[arg(long = "user-property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    user_properties: Vec<(String, String)>,
}

impl PropertyArguments {
    pub(crate) fn properties(&self, connection: &ConnectionArguments) -> Result<PropertyBuffer, Failure> {
        let mut properties = PropertyBuffer::new();
        if self.payload_is_text {
            properties.push(Property::PayloadFormatIndicator(true));
        }
        if let Some(seconds) = self.expiry {
            properties.push(Property::MessageExpiryInterval(seconds));
        }
        if let Some(content_type) = &self.content_type {
            properties.push(Property::ContentType(content_type));
        }
        if let Some(data) = &self.correlation_data {
            properties.push(Property::CorrelationData(data.as_bytes()));
        }
        for (name, value) in &self.user_properties {
            properties.push(Property::UserProperty(name, value));
        }
        connection.needs_version_5("a property of the message", !properties.as_properties().is_empty())?;
        Ok(properties)
    }
}
