//! Levels of filters as numbers: shared while they are used, forgotten afterwards.

use alloc::format;

use super::*;
use alloc::vec::Vec;

#[test]
fn a_level_is_one_token_until_its_last_use_ends() {
    let mut tokens = Tokens::default();
    assert!(tokens.is_empty());
    let a = tokens.acquire("a");
    assert_eq!(tokens.acquire("a"), a);
    let b = tokens.acquire("b");
    assert_ne!(a, b);
    assert_eq!((tokens.find("a"), tokens.find("c")), (Some(a), None));
    assert_eq!((tokens.text(a), tokens.text(Token::PLUS), tokens.text(Token::HASH)), ("a", "+", "#"));
    tokens.release(a);
    assert_eq!(tokens.find("a"), Some(a));
    tokens.release(a);
    assert_eq!(tokens.find("a"), None);
    assert_eq!(tokens.find("b"), Some(b));
    tokens.release(b);
    assert!(tokens.is_empty());
}

#[test]
fn numbers_are_used_again() {
    let mut tokens = Tokens::default();
    for round in 0..5 {
        let all: Vec<Token> = (0..1000).map(|number| tokens.acquire(&format!("{round}/{number}"))).collect();
        for (number, token) in (0..).zip(&all) {
            assert_eq!(tokens.text(*token), format!("{round}/{number}"));
        }
        assert!(all.iter().all(|token| token.0 < 1010), "numbers of levels that have gone are taken again");
        for token in all {
            tokens.release(token);
        }
    }
    assert_eq!(tokens.texts.len(), 2, "only the wildcards are left");
}

/// However long a level is, and where a short one ends in the middle of the bytes of a character's beginning.
#[test]
fn levels_of_every_length_come_back() {
    let mut tokens = Tokens::default();
    let texts: Vec<_> =
        (0..40).flat_map(|n| ["x".repeat(n), "\u{e9}".repeat(n), format!("{}\0", "y".repeat(n))]).collect();
    let all: Vec<Token> = texts.iter().map(|text| tokens.acquire(text)).collect();
    for (text, token) in texts.iter().zip(&all) {
        assert_eq!((tokens.find(text), tokens.text(*token)), (Some(*token), &**text));
    }
    for token in all {
        tokens.release(token);
    }
    assert!(tokens.is_empty());
}
