//! One of the brokers that are compared: a name, a port and a command.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::measure::wire::Wire;

/// How to start a broker. Its configuration is its own affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What it is called in the table.
    pub name: String,
    /// Where it will listen, on 127.0.0.1.
    pub port: u16,
    /// It runs in the foreground; `{dir}` is a fresh directory.
    pub command: String,
}

impl FromStr for Peer {
    type Err = String;

    /// `name=PORT=command`
    fn from_str(text: &str) -> Result<Peer, String> {
        let mut parts = text.splitn(3, '=');
        let (Some(name), Some(port), Some(command)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("expected name=PORT=command".to_owned());
        };
        let port = port.parse().map_err(|_| format!("'{port}' is not a port"))?;
        Ok(Peer { name: name.to_owned(), port, command: command.to_owned() })
    }
}

/// A broker that runs, until this is dropped.
pub(super) struct Running {
    child: Child,
    directory: PathBuf,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Peer {
    /// Starts it, and waits until it answers.
    pub(super) fn start(&self) -> io::Result<Running> {
        let directory = std::env::temp_dir().join(format!("sori-bench-{}-{}", std::process::id(), self.port));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)?;
        let log = File::create(directory.join("broker.log"))?;
        let command = self.command.replace("{dir}", &directory.display().to_string());
        let mut words = command.split_whitespace();
        let program = words.next().ok_or_else(|| io::Error::other("an empty command"))?;
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        let mut running = Running { child, directory };
        running.wait_for(self.port).map_err(|error| running.explain(error))?;
        Ok(running)
    }
}

impl Running {
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    fn wait_for(&mut self, port: u16) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            // Somebody else may listen there: then the broker has ended by now.
            let connected = Wire::connect(port, "knock", true);
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the broker ended: {status}")));
            }
            match connected {
                Ok((wire, _)) => return wire.disconnect(),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The error, and the last that the broker said.
    pub(super) fn explain(&self, error: io::Error) -> io::Error {
        let said = fs::read(self.directory.join("broker.log")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        match &lines[lines.len().saturating_sub(LAST_LINES)..] {
            [] => error,
            lines => io::Error::new(error.kind(), format!("{error}; it said last: {}", lines.join(" / "))),
        }
    }
}

/// So much of what a broker said stands behind an error.
const LAST_LINES: usize = 3;

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_a_port_and_a_command_with_all_that_it_has() {
        let peer: Peer = "a=1883=prog --x=1 {dir}".parse().expect("a peer");
        let (name, command) = ("a".to_owned(), "prog --x=1 {dir}".to_owned());
        assert_eq!(peer, Peer { name, port: 1883, command });
        assert!("a=1883".parse::<Peer>().is_err());
        assert!("a=b=c".parse::<Peer>().is_err());
    }
}
