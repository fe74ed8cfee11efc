//! The lines about plugins: `plugin` and its relatives, and what stands below them.
//!
//! A line of a plugin that is built in is read as the options that say the same, with the place and the checks that those
//! have; [`plugins`](super::super::plugins) is the table.

use super::super::complaint::{Checked, Complaint, read_flag, read_text, read_words};
use super::super::option::{Entry, Scope, Takes};
use super::super::plugins::{self, Becomes, BuiltIn, Known, Means};
use super::super::remark::{Location, Remark, Severity};
use super::super::setting::Setting;
use super::super::{options, suggest, value};
use super::{Reader, Scene};

/// What the options below belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum Above {
    /// No plugin's line.
    #[default]
    Nothing,
    /// The line of a plugin that was refused, which has been told.
    Refused,
    /// The plugin of this number.
    Plugin(usize),
}

/// A plugin that is built in, while the file is read.
#[derive(Debug)]
pub(super) struct Plugin {
    known: &'static Known,
    built_in: &'static BuiltIn,
    /// Its path, for people.
    path: String,
    at: Location,
    /// The listener of its line.
    listener: Option<usize>,
    /// The name that `plugin_load` gave it: it counts where `plugin_use` says so.
    name: Option<String>,
    /// The options that were read.
    keys: Vec<&'static str>,
    /// What it says to each listener that uses it.
    lines: Vec<Line>,
    is_used: bool,
}

/// A line of the file in other words.
#[derive(Debug, Clone)]
struct Line {
    /// The word in the file.
    said: String,
    /// The word and the value that mean the same.
    word: &'static str,
    value: String,
    at: Location,
}

impl Reader {
    /// `plugin`, `auth_plugin`, `global_plugin`, `plugin_load` and `plugin_use`.
    pub(super) fn read_plugin(&mut self, scene: &mut Scene, word: &str, rest: &str) -> Checked {
        // Whatever becomes of it, the options below are not those of the plugin above.
        let above = std::mem::replace(&mut scene.plugin, Above::Refused);
        match word {
            "plugin_use" => {
                scene.plugin = above;
                self.use_plugin(scene, read_words(word, rest)?)
            }
            "plugin_load" => {
                let (name, path) = value::first_word(read_words(word, rest)?);
                if path.is_empty() {
                    let text = "The 'plugin_load' line names no object.".to_owned();
                    return Err(Complaint::from(text).hint("it is `plugin_load <name> <path>`."));
                }
                if self.plugins.iter().any(|plugin| plugin.name.as_deref() == Some(name)) {
                    let complaint = Complaint::from(format!("There is already a plugin '{name}'."));
                    return Err(complaint.hint("give each plugin_load a name of its own."));
                }
                let opened = self.open_plugin(scene, word, Some(name.to_owned()), path);
                if opened.is_err() {
                    self.refused_plugins.push(name.to_owned());
                }
                opened
            }
            _ => self.open_plugin(scene, word, None, read_text(word, rest, usize::MAX)?),
        }
    }

    fn open_plugin(&mut self, scene: &mut Scene, word: &str, name: Option<String>, path: &str) -> Checked {
        let refused = |hint: String| {
            Err(Complaint::from(format!("The plugin '{path}' cannot be loaded: sori runs no shared objects."))
                .hint(hint))
        };
        let known = plugins::find(path);
        let (known, built_in) = match known.map(|known| (known, &known.means)) {
            Some((known, Means::BuiltIn(built_in))) => (known, built_in),
            Some((_, Means::Missing(what))) => return refused(format!("{what}.")),
            None => {
                return refused(format!(
                    "built in are {}; without this plugin the broker may be open to whom it keeps out, so give the users \
                     a password_file and their rights an acl_file (docs/access.md), and remove the line.",
                    plugins::built_in()
                ));
            }
        };
        if word == "global_plugin" && built_in.is_security && self.draft.per_listener_settings {
            let text = format!("With per_listener_settings the plugin '{path}' cannot be for all listeners at once.");
            return Err(Complaint::from(text).hint("write a `plugin` line with its options below each listener."));
        }
        let listener = if word == "plugin" || word == "auth_plugin" { scene.listener } else { None };
        let lines = built_in.lines.iter().map(|(said, value)| (*said, (*value).to_owned())).collect();
        self.plugins.push(Plugin {
            known,
            built_in,
            path: path.to_owned(),
            at: scene.here(),
            listener,
            name,
            keys: Vec::new(),
            lines: Vec::new(),
            is_used: false,
        });
        scene.plugin = Above::Plugin(self.plugins.len() - 1);
        self.say_for_plugin(scene, self.plugins.len() - 1, word, lines)
    }

    /// An option below the line of a plugin.
    pub(super) fn read_plugin_option(&mut self, scene: &mut Scene, entry: &Entry, word: &str, rest: &str) -> Checked {
        let Above::Plugin(index) = scene.plugin else {
            // The value is read all the same, for the mistakes of its own.
            return self.read_plugin_value(entry, word, rest).map(|_| ());
        };
        let value = self.read_plugin_value(entry, word, rest)?;
        let Some(plugin) = self.plugins.get(index) else { return Ok(()) };
        let built_in = plugin.built_in;
        if word == "auth_plugin_deny_special_chars" {
            if value::flag(&value) == Some(false) && plugin.known.object == "mosquitto_acl_file" {
                self.draft.special_characters = Some(scene.here());
            }
            return Ok(());
        }
        let key = word.strip_prefix("plugin_opt_").or_else(|| word.strip_prefix("auth_opt_")).unwrap_or_default();
        let Some(option) = built_in.options.iter().find(|option| option.key == key) else {
            let keys: Vec<&str> = built_in.options.iter().map(|option| option.key).collect();
            let text = format!("The plugin '{}' has no option '{}'.", plugin.path, key.escape_debug());
            let hint = suggest::nearest(key, keys.iter().copied())
                .map(|meant| format!("did you mean 'plugin_opt_{meant}'?"))
                .unwrap_or_else(|| format!("it has plugin_opt_{}.", keys.join(", plugin_opt_")));
            return Err(Complaint::about_word(text).hint(hint));
        };
        if plugin.is_used && built_in.is_security {
            let text = format!("The '{word}' option stands below a 'plugin_use' of its plugin.");
            return Err(Complaint::about_word(text).hint("move it above, to its plugin_load."));
        }
        let lines = match option.becomes {
            Becomes::Lines(lines) => lines(&mut self.draft, &value).map_err(Complaint::from)?,
            Becomes::Nothing(instead) => {
                let text = format!("The '{word}' option is not needed: {instead}.");
                self.remark(Severity::Notice, scene, text);
                Vec::new()
            }
        };
        if let Some(plugin) = self.plugins.get_mut(index) {
            plugin.keys.push(option.key);
        }
        self.say_for_plugin(scene, index, word, lines)
    }

    fn read_plugin_value(&mut self, entry: &Entry, word: &str, rest: &str) -> Checked<String> {
        let (first, _) = value::first_word(rest);
        match entry.takes {
            Takes::Flag(_) => read_flag(word, first).map(|_| first.to_owned()),
            _ => read_text(word, rest, usize::MAX).map(str::to_owned),
        }
    }

    /// What a line of the plugin means: at once, or where it is used.
    fn say_for_plugin(
        &mut self,
        scene: &mut Scene,
        index: usize,
        said: &str,
        lines: Vec<(&'static str, String)>,
    ) -> Checked {
        let Some(plugin) = self.plugins.get_mut(index) else { return Ok(()) };
        let at = scene.here();
        let lines = lines.into_iter().map(|(word, value)| Line { said: said.to_owned(), word, value, at: at.clone() });
        if plugin.name.is_some() && plugin.built_in.is_security {
            plugin.lines.extend(lines);
            return Ok(());
        }
        let listener = plugin.listener;
        let lines: Vec<Line> = lines.collect();
        lines.iter().try_for_each(|line| self.say(scene, listener, line))
    }

    /// `plugin_use`: the plugin decides about the clients of this listener.
    fn use_plugin(&mut self, scene: &mut Scene, name: &str) -> Checked {
        let Some(plugin) = self.plugins.iter_mut().find(|plugin| plugin.name.as_deref() == Some(name)) else {
            if self.refused_plugins.iter().any(|refused| refused == name) {
                return Ok(());
            }
            let text = format!("There is no plugin '{}'.", name.escape_debug());
            return Err(
                Complaint::from(text).hint("`plugin_load <name> <path>` stands above all its plugin_use lines.")
            );
        };
        plugin.is_used = true;
        if !plugin.built_in.is_security {
            return Ok(());
        }
        if !self.draft.per_listener_settings {
            let text =
                format!("The plugin '{name}' is for this listener only, and the others would have no rules of it.");
            return Err(Complaint::from(text).hint(
                "write `per_listener_settings true` above all other lines; or, if it is for all listeners, `plugin <path>` \
                 in the place of plugin_load and plugin_use.",
            ));
        }
        let (lines, listener) = (plugin.lines.clone(), scene.listener);
        lines.iter().try_for_each(|line| self.say(scene, listener, line))
    }

    /// Reads a line in the words that mean the same, as if it stood there in them.
    fn say(&mut self, scene: &mut Scene, listener: Option<usize>, line: &Line) -> Checked {
        let Some(entry) = options::find(line.word) else { return Ok(()) };
        let of_scene = std::mem::replace(&mut scene.listener, listener);
        let owner = self.owner(scene, entry);
        // Mosquitto would ask both; here one of them would be forgotten.
        let earlier = self.set.get(&(entry.word(), owner));
        let result = match earlier {
            Some((value, _)) if *value == line.value => Ok(()),
            Some((value, at)) if entry.scope == Scope::Security => {
                let text = format!("There is already '{} {value}' ({at}).", entry.word());
                Err(Complaint::from(text).hint("put both files into one."))
            }
            _ => self.read_value(scene, entry, line.word, &line.value).map(|_| ()),
        };
        scene.listener = of_scene;
        result?;
        let (word, value, at) = (line.said.clone(), line.value.clone(), line.at.clone());
        self.settings.push(Setting { entry, word, listener: owner, value, at, column: None });
        Ok(())
    }

    /// The line here is one of a plugin.
    pub(super) fn is_of_plugin(&self, at: &Location) -> bool {
        self.settings.iter().any(|setting| setting.at == *at && !setting.entry.words.contains(&setting.word.as_str()))
    }

    /// What no line of a plugin shows alone.
    pub(super) fn finish_plugins(&mut self) {
        for plugin in &self.plugins {
            let at = Some(plugin.at.clone());
            if let Some(needed) = plugin.built_in.needs.filter(|needed| !plugin.keys.contains(needed)) {
                let text = format!("The plugin '{}' has no file.", plugin.path);
                let hint = format!("write `plugin_opt_{needed} <path>` below it.");
                self.remarks.push(Remark::new(Severity::Error, text).at(at).hint(hint));
            } else if plugin.built_in.is_security
                && !plugin.is_used
                && let Some(name) = &plugin.name
            {
                let text = format!("No listener uses the plugin '{name}'.");
                let hint = format!("write `plugin_use {name}` below those that it is for, or remove it.");
                self.remarks.push(Remark::new(Severity::Error, text).at(at).hint(hint));
            }
        }
    }
}
