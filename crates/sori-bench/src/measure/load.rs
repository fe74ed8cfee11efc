//! Many publishers with QoS 1 in one thread, each with some messages in flight, and how long each PUBACK takes.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use sori_mqtt::PacketId;

use super::wire::{Door, publish};

pub(super) struct Load<'a> {
    pub(super) door: Door,
    pub(super) publishers: usize,
    /// In flight, each.
    pub(super) window: usize,
    pub(super) payload_size: usize,
    pub(super) topic: &'a str,
}

pub(super) struct Result {
    pub(super) acknowledged: u64,
    pub(super) elapsed: Duration,
    /// In microseconds, sorted.
    pub(super) latencies: Vec<u64>,
}

/// A PUBACK of MQTT 3.1.1.
const PUBACK_SIZE: usize = 4;
/// Bytes read at once: more than the acknowledgements of a window.
const READ_BYTES: usize = 64 * 1024;

struct Publisher {
    stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    next: PacketId,
    sent_at: VecDeque<Instant>,
}

impl Load<'_> {
    /// Until so many are acknowledged, or the time is over.
    pub(super) fn run(&self, messages_max: u64, time_max: Duration) -> io::Result<Result> {
        let mut poll = Poll::new()?;
        let mut publishers = Vec::new();
        for number in 0..self.publishers {
            let wire = self.door.enter(&format!("load{number}"))?;
            wire.stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(wire.stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            let (output, input, sent_at) = (Vec::new(), Vec::new(), VecDeque::new());
            publishers.push(Publisher { stream, output, input, next: PacketId::FIRST, sent_at });
        }
        let payload = vec![b'.'; self.payload_size];
        let mut result = Result { acknowledged: 0, elapsed: Duration::ZERO, latencies: Vec::new() };
        let (began, mut sent) = (Instant::now(), 0);
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_BYTES];
        for publisher in &mut publishers {
            self.fill(publisher, &payload, &mut sent, messages_max)?;
        }
        while result.acknowledged < messages_max && began.elapsed() < time_max {
            poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                let Some(publisher) = publishers.get_mut(event.token().0) else { continue };
                publisher.read(&mut buffer, &mut result)?;
                self.fill(publisher, &payload, &mut sent, messages_max)?;
            }
        }
        result.elapsed = began.elapsed();
        result.latencies.sort_unstable();
        Ok(result)
    }

    fn fill(&self, publisher: &mut Publisher, payload: &[u8], sent: &mut u64, messages_max: u64) -> io::Result<()> {
        while publisher.sent_at.len() < self.window && *sent < messages_max {
            publisher.output.extend_from_slice(&publish(self.topic, publisher.next, payload));
            publisher.next = publisher.next.next();
            publisher.sent_at.push_back(Instant::now());
            *sent += 1;
        }
        publisher.write()
    }
}

impl Publisher {
    fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once: a short read has emptied the socket, and the next bytes bring a new event.
    fn read(&mut self, buffer: &mut [u8], result: &mut Result) -> io::Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("the broker closed a publisher's connection")),
                Ok(count) => {
                    self.input.extend_from_slice(&buffer[..count]);
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let now = Instant::now();
        let whole = self.input.len() / PUBACK_SIZE;
        for _ in 0..whole {
            // Acknowledged in the order of sending [MQTT311-4.6.0-2].
            if let Some(sent_at) = self.sent_at.pop_front() {
                result.latencies.push((now - sent_at).as_micros() as u64);
                result.acknowledged += 1;
            }
        }
        self.input.drain(..whole * PUBACK_SIZE);
        Ok(())
    }
}
