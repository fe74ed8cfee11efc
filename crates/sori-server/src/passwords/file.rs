//! The grammar of the file: `user:hash`, one a line. Every line is read whatever the lines before it said, so that one run
//! shows all mistakes, and a line with a mistake is never a user without a password (CVE-2018-12551).

use super::hashed::Hashed;
use super::users::{User, Users};
use crate::config::{Location, Remark, Severity, wrong_encoding};
use crate::text_file::contents;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What a user name may have in CONNECT. MQTT 5.0 section 1.5.4.
const NAME_BYTES_MAX: usize = 65_535;

impl Users {
    /// Reads a file completely. `remarks` gets everything there is to say about it; with an error among that there are no
    /// users.
    pub fn read(file: &Path, remarks: &mut Vec<Remark>) -> Option<Users> {
        match contents(file, "password_file") {
            Ok(bytes) => Users::parse(file, &bytes, remarks),
            Err(remark) => {
                remarks.push(remark);
                None
            }
        }
    }

    /// The same for the contents of a file.
    pub fn parse(file: &Path, bytes: &[u8], remarks: &mut Vec<Remark>) -> Option<Users> {
        let mut reader = Reader { file: file.into(), users: Vec::new(), lines: HashMap::new(), remarks: Vec::new() };
        if let Some(text) = wrong_encoding(bytes) {
            let at = Some(Location::line(Arc::clone(&reader.file), 1));
            let hint = "save the file as UTF-8 without a byte order mark.";
            remarks.push(Remark::new(Severity::Error, text).at(at).hint(hint));
            return None;
        }
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            reader.read_line(at + 1, line);
        }
        let is_good = !reader.remarks.iter().any(Remark::is_error);
        remarks.append(&mut reader.remarks);
        is_good.then(|| Users::new(reader.file, reader.users))
    }
}

struct Reader {
    file: Arc<Path>,
    users: Vec<User>,
    /// The line of each name so far.
    lines: HashMap<Box<str>, usize>,
    remarks: Vec<Remark>,
}

impl Reader {
    /// The columns before the one that is meant.
    fn complain(&mut self, line: usize, before: &str, text: &str, hint: String) {
        let column = Some(before.chars().count() + 1);
        let at = Some(Location { file: Arc::clone(&self.file), line, column });
        let text = format!("{text} '{}'.", self.file.display());
        self.remarks.push(Remark::new(Severity::Error, text).at(at).hint(hint));
    }

    fn read_line(&mut self, number: usize, bytes: &[u8]) {
        const INVALID: &str = "Invalid line in password file";
        if bytes.starts_with(b"#") || bytes.trim_ascii().is_empty() {
            return;
        }
        let Ok(line) = std::str::from_utf8(bytes) else {
            return self.complain(number, "", INVALID, "the line is not UTF-8.".to_owned());
        };
        let Some((name, rest)) = line.split_once(':') else {
            let at = Some(Location::line(Arc::clone(&self.file), number));
            let remark = Remark::new(Severity::Warning, "There is no ':' in this line, so it is skipped.").at(at);
            self.remarks.push(remark.hint("a user's line is <name>:<hash>, as `sori passwd` writes it."));
            return;
        };
        let name = name.trim_matches(is_space);
        if name.is_empty() {
            return self.complain(number, "", INVALID, "there is no user name before the ':'.".to_owned());
        }
        if name.len() > NAME_BYTES_MAX || name.contains('\0') {
            let hint = format!("a user name has at most {NAME_BYTES_MAX} bytes, and none of them is 0.");
            return self.complain(number, "", INVALID, hint);
        }
        if let Some(first) = self.lines.get(name) {
            let text = format!("Duplicate user '{}' in password file", name.escape_debug());
            let hint = format!("the first one is in line {first}; remove one of them.");
            return self.complain(number, "", &text, hint);
        }
        self.lines.insert(name.into(), number);
        let hash = rest.trim_matches(is_space);
        let blanks = rest.len() - rest.trim_start_matches(is_space).len();
        let begin = line.len() - rest.len() + blanks;
        match Hashed::parse(hash) {
            Ok(hashed) => self.users.push(User { name: name.into(), hashed, line: number }),
            Err(error) => {
                let before = line.get(..begin + error.at).unwrap_or(line);
                self.complain(number, before, "Unable to decode line in password file", format!("{}.", error.text));
            }
        }
    }
}

/// What is taken off the ends of names and hashes.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{B}'
}
