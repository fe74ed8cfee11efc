//! Going into the background.
//!
//! ```text
//!  the shell's process                      the daemon
//!  start itself again        ──────────→    setsid: no terminal can signal it any more
//!  wait for a word on a socket              read the configuration, drop root, write the pid file, listen
//!  exit 0                    ←── ready ──   standard streams become /dev/null
//!  exit with the daemon's own code  ←──     or it ends before it was ready
//! ```
//!
//! A program with threads cannot safely fork, and std offers no fork; starting the same program again needs neither.
//! Because the first process waits, `-d` fails when the configuration has a mistake or the daemon cannot listen, and
//! Type=forking units know when the broker is ready.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

/// Set for the process that is to be the daemon.
const DAEMON: &str = "SORI_DAEMON";
/// What the daemon says when it is ready.
const READY: &[u8] = b"ready\n";

/// Whether this process was started by [`start`].
pub fn is_daemon() -> bool {
    env::var_os(DAEMON).is_some()
}

/// Starts this program again, with the same arguments, as a daemon. Returns the exit code for this process once the
/// daemon is ready or has failed.
pub fn start() -> io::Result<u8> {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    // The daemon has the other end as its standard input. Its output is the shell's until it is ready, so that what
    // goes wrong until then can be read.
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut daemon = Command::new(env::current_exe()?)
        .arg0(name)
        .args(arguments)
        .env(DAEMON, "1")
        .stdin(OwnedFd::from(theirs))
        .spawn()?;
    let mut said = Vec::new();
    // Reading ends when the daemon is ready, because it lets go of its end, or when it has ended.
    ours.read_to_end(&mut said)?;
    if said == READY {
        return Ok(0);
    }
    let code = daemon.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.filter(|code| *code != 0).unwrap_or(1))
}

/// Leaves the session of the terminal. For the daemon only.
pub fn leave_terminal() -> io::Result<()> {
    setsid()?;
    Ok(())
}

/// Tells the process that waits in [`start`] that the broker is ready, and lets go of the standard streams.
pub fn report_ready() -> io::Result<()> {
    let waiting = io::stdin().as_fd().try_clone_to_owned()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // Last of all, as from here on nobody sees what goes wrong.
    UnixStream::from(waiting).write_all(READY)
}
