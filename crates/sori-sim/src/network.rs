//! One connection's wires: bytes on their way in both directions, and what is wrong with them.

use crate::host::LinkId;

/// The two directions of a connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) link: LinkId,
    /// Which client's socket it is.
    pub(crate) device: usize,
    /// Bytes that the client has sent and no shard has read.
    pub(crate) to_broker: Vec<u8>,
    /// Bytes that the broker has written and the client has not read.
    pub(crate) to_client: Vec<u8>,
    /// How many bytes the network takes from the broker before the client reads.
    pub(crate) room: usize,
    /// The client does not read.
    pub(crate) stalled: bool,
    /// Nothing moves, in neither direction.
    pub(crate) frozen: bool,
    /// The client has closed its socket or lost it.
    pub(crate) client_gone: bool,
    /// ... and nobody tells the broker.
    pub(crate) silent: bool,
    /// The broker has closed the connection, or knows that it is gone.
    pub(crate) broker_gone: bool,
}

impl Pipe {
    pub(crate) fn new(link: LinkId, device: usize, room: usize) -> Pipe {
        Pipe {
            link,
            device,
            to_broker: Vec::new(),
            to_client: Vec::new(),
            room,
            stalled: false,
            frozen: false,
            client_gone: false,
            silent: false,
            broker_gone: false,
        }
    }

    /// What the network takes of `length` bytes now.
    pub(crate) fn space(&self, length: usize) -> usize {
        if self.client_gone {
            // The bytes go into a socket that nobody reads any more.
            return length;
        }
        length.min(self.room.saturating_sub(self.to_client.len()))
    }

    /// Takes up to `limit` bytes for the broker.
    pub(crate) fn read_by_broker(&mut self, limit: usize) -> Vec<u8> {
        let limit = limit.min(self.to_broker.len());
        self.to_broker.drain(..limit).collect()
    }

    /// Takes up to `limit` bytes for the client.
    pub(crate) fn read_by_client(&mut self, limit: usize) -> Vec<u8> {
        let limit = limit.min(self.to_client.len());
        self.to_client.drain(..limit).collect()
    }

    /// The connection breaks: of the bytes on their way to the broker only the first `arriving` arrive.
    pub(crate) fn cut(&mut self, arriving: usize, silent: bool) {
        self.to_broker.truncate(arriving);
        self.to_client.clear();
        self.client_gone = true;
        self.silent = silent;
    }

    /// The broker crashes: of the bytes on their way to the client only the first `arriving` arrive.
    pub(crate) fn crash(&mut self, arriving: usize) {
        self.to_broker.clear();
        self.to_client.truncate(arriving);
        self.broker_gone = true;
    }

    /// Both ends know that it is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.broker_gone && self.client_gone
    }
}
