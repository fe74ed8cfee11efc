//! `mosquitto_passwd`: its command line, its messages and its exit statuses, word for word, because scripts know them. What
//! it would break is mended: comments stay, `-U` leaves hashes alone, and the file is written whole or not at all. Of a file
//! with a line that is none, it loses that line and all behind it when a user is added, and ends with 0; here they stay.

use std::ffi::OsString;
use std::path::Path;

use sori_server::passwords::Scheme;

use super::job::{Corrupt, ITERATIONS, Job, Outcome, Password, Trouble};

const USAGE: &str = "\
mosquitto_passwd keeps the password files of a broker. This one is part of sori.

Usage: mosquitto_passwd [-H hash] [-I iterations] [-c | -D] passwordfile username
       mosquitto_passwd [-H hash] [-I iterations] [-c] -b passwordfile username password
       mosquitto_passwd [-H hash] -U passwordfile
 -b : take the password from the command line.
 -c : make the file anew; one that is there is overwritten. `-` is standard output.
 -D : remove the user.
 -H : argon2id, sha512-pbkdf2 (unless said otherwise) or sha512.
 -I : the iterations of sha512-pbkdf2.
 -U : hash the passwords of a file that has them in plain text. Hashes stay.

`sori passwd` does the same and says more.
";

/// What the flags have said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flags {
    batch: bool,
    create: bool,
    delete: bool,
    update: bool,
    scheme: Option<Scheme>,
    iterations: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Usage,
    Said(String),
}

fn wrong<T>(text: &str) -> Result<T, Wrong> {
    Err(Wrong::Said(text.to_owned()))
}

/// The program; the arguments are those behind its name.
pub(crate) fn run(arguments: Vec<OsString>) -> u8 {
    let arguments: Result<Vec<String>, _> = arguments.into_iter().map(OsString::into_string).collect();
    let Ok(arguments) = arguments else {
        eprintln!("Error: The arguments must be UTF-8.");
        return 1;
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let job = read_flags(&arguments).and_then(|(flags, rest)| job(&flags, rest));
    match job {
        Ok(job) => end(&job, job.run()),
        Err(Wrong::Usage) => {
            print!("{USAGE}");
            1
        }
        Err(Wrong::Said(text)) => {
            eprintln!("Error: {text}");
            1
        }
    }
}

fn end(job: &Job<'_>, result: Result<Outcome, Trouble>) -> u8 {
    match (job, result) {
        (Job::Set { user, .. } | Job::Create { user, .. }, Ok(Outcome::Added)) => {
            println!("Adding password for user {user}");
        }
        (Job::Set { user, .. }, Ok(Outcome::Updated)) => println!("Updating password for user {user}"),
        (_, Ok(_)) => {}
        (_, Err(trouble @ Trouble::NoSuchUser(_))) => {
            eprintln!("Warning: {trouble}");
            return trouble.status();
        }
        (_, Err(trouble)) => {
            eprintln!("Error: {trouble}");
            return trouble.status();
        }
    }
    0
}

/// The flags, and what is left behind them.
fn read_flags<'a, 'b>(arguments: &'b [&'a str]) -> Result<(Flags, &'b [&'a str]), Wrong> {
    if arguments.is_empty() {
        return Err(Wrong::Usage);
    }
    let mut flags = Flags::default();
    let mut rest = arguments;
    while let Some((flag, behind)) = rest.split_first() {
        rest = behind;
        match *flag {
            "-b" => flags.batch = true,
            "-c" => flags.create = true,
            "-D" => flags.delete = true,
            "-U" => flags.update = true,
            "-H" | "-I" => {
                let Some((value, behind)) = rest.split_first() else {
                    return wrong(&format!("{flag} argument given but not enough other arguments."));
                };
                rest = behind;
                if *flag == "-H" {
                    flags.scheme = Some(scheme(value)?);
                } else {
                    flags.iterations = Some(iterations(value)?);
                }
            }
            _ => {
                let read = arguments.len() - rest.len() - 1;
                rest = arguments.get(read..).unwrap_or_default();
                break;
            }
        }
    }
    for (is_wrong, a, b) in [
        (flags.create && flags.delete, "-c", "-D"),
        (flags.create && flags.update, "-c", "-U"),
        (flags.delete && flags.update, "-D", "-U"),
        (flags.delete && flags.batch, "-b", "-D"),
    ] {
        if is_wrong {
            return wrong(&format!("{a} and {b} cannot be used together."));
        }
    }
    Ok((flags, rest))
}

fn scheme(name: &str) -> Result<Scheme, Wrong> {
    match name {
        "argon2id" => Ok(Scheme::ARGON2ID),
        "sha512-pbkdf2" => Ok(Scheme::PBKDF2),
        "sha512" => Ok(Scheme::Sha512),
        _ => wrong(&format!("Unknown hash type '{name}'")),
    }
}

fn iterations(value: &str) -> Result<u32, Wrong> {
    let number: Option<u32> = value.parse().ok();
    match number.filter(|number| ITERATIONS.contains(number)) {
        Some(number) => Ok(number),
        None if number.is_some_and(|number| number > 0) => {
            wrong(&format!("Number of iterations must be <= {}.", ITERATIONS.end()))
        }
        None => wrong("Number of iterations must be > 0."),
    }
}

fn job<'a>(flags: &Flags, rest: &[&'a str]) -> Result<Job<'a>, Wrong> {
    let scheme = match (flags.scheme.unwrap_or(Scheme::PBKDF2), flags.iterations) {
        // The other schemes have none, and Mosquitto does not mind.
        (Scheme::Pbkdf2 { .. }, Some(iterations)) => Scheme::Pbkdf2 { iterations },
        (scheme, _) => scheme,
    };
    // Mosquitto reads it twice also when nobody is asked.
    let asked = Password::Asked { twice: true };
    let corrupt = Corrupt::Kept;
    let create = |file: &'a str, user, password| match file {
        "-" => Job::Print { user, password, scheme },
        _ => Job::Create { file: Path::new(file), user, password, scheme },
    };
    // What stands behind the arguments is ignored with -c and -D, and is wrong usage without them.
    match (flags, rest) {
        (Flags { create: true, batch: true, .. }, &[file, user, password, ..]) => {
            Ok(create(file, user, Password::Given(password)))
        }
        (Flags { create: true, batch: true, .. }, _) => {
            wrong("-c argument given but password file, username, or password missing.")
        }
        (Flags { create: true, .. }, &[file, user, ..]) => Ok(create(file, user, asked)),
        (Flags { create: true, .. }, _) => wrong("-c argument given but password file or username missing."),
        (Flags { delete: true, .. }, &[file, user, ..]) => Ok(Job::Remove { file: Path::new(file), user }),
        (Flags { delete: true, .. }, _) => wrong("-D argument given but password file or username missing."),
        (Flags { update: true, .. }, &[file]) => Ok(Job::HashAll { file: Path::new(file), scheme }),
        (Flags { update: true, .. }, _) => wrong("-U argument given but password file missing."),
        (Flags { batch: true, .. }, &[file, user, password]) => {
            Ok(Job::Set { file: Path::new(file), user, password: Password::Given(password), scheme, corrupt })
        }
        (Flags { batch: false, .. }, &[file, user]) => {
            Ok(Job::Set { file: Path::new(file), user, password: asked, scheme, corrupt })
        }
        _ => Err(Wrong::Usage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Result<String, Wrong> {
        let arguments: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
        let (flags, rest) = read_flags(&arguments)?;
        Ok(format!("{:?}", job(&flags, rest)?))
    }

    #[test]
    fn each_form_of_the_command_line_is_understood() {
        for (words, said) in [
            (
                "f u",
                r#"Set { file: "f", user: "u", password: Asked { twice: true }, scheme: Pbkdf2 { iterations: 1000 }, corrupt: Kept }"#,
            ),
            (
                "-I 101 -b f u p",
                r#"Set { file: "f", user: "u", password: Given("p"), scheme: Pbkdf2 { iterations: 101 }, corrupt: Kept }"#,
            ),
            ("-H sha512 -c -b f u p", r#"Create { file: "f", user: "u", password: Given("p"), scheme: Sha512 }"#),
            ("-b -c - u -p", r#"Print { user: "u", password: Given("-p"), scheme: Pbkdf2 { iterations: 1000 } }"#),
            ("-I 5 -H sha512 -U f", r#"HashAll { file: "f", scheme: Sha512 }"#),
            ("-D f u", r#"Remove { file: "f", user: "u" }"#),
        ] {
            assert_eq!(of(words).as_deref(), Ok(said), "{words}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_mosquitto_says_it() {
        for (words, said) in [
            ("-H", "-H argument given but not enough other arguments."),
            ("-H md5 f u", "Unknown hash type 'md5'"),
            ("-I x f u", "Number of iterations must be > 0."),
            ("-I -1 f u", "Number of iterations must be > 0."),
            ("-I 10000001 f u", "Number of iterations must be <= 10000000."),
            ("-D -c", "-c and -D cannot be used together."),
            ("-U -c", "-c and -U cannot be used together."),
            ("-U -D", "-D and -U cannot be used together."),
            ("-D -b", "-b and -D cannot be used together."),
            ("-c -b f u", "-c argument given but password file, username, or password missing."),
            ("-c f", "-c argument given but password file or username missing."),
            ("-D f", "-D argument given but password file or username missing."),
            ("-U f u", "-U argument given but password file missing."),
        ] {
            assert_eq!(of(words), Err(Wrong::Said(said.to_owned())), "{words}");
        }
        for words in ["", "f", "f u p", "-b f u", "--help"] {
            assert_eq!(of(words), Err(Wrong::Usage), "{words}");
        }
    }
}
