//! The scenarios, as a table: enough clients and messages that chance does not count, few enough that all of them take minutes.

use std::io;
use std::time::Duration;

use sori_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

use super::meter::Phase;
use super::traffic::{Clients, Traffic};
use super::{Bench, away, connecting, filters, retained};
use crate::measure::crowd::Pace;

/// One load.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name, which says the QoS.
    pub name: &'static str,
    /// What happens.
    pub what: &'static str,
    load: Load,
}

#[derive(Debug, Clone, Copy)]
enum Load {
    Traffic(Traffic),
    /// So many clients come.
    Connect(u64),
    /// A hundred clients subscribe to so many filters; then messages, each of which one filter matches.
    Filters(u64),
    /// So many retained messages, and one client that gets them.
    Retained(u64),
    /// So many messages for a hundred clients that are away and come back.
    Away(u64),
}

const PAIRS: Traffic = Traffic {
    clients: Clients::Pairs(10),
    qos: AtMostOnce,
    size: 64,
    messages: 2_000_000,
    ahead_max: 1000,
    pace: Pace::Full,
    time_max: Duration::from_secs(4),
};
/// One message at a time.
const SINGLE: Traffic = Traffic { clients: Clients::Pairs(50), messages: 200_000, ahead_max: 1, ..PAIRS };
const FAN_IN: Traffic = Traffic { clients: Clients::FanIn(100), messages: 1_000_000, ahead_max: 100, ..PAIRS };
const FAN_OUT: Traffic = Traffic { clients: Clients::FanOut(1000), messages: 2_000, ahead_max: 10, ..PAIRS };

const fn traffic(name: &'static str, what: &'static str, traffic: Traffic) -> Scenario {
    Scenario { name, what, load: Load::Traffic(traffic) }
}

/// All of them.
pub const SCENARIOS: [Scenario; 16] = [
    traffic("p2p-q0", "ten pairs of a publisher and a subscriber, QoS 0, a thousand messages ahead each", PAIRS),
    traffic(
        "p2p-q1",
        "the same, QoS 1, a hundred in flight each",
        Traffic { qos: AtLeastOnce, messages: 400_000, ..PAIRS },
    ),
    traffic("p2p-q2", "the same, QoS 2", Traffic { qos: ExactlyOnce, messages: 200_000, ..PAIRS }),
    traffic("p2p-q0-1k", "QoS 0, payloads of 1 KiB", Traffic { size: 1024, messages: 500_000, ..PAIRS }),
    traffic("single-q0", "fifty pairs with one message under way each, QoS 0", SINGLE),
    traffic("single-q1", "the same, QoS 1", Traffic { qos: AtLeastOnce, messages: 100_000, ..SINGLE }),
    traffic("fanin-q0", "a hundred publishers to one subscriber, QoS 0", FAN_IN),
    traffic("fanin-q1", "the same, QoS 1", Traffic { qos: AtLeastOnce, messages: 200_000, ..FAN_IN }),
    traffic("fanout-q0", "one publisher to a thousand subscribers, QoS 0; for each delivery", FAN_OUT),
    traffic("fanout-q1", "the same, QoS 1", Traffic { qos: AtLeastOnce, messages: 500, ..FAN_OUT }),
    traffic(
        "lat-q1",
        "fifty pairs, QoS 1, 2,000 messages a second of all together",
        Traffic {
            clients: Clients::Pairs(50),
            qos: AtLeastOnce,
            messages: 8_000,
            pace: Pace::EachSecond(2_000),
            time_max: Duration::from_secs(10),
            ..PAIRS
        },
    ),
    Scenario {
        name: "connect",
        what: "15,000 clients connect and subscribe to one topic each",
        load: Load::Connect(15_000),
    },
    Scenario {
        name: "subs100k",
        what: "100 clients with 1,000 filters each, exact, with + and with #; then messages for one each",
        load: Load::Filters(100_000),
    },
    Scenario { name: "subs1m", what: "the same with 10,000 filters each", load: Load::Filters(1_000_000) },
    Scenario {
        name: "retained",
        what: "200,000 retained messages, QoS 1, and a client that subscribes to them, QoS 0",
        load: Load::Retained(200_000),
    },
    Scenario {
        name: "offline",
        what: "100,000 messages, QoS 1, for 100 clients that are away, and come back for them",
        load: Load::Away(100_000),
    },
];

impl Scenario {
    /// Its parts, in their order.
    #[must_use]
    pub fn phases(&self) -> &'static [&'static str] {
        match self.load {
            Load::Traffic(_) => &["traffic"],
            Load::Connect(_) => &["connect"],
            Load::Filters(_) => &["subscribe", "traffic"],
            Load::Retained(_) => &["publish", "deliver"],
            Load::Away(_) => &["enqueue", "drain"],
        }
    }

    /// What it is, if it is nothing but messages.
    pub(in crate::measure) fn traffic(&self) -> Option<&Traffic> {
        if let Load::Traffic(traffic) = &self.load { Some(traffic) } else { None }
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        match self.load {
            Load::Traffic(traffic) => traffic.qos != AtMostOnce,
            Load::Retained(_) | Load::Away(_) => true,
            Load::Connect(_) | Load::Filters(_) => false,
        }
    }

    pub(super) fn measure(&self, bench: Bench, scale: f64) -> io::Result<Vec<Phase>> {
        let scaled = |number: u64| ((number as f64 * scale) as u64).max(1);
        match self.load {
            Load::Traffic(traffic) => traffic.measure(bench, scaled(traffic.messages)).map(|phase| vec![phase]),
            Load::Connect(clients) => connecting::measure(bench, scaled(clients)).map(|phase| vec![phase]),
            Load::Filters(filters) => filters::measure(bench, scaled(filters), scaled(200_000)),
            Load::Retained(messages) => retained::measure(bench, scaled(messages)),
            Load::Away(messages) => away::measure(bench, scaled(messages)),
        }
    }
}
