//! TLS with a user name and a password:
//! `MQTT_URL=mqtts://host MQTT_CA=ca.pem MQTT_PASSWORD=secret cargo run --example tls_credentials --features tls`

use sori_client::{CertificateFault, Error, Options, Publish, Tls, blocking::Client};

pub(crate) fn main() -> Result<(), Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtts://localhost".into());
    let mut tls = Tls::new();
    if let Ok(ca) = std::env::var("MQTT_CA") {
        // Without this the authorities are trusted that this machine trusts.
        tls = tls.ca_file(ca);
    }
    let password = std::env::var("MQTT_PASSWORD").unwrap_or_default();
    let options = Options::new(&url)?.tls(tls).credentials("thermometer", password);
    let client = match Client::connect(options) {
        Err(Error::Certificate(server, CertificateFault::Expired, _)) => {
            println!("{server} needs a new certificate");
            return Ok(());
        }
        client => client?,
    };
    client.publish(Publish::new("sensors/kitchen/temperature", "21.5"))?;
    println!("published");
    client.close()
}
