//! Each example does what it says, against a broker, as a program of its own (this test program, started again).

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use sori_client::{Publish, Subscribe, blocking::Client};

use super::brokers::{Broker, PATIENCE};
use super::certificates::Certificate;
use super::place::{Place, Way};

#[path = "../../examples/building_topics.rs"]
mod building_topics;
#[path = "../../examples/csv_logger.rs"]
mod csv_logger;
#[path = "../../examples/fleet_monitor.rs"]
mod fleet_monitor;
#[path = "../../examples/last_will.rs"]
mod last_will;
#[path = "../../examples/publish_and_subscribe.rs"]
mod publish_and_subscribe;
#[path = "../../examples/publish_json.rs"]
mod publish_json;
#[path = "../../examples/reconnecting.rs"]
mod reconnecting;
#[path = "../../examples/router.rs"]
mod router;
#[path = "../../examples/session.rs"]
mod session;
#[path = "../../examples/subscribe.rs"]
mod subscribe;
#[path = "../../examples/threshold_alert.rs"]
mod threshold_alert;
#[path = "../../examples/tls_credentials.rs"]
mod tls_credentials;

/// Which example this process is to be.
const EXAMPLE: &str = "SORI_TEST_EXAMPLE";

/// Not a case of its own: the example, when the environment asks for it.
#[test]
fn process() {
    let Ok(name) = std::env::var(EXAMPLE) else { return };
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let done = match name.as_str() {
        "building_topics" => building_topics::main().map_err(|error| told(&error)),
        "csv_logger" => csv_logger::main().map_err(|error| told(&error)),
        "fleet_monitor" => fleet_monitor::main().map_err(|error| told(&error)),
        "last_will" => last_will::main().map_err(|error| told(&error)),
        "publish_and_subscribe" => publish_and_subscribe::main().map_err(|error| told(&error)),
        "publish_json" => publish_json::main().map_err(|error| told(&error)),
        "reconnecting" => reconnecting::main().map_err(|error| told(&error)),
        "router" => router::main().map_err(|error| told(&error)),
        "session" => session::main().map_err(|error| told(&error)),
        "subscribe" => subscribe::main().map_err(|error| told(&error)),
        "threshold_alert" => threshold_alert::main().map_err(|error| told(&error)),
        "tls_credentials" => tls_credentials::main().map_err(|error| told(&error)),
        _ => Err(format!("no example {name}")),
    };
    std::process::exit(match done {
        Ok(()) => 0,
        Err(error) => {
            println!("error: {error}");
            1
        }
    });
}

/// An example that runs.
struct Example {
    child: Child,
    lines: Receiver<String>,
}

impl Example {
    fn start(name: &str, broker: &Broker, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("has a path"));
        command.args(["examples::process", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(EXAMPLE, name).env("MQTT_URL", broker.url()).envs(environment.iter().copied());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("starts");
        let output = child.stdout.take().expect("is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits until it prints this.
    #[track_caller]
    fn prints(&self, part: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            assert!(line.is_ok(), "no \"{part}\"");
            let line = line.expect("is there");
            if line.contains(part) {
                return;
            }
        }
    }

    fn succeeds(mut self) {
        assert!(self.child.wait().expect("ends").success());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(broker: &Broker) -> Client {
    Client::connect(broker.url()).expect("is let in")
}

/// Publishes until it has come through, for an example may not have subscribed.
#[track_caller]
fn publish_until(client: &Client, example: &Example, messages: &[(&str, &str)], part: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        for (topic, payload) in messages {
            client.publish((*topic, *payload)).expect("taken");
        }
        if example.lines.recv_timeout(Duration::from_millis(50)).is_ok_and(|line| line.contains(part)) {
            return;
        }
        assert!(Instant::now() < until, "no \"{part}\"");
    }
}

#[track_caller]
fn next(messages: &mut sori_client::blocking::Subscription) -> (String, String) {
    let message = messages.next_timeout(PATIENCE).expect("there is one");
    (message.topic().to_owned(), message.text().expect("is text").to_owned())
}

#[test]
fn publish_json_publishes_readings() {
    let broker = Broker::sori();
    let mut readings = client(&broker).subscribe("sensors/kitchen/temperature").expect("granted");
    let example = Example::start("publish_json", &broker, &[]);
    example.prints("published");
    let (_, payload) = next(&mut readings);
    let reading: serde_json::Value = serde_json::from_str(&payload).expect("is JSON");
    assert!(reading["celsius"].as_f64().is_some_and(|celsius| celsius >= 20.0), "{payload}");
}

#[test]
fn subscribe_prints_messages() {
    let broker = Broker::sori();
    let example = Example::start("subscribe", &broker, &[]);
    example.prints("subscribed");
    let client = client(&broker);
    client.publish(("sensors/a", "21.5")).expect("taken");
    example.prints("sensors/a: 21.5");
    client.publish(("sensors/b", b"\xff\xfe")).expect("taken");
    example.prints("sensors/b: 2 bytes");
}

#[test]
fn session_shows_what_it_was_told_to_ask_for() {
    let broker = Broker::sori();
    let example = Example::start("session", &broker, &[]);
    example.prints("subscribed: [Success, Success]");
    let client = client(&broker);
    client.publish(("sensors/a", "21.5")).expect("taken");
    example.prints("sensors/a: 4 bytes");
    client.publish(("stop", "")).expect("taken");
    example.prints(" bytes were sent, ");
    example.succeeds();
}

#[test]
fn last_will_tells_of_a_device_that_is_gone() {
    let broker = Broker::sori();
    let mut statuses = client(&broker).subscribe("devices/thermometer-7/status").expect("granted");
    let mut example = Example::start("last_will", &broker, &[]);
    example.prints("online");
    assert_eq!(next(&mut statuses).1, "online");
    example.child.kill().expect("runs");
    assert_eq!(next(&mut statuses).1, "offline");
    let mut example = Example::start("last_will", &broker, &[]);
    example.prints("online");
    assert_eq!(next(&mut statuses).1, "online");
    example.child.stdin.take().expect("is piped").write_all(b"\n").expect("is read");
    assert_eq!(next(&mut statuses).1, "offline (on purpose)");
    example.succeeds();
}

#[test]
fn router_prints_what_its_handlers_got() {
    let broker = Broker::sori();
    let example = Example::start("router", &broker, &[]);
    let client = client(&broker);
    publish_until(&client, &example, &[("sensors/kitchen/temperature", r#"{"celsius":21.5}"#)], "kitchen: 21.5 °C");
    client.publish(("devices/7/status", "online")).expect("taken");
    example.prints("device 7 is online");
    client.publish(("devices/seven/status", "online")).expect("taken");
    example.prints("failed: message for \"devices/seven/status\"");
}

#[test]
fn publish_and_subscribe_adds_all_numbers() {
    let broker = Broker::sori();
    let example = Example::start("publish_and_subscribe", &broker, &[]);
    example.prints("the sum is 55");
    example.succeeds();
}

#[test]
fn reconnecting_goes_on_after_a_crash_of_the_broker() {
    let mut broker = Broker::sori();
    let example = Example::start("reconnecting", &broker, &[]);
    example.prints("connected; session present: false");
    broker.kill_and_restart();
    example.prints("again in");
    example.prints("connected; session present:");
    let mut counter = client(&broker).subscribe("counter").expect("granted");
    next(&mut counter);
}

#[test]
fn fleet_monitor_counts_devices() {
    let broker = Broker::sori();
    let client = client(&broker);
    for (topic, status) in [("devices/a/status", "online"), ("devices/b/status", "offline")] {
        client.publish(Publish::new(topic, status).retain(true)).expect("taken");
    }
    let example = Example::start("fleet_monitor", &broker, &[]);
    example.prints("1 of 2 devices online");
    client.publish(Publish::new("devices/b/status", "online").retain(true)).expect("taken");
    example.prints("2 of 2 devices online");
    client.publish(Publish::new("devices/a/status", "").retain(true)).expect("taken");
    example.prints("1 of 1 devices online");
}

#[test]
fn csv_logger_writes_lines_and_loses_none_while_it_is_away() {
    let broker = Broker::sori();
    let client = client(&broker);
    let path = std::env::temp_dir().join(format!("sori-client-csv-{}", std::process::id()));
    let environment = [("CSV", path.to_str().expect("is text"))];
    let read = |count| {
        let until = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<String> = text.lines().filter_map(|line| Some(line.split_once(',')?.1.to_owned())).collect();
            if lines.len() >= count {
                return lines;
            }
            assert!(Instant::now() < until, "{lines:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let mut example = Example::start("csv_logger", &broker, &environment);
    example.prints("writing");
    client.publish(("sensors/a", "say \"hi\"")).expect("taken");
    assert_eq!(read(1), [r#""sensors/a","say ""hi""""#]);
    example.child.kill().expect("runs");
    example.child.wait().expect("ends");
    client.publish(("sensors/b", "meanwhile")).expect("taken");
    let _example = Example::start("csv_logger", &broker, &environment);
    // The first one may come again, if it was killed before the server knew.
    assert!(read(2).contains(&r#""sensors/b","meanwhile""#.to_owned()));
    let _ = std::fs::remove_file(&path);
}

#[test]
fn threshold_alert_alerts_once_and_clears_once() {
    let broker = Broker::sori();
    let example = Example::start("threshold_alert", &broker, &[]);
    example.prints("watching");
    let client = client(&broker);
    let mut alerts = client.subscribe(Subscribe::new("alerts/#")).expect("granted");
    for celsius in ["29", "30.5", "29.5", "31", "28.5", "30.1", "27.9", "28.1", "27", "nonsense", "30.2"] {
        client.publish(("sensors/attic/temperature", celsius)).expect("taken");
    }
    for expected in ["hot: 30.5 °C", "fine again: 27.9 °C", "hot: 30.2 °C"] {
        assert_eq!(next(&mut alerts), ("alerts/attic".to_owned(), expected.to_owned()));
    }
}

#[test]
fn building_topics_refuses_names_that_are_none() {
    let broker = Broker::sori();
    let example = Example::start("building_topics", &broker, &[]);
    example.prints("\"evil/+/room\" cannot be a level of a topic");
    example.prints("buildings/hq/floor-2/big-lab/temperature: 21.5");
    example.prints("buildings/hq/floor-2/kitchen/temperature: 23.0");
    example.succeeds();
}

#[test]
fn tls_credentials_publishes_to_a_server_that_it_trusts() {
    for certificate in [Certificate::Good, Certificate::Expired] {
        let place = Place::sori(certificate);
        let (url, file) = (place.url(Way::Tls), place.ca.file());
        let environment = [("MQTT_URL", url.as_str()), ("MQTT_CA", file.to_str().expect("is text"))];
        let example = Example::start("tls_credentials", &place.broker, &environment);
        example.prints(if certificate == Certificate::Good { "published" } else { "needs a new certificate" });
        example.succeeds();
    }
}
