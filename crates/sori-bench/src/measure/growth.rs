//! What it costs to have more of everything: a broker process over loopback, at several sizes.
//!
//! At each size a fresh broker is filled, used and emptied. Processor time is the broker's, for one operation; memory is
//! what is resident, for one of the things, and what is left when all of them are gone: at once, and when what is free has
//! had time to go back to the system.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::{PacketId, PacketType, QoS};

use super::process;
use super::wire::{Wire, publish_with};
use crate::broker::{Broker, BrokerOptions};
use crate::feed::{subscribe, unsubscribe};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerOptions,
    /// No size above this one.
    pub size_max: u64,
}

/// What was measured at one size.
#[derive(Debug, Clone)]
pub struct Row {
    /// What there is more and more of.
    pub series: &'static str,
    /// How much of it.
    pub size: u64,
    /// Microseconds of processor time and bytes, by name.
    pub figures: Vec<(&'static str, f64)>,
}

type Measured = io::Result<Vec<(&'static str, f64)>>;

/// What there is more and more of.
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// How much.
    pub sizes: &'static [u64],
    measure: fn(&Running, u64) -> Measured,
}

/// All of them.
pub const SERIES: [Series; 5] = [
    Series { name: "subscriptions", sizes: &[10_000, 100_000, 1_000_000], measure: subscriptions },
    Series { name: "connections", sizes: &[1_000, 4_000, 15_000], measure: connections },
    Series { name: "levels", sizes: &[1, 10, 100], measure: levels },
    Series { name: "payload", sizes: &[16, 256, 4 << 10, 64 << 10, 1 << 20], measure: payload },
    Series { name: "retained", sizes: &[1_000, 10_000, 100_000, 1_000_000], measure: retained },
];

/// Measures one series.
///
/// # Errors
/// The machine's, or a broker that does not serve.
pub fn run(series: &Series, options: &Options) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &size in series.sizes.iter().filter(|size| **size <= options.size_max) {
        let broker = Broker::new(&options.broker, size)?;
        let mut child = broker.start()?;
        let running = Running { port: broker.port, process: child.id() };
        let figures =
            Wire::connect_within(broker.port, "first", true, PATIENCE).and_then(|_| (series.measure)(&running, size));
        let _ = child.kill();
        child.wait()?;
        rows.push(Row { series: series.name, size, figures: figures? });
    }
    Ok(rows)
}

const PATIENCE: Duration = Duration::from_secs(30);
/// Messages that a cost is the mean of.
const MESSAGES: usize = 50_000;
/// Bytes of each.
const SMALL: usize = 64;
/// Bytes of small messages that are under way at once.
const WINDOW: usize = 64 * 1024;
/// Messages of whatever size that are under way at once, as long as they fit into so many bytes: what a size costs would else be
/// mixed with what it saves to have many.
const PAYLOADS_UNDER_WAY: usize = 16;
const PAYLOAD_BYTES_UNDER_WAY: usize = 1 << 20;
/// Connections that hold all the filters.
const HOLDERS: u64 = 100;
const FILTERS_PER_PACKET: usize = 1000;
/// Filters of many levels, and as many of them as a packet has room for.
const DEEP_FILTERS: u64 = 5_000;
const DEEP_FILTERS_PER_PACKET: usize = 50;
/// The broker keeps so much that is free, and gives back more than that once it has been so for some seconds.
const KEPT_BYTES_MAX: f64 = 32e6;
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(20);

struct Running {
    port: u16,
    process: u32,
}

impl Running {
    fn connect(&self, client_id: &str) -> io::Result<Wire> {
        Ok(Wire::connect(self.port, client_id, true)?.0)
    }

    /// Microseconds of the broker for one of `operations`.
    fn cost(&self, operations: u64, work: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
        let before = process::cpu_time_exact(self.process)?;
        work()?;
        let cpu = process::cpu_time_exact(self.process)?.saturating_sub(before);
        Ok(cpu.as_nanos() as f64 / 1000.0 / operations as f64)
    }

    fn resident(&self) -> io::Result<f64> {
        // What was freed in the last turn goes back to the system a moment later.
        thread::sleep(Duration::from_millis(300));
        Ok(process::resident(self.process)? as f64)
    }

    /// The same when what is free has gone back to the system, as far as it does. It does so once, and only where it is much.
    fn resident_later(&self) -> io::Result<f64> {
        let until = Instant::now() + GIVEN_BACK_WITHIN;
        let mut resident = self.resident()?;
        while resident > KEPT_BYTES_MAX && Instant::now() < until {
            resident = self.resident()?;
        }
        Ok(resident)
    }

    /// Small messages from one client to another, and what one costs.
    fn cost_of_messages(&self, topics: &[String], filter: &str) -> io::Result<f64> {
        let under_way = WINDOW / (SMALL + topics.first().map_or(0, String::len));
        self.cost_and_memory_of_messages(topics, filter, SMALL, MESSAGES, under_way).map(|(cost, _)| cost)
    }

    /// So many of one size, of which some are under way at once; what one costs, and what is resident while both clients are
    /// still there.
    fn cost_and_memory_of_messages(
        &self,
        topics: &[String],
        filter: &str,
        size: usize,
        count: usize,
        under_way: usize,
    ) -> io::Result<(f64, f64)> {
        let mut subscriber = self.connect("subscriber")?;
        subscriber.stream.write_all(&subscribe(&[filter], QoS::AtMostOnce))?;
        subscriber.until(PacketType::SubAck, |_| ())?;
        let mut publisher = self.connect("publisher")?;
        let payload = vec![b'.'; size];
        let message = |topic: &String| publish_with(topic, QoS::AtMostOnce, false, PacketId::FIRST, &payload);
        let packets: Vec<Vec<u8>> = topics.iter().map(message).collect();
        let mut next = packets.iter().cycle();
        let mut exchange = |count: usize| -> io::Result<()> {
            let mut left = count;
            while left > 0 {
                let now = under_way.min(left);
                let bytes: Vec<u8> = next.by_ref().take(now).flatten().copied().collect();
                publisher.stream.write_all(&bytes)?;
                for _ in 0..now {
                    subscriber.until(PacketType::Publish, |_| ())?;
                }
                left -= now;
            }
            Ok(())
        };
        exchange(count / 10)?;
        let cost = self.cost(count as u64, || exchange(count))?;
        Ok((cost, self.resident()?))
    }
}

fn subscriptions(broker: &Running, size: u64) -> Measured {
    let empty = broker.resident()?;
    let mut holders = (0..HOLDERS).map(|n| broker.connect(&format!("holder-{n}"))).collect::<io::Result<Vec<_>>>()?;
    let filters = |holder: usize| -> Vec<String> {
        (0..size / HOLDERS).map(|number| format!("building/{holder}/{number}/+")).collect()
    };
    let subscribed = broker.cost(size, || {
        for (number, holder) in holders.iter_mut().enumerate() {
            for filters in filters(number).chunks(FILTERS_PER_PACKET) {
                holder.stream.write_all(&subscribe(filters, QoS::AtMostOnce))?;
                holder.until(PacketType::SubAck, |_| ())?;
            }
        }
        Ok(())
    })?;
    let full = broker.resident()?;
    // Nobody else gets these, and each topic is new to the caches.
    let topics: Vec<String> = (0..10_000).map(|number| format!("elsewhere/{number}/x")).collect();
    let message = broker.cost_of_messages(&topics, "elsewhere/#")?;
    let removed = broker.cost(size, || {
        for (number, holder) in holders.iter_mut().enumerate() {
            for filters in filters(number).chunks(FILTERS_PER_PACKET) {
                holder.stream.write_all(&unsubscribe(filters))?;
                holder.until(PacketType::UnsubAck, |_| ())?;
            }
        }
        Ok(())
    })?;
    let (left, later) = (broker.resident()?, broker.resident_later()?);
    Ok(vec![
        ("subscribe us", subscribed),
        ("message us", message),
        ("unsubscribe us", removed),
        ("bytes each", (full - empty) / size as f64),
        ("MB full", full / 1e6),
        ("MB when removed", left / 1e6),
        ("MB later", later / 1e6),
    ])
}

/// Each holds one subscription.
fn connections(broker: &Running, size: u64) -> Measured {
    let empty = broker.resident()?;
    let mut wires = Vec::new();
    let connected = broker.cost(size, || {
        for number in 0..size {
            wires.push(broker.connect(&format!("client-{number}"))?);
        }
        Ok(())
    })?;
    for (number, wire) in wires.iter_mut().enumerate() {
        wire.subscribe(&format!("client/{number}/command"), QoS::AtMostOnce, |_| ())?;
    }
    let full = broker.resident()?;
    let message = broker.cost_of_messages(&["topic".to_owned()], "topic")?;
    let closed = broker.cost(size, || wires.into_iter().try_for_each(Wire::disconnect))?;
    let (left, later) = (broker.resident()?, broker.resident_later()?);
    Ok(vec![
        ("connect us", connected),
        ("message us", message),
        ("disconnect us", closed),
        ("bytes each", (full - empty) / size as f64),
        ("MB full", full / 1e6),
        ("MB when removed", left / 1e6),
        ("MB later", later / 1e6),
    ])
}

/// Filters of that depth of which no two have a level in common, and messages for one of them.
fn levels(broker: &Running, size: u64) -> Measured {
    let empty = broker.resident()?;
    let mut holder = broker.connect("holder")?;
    let below: Vec<String> = (1..size).map(|level| level.to_string()).collect();
    let filters: Vec<String> = (0..DEEP_FILTERS)
        .map(|number| below.iter().fold(format!("filter-{number}"), |way, level| format!("{way}/{number}-{level}")))
        .collect();
    let subscribed = broker.cost(DEEP_FILTERS, || {
        for filters in filters.chunks(DEEP_FILTERS_PER_PACKET) {
            holder.stream.write_all(&subscribe(filters, QoS::AtMostOnce))?;
            holder.until(PacketType::SubAck, |_| ())?;
        }
        Ok(())
    })?;
    let full = broker.resident()?;
    let above = "level/".repeat(size as usize - 1);
    let topics: Vec<String> = (0..10_000).map(|number| format!("{above}{number}")).collect();
    let known = broker.cost_of_messages(&topics[..1], &format!("{above}+"))?;
    let new = broker.cost_of_messages(&topics, &format!("{above}+"))?;
    holder.disconnect()?;
    let (left, later) = (broker.resident()?, broker.resident_later()?);
    Ok(vec![
        ("subscribe us", subscribed),
        ("message us", known),
        ("with a new topic us", new),
        ("bytes each", (full - empty) / DEEP_FILTERS as f64),
        ("MB full", full / 1e6),
        ("MB when removed", left / 1e6),
        ("MB later", later / 1e6),
    ])
}

fn payload(broker: &Running, size: u64) -> Measured {
    let count = (MESSAGES * 1000 / size as usize).clamp(300, MESSAGES);
    let under_way = PAYLOADS_UNDER_WAY.min(PAYLOAD_BYTES_UNDER_WAY / size as usize);
    let (message, full) =
        broker.cost_and_memory_of_messages(&["topic".to_owned()], "topic", size as usize, count, under_way)?;
    let (left, later) = (broker.resident()?, broker.resident_later()?);
    Ok(vec![
        ("message us", message),
        ("us for each KiB", message * 1024.0 / size as f64),
        ("MB full", full / 1e6),
        ("MB when removed", left / 1e6),
        ("MB later", later / 1e6),
    ])
}

fn retained(broker: &Running, size: u64) -> Measured {
    let empty = broker.resident()?;
    let mut publisher = broker.connect("publisher")?;
    let mut publish = |payload: &[u8]| -> io::Result<()> {
        let mut bytes = Vec::new();
        for number in 0..size {
            let topic = format!("retained/{}/{}", number / 1000, number % 1000);
            bytes.extend(publish_with(&topic, QoS::AtMostOnce, true, PacketId::FIRST, payload));
            if bytes.len() > WINDOW {
                publisher.stream.write_all(&bytes)?;
                bytes.clear();
            }
        }
        publisher.stream.write_all(&bytes)?;
        // Its acknowledgement comes when all before it have been taken.
        publisher.publish("done", PacketId::FIRST, b"")
    };
    let stored = broker.cost(size, || publish(&[b'.'; 64]))?;
    let full = broker.resident()?;
    let mut reader = broker.connect("reader")?;
    let delivered = broker.cost(size, || {
        reader.stream.write_all(&subscribe(&["retained/#"], QoS::AtMostOnce))?;
        (0..size).try_for_each(|_| reader.until(PacketType::Publish, |_| ()))
    })?;
    let mut one = broker.connect("one")?;
    let lookups = 500;
    let looked_up = broker.cost(lookups, || {
        for _ in 0..lookups {
            one.stream.write_all(&subscribe(&["retained/0/17"], QoS::AtMostOnce))?;
            one.until(PacketType::Publish, |_| ())?;
        }
        Ok(())
    })?;
    drop((reader, one));
    let removed = broker.cost(size, || publish(&[]))?;
    let (left, later) = (broker.resident()?, broker.resident_later()?);
    Ok(vec![
        ("store us", stored),
        ("deliver us", delivered),
        ("find one us", looked_up),
        ("remove us", removed),
        ("bytes each", (full - empty) / size as f64),
        ("MB full", full / 1e6),
        ("MB when removed", left / 1e6),
        ("MB later", later / 1e6),
    ])
}
