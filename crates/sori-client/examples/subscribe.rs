//! Prints every message of a filter: `MQTT_URL=mqtt://host cargo run --example subscribe`

use sori_client::blocking::Client;

pub(crate) fn main() -> Result<(), sori_client::Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let client = Client::connect(url)?;
    let mut messages = client.subscribe("sensors/#")?;
    println!("subscribed");
    for message in &mut messages {
        match message.text() {
            Ok(text) => println!("{}: {text}", message.topic()),
            Err(_) => println!("{}: {} bytes", message.topic(), message.payload().len()),
        }
    }
    // The stream ends when the client is closed, or when the server takes the subscription away.
    messages.error().map_or(Ok(()), Err)
}
