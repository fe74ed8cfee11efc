//! The lines that were understood, in their order: what was set, to what, for which listener, and where. From them come
//! `sori config show`, the conversion between the two forms of a file, and the lines that later checks point at.

use super::option::Entry;
use super::remark::Location;

/// One option with the value that a line gave it.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The option.
    pub entry: &'static Entry,
    /// The word that was used; it is another than the entry's first for an alias and for a word like `plugin_opt_*`.
    pub word: String,
    /// The number of the listener that it holds for, in the order of the file; `None`: it holds for the whole broker.
    pub listener: Option<usize>,
    /// The value as it would stand in a `mosquitto.conf`, without a comment.
    pub value: String,
    /// The line.
    pub at: Location,
}

/// The latest setting of an option, by its first word. A listener has its own values only.
pub fn latest<'a>(settings: &'a [Setting], word: &str, listener: Option<usize>) -> Option<&'a Setting> {
    settings.iter().rev().find(|setting| setting.entry.word() == word && setting.listener == listener)
}
