//! The words of a line, and what they mean as a flag, a number or a text. The rules are those of `mosquitto.conf`.

/// Blanks that separate words. Mosquitto knows the space only; a TAB can mean nothing else.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// The first word of a line and what follows it, without the blanks between and around them.
pub(super) fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_matches(BLANKS);
    match text.split_once(BLANKS) {
        Some((word, rest)) => (word, rest.trim_start_matches(BLANKS)),
        None => (text, ""),
    }
}

/// `true`, `1`, `false` or `0`.
pub(super) fn flag(word: &str) -> Option<bool> {
    match word {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// What is wrong with a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadNumber {
    /// It is none.
    NotANumber,
    /// It does not fit into 64 bits.
    TooLarge,
}

/// A whole number in C notation: `0x` starts a hexadecimal one and `0` an octal one.
pub(super) fn number(word: &str) -> Result<i64, BadNumber> {
    let (negative, digits) = match word.as_bytes().first() {
        Some(b'-') => (true, &word[1..]),
        Some(b'+') => (false, &word[1..]),
        _ => (false, word),
    };
    let (digits, radix) = radix(digits);
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(BadNumber::NotANumber);
    }
    let size = i64::from_str_radix(digits, radix).map_err(|_| BadNumber::TooLarge)?;
    Ok(if negative { -size } else { size })
}

fn radix(digits: &str) -> (&str, u32) {
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        (hexadecimal, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits, 10)
    }
}

/// Whether a text is fit to be a value: Mosquitto refuses what MQTT forbids in its own strings. U+FFFD stands for bytes
/// that were not UTF-8.
pub(super) fn is_fit(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER || is_noncharacter(c))
}

fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}
