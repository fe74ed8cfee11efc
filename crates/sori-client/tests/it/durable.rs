//! With a store nothing that was accepted is lost when the program is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sori_client::{Error, Publish, QoS, Store, Subscribe, Version, WhenFull, blocking::Client};

use super::brokers::{Broker, PATIENCE, Way, options};

/// The folder, the URL and the first number, one per line, when this process is to be the program that is killed.
const PROGRAM: &str = "SORI_TEST_DURABLE";
/// In so many lives the program publishes.
const LIVES: usize = 8;

/// Not a case of its own: a program that publishes numbers and prints those that were accepted.
#[test]
fn process() {
    let Ok(arguments) = std::env::var(PROGRAM) else { return };
    let [directory, url, first] = arguments.lines().collect::<Vec<_>>()[..] else { return };
    let client = Client::start(options(url).store(Store::new(directory))).expect("opens");
    for number in first.parse::<u64>().expect("is a number").. {
        let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        drop(client.send(Publish::new("numbers", number.to_string()).qos(qos)).expect("is accepted"));
        println!("accepted {number}");
    }
}

fn start(directory: &Path, url: &str, first: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("has a path"));
    command.args(["durable::process", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(PROGRAM, format!("{}\n{url}\n{first}", directory.display()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts")
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sori-client-store-{name}-{}", std::process::id()))
}

#[test]
fn nothing_that_was_accepted_is_lost_when_the_program_is_killed() {
    let broker = Broker::sori();
    let directory = folder("killed");
    let subscriber = Client::connect(broker.options(Way::Tcp, Version::V5)).expect("is let in");
    let subscribe = Subscribe::new("numbers").qos(QoS::ExactlyOnce).queue(1_000_000, sori_client::Overflow::Wait);
    let mut messages = subscriber.subscribe(subscribe).expect("granted");
    let mut next = 0;
    for life in 0..LIVES {
        // In every second life there is no server to be found.
        let url = if life % 2 == 0 { "mqtt://127.0.0.1:1".to_owned() } else { broker.url(Way::Tcp) };
        let mut child = start(&directory, &url, next);
        let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines().map_while(Result::ok);
        let enough = next + 40 + 17 * life as u64;
        while next < enough {
            let line = lines.next().expect("goes on");
            if let Some(number) = line.split_once("accepted ").and_then(|(_, number)| number.parse::<u64>().ok()) {
                next = number + 1;
            }
        }
        child.kill().expect("runs");
        child.wait().expect("ends");
        // What it said before it died counts, too.
        let said = lines.filter_map(|line| line.split_once("accepted ")?.1.parse::<u64>().ok()).last();
        next = said.map_or(next, |number| number + 1);
    }
    // One more life delivers what is left.
    let options = broker.options(Way::Tcp, Version::V5).store(Store::new(&directory));
    let client = Client::connect(options).expect("is let in");
    client.close().expect("all is delivered");
    let mut missing: BTreeSet<u64> = (0..next).collect();
    while !missing.is_empty() {
        let message = messages.next_timeout(PATIENCE);
        assert!(message.is_some(), "{missing:?} of {next} are lost");
        let message = message.expect("is there");
        missing.remove(&message.text().expect("is text").parse().expect("is a number"));
    }
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
