//! What persistence costs those who do not need it: instructions for a QoS 1 message from one clean session to another, with
//! persistence on and off. valgrind counts them, so the machine's other work does not matter. It must be installed.

use std::fs;
use std::io;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::{Ack, PINGREQ, Packet, PacketId, PacketType, Properties, QoS, ReasonCode, Version};

use super::durable_rate::Figures;
use super::process;
use super::wire::{Wire, publish};
use crate::broker::{Broker, BrokerOptions};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerOptions,
    /// Messages that are counted.
    pub messages: u16,
}

/// Messages before those that are counted: a run with these alone says what all else costs.
const BEFORE: u16 = 500;
/// valgrind makes everything some fifty times slower.
const PATIENCE: Duration = Duration::from_secs(120);

/// Counts.
///
/// # Errors
/// No valgrind, or a broker that does not serve.
pub fn run(options: &Options) -> io::Result<Figures> {
    let with = per_message(options, "persistence true")?;
    let without = per_message(options, "persistence false")?;
    Ok(Figures(vec![
        ("instructions_per_message_with_persistence", with),
        ("instructions_per_message_without", without),
        ("with_by_without", with / without.max(1.0)),
    ]))
}

fn per_message(options: &Options, line: &str) -> io::Result<f64> {
    let mut broker = options.broker.clone();
    broker.lines.push(line.to_owned());
    let most = instructions(&broker, BEFORE + options.messages)?;
    let few = instructions(&broker, BEFORE)?;
    Ok(most.saturating_sub(few) as f64 / f64::from(options.messages.max(1)))
}

/// All instructions of a broker that serves so many messages.
fn instructions(options: &BrokerOptions, messages: u16) -> io::Result<u64> {
    let broker = Broker::new(options, 31)?;
    let profile = broker.directory().join("instructions.profile");
    let file = format!("--callgrind-out-file={}", profile.display());
    let mut child = broker.start_below(&["valgrind", "--tool=callgrind", &file])?;
    let passed = pass(broker.port, messages);
    end(&mut child)?;
    passed?;
    let text = fs::read_to_string(&profile)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or_else(|| io::Error::other("valgrind has counted nothing"))
}

/// One message after the other, each in the same steps: which turns the broker works in does not depend on chance.
fn pass(port: u16, messages: u16) -> io::Result<()> {
    let (mut subscriber, _) = Wire::connect_within(port, "subscriber", true, PATIENCE)?;
    subscriber.subscribe("clean", QoS::AtLeastOnce, |_| ())?;
    let (mut publisher, _) = Wire::connect(port, "publisher", true)?;
    let mut packet_id = PacketId::FIRST;
    for _ in 0..messages {
        publisher.send(&publish("clean", packet_id, &[b'.'; 100]))?;
        publisher.until(PacketType::PubAck, |_| ())?;
        let mut answer = Vec::new();
        subscriber.until(PacketType::Publish, |packet| {
            if let Packet::Publish(publish) = packet
                && let Some(packet_id) = publish.packet_id
            {
                let ack = Ack { packet_id, reason_code: ReasonCode::Success, properties: Properties::EMPTY };
                ack.encode(PacketType::PubAck, Version::V311, &mut answer);
            }
        })?;
        answer.extend_from_slice(&PINGREQ);
        subscriber.send(&answer)?;
        subscriber.until(PacketType::PingResp, |_| ())?;
        packet_id = packet_id.next();
    }
    Ok(())
}

/// The program that valgrind runs is valgrind's own process.
fn end(child: &mut Child) -> io::Result<()> {
    process::terminate(child.id())?;
    let until = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            child.kill()?;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
