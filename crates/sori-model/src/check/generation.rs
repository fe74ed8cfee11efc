//! A shard remembers who gets the messages of a topic. Once a change of a subscription has been answered, no shard goes
//! by what it remembers from before.

use crate::explore::{explore, spawn};
use crate::packets::{connect, publish, subscribe, unsubscribe};
use crate::sync::{AtomicUsize, Ordering};
use crate::worker::{Worker, finish, workers};
use sori_mqtt::QoS;
use std::sync::Arc;

/// A subscriber on one shard and a publisher on another one, which remembers that `t` matches nobody, or the subscriber.
fn remembering(is_subscribed: bool) -> [Worker; 2] {
    let [mut a, mut b] = workers();
    a.connect("s", &[&connect("s", true)]);
    b.connect("p", &[&connect("p", true)]);
    if is_subscribed {
        a.receive("s", &[&subscribe("t", QoS::AtMostOnce)]);
    }
    b.receive("p", &[&publish("t", "before")]);
    let mut both = [a, b];
    finish(&mut both);
    assert_eq!(both[0].messages("s").len(), usize::from(is_subscribed));
    both
}

/// The subscriber sends `change`; when the publisher sees that it has been answered, it gets `expected` messages of one.
fn once_answered(is_subscribed: bool, change: &'static [u8], expected: usize) {
    explore(move || {
        let [mut a, mut b] = remembering(is_subscribed);
        let answered = Arc::new(AtomicUsize::new(0));
        let news = Arc::clone(&answered);
        let subscriber = spawn(move || {
            a.receive("s", &[change]);
            // The answer is on the wire, and who reads it may tell others.
            answered.store(1, Ordering::Release);
            a
        });
        let publisher = spawn(move || {
            let is_answered = news.load(Ordering::Acquire) == 1;
            b.receive("p", &[&publish("t", "1")]);
            (b, is_answered)
        });
        let a = subscriber.join();
        let (b, is_answered) = publisher.join();
        let mut both = [a, b];
        finish(&mut both);
        let got = both[0].messages("s").len();
        assert!(got <= 1);
        assert!(!is_answered || got == expected, "it went by an old match set");
        // Whatever happened meanwhile: now there is nothing old left.
        both[1].receive("p", &[&publish("t", "2")]);
        finish(&mut both);
        assert_eq!(both[0].messages("s").len(), expected, "an old match set stayed");
    });
}

pub fn who_publishes_after_suback_reaches_the_subscriber() {
    let change = Box::leak(subscribe("t", QoS::AtMostOnce).into_boxed_slice());
    once_answered(false, change, 1);
}

pub fn who_publishes_after_unsuback_does_not_reach_the_subscriber() {
    let change = Box::leak(unsubscribe("t").into_boxed_slice());
    once_answered(true, change, 0);
}
