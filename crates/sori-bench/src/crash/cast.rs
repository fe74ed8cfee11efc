//! Who takes part in a run.

use sori_mqtt::client_session::{ConnectOptions, WillOptions};
use sori_mqtt::{Property, QoS, Version};

use super::book::{Book, Kind, Promise};
use super::line::Line;
use super::role::EXPIRY_SECONDS;
use super::role::{Expirer, Habits, Probe, Publisher, Role, Subscriber, WillClient, WillKeeper};
use crate::random::Random;

pub(super) struct Actor {
    pub(super) line: Line,
    pub(super) role: Box<dyn Role>,
}

const FOR_EVER: u32 = u32::MAX;
/// The will of a keeper: there is no such message in any stream, so that whoever gets it reports an invention.
const NEVER: &[u8] = b"65535 0 ";

struct Cast<'a> {
    actors: Vec<Actor>,
    uses_receive_maximum: bool,
    book: &'a mut Book,
    random: &'a mut Random,
}

/// About 45 clients for `scale` 1.
pub(super) fn cast(scale: usize, uses_receive_maximum: bool, book: &mut Book, random: &mut Random) -> Vec<Actor> {
    let publishers = 10 * scale;
    let owners = 3 * scale;
    let wills = book.add_stream("w/lost", QoS::ExactlyOnce, Kind::Will);
    let streams: Vec<Vec<u16>> = (0..publishers)
        .map(|number| {
            [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
                .map(|qos| book.add_stream(&format!("d/{number}/{}", qos as u8), qos, Kind::Data))
                .to_vec()
        })
        .collect();
    let retained: Vec<Vec<u16>> = (0..owners)
        .map(|owner| {
            (0..6)
                .map(|topic| book.add_stream(&format!("r/{owner}/{topic}"), QoS::AtLeastOnce, Kind::Retained))
                .collect()
        })
        .collect();
    let mut cast = Cast { actors: Vec::new(), uses_receive_maximum, book, random };
    cast.receivers(scale, publishers);
    for (number, mut streams) in streams.into_iter().enumerate() {
        // One in four publishes QoS 1 and 2 only, so that QoS 0 is not all that fills the pauses.
        if number % 4 != 0 {
            streams.remove(0);
        }
        let pause = cast.random.range(3, 30);
        let options =
            if number % 4 == 3 { cast.ending(&format!("p{number}")) } else { cast.kept(&format!("p{number}")) };
        cast.add(options, Box::new(Publisher::new(streams, pause)));
    }
    for (number, streams) in retained.into_iter().enumerate() {
        let options = cast.kept(&format!("owner{number}"));
        cast.add(options, Box::new(Publisher::new(streams, 40)));
    }
    for place in 0..6 * scale {
        let options = cast.ending(&format!("w{place}"));
        cast.add(options, Box::new(WillClient::new(place, wills)));
    }
    for number in 0..2 * scale {
        cast.will_keeper(number);
        let mut options = cast.kept(&format!("expirer{number}"));
        (options.version, options.session_expiry_interval) = (Version::V5, EXPIRY_SECONDS);
        options.clean_start = false;
        cast.add(options, Box::new(Expirer::new()));
    }
    for number in 0..2 * scale {
        let options = cast.ending(&format!("probe{number}"));
        cast.add(options, Box::new(Probe::new("r/#")));
    }
    cast.actors
}

impl Cast<'_> {
    fn receivers(&mut self, scale: usize, publishers: usize) {
        let all = Promise::All;
        let (one, two) = (QoS::AtLeastOnce, QoS::ExactlyOnce);
        let stays = Habits { takes_over: true, ..Habits::default() };
        let leaves = Habits { goes_away: true, takes_over: true, ..Habits::default() };
        for number in 0..scale {
            self.receiver(&format!("all{number}"), "d/#", two, all, stays);
            self.receiver(&format!("away{number}"), "d/#", two, all, leaves);
            self.receiver(&format!("away-q1-{number}"), "d/+/1", one, all, leaves);
            self.receiver(&format!("watcher{number}"), "w/#", two, all, Habits::default());
            self.receiver(&format!("watcher-away{number}"), "w/+", two, all, leaves);
            for member in 0..3 {
                let habits = if member == 0 { stays } else { leaves };
                let name = format!("share{number}-{member}");
                self.receiver(&name, &format!("$share/g{number}/d/+/+"), two, Promise::Shared(number), habits);
            }
        }
        for number in 0..4 * scale {
            let filter = format!("d/{}/+", number % publishers);
            let qos = if number % 2 == 0 { two } else { one };
            self.receiver(&format!("some{number}"), &filter, qos, all, if number % 3 == 0 { stays } else { leaves });
            let changes = Habits { changes: true, begins_anew: true, ..leaves };
            let filter = format!("d/{}/+", (number + 3) % publishers);
            self.receiver(&format!("change{number}"), &filter, two, all, changes);
        }
        for number in 0..2 * scale {
            let filter = format!("d/{}/#", (number + 6) % publishers);
            self.receiver(&format!("clean{number}"), &filter, two, Promise::Nothing, leaves);
        }
    }

    fn receiver(&mut self, name: &str, filter: &str, qos: QoS, promise: Promise, habits: Habits) {
        let receiver = self.book.add_receiver(name, filter, qos, promise);
        let mut options = if promise == Promise::Nothing { self.ending(name) } else { self.kept(name) };
        if habits.begins_anew {
            // In MQTT 3.1.1 a session that begins anew also ends with its connection.
            (options.version, options.session_expiry_interval) = (Version::V5, FOR_EVER);
        }
        if self.uses_receive_maximum && options.version.is_v5() && self.random.chance(50) {
            options.receive_maximum = self.random.range(1, 30) as u16;
        }
        let role = Subscriber::new(receiver, self.book, habits);
        self.add(options, Box::new(role));
    }

    fn will_keeper(&mut self, number: usize) {
        let client_id = format!("keeper{number}");
        let mut will = WillOptions {
            topic: "w/never".to_owned(),
            payload: NEVER.to_vec(),
            qos: QoS::ExactlyOnce,
            ..WillOptions::default()
        };
        will.properties.push(Property::WillDelayInterval(3600));
        let session_expiry_interval = 7200;
        let options = ConnectOptions {
            client_id,
            clean_start: false,
            session_expiry_interval,
            will: Some(will),
            ..ConnectOptions::default()
        };
        self.add(options, Box::new(WillKeeper::new()));
    }

    /// A session that outlives its connections.
    fn kept(&mut self, client_id: &str) -> ConnectOptions {
        let options =
            ConnectOptions { client_id: client_id.to_owned(), clean_start: false, ..ConnectOptions::default() };
        if self.random.chance(50) {
            ConnectOptions { version: Version::V311, ..options }
        } else {
            let session_expiry_interval = if self.random.chance(50) { FOR_EVER } else { 100_000 };
            ConnectOptions { session_expiry_interval, ..options }
        }
    }

    /// A session that ends with each connection.
    fn ending(&mut self, client_id: &str) -> ConnectOptions {
        let version = if self.random.chance(50) { Version::V311 } else { Version::V5 };
        ConnectOptions { client_id: client_id.to_owned(), version, ..ConnectOptions::default() }
    }

    fn add(&mut self, options: ConnectOptions, role: Box<dyn Role>) {
        self.actors.push(Actor { line: Line::new(self.actors.len(), options), role });
    }
}
