//! A new store of what comes from elsewhere, written without a broker.

use crate::import::{
    Imported, ImportedDelivery, ImportedMessage, ImportedOwner, ImportedSession, ImportedWill, InflightState,
};
use crate::progress::Progress;
use crate::startup::RunError;
use crate::store::opening::refused;
use crate::store::unfinished::Unfinished;
use sori_broker::{Identity, Owner, PlainDelivery, PlainMessage, PlainSession, PlainWill, RecordsWriter, Time};
use sori_mqtt::{QoS, RetainHandling, SubscribeOptions};
use sori_store::{Committer, FileDisk, Options, Outcome, Piece, State};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Records are written when there are so many bytes of them.
const PIECE_BYTES: usize = 4 * 1024 * 1024;
/// The Session Expiry Interval of a session that does not end.
const NEVER_EXPIRES: u32 = u32::MAX;

/// How much was taken over.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Sessions.
    pub sessions: u64,
    /// Messages that wait for a client or are in flight to one.
    pub deliveries: u64,
    /// Retained messages.
    pub retained: u64,
    /// QoS 0 messages, which no store keeps.
    pub left_out: u64,
}

/// Makes a store at `path`, where none may be, that holds all of this. It gets its name when it is whole: what an
/// interruption leaves has another name, and is replaced by the next try.
///
/// # Errors
/// It is there already, or cannot be written.
pub fn make(path: &Path, imported: &Imported) -> Result<Made, RunError> {
    let unfinished = Unfinished::begin(path)?;
    let made = write(unfinished.path(), imported)?;
    unfinished.finish()?;
    Ok(made)
}

fn write(path: &Path, imported: &Imported) -> Result<Made, RunError> {
    let mut progress = Progress::counting("Writing the store");
    let of = imported.sessions.len() + imported.retained.len();
    let mut maker = Maker::create(path)?;
    for (at, session) in imported.sessions.iter().enumerate() {
        maker.session(session)?;
        progress.show(at as u64, of as u64);
    }
    for (at, message) in imported.wills.iter().enumerate() {
        maker.will(at, message)?;
    }
    for (at, message) in imported.retained.iter().enumerate() {
        maker.retained(message, imported.owners.get(&message.topic))?;
        progress.show((imported.sessions.len() + at) as u64, of as u64);
    }
    maker.finish()
}

struct Maker<'a> {
    committer: Committer,
    records: RecordsWriter,
    /// What each message is called in the records.
    numbers: HashMap<*const ImportedMessage, u64>,
    upto: u64,
    made: Made,
    imported: std::marker::PhantomData<&'a Imported>,
}

impl<'a> Maker<'a> {
    fn create(path: &Path) -> Result<Maker<'a>, RunError> {
        let disk = FileDisk::open(path).map_err(|error| refused(path, &error))?;
        let nothing = &mut |_, _: &[u8]| Err("it is not empty".into());
        let committer = Committer::open(Arc::new(disk), Options::default(), 1, nothing);
        let committer = committer.map_err(|error| refused(path, &error))?;
        Ok(Maker {
            committer,
            records: RecordsWriter::new(),
            numbers: HashMap::new(),
            upto: 0,
            made: Made::default(),
            imported: std::marker::PhantomData,
        })
    }

    /// A message that waits for many is written once.
    fn message(&mut self, message: &'a Arc<ImportedMessage>) -> u64 {
        let records = &mut self.records;
        *self.numbers.entry(Arc::as_ptr(message)).or_insert_with(|| records.message(&plain_message(message)))
    }

    fn session(&mut self, session: &'a ImportedSession) -> Result<(), RunError> {
        let mut in_flight = Vec::new();
        for inflight in &session.inflight {
            let delivery = match inflight.state {
                InflightState::Publish => Some(self.delivery(&inflight.delivery)),
                InflightState::PubRel => None,
            };
            in_flight.push((inflight.packet_id, delivery));
        }
        let (kept, rest): (Vec<_>, Vec<_>) = session.queued.iter().partition(|queued| queued.qos != QoS::AtMostOnce);
        let queued = kept.into_iter().map(|delivery| self.delivery(delivery)).collect();
        let unreleased = session.incoming.iter().map(|incoming| (incoming.packet_id, self.message(&incoming.message)));
        let unreleased = unreleased.collect();
        let plain = PlainSession {
            client_id: session.client_id.clone(),
            expiry_seconds: session.expiry_seconds,
            // Until the client comes again, it ends when it was to end.
            expires_by_setting: false,
            user_name: session.user_name.clone(),
            realm: session.realm,
            will: session.will.as_ref().map(plain_will),
            disconnected: disconnected(session),
            subscriptions: session
                .subscriptions
                .iter()
                .map(|subscription| {
                    let options = SubscribeOptions {
                        qos: subscription.qos,
                        no_local: subscription.no_local,
                        retain_as_published: subscription.retain_as_published,
                        retain_handling: RetainHandling::SendAlways,
                    };
                    (subscription.filter.clone(), options, subscription.identifier.unwrap_or(0))
                })
                .collect(),
            queued,
            in_flight,
            unreleased,
            last_packet_id: session.last_packet_id,
        };
        self.made.sessions += 1;
        self.made.deliveries += (plain.queued.len() + plain.in_flight.len()) as u64;
        self.made.left_out += rest.len() as u64;
        self.records.session(&plain);
        self.write_if(PIECE_BYTES)
    }

    /// A will that nobody has published, of a client that has no session: it is due at once.
    fn will(&mut self, at: usize, message: &ImportedMessage) -> Result<(), RunError> {
        let message = plain_message(message);
        let will = PlainWill { message, delay_seconds: 0, expiry_seconds: None };
        let client_id = format!("imported-will-{at}");
        self.records.session(&PlainSession { client_id, will: Some(will), ..PlainSession::default() });
        self.write_if(PIECE_BYTES)
    }

    fn retained(&mut self, message: &'a Arc<ImportedMessage>, owner: Option<&ImportedOwner>) -> Result<(), RunError> {
        let number = self.message(message);
        self.records.retained(number, &message.topic, owner.map(owner_of).as_ref());
        self.made.retained += 1;
        self.write_if(PIECE_BYTES)
    }

    fn delivery(&mut self, delivery: &'a ImportedDelivery) -> PlainDelivery {
        PlainDelivery {
            message: self.message(&delivery.message),
            qos: delivery.qos,
            retain: delivery.retain,
            group: delivery.group,
            identifiers: delivery.identifiers.clone(),
        }
    }

    fn write_if(&mut self, bytes: usize) -> Result<(), RunError> {
        if self.records.len() < bytes {
            return Ok(());
        }
        let records = self.records.take();
        self.upto += 1;
        self.committer.submit(Piece {
            upto: self.upto,
            is_awaited: true,
            bytes: records.bytes,
            blobs: records.blobs,
            ..Piece::default()
        });
        let outcomes = self.committer.step(0);
        outcomes.into_iter().try_for_each(check)
    }

    fn finish(mut self) -> Result<Made, RunError> {
        self.write_if(0)?;
        self.committer.close().into_iter().try_for_each(check)?;
        Ok(self.made)
    }
}

/// A new store that does not take everything is of no use.
fn check(outcome: Outcome) -> Result<(), RunError> {
    match outcome {
        Outcome::State(State::Full) => Err(RunError::new("There is no room on the disk for the store.")),
        Outcome::State(State::Failed { text }) => Err(RunError::new(format!("The store cannot be written: {text}."))),
        _ => Ok(()),
    }
}

fn plain_message(message: &ImportedMessage) -> PlainMessage {
    PlainMessage {
        topic: message.topic.clone(),
        payload: message.payload.clone(),
        properties: message.properties.as_properties().bytes().to_vec(),
        qos: message.qos,
        retain: message.retain,
        expires: message.expires_unix_millis.map_or(Time::NEVER, Time),
    }
}

fn plain_will(will: &ImportedWill) -> PlainWill {
    let ImportedWill { message, delay_seconds, expiry_seconds, .. } = will;
    PlainWill { message: plain_message(message), delay_seconds: *delay_seconds, expiry_seconds: *expiry_seconds }
}

fn owner_of(owner: &ImportedOwner) -> Owner {
    let user_name = owner.user_name.as_deref().map(Box::from);
    let identity = Arc::new(Identity { user_name, is_internal: owner.is_internal, realm: owner.realm, credential: 0 });
    Owner { identity, client_id: Arc::from(owner.client_id.as_str()) }
}

/// When the session ends and when its will is due; `None` when either begins with the next start of the broker.
fn disconnected(session: &ImportedSession) -> Option<(Time, Time)> {
    let will_at = match &session.will {
        None => Time::NEVER,
        Some(will) => Time(will.due_at_unix_millis?),
    };
    let after = |left: u64| Time(left).plus_seconds(u64::from(session.expiry_seconds));
    match (session.ends_at_unix_millis, session.disconnected_at_unix_millis) {
        (Some(ends_at), _) => Some((Time(ends_at), will_at)),
        (None, _) if session.expiry_seconds == NEVER_EXPIRES => Some((Time::NEVER, will_at)),
        (None, Some(left)) => Some((after(left), will_at)),
        (None, None) => None,
    }
}
