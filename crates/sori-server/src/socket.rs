//! One connection's way to the outside: a TCP or Unix socket, or the memory between two parts of this program.

use crate::admission::Places;
use crate::carried::Carried;
use crate::inbox::Inbox;
use crate::link::BrokerEnd;
use mio::event::Source;
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::sync::Arc;

/// Where bytes come from and go to.
pub(crate) enum Stream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
    Local(BrokerEnd),
    /// A TCP or Unix socket behind a transport.
    Carried(Box<Carried>),
}

impl Stream {
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Local(end) => end.read(buffer),
            Stream::Carried(carried) => carried.read_past(buffer),
        }
    }

    /// Write the pieces one after the other, as far as that goes.
    pub(crate) fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, pieces) {
            (Stream::Tcp(stream), [one]) => stream.write(one),
            (Stream::Tcp(stream), _) => stream.write_vectored(pieces),
            (Stream::Unix(stream), _) => stream.write_vectored(pieces),
            (Stream::Local(end), _) => end.write(pieces),
            (Stream::Carried(carried), _) => carried.write(pieces),
        }
    }

    /// Write what a transport holds, as far as that goes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Stream::Carried(carried) = self { carried.flush() } else { Ok(()) }
    }

    /// Does a transport hold bytes that the socket has not taken?
    pub(crate) fn has_output(&self) -> bool {
        matches!(self, Stream::Carried(carried) if carried.has_output())
    }

    /// The transport's last words; there is nothing to say without one.
    pub(crate) fn say_good_bye(&mut self) {
        if let Stream::Carried(carried) = self {
            carried.say_good_bye();
        }
    }

    /// Nothing more will be written.
    pub(crate) fn finish(&mut self) {
        // The peer may be gone already, which is as good.
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
            Stream::Carried(carried) => {
                carried.socket().finish();
                Ok(())
            }
            Stream::Local(end) => {
                end.finish();
                Ok(())
            }
        };
    }

    /// What a poll can watch; an in-process connection has no such thing.
    pub(crate) fn source(&mut self) -> Option<&mut dyn Source> {
        match self {
            Stream::Tcp(stream) => Some(stream),
            Stream::Unix(stream) => Some(stream),
            Stream::Carried(carried) => carried.socket().source(),
            Stream::Local(_) => None,
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, inbox: &Arc<Inbox>, token: usize) -> io::Result<()> {
        if let Stream::Local(end) = self {
            end.register(inbox, token);
        }
        let interests = Interest::READABLE | Interest::WRITABLE;
        self.source().map_or(Ok(()), |source| registry.register(source, Token(token), interests))
    }

    /// The worker was told that the other end has changed, and looks.
    pub(crate) fn looked(&self) {
        if let Stream::Local(end) = self {
            end.looked();
        }
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        if let Stream::Local(end) = self {
            end.deregister();
        }
        self.source().map_or(Ok(()), |source| registry.deregister(source))
    }
}

/// A connection's place among those that are allowed; it is free again when this is dropped.
pub(crate) struct Admittance {
    pub(crate) places: Arc<Places>,
    pub(crate) listener: u32,
    pub(crate) address: Option<IpAddr>,
}

impl Drop for Admittance {
    fn drop(&mut self) {
        self.places.leave(self.listener, self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// Workers count on it: they close sockets without taking them out of the poll first.
    #[test]
    fn a_closed_socket_reports_nothing() {
        let mut poll = mio::Poll::new().expect("a poll");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (accepted, _) = listener.accept().expect("a connection");
        accepted.set_nonblocking(true).expect("an option");
        let mut stream = mio::net::TcpStream::from_std(accepted);
        stream.register(poll.registry(), Token(0), Interest::READABLE).expect("it is new to the poll");
        client.write_all(b"x").expect("it is open");
        let mut events = mio::Events::with_capacity(4);
        while events.is_empty() {
            poll.poll(&mut events, None).expect("a poll");
        }
        client.write_all(b"y").expect("it is open");
        drop(stream);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("a poll");
        assert!(events.is_empty());
    }
}
