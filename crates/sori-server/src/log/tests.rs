//! Lines on their way to a file and to the topics.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::queue::LINES_MAX;
use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sori-log-{name}-{}", std::process::id()))
}

fn to_file(path: &Path) -> LogConfig {
    let destinations = Destinations { file: Some(path.to_owned()), ..Destinations::none() };
    LogConfig { destinations, timestamp: false, ..LogConfig::default() }
}

/// The contents of a file, which is removed.
fn taken(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("was written");
    fs::remove_file(path).expect("is there");
    text
}

#[test]
fn only_the_kinds_that_are_asked_for_are_written() {
    let path = path("kinds");
    let log = Log::open(to_file(&path));
    for kind in Kind::ALL {
        assert_eq!(log.enabled(kind), Kinds::DEFAULT.contains(kind));
        log.write(kind, format_args!("{}", kind.word()));
    }
    assert!(log.flush(PATIENCE));
    assert_eq!(taken(&path), "error\nwarning\nnotice\ninformation\n");
}

#[test]
fn a_line_starts_with_the_time() {
    let path = path("time");
    let log = Log::open(LogConfig { timestamp: true, ..to_file(&path) });
    let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set").as_secs();
    log.notice(format_args!("text"));
    assert!(log.flush(PATIENCE));
    let text = taken(&path);
    let (second, rest) = text.split_once(": ").expect("has a time");
    assert!((before..before + 60).contains(&second.parse().expect("is a number")));
    assert_eq!(rest, "text\n");
}

#[test]
fn a_peer_cannot_start_a_line_of_its_own() {
    let path = path("injection");
    let log = Log::open(to_file(&path));
    log.notice(format_args!("id a\n1: New client connected\r\x1b[31m\tb"));
    assert!(log.flush(PATIENCE));
    assert_eq!(taken(&path), "id a\\n1: New client connected\\r\\u{1b}[31m\tb\n");
}

#[test]
fn a_file_that_was_moved_is_opened_anew() {
    let (path, moved) = (path("rotated"), path("rotated-old"));
    let log = Log::open(to_file(&path));
    log.notice(format_args!("one"));
    assert!(log.flush(PATIENCE));
    fs::rename(&path, &moved).expect("can be moved");
    log.notice(format_args!("two"));
    log.reopen();
    log.notice(format_args!("three"));
    assert!(log.flush(PATIENCE));
    assert_eq!(taken(&moved), "one\ntwo\n");
    assert_eq!(taken(&path), "three\n");
}

#[test]
fn a_reload_changes_everything_at_once() {
    let (first, second) = (path("first"), path("second"));
    let log = Log::open(to_file(&first));
    log.notice(format_args!("one"));
    log.configure(LogConfig { kinds: Kinds::ALL, ..to_file(&second) });
    assert!(log.enabled(Kind::Debug));
    log.write(Kind::Debug, format_args!("two"));
    assert!(log.flush(PATIENCE));
    assert_eq!(taken(&first), "one\n");
    assert_eq!(taken(&second), "two\n");
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_and_no_time() {
    let path = path("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("can be made");
    // Opening and writing a pipe without a reader blocks; the log's thread may, its users may not.
    let opened = std::thread::spawn({
        let path = path.clone();
        move || Log::open(to_file(&path))
    });
    let reader = fs::File::open(&path).expect("opens when the log does");
    let log = opened.join().expect("is open");
    for number in 0..LINES_MAX * 3 {
        log.notice(format_args!("line {number} {}", "x".repeat(20)));
    }
    assert!(!log.flush(Duration::from_millis(10)), "the pipe is full");
    drop(reader);
    assert!(log.flush(PATIENCE), "a closed pipe is an error and no longer an obstacle");
    fs::remove_file(&path).expect("is there");
}

#[test]
fn topic_lines_wait_for_the_broker_within_a_bound() {
    let destinations = Destinations { topic: true, ..Destinations::none() };
    let log = Log::open(LogConfig { destinations, kinds: Kinds::ALL, timestamp: false, ..LogConfig::default() });
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = woken.clone();
    log.topic_lines().wake_with(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    for kind in Kind::ALL {
        log.write(kind, format_args!("{}", kind.word()));
    }
    assert!(log.flush(PATIENCE));
    let topics: Vec<_> = std::iter::from_fn(|| log.topic_lines().next_line()).map(|line| line.topic).collect();
    let expected =
        ["E", "W", "N", "I", "M/subscribe", "M/unsubscribe", "WS"].map(|end| format!("$SYS/broker/log/{end}"));
    assert_eq!(topics, expected, "debug and internal lines are never published");
    assert_eq!(woken.load(Ordering::SeqCst), 1);

    for number in 0..1500 {
        log.notice(format_args!("{number}"));
    }
    assert!(log.flush(PATIENCE));
    assert_eq!(std::iter::from_fn(|| log.topic_lines().next_line()).count(), 1000);
    assert_eq!(log.topic_lines().dropped(), 500);
}

#[test]
fn a_file_that_cannot_be_opened_does_not_stop_anything() {
    let log = Log::open(to_file(Path::new("/does/not/exist/log")));
    log.notice(format_args!("this line is on standard error"));
    assert!(log.flush(PATIENCE));
}

#[test]
fn a_silent_log_wants_nothing() {
    let log = Log::silent();
    assert!(Kind::ALL.into_iter().all(|kind| !log.enabled(kind)));
    log.error(format_args!("nobody reads this"));
    assert!(log.flush(Duration::ZERO));
}

/// A line that goes nowhere costs nothing: it is not even made.
#[test]
fn a_log_without_destination_wants_no_line() {
    let nowhere = LogConfig { destinations: Destinations::none(), ..LogConfig::default() };
    let log = Log::open(nowhere.clone());
    assert!(!log.enabled(Kind::Error));
    log.configure(LogConfig::default());
    assert!(log.enabled(Kind::Error));
    log.configure(nowhere);
    assert!(!log.enabled(Kind::Error));
}
