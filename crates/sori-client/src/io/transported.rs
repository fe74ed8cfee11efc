//! A socket with TLS, a WebSocket or a proxy on the way.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::ByteStream;
use sori_net::Transport;

/// Bytes that are read from the socket at once.
const READ_BYTES: usize = 16 * 1024;

/// A socket, and the transport between it and MQTT.
pub(super) struct Transported {
    socket: Box<dyn ByteStream>,
    transport: Transport,
    wire: Vec<u8>,
    /// What came for MQTT and was not taken.
    plain: Vec<u8>,
    taken: usize,
}

/// Why a handshake failed.
pub(super) enum HandshakeError {
    /// The transport says so.
    Transport(sori_net::Error),
    /// The socket does.
    Socket(io::Error),
}

impl Transported {
    /// Does all handshakes.
    pub(super) async fn open(socket: Box<dyn ByteStream>, transport: Transport) -> Result<Self, HandshakeError> {
        let mut stream = Self { socket, transport, wire: vec![0; READ_BYTES], plain: Vec::new(), taken: 0 };
        poll_fn(|cx| stream.poll_open(cx)).await?;
        Ok(stream)
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        loop {
            let flushed = self.poll_output(cx).map_err(|error| self.broken(error))?;
            if self.transport.is_open() {
                // What is left of the output goes with what comes next.
                return Poll::Ready(Ok(()));
            }
            let count = match self.poll_wire(cx) {
                Poll::Ready(count) => count.map_err(|error| self.broken(error))?,
                Poll::Pending => {
                    debug_assert!(flushed.is_pending() || self.transport.output().is_empty());
                    return Poll::Pending;
                }
            };
            let outcome = match count {
                0 => self.transport.receive_end(),
                _ => self.transport.receive(&mut self.wire[..count], &mut self.plain),
            };
            if let Err(error) = outcome {
                // Its last words say why to the server; whether they arrive is not waited for.
                let _ = self.poll_output(cx);
                return Poll::Ready(Err(HandshakeError::Transport(error)));
            }
        }
    }

    /// The socket failed in a handshake. Whoever closes a connection with bytes unread resets it: that is an end, too, and the
    /// transport knows of which conversation.
    fn broken(&mut self, error: io::Error) -> HandshakeError {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match self.transport.receive_end() {
            Err(end) if matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset) => {
                HandshakeError::Transport(end)
            }
            _ => HandshakeError::Socket(error),
        }
    }

    /// Reads from the socket.
    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.socket.poll_read(cx, &mut self.wire)
    }

    /// Writes to the socket what the transport has for it.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.transport.output().is_empty() {
            let count = ready!(self.socket.poll_write(cx, self.transport.output()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.transport.sent(count);
        }
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let waiting = &self.plain[self.taken..];
        let count = waiting.len().min(buffer.len());
        buffer[..count].copy_from_slice(&waiting[..count]);
        self.taken += count;
        if self.taken == self.plain.len() {
            self.plain.clear();
            self.taken = 0;
        }
        count
    }
}

impl ByteStream for Transported {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            // Answers of the transport's own (a pong, a new key) are output, too.
            if let Poll::Ready(Err(error)) = self.poll_output(cx) {
                return Poll::Ready(Err(error));
            }
            let count = self.take(buffer);
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            if self.transport.is_ended() {
                return Poll::Ready(Ok(0));
            }
            let count = ready!(self.poll_wire(cx))?;
            let outcome = match count {
                0 => {
                    self.transport.receive_end().map_err(io::Error::other)?;
                    return Poll::Ready(Ok(0));
                }
                _ => self.transport.receive(&mut self.wire[..count], &mut self.plain),
            };
            if let Err(error) = outcome {
                let _ = self.poll_output(cx);
                return Poll::Ready(Err(io::Error::other(error)));
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let count = self.transport.send(bytes);
            if count > 0 {
                // What the socket does not take now is flushed later.
                return match self.poll_output(cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    _ => Poll::Ready(Ok(count)),
                };
            }
            if self.transport.output().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            ready!(self.poll_output(cx))?;
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_output(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.close();
        ready!(self.poll_output(cx))?;
        self.socket.poll_close(cx)
    }
}
