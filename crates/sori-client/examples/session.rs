//! Shows what one SUBSCRIBE with two filters brings, and how many bytes went either way, until "stop" comes:
//! `MQTT_URL=mqtt://host cargo run --example session`

use sori_client::{Event, Properties, ReasonCode, Session, SubscribeOptions};

pub(crate) fn main() -> Result<(), sori_client::Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let mut session = Session::open_with_bytes(url)?;
    let (mut sent, mut received) = (0, 0);
    while let Some(event) = session.wait(None) {
        match event {
            Event::Sent(bytes) => sent += bytes.len(),
            Event::Received(bytes) => received += bytes.len(),
            // Also after a reconnect: the server may have forgotten.
            Event::Connected { .. } => {
                session.subscribe(&["sensors/#", "stop"], SubscribeOptions::default(), Properties::EMPTY)?;
            }
            Event::Subscribed { reason_codes, .. } => println!("subscribed: {reason_codes:?}"),
            Event::Message { message, .. } if message.topic() == "stop" => {
                session.disconnect(ReasonCode::Success, Properties::EMPTY)?;
            }
            Event::Message { message, .. } => println!("{}: {} bytes", message.topic(), message.payload().len()),
            Event::Lost { error, retry_in } => println!("{error}; again in {retry_in:?}"),
            Event::Ended { error: Some(error) } => return Err((*error).clone()),
            Event::Ended { error: None } => break,
            _ => {}
        }
    }
    println!("{sent} bytes were sent, {received} came");
    Ok(())
}
