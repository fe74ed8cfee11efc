//! A client that ends here and comes back by another shard does not overtake its own messages.

use crate::explore::{Thread, explore, explore_with, spawn};
use crate::packets::{DISCONNECT, connect, publish, subscribe};
use crate::worker::{Worker, finish, workers};
use sori_mqtt::QoS;

/// The publisher is at home on the first shard; a subscriber lives on the last.
fn settled<const COUNT: usize>() -> [Worker; COUNT] {
    let mut all = workers();
    all[0].connect("old", &[&connect("p", true)]);
    all[COUNT - 1].connect("s", &[&connect("s", true), &subscribe("t", QoS::AtMostOnce)]);
    all
}

/// The last message and the end of the session come in one turn.
fn end(mut worker: Worker) -> Worker {
    worker.receive("old", &[&publish("t", "1"), &DISCONNECT]);
    worker.turn();
    worker
}

/// The client is back, and publishes without waiting for CONNACK.
fn come_back(mut worker: Worker, client: &'static str, payload: &str) -> Worker {
    worker.connect(client, &[&connect("p", true), &publish("t", payload)]);
    worker.turn();
    worker
}

pub fn messages_of_a_session_that_ended_come_before_those_of_the_next() {
    explore(|| {
        let [a, b, s] = settled();
        let threads = [spawn(|| end(a)), spawn(|| come_back(b, "new", "2"))];
        let [a, b] = threads.map(Thread::join);
        let mut all = [a, b, s];
        finish(&mut all);
        assert_eq!(all[2].messages("s"), ["1", "2"]);
    });
}

pub fn the_same_when_the_client_comes_back_by_two_shards() {
    explore_with(Some(3), || {
        let [a, b, c, s] = settled();
        let threads = [spawn(|| end(a)), spawn(|| come_back(b, "new", "2")), spawn(|| come_back(c, "newer", "3"))];
        let [a, b, c] = threads.map(Thread::join);
        let mut all = [a, b, c, s];
        finish(&mut all);
        let got = all[3].messages("s");
        // One of the two may have been taken over before its message was looked at.
        let fine = [&["1", "2", "3"][..], &["1", "3", "2"], &["1", "2"], &["1", "3"]];
        assert!(fine.iter().any(|fine| got == **fine), "{got:?}");
    });
}
