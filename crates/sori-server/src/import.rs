//! What an earlier broker kept: a Mosquitto persistence file, read and never written.
//!
//! [`read`] takes a `mosquitto.db` of the format versions 2 to 6 or a database of Mosquitto's persist-sqlite plugin,
//! looks at its first bytes to tell them apart, and returns neutral values: sessions, retained messages, wills. It
//! knows no clock, so nothing is left out because it has expired, and it does not decide what becomes of the values.
//!
//! A file is taken whole or not at all. Damage is an [`ImportError`] that names the file and the place; what is well
//! formed but means nothing to MQTT (a topic with a wildcard, a delivery of a message that Mosquitto did not save) is
//! left out and counted in [`Imported::remarks`]. `docs/import.md` describes both formats.
//!
//! ```
//! use sori_server::import;
//!
//! let error = import::read("/nowhere/mosquitto.db".as_ref(), &std::env::temp_dir()).expect_err("nothing is there");
//! assert!(error.to_string().starts_with("/nowhere/mosquitto.db: cannot be read"));
//! ```

#![cfg_attr(
    not(feature = "import-sqlite"),
    expect(dead_code, reason = "wills, and what SQLite does to values, come with persist-sqlite only")
)]

mod chunk;
mod collector;
mod error;
mod layout_v2;
mod layout_v5;
mod mosquitto_db;
#[cfg(feature = "import-sqlite")]
mod persist_sqlite;
mod properties;
mod remarks;
#[cfg(test)]
mod tests;

pub use error::{ImportError, ImportFault, Place};

use sori_mqtt::{PacketId, PropertyBuffer, QoS};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// What a file held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// The sessions, in the order of the file. No client identifier is there twice.
    pub sessions: Vec<ImportedSession>,
    /// The retained messages. No topic is there twice.
    pub retained: Vec<Arc<ImportedMessage>>,
    /// Who answers for retained messages, by topic: whoever was let to publish them. Mosquitto's files do not tell.
    pub owners: BTreeMap<String, ImportedOwner>,
    /// Wills of clients without a kept session, which were connected when the broker ended without a goodbye: nobody
    /// has sent them. Only persist-sqlite keeps such.
    pub wills: Vec<Arc<ImportedMessage>>,
    /// What was left out and why, one sentence for each reason, for the log.
    pub remarks: Vec<String>,
}

/// One session. Bridges of the earlier broker are among them, under the client identifier they had there.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedSession {
    /// The client identifier; never empty.
    pub client_id: String,
    /// The user name of the last connection, where the format keeps it (version 6 and persist-sqlite).
    pub user_name: Option<String>,
    /// The rules that it is under, where listeners have rules of their own; 0 in what other brokers kept.
    pub realm: u32,
    /// The Session Expiry Interval; `u32::MAX` never ends. Sessions of MQTT 3 have that.
    pub expiry_seconds: u32,
    /// When the client left, as far as it is told: in format versions 3 and 4.
    pub disconnected_at_unix_millis: Option<u64>,
    /// When the session ends. `None`: it does not end by itself, or the client was connected when the file was
    /// written. With `expiry_seconds` of `u32::MAX` it is the end that `persistent_client_expiration` had set.
    pub ends_at_unix_millis: Option<u64>,
    /// The will of the last connection, not sent so far. Only persist-sqlite keeps wills.
    pub will: Option<ImportedWill>,
    /// The packet identifier that the broker used last, if one is known.
    pub last_packet_id: Option<PacketId>,
    /// The subscriptions. No filter is there twice.
    pub subscriptions: Vec<ImportedSubscription>,
    /// Sent to the client and not finished, in the order of sending. No packet identifier is there twice.
    pub inflight: Vec<ImportedInflight>,
    /// To be sent to the client after those in flight, oldest first.
    pub queued: Vec<ImportedDelivery>,
    /// QoS 2 messages from the client whose PUBREL has not come. Mosquitto hands a message on at the PUBREL: these have
    /// reached nobody. No packet identifier is there twice.
    pub incoming: Vec<ImportedIncoming>,
}

/// One subscription.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImportedSubscription {
    /// The whole filter with `$share/name/`, checked.
    pub filter: String,
    /// The granted QoS.
    pub qos: QoS,
    /// The option No Local.
    pub no_local: bool,
    /// The option Retain As Published.
    pub retain_as_published: bool,
    /// The Subscription Identifier.
    pub identifier: Option<u32>,
}

/// A message on its way to one client.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedDelivery {
    /// The message.
    pub message: Arc<ImportedMessage>,
    /// The QoS of this delivery.
    pub qos: QoS,
    /// The RETAIN flag of this delivery.
    pub retain: bool,
    /// The number of the group that the client was chosen from, if it shares the subscription. Mosquitto's files do not tell.
    pub group: Option<NonZeroU32>,
    /// The Subscription Identifiers that go with it.
    pub identifiers: Vec<u32>,
}

/// A delivery that has its packet identifier.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedInflight {
    /// The packet identifier, which the client may know.
    pub packet_id: PacketId,
    /// What is to be sent when the client comes back.
    pub state: InflightState,
    /// Whether the PUBLISH has been sent more than once.
    pub dup: bool,
    /// The message and how it is sent; never with QoS 0.
    pub delivery: ImportedDelivery,
}

/// What a delivery in flight waits for.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum InflightState {
    /// PUBACK or PUBREC: the PUBLISH is sent again.
    Publish,
    /// PUBCOMP: the client has the message, the PUBREL is sent again.
    PubRel,
}

/// A QoS 2 message that a client has sent and not released.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedIncoming {
    /// The packet identifier that the client will release.
    pub packet_id: PacketId,
    /// The message.
    pub message: Arc<ImportedMessage>,
}

/// A will and when it is due.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedWill {
    /// The message.
    pub message: Arc<ImportedMessage>,
    /// The Will Delay Interval.
    pub delay_seconds: u32,
    /// The Message Expiry Interval, from when it is published. Not in Mosquitto's files.
    pub expiry_seconds: Option<u32>,
    /// When it is due. `None`: the client was connected when the broker ended, so the delay has not begun.
    pub due_at_unix_millis: Option<u64>,
}

/// Who answers for a retained message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImportedOwner {
    /// The publisher's client identifier.
    pub client_id: String,
    /// Its user name.
    pub user_name: Option<String>,
    /// It is a part of the broker's own program.
    pub is_internal: bool,
    /// The rules that it is under, where listeners have rules of their own.
    pub realm: u32,
}

/// A message, once in memory however many clients wait for it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedMessage {
    /// The topic name, checked.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The properties that travel unchanged from publisher to subscriber, checked.
    pub properties: PropertyBuffer,
    /// The QoS that it was published with.
    pub qos: QoS,
    /// The RETAIN flag that it was published with.
    pub retain: bool,
    /// When the message expires.
    pub expires_unix_millis: Option<u64>,
}

/// Reads the file at `path`, whichever of the two formats it has. The broker that wrote it must have ended.
///
/// A database whose broker was killed has a write-ahead log beside it, which SQLite could only apply by writing: then
/// both are copied into a new folder below `scratch`, which is gone when this returns.
pub fn read(path: &Path, scratch: &Path) -> Result<Imported, ImportError> {
    read_either(path, scratch).map_err(|fault| ImportError::new(path, fault))
}

fn read_either(path: &Path, scratch: &Path) -> Result<Imported, ImportFault> {
    let mut file = File::open(path).map_err(ImportFault::Io)?;
    let mut first = Vec::new();
    file.by_ref().take(SQLITE_MAGIC.len() as u64).read_to_end(&mut first).map_err(ImportFault::Io)?;
    if first == SQLITE_MAGIC {
        drop(file);
        return read_persist_sqlite(path, scratch);
    }
    mosquitto_db::read(BufReader::with_capacity(1 << 16, first.chain(file)))
}

const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

#[cfg(feature = "import-sqlite")]
use persist_sqlite::read as read_persist_sqlite;

#[cfg(not(feature = "import-sqlite"))]
fn read_persist_sqlite(_: &Path, _: &Path) -> Result<Imported, ImportFault> {
    Err(ImportFault::Unsupported(
        "it is an SQLite database, and this sori was built without the feature import-sqlite".into(),
    ))
}

/// Reads a `mosquitto.db` from anywhere; `path` is its name in errors.
pub fn read_mosquitto_db(path: &Path, file: impl Read) -> Result<Imported, ImportError> {
    mosquitto_db::read(file).map_err(|fault| ImportError::new(path, fault))
}
