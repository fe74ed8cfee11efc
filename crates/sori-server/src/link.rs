//! The way between a part of this program and its shard: two pipes in memory, which take the place of a socket.

use crate::inbox::{Inbox, Letter};
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Bytes that wait in one direction. Whoever writes more waits for the reader, as with a socket.
pub(crate) const BYTES_MAX: usize = 256 * 1024;

#[derive(Default)]
struct Pipes {
    to_broker: VecDeque<u8>,
    to_client: VecDeque<u8>,
    is_client_gone: bool,
    is_broker_gone: bool,
    /// The task at the client's end, if one waits there and no thread.
    task: Option<Waker>,
    /// The worker that has the broker's end, and the end's number there; none on the way to a worker.
    place: Option<(Arc<Inbox>, usize)>,
    /// The worker has been told that something changed, and has not looked yet.
    is_stirred: bool,
}

impl Pipes {
    /// Tell the worker once until it looks.
    fn stir(&mut self) {
        if let Some((inbox, token)) = &self.place
            && !std::mem::replace(&mut self.is_stirred, true)
        {
            inbox.post(Letter::Stirred(*token));
        }
    }
}

#[derive(Default)]
struct Link {
    pipes: Mutex<Pipes>,
    changed: Condvar,
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, Pipes> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed: whoever waits at the client's end looks again. Nothing is locked when it is woken.
    fn tell_client(&self, mut pipes: MutexGuard<'_, Pipes>) {
        let task = pipes.task.take();
        drop(pipes);
        self.changed.notify_all();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// Both ends of a connection in memory.
pub(crate) fn link() -> (BrokerEnd, ClientEnd) {
    let link = Arc::new(Link::default());
    (BrokerEnd { link: Arc::clone(&link) }, ClientEnd { link })
}

/// The broker's end.
pub(crate) struct BrokerEnd {
    link: Arc<Link>,
}

impl BrokerEnd {
    /// A worker has the end now; from here on it is told of changes.
    pub(crate) fn register(&self, inbox: &Arc<Inbox>, token: usize) {
        let mut pipes = self.link.lock();
        pipes.place = Some((Arc::clone(inbox), token));
        pipes.is_stirred = false;
        if !pipes.to_broker.is_empty() || pipes.is_client_gone {
            pipes.stir();
        }
    }

    /// The worker gives the end away.
    pub(crate) fn deregister(&self) {
        self.link.lock().place = None;
    }

    /// The worker looks: from here on it is told again.
    pub(crate) fn looked(&self) {
        self.link.lock().is_stirred = false;
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut pipes = self.link.lock();
        if pipes.to_broker.is_empty() {
            return if pipes.is_client_gone { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = io::Read::read(&mut pipes.to_broker, buffer)?;
        self.link.tell_client(pipes);
        Ok(count)
    }

    pub(crate) fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipes = self.link.lock();
        if pipes.is_client_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match pieces.iter().map(|piece| put(&mut pipes.to_client, piece)).sum() {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => {
                self.link.tell_client(pipes);
                Ok(count)
            }
        }
    }

    pub(crate) fn finish(&self) {
        let mut pipes = self.link.lock();
        pipes.is_broker_gone = true;
        self.link.tell_client(pipes);
    }
}

impl Drop for BrokerEnd {
    fn drop(&mut self) {
        // What has its number in the worker then is not told of this connection's changes.
        self.deregister();
        self.finish();
    }
}

/// As much as there is room for.
fn put(pipe: &mut VecDeque<u8>, bytes: &[u8]) -> usize {
    let count = bytes.len().min(BYTES_MAX.saturating_sub(pipe.len()));
    pipe.extend(&bytes[..count]);
    count
}

/// The client's end of a connection in memory. When it is dropped, the broker sees the end of the connection behind what was
/// written.
pub struct ClientEnd {
    link: Arc<Link>,
}

/// What [`ClientEnd::exchange`] did.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Exchanged {
    /// So many bytes were written, and what had come was read.
    Something(usize),
    /// Nothing came and nothing could be written in time.
    Nothing,
    /// The broker has closed the connection, and everything it said has been read.
    End,
}

impl ClientEnd {
    /// Write as much as there is room for, and append what has come to `input`, where there is one. When neither is
    /// possible, wait until it is.
    pub(crate) fn exchange(&self, output: &[u8], mut input: Option<&mut Vec<u8>>, until: Instant) -> Exchanged {
        let mut pipes = self.link.lock();
        loop {
            let written = if pipes.is_broker_gone { 0 } else { put(&mut pipes.to_broker, output) };
            let mut has_read = false;
            if let Some(input) = input.as_deref_mut() {
                let was_full = pipes.to_client.len() >= BYTES_MAX;
                has_read = !pipes.to_client.is_empty();
                input.extend(pipes.to_client.drain(..));
                if was_full {
                    pipes.stir();
                }
            }
            if written > 0 {
                pipes.stir();
            }
            if written > 0 || has_read {
                return Exchanged::Something(written);
            }
            if pipes.is_broker_gone {
                return Exchanged::End;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Exchanged::Nothing;
            }
            pipes = self.link.changed.wait_timeout(pipes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// For tasks: whose turn it is not is woken when it is worth trying again. One task at a time has the connection.
impl ClientEnd {
    /// Read what has come; nothing at the end.
    ///
    /// # Errors
    /// None; a connection in memory comes to its end, and does not break.
    pub fn poll_read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut pipes = self.link.lock();
        if pipes.to_client.is_empty() && !pipes.is_broker_gone {
            pipes.task = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let was_full = pipes.to_client.len() >= BYTES_MAX;
        let count = io::Read::read(&mut pipes.to_client, buffer)?;
        if was_full {
            pipes.stir();
        }
        Poll::Ready(Ok(count))
    }

    /// Write as much as there is room for.
    ///
    /// # Errors
    /// The broker has closed the connection.
    pub fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipes = self.link.lock();
        if pipes.is_broker_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = put(&mut pipes.to_broker, bytes);
        if count == 0 && !bytes.is_empty() {
            pipes.task = Some(cx.waker().clone());
            return Poll::Pending;
        }
        pipes.stir();
        Poll::Ready(Ok(count))
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        let mut pipes = self.link.lock();
        pipes.is_client_gone = true;
        pipes.stir();
    }
}
