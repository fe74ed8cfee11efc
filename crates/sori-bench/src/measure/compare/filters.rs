//! Many filters of a few clients, and messages each of which one of them matches.

use std::io;
use std::time::Duration;

use sori_mqtt::QoS;

use super::Bench;
use super::meter::Phase;
use crate::measure::crowd::{Pace, Plan, Template};
use crate::random::Random;

const HOLDERS: u64 = 100;
const FILTERS_PER_PACKET: usize = 10;

pub(super) fn measure(mut bench: Bench, filters: u64, messages: u64) -> io::Result<Vec<Phase>> {
    let each = (filters / HOLDERS).max(1);
    let crowd = &mut bench.crowd;
    let holders = crowd.connect(HOLDERS as usize, false, |number| format!("holder-{number}"))?;
    let publisher = crowd.connect(1, false, |_| "publisher".to_owned())?;
    let before = bench.meter.resident()?;
    let (subscribed, ()) = bench.meter.phase("subscribe", each * HOLDERS, || {
        let name = |holder, number| filter(holder as u64, number as u64);
        crowd.subscribe(holders, each as usize, FILTERS_PER_PACKET, QoS::AtMostOnce, name)
    })?;
    let after = bench.meter.resident()?;
    let mut random = Random::new(7);
    let version = crowd.version();
    let template = |_, _| {
        let topic = topic(random.range(0, HOLDERS - 1), random.range(0, each - 1));
        Template::new(version, &topic, QoS::AtMostOnce, false, 64)
    };
    let (qos, pace, time_max) = (QoS::AtMostOnce, Pace::Full, Duration::from_secs(60));
    let plan = Plan { messages, qos, audience: 1, ahead_max: 1000, pace, time_max };
    let (exchanged, exchange) = bench.meter.phase("traffic", 0, || crowd.exchange(publisher, &plan, template))?;
    Ok(vec![subscribed.with_memory(before, after), exchanged.of(&exchange)])
}

/// A third of them without wildcards, a third with `+`, a third with `#`; no topic of ours matches two.
fn filter(holder: u64, number: u64) -> String {
    match number % 3 {
        0 => format!("bench/{holder}/{number}"),
        1 => format!("bench/{holder}/+/{number}"),
        _ => format!("bench/{holder}/{number}/#"),
    }
}

/// Matches the filter with these numbers.
fn topic(holder: u64, number: u64) -> String {
    match number % 3 {
        0 => format!("bench/{holder}/{number}"),
        1 => format!("bench/{holder}/state/{number}"),
        _ => format!("bench/{holder}/{number}/state/now"),
    }
}
