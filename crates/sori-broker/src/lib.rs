//! What an MQTT broker decides: sessions, subscriptions, routing, retained messages, wills, for MQTT 3.1, 3.1.1 and 5.0.
//!
//! Bytes, mail and the time go in; bytes, mail and effects come out. This crate opens no socket, reads no clock, starts
//! no thread, holds no lock and touches no disk: who wants a running broker uses `sori-server`, and who wants to see one
//! under a bad network and a fast clock uses `sori-sim`, which drives the very same code. One seed, one run.
//!
//! Each rule of the two OASIS standards stands once, with its number beside the line that keeps it: search for
//! `[MQTT-3.1.2-22]` to find the rule, its code and its tests.
//!
//! # The types
//!
//! - [`Shard`] owns sessions: their subscriptions, queues, messages in flight, wills and deadlines. A broker has one or
//!   more; a session never leaves its shard, and a connection moves to its session's shard when it says CONNECT.
//! - [`Space`] is what shards share: the [`SubscriptionIndex`], the [`Registry`] of client identifiers and the
//!   [`Retained`] messages. [`PlainSpace`] is one for a single thread.
//! - [`Access`] answers who may come in and who may do what; [`OpenAccess`] says yes.
//! - [`Settings`] and [`ListenerSettings`] are what an operator can choose, as plain data.
//! - [`Effect`] is what a shard asks its surroundings to do, and [`Event`] what it has to tell to people.
//!
//! # A turn
//!
//! Whoever drives a shard works in turns: give it all inputs that there are, then take its outputs until there are none.
//!
//! ```
//! use std::sync::Arc;
//! use sori_broker::{Cause, Effect, ListenerSettings, OpenAccess, PlainSpace, Settings, Shard, ShardId, Time};
//!
//! let (settings, space, access) = (Arc::new(Settings::default()), Arc::new(PlainSpace::default()), Arc::new(OpenAccess));
//! let mut shard = Shard::new(ShardId(0), 1, settings, space, access, 42, Time(0));
//! let now = Time(1_000);
//!
//! // Inputs: a connection, and on it the CONNECT of an MQTT 3.1.1 client "a" with a Keep Alive of 60 seconds.
//! let connection = shard.open(now, Arc::new(ListenerSettings::default()), "127.0.0.1:50000");
//! shard.receive(now, connection, b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a");
//!
//! // Outputs. A socket may take less than it is offered; what was not `sent` is offered again.
//! let mut socket = Vec::new();
//! while let Some(connection) = shard.next_flush() {
//!     let output: Vec<_> = shard.output(connection).collect();
//!     socket.extend(output.concat());
//!     shard.sent(now, connection, socket.len());
//! }
//! assert_eq!(socket, [0x20, 2, 0, 0], "CONNACK");
//! // Mail goes into the inbox of its shard, where it stays in order.
//! while let Some((to, _mail)) = shard.next_mail() {
//!     unreachable!("this broker has one shard, and not {to:?}");
//! }
//! shard.mail_posted();
//! while let Some(effect) = shard.next_effect() {
//!     match effect {
//!         Effect::Event(event) => println!("{event:?}"),
//!         Effect::Close(connection) => shard.closed(now, connection, Cause::Network("closed".into())),
//!         // Bytes that the first connection's socket has received would be given to `receive` before this.
//!         Effect::Drain { then, .. } => shard.drained(now, then),
//!         Effect::TakeMail { then } => shard.drained(now, then),
//!         Effect::Fetch(fetch) => unreachable!("nothing lies in a store: {fetch:?}"),
//!         Effect::Move { to, .. } => unreachable!("there is no {to:?}"),
//!     }
//! }
//! // Nothing is left to do until the client has been silent for one and a half times its Keep Alive.
//! assert_eq!(shard.next_deadline(), Some(Time(1_000 + 90_000)));
//! ```
//!
//! # When something is wrong
//!
//! Nothing here returns an error. What a client does wrong ends that client's connection, with the reason code that the
//! standard has for it, and is told as an [`Event`]. What is too much is dropped by the policy that [`Settings`] name,
//! and counted in [`Totals`]. A panic is a defect of this crate, whatever the bytes were.
//!
//! Read on in [`Shard`], whose methods stand in the order of a turn.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod access;
mod acknowledging;
mod aliases;
mod answer_row;
mod answering;
mod authenticating;
mod budget;
mod census;
mod checkpointing;
mod client_ids;
mod clocks;
mod connecting;
mod connection;
mod delivery;
mod ending;
mod event;
mod expiring;
mod explaining;
mod fetching;
mod handing;
mod handoff;
mod holding;
mod ids;
mod in_parts;
mod index;
mod latest;
mod leaving;
mod line;
mod looks;
mod mail;
mod marking;
mod matches;
mod memory;
mod message;
mod offline;
mod output;
mod overview;
mod passing_over;
mod places;
mod publishing;
mod queue;
mod random;
mod reading;
mod reads;
mod receiving;
mod record;
mod recorder;
mod recovered;
mod registry;
mod restoring;
mod retained;
mod routing;
mod row;
mod run;
mod sending;
mod session;
mod settings;
mod shard;
mod shared;
mod slab;
mod small_table;
mod space;
mod spilling;
mod stored_line;
mod streak;
mod subscribers;
mod subscribing;
mod subscription;
mod table;
mod taken;
mod time;
mod timers;
mod tokens;
mod totals;
mod unreleased;
mod waiting;
mod walk;
mod wills;

pub use access::{Access, Action, Exchange, Identity, Login, OpenAccess, Step, Verdict};
pub use census::Census;
pub use clocks::Clocks;
pub use event::{Cause, Effect, Event};
pub use fetching::Fetch;
pub use handoff::Handoff;
pub use ids::{ConnectionId, SessionRef, ShardId};
pub use index::SubscriptionIndex;
pub use mail::Mail;
pub use memory::{Forget, MemoryUse};
pub use message::{Message, MessageRef, Owner, Recorded, Wire};
pub use offline::{PlainDelivery, PlainMessage, PlainSession, PlainWill, RecordsWriter};
pub use overview::SessionView;
pub use publishing::is_reserved;
pub use record::read::RecordError;
pub use record::{CheckpointOrder, Records, RecordsStep};
pub use recovered::{ReadMessage, Recovered, RecoveredSession, Rewriter};
pub use registry::Registry;
pub use retained::{Retained, RetainedMessage};
pub use settings::{Introduction, ListenerSettings, QueueFull, Settings, VersionSet};
pub use shard::Shard;
pub use space::{PlainSpace, Space, StoreState};
pub use time::Time;
pub use totals::Totals;
