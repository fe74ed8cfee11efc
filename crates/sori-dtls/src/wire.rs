//! The network, as OpenSSL sees it: two buffers.

use std::io::{self, ErrorKind, Read, Write};

#[derive(Default, Debug)]
pub(crate) struct Wire {
    incoming: Vec<u8>,
    /// So many at the front have been read.
    read: usize,
    outgoing: Vec<u8>,
}

impl Wire {
    /// Bytes came from the network. OpenSSL reads until there are none, so what came before is gone.
    pub(crate) fn arrive(&mut self, bytes: &[u8]) {
        self.incoming.clear();
        self.read = 0;
        self.incoming.extend_from_slice(bytes);
    }

    /// What OpenSSL has written goes to the network. No buffer is kept, so that an idle connection costs little.
    pub(crate) fn depart(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.outgoing);
        *self = Wire::default();
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut waiting = self.incoming.get(self.read..).unwrap_or_default();
        if waiting.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = waiting.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
