//! An import as text, one line for each thing in it, so that a test compares what people can read.

use crate::import::{Imported, ImportedDelivery, ImportedMessage, ImportedSession, InflightState};
use std::fmt::Write;

/// Without the moments, which are others in every file.
pub(in crate::import) fn outline(imported: &Imported) -> String {
    let mut out = String::new();
    for session in &imported.sessions {
        write_session(&mut out, session).expect("a string takes everything");
    }
    let mut retained: Vec<String> = imported.retained.iter().map(|message| message_line(message)).collect();
    // Mosquitto keeps them in a hash map, so each file has an order of its own.
    retained.sort();
    for line in retained {
        out += &format!("retained {line}\n");
    }
    for will in &imported.wills {
        out += &format!("will {}\n", message_line(will));
    }
    for remark in &imported.remarks {
        out += &format!("remark {remark}\n");
    }
    out
}

fn write_session(out: &mut String, session: &ImportedSession) -> std::fmt::Result {
    write!(out, "session {}", session.client_id)?;
    if let Some(user_name) = &session.user_name {
        write!(out, " of {user_name}")?;
    }
    match session.expiry_seconds {
        u32::MAX => write!(out, " for ever")?,
        seconds => write!(out, " for {seconds}")?,
    }
    if let Some(packet_id) = session.last_packet_id {
        write!(out, " last {}", packet_id.value())?;
    }
    writeln!(out)?;
    if let Some(will) = &session.will {
        writeln!(out, "  will after {} {}", will.delay_seconds, message_line(&will.message))?;
    }
    for subscription in &session.subscriptions {
        write!(out, "  filter {} q{}", subscription.filter, subscription.qos as u8)?;
        out.push_str(if subscription.no_local { " no-local" } else { "" });
        out.push_str(if subscription.retain_as_published { " as-published" } else { "" });
        if let Some(identifier) = subscription.identifier {
            write!(out, " identifier {identifier}")?;
        }
        writeln!(out)?;
    }
    for entry in &session.inflight {
        let state = match entry.state {
            InflightState::Publish => "PUBLISH",
            InflightState::PubRel => "PUBREL",
        };
        let dup = if entry.dup { " dup" } else { "" };
        writeln!(out, "  {state} {}{dup} {}", entry.packet_id.value(), delivery_line(&entry.delivery))?;
    }
    for delivery in &session.queued {
        writeln!(out, "  queued {}", delivery_line(delivery))?;
    }
    for entry in &session.incoming {
        writeln!(out, "  incoming {} {}", entry.packet_id.value(), message_line(&entry.message))?;
    }
    Ok(())
}

fn delivery_line(delivery: &ImportedDelivery) -> String {
    let retain = if delivery.retain { " retain" } else { "" };
    let identifiers: String =
        delivery.identifiers.iter().map(|identifier| format!(" identifier {identifier}")).collect();
    format!("q{}{retain}{identifiers}: {}", delivery.qos as u8, message_line(&delivery.message))
}

fn message_line(message: &ImportedMessage) -> String {
    let retain = if message.retain { " retain" } else { "" };
    let expires = if message.expires_unix_millis.is_some() { " expires" } else { "" };
    let payload = match str::from_utf8(&message.payload) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("{} bytes", message.payload.len()),
    };
    let properties: String =
        message.properties.as_properties().iter().map(|property| format!(" {property:?}")).collect();
    format!("{} {payload} q{}{retain}{expires}{properties}", message.topic, message.qos as u8)
}
