//! Where a blob stands: its segment and its offset in the segment's file, as one number.

/// The place of what stands at `offset` in the file of `segment`.
pub(crate) fn place(segment: u32, offset: u64) -> u64 {
    debug_assert!(offset <= u64::from(u32::MAX), "segments end before their offsets do");
    u64::from(segment) << 32 | offset
}

/// The segment of a place.
pub(crate) fn segment(place: u64) -> u32 {
    (place >> 32) as u32
}

/// The offset of a place in its segment's file.
pub(crate) fn offset(place: u64) -> u32 {
    place as u32
}
