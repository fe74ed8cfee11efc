//! Reading a password from standard input: from a terminal without showing it, from anything else as it comes.

use std::io::{self, BufRead, IsTerminal, Read, StdinLock, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::job::{Trouble, reason};

/// More than any password has; who sends more sends something else.
const LINE_BYTES_MAX: u64 = 128 * 1024;
/// As a shell reports a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Asks for it twice, or else reads it from the first line without a word.
pub(super) fn password(twice: bool) -> Result<String, Trouble> {
    let failed = |error: io::Error| Trouble::NotAsked(reason(&error));
    let quiet = Quiet::new().map_err(failed)?;
    let mut input = io::stdin().lock();
    let first = ask(&mut input, twice.then_some("Password: "))?;
    let is_same = !twice || ask(&mut input, Some("Reenter password: "))? == first;
    drop(quiet);
    if is_same { Ok(first) } else { Err(Trouble::PasswordsDiffer) }
}

fn ask(input: &mut StdinLock<'_>, prompt: Option<&str>) -> Result<String, Trouble> {
    let failed = |error: io::Error| Trouble::NotAsked(reason(&error));
    if let Some(prompt) = prompt {
        print!("{prompt}");
        io::stdout().flush().map_err(failed)?;
    }
    let mut line = Vec::new();
    input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
    if prompt.is_some() {
        // What was typed has ended no line that can be seen.
        println!();
    }
    let line = String::from_utf8(line).map_err(|_| Trouble::NotAsked("it is not UTF-8".to_owned()))?;
    match line.trim_end_matches(['\n', '\r']) {
        "" => Err(Trouble::PasswordEmpty),
        password => Ok(password.to_owned()),
    }
}

/// As long as this is there, a terminal does not show what is typed. Whoever gives up with Ctrl-C gets it back as it was.
struct Quiet {
    before: Option<Termios>,
    signals: Option<Handle>,
}

impl Quiet {
    fn new() -> io::Result<Quiet> {
        if !is_terminal() {
            return Ok(Quiet { before: None, signals: None });
        }
        let before = tcgetattr(io::stdin())?;
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let restored = before.clone();
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                show_again(&restored);
                println!();
                std::process::exit(INTERRUPTED);
            }
        });
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet)?;
        Ok(Quiet { before: Some(before), signals: Some(handle) })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            show_again(before);
        }
        if let Some(signals) = &self.signals {
            signals.close();
        }
    }
}

fn show_again(before: &Termios) {
    // There is nothing left to do for a terminal that has gone.
    let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
}
