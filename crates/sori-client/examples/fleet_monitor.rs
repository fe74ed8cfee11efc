//! Which devices are there: a table of `devices/+/status`, as it changes:
//! `MQTT_URL=mqtt://host cargo run --example fleet_monitor`

use std::collections::BTreeMap;

use sori_client::blocking::Client;

pub(crate) fn main() -> Result<(), sori_client::Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let client = Client::connect(url)?;
    let mut fleet: BTreeMap<String, String> = BTreeMap::new();
    // Devices retain their status, and have it in their will: so this is complete from the beginning.
    for message in client.subscribe("devices/+/status")? {
        let Some(device) = message.topic().split('/').nth(1) else { continue };
        let status = String::from_utf8_lossy(message.payload()).into_owned();
        if status.is_empty() {
            // An empty retained message takes the device out of the fleet.
            fleet.remove(device);
        } else {
            fleet.insert(device.to_owned(), status);
        }
        let online = fleet.values().filter(|status| *status == "online").count();
        println!("{online} of {} devices online", fleet.len());
        for (device, status) in &fleet {
            println!("  {device:<20} {status}");
        }
    }
    Ok(())
}
