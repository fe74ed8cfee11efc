//! The system calls of a broker: each PUBACK leaves after a completed sync that began after the message was written.
//!
//! strace sees what no log can claim. It must be installed; it slows the broker down, so rates are measured elsewhere.

use std::fs;
use std::io;
use std::time::Duration;

use sori_mqtt::PacketId;

use super::durable_rate::Figures;
use super::load::Load;
use super::strace::{Call, end, parse, seconds_now, start};
use super::wire::{Door, Wire, leave_a_session};
use crate::broker::{Broker, BrokerOptions};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerOptions,
    /// Messages published one at a time.
    pub single_messages: u16,
    /// Messages published by fifty with two in flight each.
    pub loaded_messages: u64,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// PUBACK that left too early, in words.
    pub faults: Vec<String>,
    /// The counts.
    pub figures: Figures,
}

const CALLS: &str = "trace=fdatasync,fsync,write,writev,sendto,sendmsg,pwrite64,pwritev";
const SYNCS: &str = "trace=fdatasync,fsync";

/// Traces two runs.
///
/// # Errors
/// No strace, or a broker that does not serve.
pub fn run(options: &Options) -> io::Result<Seen> {
    let (faults, checked) = single(options)?;
    let (syncs, acknowledged) = loaded(options)?;
    let figures = Figures(vec![
        ("single_pubacks", f64::from(checked)),
        ("single_pubacks_too_early", faults.len() as f64),
        ("loaded_pubacks", acknowledged as f64),
        ("loaded_syncs", syncs as f64),
        ("loaded_syncs_per_puback", syncs as f64 / acknowledged.max(1) as f64),
    ]);
    Ok(Seen { faults, figures })
}

fn single(options: &Options) -> io::Result<(Vec<String>, u16)> {
    let broker = Broker::new(&options.broker, 21)?;
    let trace = broker.directory().join("single.trace");
    let mut child = start(&broker, &trace.display().to_string(), &["-y", "-s", "8192", "-e", CALLS])?;
    let publish = || -> io::Result<()> {
        leave_a_session(broker.port, "kept", "order/#")?;
        let (mut wire, _) = Wire::connect(broker.port, "publisher", true)?;
        let mut packet_id = PacketId::FIRST;
        for number in 1..=options.single_messages {
            wire.publish("order/single", packet_id, marker(number).as_bytes())?;
            packet_id = packet_id.next();
        }
        Ok(())
    };
    let published = publish();
    end(&mut child)?;
    published?;
    let calls = parse(&fs::read_to_string(&trace)?);
    let data = broker.data().display().to_string();
    let faults = (1..=options.single_messages).filter_map(|number| too_early(&calls, number, &data)).collect();
    Ok((faults, options.single_messages))
}

fn loaded(options: &Options) -> io::Result<(u64, u64)> {
    let broker = Broker::new(&options.broker, 22)?;
    let trace = broker.directory().join("loaded.trace");
    let mut child = start(&broker, &trace.display().to_string(), &["--seccomp-bpf", "-e", SYNCS])?;
    let publish = || -> io::Result<(u64, f64, f64)> {
        leave_a_session(broker.port, "kept", "order/#")?;
        let load =
            Load { door: Door::Port(broker.port), publishers: 50, window: 2, payload_size: 100, topic: "order/load" };
        let began = seconds_now();
        let done = load.run(options.loaded_messages, Duration::from_secs(120))?;
        Ok((done.acknowledged, began, seconds_now()))
    };
    let published = publish();
    end(&mut child)?;
    let (acknowledged, began, ended) = published?;
    let calls = parse(&fs::read_to_string(&trace)?);
    let syncs = calls.iter().filter(|call| call.is_sync() && call.time >= began && call.time <= ended).count();
    Ok((syncs as u64, acknowledged))
}

fn marker(number: u16) -> String {
    format!("sync-order-{number:05}.")
}

impl Call {
    fn is_sync(&self) -> bool {
        self.name == "fdatasync" || self.name == "fsync"
    }

    /// "3</tmp/data/1.log>" for a file in this directory.
    fn is_below(&self, directory: &str) -> bool {
        self.text.split_once('<').is_some_and(|(_, path)| path.starts_with(directory))
    }

    /// A write to a socket that begins with a PUBACK of MQTT 3.1.1.
    fn is_puback(&self) -> bool {
        let is_socket =
            self.text.split_once('<').is_some_and(|(_, path)| path.starts_with("socket:") || path.starts_with("TCP"));
        is_socket && self.text.contains("\"@\\2")
    }
}

/// What is wrong with the PUBACK of this message.
fn too_early(calls: &[Call], number: u16, data: &str) -> Option<String> {
    let marker = marker(number);
    // One message is in flight at a time, so the PUBACKs come in the order of the messages.
    let Some(puback) = calls.iter().filter(|call| call.is_puback()).nth(usize::from(number) - 1) else {
        return Some(format!("message {number}: no PUBACK in the trace"));
    };
    let written = calls.iter().find(|call| call.is_below(data) && !call.is_sync() && call.text.contains(&marker));
    let Some(written) = written.filter(|written| written.ended < puback.began) else {
        return Some(format!(
            "message {number}: PUBACK in line {} of the trace, before it was written",
            puback.began + 1
        ));
    };
    let is_covering =
        |call: &&Call| call.is_sync() && call.is_below(data) && call.began > written.ended && call.ended < puback.began;
    if calls.iter().find(is_covering).is_none() {
        let (puback, written) = (puback.began + 1, written.ended + 1);
        return Some(format!("message {number}: PUBACK in line {puback}, written in line {written}, no sync between"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "7  1.0 write(5</d/1.log>, \"x sync-order-00001. y\", 9) = 9\n";
    const SYNCED: &str = "7  2.0 fdatasync(5</d/1.log>)  = 0\n";
    const PUBACK: &str = "8  3.0 write(9<socket:[77]>, \"@\\2\\0\\1\", 4) = 4\n";

    fn verdict(trace: &str) -> bool {
        too_early(&parse(trace), 1, "/d").is_none()
    }

    #[test]
    fn only_a_completed_sync_that_began_after_the_write_counts() {
        assert!(verdict(&[WRITTEN, SYNCED, PUBACK].concat()));
        assert!(!verdict(&[WRITTEN, PUBACK, SYNCED].concat()));
        assert!(!verdict(&[SYNCED, WRITTEN, PUBACK].concat()));
        assert!(!verdict(&[WRITTEN, PUBACK].concat()));
        assert!(!verdict(PUBACK));
        let (begins, ends) =
            ("7  2.0 fdatasync(5</d/1.log> <unfinished ...>\n", "7  2.5 <... fdatasync resumed>)  = 0\n");
        assert!(verdict(&[WRITTEN, begins, ends, PUBACK].concat()));
        assert!(!verdict(&[WRITTEN, begins, PUBACK, ends].concat()));
        assert!(!verdict(&[begins, WRITTEN, ends, PUBACK].concat()));
        let elsewhere = "7  2.0 fdatasync(6</e/1.log>)  = 0\n";
        assert!(!verdict(&[WRITTEN, elsewhere, PUBACK].concat()));
    }
}
