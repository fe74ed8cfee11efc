//! What an MQTT broker decides: sessions, subscriptions, routing, retained messages, wills, for MQTT 3.1, 3.1.1 and 5.0.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod access;
mod acknowledging;
mod aliases;
mod authenticating;
mod connecting;
mod connection;
mod delivery;
mod event;
mod handoff;
mod ids;
mod index;
mod leaving;
mod mail;
mod matches;
mod memory;
mod message;
mod publishing;
mod random;
mod reading;
mod receiving;
mod registry;
mod retained;
mod routing;
mod sending;
mod session;
mod settings;
mod shard;
mod shared;
mod space;
mod subscribers;
mod subscribing;
mod subscription;
mod time;
mod timers;
mod tokens;
mod totals;
mod wills;

pub use access::{Access, Action, Exchange, Identity, Login, OpenAccess, Step, Verdict};
pub use event::{Cause, Effect, Event};
pub use handoff::Handoff;
pub use ids::{ConnectionId, SessionRef, ShardId};
pub use index::SubscriptionIndex;
pub use mail::Mail;
pub use memory::MemoryUse;
pub use message::{Message, MessageRef};
pub use registry::Registry;
pub use retained::Retained;
pub use settings::{ListenerSettings, QueueFull, Settings, VersionSet};
pub use shard::Shard;
pub use space::{PlainSpace, Space};
pub use time::Time;
pub use totals::Totals;
