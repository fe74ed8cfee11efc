//! What a running broker tells other commands on its machine: its settings, and how its last reload ended.
//!
//! The broker holds a nameless file in memory and writes it anew whenever something changes; another process finds it
//! below `/proc/<pid>/fd`, if the system lets it look there: the same user may, and root. So there is no socket and no
//! file that anybody else could speak to, and nothing is left behind.
//!
//! ```text
//!   sori-running 1                                    what this is
//!   file    <path>                                    a configuration file, one line each
//!   port    <number>                                  a port of the command line
//!   native                                            sori's own defaults hold
//!   location <path>                                   what the environment says about persistence_location
//!   open    <address or path>                         where it listens
//!   reload  <number> applied|refused                  how many reloads there were, and how the last one ended
//!   remark  <text>                                    what was said at that
//!   value   <listener, or nothing> <word> <value>...  a setting
//! ```
//!
//! Words are separated by TABs, of which no value has one.

use crate::check;
use crate::config::effective::{Values, effective, values};
use crate::config::{Config, Defaults, Loaded, Remark, Source, read};
use crate::opening::places;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Its name, which the system shows.
const NAME: &str = "sori-running";
/// Its first line.
const MAGIC: &str = "sori-running 1";
/// More is not read.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a running broker says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// Its configuration files.
    pub files: Vec<PathBuf>,
    /// The ports of its command line.
    pub ports: Vec<u16>,
    /// sori's own defaults hold, not Mosquitto's.
    pub is_native: bool,
    /// What its environment says about `persistence_location`.
    pub location: Option<PathBuf>,
    /// Where it listens: addresses with their ports, and paths of sockets.
    pub open: Vec<String>,
    /// How many reloads it has seen.
    pub reloads: u64,
    /// The last one was refused.
    pub was_refused: bool,
    /// What there was to say at the last one.
    pub remarks: Vec<String>,
    /// Its settings.
    pub values: Values,
}

impl Running {
    /// Reads these files as the broker would, and looks whether it could take them over.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(&self, files: &[PathBuf]) -> Result<Loaded, Vec<Remark>> {
        let defaults = if self.is_native { Defaults::Native } else { Defaults::Mosquitto };
        let persistence_location = self.location.clone();
        let mut loaded = read(&Source { files, ports: &self.ports, defaults, persistence_location });
        let own = self.values.get(&(None, "persistence_location".to_owned())).and_then(|values| values.first());
        if self.is_native && loaded.config.persistence_location.is_none() {
            // Where it is without a word in a file depends on whom the broker was started by.
            loaded.config.persistence_location = own.map(PathBuf::from);
        }
        loaded.read_named_files();
        check::examine_reload(&mut loaded, &self.open);
        loaded.usable()
    }

    fn encode(&self) -> String {
        let mut text = format!("{MAGIC}\n");
        for file in &self.files {
            line(&mut text, &["file", &file.display().to_string()]);
        }
        for port in &self.ports {
            line(&mut text, &["port", &port.to_string()]);
        }
        if self.is_native {
            line(&mut text, &["native"]);
        }
        if let Some(location) = &self.location {
            line(&mut text, &["location", &location.display().to_string()]);
        }
        for place in &self.open {
            line(&mut text, &["open", place]);
        }
        let how = if self.was_refused { "refused" } else { "applied" };
        line(&mut text, &["reload", &self.reloads.to_string(), how]);
        for remark in &self.remarks {
            line(&mut text, &["remark", remark]);
        }
        for ((listener, word), values) in &self.values {
            let mut words = vec!["value", listener.as_deref().unwrap_or_default(), word.as_str()];
            words.extend(values.iter().map(String::as_str));
            line(&mut text, &words);
        }
        text
    }

    /// What was encoded; `None` for what is not whole.
    fn decode(text: &str) -> Option<Running> {
        let text = text.strip_prefix(MAGIC)?.strip_prefix('\n')?;
        let mut running = Running::default();
        let mut is_whole = false;
        for line in text.lines() {
            let mut words = line.split('\t');
            match words.next()? {
                "file" => running.files.push(PathBuf::from(words.next()?)),
                "port" => running.ports.push(words.next()?.parse().ok()?),
                "native" => running.is_native = true,
                "location" => running.location = Some(PathBuf::from(words.next()?)),
                "open" => running.open.push(words.next()?.to_owned()),
                "reload" => {
                    running.reloads = words.next()?.parse().ok()?;
                    running.was_refused = words.next()? == "refused";
                }
                "remark" => running.remarks.push(words.next()?.to_owned()),
                "value" => {
                    let listener = Some(words.next()?.to_owned()).filter(|listener| !listener.is_empty());
                    let word = words.next()?.to_owned();
                    running.values.insert((listener, word), words.map(str::to_owned).collect());
                }
                END => is_whole = true,
                _ => return None,
            }
        }
        is_whole.then_some(running)
    }
}

/// The last line; without it the rest is still to come.
const END: &str = "end";

fn line(text: &mut String, words: &[&str]) {
    let clean = |word: &&str| word.replace(['\t', '\n', '\r'], " ");
    text.push_str(&words.iter().map(clean).collect::<Vec<_>>().join("\t"));
    text.push('\n');
}

/// The broker's end.
#[derive(Debug, Default)]
pub(crate) struct Notice {
    running: Running,
    /// Open as long as others are to read it.
    file: Option<File>,
}

impl Notice {
    /// The broker has begun with this.
    pub(crate) fn begin(loaded: &Loaded, ports: &[u16]) -> Notice {
        let files = loaded.config.files.iter().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()));
        let running = Running {
            files: files.collect(),
            ports: ports.to_vec(),
            is_native: loaded.defaults == Defaults::Native,
            location: loaded.persistence_location_from_environment.clone(),
            open: open(&loaded.config),
            values: values(&effective(loaded)),
            ..Running::default()
        };
        let mut notice = Notice { running, file: None };
        notice.publish();
        notice
    }

    pub(crate) fn values(&self) -> &Values {
        &self.running.values
    }

    /// The last reload changed nothing.
    pub(crate) fn was_refused(&self) -> bool {
        self.running.was_refused
    }

    /// A reload has ended: with this configuration, or with none when it was refused.
    pub(crate) fn note_reload(&mut self, applied: Option<(&Config, Values)>, remarks: Vec<String>) {
        self.running.reloads += 1;
        self.running.was_refused = applied.is_none();
        self.running.remarks = remarks;
        if let Some((config, values)) = applied {
            (self.running.open, self.running.values) = (open(config), values);
        }
        self.publish();
    }

    /// The new file is whole before the old one goes. On a system without such files nobody can look, and that is all.
    fn publish(&mut self) {
        let text = self.running.encode() + END + "\n";
        let made = memfd_create(NAME, MFdFlags::MFD_CLOEXEC).map(File::from).map_err(io::Error::from);
        self.file = made.and_then(|mut file| file.write_all(text.as_bytes()).map(|()| file)).ok();
    }
}

/// Where a broker with this configuration listens.
fn open(config: &Config) -> Vec<String> {
    let places = config.listeners.iter().flat_map(|listener| places(listener).unwrap_or_default());
    places.map(|place| place.to_string()).collect()
}

/// What the broker with this process id says. `None`: it is no broker of ours, or one that has just ended.
///
/// # Errors
/// The system does not let us look, or the process is not there.
pub fn of_process(pid: u32) -> io::Result<Option<Running>> {
    let directory = PathBuf::from(format!("/proc/{pid}/fd"));
    for entry in fs::read_dir(directory)? {
        // A descriptor may have been closed since the directory was read.
        let Ok(entry) = entry else { continue };
        if is_ours(&entry.path())
            && let Some(running) = contents(&entry.path()).ok().and_then(|text| Running::decode(&text))
        {
            return Ok(Some(running));
        }
    }
    Ok(None)
}

fn is_ours(descriptor: &Path) -> bool {
    let name = format!("/memfd:{NAME} (deleted)");
    fs::read_link(descriptor).is_ok_and(|target| target.as_os_str() == name.as_str())
}

fn contents(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(File::open(path)?, BYTES_MAX), &mut text)?;
    Ok(text)
}

/// All brokers of this machine that we may look at, by their process ids.
pub fn all() -> Vec<(u32, Running)> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, of_process(pid).ok()??))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Running {
        let key = |listener: Option<&str>, word: &str| (listener.map(str::to_owned), word.to_owned());
        let value = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let values = [
            (key(None, "log_dest"), value(&["stdout", "file /a b"])),
            (key(None, "pid_file"), value(&[])),
            (key(Some("1883 ::1"), "max_qos"), value(&["1"])),
        ];
        Running {
            files: vec!["/etc/a b.conf".into()],
            ports: vec![1, 65_535],
            is_native: true,
            location: Some("/a b".into()),
            open: value(&["127.0.0.1:1883", "/a b"]),
            reloads: 7,
            was_refused: true,
            remarks: value(&["It is wrong.", "All of it."]),
            values: values.into_iter().collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = example().encode() + "end\n";
        assert_eq!(Running::decode(&text), Some(example()));
        for end in 0..text.len() - 1 {
            assert_ne!(Running::decode(&text[..end]), Some(example()), "{end}");
        }
        for other in ["", "sori-running 2\nend\n", "sori-running 1\nnonsense\nend\n"] {
            assert_eq!(Running::decode(other), None, "{other}");
        }
    }

    #[test]
    fn another_process_finds_it() {
        let source = Source { files: &[], ports: &[7], defaults: Defaults::Native, persistence_location: None };
        let mut notice = Notice::begin(&read(&source), &[7]);
        notice.note_reload(None, vec!["It is\nwrong.".to_owned()]);
        // All brokers of this test program say something; ours says this.
        let directory = fs::read_dir(format!("/proc/{}/fd", std::process::id())).expect("is there");
        let ours = directory.filter_map(|entry| Some(entry.ok()?.path()).filter(|path| is_ours(path)));
        let mut found = ours.filter_map(|path| contents(&path).ok());
        assert!(found.any(|text| text.contains(
            "port\t7\nnative\nopen\t127.0.0.1:7\nopen\t[::1]:7\nreload\t1\trefused\nremark\tIt is wrong.\n"
        )));
        assert!(of_process(std::process::id()).expect("is ours").is_some());
        drop(notice);
        assert!(of_process(u32::MAX).is_err());
    }
}
