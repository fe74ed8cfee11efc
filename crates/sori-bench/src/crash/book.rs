//! What everybody sent, was promised and received. The book knows nothing of a broker's inside.

use std::collections::HashMap;

use sori_mqtt::{QoS, TopicFilter, TopicName};

use super::fault::Faults;

/// Microseconds since the run began. 0 stands for "not yet": nothing happens in the first one.
pub(super) type Micros = u64;

/// All that is known, in the order of one clock.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) now: Micros,
    /// How many times the broker was killed.
    pub(super) kills: u32,
    /// Whether a broker runs, as far as anybody knows.
    pub(super) broker_runs: bool,
    pub(super) is_draining: bool,
    /// Nothing is published any more, and all of it is acknowledged.
    pub(super) is_quiet: bool,
    /// After everything was delivered and settled, nothing may come again.
    pub(super) is_settled: bool,
    pub(super) port: u16,
    pub(super) killed_at: Vec<Micros>,
    pub(super) restarted_at: Vec<Micros>,
    /// The first CONNACK of the running broker.
    pub(super) served_at: Micros,
    /// From each start to the first CONNACK.
    pub(super) restart_times: Vec<Micros>,
    pub(super) streams: Vec<Stream>,
    pub(super) receivers: Vec<Receiver>,
    pub(super) wills: Vec<Will>,
    pub(super) faults: Faults,
    pub(super) counts: Counts,
    pub(super) probes_done: u64,
    /// A packet that somebody wants a kill to follow at once.
    pub(super) answers: u64,
    pub(super) topics: HashMap<String, u16>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) acknowledged: [u64; 3],
    pub(super) refused: u64,
    pub(super) received: u64,
    /// Not counting repetitions.
    pub(super) received_first: u64,
    pub(super) repeated_qos1: u64,
    pub(super) connections: u64,
    pub(super) take_overs: u64,
}

/// The messages of one publisher for one topic with one QoS, numbered from 0.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) topic: String,
    pub(super) qos: QoS,
    pub(super) kind: Kind,
    pub(super) sent: Vec<Sent>,
    /// Removals of a retained message have no payload: they are known by their order.
    pub(super) removals_to_send: std::collections::VecDeque<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Retained,
    Will,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) first: Micros,
    /// PUBACK or PUBREC.
    pub(super) acknowledged: Micros,
    /// PUBACK or PUBCOMP.
    pub(super) completed: Micros,
    pub(super) acknowledged_after_kill: u32,
    pub(super) sent_after_kill: u32,
    pub(super) is_removal: bool,
    pub(super) is_refused: bool,
}

/// What became of one client with a will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WillFate {
    /// CONNECT was sent.
    Asked,
    /// CONNACK was received.
    Armed,
    /// It must be published.
    Due,
    /// It may be published or not.
    Open,
    /// It must not be published.
    Withdrawn,
}

#[derive(Debug, Clone)]
pub(super) struct Will {
    pub(super) client: String,
    pub(super) qos: QoS,
    pub(super) fate: WillFate,
    pub(super) since: Micros,
    pub(super) after_kill: u32,
    pub(super) delay_seconds: u32,
}

/// Who promises what to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// Its session is kept: all that is acknowledged.
    All,
    /// It shares with the others of this group: all that is acknowledged, to one of them.
    Shared(usize),
    /// Its session ends with each connection: nothing but order.
    Nothing,
}

/// One client that receives, with what it was promised.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) name: String,
    pub(super) promise: Promise,
    pub(super) qos: QoS,
    /// The streams whose topic its filter matches.
    pub(super) matches: Vec<bool>,
    pub(super) filter: String,
    /// SUBACK was received and nothing was done about it since.
    pub(super) subscribed_since: Option<Micros>,
    /// UNSUBACK was received, or CONNACK of a new session; nothing was done about it since.
    pub(super) unsubscribed_since: Option<Micros>,
    pub(super) session_began: Micros,
    /// Spans in which it certainly had no subscription.
    pub(super) gaps: Vec<(Micros, Micros)>,
    pub(super) seen: Vec<SeenStream>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct SeenStream {
    pub(super) times: Vec<u8>,
    pub(super) next: u32,
}

/// A message that came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    pub(super) stream: u16,
    pub(super) number: u32,
    pub(super) qos: QoS,
    pub(super) is_retained: bool,
    pub(super) is_resent: bool,
}

impl Book {
    pub(super) fn add_stream(&mut self, topic: &str, qos: QoS, kind: Kind) -> u16 {
        let number = self.streams.len() as u16;
        self.topics.insert(topic.to_owned(), number);
        let removals_to_send = std::collections::VecDeque::new();
        self.streams.push(Stream { topic: topic.to_owned(), qos, kind, sent: Vec::new(), removals_to_send });
        number
    }

    /// Streams are all there before receivers come.
    pub(super) fn add_receiver(&mut self, name: &str, filter: &str, qos: QoS, promise: Promise) -> usize {
        let parsed = TopicFilter::new(filter).ok();
        let matches = |stream: &Stream| {
            TopicName::new(&stream.topic).is_ok_and(|topic| parsed.is_some_and(|filter| filter.matches(topic)))
        };
        self.receivers.push(Receiver {
            name: name.to_owned(),
            promise,
            qos,
            matches: self.streams.iter().map(matches).collect(),
            filter: filter.to_owned(),
            subscribed_since: None,
            unsubscribed_since: None,
            session_began: 0,
            gaps: Vec::new(),
            seen: vec![SeenStream::default(); self.streams.len()],
        });
        self.receivers.len() - 1
    }

    /// The next message of a stream: its number.
    pub(super) fn write(&mut self, stream: u16, is_removal: bool) -> u32 {
        let stream = &mut self.streams[usize::from(stream)];
        let number = stream.sent.len() as u32;
        stream.sent.push(Sent { is_removal, ..Sent::default() });
        if is_removal {
            stream.removals_to_send.push_back(number);
        }
        number
    }

    /// The message that a PUBLISH to the broker holds; `None` if it is none of ours.
    pub(super) fn sent(&mut self, topic: &str, payload: &[u8], known: Option<(u16, u32)>) -> Option<(u16, u32)> {
        let key = known.or_else(|| parse(payload)).or_else(|| {
            let stream = *self.topics.get(topic)?;
            Some((stream, self.streams[usize::from(stream)].removals_to_send.pop_front()?))
        })?;
        let (now, kills) = (self.now, self.kills);
        let sent = self.entry(key)?;
        if sent.first == 0 {
            sent.first = now;
            sent.sent_after_kill = kills;
            self.counts.sent += 1;
        }
        Some(key)
    }

    /// PUBACK or PUBREC.
    pub(super) fn acknowledged(&mut self, key: (u16, u32), is_error: bool) {
        let (now, kills) = (self.now, self.kills);
        let Some(sent) = self.entry(key) else { return };
        if is_error {
            sent.is_refused = true;
            self.counts.refused += 1;
        } else if sent.acknowledged == 0 {
            sent.acknowledged = now;
            sent.acknowledged_after_kill = kills;
            let qos = self.streams[usize::from(key.0)].qos as usize;
            self.counts.acknowledged[qos] += 1;
        }
        self.answers += 1;
    }

    /// PUBACK or PUBCOMP.
    pub(super) fn completed(&mut self, key: (u16, u32)) {
        let now = self.now;
        if let Some(sent) = self.entry(key)
            && sent.completed == 0
        {
            sent.completed = now;
        }
        self.answers += 1;
    }

    pub(super) fn entry(&mut self, (stream, number): (u16, u32)) -> Option<&mut Sent> {
        self.streams.get_mut(usize::from(stream))?.sent.get_mut(number as usize)
    }

    /// "d/3/2 #17".
    pub(super) fn name(&self, stream: usize, number: u32) -> String {
        self.streams.get(stream).map_or_else(|| format!("?{stream} #{number}"), |s| format!("{} #{number}", s.topic))
    }

    /// When and after which kill a message was sent and acknowledged.
    pub(super) fn story(&self, stream: usize, number: u32) -> String {
        let sent = self.streams[stream].sent[number as usize];
        let time = |at: Micros| if at == 0 { "never".to_owned() } else { format!("{:.6} s", at as f64 / 1e6) };
        format!(
            "{}: sent {} (after kill {}), acknowledged {} (after kill {}), completed {}",
            self.name(stream, number),
            time(sent.first),
            sent.sent_after_kill,
            time(sent.acknowledged),
            sent.acknowledged_after_kill,
            time(sent.completed)
        )
    }

    pub(super) fn new_will(&mut self, client: &str, qos: QoS, delay_seconds: u32) -> usize {
        let (since, after_kill) = (self.now, self.kills);
        self.wills.push(Will {
            client: client.to_owned(),
            qos,
            fate: WillFate::Asked,
            since,
            after_kill,
            delay_seconds,
        });
        self.wills.len() - 1
    }

    pub(super) fn will_becomes(&mut self, will: usize, fate: WillFate) {
        self.wills[will].fate = fate;
        self.wills[will].since = self.now;
        self.wills[will].after_kill = self.kills;
    }
}

/// The beginning of each payload: which stream, which number.
pub(super) fn payload(stream: u16, number: u32, size: usize) -> Vec<u8> {
    let mut payload = format!("{stream} {number} ").into_bytes();
    payload.resize(payload.len().max(size), b'.');
    payload
}

pub(super) fn parse(payload: &[u8]) -> Option<(u16, u32)> {
    let end = payload.iter().position(|byte| *byte == b'.').unwrap_or(payload.len()).min(24);
    let mut words = std::str::from_utf8(&payload[..end]).ok()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}
