//! Rules that can never decide anything, which is seldom what was meant.

use super::outline::{Line, Owner};
use super::rules::{Right, Rules};
use crate::config::{Config, ListenerConfig, Location, Remark, Severity};
use crate::passwords::Users;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Rules {
    /// Warnings about rules that never match under this configuration. The file is read once more for it.
    pub(crate) fn examine(&self, config: &Config, remarks: &mut Vec<Remark>) {
        let mut warn = |line: usize, text: String, hint: &str| {
            let at = Location::line(Arc::from(self.file()), line);
            remarks.push(Remark::new(Severity::Warning, text).at(Some(at)).hint(hint));
        };
        let listeners = Ways::new(self, config);
        let mut by_owner: BTreeMap<Owner, Vec<Line>> = BTreeMap::new();
        for (owner, line) in Rules::outline(self.file()) {
            by_owner.entry(owner).or_default().push(line);
        }
        for (owner, lines) in &by_owner {
            if let (Some((text, hint)), Some(first)) = (listeners.never_in(owner), lines.first()) {
                warn(first.number, text, hint);
            }
            let denials: Vec<&Line> = lines.iter().filter(|line| line.right == Right::Deny).collect();
            for line in lines.iter().filter(|line| line.right != Right::Deny) {
                if let Some((text, hint)) = line.never_grants(&denials).or_else(|| listeners.never_matched(line)) {
                    warn(line.number, text, hint);
                }
            }
        }
    }
}

/// The ways in for those whom the rules of a file are about.
struct Ways<'a> {
    listeners: Vec<&'a ListenerConfig>,
    /// With which passwords each of them lets in.
    users: Vec<Option<&'a Users>>,
}

/// What is to be said about a rule, and what to do about it.
type Told = (String, &'static str);

impl<'a> Ways<'a> {
    fn new(rules: &Rules, config: &'a Config) -> Ways<'a> {
        let is_here = |acl: &Option<Arc<Rules>>| acl.as_ref().is_some_and(|acl| acl.file() == rules.file());
        let is_own = config.per_listener_settings;
        let listeners: Vec<&ListenerConfig> =
            config.listeners.iter().filter(|listener| !is_own || is_here(&listener.acl)).collect();
        let users_of = |listener: &&'a ListenerConfig| {
            let users = if is_own { &listener.users } else { &config.users };
            users.as_deref()
        };
        Ways { users: listeners.iter().map(users_of).collect(), listeners }
    }

    /// No listener lets them in.
    fn never_in(&self, owner: &Owner) -> Option<Told> {
        let mut ways = self.listeners.iter().zip(&self.users);
        match owner {
            Owner::Anonymous if !ways.any(|(listener, _)| listener.allow_anonymous) => Some((
                "Rules above the first 'user' are for clients without user name, and no listener lets them in."
                    .to_owned(),
                "write `user <name>` above them, or begin them with `pattern`.",
            )),
            Owner::User(name) if !ways.any(|(listener, users)| lets_in(listener, *users, name)) => {
                let files: BTreeSet<String> =
                    self.users.iter().flatten().map(|users| users.file().display().to_string()).collect();
                let files: Vec<String> = files.into_iter().collect();
                let text = format!(
                    "The user '{}' never comes in: {} has no such name.",
                    name.escape_debug(),
                    files.join(", ")
                );
                Some((text, "correct the name, or give the user a password with `sori passwd`."))
            }
            _ => None,
        }
    }

    /// No topic of any of their clients is like that.
    fn never_matched(&self, line: &Line) -> Option<Told> {
        let mounts: Option<Vec<&str>> = self.listeners.iter().map(|listener| listener.mount_point.as_deref()).collect();
        let is_mounted = |mount: &&str| line.may_begin_with(mount);
        mounts.filter(|mounts| !mounts.is_empty() && !mounts.iter().any(is_mounted)).map(|_| {
            let text = format!("The rule for '{}' never matches: no mount_point begins so.", line.text);
            (text, "topics are compared with the mount point of their listener in front of them.")
        })
    }
}

/// A client with this name may come in here. A file without users is told of elsewhere, if it is not as it should be.
fn lets_in(listener: &ListenerConfig, users: Option<&Users>, name: &str) -> bool {
    let is_known = |users: &Users| users.entries().is_empty() || users.find(name).is_some();
    listener.transport.names_its_clients() || users.is_none_or(is_known)
}

impl Line {
    /// Something is in its way.
    fn never_grants(&self, denials: &[&Line]) -> Option<Told> {
        if let Some(denial) = denials.iter().find(|denial| denial.covers(self)) {
            let text =
                format!("The rule for '{}' never grants anything: line {} denies all of it.", self.text, denial.number);
            return Some((text, "a deny counts before what grants, wherever it stands."));
        }
        let first = self.text.split('/').next();
        if first == Some("$share") {
            let text = format!("The rule for '{}' never matches: no topic begins with $share.", self.text);
            return Some((
                text,
                "write the filter that follows the group's name; rules hold for shared subscriptions too.",
            ));
        }
        if first == Some("$SYS") && self.right == Right::Write && !self.text.starts_with("$SYS/broker/connection/") {
            let text = format!("The rule for '{}' never grants anything: only the broker writes $SYS.", self.text);
            return Some((text, "remove it, or grant `read`."));
        }
        None
    }

    /// Whatever `other` matches, this line matches too. Both are of one owner.
    fn covers(&self, other: &Line) -> bool {
        if self.text.starts_with('$') != other.text.starts_with('$') {
            return false;
        }
        let (mut own, mut others) = (self.text.split('/'), other.text.split('/'));
        loop {
            match (own.next(), others.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("+"), Some(level)) if level != "#" => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// Could a topic that begins with `prefix` match? When in doubt, yes.
    fn may_begin_with(&self, prefix: &str) -> bool {
        let mut levels = self.text.split('/');
        let mut names = prefix.split('/').peekable();
        while let Some(name) = names.next() {
            let is_whole = names.peek().is_some();
            match levels.next() {
                Some("#") => return true,
                Some("+" | "%c" | "%u") => {}
                Some(level) if level == name || !is_whole && level.starts_with(name) => {}
                _ => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { right: Right::Read, text: text.to_owned(), number: 1 }
    }

    #[test]
    fn a_filter_covers_what_it_matches_all_of() {
        for (wide, narrow) in
            [("#", "a/b"), ("a/#", "a"), ("a/#", "a/+/b"), ("+/b", "a/b"), ("a", "a"), ("$SYS/#", "$SYS/a")]
        {
            assert!(line(wide).covers(&line(narrow)), "{wide} {narrow}");
        }
        for (wide, narrow) in [("a/b", "#"), ("+", "#"), ("+/b", "a"), ("a", "a/b"), ("#", "$SYS/a"), ("a", "b")] {
            assert!(!line(wide).covers(&line(narrow)), "{wide} {narrow}");
        }
    }

    #[test]
    fn a_mount_point_is_the_beginning_of_a_topic() {
        for (filter, prefix) in
            [("a/b", "a/"), ("a/#", "a/b/"), ("#", "a/"), ("+/b", "a/"), ("ab/c", "a"), ("a/+/c", "a/b")]
        {
            assert!(line(filter).may_begin_with(prefix), "{filter} {prefix}");
        }
        for (filter, prefix) in [("b", "a/"), ("a", "a/"), ("b/#", "a"), ("a/c", "a/b/")] {
            assert!(!line(filter).may_begin_with(prefix), "{filter} {prefix}");
        }
    }
}
