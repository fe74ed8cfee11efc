//! Nothing that is put into an inbox is lost or overtaken, and no wake-up is missed.

use crate::explore::{explore, explore_with, spawn};
use crate::inbox::{Inbox, Letter};
use crate::sync::Waker;
use std::sync::Arc;

fn number(letter: &Letter) -> usize {
    match letter {
        Letter::Stirred(number) => *number,
        _ => unreachable!("the test sends nothing else"),
    }
}

/// A worker that waits before it looks, until it has seen `count` letters.
fn received(inbox: &Inbox, waker: &Waker, count: usize) -> Vec<usize> {
    let mut seen = Vec::new();
    while seen.len() < count {
        waker.wait();
        seen.extend(inbox.take().iter().map(number));
    }
    seen
}

/// Each sender posts so many letters; the worker that waits for them gets all, each sender's in order.
fn all_arrive(letters: [usize; 2]) {
    let waker = Waker::new();
    let inbox = Arc::new(Inbox::new(waker.clone()));
    let senders = [0, 1].map(|sender| {
        let inbox = Arc::clone(&inbox);
        spawn(move || {
            for letter in 0..letters[sender] {
                inbox.post(Letter::Stirred(10 * sender + letter));
            }
        })
    });
    let seen = received(&inbox, &waker, letters.iter().sum());
    for sender in senders {
        sender.join();
    }
    for (sender, count) in letters.into_iter().enumerate() {
        let of_sender: Vec<_> = seen.iter().copied().filter(|number| number / 10 == sender).collect();
        let posted: Vec<_> = (0..count).map(|letter| 10 * sender + letter).collect();
        assert_eq!(of_sender, posted);
    }
    assert!(inbox.take().is_empty(), "nothing comes twice");
}

pub fn a_worker_that_waits_is_woken_for_every_letter() {
    explore(|| all_arrive([1, 1]));
    explore(|| all_arrive([2, 0]));
    explore_with(Some(3), || all_arrive([2, 1]));
}

pub fn who_posts_after_another_comes_after_it_wherever_the_news_of_that_came_from() {
    explore(|| {
        let inbox = Arc::new(Inbox::new(Waker::new()));
        let other = Arc::new(Inbox::new(Waker::new()));
        let (a_inbox, a_other) = (Arc::clone(&inbox), Arc::clone(&other));
        let (c_inbox, c_other) = (Arc::clone(&inbox), Arc::clone(&other));
        let a = spawn(move || {
            a_inbox.post(Letter::Stirred(1));
            a_other.post(Letter::Stirred(1));
        });
        let c = spawn(move || {
            let is_answer = !c_other.take().is_empty();
            c_inbox.post(Letter::Stirred(2));
            is_answer
        });
        a.join();
        let is_answer = c.join();
        let seen: Vec<_> = inbox.take().iter().map(number).collect();
        assert_eq!(seen.len(), 2);
        assert!(!is_answer || seen == [1, 2], "an answer overtook what it answers");
    });
}
