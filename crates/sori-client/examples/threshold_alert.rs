//! One alert when a room becomes hotter than 30 °C, one all-clear below 28 °C, and nothing in between: a reading that
//! trembles around the limit makes no noise. `MQTT_URL=mqtt://host cargo run --example threshold_alert`

use std::collections::HashSet;

use sori_client::{Publish, blocking::Client};

const ALERT_ABOVE: f64 = 30.0;
const CLEAR_BELOW: f64 = 28.0;

pub(crate) fn main() -> Result<(), sori_client::Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let client = Client::connect(url)?;
    let mut hot: HashSet<String> = HashSet::new();
    let readings = client.subscribe("sensors/+/temperature")?;
    println!("watching");
    for message in readings {
        let Some(room) = message.topic().split('/').nth(1) else { continue };
        let Some(celsius) = message.text().ok().and_then(|text| text.parse::<f64>().ok()) else { continue };
        let alert = if celsius > ALERT_ABOVE && hot.insert(room.to_owned()) {
            format!("hot: {celsius} °C")
        } else if celsius < CLEAR_BELOW && hot.remove(room) {
            format!("fine again: {celsius} °C")
        } else {
            continue;
        };
        println!("{room} {alert}");
        client.publish(Publish::new(format!("alerts/{room}"), alert).retain(true))?;
    }
    Ok(())
}
