//! `sori link`, and what the program is under the names that it makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::broker::unused_port;
use super::serve::{Directory, Running};
use super::{result, sori};

/// The program under one of its other names, with these words.
pub(crate) fn named(directory: &Directory, name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(directory.0.join("bin").join(name));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A directory with all the links in `bin`.
pub(crate) fn linked(name: &str) -> Directory {
    let directory = Directory::new(name);
    let bin = directory.0.join("bin");
    fs::create_dir_all(&bin).expect("can be made");
    let (status, _, err) = result(&link(&bin, ""));
    assert_eq!((status, err.as_str()), (0, ""));
    directory
}

fn link(directory: &Path, flags: &str) -> Output {
    sori(&format!("link {}{flags}", directory.display()), 0).output().expect("starts")
}

fn links(directory: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(directory).expect("is there").map(|e| e.expect("is one").path()).collect();
    names.sort();
    names
}

#[test]
fn every_name_is_a_link_and_a_second_time_changes_nothing() {
    let directory = linked("link");
    let bin = directory.0.join("bin");
    let before = links(&bin);
    assert!(before.contains(&bin.join("mosquitto")) && before.contains(&bin.join("mosquitto_passwd")), "{before:?}");
    assert!(before.iter().all(|path| path.is_symlink()), "{before:?}");
    let (status, out, err) = result(&link(&bin, ""));
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(out.lines().count(), before.len(), "{out}");
    assert_eq!(links(&bin), before);
}

#[test]
fn what_is_there_already_stays_unless_it_is_said_to_go() {
    let directory = Directory::new("link-there");
    let own = directory.file("mosquitto_passwd", "mine");
    let (status, out, err) = result(&link(&directory.0, ""));
    assert_eq!(status, 1, "{out}{err}");
    assert_eq!(err, format!("sori: {own} is there already; --force replaces it, and nothing was done\n"));
    assert_eq!(links(&directory.0), [PathBuf::from(&own)]);
    let (status, out, err) = result(&link(&directory.0, " --force"));
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(Path::new(&own).is_symlink());
}

#[test]
fn the_broker_gets_its_signals_by_name() {
    let directory = linked("link-signal");
    let port = unused_port();
    let signal = |broker: &Running, name: &str| {
        let words = ["-p", &broker.id().to_string(), name];
        let output = named(&directory, "mosquitto_signal", &words).output().expect("starts");
        assert_eq!(result(&output), (0, String::new(), String::new()), "{name}");
    };
    let start = || {
        let conf = directory.file("a.conf", &format!("listener {port} 127.0.0.1\n"));
        Running::start(named(&directory, "mosquitto", &["-c", &conf]), " running\n")
    };
    let mut broker = start();
    for (name, said) in [("config-reload", "Reloading config."), ("log-rotate", "Reloading config.")] {
        signal(&broker, name);
        broker.wait_for(said);
    }
    // Whatever it does at these, it is there afterwards to do the next.
    signal(&broker, "tree-print");
    signal(&broker, "xtreport");
    signal(&broker, "config-reload");
    broker.wait_for("Reloading config.");
    signal(&broker, "shutdown");
    assert_eq!(broker.wait().0, Some(0));
}

#[test]
fn a_signal_that_does_not_arrive_is_told() {
    let directory = linked("link-nobody");
    let output = named(&directory, "mosquitto_signal", &["-p", "4000000", "shutdown"]).output().expect("starts");
    let said = "Error sending signal to process 4000000: No such process\n".to_owned();
    assert_eq!(result(&output), (0, String::new(), said));
    let (status, out, err) =
        result(&named(&directory, "mosquitto_signal", &["-p", "4000000", "xtreport"]).output().expect("starts"));
    assert!(status == 0 && out.is_empty() && err.contains("No such process"), "{err}");
}
