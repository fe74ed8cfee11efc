//! Tests of [`crate::link`]. They stand apart because the model checker compiles that file with its own locks.

use crate::inbox::{Inbox, Letter};
use crate::link::{BYTES_MAX, Exchanged, link};
use mio::{Poll, Token, Waker};
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll as Polled, Wake};
use std::time::Instant;

fn inbox() -> (Poll, Arc<Inbox>) {
    let poll = Poll::new().expect("there is one");
    let waker = Waker::new(poll.registry(), Token(0)).expect("there is one");
    (poll, Arc::new(Inbox::new(waker)))
}

fn stirred(inbox: &Inbox) -> Vec<usize> {
    let tokens = inbox.take().into_iter().map(|letter| match letter {
        Letter::Stirred(token) => token,
        _ => usize::MAX,
    });
    tokens.collect()
}

#[test]
fn a_worker_is_told_once_until_it_looks_and_again_after_a_move() {
    let ((_poll, here), (_other_poll, there)) = (inbox(), inbox());
    let (broker, client) = link();
    let now = Instant::now();
    assert_eq!(client.exchange(b"a", None, now), Exchanged::Something(1));
    broker.register(&here, 7);
    client.exchange(b"b", None, now);
    assert_eq!(stirred(&here), [7]);
    broker.looked();
    client.exchange(b"c", None, now);
    assert_eq!(stirred(&here), [7]);

    // It moves before it was looked at.
    broker.deregister();
    broker.register(&there, 3);
    assert_eq!((stirred(&here), stirred(&there)), (vec![], vec![3]));
    broker.looked();
    drop(client);
    assert_eq!((stirred(&here), stirred(&there)), (vec![], vec![3]));
    let mut buffer = [0; 8];
    assert_eq!(broker.read(&mut buffer).expect("bytes"), 3);
    assert_eq!(broker.read(&mut buffer).expect("the end"), 0);
}

#[test]
fn a_worker_that_found_no_room_is_told_of_room_each_time() {
    let (_poll, inbox) = inbox();
    let (broker, client) = link();
    broker.register(&inbox, 1);
    let bytes = vec![0; BYTES_MAX + 1];
    for _ in 0..3 {
        assert_eq!(broker.write(&[IoSlice::new(&bytes)]).expect("room"), BYTES_MAX);
        assert!(broker.write(&[IoSlice::new(&bytes)]).is_err());
        let mut input = Vec::new();
        client.exchange(&[], Some(&mut input), Instant::now());
        assert_eq!((input.len(), stirred(&inbox)), (BYTES_MAX, vec![1]));
        broker.looked();
    }
    assert_eq!(client.exchange(&[], None, Instant::now()), Exchanged::Nothing);
    drop(broker);
    assert_eq!(client.exchange(b"late", None, Instant::now()), Exchanged::End);
}

/// Counts how often the task would be woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_task_is_woken_when_there_are_bytes_room_or_the_end() {
    let (_poll, inbox) = inbox();
    let (broker, client) = link();
    broker.register(&inbox, 7);
    let woken = Arc::new(Woken::default());
    let waker = Arc::clone(&woken).into();
    let (cx, mut buffer) = (Context::from_waker(&waker), [0; 10]);
    let times = || woken.0.load(Ordering::Relaxed);

    assert!(client.poll_read(&cx, &mut buffer).is_pending());
    assert_eq!(broker.write(&[IoSlice::new(b"abc")]).ok(), Some(3));
    assert_eq!(times(), 1);
    assert!(matches!(client.poll_read(&cx, &mut buffer), Polled::Ready(Ok(3))) && buffer.starts_with(b"abc"));

    // The worker is told of what a task writes, and the task of the room that the worker makes.
    let filling = vec![1; BYTES_MAX];
    assert!(matches!(client.poll_write(&cx, &filling), Polled::Ready(Ok(BYTES_MAX))));
    assert_eq!(stirred(&inbox), [7]);
    assert!(client.poll_write(&cx, b"x").is_pending());
    assert_eq!(broker.read(&mut buffer).ok(), Some(10));
    assert_eq!(times(), 2);
    assert!(matches!(client.poll_write(&cx, b"x"), Polled::Ready(Ok(1))));

    // The worker is told of the room that a task makes.
    broker.looked();
    stirred(&inbox);
    assert_eq!(broker.write(&[IoSlice::new(&filling)]).ok(), Some(BYTES_MAX));
    assert!(matches!(client.poll_read(&cx, &mut buffer), Polled::Ready(Ok(10))));
    assert_eq!(stirred(&inbox), [7]);

    let mut rest = vec![0; BYTES_MAX];
    assert!(client.poll_read(&cx, &mut rest).is_ready());
    assert!(client.poll_read(&cx, &mut buffer).is_pending());
    broker.finish();
    assert_eq!(times(), 3);
    assert!(matches!(client.poll_read(&cx, &mut buffer), Polled::Ready(Ok(0))));
    assert!(matches!(client.poll_write(&cx, b"x"), Polled::Ready(Err(_))));
}
