//! A bit of a segment, so that blobs near to each other cost one read.

use crate::blob::{self, BLOB_HEADER_BYTES};
use crate::bytes::u32_at;
use crate::disk::Disk;
use crate::segment;
use std::io;

/// What was read last. Segments that are looked at this way do not change any more.
#[derive(Debug, Default)]
pub(crate) struct Window {
    segment: u32,
    at: u32,
    bytes: Vec<u8>,
}

impl Window {
    /// Read so many bytes that begin at an offset, and more behind them, if they have not been read before. True: something
    /// was read. It is not everything where the file ends.
    pub(crate) fn cover(&mut self, disk: &dyn Disk, segment: u32, at: u32, length: usize) -> io::Result<bool> {
        let end = self.at as usize + self.bytes.len();
        if segment == self.segment && at >= self.at && at as usize + length <= end {
            return Ok(false);
        }
        self.bytes.resize(WINDOW_BYTES, 0);
        let got = disk.read(&segment::name(segment), at.into(), &mut self.bytes);
        self.bytes.truncate(*got.as_ref().unwrap_or(&0));
        (self.segment, self.at) = (segment, at);
        got.map(|_| true)
    }

    /// How long the blob is, header and all, whose header was covered.
    pub(crate) fn blob_length(&self, at: u32) -> Option<u64> {
        let length = u32_at(&self.bytes, at.checked_sub(self.at)? as usize)?;
        Some(BLOB_HEADER_BYTES as u64 + u64::from(length))
    }

    /// The blob at an offset, header and all. `None`: it is too long for a window, or cannot be read; reading it alone tells.
    pub(crate) fn blob(&mut self, disk: &dyn Disk, segment: u32, at: u32) -> Option<&[u8]> {
        self.cover(disk, segment, at, BLOB_HEADER_BYTES).ok()?;
        let length = usize::try_from(self.blob_length(at)?).ok().filter(|length| *length <= WINDOW_BYTES)?;
        self.cover(disk, segment, at, length).ok()?;
        let start = (at - self.at) as usize;
        let is_whole = blob::is_whole(&self.bytes, start);
        self.bytes.get(start..start + length).filter(|_| is_whole)
    }
}

const WINDOW_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_disk::MemoryDisk;

    fn blob(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_le_bytes(), &crc32fast::hash(body).to_le_bytes(), body].concat()
    }

    #[test]
    fn blobs_are_found_where_they_are_whole_and_short_enough() {
        let disk = MemoryDisk::default();
        let long = blob(&vec![7; WINDOW_BYTES]);
        let mut bytes = vec![0; 100];
        let mut offsets = Vec::new();
        for body in 0..1000u32 {
            offsets.push(bytes.len() as u32);
            bytes.extend(blob(&body.to_le_bytes().repeat(body as usize % 50)));
        }
        let (damaged, at_long) = (offsets[500], bytes.len() as u32);
        bytes[damaged as usize + 4] ^= 1;
        bytes.extend(&long);
        let at_cut = bytes.len() as u32;
        bytes.extend(&blob(b"something")[..12]);
        let name = segment::name(3);
        disk.create(&name).expect("it is new");
        disk.append(&name, &bytes).expect("there is room");
        let mut window = Window::default();
        for (body, at) in offsets.iter().enumerate().filter(|(_, at)| **at != damaged) {
            let expected = blob(&(body as u32).to_le_bytes().repeat(body % 50));
            assert_eq!(window.blob(&disk, 3, *at), Some(&expected[..]), "{body}");
        }
        for at in [damaged, at_long, at_cut, at_cut + 100, u32::MAX] {
            assert_eq!(window.blob(&disk, 3, at), None, "{at}");
        }
        assert_eq!(window.blob(&disk, 4, offsets[1]), None, "there is no such segment");
        assert!(window.blob(&disk, 3, offsets[1]).is_some());
    }
}
