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

    /// PINGREQ was sent. An older one that is not answered keeps its deadline.
    pub(super) fn pinged(&mut self, now: Duration) {
        self.waiting.get_or_insert(now);
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
        match (self.answer_deadline(), self.ping_deadline()) {
            (Some(answer), Some(ping)) => Some(answer.min(ping)),
            (answer, ping) => answer.or(ping),
        }
    }

    pub(super) fn due(&self, now: Duration) -> Due {
        let passed = |deadline: Option<Duration>| deadline.is_some_and(|deadline| now >= deadline);
        if passed(self.answer_deadline()) {
            Due::TimedOut
        } else if passed(self.ping_deadline()) {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    fn answer_deadline(&self) -> Option<Duration> {
        self.waiting.map(|since| since.saturating_add(self.response_timeout))
    }

    /// Also while an answer is missing: something must be sent [MQTT-3.1.2-20] [MQTT311-3.1.2-23].
    fn ping_deadline(&self) -> Option<Duration> {
        self.interval.map(|interval| self.sent.saturating_add(interval))
    }
}
