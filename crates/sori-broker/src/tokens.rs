//! The levels of topic filters as numbers, each text kept once.

use crate::slab::Slab;
use crate::table::Table;
use alloc::boxed::Box;
use core::hash::BuildHasher;
use hashbrown::DefaultHashBuilder;

/// A level of a topic filter.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub(crate) struct Token(pub(crate) u32);

impl Token {
    /// The level `+`.
    pub(crate) const PLUS: Token = Token(0);
    /// The level `#`.
    pub(crate) const HASH: Token = Token(1);
}

/// A text that takes no memory of its own when it is short, as most levels are.
#[derive(Debug)]
enum Text {
    Short {
        length: u8,
        bytes: [u8; SHORT_BYTES_MAX],
    },
    /// Boxed twice, so that the short ones need no room for a length of eight bytes.
    Long(Box<Box<[u8]>>),
}

const SHORT_BYTES_MAX: usize = 14;

impl Default for Text {
    fn default() -> Text {
        Text::Short { length: 0, bytes: [0; SHORT_BYTES_MAX] }
    }
}

impl Text {
    fn new(text: &str) -> Text {
        let mut bytes = [0; SHORT_BYTES_MAX];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Text::Short { length: text.len() as u8, bytes }
            }
            None => Text::Long(Box::new(Box::from(text.as_bytes()))),
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Short { length, bytes } => &bytes[..usize::from(*length)],
            Text::Long(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tokens {
    hasher: DefaultHashBuilder,
    by_text: Table<u32>,
    /// Each with the number of its users.
    texts: Slab<(Text, u32)>,
}

impl Default for Tokens {
    fn default() -> Tokens {
        let mut tokens =
            Tokens { hasher: DefaultHashBuilder::default(), by_text: Table::default(), texts: Slab::default() };
        assert_eq!(tokens.acquire("+"), Token::PLUS, "the first token");
        assert_eq!(tokens.acquire("#"), Token::HASH, "the second token");
        tokens
    }
}

impl Tokens {
    pub(crate) fn find(&self, text: &str) -> Option<Token> {
        let text = text.as_bytes();
        self.by_text.find(self.hasher.hash_one(text), |&t| self.texts[t].0.as_bytes() == text).map(|&t| Token(t))
    }

    /// The token of `text`, used once more.
    pub(crate) fn acquire(&mut self, text: &str) -> Token {
        if let Some(token) = self.find(text) {
            self.texts[token.0].1 += 1;
            return token;
        }
        let number = self.texts.insert((Text::new(text), 1));
        let (hasher, texts) = (&self.hasher, &self.texts);
        let hash = |t: u32| hasher.hash_one(texts[t].0.as_bytes());
        self.by_text.insert_unique(hash(number), number, |&t| hash(t));
        Token(number)
    }

    /// Used once less; forgotten when nobody uses it.
    pub(crate) fn release(&mut self, token: Token) {
        let entry = &mut self.texts[token.0];
        entry.1 -= 1;
        if entry.1 > 0 {
            return;
        }
        let (hasher, texts) = (&self.hasher, &self.texts);
        let hash = |t: u32| hasher.hash_one(texts[t].0.as_bytes());
        self.by_text.remove(hash(token.0), |&t| t == token.0, |&t| hash(t));
        self.texts.remove(token.0);
    }

    /// Is there no level in use but the two wildcards?
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_text.len() == 2
    }

    pub(crate) fn text(&self, token: Token) -> &str {
        core::str::from_utf8(self.texts[token.0].0.as_bytes()).expect("it was a text when it came")
    }
}

#[cfg(test)]
mod tests;
