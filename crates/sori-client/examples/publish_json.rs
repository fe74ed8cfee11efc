//! Publishes a reading as JSON every five seconds: `MQTT_URL=mqtt://host cargo run --example publish_json`

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sori_client::{Publish, blocking::Client};

#[derive(Serialize)]
struct Reading {
    celsius: f64,
    seconds: u64,
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let client = Client::connect(url)?;
    loop {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        // A thermometer would be read here.
        let celsius = 20.0 + f64::from(u8::try_from(seconds % 50)?) / 10.0;
        let payload = serde_json::to_vec(&Reading { celsius, seconds })?;
        let reading = Publish::new("sensors/kitchen/temperature", payload).content_type("application/json");
        // With the receipt the server has it; while there is no connection this waits.
        client.publish(reading)?;
        println!("published {celsius} °C");
        sleep(Duration::from_secs(5));
    }
}
