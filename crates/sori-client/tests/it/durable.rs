//! With a store nothing that was accepted is lost when the program is killed.
//!
//! `SORI_CHAOS_MESSAGES=100000 SORI_CHAOS_CUTS=1000` kills it so often, and not before it has published its share of so many; less is
//! tried each time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sori_client::{Error, Publish, QoS, Store, Subscribe, Version, WhenFull, blocking::Client};

use super::brokers::{Broker, Kind, PATIENCE, options};
use super::chaos::size;

/// The folder, the URL, the first number and the number after the last one, one per line, when this process is to be the program that is killed.
const PROGRAM: &str = "SORI_TEST_DURABLE";
/// So many messages more than are waited for before it is killed.
const MORE: u64 = 50;
/// The folder, the URL, the version, the life and how many messages, one per line, when it is the program that keeps its session.
const SESSION_PROGRAM: &str = "SORI_TEST_DURABLE_SESSION";

/// Not a case of its own: a program that publishes numbers and prints those that were accepted.
#[test]
fn process() {
    let Ok(arguments) = std::env::var(PROGRAM) else { return };
    let [directory, url, first, end] = arguments.lines().collect::<Vec<_>>()[..] else { return };
    let client = Client::start(options(url).store(Store::new(directory))).expect("opens");
    let number = |text: &str| text.parse::<u64>().expect("is a number");
    for number in number(first)..number(end) {
        let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        drop(client.send(Publish::new("numbers", number.to_string()).qos(qos)).expect("is accepted"));
        println!("accepted {number}");
    }
    wait_for_the_end();
}

/// The program has done its share, and is killed at any moment.
fn wait_for_the_end() {
    loop {
        std::thread::park();
    }
}

fn start(directory: &Path, url: &str, numbers: Range<u64>) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("has a path"));
    command.args(["durable::process", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(PROGRAM, format!("{}\n{url}\n{}\n{}", directory.display(), numbers.start, numbers.end));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts")
}

/// How many messages the program publishes in each of its lives before it is killed.
fn lives() -> Vec<usize> {
    let (lives, messages) = (size("SORI_CHAOS_CUTS", 10), size("SORI_CHAOS_MESSAGES", 0));
    (0..lives).map(|life| (25 + 11 * (life % 10)).max(messages / lives)).collect()
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sori-client-store-{name}-{}", std::process::id()))
}

#[test]
fn nothing_that_was_accepted_is_lost_when_the_program_is_killed() {
    let broker = Broker::sori();
    let directory = folder("killed");
    let subscriber = Client::connect(broker.options(Version::V5)).expect("is let in");
    let subscribe = Subscribe::new("numbers").qos(QoS::ExactlyOnce).queue(1_000_000, sori_client::Overflow::Wait);
    let mut messages = subscriber.subscribe(subscribe).expect("granted");
    let mut came = BTreeSet::new();
    let mut take = || {
        let message = messages.next_timeout(PATIENCE).expect("nothing is lost");
        came.insert(message.text().expect("is text").parse::<u64>().expect("is a number"));
        came.len()
    };
    let (mut next, mut previous) = (0, 0);
    for (life, messages) in lives().into_iter().enumerate() {
        // In every second life there is no server to be found.
        let has_server = life % 2 == 1;
        let url = if has_server { broker.url() } else { "mqtt://127.0.0.1:1".to_owned() };
        let enough = next + messages as u64;
        let mut child = start(&directory, &url, next..enough + MORE);
        let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines().map_while(Result::ok);
        let first = next;
        while next < enough {
            let line = lines.next().expect("goes on");
            if let Some(number) = line.split_once("accepted ").and_then(|(_, number)| number.parse::<u64>().ok()) {
                next = number + 1;
            }
        }
        // What is left of the lives before must come to an end, or it would only grow.
        while has_server && take() < previous {}
        child.kill().expect("runs");
        child.wait().expect("ends");
        // What it said before it died counts, too.
        let said = lines.filter_map(|line| line.split_once("accepted ")?.1.parse::<u64>().ok()).last();
        next = said.map_or(next, |number| number + 1);
        previous = usize::try_from(first).expect("is small");
    }
    // One more life delivers what is left.
    let options = broker.options(Version::V5).store(Store::new(&directory));
    let client = Client::connect(options).expect("is let in");
    client.close().expect("all is delivered");
    while take() < usize::try_from(next).expect("is small") {}
    println!("{next} accepted, 0 lost");
    // The last one may have been accepted and not said.
    assert!((0..next).all(|number| came.contains(&number)), "nothing is lost");
    let _ = std::fs::remove_dir_all(&directory);
}

/// The client whose session outlives its programs.
fn kept_session(directory: &Path, url: &str, version: Version) -> Client {
    let options = options(url)
        .version(version)
        .client_id(format!("durable-{version:?}"))
        .clean_start(false)
        .store(Store::new(directory));
    Client::start(options).expect("opens")
}

/// Not a case of its own: a program that publishes with QoS 2, never says the same twice, and prints what was accepted.
#[test]
fn session_process() {
    let Ok(arguments) = std::env::var(SESSION_PROGRAM) else { return };
    let [directory, url, version, life, count] = arguments.lines().collect::<Vec<_>>()[..] else { return };
    let version = if version == "5" { Version::V5 } else { Version::V311 };
    let client = kept_session(Path::new(directory), url, version);
    for number in 0..count.parse::<u64>().expect("is a number") {
        let said = format!("{life}.{number}");
        drop(client.send(Publish::new("once", said.as_str()).qos(QoS::ExactlyOnce)).expect("is accepted"));
        println!("accepted {said}");
    }
    wait_for_the_end();
}

fn start_session(directory: &Path, url: &str, version: Version, life: usize, count: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("has a path"));
    command.args(["durable::session_process", "--exact", "--nocapture", "--test-threads=1"]);
    let version = if version.is_v5() { "5" } else { "3.1.1" };
    command.env(SESSION_PROGRAM, format!("{}\n{url}\n{version}\n{life}\n{count}", directory.display()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts")
}

/// The identifiers of what is in flight, and what the server has taken over, outlive the program.
#[test]
fn with_a_kept_session_qos_2_comes_once_when_the_program_is_killed() {
    for kind in Kind::ALL {
        let Some(broker) = Broker::start(kind) else { continue };
        for version in [Version::V5, Version::V311] {
            comes_once(&broker, kind, version);
        }
    }
}

fn comes_once(broker: &Broker, kind: Kind, version: Version) {
    let directory = folder(&format!("once-{kind:?}-{version:?}"));
    // FlashMQ drops what comes for a subscriber that has as much in flight as it may.
    let options = broker.options(Version::V5).receive_maximum(u16::MAX);
    let subscriber = Client::connect(options).expect("is let in");
    let subscribe = Subscribe::new("once").qos(QoS::ExactlyOnce).queue(1_000_000, sori_client::Overflow::Wait);
    let mut messages = subscriber.subscribe(subscribe).expect("granted");
    let mut accepted = BTreeSet::new();
    let url = broker.url();
    let mut came = BTreeMap::new();
    let mut take = || {
        let message = messages.next_timeout(PATIENCE).expect("nothing is lost");
        let said = message.text().expect("is text").to_owned();
        *came.entry(said.clone()).or_insert(0) += 1;
        said
    };
    for (life, count) in lives().into_iter().enumerate() {
        let mut child = start_session(&directory, &url, version, life, count as u64 + MORE);
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines().map_while(Result::ok);
        let mut said = lines.filter_map(|line| Some(line.split_once("accepted ")?.1.to_owned()));
        for _ in 0..count {
            accepted.insert(said.next().expect("goes on"));
        }
        // What is left of the life before must come to an end, or it would only grow; then the deliveries are in full swing.
        let last = life.checked_sub(1).map(|before| format!("{before}.{}", lives()[before] - 1));
        while last.as_ref().is_some_and(|last| take() != *last) {}
        child.kill().expect("runs");
        child.wait().expect("ends");
        accepted.extend(said);
    }
    kept_session(&directory, &url, version).close().expect("all is delivered");
    // Behind all the others.
    subscriber.publish(Publish::new("once", "end").qos(QoS::ExactlyOnce)).expect("taken");
    while take() != "end" {}
    let lost: Vec<_> = accepted.iter().filter(|said| !came.contains_key(*said)).collect();
    let doubled: Vec<_> = came.iter().filter(|(_, times)| **times > 1).collect();
    println!("{kind:?} {version:?}: {} accepted, {} lost, {} doubled", accepted.len(), lost.len(), doubled.len());
    assert!(lost.is_empty() && doubled.is_empty(), "{kind:?} {version:?}: lost {lost:?}, doubled {doubled:?}");
    let _ = std::fs::remove_dir_all(&directory);
}

#[test]
fn a_store_has_a_bound_and_one_user() {
    let directory = folder("bound");
    let store = || Store::new(&directory).bytes_max(10_000).sync(true);
    let options = || options("mqtt://127.0.0.1:1").store(store()).queue_bytes_max(1 << 20, WhenFull::Refuse);
    let client = Client::start(options()).expect("opens");
    let error = Client::start(options()).map(|_| ()).expect_err("is in use");
    assert!(matches!(&error, Error::Store(_)) && !error.is_retryable(), "{error:?}");
    let publish = || Publish::new("t", vec![1; 1_000]);
    let accepted = std::iter::from_fn(|| client.try_publish(publish()).ok()).count();
    assert_eq!(accepted, 9);
    assert!(matches!(client.try_publish(publish()), Err(Error::QueueFull)));
    assert!(matches!(client.try_publish(Publish::new("t", vec![1; 20_000])), Err(Error::TooLargeForQueue(10_000))));
    // QoS 0 is not kept, and finds the queue's room.
    drop(client.try_publish(publish().qos(QoS::AtMostOnce)).expect("is accepted"));
    let _ = std::fs::remove_dir_all(&directory);
}
