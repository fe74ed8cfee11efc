//! The text of a password file, changed in one line and kept in all others, comments and blank lines included.
//!
//! The grammar is the broker's (`sori_server::passwords::Users::read`), with one difference: a line that the broker
//! skips with a warning is an error here, because whoever changes the file can mend it.

use sori_server::passwords::Hashed;

use super::job::Trouble;

/// One line of the file.
enum Line<'a> {
    /// A comment, or nothing.
    Other,
    User {
        name: &'a str,
        /// What stands behind the colon.
        secret: &'a str,
    },
}

fn parse(number: usize, line: &str) -> Result<Line<'_>, Trouble> {
    let corrupt = |why| Err(Trouble::Corrupt { line: number, why });
    if line.starts_with('#') || line.trim().is_empty() {
        return Ok(Line::Other);
    }
    let Some((name, secret)) = line.split_once(':') else {
        return corrupt("A line is <user>:<hash>, or begins with '#'");
    };
    match (name.trim(), secret.trim()) {
        ("", _) => corrupt("There is no user before the ':'"),
        (_, "") => corrupt("There is nothing behind the ':'"),
        (name, secret) => Ok(Line::User { name, secret }),
    }
}

/// Each line as it stands there, its end included.
fn lines(text: &str) -> impl Iterator<Item = Result<(&str, Line<'_>), Trouble>> {
    text.split_inclusive('\n').enumerate().map(|(at, whole)| Ok((whole, parse(at + 1, whole)?)))
}

/// Whether every line can be read.
pub(super) fn check(text: &str) -> Result<(), Trouble> {
    lines(text).try_for_each(|line| line.map(|_| ()))
}

/// The text with `line` as the user's line, and whether there was none before. A second line of the same user goes: the
/// broker would refuse the file. A line that is none stays.
pub(super) fn set(text: &str, user: &str, line: &str) -> (String, bool) {
    let (mut after, mut is_new) = (String::new(), true);
    for (at, whole) in text.split_inclusive('\n').enumerate() {
        match parse(at + 1, whole) {
            Ok(Line::User { name, .. }) if name == user => {
                if is_new {
                    after.push_str(line);
                    after.push('\n');
                }
                is_new = false;
            }
            _ => after.push_str(whole),
        }
    }
    if is_new {
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after.push_str(line);
        after.push('\n');
    }
    (after, is_new)
}

/// The text without the user; `None` when the user is not there.
pub(super) fn remove(text: &str, user: &str) -> Result<Option<String>, Trouble> {
    let (mut after, mut is_there) = (String::new(), false);
    for line in lines(text) {
        match line? {
            (_, Line::User { name, .. }) if name == user => is_there = true,
            (whole, _) => after.push_str(whole),
        }
    }
    Ok(is_there.then_some(after))
}

/// What came of a file of plain passwords.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rehashed {
    pub(super) text: String,
    pub(super) hashed: usize,
    /// So many were hashes already. Mosquitto's own program would hash them once more, and lock these users out.
    pub(super) kept: usize,
}

/// The text with a hash in the place of every password that is none.
pub(super) fn hash_all<H: std::fmt::Display>(
    text: &str,
    mut hash: impl FnMut(&str) -> Result<H, Trouble>,
) -> Result<Rehashed, Trouble> {
    let mut after = Rehashed { text: String::new(), hashed: 0, kept: 0 };
    for line in lines(text) {
        match line? {
            (whole, Line::User { secret, .. }) if Hashed::parse(secret).is_ok() => {
                after.text.push_str(whole);
                after.kept += 1;
            }
            (_, Line::User { name, secret }) => {
                after.text.push_str(&format!("{name}:{}\n", hash(secret)?));
                after.hashed += 1;
            }
            (whole, Line::Other) => after.text.push_str(whole),
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sori_server::passwords::Scheme;

    const FILE: &str = "# ours: these two\n\nann:$old\n bob : $kept \n";

    #[test]
    fn a_user_is_changed_where_it_stands_and_added_at_the_end() {
        let check = |text: &str, user: &str, after: &str, is_new| {
            assert_eq!(set(text, user, "new:line"), (after.to_owned(), is_new), "{text:?}");
        };
        check(FILE, "ann", "# ours: these two\n\nnew:line\n bob : $kept \n", false);
        check(FILE, "bob", "# ours: these two\n\nann:$old\nnew:line\n", false);
        check(FILE, "eve", &format!("{FILE}new:line\n"), true);
        check("", "eve", "new:line\n", true);
        check("a:b", "eve", "a:b\nnew:line\n", true);
        check("eve:b\na:b\neve:c\n", "eve", "new:line\na:b\n", false);
        check("a:b\nbroken\neve:c\n:d", "eve", "a:b\nbroken\nnew:line\n:d", false);
        check("broken", "eve", "broken\nnew:line\n", true);
        check("# ours: x\n", "# ours", "# ours: x\nnew:line\n", true);
    }

    #[test]
    fn a_user_is_removed() {
        assert_eq!(remove(FILE, "ann"), Ok(Some("# ours: these two\n\n bob : $kept \n".to_owned())));
        assert_eq!(remove(FILE, "eve"), Ok(None));
        assert_eq!(remove("a:b\nc:d", "c"), Ok(Some("a:b\n".to_owned())));
    }

    #[test]
    fn passwords_are_hashed_once() {
        let hash = Hashed::of_password(Scheme::Sha512, b"x");
        let hash = hash.expect("can be computed").to_string();
        let text = format!("# plain: y\nann: pass:word \nbob:{hash}\n");
        let upper = |password: &str| Ok(password.to_uppercase());
        let after = hash_all(&text, upper).expect("is a good file");
        let expected = format!("# plain: y\nann:PASS:WORD\nbob:{hash}\n");
        assert_eq!(after, Rehashed { text: expected, hashed: 1, kept: 1 });
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for (text, line) in [("ann\n", 1), ("a:b\n:c\n", 2), ("a:b\n\nc: \n", 3)] {
            let found = check(text);
            assert!(matches!(found, Err(Trouble::Corrupt { line: at, .. }) if at == line), "{text:?}: {found:?}");
        }
    }
}
