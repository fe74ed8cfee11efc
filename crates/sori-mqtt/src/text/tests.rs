//! Tests of `text`.

use alloc::format;
use alloc::string::String;

use super::*;

/// What `is_plain` promises, character by character.
fn obviously_plain(text: &str) -> bool {
    text.chars().all(|character| (' '..='~').contains(&character) && character != '+' && character != '#')
}

#[test]
fn every_character_is_judged_in_every_place_of_texts_up_to_20_bytes() {
    for length in 0..20 {
        for place in 0..=length {
            for character in (0..=0x17F).filter_map(char::from_u32) {
                let text: String = format!("{}{character}{}", "a".repeat(place), "~".repeat(length - place));
                assert_eq!(is_plain(&text), obviously_plain(&text), "{text:?}");
            }
        }
    }
}

#[test]
fn a_character_next_to_a_forbidden_one_hides_nothing() {
    // Subtracting one borrows across bytes, so neighbours of every value matter.
    for first in 0..=0x7F_u8 {
        for second in 0..=0x7F_u8 {
            let bytes = [b'a', first, second, b'a', b'a', first, second, b'a'];
            let text = core::str::from_utf8(&bytes).expect("ASCII is UTF-8");
            assert_eq!(is_plain(text), obviously_plain(text), "{text:?}");
        }
    }
}

// covers: [MQTT311-1.5.3-2]
#[test]
fn mqtt5_1_5_4_2_no_string_holds_u_0000() {
    assert_eq!(from_bytes(b"\0"), Err("holds U+0000"));
    assert_eq!(from_bytes(b"a long string with nothing else\0"), Err("holds U+0000"));
}

// covers: [MQTT311-1.5.3-1]
#[test]
fn mqtt5_1_5_4_1_strings_are_well_formed_utf_8_without_surrogates() {
    let surrogates = [&b"\xED\xA0\x80"[..], b"\xED\xBF\xBF", b"a\xED\xA0\x81\xED\xB0\x80"];
    let ill_formed = [&b"\xC0\x80"[..], b"\x80", b"\xE2\x82", b"\xF4\x90\x80\x80", b"\xFE", b"\xC3("];
    for bytes in surrogates.iter().chain(&ill_formed) {
        assert_eq!(from_bytes(bytes), Err("is not UTF-8"), "{bytes:02x?}");
    }
    for text in ["", "a", "ü", "€", "𪛔", "\u{D7FF}", "\u{E000}", "+/#"] {
        assert_eq!(from_bytes(text.as_bytes()), Ok(text));
    }
}

// covers: [MQTT311-1.5.3-3]
#[test]
fn mqtt5_1_5_4_3_u_feff_is_a_character_like_others() {
    assert_eq!(from_bytes(b"\xEF\xBB\xBFa\xEF\xBB\xBF"), Ok("\u{FEFF}a\u{FEFF}"));
}

#[test]
fn control_characters_and_noncharacters_are_refused() {
    let forbidden = (1..0x20).chain(0x7F..=0x9F).chain(0xFDD0..=0xFDEF).chain([0xFFFE, 0xFFFF, 0x1_FFFE, 0x10_FFFF]);
    for character in forbidden.filter_map(char::from_u32) {
        let text: String = format!("a{character}b");
        assert_eq!(check(&text), Err(TopicError::Control), "{text:?}");
    }
    for character in [' ', '~', '\u{A0}', '\u{FDCF}', '\u{FDF0}', '\u{FFFD}', '\u{1_FFFD}', '\u{2_0000}'] {
        assert_eq!(check(&String::from(character)), Ok(()), "{character:?}");
    }
}
