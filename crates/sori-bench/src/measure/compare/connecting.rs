//! Many clients come, and each holds one subscription.

use std::cell::RefCell;
use std::io;
use std::time::Instant;

use sori_mqtt::QoS;

use super::Bench;
use super::meter::Phase;
use crate::measure::percentile;

pub(super) fn measure(mut bench: Bench, clients: u64) -> io::Result<Phase> {
    let before = bench.meter.resident()?;
    let crowd = &mut bench.crowd;
    let (phase, mut latencies) = bench.meter.phase("connect", clients, || {
        let begun = RefCell::new(Vec::with_capacity(clients as usize));
        let mut latencies = Vec::new();
        let name = |number| {
            begun.borrow_mut().push(Instant::now());
            format!("client-{number}")
        };
        let everybody = crowd.connect_and_hear(clients as usize, false, name, |number, _| {
            latencies.push(begun.borrow()[number].elapsed().as_micros() as u64);
        })?;
        crowd.subscribe(everybody, 1, 1, QoS::AtMostOnce, |number, _| format!("bench/{number}/command"))?;
        Ok(latencies)
    })?;
    latencies.sort_unstable();
    let after = bench.meter.resident()?;
    Ok(Phase { p99_us: percentile(&latencies, 99) as f64, ..phase.with_memory(before, after) })
}
