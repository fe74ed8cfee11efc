//! The grammar of `mosquitto.conf`: lines of a word and a value. Every line is read whatever the lines before it
//! said, so that one run shows all mistakes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::complaint::{
    Checked, Complaint, Part, homeless, malformed, not_here, not_in_form, read_flag, read_number, read_port_number,
    read_text, read_words, unknown,
};
use super::contents::{contents, wrong_encoding};
use super::draft::{Draft, ListenerDraft, MadeBy, Place};
use super::option::{Again, Entry, Scope, Standing, Structure, Takes};
use super::remark::{Location, Remark, Severity};
use super::scene::{Scene, is_toml};
use super::setting::{Setting, adds_up};
use super::{Bind, Defaults, include, options, value};

mod plugin;

pub(super) use plugin::Above;
use plugin::Plugin;

/// Reads files into a [`Draft`].
#[derive(Debug)]
pub(super) struct Reader {
    draft: Draft,
    remarks: Vec<Remark>,
    /// The lines that were understood.
    settings: Vec<Setting>,
    /// What each option was set to, and where, for each listener (`None`: the whole file).
    set: HashMap<(&'static str, Option<usize>), (String, Location)>,
    /// Options whose notice was given.
    noticed: Vec<&'static str>,
    /// The plugins that are built in.
    plugins: Vec<Plugin>,
    /// The names of those that were loaded and refused.
    refused_plugins: Vec<String>,
    /// Where options go that belong to no listener.
    nowhere: ListenerDraft,
}

impl Reader {
    pub(super) fn new(defaults: Defaults) -> Reader {
        Reader {
            draft: Draft::new(defaults),
            remarks: Vec::new(),
            settings: Vec::new(),
            set: HashMap::new(),
            noticed: Vec::new(),
            plugins: Vec::new(),
            refused_plugins: Vec::new(),
            nowhere: ListenerDraft::default_listener(None, MadeBy::DefaultLine),
        }
    }

    /// What was read, and everything there is to say about it.
    pub(super) fn finish(mut self) -> (Draft, Vec<Setting>, Vec<Remark>) {
        self.finish_plugins();
        (self.draft, self.settings, self.remarks)
    }

    pub(super) fn read_main_file(&mut self, file: &Path) {
        self.read_file(file, true, None);
    }

    fn read_file(&mut self, file: &Path, main_file: bool, at: Option<Location>) {
        match contents(file) {
            Ok(bytes) => self.read_bytes(file, &bytes, main_file),
            Err(complaint) => self.complain(at, complaint),
        }
    }

    /// Reads the contents of a file.
    pub(super) fn read_bytes(&mut self, file: &Path, bytes: &[u8], main_file: bool) {
        let mut scene = Scene::new(file, main_file);
        if let Some(text) = wrong_encoding(bytes) {
            scene.line = 1;
            let hint = match bytes.starts_with(b"\xEF\xBB\xBF") {
                true => "save the file without a byte order mark, for example with `sed -i '1s/^\\xEF\\xBB\\xBF//'`.",
                false => {
                    "save the file as UTF-8 without a byte order mark, for example with `iconv -f UTF-16 -t UTF-8`."
                }
            };
            self.complain(Some(scene.here()), Complaint::from(text.to_owned()).hint(hint));
            return;
        }
        if is_toml(file) {
            return self.read_toml(&mut scene, bytes);
        }
        for line in bytes.split(|byte| *byte == b'\n') {
            scene.line += 1;
            if let Err(complaint) = self.read_line(&mut scene, line) {
                self.complain(Some(scene.part(complaint.part)), complaint);
            }
        }
    }

    pub(super) fn complain(&mut self, at: Option<Location>, complaint: Complaint) {
        let Complaint { text, hint, .. } = complaint;
        self.remarks.push(Remark { severity: Severity::Error, at, text, hint });
    }

    fn remark(&mut self, severity: Severity, scene: &Scene, text: String) {
        self.remarks.push(Remark { severity, at: Some(scene.part(Part::Value)), text, hint: None });
    }

    fn read_line(&mut self, scene: &mut Scene, line: &[u8]) -> Checked {
        let line = line.trim_ascii_end();
        let first = line.trim_ascii_start();
        if first.is_empty() || first.starts_with(b"#") {
            return Ok(());
        }
        // What is not UTF-8 becomes U+FFFD, which no text value may hold; in a comment after a number it does no harm.
        let text = String::from_utf8_lossy(line);
        let (word, rest) = value::first_word(&text);
        scene.note_columns(&text, word, rest);
        let entry = options::find(word).ok_or_else(|| unknown(word))?;
        self.take(scene, entry, word, rest)
    }

    /// One option with its value, whatever the form of the file.
    pub(super) fn take(&mut self, scene: &mut Scene, entry: &'static Entry, word: &str, rest: &str) -> Checked {
        self.enter_scope(scene, entry, word)?;
        if entry.scope == Scope::Plugin {
            return self.read_plugin_option(scene, entry, word, rest);
        }
        let value = self.read_value(scene, entry, word, rest)?.to_owned();
        let (word, listener, at) = (word.to_owned(), self.owner(scene, entry), scene.here());
        self.answer_standing(scene, entry, &word, &value)?;
        if matches!(entry.takes, Takes::Structure(Structure::Plugin)) {
            // It was told as what it means.
            return Ok(());
        }
        let column = Some(scene.value_column);
        self.settings.push(Setting { entry, word, listener, value, at, column });
        Ok(())
    }

    /// What is to be said about a line that is legal.
    pub(super) fn answer_standing(&mut self, scene: &Scene, entry: &'static Entry, word: &str, value: &str) -> Checked {
        match entry.standing {
            Standing::Works => Ok(()),
            Standing::Mapped(instead) => {
                self.notice_once(scene, entry, word, instead);
                Ok(())
            }
            Standing::Later { unless: Some(harmless), .. } if value::flag(value) == value::flag(harmless) => Ok(()),
            // The line that opened the section is refused already, once.
            Standing::Later { .. } if entry.scope == Scope::Bridge => Ok(()),
            Standing::Later { needs, .. } => Err(not_here(word, entry, needs)),
            Standing::Never(instead) => {
                let text = format!("The '{word}' option is not available.");
                Err(Complaint::about_word(text).hint(format!("{instead}.")))
            }
        }
    }

    fn notice_once(&mut self, scene: &Scene, entry: &Entry, word: &str, instead: &str) {
        if !self.noticed.contains(&entry.word()) {
            self.noticed.push(entry.word());
            self.remark(Severity::Notice, scene, format!("The '{word}' option is not needed: {instead}."));
        }
    }

    /// Finds what the line belongs to, or makes the default listener.
    fn enter_scope(&mut self, scene: &mut Scene, entry: &Entry, word: &str) -> Checked {
        let is_homeless = match entry.scope {
            Scope::ListenerLine => scene.listener.is_none(),
            Scope::Security => self.draft.per_listener_settings && scene.listener.is_none(),
            Scope::Bridge => !scene.bridge,
            Scope::Plugin => scene.plugin == Above::Nothing,
            Scope::Global | Scope::Listener => false,
        };
        match entry.scope {
            scope if is_homeless => {
                if matches!(entry.takes, Takes::Structure(Structure::Plugin)) && word != "plugin_use" {
                    scene.plugin = Above::Refused;
                }
                Err(homeless(word, scope))
            }
            Scope::Listener if scene.listener.is_none() => {
                scene.listener = Some(self.default_listener(scene, || MadeBy::Implicitly { word: word.to_owned() }));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The default listener, made by this line if there was none.
    fn default_listener(&mut self, scene: &Scene, made_by: impl FnOnce() -> MadeBy) -> usize {
        if let Some(index) = self.draft.listeners.iter().position(ListenerDraft::is_default_listener) {
            return index;
        }
        self.draft.listeners.push(ListenerDraft::default_listener(Some(scene.here()), made_by()));
        self.draft.listeners.len() - 1
    }

    /// The value, without what is ignored behind it.
    fn read_value<'a>(
        &mut self,
        scene: &mut Scene,
        entry: &'static Entry,
        word: &str,
        rest: &'a str,
    ) -> Checked<&'a str> {
        let (first, more) = value::first_word(rest);
        match entry.takes {
            Takes::Flag(set) => {
                let value = read_flag(word, first)?;
                self.note_setting(scene, entry, first);
                self.warn_of_more(scene, more);
                self.with_place(scene, |place| set(place, value));
                Ok(first)
            }
            Takes::Number { least, most, refusal, set } => {
                let value = read_number(word, first, least, most, refusal)?;
                self.note_setting(scene, entry, first);
                self.warn_of_more(scene, more);
                self.with_place(scene, |place| set(place, value));
                Ok(first)
            }
            Takes::Text { longest, again, set } => {
                let text = read_text(word, rest, longest)?;
                self.read_again(scene, entry, word, text, again)?;
                self.warn_of_comment(scene, text);
                self.with_place(scene, |place| set(place, text))
                    .map_err(|(text, hint)| Complaint::from(text).hint(hint))?;
                Ok(text)
            }
            Takes::Word { form, set, .. } => {
                let words = read_words(word, rest)?;
                let (first, more) = value::first_word(words);
                self.with_place(scene, |place| set(place, first, more))
                    .map_err(|text| not_in_form(text, first, form))?;
                Ok(words)
            }
            Takes::Structure(structure) => {
                self.read_structure(scene, structure, word, rest)?;
                Ok(significant(structure, rest))
            }
            Takes::Anything => Ok(rest),
        }
    }

    /// Lets an effect write to the listener that the line belongs to.
    fn with_place<T>(&mut self, scene: &Scene, effect: impl FnOnce(&mut Place<'_>) -> T) -> T {
        let mut listeners = std::mem::take(&mut self.draft.listeners);
        let mut warnings = Vec::new();
        let listener = scene.listener.and_then(|index| listeners.get_mut(index)).unwrap_or(&mut self.nowhere);
        let result = effect(&mut Place { draft: &mut self.draft, listener, warnings: &mut warnings });
        self.draft.listeners = listeners;
        for warning in warnings {
            self.remark(Severity::Warning, scene, warning);
        }
        result
    }

    /// The listener whose own value the entry sets.
    fn owner(&self, scene: &Scene, entry: &Entry) -> Option<usize> {
        match entry.scope {
            _ if is_place(entry) => scene.listener,
            Scope::Listener | Scope::ListenerLine => scene.listener,
            Scope::Security if self.draft.per_listener_settings => scene.listener,
            _ => None,
        }
    }

    /// Remembers a value of which the latest counts, and warns when an earlier one was different.
    fn note_setting(&mut self, scene: &Scene, entry: &'static Entry, value: &str) {
        if adds_up(entry) {
            return;
        }
        let key = (entry.word(), self.owner(scene, entry));
        let earlier = self.set.insert(key, (value.to_owned(), scene.here()));
        if let Some((earlier, at)) = earlier.filter(|(earlier, _)| earlier != value) {
            let word = entry.word();
            let text = format!("The '{word}' option was set to {earlier} before ({at}); now {value} counts.");
            self.remark(Severity::Warning, scene, text);
        }
    }

    /// The same for texts, where Mosquitto refuses a second value of most options.
    fn read_again(&mut self, scene: &Scene, entry: &'static Entry, word: &str, value: &str, again: Again) -> Checked {
        let key = (entry.word(), self.owner(scene, entry));
        match self.set.get(&key) {
            // The same, once as a plugin and once as what it stands for.
            Some((earlier, at)) if earlier == value && self.is_of_plugin(at) => Ok(()),
            Some((_, at)) if again == Again::Refused => {
                let duplicate = format!("Duplicate '{word}' value in configuration.");
                Err(Complaint::from(duplicate).hint(format!("the first one is at {at}; remove one of them.")))
            }
            _ => {
                self.note_setting(scene, entry, value);
                Ok(())
            }
        }
    }

    fn warn_of_more(&mut self, scene: &Scene, more: &str) {
        if !more.is_empty() && !more.starts_with('#') {
            self.remark(Severity::Warning, scene, format!("'{more}' after the value is ignored."));
        }
    }

    fn warn_of_comment(&mut self, scene: &Scene, text: &str) {
        if scene.is_toml {
            return;
        }
        if text.contains(" #") || text.contains("\t#") {
            let warning = format!("The value is '{text}': a comment after a text value is part of it.");
            self.remark(Severity::Warning, scene, warning);
        }
    }

    fn read_structure(&mut self, scene: &mut Scene, structure: Structure, word: &str, rest: &str) -> Checked {
        match structure {
            Structure::Listener => {
                let read = self.read_listener(scene, rest);
                read.inspect_err(|_| self.enter_refused_listener(scene))
            }
            Structure::Port => self.read_port(scene, rest),
            Structure::BindAddress => self.read_bind_address(scene, rest),
            Structure::IncludeDir => self.read_include_dir(scene, rest),
            Structure::PerListenerSettings => self.read_per_listener_settings(scene, rest),
            Structure::Connection => {
                scene.bridge = true;
                read_words(word, rest).map(|_| ())
            }
            Structure::Plugin => self.read_plugin(scene, word, rest),
        }
    }

    /// The lines below it belong to it all the same, and must not be taken for those of the listener above.
    pub(super) fn enter_refused_listener(&mut self, scene: &mut Scene) {
        let nowhere = Bind::Tcp { host: None, port: 0 };
        self.draft.listeners.push(ListenerDraft::new(nowhere, Some(scene.here()), MadeBy::ListenerLine));
        scene.listener = Some(self.draft.listeners.len() - 1);
    }

    /// Security options belong to listeners.
    pub(super) fn is_per_listener(&self) -> bool {
        self.draft.per_listener_settings
    }

    fn read_listener(&mut self, scene: &mut Scene, rest: &str) -> Checked {
        let (first, more) = value::first_word(rest);
        let port = read_port_number("listener port", first, 0)?;
        let (host, ignored) = value::first_word(more);
        let host = Some(host).filter(|host| !host.is_empty() && !host.starts_with('#'));
        if let Some(host) = host {
            if !value::is_fit(host) {
                return Err(malformed());
            }
            self.warn_of_more(scene, ignored);
        }
        let bind = match (port, host) {
            (0, None) => {
                let text = "A listener with port 0 must provide a Unix socket path.".to_owned();
                return Err(Complaint::from(text).hint("for example `listener 0 /run/mqtt.sock`."));
            }
            (0, Some(path)) => Bind::Unix(PathBuf::from(path)),
            (port, host) => Bind::Tcp { host: host.map(str::to_owned), port },
        };
        self.draft.listeners.push(ListenerDraft::new(bind, Some(scene.here()), MadeBy::ListenerLine));
        scene.listener = Some(self.draft.listeners.len() - 1);
        Ok(())
    }

    fn read_port(&mut self, scene: &mut Scene, rest: &str) -> Checked {
        let (first, more) = value::first_word(rest);
        let number = read_port_number("port", first, 1)?;
        self.warn_of_more(scene, more);
        if let Bind::Tcp { port, .. } = self.enter_default_listener(scene) {
            *port = number;
        }
        self.note_setting(scene, port_entry(), first);
        Ok(())
    }

    fn read_bind_address(&mut self, scene: &mut Scene, rest: &str) -> Checked {
        let address = read_text("default listener bind_address", rest, usize::from(u16::MAX))?.to_owned();
        self.warn_of_comment(scene, &address);
        match self.enter_default_listener(scene) {
            Bind::Tcp { host: Some(_), .. } => {
                let text = "Duplicate 'default listener bind_address' value in configuration.".to_owned();
                let hint = "it is the address of the listener of `port`; another listener has its own in its line: \
                            `listener 8883 0.0.0.0`.";
                Err(Complaint::from(text).hint(hint))
            }
            Bind::Tcp { host, .. } => {
                *host = Some(address);
                Ok(())
            }
            Bind::Unix(_) => Ok(()),
        }
    }

    /// From here on the lines belong to the default listener, which now is one that was asked for.
    fn enter_default_listener(&mut self, scene: &mut Scene) -> &mut Bind {
        let index = self.default_listener(scene, || MadeBy::DefaultLine);
        scene.listener = Some(index);
        let listener = &mut self.draft.listeners[index];
        listener.made_by = MadeBy::DefaultLine;
        &mut listener.settings.bind
    }

    fn read_include_dir(&mut self, scene: &Scene, rest: &str) -> Checked {
        if !scene.main_file {
            let text = "The include_dir option is only valid in the main configuration file.".to_owned();
            return Err(Complaint::from(text).hint("name the directory in the file that -c names."));
        }
        let directory = read_text("include_dir", rest, usize::MAX)?;
        self.warn_of_comment(scene, directory);
        let files = include::files(Path::new(directory), scene.is_toml)
            .map_err(|error| Complaint::from(format!("Unable to open include_dir '{directory}': {error}.")))
            .map_err(|complaint| complaint.hint("make the directory, which may be empty, or remove the line."))?;
        for file in files {
            self.remark(Severity::Information, scene, format!("Loading config file '{}'", file.display()));
            self.read_file(&file, false, Some(scene.here()));
        }
        Ok(())
    }

    /// Once true it stays true; it cannot become true after an option whose meaning it changes.
    fn read_per_listener_settings(&mut self, scene: &Scene, rest: &str) -> Checked {
        let (first, more) = value::first_word(rest);
        let value = read_flag("per_listener_settings", first)?;
        self.warn_of_more(scene, more);
        if value && !self.draft.per_listener_settings && self.draft.security_seen {
            let text = "per_listener_settings must be set before any other security settings.".to_owned();
            let first = self.settings.iter().find(|setting| setting.entry.scope == Scope::Security);
            let at = first.map(|first| format!("'{}' is at {}; ", first.word, first.at)).unwrap_or_default();
            return Err(Complaint::from(text).hint(format!(
                "{at}move per_listener_settings above it, and out of an include_dir whose files are read later."
            )));
        }
        self.draft.per_listener_settings |= value;
        Ok(())
    }
}

/// The words of a structure's line that mean something.
fn significant(structure: Structure, rest: &str) -> &str {
    let (first, more) = value::first_word(rest);
    match structure {
        Structure::Port | Structure::PerListenerSettings => first,
        Structure::Listener => match value::first_word(more).0 {
            host if host.is_empty() || host.starts_with('#') => first,
            host => rest.get(..rest.len() - more.len() + host.len()).unwrap_or(rest),
        },
        _ => rest,
    }
}

/// The line says where a listener is.
fn is_place(entry: &Entry) -> bool {
    let places = [Structure::Listener, Structure::Port, Structure::BindAddress];
    matches!(entry.takes, Takes::Structure(structure) if places.contains(&structure))
}

/// The entry whose settings `port` lines are noted under.
fn port_entry() -> &'static Entry {
    options::find("port").expect("`port` is an entry of the table")
}
