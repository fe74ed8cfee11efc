//! Retained messages: stored by one client, read by another.

use std::io;
use std::time::{Duration, Instant};

use sori_mqtt::QoS;

use super::Bench;
use super::meter::Phase;
use crate::measure::crowd::{News, Pace, Plan, Template};

pub(super) fn measure(mut bench: Bench, messages: u64) -> io::Result<Vec<Phase>> {
    let crowd = &mut bench.crowd;
    let publisher = crowd.connect(1, false, |_| "publisher".to_owned())?;
    let before = bench.meter.resident()?;
    let (pace, time_max) = (Pace::Full, Duration::from_secs(60));
    let plan = Plan { messages, qos: QoS::AtLeastOnce, audience: 0, ahead_max: u64::MAX, pace, time_max };
    let version = crowd.version();
    let template = |_, number| {
        let topic = format!("bench/state/{}/{}", number / 1000, number % 1000);
        Template::new(version, &topic, QoS::AtLeastOnce, true, 64)
    };
    let (stored, exchange) = bench.meter.phase("publish", 0, || crowd.exchange(publisher, &plan, template))?;
    let stored = Phase { operations: exchange.acknowledged, ..stored };
    let after = bench.meter.resident()?;

    let reader = crowd.connect(1, false, |_| "reader".to_owned())?;
    let (delivered, count) = bench.meter.phase("deliver", 0, || {
        // They may come before SUBACK.
        let (mut count, mut last) = (0, Instant::now());
        crowd.ask(reader.start, "bench/state/#", QoS::AtMostOnce)?;
        let count_message = |count: &mut u64, news: &News<'_>| *count += u64::from(matches!(news, News::Message(_)));
        while count < exchange.acknowledged
            && crowd.hear_more(&mut last, &mut |_, news| count_message(&mut count, &news))?
        {}
        Ok(count)
    })?;
    let lost = exchange.acknowledged.saturating_sub(count);
    Ok(vec![stored.with_memory(before, after), Phase { operations: count, lost, ..delivered }])
}
