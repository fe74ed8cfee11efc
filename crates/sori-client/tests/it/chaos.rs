//! Streams of messages over a network that breaks again and again: nothing is lost, and nothing with QoS 2 comes twice.
//!
//! `SORI_CHAOS_MESSAGES=100000 SORI_CHAOS_CUTS=1000` is the full size; a small one runs each time.

use std::collections::BTreeMap;
use std::time::Duration;

use sori_client::{Client, Options, Publish, QoS, Subscribe, Version};

use super::brokers::{Broker, Kind, PATIENCE, options};
use super::proxy::Proxy;

/// A number that the environment may set.
pub(crate) fn size(name: &str, small: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(small)
}

/// How often each number came.
type Counts = BTreeMap<usize, usize>;

/// Options of a client whose session is kept, through a proxy.
fn kept(proxy: &Proxy, name: &str, version: Version) -> Options {
    let options = options(&proxy.url()).version(version).client_id(name).clean_start(false);
    options.session_expiry(Duration::from_secs(3_600)).queue_bytes_max(256 << 10, sori_client::WhenFull::Wait)
}

/// Publishes numbers with this QoS over one breaking connection, receives them over another. Gives how often each came.
async fn run(broker: &Broker, version: Version, qos: QoS, messages: usize, cuts: usize) -> Counts {
    let (out, back) = (Proxy::to(broker.port).await, Proxy::to(broker.port).await);
    let publisher = Client::connect(kept(&out, "publisher", version)).await.expect("is let in");
    let subscriber = Client::connect(kept(&back, "subscriber", version)).await.expect("is let in");
    let mut stream = subscriber.subscribe(Subscribe::new("n").qos(qos)).await.expect("granted");

    let receiving = tokio::spawn(async move {
        let mut counts = Counts::new();
        // The last number comes behind all others, and what comes twice does so within a moment.
        let mut wait = PATIENCE;
        while let Ok(message) = tokio::time::timeout(wait, stream.next()).await {
            let message = message.expect("the stream goes on");
            let number = message.text().expect("is text").parse().expect("is a number");
            *counts.entry(number).or_default() += 1;
            if number == messages - 1 {
                wait = Duration::from_millis(300);
            }
        }
        counts
    });
    let cutting = async {
        for number in 0..cuts {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if number % 2 == 0 { out.cut() } else { back.cut() }
        }
    };
    let publishing = async {
        let mut deliveries = Vec::new();
        for number in 0..messages {
            let publish = Publish::new("n", number.to_string()).qos(qos);
            deliveries.push(publisher.send(publish).await.expect("accepted"));
            if number % 50 == 0 {
                // The stream is to last as long as the cuts do.
                tokio::time::sleep(Duration::from_millis((cuts * 20 * 50 / messages.max(1)) as u64)).await;
            }
            if deliveries.len() > 500 {
                for delivery in deliveries.drain(..) {
                    delivery.await.expect("acknowledged");
                }
            }
        }
        for delivery in deliveries {
            delivery.await.expect("acknowledged");
        }
    };
    tokio::join!(publishing, cutting);
    let counts = receiving.await.expect("does not panic");
    assert!(out.connections() > cuts / 8 && back.connections() > cuts / 8, "the network did break");
    publisher.close().await.expect("nothing waits");
    subscriber.close().await.expect("nothing waits");
    counts
}

fn check(kind: Kind, version: Version) {
    let (messages, cuts) = (size("SORI_CHAOS_MESSAGES", 2_000), size("SORI_CHAOS_CUTS", 20));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let Some(broker) = Broker::start(kind) else {
            println!("{kind:?} is not installed");
            return;
        };
        let counts = runtime.block_on(run(&broker, version, qos, messages, cuts));
        let lost: Vec<usize> = (0..messages).filter(|number| !counts.contains_key(number)).collect();
        let doubled: Vec<&usize> = counts.iter().filter(|(_, count)| **count > 1).map(|(number, _)| number).collect();
        println!("{kind:?} {version:?} {qos:?}: {} lost, {} doubled", lost.len(), doubled.len());
        assert!(lost.is_empty(), "lost {lost:?}");
        assert!(qos == QoS::AtLeastOnce || doubled.is_empty(), "doubled {doubled:?}");
    }
}

#[test]
fn nothing_is_lost_nor_doubled_against_sori_with_5() {
    check(Kind::Sori, Version::V5);
}

#[test]
fn nothing_is_lost_nor_doubled_against_sori_with_311() {
    check(Kind::Sori, Version::V311);
}

#[test]
fn nothing_is_lost_nor_doubled_against_mosquitto_with_5() {
    check(Kind::Mosquitto, Version::V5);
}

/// The broker is killed in the middle: what it has acknowledged it still has, and the client brings the rest.
#[test]
fn a_killed_broker_loses_nothing() {
    let mut broker = Broker::sori();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
    let url = broker.url();
    let name = |name: &str| options(&url).client_id(name).clean_start(false);
    let clients = async {
        let publisher = Client::connect(name("p")).await.expect("is let in");
        let subscriber = Client::connect(name("s")).await.expect("is let in");
        let stream = subscriber.subscribe(Subscribe::new("n").qos(QoS::ExactlyOnce)).await.expect("granted");
        (publisher, subscriber, stream)
    };
    let (publisher, _subscriber, mut stream) = runtime.block_on(clients);
    let mut deliveries = Vec::new();
    for number in 0..300 {
        if number == 150 {
            broker.kill_and_restart();
        }
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
        let publish = Publish::new("n", number.to_string()).qos(qos);
        deliveries.push(runtime.block_on(publisher.send(publish)).expect("accepted"));
    }
    let mut counts = Counts::new();
    runtime.block_on(super::brokers::soon("300 receipts and messages", async {
        for delivery in deliveries {
            delivery.await.expect("acknowledged");
        }
        while counts.len() < 300 {
            let message = stream.next().await.expect("the stream goes on");
            *counts.entry(message.text().expect("is text").parse().expect("is a number")).or_default() += 1;
        }
    }));
    assert!(counts.iter().all(|(number, count)| number % 2 == 0 || *count == 1), "{counts:?}");
}
