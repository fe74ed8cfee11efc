//! The levels of topic filters as numbers, each text kept once.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};

/// A level of a topic filter.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub(crate) struct Token(pub(crate) u32);

impl Token {
    /// The level `+`.
    pub(crate) const PLUS: Token = Token(0);
    /// The level `#`.
    pub(crate) const HASH: Token = Token(1);
}

#[derive(Debug)]
pub(crate) struct Tokens {
    hasher: DefaultHashBuilder,
    by_text: HashTable<u32>,
    texts: Vec<(Box<str>, u32)>,
    free: Vec<u32>,
}

impl Default for Tokens {
    fn default() -> Tokens {
        let mut tokens = Tokens {
            hasher: DefaultHashBuilder::default(),
            by_text: HashTable::new(),
            texts: Vec::new(),
            free: Vec::new(),
        };
        assert_eq!(tokens.acquire("+"), Token::PLUS, "the first token");
        assert_eq!(tokens.acquire("#"), Token::HASH, "the second token");
        tokens
    }
}

impl Tokens {
    pub(crate) fn find(&self, text: &str) -> Option<Token> {
        self.by_text.find(self.hasher.hash_one(text), |&t| *self.texts[t as usize].0 == *text).map(|&t| Token(t))
    }

    /// The token of `text`, used once more.
    pub(crate) fn acquire(&mut self, text: &str) -> Token {
        if let Some(token) = self.find(text) {
            self.texts[token.0 as usize].1 += 1;
            return token;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.texts.push((Box::default(), 0));
            u32::try_from(self.texts.len() - 1).expect("fewer than 2^32 levels fit in memory")
        });
        self.texts[number as usize] = (Box::from(text), 1);
        let (hasher, texts) = (&self.hasher, &self.texts);
        self.by_text.insert_unique(hasher.hash_one(text), number, |&t| hasher.hash_one(&*texts[t as usize].0));
        Token(number)
    }

    /// Used once less; forgotten when nobody uses it.
    pub(crate) fn release(&mut self, token: Token) {
        let entry = &mut self.texts[token.0 as usize];
        entry.1 -= 1;
        if entry.1 > 0 {
            return;
        }
        let hash = self.hasher.hash_one(&*entry.0);
        if let Ok(found) = self.by_text.find_entry(hash, |&t| t == token.0) {
            found.remove();
        }
        self.texts[token.0 as usize].0 = Box::default();
        self.free.push(token.0);
    }

    /// Is there no level in use but the two wildcards?
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_text.len() == 2
    }

    pub(crate) fn text(&self, token: Token) -> &str {
        &self.texts[token.0 as usize].0
    }
}

#[cfg(test)]
mod tests;
