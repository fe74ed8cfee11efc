//! Keep Alive by a real clock.

use std::time::{Duration, Instant};

use sori_mqtt::{Connect, Version};

use super::broker::Broker;
use super::client::{Client, Received, hello};

// covers: [MQTT311-3.1.2-24]
#[test]
fn mqtt5_3_1_2_22_silent_clients_are_closed_within_a_second_of_one_and_a_half_keep_alives() {
    let broker = Broker::start("");
    let mut clients = Vec::new();
    for (seconds, version) in [(1, Version::V5), (1, Version::V311), (2, Version::V5), (2, Version::V31)] {
        let name = format!("silent {}", clients.len());
        let connect = Connect { keep_alive: seconds, version, ..hello(&name) };
        let began = Instant::now();
        clients.push((Client::connect_with(broker.port, &connect).0, version, seconds, began));
    }
    let mut patient = Client::connect(broker.port, "no keep alive");
    for (mut client, version, seconds, began) in clients {
        let limit = Duration::from_millis(u64::from(seconds) * 1500);
        if version == Version::V5 {
            assert_eq!(client.receive(), Received::Disconnect(0x8D));
        }
        assert_eq!(client.receive(), Received::End);
        let elapsed = began.elapsed();
        eprintln!("Keep Alive {seconds}: closed after {elapsed:?}");
        assert!(elapsed >= limit && elapsed < limit + Duration::from_secs(1), "Keep Alive {seconds}: {elapsed:?}");
    }
    patient.expect_alive();
}
