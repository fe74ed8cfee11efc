//! The files that say who may come in and who may what: which there are, and reading them into the configuration. Each
//! file is read once, whoever names it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Config, Location, Remark, Severity};
use crate::acl::Rules;
use crate::passwords::Users;
use crate::psk::Keys;

/// All rules, those of each file once.
pub(crate) fn rules(config: &Config) -> Vec<&Rules> {
    let all = config.listeners.iter().map(|listener| &listener.acl).chain([&config.acl]);
    let mut rules: Vec<&Rules> = all.flatten().map(|rules| &**rules).collect();
    rules.sort_by_key(|rules| rules.file());
    rules.dedup_by_key(|rules| rules.file());
    rules
}

/// The files with rules.
pub(crate) fn rules_paths(config: &Config) -> Vec<PathBuf> {
    rules(config).into_iter().map(|rules| rules.file().to_owned()).collect()
}

/// The files with passwords.
pub(crate) fn password_paths(config: &Config) -> Vec<PathBuf> {
    let all = config.listeners.iter().map(|listener| &listener.users).chain([&config.users]);
    let mut paths: Vec<PathBuf> = all.flatten().map(|users| users.file().to_owned()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The rules of each file in the place of those of an empty one. Where a file cannot be used, there is an error among the
/// remarks.
pub(crate) fn read_rules(config: &mut Config, remarks: &mut Vec<Remark>) {
    for path in rules_paths(config) {
        let Some(rules) = Rules::read(&path, remarks).map(Arc::new) else { continue };
        if rules.is_about_users() && without_passwords(config, &path) {
            let file = path.display();
            let text =
                format!("What {file} grants a user is granted to whoever says that name: no password is asked for.");
            remarks.push(Remark::new(Severity::Warning, text).hint("name a password_file."));
        }
        let slots = config.listeners.iter_mut().map(|listener| &mut listener.acl).chain([&mut config.acl]);
        for slot in slots.flatten().filter(|slot| slot.file() == path) {
            *slot = Arc::clone(&rules);
        }
    }
}

/// A line wants clients whose names have wildcards in them to come under patterns.
pub(crate) fn refuse_wildcards_in_names(config: &Config, at: Location, remarks: &mut Vec<Remark>) {
    if let Some(rules) = rules(config).into_iter().find(|rules| rules.has_patterns()) {
        let text = format!(
            "'auth_plugin_deny_special_chars false' is not available with the patterns of {}.",
            rules.file().display()
        );
        let hint = "remove the line: a client that calls itself '#' would be granted every topic.";
        remarks.push(Remark::new(Severity::Error, text).at(Some(at)).hint(hint));
    }
}

/// Somebody who has no password comes under the rules of this file.
fn without_passwords(config: &Config, acl_file: &Path) -> bool {
    let is_here = |acl: &Option<Arc<Rules>>| acl.as_ref().is_some_and(|rules| rules.file() == acl_file);
    let common = is_here(&config.acl) && config.users.is_none();
    common || config.listeners.iter().any(|listener| is_here(&listener.acl) && listener.users.is_none())
}

/// The users of each file in the place of those of an empty one. Where a file cannot be used, there is an error among the
/// remarks.
pub(crate) fn read_passwords(config: &mut Config, remarks: &mut Vec<Remark>) {
    for path in password_paths(config) {
        let Some(users) = Users::read(&path, remarks).map(Arc::new) else { continue };
        let slots = config.listeners.iter_mut().map(|listener| &mut listener.users).chain([&mut config.users]);
        for slot in slots.flatten().filter(|slot| slot.file() == path) {
            *slot = Arc::clone(&users);
        }
    }
}

/// The files with keys.
pub(crate) fn psk_paths(config: &Config) -> Vec<PathBuf> {
    let all = config.listeners.iter().filter_map(|listener| listener.keys.as_ref());
    let mut paths: Vec<PathBuf> = all.map(|keys| keys.file().to_owned()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The keys of each file in the place of those of an empty one. Where a file cannot be used, there is an error among the
/// remarks.
pub(crate) fn read_keys(config: &mut Config, remarks: &mut Vec<Remark>) {
    for path in psk_paths(config) {
        let Some(keys) = Keys::read(&path, remarks).map(Arc::new) else { continue };
        let slots = config.listeners.iter_mut().filter_map(|listener| listener.keys.as_mut());
        for slot in slots.filter(|slot| slot.file() == path) {
            *slot = Arc::clone(&keys);
        }
    }
}
