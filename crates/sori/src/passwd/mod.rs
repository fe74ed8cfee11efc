//! `sori passwd`: passwords of users, in a file for `password_file`; and `mosquitto_passwd`, which is the same in the words
//! that scripts know.
//!
//! A command line becomes a [`Job`](job::Job), the text of the file goes through [`text`] and comes back changed, and
//! [`replace`] puts it where it was, whole or not at all.

mod job;
mod mosquitto;
mod prompt;
mod replace;
mod text;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sori_server::passwords::Scheme;

use crate::failure::Failure;
use job::{Corrupt, Job, Outcome, Password, Trouble};

pub(crate) use mosquitto::run as mosquitto_passwd;

const EXAMPLES: &str = "\
Examples:
  sori passwd /etc/mosquitto/passwords ann           asks for ann's password, and makes the file if there is none
  echo secret | sori passwd passwords ann            takes it from standard input
  sori passwd -D passwords ann                       ann may no longer come in
  sori passwd -U passwords                           a file of lines `user:password` gets hashes
  sori passwd -b -c - ann secret                     prints the line

mosquitto.conf names the file: `password_file /etc/mosquitto/passwords`. `sori reload` has a running broker read it again.

Exit status:
  0 done, 1 not done, 2 wrong usage, or two passwords that differ";

#[derive(Args, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Take the password from the command line, where other users of the machine can see it
    #[arg(short = 'b', requires = "password", conflicts_with_all = ["delete", "update"])]
    batch: bool,
    /// Make the file anew, with this user alone; FILE `-` is standard output
    #[arg(short = 'c', conflicts_with_all = ["delete", "update"])]
    create: bool,
    /// With -c: also when there is a file, whose users are then gone
    #[arg(long, requires = "create")]
    force: bool,
    /// Remove the user
    #[arg(short = 'D', conflicts_with_all = ["update", "hash", "iterations"])]
    delete: bool,
    /// Hash the passwords of a file that has them in plain text; hashes stay as they are
    #[arg(short = 'U', conflicts_with_all = ["user", "password"])]
    update: bool,
    /// How to hash; Mosquitto before 2.1 knows only the last two, before 2.0 only the last one
    #[arg(short = 'H', long, value_enum, value_name = "SCHEME", default_value = "argon2id")]
    hash: Hash,
    /// Iterations of sha512-pbkdf2
    #[arg(short = 'I', long, value_name = "N")]
    iterations: Option<u32>,
    /// The file
    file: PathBuf,
    /// The user name
    #[arg(required_unless_present = "update")]
    user: Option<String>,
    /// The password, with -b
    #[arg(requires = "batch")]
    password: Option<String>,
}

/// The schemes of [`Scheme`], by their names on the command line.
#[derive(ValueEnum, Copy, Clone, Debug, PartialEq, Eq)]
enum Hash {
    Argon2id,
    Sha512Pbkdf2,
    Sha512,
}

impl Hash {
    fn scheme(self, iterations: Option<u32>) -> Scheme {
        match (self, iterations) {
            (Hash::Argon2id, _) => Scheme::ARGON2ID,
            (Hash::Sha512Pbkdf2, None) => Scheme::PBKDF2,
            (Hash::Sha512Pbkdf2, Some(iterations)) => Scheme::Pbkdf2 { iterations },
            (Hash::Sha512, _) => Scheme::Sha512,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let outcome = arguments.job()?.run()?;
    let file = arguments.file.display();
    match (outcome, arguments.user.as_deref().unwrap_or_default()) {
        (Outcome::Printed, _) => {}
        (Outcome::Added, user) => println!("{user} is new in {file}."),
        (Outcome::Updated, user) => println!("{user} has a new password in {file}."),
        (Outcome::Removed, user) => println!("{user} is no longer in {file}."),
        (Outcome::Hashed { hashed, kept: 0 }, _) => println!("{file}: {hashed} passwords are hashed now."),
        (Outcome::Hashed { hashed, kept }, _) => {
            println!("{file}: {hashed} passwords are hashed now, {kept} were before.");
        }
    }
    Ok(())
}

impl Arguments {
    fn job(&self) -> Result<Job<'_>, Failure> {
        let usage = |text: &str| Err(Failure::new(text).with_status(2));
        match self.iterations {
            Some(_) if self.hash != Hash::Sha512Pbkdf2 => return usage("-I is only for -H sha512-pbkdf2"),
            Some(n) if !job::ITERATIONS.contains(&n) => return usage("-I is a number from 1 to 10000000"),
            _ => {}
        }
        let scheme = self.hash.scheme(self.iterations);
        let file = self.file.as_path();
        let Some(user) = self.user.as_deref() else { return Ok(Job::HashAll { file, scheme }) };
        if self.delete {
            return Ok(Job::Remove { file, user });
        }
        let password = match &self.password {
            Some(password) => Password::Given(password),
            None => Password::Asked { twice: prompt::is_terminal() },
        };
        match self.create {
            true if file == Path::new("-") => Ok(Job::Print { user, password, scheme }),
            true if file.exists() && !self.force => Err(Failure::new(format!(
                "{} is there already: without -c the user is added to it, with -c --force its users are gone",
                file.display()
            ))),
            true => Ok(Job::Create { file, user, password, scheme }),
            // A first user needs no other command than a second one.
            false if !file.exists() => Ok(Job::Create { file, user, password, scheme }),
            false => Ok(Job::Set { file, user, password, scheme, corrupt: Corrupt::Refused }),
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        let mut text = trouble.to_string();
        // Behind "sori: " a sentence goes on.
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        Failure::new(text.trim_end_matches('.')).with_status(trouble.status())
    }
}
