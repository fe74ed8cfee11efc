//! What clients see of the broker in memory, in time that jumps.

use sori_mqtt::{QoS, Version};

use super::*;
use crate::{Options, Publish, State, Subscribe, blocking};

/// Longer than any test takes, while hours pass in it.
const REAL_TIME_MAX: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn messages_of_each_qos_and_version_arrive() {
    for version in [Version::V5, Version::V311] {
        let broker = TestBroker::new();
        let client = Client::connect(broker.options().version(version)).await.expect("is let in");
        let mut messages = client.subscribe(Subscribe::new("a/#").qos(QoS::ExactlyOnce)).await.expect("granted");
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client.publish(Publish::new("a/b", vec![7; 200_000]).qos(qos)).await.expect("taken");
            let message = messages.next().await.expect("is open");
            assert_eq!((message.qos(), message.payload().len()), (qos, 200_000));
        }
        assert_eq!(broker.connections(), 1);
        client.close().await.expect("nothing waits");
        drop(messages);
        tokio::task::yield_now().await;
        assert_eq!(broker.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_passes_in_no_time() {
    let real = std::time::Instant::now();
    let broker = TestBroker::new();
    let watcher = broker.client("watcher").await.expect("is let in");
    let mut wills = watcher.subscribe("will").await.expect("granted");
    let delay = sori_mqtt::Property::WillDelayInterval(86_400);
    let will = Publish::new("will", "gone").property(delay);
    let options = broker.options().client_id("device").will(will).session_expiry(Duration::from_secs(100_000));
    let device = Client::connect(options).await.expect("is let in");
    // It breaks and does not come back.
    broker.set_down(true);
    drop(device);
    broker.set_down(false);
    let before = Instant::now();
    assert_eq!(wills.next().await.expect("is open").text(), Ok("gone"));
    let waited = before.elapsed();
    assert!((86_000..87_000).contains(&waited.as_secs()), "{waited:?}");
    assert!(real.elapsed() < REAL_TIME_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_loses_nothing() {
    let broker = TestBroker::new();
    let publisher = broker.client("publisher").await.expect("is let in");
    let subscriber = broker.client("subscriber").await.expect("is let in");
    let mut messages = subscriber.subscribe(Subscribe::new("n").qos(QoS::ExactlyOnce)).await.expect("granted");
    let mut deliveries = Vec::new();
    for number in 0..100 {
        let publish = Publish::new("n", number.to_string()).qos(QoS::ExactlyOnce);
        deliveries.push(publisher.send(publish).await.expect("accepted"));
        if number % 10 == 0 {
            broker.cut();
        }
        if number == 55 {
            broker.set_down(true);
            tokio::time::sleep(Duration::from_secs(3)).await;
            broker.set_down(false);
        }
    }
    for delivery in deliveries {
        delivery.await.expect("taken");
    }
    for number in 0..100 {
        assert_eq!(messages.next().await.expect("is open").text(), Ok(number.to_string().as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_down_is_tried_again() {
    let broker = TestBroker::new();
    broker.set_down(true);
    assert!(matches!(broker.client("one").await, Err(Error::Unreachable(..))));
    let client = Client::start(broker.options()).expect("legal");
    let mut states = client.states();
    loop {
        match states.next().await.expect("goes on") {
            State::Disconnected { .. } => broker.set_down(false),
            State::Connected { .. } => break,
            _ => {}
        }
    }
}

#[test]
fn the_blocking_client_meets_it_in_real_time() {
    let broker = TestBroker::new();
    let options: Options = broker.options();
    let client = blocking::Client::connect(options).expect("is let in");
    let mut messages = client.subscribe("t").expect("granted");
    client.publish(("t", "x")).expect("taken");
    assert_eq!(messages.next().expect("is open").text(), Ok("x"));
}
