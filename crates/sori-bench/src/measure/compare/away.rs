//! Messages for clients that are away, and come back for them.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use sori_mqtt::QoS;

use super::Bench;
use super::meter::Phase;
use crate::measure::crowd::{News, Pace, Plan, Template};

const SLEEPERS: usize = 100;
const PUBLISHERS: usize = 4;

pub(super) fn measure(mut bench: Bench, messages: u64) -> io::Result<Vec<Phase>> {
    let crowd = &mut bench.crowd;
    let name = |number| format!("sleeper-{number}");
    let sleepers = crowd.connect(SLEEPERS, true, name)?;
    crowd.subscribe(sleepers.clone(), 1, 1, QoS::AtLeastOnce, |number, _| topic(number))?;
    crowd.leave(&sleepers)?;

    let publishers = crowd.connect(PUBLISHERS, false, |number| format!("publisher-{number}"))?;
    let version = crowd.version();
    let templates: Vec<Template> =
        (0..SLEEPERS).map(|number| Template::new(version, &topic(number), QoS::AtLeastOnce, false, 64)).collect();
    let before = bench.meter.resident()?;
    let (pace, time_max) = (Pace::Full, Duration::from_secs(60));
    let plan = Plan { messages, qos: QoS::AtLeastOnce, audience: 0, ahead_max: u64::MAX, pace, time_max };
    let (queued, exchange) = bench.meter.phase("enqueue", 0, || {
        crowd.exchange(publishers.clone(), &plan, |_, number| &templates[number as usize % SLEEPERS])
    })?;
    let queued = Phase { operations: exchange.acknowledged, ..queued };
    let after = bench.meter.resident()?;

    crowd.leave(&publishers)?;
    let (drained, count) = bench.meter.phase("drain", 0, || {
        // The first messages follow their CONNACK at once.
        let count = Cell::new(0);
        let count_message = |news: &News<'_>| count.set(count.get() + u64::from(matches!(news, News::Message(_))));
        crowd.connect_and_hear(SLEEPERS, true, name, |_, news| count_message(news))?;
        let mut last = Instant::now();
        while count.get() < exchange.acknowledged && crowd.hear_more(&mut last, &mut |_, news| count_message(&news))? {}
        Ok(count.get())
    })?;
    let lost = exchange.acknowledged.saturating_sub(count);
    Ok(vec![queued.with_memory(before, after), Phase { operations: count, lost, ..drained }])
}

fn topic(sleeper: usize) -> String {
    format!("bench/{sleeper}/mailbox")
}
