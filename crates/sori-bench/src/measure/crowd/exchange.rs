//! Messages from publishers to whoever subscribes, as fast as they go through or so many a second.

use std::borrow::Borrow;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;
use sori_mqtt::QoS;

use super::packets::{Stamp, Template};
use super::{Crowd, News, PATIENCE};

/// What is published, and how.
#[derive(Debug, Clone, Copy)]
pub(in crate::measure) struct Plan {
    /// Messages of all publishers.
    pub(in crate::measure) messages: u64,
    pub(in crate::measure) qos: QoS,
    /// How many get each of them.
    pub(in crate::measure) audience: u64,
    /// Messages of a publisher that are not delivered to all yet.
    pub(in crate::measure) ahead_max: u64,
    pub(in crate::measure) pace: Pace,
    /// Nothing more is published after this time.
    pub(in crate::measure) time_max: Duration,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::measure) enum Pace {
    /// As soon as half of what may be ahead has gone through: what is written at once does not depend on chance, by which the same
    /// load would go in pieces of one message or of hundreds.
    Full,
    /// So many messages a second, the publishers in turn.
    EachSecond(u32),
}

/// What came of it.
#[derive(Debug, Default)]
pub(in crate::measure) struct Exchange {
    pub(in crate::measure) sent: u64,
    pub(in crate::measure) acknowledged: u64,
    pub(in crate::measure) delivered: u64,
    /// Deliveries that are missing.
    pub(in crate::measure) lost: u64,
    /// In microseconds, sorted: from the time at which a message was sent, or was to be sent.
    pub(in crate::measure) latencies: Vec<u64>,
}

/// Messages above QoS 0 that a publisher has in flight.
const WINDOW: u64 = 100;
/// Bytes that a publisher writes at once.
const PIECE_BYTES: usize = 64 * 1024;

impl Crowd {
    /// Until all messages have arrived, or nothing comes any more. `template` makes the PUBLISH of a message: whose it is, and the
    /// how manieth of all.
    pub(in crate::measure) fn exchange<T: Borrow<Template>>(
        &mut self,
        publishers: Range<usize>,
        plan: &Plan,
        template: impl FnMut(usize, u64) -> T,
    ) -> io::Result<Exchange> {
        let turns = Turns::new(publishers, plan, template);
        match plan.pace {
            Pace::Full => turns.run(self),
            Pace::EachSecond(rate) => ticking(self.waker()?, rate, || turns.run(self)),
        }
    }
}

struct Turns<'a, F> {
    plan: &'a Plan,
    template: F,
    first: usize,
    /// Of each publisher.
    sent: Vec<u64>,
    delivered: Vec<u64>,
    /// Who speaks next.
    next: usize,
    began: Instant,
    result: Exchange,
}

impl<'a, T: Borrow<Template>, F: FnMut(usize, u64) -> T> Turns<'a, F> {
    fn new(publishers: Range<usize>, plan: &'a Plan, template: F) -> Self {
        let (sent, delivered) = (vec![0; publishers.len()], vec![0; publishers.len()]);
        let result = Exchange::default();
        Turns { plan, template, first: publishers.start, sent, delivered, next: 0, began: Instant::now(), result }
    }

    fn run(mut self, crowd: &mut Crowd) -> io::Result<Exchange> {
        let (mut last, mut is_over) = (Instant::now(), false);
        loop {
            is_over |= self.began.elapsed() > self.plan.time_max || self.result.sent >= self.plan.messages;
            if !is_over {
                self.publish(crowd)?;
            }
            if self.hear(crowd)? {
                last = Instant::now();
            }
            let is_through = self.result.delivered >= self.result.sent * self.plan.audience
                && (self.plan.qos == QoS::AtMostOnce || self.result.acknowledged >= self.result.sent);
            if is_over && is_through || last.elapsed() > PATIENCE {
                break;
            }
        }
        self.result.lost = (self.result.sent * self.plan.audience).saturating_sub(self.result.delivered);
        self.result.latencies.sort_unstable();
        Ok(self.result)
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn publish(&mut self, crowd: &mut Crowd) -> io::Result<()> {
        match self.plan.pace {
            Pace::Full => {
                for _ in 0..self.sent.len() {
                    let publisher = self.turn();
                    let room = self.room(crowd, publisher).min(self.plan.messages - self.result.sent);
                    self.say(crowd, publisher, room, self.now())?;
                }
            }
            Pace::EachSecond(rate) => {
                while self.result.sent < self.plan.messages {
                    let due = self.result.sent * 1_000_000_000 / u64::from(rate);
                    if due > self.now() {
                        break;
                    }
                    let publisher = self.turn();
                    self.say(crowd, publisher, 1, due)?;
                }
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> usize {
        let publisher = self.next;
        self.next = (publisher + 1) % self.sent.len();
        publisher
    }

    /// How many messages this publisher is to send now.
    fn room(&self, crowd: &Crowd, publisher: usize) -> u64 {
        let member = &crowd.members[self.first + publisher];
        if !member.is_silent() {
            return 0;
        }
        let through = self.delivered[publisher].checked_div(self.plan.audience);
        let ahead = through.map_or(0, |through| self.sent[publisher].saturating_sub(through));
        let mut room = self.plan.ahead_max.saturating_sub(ahead);
        let mut most = self.plan.ahead_max;
        if self.plan.qos != QoS::AtMostOnce {
            let window = WINDOW.min(u64::from(member.receive_maximum));
            room = room.min(window.saturating_sub(u64::from(member.in_flight)));
            most = most.min(window);
        }
        let is_last = room >= self.plan.messages - self.result.sent;
        if room >= most.div_ceil(2) || is_last { room } else { 0 }
    }

    fn say(&mut self, crowd: &mut Crowd, publisher: usize, count: u64, sent_at: u64) -> io::Result<()> {
        let member = &mut crowd.members[self.first + publisher];
        let stamp = Stamp { sent_at, publisher: publisher as u32 };
        for _ in 0..count {
            if member.output.len() >= PIECE_BYTES {
                break;
            }
            let packet_id = member.next_packet_id();
            (self.template)(publisher, self.result.sent).borrow().write(&mut member.output, packet_id, stamp);
            member.in_flight += u16::from(self.plan.qos != QoS::AtMostOnce);
            self.sent[publisher] += 1;
            self.result.sent += 1;
        }
        member.flush()
    }

    /// Gives whether there was anything to hear.
    fn hear(&mut self, crowd: &mut Crowd) -> io::Result<bool> {
        let (result, delivered, began) = (&mut self.result, &mut self.delivered, self.began);
        let before = result.delivered + result.acknowledged;
        let (mut heard, mut heard_at) = (usize::MAX, 0);
        crowd.hear(Duration::from_millis(20), &mut |number, news| match news {
            News::Message(payload) => {
                // The clock is read once for all that one client was sent.
                if heard != number {
                    (heard, heard_at) = (number, began.elapsed().as_nanos() as u64);
                }
                let Some(stamp) = Stamp::read(payload) else { return };
                if let Some(delivered) = delivered.get_mut(stamp.publisher as usize) {
                    *delivered += 1;
                    result.delivered += 1;
                    result.latencies.push(heard_at.saturating_sub(stamp.sent_at) / 1000);
                }
            }
            News::Acknowledged => result.acknowledged += 1,
            News::Connected | News::Subscribed => {}
        })?;
        Ok(self.result.delivered + self.result.acknowledged > before)
    }
}

/// Does `work`, which is woken so often a second: a poll waits in milliseconds, which is too coarse for a latency.
fn ticking<R>(waker: Waker, rate: u32, work: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    let is_over = AtomicBool::new(false);
    let tick = || {
        let mut due = Instant::now();
        while !is_over.load(Ordering::Relaxed) && waker.wake().is_ok() {
            due += Duration::from_secs(1) / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    };
    thread::scope(|scope| {
        scope.spawn(tick);
        let result = work();
        is_over.store(true, Ordering::Relaxed);
        result
    })
}
