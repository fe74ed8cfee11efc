//! The line that is being read, and what it belongs to.

use std::path::Path;
use std::sync::Arc;

use super::complaint::Part;
use super::parse::Above;
use super::remark::Location;
use super::value;

/// What the next line of a file belongs to. It ends with the file.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
    /// Where the line's word and its value begin, in characters from 1.
    pub(super) word_column: usize,
    pub(super) value_column: usize,
    pub(super) main_file: bool,
    /// It is a `sori.toml`: its values are known to be whole, and its included files are of its kind.
    pub(super) is_toml: bool,
    pub(super) listener: Option<usize>,
    pub(super) bridge: bool,
    pub(super) plugin: Above,
}

impl Scene {
    pub(super) fn new(file: &Path, main_file: bool) -> Scene {
        let is_toml = is_toml(file);
        let (line, word_column, value_column) = (0, 1, 1);
        let (listener, bridge, plugin) = (None, false, Above::Nothing);
        Scene { file: file.into(), line, word_column, value_column, main_file, is_toml, listener, bridge, plugin }
    }

    pub(super) fn here(&self) -> Location {
        Location::line(self.file.clone(), self.line)
    }

    pub(super) fn part(&self, part: Part) -> Location {
        let column = match part {
            Part::Word => self.word_column,
            Part::Value => self.value_column,
        };
        Location { column: Some(column), ..self.here() }
    }

    /// `text` is the line without its end, `word` its first word and `rest` what follows the blanks behind that.
    pub(super) fn note_columns(&mut self, text: &str, word: &str, rest: &str) {
        let line = text.trim_end_matches(value::BLANKS);
        let before_word = text.len() - text.trim_start_matches(value::BLANKS).len();
        let before_value = if rest.is_empty() { before_word + word.len() + 1 } else { line.len() - rest.len() };
        let characters = |bytes: usize| text.get(..bytes).map_or(bytes, |before| before.chars().count());
        self.word_column = characters(before_word) + 1;
        self.value_column = characters(before_value) + 1;
    }
}

/// Which of the two forms a file has is in its name.
pub(super) fn is_toml(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "toml")
}
