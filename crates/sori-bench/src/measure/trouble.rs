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
    /// Filters of the client that goes away, and of the session that is kept.
    pub filters: usize,
    /// Clients that all get the same messages, and come by a listener of their own.
    pub crowd: usize,
    /// Messages that all of them get, in one write.
    pub burst: usize,
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
    let crowd_port = broker.add_listener()?;
    let mut child = broker.start()?;
    let stage = Stage::new(options, &broker, crowd_port, child.id());
    let result = stage.and_then(|mut stage| stage.play().map(|()| stage.rows));
    let _ = child.kill();
    child.wait()?;
    result
}

/// Where the troubles happen, and what was seen of them.
struct Stage<'a> {
    options: &'a Options,
    broker: &'a Broker,
    crowd_port: u16,
    process: u32,
    canaries: Canaries,
    /// It publishes whatever is no canary's.
    speaker: Wire,
    rows: Vec<Row>,
}

impl Stage<'_> {
    fn new<'a>(options: &'a Options, broker: &'a Broker, crowd_port: u16, process: u32) -> io::Result<Stage<'a>> {
        let (speaker, _) = Wire::connect_within(broker.port, "speaker", true, Duration::from_secs(30))?;
        let canaries = Canaries::connect(broker.port, options.pairs)?;
        Ok(Stage { options, broker, crowd_port, process, canaries, speaker, rows: Vec::new() })
    }

    fn play(&mut self) -> io::Result<()> {
        self.watch("nothing", |trouble| trouble.pause())?;
        let (retained, payload) = (self.options.retained, [b'.'; 16]);
        self.watch("retained messages are stored", |trouble| retain_all(trouble.speaker, retained, &payload))?;
        self.watch("all retained messages are delivered", |trouble| read_retained(trouble.port, retained))?;
        self.many_filters()?;
        self.kept_filters()?;
        self.crowd_with_a_listener()?;
        self.crowd_goes()?;
        self.watch("retained messages are removed", |trouble| retain_all(trouble.speaker, retained, b""))?;
        self.watch("their memory goes back to the system", |_| {
            thread::sleep(GIVEN_BACK_AFTER);
            Ok(())
        })
    }

    fn many_filters(&mut self) -> io::Result<()> {
        let filters = self.options.filters;
        let (mut greedy, _) = Wire::connect(self.broker.port, "greedy", true)?;
        self.watch("a client subscribes to many filters", |_| subscribe_to_many(&mut greedy, filters))?;
        self.watch("that client disconnects", |trouble| {
            greedy.disconnect()?;
            trouble.pause()
        })?;
        self.watch("the store is written anew", |trouble| trouble.signal("USR1"))
    }

    /// What a kept session has subscribed to is in the store: whatever is done with all of that has to do with it, too.
    fn kept_filters(&mut self) -> io::Result<()> {
        let filters = self.options.filters;
        let (mut keeper, _) = Wire::connect(self.broker.port, "keeper", false)?;
        self.watch("a kept session subscribes to as many", |_| subscribe_to_many(&mut keeper, filters))?;
        self.watch("the store is written anew with them", |trouble| trouble.signal("USR1"))?;
        self.watch("that session ends", |trouble| {
            keeper.disconnect()?;
            Wire::connect(trouble.port, "keeper", true)?.0.disconnect()?;
            trouble.pause()
        })
    }

    fn crowd_with_a_listener(&mut self) -> io::Result<()> {
        let (broker, port, burst) = (self.broker, self.crowd_port, self.options.burst);
        let mut crowd = gather(port, self.options.crowd)?;
        self.watch("messages for a crowd", |trouble| call(trouble.speaker, trouble.time))?;
        self.watch("a burst for the crowd", |trouble| {
            call_at_once(trouble.speaker, burst)?;
            trouble.pause()
        })?;
        self.watch("the configuration is read again", |trouble| trouble.signal("HUP"))?;
        self.watch("the crowd loses its listener", |trouble| {
            broker.remove_listener(port)?;
            trouble.signal("HUP")?;
            crowd.iter_mut().try_for_each(Wire::until_closed)
        })
    }

    fn crowd_goes(&mut self) -> io::Result<()> {
        let crowd = gather(self.broker.port, self.options.crowd)?;
        self.watch("a crowd goes away", |trouble| {
            drop(crowd);
            trouble.pause()
        })
    }

    /// Watches how long the canaries' messages take during one trouble.
    fn watch(
        &mut self,
        trouble: &'static str,
        work: impl FnOnce(Trouble<'_>) -> io::Result<()> + Send,
    ) -> io::Result<()> {
        let (port, process, time) = (self.broker.port, self.process, self.options.time);
        let with = Trouble { port, process, time, speaker: &mut self.speaker };
        let began = Instant::now();
        let latencies = self.canaries.during(|| humbly(|| work(with)))?;
        self.rows.push(Row { trouble, watched: began.elapsed(), latencies });
        Ok(())
    }
}

/// What a trouble is made with.
struct Trouble<'a> {
    port: u16,
    process: u32,
    time: Duration,
    speaker: &'a mut Wire,
}

impl Trouble<'_> {
    fn pause(&self) -> io::Result<()> {
        thread::sleep(self.time);
        Ok(())
    }

    /// The broker is told something that has no end to wait for.
    fn signal(&self, name: &str) -> io::Result<()> {
        Command::new("kill").arg(format!("-{name}")).arg(self.process.to_string()).status()?;
        self.pause()
    }
}

/// Does `work` at the lowest priority: its clients are not to take the processor from those whose latency is measured.
fn humbly(work: impl FnOnce() -> io::Result<()> + Send) -> io::Result<()> {
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

/// Says so much to all of them in one breath.
fn call_at_once(wire: &mut Wire, count: usize) -> io::Result<()> {
    wire.send(&publish_with("crowd", QoS::AtMostOnce, false, PacketId::FIRST, b"hear, hear").repeat(count))?;
    // Its acknowledgement comes when all before it have been taken.
    wire.publish("done", PacketId::FIRST, b"")
}
