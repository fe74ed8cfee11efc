//! The lines of a file as they were written, for those who look at a file and not at a client.

use super::parse::Reader;
use super::rules::{Right, Rules, Whose};
use std::path::Path;

/// Whom a line is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// Clients without a user name.
    Anonymous,
    /// This user.
    User(String),
    /// Everybody: it is a pattern.
    Everybody,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it grants or denies.
    pub(super) right: Right,
    /// The filter.
    pub(super) text: String,
    /// Counted from 1.
    pub(super) number: usize,
}

impl Rules {
    /// The rules of a file in their order; none when it cannot be read.
    pub(crate) fn outline(file: &Path) -> Vec<(Owner, Line)> {
        Reader::outline(file)
    }
}

impl Owner {
    pub(super) fn of(whose: Whose<'_>) -> Owner {
        match whose {
            Whose::Anonymous => Owner::Anonymous,
            Whose::User(name) => Owner::User(name.to_owned()),
            Whose::Everybody => Owner::Everybody,
        }
    }
}
