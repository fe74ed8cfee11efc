//! The one table of options. Each entry holds an option's words, scope, value, default, effect and help; to add an
//! option is to add an entry.

mod general;
mod later;
mod limits;
mod listeners;
mod logging;
mod persistence;
mod plugins;
mod proxy;
mod psk;
mod tls;
mod websockets;

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use super::option::Entry;

/// Options that belong together.
#[derive(Debug)]
pub struct Theme {
    /// The heading in the manual.
    pub title: &'static str,
    /// The entries, in alphabetical order.
    pub entries: &'static [Entry],
}

/// All options.
pub const THEMES: &[Theme] = &[
    Theme { title: "Listeners", entries: listeners::ENTRIES },
    Theme { title: "TLS", entries: tls::ENTRIES },
    Theme { title: "TLS with pre-shared keys", entries: psk::ENTRIES },
    Theme { title: "WebSocket", entries: websockets::ENTRIES },
    Theme { title: "Behind a proxy", entries: proxy::ENTRIES },
    Theme { title: "Clients, sessions and messages", entries: general::ENTRIES },
    Theme { title: "Limits", entries: limits::ENTRIES },
    Theme { title: "Logging", entries: logging::ENTRIES },
    Theme { title: "Persistence", entries: persistence::ENTRIES },
    Theme { title: "Plugins", entries: plugins::ENTRIES },
    Theme { title: "Known, but not in this version", entries: later::ENTRIES },
];

/// All options without their themes.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    THEMES.iter().flat_map(|theme| theme.entries)
}

/// The entry of a word.
pub fn find(word: &str) -> Option<&'static Entry> {
    let exact = all().find(|entry| entry.words.contains(&word));
    exact.or_else(|| all().find(|entry| entry.words.iter().any(|w| stands_for(w, word))))
}

fn stands_for(pattern: &str, word: &str) -> bool {
    pattern.strip_suffix('*').is_some_and(|prefix| word.starts_with(prefix))
}

// A limit in a file is "off" at 0 and below; in the configuration it is then absent, so that nothing ever divides by
// it or compares with it.

fn limit_u16(number: i64) -> Option<NonZeroU16> {
    u16::try_from(number.max(0)).ok().and_then(NonZeroU16::new)
}

fn limit_u32(number: i64) -> Option<NonZeroU32> {
    u32::try_from(number.max(0)).ok().and_then(NonZeroU32::new)
}

fn limit_u64(number: i64) -> Option<NonZeroU64> {
    u64::try_from(number.max(0)).ok().and_then(NonZeroU64::new)
}
