//! Rules that can never decide anything, which is seldom what was meant.

use super::outline::{Line, Owner};
use super::rules::{Right, Rules};
use crate::config::{Config, Location, Remark, Severity};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Rules {
    /// Warnings about rules that never match under this configuration. The file is read once more for it.
    pub(crate) fn examine(&self, config: &Config, remarks: &mut Vec<Remark>) {
        let mut warn = |line: usize, text: String, hint: &str| {
            let at = Location::line(Arc::from(self.file()), line);
            remarks.push(Remark::new(Severity::Warning, text).at(Some(at)).hint(hint));
        };
        let mut by_owner: BTreeMap<Owner, Vec<Line>> = BTreeMap::new();
        for (owner, line) in Rules::outline(self.file()) {
            by_owner.entry(owner).or_default().push(line);
        }
        if !config.listeners.iter().any(|listener| listener.allow_anonymous)
            && let Some(first) = by_owner.get(&Owner::Anonymous).and_then(|lines| lines.first())
        {
            let text = "Rules above the first 'user' are for clients without user name, and no listener lets them in.";
            warn(first.number, text.to_owned(), "write `user <name>` above them, or begin them with `pattern`.");
        }
        let mounts: Option<Vec<&str>> =
            config.listeners.iter().map(|listener| listener.mount_point.as_deref()).collect();
        for lines in by_owner.values() {
            let denials: Vec<&Line> = lines.iter().filter(|line| line.right == Right::Deny).collect();
            for line in lines.iter().filter(|line| line.right != Right::Deny) {
                if let Some(denial) = denials.iter().find(|denial| denial.covers(line)) {
                    let text = format!(
                        "The rule for '{}' never grants anything: line {} denies all of it.",
                        line.text, denial.number
                    );
                    warn(line.number, text, "a deny counts before what grants, wherever it stands.");
                }
                if let Some(mounts) = &mounts
                    && !mounts.iter().any(|mount| line.may_begin_with(mount))
                {
                    let text = format!("The rule for '{}' never matches: no mount_point begins so.", line.text);
                    warn(
                        line.number,
                        text,
                        "topics are compared with the mount point of their listener in front of them.",
                    );
                }
            }
        }
    }
}

impl Line {
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
