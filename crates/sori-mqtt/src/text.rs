//! Which characters a string of the protocol may hold.

use crate::TopicError;

/// Whether `text` is ASCII without control characters and wildcards, as nearly all topics are. One pass, eight bytes
/// at a time: this is where decoding a small PUBLISH would otherwise spend half of its time.
#[inline]
pub(crate) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    if let Some(last) = bytes.last_chunk() {
        // The last eight bytes overlap the chunks before them, which saves a loop over the rest.
        let (chunks, _) = bytes.as_chunks();
        let found = chunks
            .iter()
            .fold(peculiar(u64::from_le_bytes(*last)), |found, chunk| found | peculiar(u64::from_le_bytes(*chunk)));
        found == 0
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let both = u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
        peculiar(both) == 0
    } else {
        bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'+' | b'#'))
    }
}

/// Not zero if any of eight bytes is not ASCII, a control character or a wildcard: the high bits of the lowest such
/// byte and perhaps of bytes above it.
#[inline]
const fn peculiar(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH_BITS: u64 = ONES * 0x80;
    // A byte is zero if subtracting one borrows and its high bit was not set; likewise below 0x20 for 0x20.
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let control = (word.wrapping_sub(ONES * 0x20) & !word) | zero(word ^ (ONES * 0x7F));
    let wildcard = zero(word ^ (ONES * b'+' as u64)) | zero(word ^ (ONES * b'#' as u64));
    (word | control | wildcard) & HIGH_BITS
}

/// Checks that a text, which may hold wildcards, is a legal string.
#[inline]
pub(crate) fn check(text: &str) -> Result<(), TopicError> {
    if is_plain(text) { Ok(()) } else { check_characters(text) }
}

#[inline(never)]
fn check_characters(text: &str) -> Result<(), TopicError> {
    match text.chars().find(|character| is_forbidden(*character)) {
        None => Ok(()),
        // [MQTT-1.5.4-2] [MQTT-4.7.3-2] [MQTT311-1.5.3-2] [MQTT311-4.7.3-2]
        Some('\0') => Err(TopicError::Nul),
        Some(_) => Err(TopicError::Control),
    }
}

/// Control characters and noncharacters should not be sent, and a receiver may treat them as malformed (5.0 section
/// 1.5.4, 3.1.1 section 1.5.3). Mosquitto does, so nothing that works with it can need them.
fn is_forbidden(character: char) -> bool {
    // The last two code points of every plane are noncharacters.
    character.is_control() || matches!(character, '\u{FDD0}'..='\u{FDEF}') || u32::from(character) & 0xFFFE == 0xFFFE
}

/// The rest of a sentence that begins with the name of the field.
pub(crate) type TextFault = &'static str;

/// The string in `bytes`. Nothing is stripped or changed, so U+FEFF stays where it is. [MQTT-1.5.4-3] [MQTT311-1.5.3-3]
#[inline]
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<&str, TextFault> {
    // Rust's UTF-8 has no surrogates either. [MQTT-1.5.4-1] [MQTT311-1.5.3-1]
    let Ok(text) = core::str::from_utf8(bytes) else { return Err("is not UTF-8") };
    check(text).map_err(TopicError::text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
