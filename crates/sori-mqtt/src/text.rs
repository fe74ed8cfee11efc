//! Which characters a string of the protocol may hold.

use crate::TopicError;

/// Kinds of bytes, as bits, so that a whole string is classified in one pass without a branch.
const WILDCARD: u8 = 1;
const CONTROL: u8 = 2;
const NUL: u8 = 4;
const NOT_ASCII: u8 = 0x80;

/// The kinds of bytes that a text holds.
#[derive(Copy, Clone)]
pub(crate) struct Kinds(u8);

impl Kinds {
    #[inline]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.bytes().fold(0, |kinds, byte| {
            kinds
                | byte & NOT_ASCII
                | if byte == 0 { NUL } else { 0 }
                | if byte < 0x20 || byte == 0x7F { CONTROL } else { 0 }
                | if byte == b'+' || byte == b'#' { WILDCARD } else { 0 }
        }))
    }

    #[inline]
    pub(crate) const fn has_wildcard(self) -> bool {
        self.0 & WILDCARD != 0
    }

    /// Checks that `text`, which has these kinds of bytes, is a legal string.
    #[inline]
    pub(crate) fn check(self, text: &str) -> Result<(), TopicError> {
        if self.0 & !WILDCARD == 0 { Ok(()) } else { check_slowly(self, text) }
    }
}

#[cold]
fn check_slowly(kinds: Kinds, text: &str) -> Result<(), TopicError> {
    // [MQTT-1.5.4-2] [MQTT-4.7.3-2] [MQTT311-1.5.3-2] [MQTT311-4.7.3-2]
    if kinds.0 & NUL != 0 {
        return Err(TopicError::Nul);
    }
    // Control characters and noncharacters should not be sent, and a receiver may treat them as malformed (5.0
    // section 1.5.4, 3.1.1 section 1.5.3). Mosquitto does, so nothing that works with it can need them.
    if kinds.0 & CONTROL != 0 || kinds.0 & NOT_ASCII != 0 && text.chars().any(is_discouraged) {
        return Err(TopicError::Control);
    }
    Ok(())
}

fn is_discouraged(character: char) -> bool {
    // The last two code points of every plane are noncharacters.
    character.is_control() || matches!(character, '\u{FDD0}'..='\u{FDEF}') || u32::from(character) & 0xFFFE == 0xFFFE
}

/// The string in `bytes`. Nothing is stripped or changed, so U+FEFF stays where it is. [MQTT-1.5.4-3] [MQTT311-1.5.3-3]
#[inline]
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<&str, TextFault> {
    // Rust's UTF-8 has no surrogates either. [MQTT-1.5.4-1] [MQTT311-1.5.3-1]
    let Ok(text) = core::str::from_utf8(bytes) else { return Err("is not UTF-8") };
    Kinds::of(text).check(text).map_err(TopicError::text)?;
    Ok(text)
}

/// The rest of a sentence that begins with the name of the field.
pub(crate) type TextFault = &'static str;
