//! What a message of one client waits for while the broker does something large for others.

use std::io::{self, Write};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::{PacketId, PacketType, QoS};

use super::canary::{Canaries, Latencies};
use super::priority;
use super::wire::{Wire, publish_with};
use crate::broker::{Broker, BrokerOptions};
use crate::feed::subscribe;

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerOptions,
    /// Pairs of canaries.
    pub pairs: usize,
    /// Retained messages, all delivered to one client.
    pub retained: usize,
    /// Filters of the client that goes away.
    pub filters: usize,
    /// Clients that all get the same messages.
    pub crowd: usize,
    /// How long the calm lasts, and how long the canaries go on after what has no end to wait for.
    pub time: Duration,
}

/// The latencies of one time.
#[derive(Debug, Clone)]
pub struct Row {
    /// What happened meanwhile.
    pub trouble: &'static str,
    /// How long it was watched.
    pub watched: Duration,
    /// How long messages took.
    pub latencies: Latencies,
}

/// Lets all troubles happen, one after the other.
///
/// # Errors
/// The machine's, or a broker that does not serve.
pub fn run(options: &Options) -> io::Result<Vec<Row>> {
    let broker = Broker::new(&options.broker, 31)?;
    let mut child = broker.start()?;
    let result = measure(options, &broker, child.id());
    let _ = child.kill();
    child.wait()?;
    result
}

fn measure(options: &Options, broker: &Broker, process: u32) -> io::Result<Vec<Row>> {
    let port = broker.port;
    let (mut filler, _) = Wire::connect_within(port, "filler", true, Duration::from_secs(30))?;
    let mut canaries = Canaries::connect(port, options.pairs)?;
    let mut rows = Vec::new();
    let mut watch = |trouble, work: &mut (dyn FnMut() -> io::Result<()> + Send)| -> io::Result<()> {
        let began = Instant::now();
        let latencies = canaries.during(|| humbly(work))?;
        rows.push(Row { trouble, watched: began.elapsed(), latencies });
        Ok(())
    };
    let pause = || thread::sleep(options.time);

    watch("nothing", &mut || {
        pause();
        Ok(())
    })?;
    watch("retained messages are stored", &mut || retain_all(&mut filler, options.retained, &[b'.'; 16]))?;
    watch("all retained messages are delivered", &mut || read_retained(port, options.retained))?;
    let (mut greedy, _) = Wire::connect(port, "greedy", true)?;
    watch("a client subscribes to many filters", &mut || subscribe_to_many(&mut greedy, options.filters))?;
    let mut greedy = Some(greedy);
    watch("that client disconnects", &mut || {
        greedy.take().map_or(Ok(()), Wire::disconnect)?;
        pause();
        Ok(())
    })?;
    watch("the store is written anew", &mut || {
        signal("USR1", process)?;
        pause();
        Ok(())
    })?;
    watch("the configuration is read again", &mut || {
        signal("HUP", process)?;
        pause();
        Ok(())
    })?;
    let mut crowd = gather(port, options.crowd)?;
    watch("messages for a crowd", &mut || call(&mut filler, options.time))?;
    watch("the crowd goes away", &mut || {
        crowd.clear();
        pause();
        Ok(())
    })?;
    watch("retained messages are removed", &mut || retain_all(&mut filler, options.retained, b""))?;
    watch("their memory goes back to the system", &mut || {
        thread::sleep(GIVEN_BACK_AFTER);
        Ok(())
    })?;
    Ok(rows)
}

/// Does `work` at the lowest priority: its clients are not to take the processor from those whose latency is measured.
fn humbly(work: &mut (dyn FnMut() -> io::Result<()> + Send)) -> io::Result<()> {
    let failed = || io::Error::other("the thread of the trouble failed");
    let work = move || {
        priority::be_last()?;
        work()
    };
    thread::scope(|scope| scope.spawn(work).join().map_err(|_| failed())?)
}

/// Bytes written at once.
const CHUNK: usize = 64 * 1024;

/// How long free memory may stay with the broker.
const GIVEN_BACK_AFTER: Duration = Duration::from_secs(12);

fn retain_all(wire: &mut Wire, count: usize, payload: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for number in 0..count {
        let topic = format!("retained/{}/{}", number / 1000, number % 1000);
        bytes.extend(publish_with(&topic, QoS::AtMostOnce, true, PacketId::FIRST, payload));
        if bytes.len() > CHUNK {
            wire.stream.write_all(&bytes)?;
            bytes.clear();
        }
    }
    wire.stream.write_all(&bytes)?;
    // Its acknowledgement comes when all before it have been taken.
    wire.publish("done", PacketId::FIRST, b"")
}

fn read_retained(port: u16, count: usize) -> io::Result<()> {
    let (mut wire, _) = Wire::connect(port, "reader", true)?;
    wire.stream.write_all(&subscribe(&["retained/#"], QoS::AtMostOnce))?;
    for _ in 0..count {
        wire.until(PacketType::Publish, |_| ())?;
    }
    wire.disconnect()
}

fn subscribe_to_many(wire: &mut Wire, count: usize) -> io::Result<()> {
    let filters: Vec<String> = (0..count).map(|number| format!("many/{}/{}/+", number / 1000, number % 1000)).collect();
    for filters in filters.chunks(1000) {
        wire.stream.write_all(&subscribe(filters, QoS::AtLeastOnce))?;
        wire.until(PacketType::SubAck, |_| ())?;
    }
    Ok(())
}

/// Clients that have subscribed to the same topic.
fn gather(port: u16, count: usize) -> io::Result<Vec<Wire>> {
    let enter = |number: usize| -> io::Result<Wire> {
        let (mut wire, _) = Wire::connect(port, &format!("of the crowd {number}"), true)?;
        wire.stream.write_all(&subscribe(&["crowd"], QoS::AtMostOnce))?;
        wire.until(PacketType::SubAck, |_| ())?;
        Ok(wire)
    };
    (0..count).map(enter).collect()
}

/// Says something to all of them, now and then. It is short and nobody reads it: the system keeps it for them.
fn call(wire: &mut Wire, time: Duration) -> io::Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        wire.publish("crowd", PacketId::FIRST, b"hear, hear")?;
        thread::sleep(CALL_EVERY);
    }
    Ok(())
}

const CALL_EVERY: Duration = Duration::from_millis(100);

fn signal(name: &str, process: u32) -> io::Result<()> {
    Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().map(drop)
}
