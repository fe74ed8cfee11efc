//! Rate, cost and latency of acknowledged messages, beside what the same disk does in the same minute.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::PacketId;

use super::load::Load;
use super::store_figures;
use super::sync_probe::SyncProbe;
use super::wire::{Door, leave_a_session};
use super::{percentile, process};
use crate::broker::{Broker, BrokerOptions};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerOptions,
    /// Publishers, and messages in flight of each.
    pub publishers: usize,
    /// Messages in flight of each publisher.
    pub window: usize,
    /// Bytes of each payload.
    pub payload_size: usize,
    /// How long the load lasts.
    pub time: Duration,
    /// Messages published one at a time.
    pub idle_messages: u16,
    /// Whether a session is there that the messages have to be kept for.
    pub is_durable: bool,
    /// Whether the publishers come over a Unix socket, which costs both sides less than TCP.
    pub is_local: bool,
}

/// What was measured. Times in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Figures(pub Vec<(&'static str, f64)>);

/// Measures.
///
/// # Errors
/// The machine's, or a broker that does not serve.
pub fn run(options: &Options) -> io::Result<Figures> {
    let mut settings = options.broker.clone();
    settings.lines.push("sys_interval 1".to_owned());
    settings.has_socket = options.is_local;
    let broker = Broker::new(&settings, 7)?;
    let mut child = broker.start()?;
    let result = measure(options, &broker, child.id());
    let _ = child.kill();
    child.wait()?;
    result
}

fn measure(options: &Options, broker: &Broker, process: u32) -> io::Result<Figures> {
    let port = broker.port;
    // Without a subscriber nothing has to be kept: the same path without the disk.
    let door = if options.is_local { Door::Socket(broker.socket()) } else { Door::Port(port) };
    let mut wire = door.enter("rate")?;
    if options.is_durable {
        leave_a_session(port, "kept", "rate/#")?;
    }
    let payload = vec![b'.'; options.payload_size];

    // Idle: one sync of our own and one publish in turn, so that both see the same disk.
    let mut probe = SyncProbe::new(broker.directory())?;
    let mut latencies = Vec::new();
    let mut packet_id = PacketId::FIRST;
    for _ in 0..options.idle_messages {
        probe.measure(options.payload_size + 100)?;
        let began = Instant::now();
        wire.publish("rate/idle", packet_id, &payload)?;
        latencies.push(began.elapsed().as_micros() as u64);
        packet_id = packet_id.next();
    }
    latencies.sort_unstable();
    let idle_sync = probe.median();

    let load = Load {
        door,
        publishers: options.publishers,
        window: options.window,
        payload_size: options.payload_size,
        topic: "rate/load",
    };
    // A second of load that does not count: files grow, caches fill.
    load.run(u64::MAX, Duration::from_secs(1))?;
    let store_before = store_figures::read(port)?;
    let (cpu_before, disk_before) = (process::cpu_time(process)?, process::bytes_below(&broker.data())?);
    let (written_before, writes_before) = process::written(process)?;
    let is_over = AtomicBool::new(false);
    let (loaded, loaded_sync) = thread::scope(|scope| {
        let prober = scope.spawn(|| -> io::Result<u64> {
            let mut probe = SyncProbe::new(broker.directory())?;
            while !is_over.load(Ordering::Relaxed) {
                probe.measure(options.payload_size + 100)?;
                thread::sleep(Duration::from_millis(50));
            }
            Ok(probe.median())
        });
        let loaded = load.run(u64::MAX, options.time);
        is_over.store(true, Ordering::Relaxed);
        let sync = prober.join().unwrap_or_else(|_| Err(io::Error::other("the probe failed")));
        (loaded, sync)
    });
    let (loaded, loaded_sync) = (loaded?, loaded_sync?);
    let cpu = process::cpu_time(process)? - cpu_before;
    let disk = process::bytes_below(&broker.data())?.saturating_sub(disk_before);
    let (written, writes) = process::written(process)?;
    let store = store_figures::read(port)?.since(store_before);
    let messages = loaded.acknowledged as f64;
    let commits = store.commits.max(1.0);
    // The same bytes in commits of the same size, without a broker.
    let bare = probe_rate(broker, (store.bytes_written / commits) as usize)?;
    let rate = messages / loaded.elapsed.as_secs_f64();
    let bare_rate = bare * messages / commits;
    let (idle_p50, loaded_p50) = (percentile(&latencies, 50) as f64, percentile(&loaded.latencies, 50) as f64);
    Ok(Figures(vec![
        ("messages_per_second", rate),
        ("bare_disk_messages_per_second", if store.commits > 0.0 { bare_rate } else { 0.0 }),
        ("rate_of_bare_disk", if store.commits > 0.0 { rate / bare_rate } else { 0.0 }),
        ("messages_per_commit", if store.commits > 0.0 { messages / commits } else { 0.0 }),
        ("bytes_per_commit", store.bytes_written / commits),
        ("syncs_per_puback", store.syncs / messages),
        ("cpu_micros_per_message", cpu.as_micros() as f64 / messages),
        ("idle_ack_p50", idle_p50),
        ("idle_ack_p99", percentile(&latencies, 99) as f64),
        ("idle_sync_p50", idle_sync as f64),
        ("idle_ack_in_syncs", idle_p50 / idle_sync.max(1) as f64),
        ("loaded_ack_p50", loaded_p50),
        ("loaded_ack_p99", percentile(&loaded.latencies, 99) as f64),
        ("loaded_sync_p50", loaded_sync as f64),
        ("loaded_ack_in_syncs", loaded_p50 / loaded_sync.max(1) as f64),
        ("disk_bytes_per_message", disk as f64 / messages),
        ("written_bytes_per_message", (written - written_before) as f64 / messages),
        ("write_calls_per_message", (writes - writes_before) as f64 / messages),
    ]))
}

/// Appends and syncs of this size per second.
fn probe_rate(broker: &Broker, bytes: usize) -> io::Result<f64> {
    let mut probe = SyncProbe::new(broker.directory())?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        probe.measure(bytes)?;
    }
    Ok(probe.latencies.len() as f64 / began.elapsed().as_secs_f64())
}
