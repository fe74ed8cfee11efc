//! When to send PINGREQ, and when to give up on the server.

use core::time::Duration;

/// The clock work of one connection.
#[derive(Debug, Clone)]
pub(super) struct KeepAlive {
    interval: Option<Duration>,
    response_timeout: Duration,
    sent: Duration,
    /// Since when an answer (CONNACK or PINGRESP) is missing.
    waiting: Option<Duration>,
}

/// What a deadline asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    /// The answer did not come.
    TimedOut,
}

impl KeepAlive {
    pub(super) const fn new(response_timeout: Duration) -> Self {
        Self { interval: None, response_timeout, sent: Duration::ZERO, waiting: None }
    }

    /// CONNACK has come; 0 seconds turn the pings off.
    pub(super) fn start(&mut self, seconds: u16) {
        self.interval = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
        self.waiting = None;
    }

    pub(super) fn stop(&mut self) {
        *self = Self::new(self.response_timeout);
    }

    pub(super) const fn sent(&mut self, now: Duration) {
        self.sent = now;
    }

    pub(super) const fn wait_for_answer(&mut self, now: Duration) {
        self.waiting = Some(now);
    }

    /// The server is busy sending: its PINGRESP stands behind what is on its way.
    pub(super) const fn received(&mut self, now: Duration) {
        if self.waiting.is_some() {
            self.waiting = Some(now);
        }
    }

    pub(super) const fn answered(&mut self) {
        self.waiting = None;
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.waiting {
            Some(since) => Some(since.saturating_add(self.response_timeout)),
            // [MQTT-3.1.2-20] [MQTT311-3.1.2-23]
            None => self.interval.map(|interval| self.sent.saturating_add(interval)),
        }
    }

    pub(super) fn due(&self, now: Duration) -> Due {
        match self.deadline() {
            Some(deadline) if now >= deadline && self.waiting.is_some() => Due::TimedOut,
            Some(deadline) if now >= deadline => Due::Ping,
            _ => Due::Nothing,
        }
    }
}
