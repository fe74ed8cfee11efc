//! A place where one client after another leaves a will, and is lost or says goodbye.

use sori_mqtt::client_session::{ConnectOptions, WillOptions};
use sori_mqtt::{Property, QoS, Version};

use super::{Role, Scene};
use crate::crash::book::{Book, Micros, WillFate, payload};
use crate::crash::line::{Line, Seen, Way};
use crate::random::Random;

/// A DISCONNECT so long before a kill was certainly noticed, and is on the disk.
const GOODBYE_HOLDS_AFTER: Micros = 1_000_000;

pub(in crate::crash) struct WillClient {
    place: usize,
    stream: u16,
    lives: u32,
    will: Option<usize>,
    ends_at: Micros,
    /// Goodbyes that a kill could still undo.
    goodbyes: Vec<(usize, Micros)>,
}

impl WillClient {
    pub(in crate::crash) fn new(place: usize, stream: u16) -> WillClient {
        WillClient { place, stream, lives: 0, will: None, ends_at: 0, goodbyes: Vec::new() }
    }

    fn begin(&mut self, scene: &mut Scene<'_>) {
        self.lives += 1;
        let name = format!("w{}-{}", self.place, self.lives);
        let (book, random) = (&mut *scene.book, &mut *scene.random);
        let is_v5 = random.chance(70);
        let delay_seconds = if is_v5 && random.chance(40) { random.range(1, 2) as u32 } else { 0 };
        // With QoS 1 it may come again.
        let qos = if random.chance(70) { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
        let will = book.new_will(&name, qos, delay_seconds);
        book.write(self.stream, false);
        let options = options(name, is_v5, qos, delay_seconds, random, payload(self.stream, will as u32, 40));
        scene.line.renew(options);
        scene.line.wants_connection = true;
        self.will = Some(will);
    }

    fn end(&mut self, scene: &mut Scene<'_>, will: usize) {
        self.will = None;
        let (way, fate) = match scene.random.range(0, 99) {
            0..=19 => (Way::Disconnect, WillFate::Open),
            20..=34 if scene.line.is_v5() => (Way::DisconnectWithWill, WillFate::Due),
            _ => (Way::Drop, WillFate::Due),
        };
        scene.book.will_becomes(will, fate);
        scene.line.leave(scene.book, way);
        if way == Way::Disconnect {
            self.goodbyes.push((will, scene.book.now));
        }
        self.ends_at = scene.book.now + scene.random.range(0, 50_000);
    }
}

fn options(
    client_id: String,
    is_v5: bool,
    qos: QoS,
    delay_seconds: u32,
    random: &mut Random,
    payload: Vec<u8>,
) -> ConnectOptions {
    let mut will = WillOptions { topic: "w/lost".to_owned(), payload, qos, ..WillOptions::default() };
    if delay_seconds > 0 {
        will.properties.push(Property::WillDelayInterval(delay_seconds));
    }
    let is_kept = random.chance(30);
    let mut options = ConnectOptions { client_id, will: Some(will), ..ConnectOptions::default() };
    if is_v5 {
        options.session_expiry_interval = if is_kept || (delay_seconds > 0 && random.chance(70)) { 30 } else { 0 };
    } else {
        options.version = Version::V311;
        options.clean_start = !is_kept;
    }
    options
}

impl Role for WillClient {
    fn see(&mut self, seen: Seen, scene: &mut Scene<'_>) {
        let Some(will) = self.will else { return };
        match seen {
            Seen::Connected { .. } => {
                scene.book.will_becomes(will, WillFate::Armed);
                self.ends_at = scene.book.now + scene.random.range(1_000, 400_000);
            }
            Seen::Lost { was_connected } => {
                // With or without CONNACK; without it the broker may have noticed the client or not.
                scene.book.will_becomes(will, if was_connected { WillFate::Due } else { WillFate::Open });
                self.will = None;
                scene.line.wants_connection = false;
                self.ends_at = scene.book.now + scene.random.range(0, 50_000);
            }
            _ => {}
        }
    }

    fn act(&mut self, scene: &mut Scene<'_>) {
        let now = scene.book.now;
        self.goodbyes.retain(|(will, at)| {
            let holds = now > at + GOODBYE_HOLDS_AFTER;
            if holds {
                scene.book.will_becomes(*will, WillFate::Withdrawn);
            }
            !holds
        });
        match self.will {
            None if scene.book.is_draining || now < self.ends_at || !scene.book.broker_runs => {}
            None => self.begin(scene),
            Some(will) if scene.line.is_connected() && (now >= self.ends_at || scene.book.is_draining) => {
                self.end(scene, will);
            }
            Some(_) => {}
        }
    }

    fn broker_died(&mut self, _scene: &mut Scene<'_>) {
        self.goodbyes.clear();
    }

    fn is_done(&self, _line: &Line, _book: &Book) -> bool {
        self.will.is_none()
    }
}
