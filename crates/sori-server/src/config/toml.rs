//! The grammar of `sori.toml`, the native form of the same options. A key is turned into the line that a
//! `mosquitto.conf` would have for it, and read like that line: there is one set of rules about values.
//!
//! ```text
//!   max_keepalive = 60          options of the whole broker, by the paths of the table
//!   [log]
//!   destinations = ["stderr", "file /var/log/sori.log"]
//!   [default_listener]          what stands above every listener, or below `port`
//!   [[listener]]                a `listener` line: port and address, or path, and its options
//!   port = 1883
//!   max_qos = 1
//! ```

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::complaint::{Complaint, Part, homeless};
use super::option::{Entry, Scope, Standing, Structure, Takes};
use super::parse::Reader;
use super::places::Places;
use super::scene::Scene;
use super::setting::adds_up;
use super::{options, suggest, value};

/// The tables that are listeners.
const LISTENER: &str = "listener";
const DEFAULT_LISTENER: &str = "default_listener";
/// What the `listener` line of a `mosquitto.conf` holds.
const PLACE: [&str; 3] = ["port", "address", "path"];
/// The same of the default listener.
const DEFAULT_PLACE: [&str; 2] = ["port", "bind_address"];

/// A key with its value.
struct Pair<'a> {
    /// From the root, or from the listener.
    path: String,
    /// The byte at which the key begins.
    key_at: usize,
    value: &'a Spanned<DeValue<'a>>,
}

/// What a key is looked for in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Root,
    Listener,
    DefaultListener,
}

impl Reader {
    /// Reads the contents of a `sori.toml`.
    pub(super) fn read_toml(&mut self, scene: &mut Scene, bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let at = bytes.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
            let before = bytes.get(..at).and_then(|before| std::str::from_utf8(before).ok()).unwrap_or_default();
            (scene.line, scene.value_column) = Places::new(before).of(at);
            let complaint = Complaint::from("Malformed UTF-8 in configuration.".to_owned());
            return self.complain(Some(scene.part(Part::Value)), complaint.hint("save the file as UTF-8."));
        };
        let places = Places::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            (scene.line, scene.value_column) = places.of(error.span().map_or(0, |span| span.start));
            let is_foreign = is_line_of_conf(places.line(scene.line));
            self.complain(Some(scene.part(Part::Value)), not_toml(error.message(), is_foreign));
            // Each further line would be the same mistake.
            if is_foreign {
                return;
            }
        }
        // What could be made of a text with mistakes would only lead to further ones.
        if errors.is_empty() {
            self.read_root(scene, &places, root.get_ref());
        }
    }

    fn read_root(&mut self, scene: &mut Scene, places: &Places<'_>, root: &DeTable<'_>) {
        let mut pairs = gather(Table::Root, root);
        // What changes the meaning of others has no place before them here, so it is read first.
        pairs.sort_by_key(|pair| (pair.path != "per_listener_settings", pair.key_at));
        let mut listeners = Vec::new();
        for pair in &pairs {
            match (pair.path.as_str(), pair.value.get_ref()) {
                (DEFAULT_LISTENER, value) => listeners.push((pair.key_at, DEFAULT_LISTENER, value)),
                (LISTENER, DeValue::Array(tables)) => {
                    listeners.extend(tables.iter().map(|table| (table.span().start, LISTENER, table.get_ref())));
                }
                (LISTENER, value) => listeners.push((pair.key_at, LISTENER, value)),
                _ => self.read_pair(scene, places, Table::Root, pair),
            }
        }
        listeners.sort_by_key(|(at, ..)| *at);
        for (at, name, value) in listeners {
            match value {
                DeValue::Table(table) if name == LISTENER => self.read_listener_table(scene, places, at, table),
                DeValue::Table(table) => self.read_default_listener(scene, places, table),
                other => self.wrong_type(scene, places, at, name, "a table", other),
            }
            scene.listener = None;
        }
    }

    fn read_default_listener(&mut self, scene: &mut Scene, places: &Places<'_>, table: &DeTable<'_>) {
        let mut pairs = gather(Table::DefaultListener, table);
        pairs.sort_by_key(|pair| (!DEFAULT_PLACE.contains(&pair.path.as_str()), pair.key_at));
        for pair in &pairs {
            self.read_pair(scene, places, Table::DefaultListener, pair);
        }
    }

    fn read_listener_table(&mut self, scene: &mut Scene, places: &Places<'_>, at: usize, table: &DeTable<'_>) {
        let (mut pairs, at_table) = (gather(Table::Listener, table), at);
        let found = PLACE.map(|key| pairs.iter().find(|pair| pair.path == key));
        let at = found.iter().flatten().map(|pair| pair.value.span().start).next().unwrap_or(at_table);
        let made = listener_line(found.map(|pair| pair.map(|pair| pair.value.get_ref())));
        (scene.line, scene.word_column) = places.of(at_table);
        scene.value_column = scene.word_column;
        let made = made.inspect_err(|_| self.enter_refused_listener(scene)).and_then(|line| {
            // Its own complaint is about what stands behind the key.
            let entry = options::find(LISTENER).filter(|_| !line.is_empty());
            entry.map_or(Ok(()), |entry| self.take(scene, entry, LISTENER, &line))
        });
        if let Err(complaint) = made {
            (scene.line, scene.value_column) = places.of(at);
            self.complain(Some(scene.part(Part::Value)), complaint);
        }
        pairs.retain(|pair| !PLACE.contains(&pair.path.as_str()));
        pairs.sort_by_key(|pair| pair.key_at);
        for pair in &pairs {
            self.read_pair(scene, places, Table::Listener, pair);
        }
    }

    /// One key: as one line, or as one line per element of an array.
    fn read_pair(&mut self, scene: &mut Scene, places: &Places<'_>, table: Table, pair: &Pair<'_>) {
        (scene.line, scene.word_column) = places.of(pair.key_at);
        scene.value_column = places.of(pair.value.span().start).1;
        let entry = match self.find(scene, table, pair) {
            Ok(Some(entry)) => entry,
            Ok(None) => return,
            Err(complaint) => return self.complain(Some(scene.part(Part::Word)), complaint),
        };
        let one = std::slice::from_ref(pair.value);
        let values = match pair.value.get_ref() {
            DeValue::Array(values) if adds_up(entry) && !values.is_empty() => &values[..],
            _ => one,
        };
        for value in values {
            let at = value.span().start;
            let Some(text) = as_text(entry, value.get_ref()) else {
                self.wrong_type(scene, places, at, &pair.path, expected(entry), value.get_ref());
                continue;
            };
            (scene.line, scene.value_column) = places.of(at);
            let taken = whole(&pair.path, &text).and_then(|()| self.take(scene, entry, &pair.path, &text));
            if let Err(complaint) = taken {
                self.complain(Some(scene.part(complaint.part)), complaint);
            }
        }
    }

    /// The option of a key; `None` when there is nothing more to do about it.
    fn find(&mut self, scene: &Scene, table: Table, pair: &Pair<'_>) -> Result<Option<&'static Entry>, Complaint> {
        let path = pair.path.as_str();
        let found = match table {
            Table::Root => by_path(path),
            Table::DefaultListener if DEFAULT_PLACE.contains(&path) => by_path(&format!("{DEFAULT_LISTENER}.{path}")),
            _ => by_path(&format!("{LISTENER}.{path}")),
        };
        if found.is_some() {
            return Ok(found);
        }
        let security = by_path(path).filter(|entry| entry.scope == Scope::Security && table != Table::Root);
        if self.is_per_listener() && security.is_some() {
            return Ok(security);
        }
        // What is not in this version has no path; it is refused by its word and for its reason.
        match options::find(path).filter(|entry| entry.toml.is_empty()) {
            Some(entry) if matches!(entry.scope, Scope::Bridge | Scope::Plugin) => Err(homeless(path, entry.scope)),
            Some(entry) if matches!(entry.takes, Takes::Structure(Structure::Plugin)) => {
                let complaint = Complaint::about_word(format!("The '{path}' option is not one of a TOML file."));
                Err(complaint.hint("write what the plugin stands for: password_file and acl_file."))
            }
            Some(entry) => {
                let is_false = matches!(pair.value.get_ref(), DeValue::Boolean(false));
                self.answer_standing(scene, entry, path, if is_false { "false" } else { "" }).map(|()| None)
            }
            None => Err(unknown(table, path)),
        }
    }

    fn wrong_type(
        &mut self,
        scene: &mut Scene,
        places: &Places<'_>,
        at: usize,
        path: &str,
        expected: &str,
        found: &DeValue<'_>,
    ) {
        (scene.line, scene.value_column) = places.of(at);
        let text = format!("Invalid '{}' value: {} where there must be {expected}.", path.escape_debug(), kind(found));
        let complaint = match path {
            LISTENER => Complaint::from(text).hint("write [[listener]], and below it `port = 1883`."),
            DEFAULT_LISTENER => Complaint::from(text).hint("write [default_listener], and its options below it."),
            _ => {
                let key = path.rsplit('.').next().unwrap_or(path);
                Complaint::from(text).hint(format!("write it as in `{} = {}`.", key.escape_debug(), example(expected)))
            }
        };
        self.complain(Some(scene.part(Part::Value)), complaint);
    }
}

/// All keys of a table with their paths. The listeners, and whatever is a table where the options have none, stay whole.
fn gather<'a>(of: Table, table: &'a DeTable<'a>) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    let mut tables = vec![(String::new(), table)];
    while let Some((prefix, table)) = tables.pop() {
        for (key, value) in table.iter() {
            let path = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) if is_group(of, &path) => tables.push((path + ".", inner)),
                _ => pairs.push(Pair { path, key_at: key.span().start, value }),
            }
        }
    }
    pairs
}

/// Paths of options begin so.
fn is_group(of: Table, path: &str) -> bool {
    let base = match of {
        Table::Root if [LISTENER, DEFAULT_LISTENER].contains(&path) => return false,
        Table::Root => "",
        Table::Listener | Table::DefaultListener => "listener.",
    };
    let begin = format!("{base}{path}.");
    options::all().any(|entry| entry.toml.starts_with(&begin))
}

fn by_path(path: &str) -> Option<&'static Entry> {
    options::all().find(|entry| !entry.toml.is_empty() && entry.toml == path)
}

/// What a `listener` line would hold, of port, address and path.
fn listener_line(place: [Option<&DeValue<'_>>; 3]) -> Result<String, Complaint> {
    let incomplete = || {
        let complaint = Complaint::from("A listener lacks its place.".to_owned());
        complaint.hint("it has `port`, a number, and perhaps `address`, a text; or it has `path`, of a Unix socket.")
    };
    let (number, name) = match place {
        [Some(DeValue::Integer(port)), None, None] => (port, ""),
        [Some(DeValue::Integer(port)), Some(DeValue::String(address)), None] => (port, address.as_ref()),
        [None, None, Some(DeValue::String(path))] => return one_word("path", path).map(|()| format!("0 {path}")),
        _ => return Err(incomplete()),
    };
    let port = decimal(number.as_str(), number.radix());
    match name {
        "" if port == "0" => Err(incomplete()),
        "" => Ok(port),
        _ if port == "0" => Err(incomplete()),
        name => one_word("address", name).map(|()| format!("{port} {name}")),
    }
}

/// A line could not hold it otherwise.
fn one_word(key: &str, text: &str) -> Result<(), Complaint> {
    match text.contains(value::BLANKS) || text.is_empty() || text.starts_with('#') || !value::is_fit(text) {
        true => {
            let complaint = Complaint::from(format!("Invalid '{key}' value: it must be one word without blanks."));
            Err(complaint.hint("an address is like \"127.0.0.1\", a path like \"/run/mqtt.sock\"."))
        }
        false => Ok(()),
    }
}

/// Lines of a `mosquitto.conf` are read without the blanks around a value, and end where they end; both forms can say
/// the same.
fn whole(path: &str, text: &str) -> Result<(), Complaint> {
    if text.trim_matches(value::BLANKS) != text {
        let text = format!("Invalid '{path}' value: it begins or ends with a blank.");
        return Err(Complaint::from(text).hint("remove the blank."));
    }
    if text.contains(|c: char| c.is_control() && c != '\t') {
        let text = format!("Invalid '{path}' value: it has a line break or another control character.");
        return Err(Complaint::from(text).hint("remove it."));
    }
    Ok(())
}

/// The line is one of the other form: a known word, and no `=` behind it.
fn is_line_of_conf(line: &str) -> bool {
    let (word, rest) = value::first_word(line);
    options::find(word).is_some() && !rest.is_empty() && !rest.starts_with('=')
}

fn not_toml(message: &str, is_foreign: bool) -> Complaint {
    let complaint = Complaint::from(format!("This is not TOML: {}.", message.trim_end_matches('.').replace('\n', " ")));
    match is_foreign {
        true => complaint.hint(
            "this is a line of a mosquitto.conf; give the file a name that ends in .conf, \
             and `sori config convert` makes a TOML file of it.",
        ),
        false => complaint,
    }
}

/// No option has this path.
fn unknown(table: Table, path: &str) -> Complaint {
    let complaint = Complaint::about_word(format!("Unknown configuration variable '{}'.", path.escape_debug()));
    let of_listener = by_path(&format!("{LISTENER}.{path}"));
    match (table, by_path(path), of_listener) {
        (Table::Root, None, Some(_)) => {
            return complaint.hint("it belongs into the table of a [[listener]], or into [default_listener].");
        }
        (Table::Listener | Table::DefaultListener, Some(entry), _) if entry.scope == Scope::Security => {
            let hint = "it holds for the whole broker and stands above the first table; with \
                        `per_listener_settings = true` there it belongs to listeners.";
            return complaint.hint(hint);
        }
        (Table::Listener | Table::DefaultListener, Some(_), _) => {
            return complaint.hint("it holds for the whole broker: move it above the first table.");
        }
        _ => {}
    }
    let last = path.rsplit('.').next().unwrap_or(path);
    if let Some(entry) = options::find(last).filter(|entry| !entry.toml.is_empty()) {
        let path = if table == Table::Root { entry.toml } else { entry.toml.trim_start_matches("listener.") };
        return complaint.hint(format!("in a TOML file it is '{path}'."));
    }
    let known = options::all().filter(|entry| !entry.toml.is_empty() && entry.standing == Standing::Works);
    let here = known.filter_map(|entry| match (table, entry.toml.strip_prefix("listener.")) {
        (Table::Root, None) => Some(entry.toml),
        (Table::Listener | Table::DefaultListener, Some(own)) => Some(own),
        _ => None,
    });
    match suggest::nearest(path, here) {
        Some(meant) => complaint.hint(format!("did you mean '{meant}'?")),
        None => complaint.hint("`sori man DIR` writes a manual page with all options."),
    }
}

/// The value as it would stand in a line; `None` when it is of another kind than the option's.
fn as_text(entry: &Entry, value: &DeValue<'_>) -> Option<String> {
    let (flag, number, text) = match entry.takes {
        Takes::Flag(_) | Takes::Structure(Structure::PerListenerSettings) => (true, false, false),
        Takes::Number { .. } | Takes::Structure(Structure::Port) => (false, true, false),
        Takes::Word { .. } => (false, true, true),
        Takes::Text { .. } | Takes::Structure(_) => (false, false, true),
        Takes::Anything => (true, true, true),
    };
    match value {
        DeValue::Boolean(value) if flag => Some(value.to_string()),
        DeValue::Integer(value) if number => Some(decimal(value.as_str(), value.radix())),
        DeValue::String(value) if text => Some(value.to_string()),
        _ => None,
    }
}

/// C has no notation for numbers to the base of 2, and another one for the base of 8. What does not fit into 64 bits is
/// refused as too large.
fn decimal(digits: &str, radix: u32) -> String {
    i64::from_str_radix(digits, radix).map_or_else(|_| i128::MAX.to_string(), |number| number.to_string())
}

const FLAG: &str = "true or false";
const NUMBER: &str = "a whole number";
const TEXTS: &str = "a text in quotation marks, or an array of them";
const TEXT: &str = "a text in quotation marks";

fn expected(entry: &Entry) -> &'static str {
    match entry.takes {
        Takes::Flag(_) | Takes::Structure(Structure::PerListenerSettings) => FLAG,
        Takes::Number { .. } | Takes::Structure(Structure::Port) => NUMBER,
        _ if adds_up(entry) => TEXTS,
        _ => TEXT,
    }
}

fn example(expected: &str) -> &'static str {
    match expected {
        FLAG => "true",
        NUMBER => "10",
        TEXTS => "[\"one\", \"two\"]",
        _ => "\"text\"",
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(values) if values.is_empty() => "an empty array",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
