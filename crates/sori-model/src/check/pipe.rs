//! A connection within the program: neither end waits for ever for the other.

use crate::explore::{explore, explore_with, spawn};
use crate::inbox::{Inbox, Letter};
use crate::link::{BYTES_MAX, BrokerEnd, ClientEnd, Exchanged, link};
use crate::socket::Stream;
use crate::sync::Waker;
use sori_broker::ListenerSettings;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker with one connection, which sends back what comes, and does not read while it has anything to send: what
/// `sori-server`'s worker does with a connection whose output is full.
struct Echo {
    end: BrokerEnd,
    output: VecDeque<u8>,
    is_readable: bool,
    is_writable: bool,
}

impl Echo {
    fn new(end: BrokerEnd, inbox: &Arc<Inbox>) -> Echo {
        end.register(inbox, 0);
        Echo { end, output: VecDeque::new(), is_readable: false, is_writable: true }
    }

    /// Until the client is gone.
    fn run(mut self, inbox: &Inbox, waker: &Waker) {
        loop {
            waker.wait();
            for letter in inbox.take() {
                assert!(matches!(letter, Letter::Stirred(0)), "the scenarios send nothing else");
                self.end.looked();
                (self.is_readable, self.is_writable) = (true, true);
            }
            while self.write() || (self.is_readable && self.output.is_empty()) {
                let mut buffer = [0; 1];
                match self.end.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => self.output.extend(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// True when everything has been written just now, and the next byte may be read.
    fn write(&mut self) -> bool {
        let had_output = !self.output.is_empty();
        while self.is_writable && !self.output.is_empty() {
            match self.end.write(&[IoSlice::new(self.output.make_contiguous())]) {
                Ok(count) => drop(self.output.drain(..count)),
                // The rest is not wanted any more; reading tells that the client is gone.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.output.clear(),
                Err(_) => self.is_writable = false,
            }
        }
        had_output && self.output.is_empty() && self.is_readable
    }
}

/// In the model nobody's patience ends.
fn exchange(client: &ClientEnd, output: &[u8], input: Option<&mut Vec<u8>>) -> Exchanged {
    client.exchange(output, input, Instant::now() + Duration::from_secs(3600))
}

/// Read until so many bytes have come.
fn read(client: &ClientEnd, count: usize) -> Vec<u8> {
    let mut input = Vec::new();
    while input.len() < count {
        assert_ne!(exchange(client, &[], Some(&mut input)), Exchanged::End);
    }
    input
}

/// A client writes these bytes one by one and gets them back.
fn comes_back(bytes: &[u8]) {
    let waker = Waker::new();
    let inbox = Arc::new(Inbox::new(waker.clone()));
    let (broker, client) = link();
    let worker = spawn(move || Echo::new(broker, &inbox).run(&inbox, &waker));
    for byte in bytes.chunks(1) {
        assert_eq!(exchange(&client, byte, None), Exchanged::Something(1));
    }
    assert_eq!(read(&client, bytes.len()), bytes);
    drop(client);
    worker.join();
}

pub fn a_client_that_writes_and_reads_gets_everything_back() {
    explore(|| comes_back(b"1"));
    explore_with(Some(3), || comes_back(b"12"));
}

pub fn a_worker_that_finds_no_room_goes_on_when_there_is_room() {
    explore_with(Some(2), || {
        let waker = Waker::new();
        let inbox = Arc::new(Inbox::new(waker.clone()));
        let (broker, client) = link();
        // Room for one byte is left in the pipe to the client: the second byte stops the worker.
        let filling = vec![0; BYTES_MAX - 1];
        assert_eq!(broker.write(&[IoSlice::new(&filling)]).ok(), Some(filling.len()));
        let worker = spawn(move || Echo::new(broker, &inbox).run(&inbox, &waker));
        for byte in [b"1", b"2", b"3"] {
            assert_eq!(exchange(&client, byte, None), Exchanged::Something(1));
        }
        let all = read(&client, filling.len() + 3);
        assert_eq!(all[filling.len()..], *b"123");
        drop(client);
        worker.join();
    });
}

pub fn a_client_that_finds_no_room_goes_on_when_there_is_room() {
    explore_with(Some(3), || {
        let waker = Waker::new();
        let inbox = Arc::new(Inbox::new(waker.clone()));
        let (broker, client) = link();
        let filling = vec![0; BYTES_MAX - 1];
        assert_eq!(exchange(&client, &filling, None), Exchanged::Something(filling.len()));
        let worker = spawn(move || {
            broker.register(&inbox, 0);
            let mut buffer = vec![0; BYTES_MAX];
            let mut count = 0;
            while count < BYTES_MAX + 1 {
                waker.wait();
                if !inbox.take().is_empty() {
                    broker.looked();
                }
                while let Ok(more) = broker.read(&mut buffer) {
                    count += more;
                    if more == 0 {
                        break;
                    }
                }
            }
            count
        });
        assert_eq!(exchange(&client, b"1", None), Exchanged::Something(1));
        assert_eq!(exchange(&client, b"2", None), Exchanged::Something(1));
        drop(client);
        assert_eq!(worker.join(), BYTES_MAX + 1);
    });
}

pub fn the_broker_s_end_is_heard_of_wherever_it_goes() {
    explore_with(Some(3), || {
        let (waker, other_waker) = (Waker::new(), Waker::new());
        let inbox = Arc::new(Inbox::new(waker));
        let other_inbox = Arc::new(Inbox::new(other_waker.clone()));
        let (broker, client) = link();
        let to_other = Arc::clone(&other_inbox);
        // The first worker has it for a moment, and gives it to the second one, where the session lives.
        let first = spawn(move || {
            broker.register(&inbox, 5);
            broker.deregister();
            let stream = Stream { local: Some(broker), ..Stream::of("c") };
            to_other.post(Letter::Accepted(stream, Arc::new(ListenerSettings::default()), "".into(), None));
        });
        let second = spawn(move || {
            let first = loop {
                other_waker.wait();
                if let Some(letter) = other_inbox.take().pop_front() {
                    break letter;
                }
            };
            let Letter::Accepted(stream, ..) = first else { panic!("nothing else can be first") };
            let broker = stream.local.expect("the first worker put it in");
            Echo::new(broker, &other_inbox).run(&other_inbox, &other_waker);
        });
        assert_eq!(exchange(&client, b"1", None), Exchanged::Something(1));
        assert_eq!(read(&client, 1), b"1");
        drop(client);
        first.join();
        second.join();
    });
}
