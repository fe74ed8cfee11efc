//! Why a client may come in, or do something with a topic, or may not: the same decisions as those of the running broker,
//! with the line that makes them.

use crate::acl::{Client, Decision, Rules};
use crate::config::{Config, ListenerConfig, Location};
use crate::passwords::Users;
pub use sori_broker::Action;
use sori_broker::is_reserved;
use std::path::Path;
use std::sync::Arc;

/// The rules for the clients of one listener, or those of one file.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    /// May a client connect without a user name?
    pub allow_anonymous: bool,
    /// Who has which password.
    pub users: Option<Arc<Users>>,
    /// Who may what.
    pub acl: Option<Arc<Rules>>,
    /// What is put before every topic.
    pub mount_point: Option<String>,
}

/// A decision and its reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// It may.
    pub is_allowed: bool,
    /// Why, in words without a full stop.
    pub reason: String,
    /// The line that decided, if one did.
    pub rule: Option<Location>,
}

impl Rulebook {
    /// What holds for the clients of a listener.
    #[must_use]
    pub fn of(config: &Config, listener: &ListenerConfig) -> Rulebook {
        let (users, acl) = match config.per_listener_settings {
            true => (&listener.users, &listener.acl),
            false => (&config.users, &config.acl),
        };
        Rulebook {
            allow_anonymous: listener.allow_anonymous,
            users: users.clone(),
            acl: acl.clone(),
            mount_point: listener.mount_point.clone(),
        }
    }

    /// Would this client be let in, with the right password if it needs one?
    #[must_use]
    pub fn login(&self, user_name: Option<&str>) -> Answer {
        let answer = |is_allowed, reason: String| Answer { is_allowed, reason, rule: None };
        match (user_name, &self.users) {
            (Some(name), Some(users)) => match users.find(name) {
                Some(user) => {
                    let rule = Some(Location::line(users.file().into(), user.line));
                    let reason = format!("with the password of {}:{}", users.file().display(), user.line);
                    Answer { is_allowed: true, reason, rule }
                }
                None => answer(false, format!("{} has no such user", users.file().display())),
            },
            (Some(_), None) if self.allow_anonymous => {
                answer(true, "with any name: there is no password_file, and allow_anonymous is true".to_owned())
            }
            (None, _) if self.allow_anonymous => answer(true, "allow_anonymous is true".to_owned()),
            (Some(_), None) => answer(false, "there is no password_file, and allow_anonymous is false".to_owned()),
            (None, Some(_) | None) => answer(false, "allow_anonymous is false".to_owned()),
        }
    }

    /// May a client that has been let in do this? `topic` is as the client says it.
    #[must_use]
    pub fn may(&self, client: Client<'_>, action: Action, topic: &str) -> Answer {
        let mounted = self.mount_point.as_ref().map(|mount| format!("{mount}{topic}"));
        let topic = mounted.as_deref().unwrap_or(topic);
        if action == Action::Publish && is_reserved(topic) {
            let reason = "what begins with $SYS/ is the broker's own, and $share/ is for subscriptions".to_owned();
            return Answer { is_allowed: false, reason, rule: None };
        }
        let Some(rules) = &self.acl else {
            return Answer { is_allowed: true, reason: "there is no acl_file".to_owned(), rule: None };
        };
        let decision = rules.decide(client, action, topic);
        let line = match decision {
            Decision::Granted(line) | Decision::Denied(line) => Some(line),
            Decision::NotChecked | Decision::NotGranted | Decision::UnfitName => None,
        };
        let reason = match decision {
            Decision::NotChecked => "everybody may; each message that would be sent is asked for as `read`".to_owned(),
            decision => rules.reason(decision),
        };
        let rule = line.map(|line| Location::line(rules.file().into(), line));
        Answer { is_allowed: decision.is_allowed(), reason, rule }
    }
}

/// A line of a file as it stands there now, without blanks around it.
#[must_use]
pub fn line_of(file: &Path, line: usize) -> Option<String> {
    let text = std::fs::read(file).ok()?;
    let bytes = text.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    Some(String::from_utf8_lossy(bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::{Hashed, Scheme};

    fn book() -> Rulebook {
        let hashed = Hashed::of_password(Scheme::Pbkdf2 { iterations: 1 }, b"x").expect("random numbers");
        let text = format!("# users\nann:{hashed}\n");
        let users = Users::parse(Path::new("users"), text.as_bytes(), &mut Vec::new()).map(Arc::new);
        let acl = b"user ann\ntopic read a/#\ntopic deny a/b\npattern home/%c\n";
        let acl = Rules::parse(Path::new("acl"), acl, &mut Vec::new()).map(Arc::new);
        Rulebook { allow_anonymous: false, users, acl, mount_point: None }
    }

    #[test]
    fn a_login_is_explained() {
        let closed = book();
        let open = Rulebook { allow_anonymous: true, ..book() };
        let without = Rulebook { users: None, ..open.clone() };
        for (book, name, is_allowed, reason) in [
            (&closed, Some("ann"), true, "with the password of users:2"),
            (&closed, Some("bob"), false, "users has no such user"),
            (&closed, None, false, "allow_anonymous is false"),
            (&open, Some("bob"), false, "users has no such user"),
            (&open, None, true, "allow_anonymous is true"),
            (&without, Some("bob"), true, "with any name: there is no password_file, and allow_anonymous is true"),
            (
                &Rulebook { allow_anonymous: false, ..without.clone() },
                Some("bob"),
                false,
                "there is no password_file, and allow_anonymous is false",
            ),
        ] {
            let answer = book.login(name);
            assert_eq!((answer.is_allowed, answer.reason.as_str()), (is_allowed, reason), "{name:?}");
        }
    }

    #[test]
    fn what_a_client_may_is_explained_with_its_line() {
        let client = Client { client_id: "c1", user_name: Some("ann") };
        for (action, topic, is_allowed, line) in [
            (Action::Receive, "a/x", true, Some(2)),
            (Action::Receive, "a/b", false, Some(3)),
            (Action::Publish, "a/x", false, None),
            (Action::Publish, "home/c1", true, Some(4)),
            (Action::Publish, "$SYS/x", false, None),
            (Action::Subscribe, "#", true, None),
        ] {
            let answer = book().may(client, action, topic);
            assert_eq!((answer.is_allowed, answer.rule.map(|rule| rule.line)), (is_allowed, line), "{topic}");
        }
        let mounted = Rulebook { mount_point: Some("a/".to_owned()), ..book() };
        assert!(mounted.may(client, Action::Receive, "x").is_allowed);
        assert!(!mounted.may(client, Action::Receive, "a/x/../b").reason.is_empty());
        let free = Rulebook { acl: None, ..book() };
        assert_eq!(free.may(client, Action::Publish, "x").reason, "there is no acl_file");
    }
}
