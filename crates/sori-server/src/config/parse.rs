//! The grammar of `mosquitto.conf`: lines of a word and a value. Every line is read whatever the lines before it
//! said, so that one run shows all mistakes.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::draft::{Draft, ListenerDraft, MadeBy, Place};
use super::option::{Again, Entry, Scope, Standing, Structure, Takes};
use super::remark::{Location, Remark, Severity};
use super::value::{self, BadNumber};
use super::{Bind, Defaults, include, options, suggest};

/// No configuration is longer; what is, is something else.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads files into a [`Draft`].
#[derive(Debug)]
pub(super) struct Reader {
    draft: Draft,
    remarks: Vec<Remark>,
    /// What each option was set to, and where, for each listener (`None`: the whole file).
    set: HashMap<(&'static str, Option<usize>), (String, Location)>,
    /// Options whose notice was given.
    noticed: Vec<&'static str>,
    /// Where options go that belong to no listener.
    nowhere: ListenerDraft,
}

/// What the next line of a file belongs to. It ends with the file.
#[derive(Debug)]
struct Scene {
    file: Arc<Path>,
    line: usize,
    main_file: bool,
    listener: Option<usize>,
    bridge: bool,
    plugin: bool,
}

impl Scene {
    fn new(file: &Path, main_file: bool) -> Scene {
        Scene { file: file.into(), line: 0, main_file, listener: None, bridge: false, plugin: false }
    }

    fn here(&self) -> Location {
        Location { file: self.file.clone(), line: self.line }
    }
}

/// What is wrong with a line, and what to do about it.
#[derive(Debug)]
struct Complaint {
    text: String,
    hint: Option<String>,
}

impl From<String> for Complaint {
    fn from(text: String) -> Complaint {
        Complaint { text, hint: None }
    }
}

impl Complaint {
    fn hint(mut self, hint: impl Into<String>) -> Complaint {
        self.hint = Some(hint.into());
        self
    }

    fn empty(word: &str) -> Complaint {
        format!("Empty '{word}' value in configuration.").into()
    }
}

type Checked<T = ()> = Result<T, Complaint>;

impl Reader {
    pub(super) fn new(defaults: Defaults) -> Reader {
        Reader {
            draft: Draft::new(defaults),
            remarks: Vec::new(),
            set: HashMap::new(),
            noticed: Vec::new(),
            nowhere: ListenerDraft::default_listener(None, MadeBy::DefaultLine),
        }
    }

    /// What was read, and everything there is to say about it.
    pub(super) fn finish(self) -> (Draft, Vec<Remark>) {
        (self.draft, self.remarks)
    }

    pub(super) fn read_main_file(&mut self, file: &Path) {
        if file.extension().is_some_and(|extension| extension == "toml") {
            let text = format!("'{}' is a TOML file, which this version does not read.", file.display());
            self.complain(None, Complaint::from(text).hint("write the options as in mosquitto.conf."));
        } else {
            self.read_file(file, true, None);
        }
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
            let hint = "save the file as UTF-8 without a byte order mark.";
            self.complain(Some(scene.here()), Complaint::from(text.to_owned()).hint(hint));
            return;
        }
        for line in bytes.split(|byte| *byte == b'\n') {
            scene.line += 1;
            if let Err(complaint) = self.read_line(&mut scene, line) {
                self.complain(Some(scene.here()), complaint);
            }
        }
    }

    fn complain(&mut self, at: Option<Location>, complaint: Complaint) {
        let Complaint { text, hint } = complaint;
        self.remarks.push(Remark { severity: Severity::Error, at, text, hint });
    }

    fn remark(&mut self, severity: Severity, scene: &Scene, text: String) {
        self.remarks.push(Remark { severity, at: Some(scene.here()), text, hint: None });
    }

    fn read_line(&mut self, scene: &mut Scene, line: &[u8]) -> Checked {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        // What is not UTF-8 becomes U+FFFD, which no text value may hold; in a comment after a number it does no harm.
        let text = String::from_utf8_lossy(line);
        let (word, rest) = value::first_word(&text);
        let entry = options::find(word).ok_or_else(|| unknown(word))?;
        self.enter_scope(scene, entry, word)?;
        self.read_value(scene, entry, word, rest)?;
        match entry.standing {
            Standing::Works => Ok(()),
            Standing::Mapped(instead) => {
                self.notice_once(scene, entry, word, instead);
                Ok(())
            }
            Standing::Later { unless: Some(harmless), .. }
                if value::flag(value::first_word(rest).0) == value::flag(harmless) =>
            {
                Ok(())
            }
            // The line that opened the section is refused already, once.
            Standing::Later { .. } if matches!(entry.scope, Scope::Bridge | Scope::Plugin) => Ok(()),
            Standing::Later { needs, .. } => {
                Err(format!("The '{word}' option is not available in this version: it needs {needs}.").into())
            }
            Standing::Never(instead) => {
                Err(Complaint::from(format!("The '{word}' option is not available.")).hint(format!("{instead}.")))
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
        let needs =
            |what: &str| -> Checked { Err(format!("The '{word}' option requires {what} to be defined first.").into()) };
        match entry.scope {
            Scope::ListenerLine if scene.listener.is_none() => needs("a listener"),
            Scope::Security if self.draft.per_listener_settings && scene.listener.is_none() => needs("a listener"),
            Scope::Bridge if !scene.bridge => needs("a bridge"),
            Scope::Plugin if !scene.plugin => needs("plugin/global_plugin/plugin_load"),
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

    fn read_value(&mut self, scene: &mut Scene, entry: &'static Entry, word: &str, rest: &str) -> Checked {
        let (first, more) = value::first_word(rest);
        match entry.takes {
            Takes::Flag(set) => {
                let value = read_flag(word, first)?;
                self.note_setting(scene, entry, first);
                self.warn_of_more(scene, more);
                self.with_place(scene, |place| set(place, value));
                Ok(())
            }
            Takes::Number { least, most, refusal, set } => {
                let value = read_number(word, first, least, most, refusal)?;
                self.note_setting(scene, entry, first);
                self.warn_of_more(scene, more);
                self.with_place(scene, |place| set(place, value));
                Ok(())
            }
            Takes::Text { longest, again, set } => {
                let text = read_text(word, rest, longest)?;
                self.read_again(scene, entry, word, text, again)?;
                self.warn_of_comment(scene, text);
                self.with_place(scene, |place| set(place, text)).map_err(Complaint::from)
            }
            Takes::Word { form, set, .. } => {
                let (first, more) = value::first_word(read_words(word, rest)?);
                self.with_place(scene, |place| set(place, first, more))
                    .map_err(|text| Complaint::from(text).hint(format!("allowed: {form}.")))
            }
            Takes::Structure(structure) => self.read_structure(scene, structure, word, rest),
            Takes::Anything => Ok(()),
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
    fn holder(&self, scene: &Scene, entry: &Entry) -> Option<usize> {
        match entry.scope {
            Scope::Listener | Scope::ListenerLine => scene.listener,
            Scope::Security if self.draft.per_listener_settings => scene.listener,
            _ => None,
        }
    }

    /// Remembers a value of which the latest counts, and warns when an earlier one was different.
    fn note_setting(&mut self, scene: &Scene, entry: &'static Entry, value: &str) {
        let key = (entry.word(), self.holder(scene, entry));
        let earlier = self.set.insert(key, (value.to_owned(), scene.here()));
        if let Some((earlier, at)) = earlier.filter(|(earlier, _)| earlier != value) {
            let word = entry.word();
            let text = format!("The '{word}' option was set to {earlier} before ({at}); now {value} counts.");
            self.remark(Severity::Warning, scene, text);
        }
    }

    /// The same for texts, where Mosquitto refuses a second value of most options.
    fn read_again(&mut self, scene: &Scene, entry: &'static Entry, word: &str, value: &str, again: Again) -> Checked {
        let key = (entry.word(), self.holder(scene, entry));
        match self.set.get(&key) {
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
        if text.contains(" #") || text.contains("\t#") {
            let warning = format!("The value is '{text}': a comment after a text value is part of it.");
            self.remark(Severity::Warning, scene, warning);
        }
    }

    fn read_structure(&mut self, scene: &mut Scene, structure: Structure, word: &str, rest: &str) -> Checked {
        match structure {
            Structure::Listener => self.read_listener(scene, rest),
            Structure::Port => self.read_port(scene, rest),
            Structure::BindAddress => self.read_bind_address(scene, rest),
            Structure::IncludeDir => self.read_include_dir(scene, rest),
            Structure::PerListenerSettings => self.read_per_listener_settings(scene, rest),
            Structure::Connection => {
                scene.bridge = true;
                read_words(word, rest).map(|_| ())
            }
            Structure::Plugin => {
                scene.plugin = true;
                read_words(word, rest).map(|_| ())
            }
        }
    }

    fn read_listener(&mut self, scene: &mut Scene, rest: &str) -> Checked {
        let (first, more) = value::first_word(rest);
        let port = read_port_number("listener port", first, 0)?;
        let (host, ignored) = value::first_word(more);
        let host = Some(host).filter(|host| !host.is_empty() && !host.starts_with('#'));
        if host.is_some() {
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
        self.note_setting(scene, port_entry(), first);
        if let Bind::Tcp { port, .. } = self.enter_default_listener(scene) {
            *port = number;
        }
        Ok(())
    }

    fn read_bind_address(&mut self, scene: &mut Scene, rest: &str) -> Checked {
        let address = read_text("default listener bind_address", rest, usize::from(u16::MAX))?.to_owned();
        self.warn_of_comment(scene, &address);
        match self.enter_default_listener(scene) {
            Bind::Tcp { host: Some(_), .. } => {
                Err("Duplicate 'default listener bind_address' value in configuration.".to_owned().into())
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
            return Err("The include_dir option is only valid in the main configuration file.".to_owned().into());
        }
        let directory = read_text("include_dir", rest, usize::MAX)?;
        self.warn_of_comment(scene, directory);
        let files = include::files(Path::new(directory))
            .map_err(|error| Complaint::from(format!("Unable to open include_dir '{directory}': {error}.")))?;
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
            return Err("per_listener_settings must be set before any other security settings.".to_owned().into());
        }
        self.draft.per_listener_settings |= value;
        Ok(())
    }
}

/// The entry whose settings `port` lines are noted under.
fn port_entry() -> &'static Entry {
    options::find("port").expect("`port` is an entry of the table")
}

fn contents(file: &Path) -> Checked<Vec<u8>> {
    if file.is_dir() {
        return Err(format!("Config file '{}' is a directory.", file.display()).into());
    }
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let text = format!("Unable to open config file '{}'.", file.display());
        return Err(Complaint::from(text).hint(format!("the system says: {error}.")));
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("Config file '{}' is larger than {FILE_BYTES_MAX} bytes.", file.display()).into());
    }
    Ok(bytes)
}

/// What a file that is not UTF-8 begins with.
pub(crate) fn wrong_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xEF, 0xBB, 0xBF, ..] => Some("The file starts with a byte order mark (BOM)."),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("The file is UTF-16."),
        [0, _, ..] | [_, 0, ..] => Some("The file is UTF-16 or not a text at all."),
        _ => None,
    }
}

fn malformed() -> Complaint {
    Complaint::from("Malformed UTF-8 in configuration.".to_owned())
        .hint("save the file as UTF-8 without control characters.")
}

fn unknown(word: &str) -> Complaint {
    let complaint = Complaint::from(format!("Unknown configuration variable '{}'.", word.escape_debug()));
    if word == "daemon" {
        return complaint.hint("start the broker with -d to put it into the background.");
    }
    let known = options::all().flat_map(|entry| entry.words.iter().copied());
    match suggest::nearest(word, known.filter(|known| !known.ends_with('*'))) {
        Some(meant) => complaint.hint(format!("did you mean '{meant}'?")),
        None => complaint,
    }
}

fn read_flag(word: &str, value: &str) -> Checked<bool> {
    if value.is_empty() {
        return Err(Complaint::empty(word));
    }
    value::flag(value)
        .ok_or_else(|| Complaint::from(format!("Invalid '{word}' value ({value}).")).hint("write true or false."))
}

fn read_number(word: &str, value: &str, least: i64, most: i64, refusal: Option<&str>) -> Checked<i64> {
    if value.is_empty() {
        return Err(Complaint::empty(word));
    }
    let number = match value::number(value) {
        Ok(number) => number,
        Err(BadNumber::NotANumber) => return Err(format!("'{word}' value not a number.").into()),
        Err(BadNumber::TooLarge) => return Err(format!("'{word}' value out of range.").into()),
    };
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    // Numbers of 32 bits are all that Mosquitto reads for these.
    if most <= i64::from(i32::MAX) && i32::try_from(number).is_err() {
        return Err(format!("'{word}' value out of range.").into());
    }
    let text = refusal.map_or_else(|| format!("Invalid '{word}' value ({number})."), str::to_owned);
    Err(Complaint::from(text).hint(format!("it must be from {least} to {most}.")))
}

fn read_port_number(name: &str, value: &str, least: i64) -> Checked<u16> {
    let number = read_number(name, value, i64::from(i32::MIN), i64::from(i32::MAX), None)?;
    let port = u16::try_from(number).ok().filter(|port| i64::from(*port) >= least);
    port.ok_or_else(|| {
        Complaint::from(format!("Invalid 'port' value ({number}).")).hint(format!("it must be from {least} to 65535."))
    })
}

/// Words that the option itself takes apart: blanks between them may be TABs.
fn read_words<'a>(word: &str, value: &'a str) -> Checked<&'a str> {
    if value.is_empty() {
        return Err(Complaint::empty(word));
    }
    if value.split('\t').all(value::is_fit) { Ok(value) } else { Err(malformed()) }
}

fn read_text<'a>(word: &str, value: &'a str, longest: usize) -> Checked<&'a str> {
    // Mosquitto names a plugin's option without its prefix, and wants three letters or more.
    if let Some(name) = word.strip_prefix("plugin_opt_").or_else(|| word.strip_prefix("auth_opt_")) {
        return match (name.len() < 3, value.is_empty()) {
            (true, _) => Err("Invalid 'plugin_opt_' config option.".to_owned().into()),
            (false, true) => Err(Complaint::empty(name)),
            (false, false) => Ok(value),
        };
    }
    if value.is_empty() {
        return Err(Complaint::empty(word));
    }
    if value.len() > longest {
        return Err(format!("'{word}' length must be <= {longest}.").into());
    }
    if !value::is_fit(value) {
        return Err(malformed());
    }
    Ok(value)
}
