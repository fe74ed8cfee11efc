//! Clients inside this program: a connection to the broker that costs no socket.
//!
//! Bridges, gateways, rules and the dashboard are clients of the topic space like any other: the same packets, the
//! same rights, the same counters, the same bounds. Only the bytes between them and their shard stay in memory.

use crate::inbox::{Inbox, Letter};
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that wait in one direction. Whoever writes more waits for the reader, as with a socket.
const BYTES_MAX: usize = 256 * 1024;

#[derive(Default)]
struct Pipes {
    to_broker: VecDeque<u8>,
    to_client: VecDeque<u8>,
    is_client_gone: bool,
    is_broker_gone: bool,
    /// Where the broker's end stands in its worker, and whether the worker has been told that something changed.
    token: Option<usize>,
    is_stirred: bool,
}

struct Link {
    pipes: Mutex<Pipes>,
    changed: Condvar,
    inbox: Arc<Inbox>,
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, Pipes> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tell the worker once until it looks.
    fn stir(&self, pipes: &mut Pipes) {
        if let Some(token) = pipes.token
            && !std::mem::replace(&mut pipes.is_stirred, true)
        {
            self.inbox.post(Letter::Stirred(token));
        }
    }
}

/// Both ends of a connection in memory. The broker's end belongs to the worker with this inbox.
pub(crate) fn link(inbox: Arc<Inbox>) -> (BrokerEnd, ClientEnd) {
    let link = Arc::new(Link { pipes: Mutex::default(), changed: Condvar::new(), inbox });
    (BrokerEnd { link: Arc::clone(&link) }, ClientEnd { link })
}

/// The broker's end.
pub(crate) struct BrokerEnd {
    link: Arc<Link>,
}

impl BrokerEnd {
    pub(crate) fn register(&self, token: usize) {
        let mut pipes = self.link.lock();
        pipes.token = Some(token);
        if !pipes.to_broker.is_empty() || pipes.is_client_gone {
            self.link.stir(&mut pipes);
        }
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut pipes = self.link.lock();
        pipes.is_stirred = false;
        if pipes.to_broker.is_empty() {
            return if pipes.is_client_gone { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = take(&mut pipes.to_broker, buffer);
        self.link.changed.notify_all();
        Ok(count)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipes = self.link.lock();
        if pipes.is_client_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(BYTES_MAX.saturating_sub(pipes.to_client.len()));
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipes.to_client.extend(&bytes[..count]);
        self.link.changed.notify_all();
        Ok(count)
    }

    pub(crate) fn finish(&self) {
        self.link.lock().is_broker_gone = true;
        self.link.changed.notify_all();
    }
}

impl Drop for BrokerEnd {
    fn drop(&mut self) {
        self.finish();
    }
}

fn take(from: &mut VecDeque<u8>, buffer: &mut [u8]) -> usize {
    let count = buffer.len().min(from.len());
    for (to, byte) in buffer.iter_mut().zip(from.drain(..count)) {
        *to = byte;
    }
    count
}

/// The client's end: a byte stream like a socket, for a client that encodes and decodes packets.
pub struct ClientEnd {
    link: Arc<Link>,
}

impl ClientEnd {
    /// Write all of `bytes`, waiting for the broker to take them; an error when it has closed the connection.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut pipes = self.link.lock();
        while !bytes.is_empty() {
            if pipes.is_broker_gone {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let count = bytes.len().min(BYTES_MAX.saturating_sub(pipes.to_broker.len()));
            if count == 0 {
                pipes = self.link.changed.wait(pipes).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            pipes.to_broker.extend(&bytes[..count]);
            bytes = &bytes[count..];
            self.link.stir(&mut pipes);
        }
        Ok(())
    }

    /// Read what has come, waiting up to `patience` for it: 0 when the broker has closed the connection, an error of
    /// kind `TimedOut` when nothing came.
    pub fn read(&self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        let until = Instant::now() + patience;
        let mut pipes = self.link.lock();
        loop {
            if !pipes.to_client.is_empty() {
                let was_full = pipes.to_client.len() >= BYTES_MAX;
                let count = take(&mut pipes.to_client, buffer);
                if was_full {
                    self.link.stir(&mut pipes);
                }
                return Ok(count);
            }
            if pipes.is_broker_gone {
                return Ok(0);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            pipes = self.link.changed.wait_timeout(pipes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        let mut pipes = self.link.lock();
        pipes.is_client_gone = true;
        self.link.stir(&mut pipes);
    }
}
