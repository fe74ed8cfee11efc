//! The conformance tests of the broker, written from the MQTT standard and not from the code: one module per area, one
//! test per requirement, the requirement's number in its name or in the `covers:` line above it. Each runs on one
//! shard and on three, in virtual time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod attacks;
mod broker;
mod connack;
mod connect;
mod counters;
mod delivery;
mod disconnect;
mod dismissed;
mod endings;
mod enhanced_auth;
mod events;
mod faults;
mod flow_control;
mod groups_on_disk;
mod held;
mod in_parts;
mod information;
mod introductions;
mod keep_alive;
mod large_sessions;
mod later;
mod leavers;
mod limits;
mod lone;
mod message_expiry;
mod moves;
mod on_disk;
mod overlapping;
mod packet_size;
mod properties;
mod publish;
mod random;
mod random_walk;
mod reading;
mod records;
mod retained;
mod review;
mod sessions;
mod shared;
mod streak;
mod subscribe;
mod topic_alias;
mod turns;
mod wills;
mod wire;
