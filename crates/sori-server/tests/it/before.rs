//! What came before a connection is heard before it, whichever thread hears the one and the other: programs that do one
//! thing after the other, over one connection after the other, count on it.

use sori_mqtt::{Publish, QoS, Version};

use super::broker::Broker;
use super::client::{Client, publish};

const ROUNDS: usize = 200;

#[test]
fn what_a_closed_connection_has_published_is_there_for_the_next_one() {
    let broker = Broker::start("threads 2\nconnection_messages false");
    // So much to do that a thread which does not wait is always too early.
    let mut burst = Vec::new();
    for _ in 0..2000 {
        publish("burst", b"something", QoS::AtMostOnce, 0).encode(Version::V5, &mut burst);
    }
    for round in 0..ROUNDS {
        let payload = round.to_string().into_bytes();
        let last = Publish { retain: true, ..publish("last", &payload, QoS::AtMostOnce, 0) };
        let mut bytes = burst.clone();
        last.encode(Version::V5, &mut bytes);
        let mut publisher = Client::connect(broker.port, "publisher");
        publisher.send(&bytes);
        drop(publisher);
        let mut subscriber = Client::connect(broker.port, "subscriber");
        subscriber.subscribe("last", QoS::AtMostOnce);
        assert_eq!(subscriber.message(), ("last".to_owned(), payload), "round {round}");
    }
}

#[test]
fn connections_that_were_closed_have_made_room_for_the_next_ones() {
    let broker = Broker::start("threads 2\nmax_connections 4\nconnection_messages false");
    for round in 0..ROUNDS {
        let clients: Vec<Client> = (0..4).map(|n| Client::connect(broker.port, &format!("{round} {n}"))).collect();
        drop(clients);
    }
}
