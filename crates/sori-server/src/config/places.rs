//! Lines and columns of the bytes of a text.

/// Finds lines and columns of bytes.
pub(super) struct Places<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Places<'_> {
    pub(super) fn new(text: &str) -> Places<'_> {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Places { text, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// Line and column of a byte, counted from 1; the column in characters.
    pub(super) fn of(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// A line by its number, with its end.
    pub(super) fn line(&self, number: usize) -> &str {
        let start = number.checked_sub(1).and_then(|index| self.lines.get(index));
        let end = self.lines.get(number).copied().unwrap_or(self.text.len());
        start.and_then(|start| self.text.get(*start..end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_in_characters() {
        let places = Places::new("a\nβ x\n\nb");
        let found: Vec<_> = [0, 1, 2, 5, 6, 7, 8, 9].into_iter().map(|at| places.of(at)).collect();
        assert_eq!(found, [(1, 1), (1, 2), (2, 1), (2, 3), (2, 4), (3, 1), (4, 1), (4, 2)]);
        assert_eq!((places.line(2), places.line(4), places.line(0), places.line(9)), ("β x\n", "b", "", ""));
        assert_eq!(Places::new("").of(0), (1, 1));
    }
}
