//! Bytes that wait to be written to the network.

/// An empty buffer of this size is kept; a larger one is given back, so that an idle connection costs little.
const KEPT_BYTES_MAX: usize = 256;

#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// So many at the front have been written.
    written: usize,
}

impl Output {
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Where more is appended.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.written = (self.written + count).min(self.bytes.len());
        if self.written == self.bytes.len() {
            self.written = 0;
            if self.bytes.capacity() > KEPT_BYTES_MAX { self.bytes = Vec::new() } else { self.bytes.clear() }
        }
    }
}
