//! Records as bytes. Numbers are little endian; `varint` is the one of seven bits a byte, lowest first.

use crate::clocks::Run;
use crate::ids::SessionRef;
use crate::message::{MessageRef, Owner};
use crate::record::{BLOB_HEADER, Kind};
use crate::shared::GroupNumber;
use crate::time::Time;
use alloc::vec::Vec;
use sori_mqtt::{PacketId, QoS, SubscribeOptions};

/// Bit 2 of a delivery's flags: RETAIN.
pub(crate) const RETAIN: u8 = 0b100;
/// Bit 3, of what a session is owed: it was chosen from a group for it.
pub(crate) const SHARED: u8 = 0b1000;

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Bit 0 of the flags of a session's head: a will follows.
pub(crate) const HEAD_HAS_WILL: u8 = 0b01;
/// Bit 1: the broker's setting says when it ends.
pub(crate) const HEAD_EXPIRES_BY_SETTING: u8 = 0b10;

/// The flags of a session's head.
pub(crate) fn head_flags(has_will: bool, expires_by_setting: bool) -> u8 {
    (if has_will { HEAD_HAS_WILL } else { 0 }) | if expires_by_setting { HEAD_EXPIRES_BY_SETTING } else { 0 }
}

/// Bit 0 of a user's flags: it has a name.
pub(crate) const USER_HAS_NAME: u8 = 0b01;
/// Bit 1: a realm follows, because it is not 0.
pub(crate) const USER_HAS_REALM: u8 = 0b10;

/// The user name of a client, and the realm that it is under.
pub(crate) fn user(out: &mut Vec<u8>, name: Option<&str>, realm: u32) {
    out.push(if name.is_some() { USER_HAS_NAME } else { 0 } | if realm == 0 { 0 } else { USER_HAS_REALM });
    if let Some(name) = name {
        text(out, name);
    }
    if realm != 0 {
        out.extend_from_slice(&realm.to_le_bytes());
    }
}

pub(crate) fn time(out: &mut Vec<u8>, time: Time) {
    number(out, time.0);
}

/// How far the wall clock was ahead of the times of a run, which stood at `now` when that was seen.
pub(crate) fn clock(out: &mut Vec<u8>, run: Run, now: Time) {
    out.push(Kind::Clock as u8);
    number(out, run.after);
    number(out, run.ahead.cast_unsigned());
    time(out, now);
}

pub(crate) fn packet_id(out: &mut Vec<u8>, packet_id: PacketId) {
    out.extend_from_slice(&packet_id.value().to_le_bytes());
}

pub(crate) fn session(out: &mut Vec<u8>, session: SessionRef) {
    varint(out, u64::from(session.shard.0));
    varint(out, u64::from(session.slot));
    varint(out, u64::from(session.generation));
}

pub(crate) fn kind(out: &mut Vec<u8>, kind: Kind, of: SessionRef) {
    out.push(kind as u8);
    session(out, of);
}

pub(crate) fn delivery_flags(qos: QoS, retain: bool) -> u8 {
    qos as u8 | if retain { RETAIN } else { 0 }
}

/// How a session is owed a message.
pub(crate) fn delivery(
    out: &mut Vec<u8>,
    qos: QoS,
    retain: bool,
    group: Option<GroupNumber>,
    identifiers_of_it: &[u32],
) {
    out.push(delivery_flags(qos, retain) | if group.is_some() { SHARED } else { 0 });
    if let Some(group) = group {
        out.extend_from_slice(&group.0.get().to_le_bytes());
    }
    identifiers(out, identifiers_of_it);
}

pub(crate) fn identifiers(out: &mut Vec<u8>, identifiers: &[u32]) {
    varint(out, identifiers.len() as u64);
    for identifier in identifiers {
        varint(out, u64::from(*identifier));
    }
}

/// A message with what belongs to it, as it stands in the records: gives where it begins.
pub(crate) fn message(out: &mut Vec<u8>, message: &MessageRef<'_>) -> usize {
    out.push(Kind::Message as u8);
    let at = out.len();
    out.extend_from_slice(&[0; BLOB_HEADER]);
    message_body(out, message);
    let length = (out.len() - at - BLOB_HEADER) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    at
}

/// A message without the length in front.
pub(crate) fn message_body(out: &mut Vec<u8>, message: &MessageRef<'_>) {
    number(out, message.recorded.number);
    time(out, message.expires);
    out.push(delivery_flags(message.qos, message.retain));
    text(out, message.topic);
    varint(out, message.properties.len() as u64);
    out.extend_from_slice(message.properties);
    out.extend_from_slice(message.payload);
}

/// Who answers for a retained message.
pub(crate) fn owner(out: &mut Vec<u8>, owner: Option<&Owner>) {
    out.push(owner.map_or(0, |owner| 1 + u8::from(owner.identity.is_internal)));
    if let Some(owner) = owner {
        text(out, &owner.client_id);
        user(out, owner.identity.user_name.as_deref(), owner.identity.realm);
    }
}

pub(crate) fn subscription(
    out: &mut Vec<u8>,
    of: SessionRef,
    filter: &str,
    options: SubscribeOptions,
    identifier: u32,
) {
    kind(out, Kind::Subscribed, of);
    text(out, filter);
    // As in SUBSCRIBE: bits 0 and 1 QoS, bit 2 No Local, bit 3 Retain As Published.
    out.push(options.qos as u8 | u8::from(options.no_local) << 2 | u8::from(options.retain_as_published) << 3);
    varint(out, u64::from(identifier));
}

pub(crate) fn will(out: &mut Vec<u8>, message: &MessageRef<'_>, delay_seconds: u32, expiry_seconds: Option<u32>) {
    let mut body = Vec::new();
    message_body(&mut body, message);
    will_body(out, &body, delay_seconds, expiry_seconds);
}

/// The same of a message that is encoded already.
pub(crate) fn will_body(out: &mut Vec<u8>, body: &[u8], delay_seconds: u32, expiry_seconds: Option<u32>) {
    out.extend_from_slice(&delay_seconds.to_le_bytes());
    number(out, expiry_seconds.map_or(u64::MAX, u64::from));
    varint(out, body.len() as u64);
    out.extend_from_slice(body);
}
