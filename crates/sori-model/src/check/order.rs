//! A client that ends here and comes back by another shard does not overtake its own messages.

use crate::explore::{Thread, explore, explore_with, spawn};
use crate::packets::{DISCONNECT, connect, publish, subscribe};
use crate::worker::{Worker, finish, workers};
use sori_mqtt::QoS;

/// The publisher is at home on the first shard; a subscriber lives on the last.
fn settled(is_taken_over: bool) -> [Worker; 3] {
    let [mut a, b, mut c] = workers();
    c.connect("s", &[&connect("s", true), &subscribe("t", QoS::AtMostOnce)]);
    a.connect("old", &[&connect("p", is_taken_over)]);
    [a, b, c]
}

fn assert_order(mut all: [Worker; 3]) {
    finish(&mut all);
    assert_eq!(all[2].messages("s"), ["1", "2"]);
}

pub fn messages_of_a_session_that_ended_come_before_those_of_the_next() {
    explore(|| {
        let [mut a, mut b, c] = settled(true);
        let threads = [
            spawn(move || {
                // Both come in one turn: the message, and the end of the session.
                a.receive("old", &[&publish("t", "1"), &DISCONNECT]);
                a.turn();
                a
            }),
            spawn(move || {
                // The client comes back elsewhere, as soon as it has sent the former: it can be read later than this.
                b.turn();
                b
            }),
        ];
        let [a, mut b] = threads.map(Thread::join);
        b.connect("new", &[&connect("p", true), &publish("t", "2")]);
        assert_order([a, b, c]);
    });
}

pub fn a_shard_that_finds_the_client_id_free_posts_after_the_one_that_freed_it() {
    explore_with(None, || {
        let [mut a, mut b, c] = settled(true);
        let threads = [
            spawn(move || {
                a.receive("old", &[&publish("t", "1"), &DISCONNECT]);
                a.turn();
                a
            }),
            spawn(move || {
                b.connect("new", &[&connect("p", true), &publish("t", "2")]);
                b.turn();
                b
            }),
        ];
        let [a, b] = threads.map(Thread::join);
        assert_order([a, b, c]);
    });
}
