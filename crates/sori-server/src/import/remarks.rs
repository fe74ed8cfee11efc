//! What was left out and why: one line for each reason, however often it happened.

use super::Place;
use std::collections::BTreeMap;

/// A reason to leave something out or to make something up.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Reason {
    EmptyFile,
    UnknownChunk,
    ClientIdInvalid,
    UserNameInvalid,
    TopicInvalid,
    FilterInvalid,
    WillInvalid,
    TopicWasNumber,
    ClientUnknown,
    SessionMade,
    MessageMissing,
    PacketIdMissing,
    PacketIdTwice,
}

impl Reason {
    const fn text(self) -> &'static str {
        match self {
            Self::EmptyFile => "empty file: there was nothing to import",
            Self::UnknownChunk => "chunk of an unknown kind, left out",
            Self::ClientIdInvalid => "client without a legal client identifier, left out with all that belongs to it",
            Self::UserNameInvalid => {
                "user name that no client can have (Mosquitto 1.6.11 to 1.6.15 write such), left out"
            }
            Self::TopicInvalid => "message whose topic is not a topic name of MQTT, left out",
            Self::FilterInvalid => "subscription whose filter is not a topic filter of MQTT, left out",
            Self::WillInvalid => "will whose topic is not a topic name of MQTT, left out",
            Self::TopicWasNumber => {
                "topic that SQLite has kept as a number; the client may have written it differently (007 became 7)"
            }
            Self::ClientUnknown => "entry of a client that has no session in the file, left out",
            Self::SessionMade => {
                "client that has entries but no session in the file, imported as one that never expires"
            }
            Self::MessageMissing => "delivery of a message that Mosquitto did not save ($SYS or expired), left out",
            Self::PacketIdMissing => "message received with QoS 2 and without a packet identifier, left out",
            Self::PacketIdTwice => "message in flight whose packet identifier is taken, queued to be sent with another",
        }
    }
}

/// How often each reason was met, and where first.
#[derive(Default)]
pub(super) struct Remarks(BTreeMap<Reason, (u64, Place)>);

impl Remarks {
    pub(super) fn add(&mut self, reason: Reason, place: Place) {
        self.0.entry(reason).or_insert((0, place)).0 += 1;
    }

    pub(super) fn into_sentences(self) -> Vec<String> {
        let sentence = |(reason, (count, place)): (Reason, (u64, Place))| {
            let text = reason.text();
            match count {
                1 => format!("once,{place}: {text}"),
                _ => format!("{count} times, first{place}: {text}"),
            }
        };
        self.0.into_iter().map(sentence).collect()
    }
}
