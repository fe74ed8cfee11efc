//! Topics from parts that come from elsewhere: `MQTT_URL=mqtt://host cargo run --example building_topics`
//!
//! The general comes first, so that a subscription can stop anywhere: `buildings/hq/floor-2/lab/temperature`. A name from
//! outside must not become two levels or a wildcard, so it is checked where the topic is made.

use sori_client::{Publish, blocking::Client};

/// One level: lower case, no blanks, nothing that means something in a filter.
fn level(name: &str) -> Result<String, String> {
    let level: String = name.trim().to_lowercase().replace(' ', "-");
    if level.is_empty() || level.starts_with('$') || level.contains(['/', '+', '#', '\0']) {
        return Err(format!("\"{name}\" cannot be a level of a topic"));
    }
    Ok(level)
}

fn topic(building: &str, floor: u32, room: &str, sensor: &str) -> Result<String, String> {
    Ok(format!("buildings/{}/floor-{floor}/{}/{}", level(building)?, level(room)?, level(sensor)?))
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let client = Client::connect(url)?;
    let mut floor = client.subscribe("buildings/hq/floor-2/#")?;
    for (room, reading) in [("Big Lab", "21.5"), ("Kitchen", "23.0"), ("evil/+/room", "0")] {
        match topic("HQ", 2, room, "temperature") {
            Ok(topic) => drop(client.publish(Publish::new(topic, reading))?),
            Err(error) => println!("{error}"),
        }
    }
    for message in floor.by_ref().take(2) {
        println!("{}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
    }
    Ok(client.close()?)
}
