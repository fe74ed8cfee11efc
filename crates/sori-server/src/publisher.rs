//! What the broker itself publishes: the `$SYS` tree and, if so configured, its log.

use crate::figures::Figures;
use crate::log::TopicLines;
use crate::sys;
use sori_broker::{MessageRef, Recorded, SessionRef, Shard, Time, Wire};
use sori_mqtt::QoS;
use std::num::NonZeroU16;
use std::sync::Arc;

/// How long a log line stays interesting, in seconds.
const LOG_LINE_EXPIRY: u64 = 20;

/// The broker's own voice.
pub(crate) struct Publisher {
    figures: Arc<Figures>,
    interval: Option<NonZeroU16>,
    due: Option<Time>,
    lines: TopicLines,
}

impl Publisher {
    pub(crate) fn new(figures: Arc<Figures>, interval: Option<NonZeroU16>, lines: TopicLines) -> Publisher {
        let due = interval.map(|_| figures.started());
        Publisher { figures, interval, due, lines }
    }

    /// Look at the tree so often from now on, or never.
    pub(crate) fn set_interval(&mut self, interval: Option<NonZeroU16>, now: Time) {
        if interval != self.interval {
            self.interval = interval;
            self.due = interval.map(|_| now);
        }
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.due
    }

    /// Publish what changed in the tree, when it is time.
    pub(crate) fn publish_due(&mut self, shard: &mut Shard, now: Time) {
        let (Some(interval), Some(due)) = (self.interval, self.due) else { return };
        if due > now {
            return;
        }
        self.due = Some(now.plus_seconds(sys::seconds_until_sample(now.0 / 1000, interval)));
        for (topic, text) in self.figures.changes(now) {
            shard.publish(now, message(topic, text.as_bytes(), true, Time::NEVER));
        }
    }

    pub(crate) fn publish_log_lines(&mut self, shard: &mut Shard, now: Time) {
        while let Some(line) = self.lines.next_line() {
            let expires = now.plus_seconds(LOG_LINE_EXPIRY);
            shard.publish(now, message(line.topic, line.text.as_bytes(), false, expires));
        }
    }
}

fn message<'a>(topic: &'a str, payload: &'a [u8], retain: bool, expires: Time) -> MessageRef<'a> {
    MessageRef {
        topic,
        payload,
        properties: &[],
        qos: QoS::ExactlyOnce,
        retain,
        expires,
        publisher: SessionRef::NOBODY,
        retained_version: 0,
        recorded: Recorded::default(),
        wire: Wire::default(),
    }
}
