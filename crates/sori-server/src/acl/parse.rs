//! The grammar of the file. Every line is read whatever the lines before it said, so that one run shows all mistakes.

use super::filter;
use super::outline::{Line, Owner};
use super::rules::{Right, Rules, Whose};
use crate::config::{Location, Remark, Severity, wrong_encoding};
use crate::text_file::contents;
use std::path::Path;
use std::sync::Arc;

/// The only letter between words. A TAB is part of a word, as in Mosquitto.
const BLANK: char = ' ';

impl Rules {
    /// Reads a file completely. `remarks` gets everything there is to say about it; with an error among that there are no
    /// rules.
    pub fn read(file: &Path, remarks: &mut Vec<Remark>) -> Option<Rules> {
        match contents(file, "acl_file") {
            Ok(bytes) => Rules::parse(file, &bytes, remarks),
            Err(remark) => {
                remarks.push(remark);
                None
            }
        }
    }

    /// The same for the contents of a file.
    pub fn parse(file: &Path, bytes: &[u8], remarks: &mut Vec<Remark>) -> Option<Rules> {
        let mut reader = Reader::new(file);
        reader.read(bytes);
        let is_good = !reader.remarks.iter().any(Remark::is_error);
        remarks.append(&mut reader.remarks);
        is_good.then_some(reader.rules)
    }
}

pub(super) struct Reader {
    file: Arc<Path>,
    rules: Rules,
    /// The rules once more as they were written, for who wants that.
    outline: Option<Vec<(Owner, Line)>>,
    /// The `user` line that was read last.
    user: Option<String>,
    line: usize,
    remarks: Vec<Remark>,
}

/// What is wrong with a line, from which of its parts on, and what to do about it.
struct Complaint<'a> {
    text: String,
    part: &'a str,
    hint: Option<&'static str>,
}

impl Reader {
    fn new(file: &Path) -> Reader {
        let (rules, remarks) = (Rules::none(file), Vec::new());
        Reader { file: file.into(), rules, outline: None, user: None, line: 0, remarks }
    }

    /// The rules of a file as they were written.
    pub(super) fn outline(file: &Path) -> Vec<(Owner, Line)> {
        let mut reader = Reader { outline: Some(Vec::new()), ..Reader::new(file) };
        if let Ok(bytes) = contents(file, "acl_file") {
            reader.read(&bytes);
        }
        reader.outline.unwrap_or_default()
    }

    fn read(&mut self, bytes: &[u8]) {
        if let Some(text) = wrong_encoding(bytes) {
            self.line = 1;
            let hint = Some("save the file as UTF-8 without a byte order mark.");
            self.remark(Severity::Error, None, text.to_owned(), hint);
            return;
        }
        for line in bytes.split(|byte| *byte == b'\n') {
            self.line += 1;
            let Some(line) = std::str::from_utf8(line).ok().filter(|line| !line.contains('\0')) else {
                let column = Some(line.iter().take_while(|byte| byte.is_ascii() && **byte != 0).count() + 1);
                let hint = Some("save the file as UTF-8 without control characters.");
                self.remark(Severity::Error, column, String::from("Malformed UTF-8 in acl_file."), hint);
                continue;
            };
            if let Err(Complaint { text, part, hint }) = self.read_line(line) {
                self.remark(Severity::Error, Some(column(line, part)), text, hint);
            }
        }
    }

    fn remark(&mut self, severity: Severity, column: Option<usize>, text: String, hint: Option<&str>) {
        let at = Some(Location { column, ..Location::line(Arc::clone(&self.file), self.line) });
        self.remarks.push(Remark { severity, at, text, hint: hint.map(str::to_owned) });
    }

    fn warn(&mut self, text: String) {
        self.remark(Severity::Warning, None, text, None);
    }

    fn read_line<'a>(&mut self, line: &'a str) -> Result<(), Complaint<'a>> {
        if line.starts_with('#') {
            return Ok(());
        }
        let line = line.trim_end_matches(is_space).trim_start_matches(BLANK);
        let (word, rest) = line.split_once(BLANK).unwrap_or((line, &line[line.len()..]));
        match word {
            "" => Ok(()),
            "topic" => self.read_rule(rest, false),
            "pattern" => self.read_rule(rest, true),
            "user" => self.read_user(rest),
            _ => {
                let text = format!("Invalid line in acl_file: {}.", line.escape_debug());
                Err(Complaint { text, part: word, hint: hint(word) })
            }
        }
    }

    fn read_user<'a>(&mut self, rest: &'a str) -> Result<(), Complaint<'a>> {
        let name = rest.trim_matches(is_space);
        if name.is_empty() {
            let text = String::from("Missing username in acl_file.");
            let hint = "write `user <name>`; rules for clients without one stand above the first user.";
            return Err(Complaint { text, part: rest, hint: Some(hint) });
        }
        self.warn_of_controls(name);
        self.user = Some(name.to_owned());
        Ok(())
    }

    fn read_rule<'a>(&mut self, rest: &'a str, is_pattern: bool) -> Result<(), Complaint<'a>> {
        let rest = rest.trim_start_matches(BLANK);
        let (right, text) = match rest.split_once(BLANK) {
            Some((word, text)) => (right(word)?, text.trim_matches(is_space)),
            None => (Right::ReadWrite, rest),
        };
        if text.is_empty() {
            let hint = "a topic or filter ends the line: `topic read home/#`.";
            return Err(Complaint { text: String::from("Empty topic in acl_file."), part: text, hint: Some(hint) });
        }
        if !filter::is_legal(text) {
            let said = format!("Invalid ACL topic '{}' in acl_file.", text.escape_debug());
            let hint = "+ and # stand for whole levels, and # for the last ones.";
            return Err(Complaint { text: said, part: text, hint: Some(hint) });
        }
        if text == rest && self::right(text).is_ok() {
            self.warn(format!("'{text}' is the topic here, which may be read and written: no topic follows."));
        }
        self.warn_of_controls(text);
        self.warn_of_substitutions(text, is_pattern);
        let whose = match &self.user {
            _ if is_pattern => Whose::Everybody,
            Some(name) => Whose::User(name),
            None => Whose::Anonymous,
        };
        if let Some(outline) = &mut self.outline {
            outline.push((Owner::of(whose), Line { right, text: text.to_owned(), number: self.line }));
        }
        self.rules.add(whose, right, text, self.line);
        Ok(())
    }

    /// Clients cannot use them, so somebody separated words with them.
    fn warn_of_controls(&mut self, text: &str) {
        if text.contains(char::is_control) {
            let text = text.escape_debug();
            self.warn(format!("'{text}' matches nothing: only spaces separate words, and a TAB is part of one."));
        }
    }

    fn warn_of_substitutions(&mut self, text: &str, is_pattern: bool) {
        let whole = text.split('/').filter(|level| matches!(*level, "%c" | "%u")).count();
        let all = text.matches("%c").count() + text.matches("%u").count();
        if is_pattern && all == 0 {
            self.warn(format!("ACL pattern '{text}' does not contain '%c' or '%u'."));
        } else if is_pattern && whole < all {
            self.warn(format!("In '{text}' not every '%c' or '%u' is a whole level; such a one stands for itself."));
        } else if !is_pattern && whole > 0 {
            self.warn(format!(
                "'%c' and '%u' in '{text}' stand for themselves: they have a meaning after 'pattern' only."
            ));
        }
    }
}

/// Where a part of a line begins, in characters from 1.
fn column(line: &str, part: &str) -> usize {
    let before = part.as_ptr().addr().saturating_sub(line.as_ptr().addr());
    line.get(..before).unwrap_or(line).chars().count() + 1
}

fn right(word: &str) -> Result<Right, Complaint<'_>> {
    match word {
        "read" => Ok(Right::Read),
        "write" => Ok(Right::Write),
        "readwrite" => Ok(Right::ReadWrite),
        "deny" => Ok(Right::Deny),
        other => {
            let text = format!("Invalid topic access type '{}' in acl_file.", other.escape_debug());
            Err(Complaint { text, part: word, hint: Some("allowed: read, write, readwrite and deny.") })
        }
    }
}

fn hint(word: &str) -> Option<&'static str> {
    let is_comment = word.trim_start().starts_with('#');
    Some(if is_comment {
        "the # of a comment is the first letter of its line."
    } else {
        "a line begins with topic, pattern or user and a space."
    })
}

/// What is taken off the ends of lines and values.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{B}'
}
