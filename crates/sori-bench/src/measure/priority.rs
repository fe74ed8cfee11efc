//! Who gets the processor first while something is measured: broker and clients share one machine here, which they would not
//! elsewhere.

use std::io;
use std::process::{Command, Stdio};

/// This thread works only when nobody else wants to. A thread of another policy keeps the processor for some milliseconds once it
/// has it, however low its priority.
pub(super) fn be_last() -> io::Result<()> {
    match chrt(&["--idle", "--pid", "0"])? {
        true => Ok(()),
        false => Err(io::Error::other("chrt could not lower the priority of a thread")),
    }
}

/// This thread works as soon as it has something to do, if the system lets it, so that what it waits for is the broker. It must not
/// work much.
pub(super) fn be_first() {
    // Without it what the thread itself waits for is in the figures, too.
    let _ = chrt(&["--rr", "--pid", "1"]);
}

fn chrt(arguments: &[&str]) -> io::Result<bool> {
    // "<process>/task/<thread>"
    let thread = std::fs::read_link("/proc/thread-self")?;
    let thread = thread.file_name().unwrap_or_default();
    let mut command = Command::new("chrt");
    command.args(arguments).arg(thread).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?.success())
}
