//! Appends every message to a CSV file: seconds since 1970, topic, payload. A message is acknowledged when it is in the file:
//! `MQTT_URL=mqtt://host CSV=readings.csv cargo run --example csv_logger`

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use sori_client::{Options, Subscribe, blocking::Client};

/// RFC 4180: in quotes, and quotes twice.
fn field(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let path = std::env::var("CSV").unwrap_or("readings.csv".into());
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    // The session waits at the server while this program is not there.
    let client = Client::connect(Options::new(&url)?.client_id("csv-logger").clean_start(false))?;
    let messages = client.subscribe(Subscribe::new("sensors/#").manual_acks(true))?;
    println!("writing {path}");
    for mut message in messages {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let payload = String::from_utf8_lossy(message.payload());
        writeln!(file, "{seconds},{},{}", field(message.topic()), field(&payload))?;
        if let Some(ack) = message.take_ack() {
            ack.accept();
        }
    }
    Ok(())
}
