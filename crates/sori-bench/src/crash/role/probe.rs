//! Comes as a new subscriber, reads the retained messages, compares them with what was acknowledged, leaves.

use sori_mqtt::QoS;

use super::{Role, Scene};
use crate::crash::book::{Book, Kind, Micros};
use crate::crash::line::{Line, Seen, Way};

/// In this time a broker that lives has sent all retained messages.
const PATIENCE: Micros = 5_000_000;
/// So long it stays after all have come: a removed one must not.
const LINGER: Micros = 100_000;

pub(in crate::crash) struct Probe {
    filter: String,
    stage: Stage,
    /// For each retained stream: the number acknowledged last when SUBSCRIBE was sent, and the best one that came.
    topics: Vec<Topic>,
    done_since_draining: u32,
}

#[derive(Debug, Clone, Copy)]
struct Topic {
    stream: u16,
    acknowledged: Option<u32>,
    best: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Away { until: Micros },
    Connecting,
    Asked,
    Reading { since: Micros },
    Lingering { until: Micros },
}

impl Probe {
    pub(in crate::crash) fn new(filter: &str) -> Probe {
        Probe { filter: filter.to_owned(), stage: Stage::Connecting, topics: Vec::new(), done_since_draining: 0 }
    }

    fn ask(&mut self, scene: &mut Scene<'_>) {
        let streams = scene.book.streams.iter().enumerate().filter(|(_, stream)| stream.kind == Kind::Retained);
        self.topics = streams
            .map(|(number, stream)| {
                let acknowledged = stream.sent.iter().rposition(|sent| sent.acknowledged != 0);
                Topic { stream: number as u16, acknowledged: acknowledged.map(|number| number as u32), best: None }
            })
            .collect();
        if scene.line.subscribe(scene.book, &self.filter, QoS::AtLeastOnce) {
            self.stage = Stage::Asked;
        }
    }

    fn note(&mut self, scene: &mut Scene<'_>, stream: u16, number: u32, is_retained: bool) {
        let Some(topic) = self.topics.iter_mut().find(|topic| topic.stream == stream) else { return };
        topic.best = topic.best.max(Some(number));
        if is_retained && topic.acknowledged.is_some_and(|acknowledged| number < acknowledged) {
            let acknowledged = topic.acknowledged.unwrap_or_default();
            let stream = usize::from(stream);
            let is_removal = scene.book.streams[stream].sent[acknowledged as usize].is_removal;
            let (old, story) = (scene.book.name(stream, number), scene.book.story(stream, acknowledged));
            let kills = scene.book.kills;
            scene
                .book
                .faults
                .add("retained is old", kills, || format!("{old}, though (removal: {is_removal}) {story}"));
        }
    }

    /// Nothing came for a topic, and none of its messages that may be the current one is a removal.
    fn lacks(book: &Book, topic: &Topic) -> bool {
        let Some(acknowledged) = topic.acknowledged else { return false };
        let sent = &book.streams[usize::from(topic.stream)].sent;
        let may_be_removed = sent[acknowledged as usize..].iter().any(|sent| sent.is_removal && sent.first != 0);
        topic.best.is_none_or(|best| best < acknowledged) && !may_be_removed
    }

    fn leave(&mut self, scene: &mut Scene<'_>) {
        scene.line.leave(scene.book, Way::Disconnect);
        self.stage = Stage::Away { until: scene.book.now + scene.random.range(50_000, 250_000) };
    }
}

impl Role for Probe {
    fn see(&mut self, seen: Seen, scene: &mut Scene<'_>) {
        match seen {
            Seen::Connected { .. } => self.ask(scene),
            Seen::Subscribed { .. } => self.stage = Stage::Reading { since: scene.book.now },
            Seen::Message(delivery) => self.note(scene, delivery.stream, delivery.number, delivery.is_retained),
            Seen::Lost { .. } => self.stage = Stage::Connecting,
            Seen::RequestLost | Seen::Unsubscribed => {}
        }
    }

    fn act(&mut self, scene: &mut Scene<'_>) {
        let now = scene.book.now;
        match self.stage {
            Stage::Away { until } if now >= until => {
                scene.line.wants_connection = true;
                self.stage = Stage::Connecting;
            }
            Stage::Reading { since } => {
                let lacking = self.topics.iter().find(|topic| Self::lacks(scene.book, topic));
                if let Some(topic) = lacking
                    && now > since + PATIENCE
                {
                    let story = scene.book.story(usize::from(topic.stream), topic.acknowledged.unwrap_or_default());
                    let (kills, best) = (scene.book.kills, topic.best);
                    scene.book.faults.add("retained is lost", kills, || format!("got {best:?} instead of {story}"));
                }
                if lacking.is_none() || now > since + PATIENCE {
                    self.stage = Stage::Lingering { until: now + LINGER };
                }
            }
            Stage::Lingering { until } if now >= until => {
                scene.book.probes_done += 1;
                self.done_since_draining += u32::from(scene.book.is_quiet);
                self.leave(scene);
            }
            _ => {}
        }
    }

    fn is_done(&self, _line: &Line, _book: &Book) -> bool {
        // The first one may have begun before the last publish was acknowledged.
        self.done_since_draining >= 2
    }
}
