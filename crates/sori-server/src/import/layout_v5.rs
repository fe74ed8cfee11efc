//! The chunks of the format versions 5 and 6: a C struct of fixed length, then the strings whose lengths stand in it.
//!
//! ```text
//! configuration   last message number 8, clean end 1, width of a message number 1, padding
//! message         number 8, expiry time 8, payload length 4, sender's packet id 2, length of the sender's client id 2,
//!                 of the sender's user name 2, of the topic 2, port 2, QoS 1, retain 1;
//!                 sender's client id, sender's user name, topic, payload, properties with their length
//! client message  message number 8, packet id 2, length of the client id 2, QoS 1, state 1, retain and dup 1,
//!                 direction 1; client id, properties with their length
//! retained        message number 8
//! subscription    identifier 4, length of the client id 2, of the filter 2, QoS 1, options 1, padding 2;
//!                 client id, filter
//! client          session expiry time 8, session expiry interval 4, last packet id 2, length of the client id 2,
//!                 [version 6: port 2, length of the user name 2, padding;] client id, [user name]
//! ```
//!
//! Padding depends on the machine: 0 or 4 bytes in a client, 2 or 6 in the configuration.

use super::ImportFault;
use super::chunk::Chunk;
use super::collector::{Collector, DeliveryEntry, MessageEntry, SessionEntry, SubscriptionEntry};
use super::mosquitto_db::{CLIENT, CONFIGURATION, DELIVERY, MESSAGE, RETAINED, SUBSCRIPTION, check_store_id_width};
use super::properties::{self, Kept};

pub(super) fn take(
    collector: &mut Collector,
    kind: u32,
    mut chunk: Chunk<'_>,
    version: u32,
) -> Result<(), ImportFault> {
    match kind {
        CONFIGURATION => configuration(&mut chunk)?,
        MESSAGE => message(collector, &mut chunk)?,
        DELIVERY => delivery(collector, &mut chunk)?,
        RETAINED => {
            let place = chunk.place();
            collector.add_retained(chunk.store_id()?, place);
        }
        SUBSCRIPTION => subscription(collector, &mut chunk)?,
        CLIENT => client(collector, &mut chunk, version)?,
        _ => return Ok(()),
    }
    chunk.end()
}

fn configuration(chunk: &mut Chunk<'_>) -> Result<(), ImportFault> {
    let _last_message = chunk.store_id()?;
    let _ended_cleanly = chunk.byte()?;
    let width = chunk.byte()?;
    check_store_id_width(chunk, width)?;
    padding(chunk, 0, &[2, 6])
}

fn message(collector: &mut Collector, chunk: &mut Chunk<'_>) -> Result<(), ImportFault> {
    let place = chunk.place();
    let store_id = chunk.store_id()?;
    let expires_seconds = chunk.seconds(8)?;
    let payload_length = chunk.four_bytes()?;
    let _sender_packet_id = chunk.two_bytes()?;
    let [sender_length, user_name_length, topic_length] = [chunk.two_bytes()?, chunk.two_bytes()?, chunk.two_bytes()?];
    let _port = chunk.two_bytes()?;
    let qos = chunk.byte()?;
    let retain = chunk.byte()? != 0;
    let _sender = chunk.take(sender_length.into())?;
    let _sender_user_name = chunk.take(user_name_length.into())?;
    let topic = chunk.take(topic_length.into())?;
    let payload = chunk.take(payload_length as usize)?;
    let properties = properties_to_the_end(chunk)?.unchanged;
    collector.add_message(MessageEntry { store_id, topic, payload, properties, qos, retain, expires_seconds }, place)
}

fn delivery(collector: &mut Collector, chunk: &mut Chunk<'_>) -> Result<(), ImportFault> {
    let place = chunk.place();
    let store_id = chunk.store_id()?;
    let packet_id = chunk.two_bytes()?;
    let client_id_length = chunk.two_bytes()?;
    let [qos, state, retain_and_dup, direction] = [chunk.byte()?, chunk.byte()?, chunk.byte()?, chunk.byte()?];
    let client_id = chunk.take(client_id_length.into())?;
    let identifiers = properties_to_the_end(chunk)?.identifiers;
    let (retain, dup) = (retain_and_dup & 0xF0 != 0, retain_and_dup & 0x0F != 0);
    collector.add_delivery(
        DeliveryEntry { client_id, store_id, packet_id, qos, retain, dup, direction, state, identifiers },
        place,
    )
}

fn subscription(collector: &mut Collector, chunk: &mut Chunk<'_>) -> Result<(), ImportFault> {
    let place = chunk.place();
    let identifier = chunk.four_bytes()?;
    let [client_id_length, filter_length] = [chunk.two_bytes()?, chunk.two_bytes()?];
    let options = chunk.byte()? | chunk.byte()?;
    chunk.take(2)?;
    let client_id = chunk.take(client_id_length.into())?;
    let filter = chunk.take(filter_length.into())?;
    collector.add_subscription(&SubscriptionEntry { client_id, filter, options, identifier }, place)
}

fn client(collector: &mut Collector, chunk: &mut Chunk<'_>, version: u32) -> Result<(), ImportFault> {
    let place = chunk.place();
    let ends_at_seconds = chunk.seconds(8)?;
    let expiry_seconds = chunk.four_bytes()?;
    let last_packet_id = chunk.two_bytes()?;
    let client_id_length = usize::from(chunk.two_bytes()?);
    let mut user_name_length = 0;
    if version >= 6 {
        let _port = chunk.two_bytes()?;
        user_name_length = usize::from(chunk.two_bytes()?);
        padding(chunk, client_id_length + user_name_length, &[0, 4])?;
    }
    let client_id = chunk.take(client_id_length)?;
    let user_name = Some(chunk.take(user_name_length)?).filter(|user_name| !user_name.is_empty());
    let disconnected_at_seconds = None;
    collector.add_session(
        &SessionEntry {
            client_id,
            user_name,
            expiry_seconds,
            disconnected_at_seconds,
            ends_at_seconds,
            last_packet_id,
        },
        place,
    );
    Ok(())
}

fn properties_to_the_end(chunk: &mut Chunk<'_>) -> Result<Kept, ImportFault> {
    let fault = chunk.fault("holds properties that MQTT does not allow");
    let encoded = chunk.take(chunk.left())?;
    properties::decoded(encoded).map_err(|error| match fault {
        ImportFault::Damaged { place, what } => ImportFault::damaged(place, format!("{what}: {error}")),
        other => other,
    })
}

/// Passes the padding that is left when `rest` bytes of strings are to follow.
fn padding(chunk: &mut Chunk<'_>, rest: usize, widths: &[usize]) -> Result<(), ImportFault> {
    match chunk.left().checked_sub(rest) {
        Some(width) if widths.contains(&width) => chunk.take(width).map(|_| ()),
        _ => Err(chunk.fault("does not have the length of its parts")),
    }
}
