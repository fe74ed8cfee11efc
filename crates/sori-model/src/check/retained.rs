//! A subscription and a retained message that meet: the subscriber gets the value once, from the store or live, and no
//! older value after a newer one.

use crate::explore::{explore, explore_with, spawn};
use crate::packets::{connect, publish, retain, subscribe};
use crate::worker::{Worker, finish, workers};
use sori_mqtt::QoS;

/// A subscriber and a publisher on a shard each. The publisher has published `stored` as a retained message, and has
/// found out who gets messages of the topic, if `remembers`.
fn connected(stored: Option<&str>, remembers: bool) -> [Worker; 2] {
    let [mut a, mut b] = workers();
    a.connect("s", &[&connect("s", true)]);
    b.connect("p", &[&connect("p", true)]);
    if let Some(value) = stored {
        b.receive("p", &[&retain("t", value)]);
    }
    if remembers {
        b.receive("p", &[&publish("t", "before")]);
    }
    [a, b]
}

/// The subscriber subscribes while the publisher publishes all of `published`. Gives what the subscriber got.
fn race(workers: [Worker; 2], published: &[Vec<u8>]) -> Vec<String> {
    let [mut a, mut b] = workers;
    let published = published.concat();
    let subscriber = spawn(move || {
        a.receive("s", &[&subscribe("t", QoS::AtMostOnce)]);
        a.turn();
        a
    });
    let publisher = spawn(move || {
        b.receive("p", &[&published]);
        b
    });
    let mut both = [subscriber.join(), publisher.join()];
    finish(&mut both);
    both[0].messages("s")
}

fn assert_once(got: &[String]) {
    assert!(got == ["1"] || got == ["1 retained"], "instead of one copy: {got:?}");
}

pub fn the_first_value_comes_once() {
    explore(|| assert_once(&race(connected(None, false), &[retain("t", "1")])));
}

pub fn the_first_value_comes_once_when_the_publisher_remembers_that_nobody_subscribes() {
    explore(|| assert_once(&race(connected(None, true), &[retain("t", "1")])));
}

/// Nothing is missed from where it begins, nothing comes twice, nothing goes back.
fn assert_in_order(got: &[String], values: [&str; 3]) {
    let bare: Vec<&str> = got.iter().map(|text| text.trim_end_matches(" retained")).collect();
    let from = values.len() - bare.len();
    assert_eq!(bare, values[from..], "{got:?}");
    assert!(!got.is_empty() && got.iter().skip(1).all(|text| !text.ends_with("retained")), "{got:?}");
}

pub fn of_several_values_none_is_missed_or_out_of_order() {
    for remembers in [false, true] {
        explore(move || {
            let got = race(connected(Some("0"), remembers), &[retain("t", "1"), retain("t", "2")]);
            assert_in_order(&got, ["0", "1", "2"]);
        });
    }
}

pub fn a_removed_value_is_not_seen_after_its_removal() {
    explore(|| {
        let got = race(connected(Some("0"), true), &[retain("t", "")]);
        let fine: [&[&str]; 3] = [&["0 retained", ""], &[""], &[]];
        assert!(fine.iter().any(|fine| got == *fine), "{got:?}");
    });
}

pub fn subscribing_again_misses_no_live_value() {
    explore(|| {
        let mut both = connected(Some("0"), false);
        both[0].receive("s", &[&subscribe("t", QoS::AtMostOnce)]);
        assert_eq!(both[0].messages("s"), ["0 retained"]);
        let got = race(both, &[retain("t", "1")]);
        // The store is read again, which may find the old value or the new one; the live message comes in any case.
        assert!(got.contains(&String::from("1")), "{got:?}");
        assert!(got.iter().filter(|text| !text.ends_with("retained")).count() == 1, "{got:?}");
        assert!(got.last().is_some_and(|last| last.starts_with('1')), "an old value came last: {got:?}");
    });
}

pub fn of_two_publishers_the_value_that_stays_has_been_received() {
    explore_with(Some(2), || {
        let [mut a, mut b, mut c] = workers();
        a.connect("s", &[&connect("s", true)]);
        b.connect("p", &[&connect("p", true), &publish("t", "before")]);
        c.connect("q", &[&connect("q", true), &publish("t", "before")]);
        let threads = [
            spawn(move || {
                a.receive("s", &[&subscribe("t", QoS::AtMostOnce)]);
                a.turn();
                a
            }),
            spawn(move || {
                b.receive("p", &[&retain("t", "1")]);
                b
            }),
            spawn(move || {
                c.receive("q", &[&retain("t", "2")]);
                c
            }),
        ];
        let mut all = threads.map(crate::explore::Thread::join);
        finish(&mut all);
        let got = all[0].messages("s");
        all[1].connect("late", &[&connect("late", true), &subscribe("t", QoS::AtMostOnce)]);
        let stays = all[1].messages("late");
        let [stays] = &*stays else { panic!("one value stays: {stays:?}") };
        let bare = |text: &String| text.trim_end_matches(" retained").to_owned();
        let mut values: Vec<String> = got.iter().map(bare).collect();
        assert!(values.contains(&bare(stays)), "{got:?} without {stays}");
        values.sort();
        values.dedup();
        assert_eq!(values.len(), got.len(), "a value came twice: {got:?}");
    });
}
