//! A client and a server whose network is two buffers.

use sori_dtls::{Error, Keys, PskClient, PskClientOptions, PskConnection, PskServer, PskServerOptions};
use std::sync::Arc;

/// Bytes of a piece, when nothing is cut.
pub(crate) const WHOLE: usize = usize::MAX;

/// Who may come in.
pub(crate) struct Known(pub(crate) &'static [(&'static str, &'static [u8])]);

impl Keys for Known {
    fn key(&self, identity: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known.as_bytes() == identity).map(|(_, key)| *key)
    }
}

pub(crate) const KNOWN: Known = Known(&[("ann", b"key of ann"), ("b\"b", b"key of bob"), ("cid", &[7; 512])]);

pub(crate) fn server_of(ciphers: Option<&str>) -> Result<PskServer, Error> {
    PskServer::new(PskServerOptions { hint: "a hint", keys: Arc::new(KNOWN), ciphers, key_log: None })
}

pub(crate) fn client_of(identity: &str, key: &[u8], ciphers: Option<&str>) -> Result<PskClient, Error> {
    PskClient::new(PskClientOptions { identity, key, ciphers, ..PskClientOptions::default() })
}

pub(crate) struct Pair {
    pub(crate) client: PskConnection,
    pub(crate) server: PskConnection,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    pub(crate) client_got: Vec<u8>,
    pub(crate) server_got: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(client: &PskClient, server: &PskServer) -> Pair {
        Pair {
            client: client.connect(Some("localhost")).expect("a name of a host"),
            server: server.accept().expect("memory"),
            to_server: Vec::new(),
            to_client: Vec::new(),
            client_got: Vec::new(),
            server_got: Vec::new(),
        }
    }

    /// Client and server with these words.
    pub(crate) fn of(identity: &str, key: &[u8]) -> Pair {
        Pair::new(&client_of(identity, key, None).expect("good options"), &server_of(None).expect("good options"))
    }

    /// Carry what waits, in pieces, until nobody has anything to say. The first that fails on each side is told: of the client, of
    /// the server.
    pub(crate) fn settle(&mut self, piece: usize) -> (Option<Error>, Option<Error>) {
        let (mut of_client, mut of_server) = (None, None);
        loop {
            let (to_server, to_client) = (std::mem::take(&mut self.to_server), std::mem::take(&mut self.to_client));
            if to_server.is_empty() && to_client.is_empty() {
                return (of_client, of_server);
            }
            for piece in to_server.chunks(piece.min(1 << 20)) {
                let outcome = self.server.receive(piece, &mut self.server_got, &mut self.to_client);
                of_server = of_server.or(outcome.err());
            }
            for piece in to_client.chunks(piece.min(1 << 20)) {
                let outcome = self.client.receive(piece, &mut self.client_got, &mut self.to_server);
                of_client = of_client.or(outcome.err());
            }
        }
    }

    pub(crate) fn shake_hands(&mut self, piece: usize) -> (Option<Error>, Option<Error>) {
        self.client.begin(&mut self.to_server).expect("a client speaks first");
        self.settle(piece)
    }

    pub(crate) fn client_sends(&mut self, bytes: &[u8]) {
        self.client.send(bytes, &mut self.to_server).expect("is open");
    }

    pub(crate) fn server_sends(&mut self, bytes: &[u8]) {
        self.server.send(bytes, &mut self.to_client).expect("is open");
    }

    pub(crate) fn client_closes(&mut self) {
        self.client.close(&mut self.to_server);
    }
}
