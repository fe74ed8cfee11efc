//! How long a broker takes to come back with much to remember, and what it weighs.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::{Packet, PacketType, QoS};

use super::durable_rate::Figures;
use super::load::Load;
use super::process;
use super::wire::{Door, Wire, leave_a_session};
use crate::broker::{Broker, BrokerOptions};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerOptions,
    /// Messages that wait for one session.
    pub queued: u64,
    /// Sessions with one subscription each.
    pub sessions: u64,
    /// Bytes of each payload.
    pub payload_size: usize,
    /// Whether the queue is read empty at the end, and counted.
    pub reads: bool,
}

/// So many connections at a time make sessions.
const MAKERS: u64 = 64;

/// Fills, kills, restarts, measures.
///
/// # Errors
/// The machine's, or a broker that does not serve, or that forgot the session.
pub fn run(options: &Options) -> io::Result<Figures> {
    let broker = Broker::new(&options.broker, 11)?;
    let mut child = broker.start()?;
    let filled = fill(options, &broker, child.id());
    let _ = child.kill();
    child.wait()?;
    let mut figures = filled?;
    figures.push(("disk_bytes", process::bytes_below(&broker.data())? as f64));

    let began = Instant::now();
    let mut child = broker.start()?;
    let result = look(options, &broker, child.id(), began, &mut figures);
    let _ = child.kill();
    child.wait()?;
    result?;
    Ok(Figures(figures))
}

fn fill(options: &Options, broker: &Broker, process: u32) -> io::Result<Vec<(&'static str, f64)>> {
    let port = broker.port;
    leave_a_session(port, "kept", "queue/#")?;
    let before = process::resident(process)?;
    let began = Instant::now();
    make_sessions(port, options.sessions)?;
    let after_sessions = process::resident(process)?;
    if options.queued > 0 {
        let load = Load {
            door: Door::Port(port),
            publishers: 50,
            window: 40,
            payload_size: options.payload_size,
            topic: "queue/all",
        };
        let done = load.run(options.queued, Duration::from_secs(600))?;
        if done.acknowledged < options.queued {
            return Err(io::Error::other("filling took more than ten minutes"));
        }
    }
    let after = process::resident(process)?;
    let each = |bytes: u64, count: u64| if count == 0 { 0.0 } else { bytes as f64 / count as f64 };
    let payloads = options.queued * options.payload_size as u64;
    Ok(vec![
        ("fill_seconds", began.elapsed().as_secs_f64()),
        ("rss_bytes", after as f64),
        ("rss_bytes_per_session", each(after_sessions.saturating_sub(before), options.sessions)),
        ("rss_bytes_per_queued_message", each(after.saturating_sub(after_sessions), options.queued)),
        (
            "rss_bytes_per_queued_message_beyond_payload",
            each(after.saturating_sub(after_sessions).saturating_sub(payloads), options.queued),
        ),
    ])
}

fn make_sessions(port: u16, sessions: u64) -> io::Result<()> {
    let next = AtomicU64::new(0);
    let make = || -> io::Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= sessions {
                return Ok(());
            }
            let (mut wire, _) = Wire::connect(port, &format!("session{number}"), false)?;
            wire.subscribe(&format!("session/{number}/+"), QoS::AtLeastOnce, |_| ())?;
            wire.disconnect()?;
        }
    };
    thread::scope(|scope| {
        let makers: Vec<_> = (0..MAKERS.min(sessions)).map(|_| scope.spawn(make)).collect();
        makers
            .into_iter()
            .try_for_each(|maker| maker.join().unwrap_or_else(|_| Err(io::Error::other("a maker failed"))))
    })
}

fn look(
    options: &Options,
    broker: &Broker,
    process: u32,
    began: Instant,
    figures: &mut Vec<(&'static str, f64)>,
) -> io::Result<()> {
    let patience = Duration::from_secs(300);
    let (wire, _) = Wire::connect_within(broker.port, "stranger", true, patience)?;
    figures.push(("restart_seconds", began.elapsed().as_secs_f64()));
    figures.push(("restart_cpu_seconds", process::cpu_time(process)?.as_secs_f64()));
    drop(wire);
    if options.sessions > 0 {
        let (_, is_present) = Wire::connect(broker.port, &format!("session{}", options.sessions - 1), false)?;
        if !is_present {
            return Err(io::Error::other("the broker has forgotten a session"));
        }
    }
    let (mut wire, is_present) = Wire::connect(broker.port, "kept", false)?;
    figures.push(("rss_bytes_after_restart", process::resident(process)? as f64));
    if !is_present {
        return Err(io::Error::other("the broker has forgotten the session"));
    }
    if options.reads && options.queued > 0 {
        figures.push(("read_seconds", read_all(&mut wire, options.queued)?));
    }
    Ok(())
}

/// Reads and acknowledges the whole queue.
pub(super) fn read_all(wire: &mut Wire, queued: u64) -> io::Result<f64> {
    use std::io::Write;
    let began = Instant::now();
    let mut count = 0;
    while count < queued {
        let mut acknowledgements = Vec::new();
        wire.until(PacketType::Publish, |packet| {
            if let Packet::Publish(publish) = packet
                && let Some(packet_id) = publish.packet_id
            {
                count += 1;
                let ack = sori_mqtt::Ack {
                    packet_id,
                    reason_code: sori_mqtt::ReasonCode::Success,
                    properties: sori_mqtt::Properties::EMPTY,
                };
                ack.encode(PacketType::PubAck, sori_mqtt::Version::V311, &mut acknowledgements);
            }
        })?;
        wire.stream.write_all(&acknowledgements)?;
    }
    Ok(began.elapsed().as_secs_f64())
}
