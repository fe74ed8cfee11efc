//! The chunks of the format versions 2 to 4: one field after the other, strings after their length in two bytes.
//!
//! ```text
//! configuration   clean end 1, width of a message number 1, last message number 8
//! message         number 8, sender's client id, [version 4: sender's user name, port 2,] sender's packet id 2,
//!                 packet id 2, topic, QoS 1, retain 1, length 4 and payload
//! client message  client id, message number 8, packet id 2, QoS 1, retain 1, direction 1, state 1, dup 1
//! retained        message number 8
//! subscription    client id, filter, QoS 1
//! client          client id, last packet id 2, [since version 3: time of the disconnect 4 or 8]
//! ```

use super::ImportFault;
use super::chunk::Chunk;
use super::collector::{Collector, DeliveryEntry, MessageEntry, SessionEntry, SubscriptionEntry};
use super::mosquitto_db::{CLIENT, CONFIGURATION, DELIVERY, MESSAGE, RETAINED, SUBSCRIPTION, check_store_id_width};
use sori_mqtt::PropertyBuffer;

pub(super) fn take(
    collector: &mut Collector,
    kind: u32,
    mut chunk: Chunk<'_>,
    version: u32,
) -> Result<(), ImportFault> {
    match kind {
        CONFIGURATION => configuration(&mut chunk)?,
        MESSAGE => message(collector, &mut chunk, version)?,
        DELIVERY => delivery(collector, &mut chunk)?,
        RETAINED => {
            let place = chunk.place();
            collector.add_retained(chunk.store_id()?, place);
        }
        SUBSCRIPTION => subscription(collector, &mut chunk)?,
        CLIENT => client(collector, &mut chunk)?,
        _ => return Ok(()),
    }
    chunk.end()
}

fn configuration(chunk: &mut Chunk<'_>) -> Result<(), ImportFault> {
    let _ended_cleanly = chunk.byte()?;
    let width = chunk.byte()?;
    check_store_id_width(chunk, width)?;
    let _last_message = chunk.store_id()?;
    Ok(())
}

fn message(collector: &mut Collector, chunk: &mut Chunk<'_>, version: u32) -> Result<(), ImportFault> {
    let place = chunk.place();
    let store_id = chunk.store_id()?;
    let _sender = chunk.counted()?;
    if version == 4 {
        let _sender_user_name = chunk.counted()?;
        let _port = chunk.two_bytes()?;
    }
    let _sender_packet_id = chunk.two_bytes()?;
    let _packet_id = chunk.two_bytes()?;
    let topic = chunk.counted()?;
    let qos = chunk.byte()?;
    let retain = chunk.byte()? != 0;
    let length = chunk.four_bytes()?;
    let payload = chunk.take(length as usize)?;
    let properties = PropertyBuffer::new();
    collector
        .add_message(MessageEntry { store_id, topic, payload, properties, qos, retain, expires_seconds: None }, place)
}

fn delivery(collector: &mut Collector, chunk: &mut Chunk<'_>) -> Result<(), ImportFault> {
    let place = chunk.place();
    let entry = DeliveryEntry {
        client_id: chunk.counted()?,
        store_id: chunk.store_id()?,
        packet_id: chunk.two_bytes()?,
        qos: chunk.byte()?,
        retain: chunk.byte()? != 0,
        direction: chunk.byte()?,
        state: chunk.byte()?,
        dup: chunk.byte()? != 0,
        identifiers: Vec::new(),
    };
    collector.add_delivery(entry, place)
}

fn subscription(collector: &mut Collector, chunk: &mut Chunk<'_>) -> Result<(), ImportFault> {
    let place = chunk.place();
    let (client_id, filter, qos) = (chunk.counted()?, chunk.counted()?, chunk.byte()?);
    collector.add_subscription(&SubscriptionEntry { client_id, filter, options: qos, identifier: 0 }, place)
}

fn client(collector: &mut Collector, chunk: &mut Chunk<'_>) -> Result<(), ImportFault> {
    let place = chunk.place();
    let entry = SessionEntry {
        client_id: chunk.counted()?,
        last_packet_id: chunk.two_bytes()?,
        disconnected_at_seconds: match chunk.left() {
            0 => None,
            width => chunk.seconds(width)?,
        },
        expiry_seconds: u32::MAX,
        ..SessionEntry::default()
    };
    collector.add_session(&entry, place);
    Ok(())
}
