//! The router against a broker: what its handlers get, and what comes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sori_client::router::{Name, Router, Text};
use sori_client::{Client, Publish, Version, blocking};
use tokio::sync::mpsc;

use super::brokers::{Broker, Kind, PATIENCE, soon};

#[tokio::test]
async fn handlers_get_their_messages_in_order() {
    for (kind, version) in [(Kind::Sori, Version::V5), (Kind::Sori, Version::V311), (Kind::Mosquitto, Version::V5)] {
        let Some(broker) = Broker::start(kind) else { continue };
        let connect = || Client::connect(broker.options(version));
        let client = soon("connecting", connect()).await.expect("is let in");
        let (seen, mut told) = mpsc::unbounded_channel();
        let (one, two, three) = (seen.clone(), seen.clone(), seen);
        let router = Arc::new(
            Router::new()
                .route("sensors/{room}/temperature", move |Name(room): Name, Text(text)| {
                    let one = one.clone();
                    async move { one.send(format!("1 {room} {text}")) }
                })
                .route_blocking("sensors/{room}/{what}", move |Name(room): Name, Name(what): Name, Text(text)| {
                    two.send(format!("2 {room} {what} {text}"))
                })
                .route("{all..}", move |Name(all): Name| {
                    let _ = three.send(format!("3 {all}"));
                    async {}
                }),
        );
        let running = tokio::spawn({
            let (router, client) = (Arc::clone(&router), client.clone());
            async move { router.run(&client).await }
        });
        // It has subscribed when the first message comes through; others before that are nobody's.
        while told.is_empty() {
            soon("a receipt", client.publish(("begin", ""))).await.expect("taken");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (topic, text) in [("sensors/a/temperature", "x"), ("sensors/b/humidity", "y"), ("sensors/c", "z")] {
            soon("a receipt", client.publish((topic, text))).await.expect("taken");
        }
        let mut next = async || loop {
            let text: String = soon("a message", told.recv()).await.expect("runs");
            if text != "3 begin" {
                return text;
            }
        };
        assert_eq!(next().await, "1 a x");
        assert_eq!(next().await, "2 b humidity y");
        assert_eq!(next().await, "3 sensors/c");
        soon("closing", client.close()).await.expect("nothing waits");
        soon("the end", running).await.expect("no panic").expect("was closed");
        assert_eq!((router.failed(), router.unmatched()), (0, 0));
    }
}

#[test]
fn a_message_whose_handler_failed_comes_again_after_a_reconnect() {
    let broker = Broker::sori();
    let options = || broker.options(Version::V5).client_id("worker").clean_start(false).session_expiry(PATIENCE);
    let client = blocking::Client::connect(options()).expect("is let in");
    // The session has the subscription before anything is published.
    drop(client.subscribe("jobs/#").expect("granted"));
    client.publish(Publish::new("jobs/1", "")).expect("taken");
    client.publish(Publish::new("jobs/2", "")).expect("taken");
    client.close().expect("nothing waits");
    for fails in [true, false] {
        let client = blocking::Client::connect(options()).expect("is let in");
        let closer = std::sync::Mutex::new(Some(client.clone()));
        let seen = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&seen);
        let done = std::sync::mpsc::channel();
        let router = Router::new().acknowledge_when_handled(true).on_failure(|_| {}).route(
            "jobs/{number}",
            move |Name(number): Name<u32>| {
                let count = counted.fetch_add(1, Ordering::Relaxed) + 1;
                if count == 2 || !fails {
                    let _ = done.0.send(());
                }
                let failed = fails && number == 2;
                async move { if failed { Err("no tools") } else { Ok(()) } }
            },
        );
        let closing = std::thread::spawn(move || {
            done.1.recv_timeout(PATIENCE).expect("all messages came");
            // The last one is acknowledged in the meantime: closing waits for nothing that is not acknowledged.
            std::thread::sleep(Duration::from_millis(50));
            let client = closer.lock().expect("not poisoned").take().expect("is there");
            client.close().expect("nothing waits");
        });
        router.run_blocking(&client).expect("was closed");
        closing.join().expect("no panic");
        // Both at first; then the one that failed.
        let expected = if fails { (1, 1, 2) } else { (1, 0, 1) };
        assert_eq!((router.handled(), router.failed(), seen.load(Ordering::Relaxed)), expected);
    }
}
