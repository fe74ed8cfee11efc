//! The rules of a file, arranged so that a check makes nothing and looks at little.

use super::filter::{self, Filter};
use sori_broker::Action;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The rules of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    file: Arc<Path>,
    anonymous: List,
    users: HashMap<Box<str>, List>,
    patterns: List,
}

/// Who wants something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client<'a> {
    /// Its client identifier.
    pub client_id: &'a str,
    /// Its user name, if it has one.
    pub user_name: Option<&'a str>,
}

/// What the rules say, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The rules are not about that.
    NotChecked,
    /// The rule in this line grants it.
    Granted(usize),
    /// The rule in this line denies it.
    Denied(usize),
    /// No rule grants it.
    NotGranted,
    /// There are patterns, and the client identifier or the user name holds a wildcard.
    UnfitName,
}

impl Decision {
    /// The client may do what it wants.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        matches!(self, Decision::NotChecked | Decision::Granted(_))
    }
}

/// What a line says about its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    Write,
    ReadWrite,
    Deny,
}

impl Right {
    fn grants(self, access: Right) -> bool {
        self == access || self == Right::ReadWrite
    }
}

/// Whom a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose<'a> {
    Anonymous,
    User(&'a str),
    Everybody,
}

impl Rules {
    /// The rules of an empty file, which allow nothing.
    #[must_use]
    pub fn none(file: &Path) -> Rules {
        let (anonymous, users, patterns) = (List::default(), HashMap::new(), List::default());
        Rules { file: file.into(), anonymous, users, patterns }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// They tell users apart, or those who have a name from those who have none.
    pub(crate) fn is_about_users(&self) -> bool {
        !self.users.is_empty() || self.patterns.is_about_users()
    }

    /// They have lines that are for everybody.
    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    pub(super) fn add(&mut self, whose: Whose<'_>, right: Right, text: &str, line: usize) {
        let (list, is_pattern) = match whose {
            Whose::Anonymous => (&mut self.anonymous, false),
            Whose::User(name) => (self.users.entry(name.into()).or_default(), false),
            Whose::Everybody => (&mut self.patterns, true),
        };
        list.add(right, text, is_pattern, line);
    }

    /// May this client do this, and which line says so?
    #[must_use]
    pub fn decide(&self, client: Client<'_>, action: Action, topic: &str) -> Decision {
        let access = match action {
            Action::Publish => Right::Write,
            Action::Receive => Right::Read,
            Action::Subscribe | Action::Unsubscribe => return Decision::NotChecked,
        };
        let own = match client.user_name {
            Some(name) => self.users.get(name),
            None => Some(&self.anonymous),
        };
        let own = own.and_then(|list| list.decide(client, access, topic));
        own.unwrap_or_else(|| self.decide_by_patterns(client, access, topic))
    }

    fn decide_by_patterns(&self, client: Client<'_>, access: Right, topic: &str) -> Decision {
        if self.patterns.is_empty() {
            return Decision::NotGranted;
        }
        if has_wildcard(client.client_id) || client.user_name.is_some_and(has_wildcard) {
            return Decision::UnfitName;
        }
        self.patterns.decide(client, access, topic).unwrap_or(Decision::NotGranted)
    }

    /// Why it was decided so, in words.
    #[must_use]
    pub fn reason(&self, decision: Decision) -> String {
        let file = self.file.display();
        match decision {
            Decision::NotChecked => format!("{file} is not about that"),
            Decision::Granted(line) => format!("granted by {file}:{line}"),
            Decision::Denied(line) => format!("denied by {file}:{line}"),
            Decision::NotGranted => format!("no line of {file} grants it"),
            Decision::UnfitName => {
                format!("{file} has patterns, and the client identifier or user name has a wildcard")
            }
        }
    }
}

/// A name like that, put into a pattern, would be one itself (CVE-2017-7650).
fn has_wildcard(name: &str) -> bool {
    name.contains(['+', '#'])
}

/// Rules of which a matching denial counts before all that grant something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct List {
    /// Those that are for one topic each, by their topic.
    plain: HashMap<Box<str>, Plain>,
    /// The others that deny, and their lines.
    denials: Vec<(Filter, usize)>,
    /// The others that grant something, and their lines.
    grants: Vec<(Filter, Right, usize)>,
}

/// All rules for one topic, as the first lines that say something about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Plain {
    denied: Option<usize>,
    readable: Option<usize>,
    writable: Option<usize>,
}

impl List {
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.denials.is_empty() && self.grants.is_empty()
    }

    fn is_about_users(&self) -> bool {
        let filters =
            self.denials.iter().map(|(filter, _)| filter).chain(self.grants.iter().map(|(filter, ..)| filter));
        filters.into_iter().any(Filter::needs_user)
    }

    fn add(&mut self, right: Right, text: &str, is_pattern: bool, line: usize) {
        if filter::is_plain(text, is_pattern) {
            return self.plain.entry(text.into()).or_default().add(right, line);
        }
        let filter = Filter::new(text, is_pattern);
        match right {
            Right::Deny => self.denials.push((filter, line)),
            _ => self.grants.push((filter, right, line)),
        }
    }

    fn decide(&self, client: Client<'_>, access: Right, topic: &str) -> Option<Decision> {
        let plain = self.plain.get(topic).copied().unwrap_or_default();
        let denied = || self.denials.iter().find(|(filter, _)| filter.matches(topic, client)).map(|(_, line)| *line);
        if let Some(line) = plain.denied.or_else(denied) {
            return Some(Decision::Denied(line));
        }
        let is_granted = |filter: &Filter, right: Right| right.grants(access) && filter.matches(topic, client);
        let granted =
            || self.grants.iter().find(|(filter, right, _)| is_granted(filter, *right)).map(|(_, _, line)| *line);
        plain.granted(access).or_else(granted).map(Decision::Granted)
    }
}

impl Plain {
    fn add(&mut self, right: Right, line: usize) {
        if right == Right::Deny {
            self.denied.get_or_insert(line);
        }
        if right.grants(Right::Read) {
            self.readable.get_or_insert(line);
        }
        if right.grants(Right::Write) {
            self.writable.get_or_insert(line);
        }
    }

    fn granted(self, access: Right) -> Option<usize> {
        if access == Right::Read { self.readable } else { self.writable }
    }
}
