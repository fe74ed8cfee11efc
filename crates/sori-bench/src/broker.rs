//! The broker under test: a command, a configuration of its own in a directory of its own, and a port.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::random::Random;

/// Ports below the range from which the system takes the local port of outgoing connections: a client that knocks at
/// the door of a dead broker could otherwise be connected to itself.
const PORTS: (u64, u64) = (21_500, 29_999);

/// How to start a broker, again and again, on the same data.
#[derive(Debug)]
pub struct Broker {
    command: Vec<String>,
    config: PathBuf,
    directory: PathBuf,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Removed at the end, unless somebody wants to look at it.
    is_temporary: bool,
}

/// What the broker is and how it is set up.
#[derive(Debug, Clone, Default)]
pub struct BrokerOptions {
    /// The command, with `{config}`, `{dir}` and `{port}`; `None`: the `sori` beside this program.
    pub command: Option<String>,
    /// Further lines of its configuration.
    pub lines: Vec<String>,
    /// Where its data lie; `None`: a new directory below the system's place for temporary files.
    pub directory: Option<PathBuf>,
    /// It listens on a Unix socket as well: [`Broker::socket`].
    pub has_socket: bool,
}

impl Broker {
    /// Makes the directory and the configuration.
    ///
    /// # Errors
    /// The machine's.
    pub fn new(options: &BrokerOptions, seed: u64) -> io::Result<Broker> {
        let port = free_port(seed)?;
        let directory = match &options.directory {
            Some(directory) => directory.clone(),
            None => std::env::temp_dir().join(format!("sori-bench-{}-{port}", std::process::id())),
        };
        let data = directory.join("data");
        fs::create_dir_all(&data)?;
        let config = directory.join("broker.conf");
        let mut text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
             max_queued_messages 0\nmax_queued_bytes 0\nsys_interval 0\nset_tcp_nodelay true\n",
            data.display()
        );
        // A later line with the same first word replaces ours.
        for line in &options.lines {
            if let Some(word) = line.split_whitespace().next() {
                text = text
                    .lines()
                    .filter(|ours| !ours.starts_with(&format!("{word} ")))
                    .fold(String::new(), |text, line| text + line + "\n");
            }
        }
        // Mosquitto would leave root behind, and then could not write into our directory.
        if is_root() {
            text.push_str("user root\n");
        }
        for line in &options.lines {
            text.push_str(line);
            text.push('\n');
        }
        if options.has_socket {
            text.push_str(&format!("listener 0 {}\nallow_anonymous true\n", socket_in(&directory).display()));
        }
        fs::write(&config, text)?;
        let template = options.command.clone().unwrap_or_else(default_command);
        let fill = |word: &str| {
            word.replace("{config}", &config.display().to_string())
                .replace("{dir}", &data.display().to_string())
                .replace("{port}", &port.to_string())
        };
        let command = template.split_whitespace().map(fill).collect();
        Ok(Broker { command, config, directory, port, is_temporary: options.directory.is_none() })
    }

    /// Gives its configuration one more listener, which counts from its next start or reload on; where it listens.
    ///
    /// # Errors
    /// The machine's, or no free port.
    pub fn add_listener(&self) -> io::Result<u16> {
        // It may not run yet, so its own port may look free.
        let mut ports = self.port + 1..=u16::MAX;
        let port = ports.find(|port| is_free(*port)).ok_or_else(no_free_port)?;
        fs::write(&self.config, fs::read_to_string(&self.config)? + &further_listener(port))?;
        Ok(port)
    }

    /// Takes it out of the configuration again.
    ///
    /// # Errors
    /// The machine's.
    pub fn remove_listener(&self, port: u16) -> io::Result<()> {
        let text = fs::read_to_string(&self.config)?;
        fs::write(&self.config, text.replace(&further_listener(port), ""))
    }

    /// Starts it; what it says goes to the end of `broker.log`.
    ///
    /// # Errors
    /// The machine's: no such program, no such file.
    pub fn start(&self) -> io::Result<Child> {
        self.start_below(&[])
    }

    /// Starts it as the last words of another command.
    pub(crate) fn start_below(&self, before: &[&str]) -> io::Result<Child> {
        let words: Vec<&str> = before.iter().copied().chain(self.command.iter().map(String::as_str)).collect();
        let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("an empty command"))?;
        let log = self.log_file()?;
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its Unix socket, if it was to have one.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.directory)
    }

    /// Where its data lie.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The last lines that it said.
    #[must_use]
    pub fn last_words(&self) -> String {
        let said = fs::read(self.directory.join("broker.log")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// Leaves the directory for people.
    pub fn keep_directory(&mut self) {
        self.is_temporary = false;
    }

    fn log_file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.directory.join("broker.log"))
    }
}

fn further_listener(port: u16) -> String {
    format!("listener {port} 127.0.0.1\nallow_anonymous true\n")
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("broker.sock")
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// The `sori` that was built beside this program; tests run one directory below.
fn default_command() -> String {
    let here = std::env::current_exe().unwrap_or_default();
    let beside = here.ancestors().skip(1).take(2).map(|directory| directory.join("sori")).find(|path| path.is_file());
    format!("{} serve -c {{config}}", beside.unwrap_or_else(|| PathBuf::from("sori")).display())
}

fn free_port(seed: u64) -> io::Result<u16> {
    let mut random = Random::new(seed ^ u64::from(std::process::id()) << 20);
    for _ in 0..1000 {
        let port = random.range(PORTS.0, PORTS.1) as u16;
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(no_free_port())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn no_free_port() -> io::Error {
    io::Error::other("no free port")
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_comes_into_the_configuration_and_goes_without_a_trace() {
        let broker = Broker::new(&BrokerOptions::default(), 77).expect("a directory and a port");
        let text = || fs::read_to_string(&broker.config).expect("a configuration");
        let before = text();
        let port = broker.add_listener().expect("a port");
        assert_ne!(port, broker.port);
        assert_eq!(text().lines().filter(|line| line.starts_with("listener ")).count(), 2);
        broker.remove_listener(port).expect("it is there");
        assert_eq!(text(), before);
    }
}
