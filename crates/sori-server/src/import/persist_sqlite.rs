//! The database of Mosquitto's persist-sqlite plugin, schema versions 1.0 and 1.1.
//!
//! ```text
//! version_info   component 'database_schema', major, minor, patch
//! base_msgs      store_id, expiry_time, topic, payload, qos, retain, properties (JSON), ...
//! retains        topic, store_id
//! clients        client_id, username, will_delay_time, session_expiry_time, session_expiry_interval,
//!                will_delay_interval, ...
//! subscriptions  client_id, topic, subscription_options, subscription_identifier
//! client_msgs    client_id, store_id, dup, direction, mid, qos, retain, state, subscription_identifier, ...
//! wills          client_id, topic, payload, qos, retain, properties (since 1.1)
//! ```
//!
//! Rows are read in the order of their `rowid`, which is the order in which they came. The columns are cast, because
//! SQLite lets any column hold any type; topics most of all, which the plugin declares as `STRING`, so that SQLite
//! takes what looks like a number for one. Intervals of 32 bits stand there with a sign.

mod block_on;
mod pages;
mod properties;
mod snapshot;
#[cfg(test)]
mod tests;

use super::chunk::SECONDS_MAX;
use super::collector::{
    Collector, DeliveryEntry, MessageEntry, SessionEntry, SubscriptionEntry, UnknownClient, WillEntry,
};
use super::remarks::Reason;
use super::{ImportFault, Imported, Place};
use block_on::block_on;
use pages::{Row, for_each_row};
use properties::PropertiesOf;
use snapshot::Snapshot;
use sori_mqtt::PropertyBuffer;
use sqlx::{ConnectOptions, SqliteConnection};
use std::path::Path;

pub(super) fn read(path: &Path, scratch: &Path) -> Result<Imported, ImportFault> {
    let snapshot = Snapshot::of(path, scratch).map_err(ImportFault::Io)?;
    block_on(async {
        let options = snapshot.options().disable_statement_logging();
        let mut database = options.connect().await.map_err(fault)?;
        let imported = import(&mut database).await;
        // The thread of the connection ends before the snapshot goes away.
        sqlx::Connection::close(database).await.map_err(fault)?;
        imported
    })
}

async fn import(database: &mut SqliteConnection) -> Result<Imported, ImportFault> {
    check_integrity(database).await?;
    let has_wills = has_wills(database).await?;
    let mut collector = Collector::new(UnknownClient::LeftOut);
    messages(database, &mut collector).await?;
    for_each_row(database, "retains", RETAINS, |row| {
        collector.add_retained(row.number(1)?, row.place());
        Ok(())
    })
    .await?;
    for_each_row(database, "clients", CLIENTS, |row| client(&mut collector, row)).await?;
    for_each_row(database, "subscriptions", SUBSCRIPTIONS, |row| subscription(&mut collector, row)).await?;
    for_each_row(database, "client_msgs", CLIENT_MSGS, |row| delivery(&mut collector, row)).await?;
    if has_wills {
        wills(database, &mut collector).await?;
    }
    Ok(collector.finish())
}

/// What SQLite says about a database that it cannot read.
fn fault(error: sqlx::Error) -> ImportFault {
    match error {
        sqlx::Error::Io(error) => ImportFault::Io(error),
        other => ImportFault::damaged(Place::Database, other.to_string()),
    }
}

async fn check_integrity(database: &mut SqliteConnection) -> Result<(), ImportFault> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(database).await.map_err(fault)?;
    if verdict == "ok" { Ok(()) } else { Err(ImportFault::damaged(Place::Database, verdict)) }
}

/// Whether the schema has the table `wills`, if it is one of the plugin's that are known.
async fn has_wills(database: &mut SqliteConnection) -> Result<bool, ImportFault> {
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('base_msgs', 'version_info')",
    )
    .fetch_one(&mut *database)
    .await
    .map_err(fault)?;
    if tables != 2 {
        return Err(ImportFault::Unsupported(
            "it is an SQLite database, and not one of the plugin persist-sqlite".into(),
        ));
    }
    let version = sqlx::query_as::<_, (i64, i64)>(
        "SELECT CAST(major AS INTEGER), CAST(minor AS INTEGER) FROM version_info WHERE component = 'database_schema'",
    );
    match version.fetch_optional(database).await.map_err(fault)? {
        Some((1, minor @ 0..=1)) => Ok(minor == 1),
        Some((major, minor)) => Err(ImportFault::Unsupported(format!(
            "its schema version is {major}.{minor}, and this sori knows 1.0 and 1.1; a newer sori may read it"
        ))),
        None => Err(ImportFault::Unsupported("it does not tell the version of its schema".into())),
    }
}

const BASE_MSGS: &str = "CAST(store_id AS INTEGER), CAST(expiry_time AS INTEGER), CAST(CAST(topic AS TEXT) AS BLOB), \
    CAST(payload AS BLOB), CAST(qos AS INTEGER), CAST(retain AS INTEGER), typeof(topic) = 'text'";
const RETAINS: &str = "CAST(store_id AS INTEGER)";
const CLIENTS: &str = "CAST(client_id AS BLOB), CAST(username AS BLOB), CAST(session_expiry_time AS INTEGER), \
    CAST(session_expiry_interval AS INTEGER)";
const SUBSCRIPTIONS: &str = "CAST(client_id AS BLOB), CAST(topic AS BLOB), CAST(subscription_options AS INTEGER), \
    CAST(subscription_identifier AS INTEGER)";
const CLIENT_MSGS: &str = "CAST(client_id AS BLOB), CAST(store_id AS INTEGER), CAST(dup AS INTEGER), \
    CAST(direction AS INTEGER), CAST(mid AS INTEGER), CAST(qos AS INTEGER), CAST(retain AS INTEGER), \
    CAST(state AS INTEGER), CAST(subscription_identifier AS INTEGER)";
const WILLS: &str = "CAST(client_id AS BLOB), CAST(CAST(topic AS TEXT) AS BLOB), CAST(payload AS BLOB), \
    CAST(qos AS INTEGER), CAST(retain AS INTEGER), typeof(topic) = 'text', \
    (SELECT CAST(will_delay_interval AS INTEGER) FROM clients WHERE clients.client_id = wills.client_id), \
    (SELECT CAST(will_delay_time AS INTEGER) FROM clients WHERE clients.client_id = wills.client_id)";

async fn messages(database: &mut SqliteConnection, collector: &mut Collector) -> Result<(), ImportFault> {
    let mut properties = PropertiesOf::table(database, "base_msgs").await?;
    for_each_row(database, "base_msgs", BASE_MSGS, |row| {
        let entry = MessageEntry {
            store_id: row.number(1)?,
            expires_seconds: row.seconds(2)?,
            topic: row.bytes(3)?,
            payload: row.bytes(4)?,
            qos: row.small(5)?,
            retain: row.is_set(6)?,
            properties: properties.take(row)?,
        };
        remark_number(collector, row, 7)?;
        collector.add_message(entry, row.place())
    })
    .await
}

fn client(collector: &mut Collector, row: &Row<'_>) -> Result<(), ImportFault> {
    let entry = SessionEntry {
        client_id: row.bytes(1)?,
        user_name: Some(row.bytes(2)?).filter(|user_name| !user_name.is_empty()),
        ends_at_seconds: row.seconds(3)?,
        expiry_seconds: row.unsigned(4)?,
        ..SessionEntry::default()
    };
    collector.add_session(&entry, row.place());
    Ok(())
}

fn subscription(collector: &mut Collector, row: &Row<'_>) -> Result<(), ImportFault> {
    let entry = SubscriptionEntry {
        client_id: row.bytes(1)?,
        filter: row.bytes(2)?,
        options: row.small(3)?,
        identifier: row.unsigned(4)?,
    };
    collector.add_subscription(&entry, row.place())
}

fn delivery(collector: &mut Collector, row: &Row<'_>) -> Result<(), ImportFault> {
    let packet_id = row.number(5)?;
    let packet_id = u16::try_from(packet_id).map_err(|_| row.fault(&format!("packet identifier {packet_id}")))?;
    let entry = DeliveryEntry {
        client_id: row.bytes(1)?,
        store_id: row.number(2)?,
        dup: row.is_set(3)?,
        direction: row.small(4)?,
        packet_id,
        qos: row.small(6)?,
        retain: row.is_set(7)?,
        state: row.small(8)?,
        identifiers: Some(row.unsigned(9)?).into_iter().filter(|identifier| *identifier != 0).collect(),
    };
    if entry.direction == OUTGOING {
        collector.note_last_packet_id(entry.client_id, packet_id);
    }
    collector.add_delivery(entry, row.place())
}

const OUTGOING: u8 = 1;

async fn wills(database: &mut SqliteConnection, collector: &mut Collector) -> Result<(), ImportFault> {
    let mut properties = PropertiesOf::table(database, "wills").await?;
    for_each_row(database, "wills", WILLS, |row| {
        let message = MessageEntry {
            store_id: 0,
            expires_seconds: None,
            topic: row.bytes(2)?,
            payload: row.bytes(3)?,
            qos: row.small(4)?,
            retain: row.is_set(5)?,
            properties: properties.take(row)?,
        };
        remark_number(collector, row, 6)?;
        let entry = WillEntry {
            client_id: row.bytes(1)?,
            message,
            delay_seconds: row.unsigned(7)?,
            due_at_seconds: row.seconds(8)?,
        };
        collector.add_will(entry, row.place())
    })
    .await
}

fn remark_number(collector: &mut Collector, row: &Row<'_>, column: usize) -> Result<(), ImportFault> {
    if !row.is_set(column)? {
        collector.remark(Reason::TopicWasNumber, row.place());
    }
    Ok(())
}
