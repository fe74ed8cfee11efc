//! Whatever a program does with its streams and handles, nothing stands still.

use std::time::Duration;

use sori_client::{Client, Error, Options, Overflow, Publish, QoS, State, Subscribe, Version, WhenFull};

use super::brokers::{Broker, options, soon};
use super::proxy::Proxy;

async fn connect(options: Options) -> Client {
    soon("connecting", Client::connect(options)).await.expect("is let in")
}

fn with(broker: &Broker) -> Options {
    broker.options(Version::V5)
}

#[tokio::test]
async fn a_handler_publishes_and_waits_while_its_own_queue_is_full() {
    let broker = Broker::sori();
    let (client, other) = (connect(with(&broker)).await, connect(with(&broker)).await);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let subscribe = Subscribe::new("in").qos(qos).queue(1, Overflow::Wait);
        let mut stream = soon("subscribing", client.subscribe(subscribe)).await.expect("granted");
        for number in 0..500 {
            soon("a receipt", other.publish(Publish::new("in", number.to_string()).qos(qos))).await.expect("taken");
        }
        for _ in 0..500 {
            let message = soon("a message", stream.next()).await.expect("there is one");
            let answer = Publish::new("out", message.payload()).qos(QoS::ExactlyOnce);
            soon("a receipt", client.publish(answer)).await.expect("taken");
        }
        assert_eq!(stream.dropped(), 0);
    }
}

#[tokio::test]
async fn a_stream_that_nobody_reads_keeps_nothing_from_the_others() {
    let broker = Broker::sori();
    let (client, other) = (connect(with(&broker)).await, connect(with(&broker)).await);
    let unread = Subscribe::new("unread").queue(1, Overflow::Wait);
    let unread = soon("subscribing", client.subscribe(unread)).await.expect("granted");
    let mut read = soon("subscribing", client.subscribe("read")).await.expect("granted");
    for number in 0..300 {
        soon("a receipt", other.publish(Publish::new("unread", vec![0; 1_000]))).await.expect("taken");
        soon("a receipt", other.publish(Publish::new("read", number.to_string()))).await.expect("taken");
    }
    for number in 0..300 {
        let message = soon("a message", read.next()).await.expect("there is one");
        assert_eq!(message.text(), Ok(number.to_string().as_str()));
    }
    drop(unread);
    soon("closing", client.close()).await.expect("nothing waits");
}

#[tokio::test]
async fn a_reader_that_is_slow_gets_everything_and_costs_no_more_than_its_queue() {
    let broker = Broker::sori();
    let (client, other) = (connect(with(&broker)).await, connect(with(&broker)).await);
    let subscribe = Subscribe::new("fast").queue(10, Overflow::Wait);
    let mut stream = soon("subscribing", client.subscribe(subscribe)).await.expect("granted");
    for number in 0..2_000 {
        let publish = Publish::new("fast", format!("{number:>1000}"));
        drop(soon("room", other.send(publish)).await.expect("accepted"));
    }
    for number in 0..2_000_u32 {
        let message = soon("a message", stream.next()).await.expect("there is one");
        assert_eq!(message.text().expect("is text").trim().parse(), Ok(number));
    }
    assert_eq!(stream.dropped(), 0);
}

#[tokio::test]
async fn queues_drop_as_they_were_told_and_count() {
    let broker = Broker::sori();
    let client = connect(with(&broker)).await;
    let make = |overflow| Subscribe::new("many").queue(3, overflow);
    let mut oldest = soon("subscribing", client.subscribe(make(Overflow::DropOldest))).await.expect("granted");
    let mut newest = soon("subscribing", client.subscribe(make(Overflow::DropNewest))).await.expect("granted");
    let mut last = soon("subscribing", client.subscribe("last")).await.expect("granted");
    for number in 0..10 {
        soon("a receipt", client.publish(Publish::new("many", number.to_string()))).await.expect("taken");
    }
    soon("a receipt", client.publish(Publish::new("last", ""))).await.expect("taken");
    soon("the last one", last.next()).await.expect("there is one");
    for (stream, expected) in [(&mut oldest, ["7", "8", "9"]), (&mut newest, ["0", "1", "2"])] {
        for text in expected {
            assert_eq!(soon("a message", stream.next()).await.expect("there is one").text(), Ok(text));
        }
        assert_eq!(stream.dropped(), 7);
    }
}

#[tokio::test]
async fn a_full_outgoing_queue_waits_refuses_or_drops() {
    let broker = Broker::sori();
    let proxy = Proxy::to(broker.port).await;
    let bounded = |when_full| options(&proxy.url()).queue_bytes_max(10_000, when_full);
    let kilobyte = || Publish::new("t", vec![0; 1_000]);

    let client = Client::start(options("mqtt://127.0.0.1:1").queue_bytes_max(10_000, WhenFull::Refuse)).expect("legal");
    let accepted = (0..20).map_while(|_| client.try_publish(kilobyte()).ok()).count();
    assert!((5..10).contains(&accepted), "{accepted}");
    assert!(matches!(soon("refusing", client.send(kilobyte())).await, Err(Error::QueueFull)));
    assert!(matches!(client.try_publish(Publish::new("t", vec![0; 20_000])), Err(Error::QueueFull)));

    let client =
        Client::start(options("mqtt://127.0.0.1:1").queue_bytes_max(10_000, WhenFull::DropOldest)).expect("legal");
    let first = client.try_publish(kilobyte()).expect("accepted");
    for _ in 0..20 {
        drop(client.try_publish(kilobyte()).expect("accepted"));
    }
    assert!(matches!(soon("dropping", first).await, Err(Error::Dropped)));

    let client = connect(bounded(WhenFull::Wait)).await;
    for _ in 0..200 {
        drop(soon("room", client.send(kilobyte())).await.expect("accepted"));
    }
    assert!(matches!(
        client.try_publish(Publish::new("t", vec![0; 20_000])),
        Err(Error::TooLargeForQueue(10_000) | Error::QueueFull)
    ));
    soon("closing", client.close()).await.expect("nothing waits");
}

#[tokio::test]
async fn handles_may_go_at_any_time() {
    let broker = Broker::sori();
    let client = connect(with(&broker)).await;
    let mut stream = soon("subscribing", connect(with(&broker)).await.subscribe("t")).await.expect("granted");
    // The client of the stream has no handle but the stream.
    soon("a receipt", client.publish(Publish::new("t", "hello"))).await.expect("taken");
    assert_eq!(soon("a message", stream.next()).await.expect("there is one").text(), Ok("hello"));
    drop(stream);
    // What was published is delivered although nobody waits for it.
    let mut seen = soon("subscribing", client.subscribe("late")).await.expect("granted");
    let brief = connect(with(&broker)).await;
    for number in 0..100 {
        drop(brief.try_publish(Publish::new("late", number.to_string())).expect("room"));
    }
    drop(brief);
    for number in 0..100 {
        let message = soon("a message", seen.next()).await.expect("there is one");
        assert_eq!(message.text(), Ok(number.to_string().as_str()));
    }
    // A future that is given up leaves nothing behind.
    for _ in 0..100 {
        let _ = tokio::time::timeout(Duration::ZERO, client.publish(Publish::new("t", ""))).await;
        let _ = tokio::time::timeout(Duration::ZERO, client.subscribe("t")).await;
        let _ = tokio::time::timeout(Duration::ZERO, client.request(("nobody", ""), Duration::from_secs(60))).await;
        let _ = tokio::time::timeout(Duration::ZERO, seen.next()).await;
    }
    let clone = client.clone();
    soon("closing", client.close()).await.expect("nothing waits");
    assert!(matches!(soon("an error", clone.publish(("t", ""))).await, Err(Error::Closed(None))));
    assert!(matches!(soon("an error", clone.subscribe("t")).await, Err(Error::Closed(None))));
}

#[tokio::test]
async fn states_tell_of_a_loss_and_subscriptions_are_made_again() {
    let mut broker = Broker::sori();
    let client = connect(with(&broker)).await;
    let mut states = client.states();
    assert!(matches!(soon("a state", states.next()).await, Some(State::Connected { .. })));
    let mut stream = soon("subscribing", client.subscribe("t")).await.expect("granted");
    let broker = tokio::task::spawn_blocking(move || {
        broker.kill_and_restart();
        broker
    });
    let _broker = soon("a restart", broker).await.expect("does not panic");
    assert!(matches!(soon("a state", states.next()).await, Some(State::Disconnected { .. })));
    loop {
        match soon("a state", states.next()).await.expect("goes on") {
            State::Connected { .. } => break,
            State::Disconnected { error, .. } => assert!(error.is_retryable(), "{error}"),
            _ => {}
        }
    }
    soon("a receipt", client.publish(Publish::new("t", "again"))).await.expect("taken");
    assert_eq!(soon("a message", stream.next()).await.expect("there is one").text(), Ok("again"));
    soon("closing", client.close()).await.expect("nothing waits");
    while let Some(state) = soon("the end", states.next()).await {
        if let State::Closed { error } = state {
            assert!(error.is_none());
        }
    }
}

#[test]
fn a_runtime_that_ends_takes_the_client_with_it_and_nobody_waits_for_ever() {
    let broker = Broker::sori();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("starts");
    let client = runtime.block_on(connect(with(&broker)));
    let mut stream = runtime.block_on(client.subscribe("t")).expect("granted");
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    other.block_on(async {
        assert!(soon("the end", stream.next()).await.is_none());
        let error = soon("an error", client.publish(("t", ""))).await.expect_err("is closed");
        assert!(error.to_string().contains("runtime"), "{error}");
    });
}

#[test]
fn the_client_needs_no_tokio_of_the_caller() {
    let broker = Broker::sori();
    let (sender, receiver) = std::sync::mpsc::channel();
    let options = with(&broker);
    // An executor of another kind: one that polls whenever it is woken.
    let thread = std::thread::spawn(move || {
        let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
        let mut cx = std::task::Context::from_waker(&waker);
        let mut work = std::pin::pin!(async {
            let client = Client::connect(options).await?;
            let mut stream = client.subscribe("t").await?;
            client.publish(("t", "hello")).await?;
            let message = stream.next().await;
            client.close().await?;
            Ok::<_, Error>(message.map(|message| message.payload().to_vec()))
        });
        let result = loop {
            match work.as_mut().poll(&mut cx) {
                std::task::Poll::Ready(result) => break result,
                std::task::Poll::Pending => std::thread::park(),
            }
        };
        sender.send(result).expect("somebody waits");
    });
    let result = receiver.recv_timeout(super::brokers::PATIENCE).expect("it comes to its end");
    assert_eq!(result.expect("all goes well"), Some(b"hello".to_vec()));
    thread.join().expect("does not panic");
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}
