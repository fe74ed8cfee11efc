//! Tells others when this device is gone, however it goes: `MQTT_URL=mqtt://host cargo run --example last_will`

use std::time::Duration;

use sori_client::{Options, Publish, blocking::Client};

pub(crate) fn main() -> Result<(), sori_client::Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let status = |text| Publish::new("devices/thermometer-7/status", text).retain(true);
    // The server publishes the will when the connection is lost, or nothing is heard for one and a half keep alives.
    let options = Options::new(&url)?
        .client_id("thermometer-7")
        .will(status("offline"))
        .keep_alive(Duration::from_secs(20))
        .session_expiry(Duration::ZERO);
    let client = Client::connect(options)?;
    // Retained, so that whoever comes later knows, too.
    client.publish(status("online"))?;
    println!("online; press Enter to leave");
    let _ = std::io::stdin().read_line(&mut String::new());
    // After a good-bye the server forgets the will, so it is said in other words.
    client.publish(status("offline (on purpose)"))?;
    client.close()
}
