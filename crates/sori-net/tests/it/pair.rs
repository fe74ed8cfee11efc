//! A client and a server, and the bytes between them.

use sori_net::{Error, Transport};

pub(crate) struct Pair {
    pub(crate) client: Transport,
    pub(crate) server: Transport,
    /// What MQTT got on either side.
    pub(crate) client_got: Vec<u8>,
    pub(crate) server_got: Vec<u8>,
    /// At most so many bytes arrive at once.
    pub(crate) piece: usize,
    /// All bytes that the server has put out.
    pub(crate) server_bytes: usize,
}

impl Pair {
    pub(crate) fn new(client: Transport, server: Transport) -> Pair {
        Pair { client, server, client_got: Vec::new(), server_got: Vec::new(), piece: usize::MAX, server_bytes: 0 }
    }

    /// Carry bytes until both sides are silent.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        loop {
            let to_server = carry(&mut self.client, &mut self.server, &mut self.server_got, self.piece)?;
            let to_client = carry(&mut self.server, &mut self.client, &mut self.client_got, self.piece)?;
            self.server_bytes += to_client;
            if to_server + to_client == 0 {
                return Ok(());
            }
        }
    }

    pub(crate) fn assert_talks(&mut self) {
        assert!(self.client.is_open() && self.server.is_open(), "both handshakes are done");
        let long: Vec<u8> = (0..200_000u32).map(|at| at.to_le_bytes()[0]).collect();
        let mut left = &long[..];
        while !left.is_empty() {
            let taken = self.client.send(left);
            left = &left[taken..];
            self.settle().expect("a good connection");
        }
        assert_eq!(std::mem::take(&mut self.server_got), long);
        assert_eq!(self.server.send(b"an answer"), 9);
        self.settle().expect("a good connection");
        assert_eq!(std::mem::take(&mut self.client_got), b"an answer");
    }
}

/// Carry what one side has put out to the other one, in pieces; gives how much it was.
pub(crate) fn carry(from: &mut Transport, to: &mut Transport, got: &mut Vec<u8>, piece: usize) -> Result<usize, Error> {
    let mut wire = from.output().to_vec();
    from.sent(wire.len());
    for piece in wire.chunks_mut(piece.min(1 << 16)) {
        to.receive(piece, got)?;
    }
    Ok(wire.len())
}
