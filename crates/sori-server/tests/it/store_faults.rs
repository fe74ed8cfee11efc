//! What the broker does when its store cannot be opened, or has no room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use sori_mqtt::{PacketId, PacketType, QoS, Version};

use super::broker::{Broker, command, wait_until};
use super::client::{Client, Received, publish};

const KEPT: &str = "persistence true";

/// Starts a broker that must end by itself: its exit code, and what it said.
fn refused(directory: &Path) -> (Option<i32>, String) {
    let mut command = command(&["-c", directory.join("broker.conf").to_str().expect("is text")]);
    let output = command.current_dir(directory).output().expect("starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A broker that has kept something, and has ended.
fn ended() -> Broker {
    let mut broker = Broker::start(KEPT);
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("a", QoS::AtLeastOnce);
    drop(away);
    Client::connect(broker.port, "publisher").publish_and_wait("a", b"kept");
    assert_eq!(broker.end(Signal::SIGTERM), Some(0));
    broker
}

#[track_caller]
fn is_refused(broker: &Broker, words: &[&str]) {
    let (code, said) = refused(&broker.file(""));
    assert_eq!(code, Some(1), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert_eq!(said.matches("Error: ").count(), 1, "{said}");
}

#[test]
fn a_second_broker_on_the_same_store_is_refused() {
    let broker = Broker::start(KEPT);
    let second = Broker::start("");
    let location = broker.file("").display().to_string();
    second.rewrite(&format!("{KEPT}\npersistence_location {location}\n"));
    // Its own port would be in the way.
    let text = fs::read_to_string(second.file("broker.conf")).expect("is there");
    let port = super::broker::free_port();
    fs::write(second.file("broker.conf"), text.replace(&second.port.to_string(), &port.to_string())).expect("is mine");
    is_refused(&second, &[&format!("is in use by process {}", broker.process_id()), "persistence_location"]);
}

#[test]
fn a_directory_that_cannot_be_made_or_written_is_refused() {
    let broker = ended();
    broker.rewrite(&format!("{KEPT}\npersistence_location {}/log/below-a-file", broker.file("").display()));
    is_refused(&broker, &["Nothing can be kept in ", "name a directory that the broker may write"]);
    broker.rewrite(&format!("{KEPT}\npersistence_location {}/kept", broker.file("").display()));
    let Some(_mount) = Mount::new(broker.file("kept"), "ro") else { return };
    is_refused(&broker, &["Read-only file system", "name a directory that the broker may write"]);
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let broker = ended();
    let file = broker.file("sori.store/00000001.log");
    let mut bytes = fs::read(&file).expect("is there");
    for copy in bytes.chunks_mut(HEADER_COPY_BYTES).take(2) {
        let (body, crc) = copy.split_at_mut(HEADER_COPY_BYTES - 4);
        body[8] += 1;
        crc.copy_from_slice(&crc32(body).to_le_bytes());
    }
    fs::write(&file, &bytes).expect("can be written");
    is_refused(&broker, &["was written by a newer version of sori: 00000001.log has format version 2"]);
    assert_eq!(fs::read(&file).expect("is there"), bytes, "nothing was changed");
}

/// See docs/store-format.md.
const HEADER_COPY_BYTES: usize = 64;

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_damaged_store_is_refused_with_file_and_place() {
    let broker = ended();
    let file = broker.file("sori.store/00000001.log");
    let mut bytes = fs::read(&file).expect("is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&file, bytes).expect("can be written");
    is_refused(&broker, &["is damaged: 00000001.log, offset ", "`sori store repair "]);
}

#[test]
fn a_file_that_is_no_database_of_mosquittos_is_refused() {
    let broker = ended();
    fs::remove_dir_all(broker.file("sori.store")).expect("is there");
    fs::write(broker.file("mosquitto.db"), "my diary").expect("can be written");
    is_refused(&broker, &["mosquitto.db is not a Mosquitto database"]);
}

/// A file system of its own, as long as it lives.
struct Mount(PathBuf);

impl Mount {
    /// `None`: this process may not mount.
    fn new(at: PathBuf, options: &str) -> Option<Mount> {
        fs::create_dir_all(&at).expect("can be made");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Mount(at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("is not 0")
}

/// Publishes for a session that is away until nothing more is taken: how many messages were.
fn fill(publisher: &mut Client) -> u32 {
    for number in 0.. {
        publisher.publish("a", &[b'x'; 50_000], QoS::AtLeastOnce, 1);
        match publisher.receive() {
            Received::Ack(PacketType::PubAck, _) => {}
            Received::Refused(PacketType::PubAck, _, 0x97) => return number,
            other => unreachable!("{other:?}"),
        }
    }
    0
}

/// The same with many short ones, some at a time.
fn fill_with_small(publisher: &mut Client) -> u32 {
    const AT_ONCE: u16 = 50;
    let mut taken = 0;
    loop {
        let packets: Vec<u8> = (1..=AT_ONCE).flat_map(|number| packet("a", &[b'x'; 20], number)).collect();
        publisher.send(&packets);
        let mut refused = 0;
        for _ in 0..AT_ONCE {
            match publisher.receive() {
                Received::Ack(PacketType::PubAck, _) => taken += 1,
                Received::Refused(PacketType::PubAck, _, 0x97) => refused += 1,
                other => unreachable!("{other:?}"),
            }
        }
        if refused > 0 {
            return taken;
        }
    }
}

fn packet(topic: &str, payload: &[u8], number: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    publish(topic, payload, QoS::AtLeastOnce, number).encode(Version::V5, &mut bytes);
    bytes
}

/// The client that was away takes so many messages.
fn take_all(broker: &Broker, count: u32) -> u32 {
    let (mut away, was_there) = Client::resume(broker.port, "away");
    assert!(was_there);
    for _ in 0..count {
        match away.receive() {
            Received::Message { packet_id: Some(packet_id), .. } => away.acknowledge(PacketType::PubAck, packet_id),
            other => unreachable!("{other:?}"),
        }
    }
    count
}

/// Until nothing more is taken: what was acknowledged survives a kill, what needs no disk goes on, and when there is room
/// again, everything is taken as before. `make_room` is told how many messages wait, and says how many it took.
fn fills_up_and_recovers(mut broker: Broker, make_room: impl FnOnce(&Broker, u32) -> u32) {
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("a", QoS::AtLeastOnce);
    drop(away);
    let mut subscriber = Client::connect(broker.port, "here");
    subscriber.subscribe("b", QoS::AtLeastOnce);
    let mut publisher = Client::connect(broker.port, "publisher");
    let taken = fill(&mut publisher);
    assert!(taken > 20, "{taken}");
    broker.wait_for_log("Error: The store is full.");
    // What needs no disk goes on.
    publisher.publish_and_wait("b", b"live");
    assert_eq!(subscriber.message(), ("b".to_owned(), b"live".to_vec()));
    broker.restart(Signal::SIGKILL, |_| ());
    let gone = make_room(&broker, taken);
    let mut publisher = Client::connect(broker.port, "publisher");
    wait_until("there is room again", || {
        publisher.publish("a", b"again", QoS::AtLeastOnce, 1);
        publisher.receive() == Received::Ack(PacketType::PubAck, id(1))
    });
    let (mut away, was_there) = Client::resume(broker.port, "away");
    assert!(was_there);
    let mut came = 0;
    loop {
        match away.receive() {
            Received::Message { packet_id: Some(packet_id), payload, .. } => {
                away.acknowledge(PacketType::PubAck, packet_id);
                if payload == b"again" {
                    break;
                }
                came += 1;
            }
            other => unreachable!("{other:?} after {came} of {taken}"),
        }
    }
    assert_eq!(came + gone, taken);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_store_at_its_limit_refuses_and_recovers() {
    let options = "store_size_limit 12000000\nmax_queued_messages 0\nmax_inflight_messages 0";
    fills_up_and_recovers(Broker::start(&format!("{KEPT}\n{options}")), take_all);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let mut broker = ended();
    let Some(mount) = Mount::new(broker.file("small"), "size=20m") else { return };
    let ballast = mount.0.join("ballast");
    fs::write(&ballast, vec![1; 6 << 20]).expect("there is room");
    broker.rewrite(&format!(
        "{KEPT}\nmax_queued_messages 0\nmax_inflight_messages 0\npersistence_location {}",
        mount.0.display()
    ));
    broker.start_again();
    broker.wait_for_log(" running\n");
    fills_up_and_recovers(broker, |_, _| {
        fs::remove_file(ballast).expect("is there");
        0
    });
}

/// Short messages: what is to be written to be rid of them is much beside what they are. The client that takes them makes the room.
fn small_messages_are_drained(mut broker: Broker) {
    let (mut away, _) = Client::resume(broker.port, "away");
    away.subscribe("a", QoS::AtLeastOnce);
    drop(away);
    let taken = fill_with_small(&mut Client::connect(broker.port, "publisher"));
    assert!(taken > 3000, "{taken}");
    broker.wait_for_log("Error: The store is full.");
    assert_eq!(take_all(&broker, taken / 2), taken / 2);
    broker.restart(Signal::SIGKILL, |_| ());
    // What was sent and not acknowledged, or acknowledged a moment before, comes again.
    let (mut away, was_there) = Client::resume(broker.port, "away");
    assert!(was_there);
    let mut came = 0;
    while let Some(Received::Message { packet_id: Some(packet_id), .. }) = away.receive_within(PATIENCE) {
        away.acknowledge(PacketType::PubAck, packet_id);
        came += 1;
    }
    assert!(came >= taken - taken / 2, "{came} of {taken}");
    let mut publisher = Client::connect(broker.port, "publisher");
    wait_until("there is room again", || {
        publisher.publish("a", b"again", QoS::AtLeastOnce, 1);
        publisher.receive() == Received::Ack(PacketType::PubAck, id(1))
    });
    assert_eq!(broker.stop(), Some(0));
}

/// So long nothing comes when everything has come.
const PATIENCE: Duration = Duration::from_secs(3);

const NO_QUEUE_LIMIT: &str = "max_queued_messages 0\nmax_inflight_messages 100";

#[test]
fn a_store_at_its_limit_with_small_messages_is_drained() {
    small_messages_are_drained(Broker::start(&format!("{KEPT}\nstore_size_limit 1000000\n{NO_QUEUE_LIMIT}")));
}

#[test]
fn a_full_disk_with_small_messages_is_drained() {
    let mut broker = ended();
    let Some(mount) = Mount::new(broker.file("small"), "size=12m") else { return };
    broker.rewrite(&format!("{KEPT}\n{NO_QUEUE_LIMIT}\npersistence_location {}", mount.0.display()));
    broker.start_again();
    broker.wait_for_log(" running\n");
    small_messages_are_drained(broker);
}
