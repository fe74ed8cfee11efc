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
    /// Where in it the value begins, counted from 1.
    pub column: Option<usize>,
}

impl Setting {
    /// The place of the value.
    pub(crate) fn place(&self) -> Location {
        Location { column: self.column, ..self.at.clone() }
    }
}

/// Options of which every line counts and not the last one only.
const ADDING_UP: &[&str] = &["log_dest", "log_type", "websockets_origin", "websockets_trusted_proxy"];

/// Every line of this option counts.
pub(crate) fn adds_up(entry: &Entry) -> bool {
    ADDING_UP.contains(&entry.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options;

    #[test]
    fn all_that_add_up_are_options() {
        for word in ADDING_UP {
            assert!(options::find(word).is_some_and(adds_up), "{word}");
        }
    }
}
