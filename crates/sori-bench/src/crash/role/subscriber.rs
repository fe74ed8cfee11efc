//! Receives: always there, or away over some kills, or with a session that ends with each connection, or with a
//! subscription that comes and goes.

use sori_mqtt::QoS;

use super::{Role, Scene};
use crate::crash::book::{Book, Micros};
use crate::crash::line::{Expects, Line, Seen, Way};

/// How a subscriber lives.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::crash) struct Habits {
    /// Leaves now and then, and comes back after some kills.
    pub(in crate::crash) goes_away: bool,
    /// Unsubscribes now and then, and subscribes again.
    pub(in crate::crash) changes: bool,
    /// Begins a new session now and then.
    pub(in crate::crash) begins_anew: bool,
    /// Connects a second time now and then.
    pub(in crate::crash) takes_over: bool,
}

pub(in crate::crash) struct Subscriber {
    receiver: usize,
    filter: String,
    qos: QoS,
    habits: Habits,
    wants_subscription: bool,
    asked: Asked,
    has_subscription: Option<bool>,
    next_at: Micros,
    back_after_kill: u32,
    back_at: Micros,
    is_beginning_anew: bool,
    /// The broker lost the session: what it promised still counts.
    was_forgotten: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Subscribe,
    Unsubscribe,
}

impl Subscriber {
    pub(in crate::crash) fn new(receiver: usize, book: &Book, habits: Habits) -> Subscriber {
        let Some(known) = book.receivers.get(receiver) else { unreachable!("it was made just now") };
        Subscriber {
            receiver,
            filter: known.filter.clone(),
            qos: known.qos,
            habits,
            wants_subscription: true,
            asked: Asked::Nothing,
            has_subscription: Some(false),
            next_at: 0,
            back_after_kill: 0,
            back_at: 0,
            is_beginning_anew: false,
            was_forgotten: false,
        }
    }

    /// From now on there may be a subscription, or none.
    fn is_uncertain(&mut self, book: &mut Book) {
        if self.was_forgotten {
            return;
        }
        let now = book.now;
        let receiver = &mut book.receivers[self.receiver];
        receiver.subscribed_since = None;
        if let Some(since) = receiver.unsubscribed_since.take() {
            receiver.gaps.push((since, now));
        }
        self.has_subscription = None;
    }

    fn ask(&mut self, scene: &mut Scene<'_>) {
        if self.asked != Asked::Nothing
            || !scene.line.is_connected()
            || self.has_subscription == Some(self.wants_subscription)
        {
            return;
        }
        self.is_uncertain(scene.book);
        if self.wants_subscription {
            if scene.line.subscribe(scene.book, &self.filter, self.qos) {
                self.asked = Asked::Subscribe;
            }
        } else if scene.line.unsubscribe(scene.book, &self.filter) {
            self.asked = Asked::Unsubscribe;
        }
    }

    fn is_subscribed(&mut self, book: &mut Book, is: bool) {
        let now = book.now;
        let receiver = &mut book.receivers[self.receiver];
        self.has_subscription = Some(is);
        if std::mem::take(&mut self.was_forgotten) && is {
            return;
        }
        receiver.subscribed_since = is.then_some(now);
        receiver.unsubscribed_since = (!is).then_some(now);
    }

    fn change_something(&mut self, scene: &mut Scene<'_>) {
        let habits = self.habits;
        let dice = scene.random.range(0, 99);
        if habits.goes_away && dice < 40 {
            let way = if scene.random.chance(50) { Way::Drop } else { Way::Disconnect };
            self.asked = Asked::Nothing;
            scene.line.leave(scene.book, way);
            self.back_after_kill = scene.book.kills + scene.random.range(0, 4) as u32;
            self.back_at = scene.book.now + scene.random.range(0, 300_000);
        } else if habits.changes && dice < 70 {
            self.wants_subscription = !self.wants_subscription;
        } else if habits.begins_anew && dice < 80 {
            self.asked = Asked::Nothing;
            scene.line.leave(scene.book, Way::Drop);
            scene.line.begin_anew();
            self.is_beginning_anew = true;
            // The broker may take the CONNECT at any time from here on.
            self.is_uncertain(scene.book);
            self.back_after_kill = 0;
            self.back_at = scene.book.now;
        } else if habits.takes_over && dice > 97 {
            self.asked = Asked::Nothing;
            scene.line.take_over(scene.book, scene.registry);
        }
    }
}

impl Role for Subscriber {
    fn see(&mut self, seen: Seen, scene: &mut Scene<'_>) {
        match seen {
            Seen::Connected { is_present } => {
                self.asked = Asked::Nothing;
                if !is_present {
                    scene.book.receivers[self.receiver].session_began = scene.book.now;
                    if scene.line.is_kept && !self.is_beginning_anew && self.has_subscription == Some(true) {
                        // A broken promise: it stays in the book, and life goes on.
                        self.has_subscription = None;
                        self.was_forgotten = true;
                    } else {
                        self.is_subscribed(scene.book, false);
                    }
                }
                self.is_beginning_anew = false;
            }
            Seen::Message(delivery) => scene.book.receive(self.receiver, delivery),
            Seen::Subscribed { is_granted } => {
                self.asked = Asked::Nothing;
                if is_granted {
                    self.is_subscribed(scene.book, true);
                } else {
                    let (kills, name) = (scene.book.kills, &scene.line.name);
                    scene.book.faults.add("refused", kills, || format!("{name}: SUBSCRIBE"));
                }
            }
            Seen::Unsubscribed => {
                self.asked = Asked::Nothing;
                self.is_subscribed(scene.book, false);
            }
            Seen::RequestLost => self.asked = Asked::Nothing,
            Seen::Lost { .. } => {
                self.asked = Asked::Nothing;
                if !scene.line.is_kept {
                    self.is_uncertain(scene.book);
                }
            }
        }
    }

    fn act(&mut self, scene: &mut Scene<'_>) {
        let (now, is_draining) = (scene.book.now, scene.book.is_draining);
        if !scene.line.wants_connection {
            let is_time = now >= self.back_at && scene.book.kills >= self.back_after_kill;
            scene.line.wants_connection = is_time || is_draining;
        }
        if is_draining {
            // A subscription that is wanted at the end shows what is delivered, one that is not that nothing is.
        } else if now >= self.next_at && scene.line.is_connected() {
            self.next_at = now + scene.random.range(5_000, 150_000);
            self.change_something(scene);
        }
        self.ask(scene);
    }

    fn is_done(&self, line: &Line, _book: &Book) -> bool {
        debug_assert!(line.expects != Expects::Either || !line.is_connected());
        line.is_connected() && self.asked == Asked::Nothing && self.has_subscription == Some(self.wants_subscription)
    }
}
