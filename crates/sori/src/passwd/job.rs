//! What is to be done to a password file, whichever command line said it.

use std::fmt;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use sori_server::passwords::{Hashed, Scheme};

use super::{prompt, replace, text};

/// Iterations that the broker takes.
pub(super) const ITERATIONS: RangeInclusive<u32> = 1..=10_000_000;
/// User names and passwords in CONNECT. MQTT 5.0 section 1.5.4 and 1.5.6.
const BYTES_MAX: usize = 65_535;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Job<'a> {
    /// Only print the line of this user.
    Print { user: &'a str, password: Password<'a>, scheme: Scheme },
    /// Make the file, with this user alone.
    Create { file: &'a Path, user: &'a str, password: Password<'a>, scheme: Scheme },
    /// Give this user a password.
    Set { file: &'a Path, user: &'a str, password: Password<'a>, scheme: Scheme, corrupt: Corrupt },
    /// Remove this user.
    Remove { file: &'a Path, user: &'a str },
    /// Hash what is not hashed.
    HashAll { file: &'a Path, scheme: Scheme },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Password<'a> {
    Given(&'a str),
    /// It is read from standard input.
    Asked {
        twice: bool,
    },
}

/// What becomes of lines that cannot be read while another one is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Corrupt {
    /// Nothing is done to the file.
    Refused,
    /// They are told and stay as they are.
    Kept,
}

/// What was done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Printed,
    Added,
    Updated,
    Removed,
    Hashed {
        hashed: usize,
        /// These were hashes already.
        kept: usize,
    },
}

/// Why it was not done, in Mosquitto's words where it has some.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The user name.
    Name(&'static str),
    PasswordTooLong,
    PasswordEmpty,
    PasswordsDiffer,
    NotAsked(String),
    NotHashed(String),
    NotOpened {
        file: PathBuf,
        reason: String,
    },
    NotWritten {
        file: PathBuf,
        reason: String,
        /// What was in the file, when it may be broken now.
        backup: Option<PathBuf>,
    },
    Corrupt {
        line: usize,
        why: &'static str,
    },
    NoSuchUser(String),
}

impl Job<'_> {
    pub(super) fn run(&self) -> Result<Outcome, Trouble> {
        match self {
            Job::Print { user, password, scheme } => {
                check_name(user)?;
                println!("{}", line(user, password, *scheme)?);
                Ok(Outcome::Printed)
            }
            Job::Create { file, user, password, scheme } => {
                check_name(user)?;
                let text = format!("{}\n", line(user, password, *scheme)?);
                replace::write(file, &text)?;
                Ok(Outcome::Added)
            }
            Job::Set { file, user, password, scheme, corrupt } => {
                check_name(user)?;
                // A file that cannot be used is told before anybody has typed a password.
                match (text::check(&read(file)?), corrupt) {
                    (Err(trouble), Corrupt::Kept) => eprintln!("Error: {trouble}"),
                    (checked, _) => checked?,
                }
                let line = line(user, password, *scheme)?;
                // And what somebody else has changed while it was typed stays.
                let (after, is_new) = text::set(&read(file)?, user, &line);
                replace::write(file, &after)?;
                Ok(if is_new { Outcome::Added } else { Outcome::Updated })
            }
            Job::Remove { file, user } => {
                check_name(user)?;
                let after = text::remove(&read(file)?, user)?;
                let after = after.ok_or_else(|| Trouble::NoSuchUser((*user).to_owned()))?;
                replace::write(file, &after)?;
                Ok(Outcome::Removed)
            }
            Job::HashAll { file, scheme } => {
                let text::Rehashed { text, hashed, kept } = text::hash_all(&read(file)?, |password| {
                    check_password(password)?;
                    hash(*scheme, password)
                })?;
                replace::write(file, &text)?;
                Ok(Outcome::Hashed { hashed, kept })
            }
        }
    }
}

/// The user's line of the file, without its end.
fn line(user: &str, password: &Password<'_>, scheme: Scheme) -> Result<String, Trouble> {
    let password = match password {
        Password::Given(password) => (*password).to_owned(),
        Password::Asked { twice } => prompt::password(*twice)?,
    };
    check_password(&password)?;
    Ok(format!("{user}:{}", hash(scheme, &password)?))
}

fn hash(scheme: Scheme, password: &str) -> Result<Hashed, Trouble> {
    Hashed::of_password(scheme, password.as_bytes()).map_err(Trouble::NotHashed)
}

fn check_password(password: &str) -> Result<(), Trouble> {
    match password.len() {
        // The broker takes an empty password for none.
        0 => Err(Trouble::PasswordEmpty),
        1..=BYTES_MAX => Ok(()),
        _ => Err(Trouble::PasswordTooLong),
    }
}

/// Only what the broker will read again as this name.
fn check_name(user: &str) -> Result<(), Trouble> {
    let wrong = |text| Err(Trouble::Name(text));
    if user.len() > BYTES_MAX {
        return wrong("Username must be less than 65536 characters long.");
    }
    if user.chars().any(|c| c.is_ascii_control()) {
        return wrong("Username must not contain control characters.");
    }
    if user.contains(':') {
        return wrong("Username must not contain the ':' character.");
    }
    if user.is_empty() || user.starts_with(['#', ' ']) || user.ends_with(' ') {
        return wrong("Username must not be empty, begin with '#', or begin or end with a blank.");
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, Trouble> {
    let trouble = |reason: String| Trouble::NotOpened { file: file.to_owned(), reason };
    let bytes = fs::read(file).map_err(|error| trouble(reason(&error)))?;
    String::from_utf8(bytes).map_err(|_| trouble("It is not UTF-8".to_owned()))
}

/// What the system says, without its number for it.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

impl Trouble {
    pub(super) fn status(&self) -> u8 {
        if *self == Trouble::PasswordsDiffer { 2 } else { 1 }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Name(text) => f.write_str(text),
            Trouble::PasswordTooLong => f.write_str("Password must be less than 65536 characters long."),
            Trouble::PasswordEmpty => f.write_str("Empty password."),
            Trouble::PasswordsDiffer => f.write_str("Passwords do not match."),
            Trouble::NotAsked(reason) => write!(f, "The password cannot be read: {reason}."),
            Trouble::NotHashed(reason) => write!(f, "Unable to hash password: {reason}."),
            Trouble::NotOpened { file, reason } => {
                write!(f, "Unable to open password file {}. {reason}.", file.display())
            }
            Trouble::NotWritten { file, reason, backup } => {
                write!(f, "Unable to open file {} for writing. {reason}.", file.display())?;
                match backup {
                    Some(backup) => write!(f, " It may be broken now; what was in it is in {}.", backup.display()),
                    None => Ok(()),
                }
            }
            Trouble::Corrupt { line, why } => write!(f, "Corrupt password file at line {line}. {why}."),
            Trouble::NoSuchUser(user) => write!(f, "User {user} not found in password file."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_the_broker_reads_again() {
        for name in ["ann", "an n", "ä#", "$7$", "a".repeat(65_535).as_str()] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "#ann", " ann", "ann ", "a:b", ":", "a\nb", "a\0", "\x7f", "a".repeat(65_536).as_str()] {
            assert!(matches!(check_name(name), Err(Trouble::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_password_is_one_that_connect_can_carry() {
        assert_eq!(check_password(""), Err(Trouble::PasswordEmpty));
        assert_eq!(check_password(&"a".repeat(65_535)), Ok(()));
        assert_eq!(check_password(&"a".repeat(65_536)), Err(Trouble::PasswordTooLong));
    }
}
