//! Messages to functions, by patterns of topics.
//!
//! ```no_run
//! use serde::Deserialize;
//! use sori_client::Client;
//! use sori_client::router::{Json, Name, Router, Text};
//!
//! #[derive(Deserialize)]
//! struct Reading {
//!     celsius: f64,
//! }
//!
//! async fn temperature(Name(room): Name, Json(reading): Json<Reading>) {
//!     println!("{room}: {} °C", reading.celsius);
//! }
//!
//! # async fn run() -> Result<(), sori_client::Error> {
//! let client = Client::connect("mqtt://localhost").await?;
//! Router::new()
//!     .route("sensors/{room}/temperature", temperature)
//!     .route("devices/{id}/status", |Name(id): Name<u32>, Text(status)| async move { println!("{id} is {status}") })
//!     .route_blocking("logs/{path..}", |Name(path): Name, Text(line)| std::fs::write(path.replace('/', "-"), line))
//!     .run(&client)
//!     .await
//! # }
//! ```
//!
//! # Patterns
//!
//! `{name}` stands for one level, `{name..}` for the rest of the topic, also for none. The router subscribes to the filters
//! that they are in MQTT (`sensors/+/temperature`, `logs/#`). **The first pattern that matches takes the message**, so special
//! ones stand before general ones.
//!
//! # Handlers
//!
//! A handler is a function of parts of the message: [`Name`] (the pattern's names, in their order, parsed to any type that
//! reads from text), [`Topic`], [`Bytes`], [`Text`], [`Json`], [`UserProperties`], [`ContentType`], [`ReplyTo`], or the whole
//! [`Message`]. Your own types can be parts, too ([`FromMessage`]). It gives nothing, or a `Result`.
//!
//! Handlers run one after another, in the order of the messages. A blocking one ([`Router::route_blocking`]) runs in a thread
//! for such work, so it holds up this router and nothing else. Who wants more at a time spawns tasks.
//!
//! # What goes wrong
//!
//! A handler that fails or panics, and a message that has not the parts which its handler wants, are counted
//! ([`Router::failed`]) and told, as is a message that no pattern matches ([`Router::unmatched`]): on standard error, or to your
//! functions ([`Router::on_failure`], [`Router::on_unmatched`]). The router goes on. With
//! [`Router::acknowledge_when_handled`] a message whose handler failed is not acknowledged.
//!
//! Handlers are tested without a server: [`Router::dispatch`] takes a message made of a [`Publish`](crate::Publish).

mod extract;
mod handler;
mod pattern;
mod running;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::message::Message;

use pattern::Pattern;
use sori_mqtt::QoS;

pub use extract::{Bytes, ContentType, FromMessage, Incoming, Json, Name, ReplyTo, Text, Topic, UserProperties};
pub use handler::{BlockingHandler, BlockingWork, BoxError, Handler, Outcome, Work};

/// Routes from patterns to handlers.
pub struct Router {
    routes: Vec<Route>,
    /// The first pattern that was wrong, and why.
    mistake: Option<(String, String)>,
    qos: QoS,
    shared: Option<String>,
    acknowledges_when_handled: bool,
    on_failure: Box<dyn Fn(&Failure) + Send + Sync>,
    on_unmatched: Box<dyn Fn(&Message) + Send + Sync>,
    handled: AtomicU64,
    failed: AtomicU64,
    unmatched: AtomicU64,
}

struct Route {
    pattern: Pattern,
    begin: Begin,
}

type TakeApart<W> = Box<dyn Fn(Incoming<'_>) -> Result<W, String> + Send + Sync>;

/// Takes a message apart for its handler.
enum Begin {
    Async(TakeApart<Work>),
    Blocking(TakeApart<BlockingWork>),
}

/// A message that was not dealt with.
#[derive(Debug)]
pub struct Failure {
    /// Its topic.
    pub topic: String,
    /// The pattern whose handler it was for.
    pub pattern: String,
    /// Why.
    pub reason: FailureReason,
}

/// Why a message was not dealt with.
#[derive(Debug)]
#[non_exhaustive]
pub enum FailureReason {
    /// It has not the parts that the handler wants.
    Parts(String),
    /// The handler gave an error.
    Handler(BoxError),
    /// The handler panicked; what it said.
    Panic(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message for \"{}\", route \"{}\": ", self.topic, self.pattern)?;
        match &self.reason {
            FailureReason::Parts(text) => f.write_str(text),
            FailureReason::Handler(error) => write!(f, "the handler failed: {error}"),
            FailureReason::Panic(text) => write!(f, "the handler panicked: {text}"),
        }
    }
}

impl std::error::Error for Failure {}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// Its handler has dealt with it.
    Handled,
    /// Its handler could not.
    Failed,
    /// No pattern matches.
    Unmatched,
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl Router {
    /// No routes; QoS 1; failures and messages without a route are told on standard error.
    #[must_use]
    pub fn new() -> Self {
        Self {
            routes: Vec::new(),
            mistake: None,
            qos: QoS::AtLeastOnce,
            shared: None,
            acknowledges_when_handled: false,
            on_failure: Box::new(|failure| eprintln!("{failure}")),
            on_unmatched: Box::new(|message| eprintln!("message for \"{}\": no route", message.topic())),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unmatched: AtomicU64::new(0),
        }
    }

    /// Messages of this pattern go to this asynchronous handler. A wrong pattern is told by [`run`](Self::run).
    #[must_use]
    pub fn route<H: Handler<Parts>, Parts: 'static>(self, pattern: &str, handler: H) -> Self {
        self.add(pattern, H::NAMES, Begin::Async(Box::new(move |incoming| handler.begin(incoming))))
    }

    /// The same with a blocking handler.
    #[must_use]
    pub fn route_blocking<H: BlockingHandler<Parts>, Parts: 'static>(self, pattern: &str, handler: H) -> Self {
        self.add(pattern, H::NAMES, Begin::Blocking(Box::new(move |incoming| handler.begin(incoming))))
    }

    fn add(mut self, text: &str, names: usize, begin: Begin) -> Self {
        let parsed = Pattern::parse(text).and_then(|pattern| match pattern.names() {
            there if there < names => Err(format!("the handler wants {names} names, and it has {there}")),
            _ => Ok(pattern),
        });
        match parsed {
            Ok(pattern) => self.routes.push(Route { pattern, begin }),
            Err(why) => {
                self.mistake.get_or_insert((text.to_owned(), why));
            }
        }
        self
    }

    /// The highest QoS that messages come with. The default is 1.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// The routers of several programs with the same group share the messages among them (Shared Subscriptions).
    #[must_use]
    pub fn shared(mut self, group: impl Into<String>) -> Self {
        self.shared = Some(group.into());
        self
    }

    /// Messages are acknowledged when their handler has dealt with them, and not when they come in: those that it failed
    /// with, or that a crash interrupted, come again after the next reconnect.
    #[must_use]
    pub fn acknowledge_when_handled(mut self, when_handled: bool) -> Self {
        self.acknowledges_when_handled = when_handled;
        self
    }

    /// Who is told of failures.
    #[must_use]
    pub fn on_failure(mut self, tell: impl Fn(&Failure) + Send + Sync + 'static) -> Self {
        self.on_failure = Box::new(tell);
        self
    }

    /// Who is told of messages that no pattern matches.
    #[must_use]
    pub fn on_unmatched(mut self, tell: impl Fn(&Message) + Send + Sync + 'static) -> Self {
        self.on_unmatched = Box::new(tell);
        self
    }

    /// How many messages handlers have dealt with.
    #[must_use]
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// How many messages failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many messages no pattern matched.
    #[must_use]
    pub fn unmatched(&self) -> u64 {
        self.unmatched.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.routes.iter().map(|route| &route.pattern.text);
        f.debug_list().entries(patterns).finish()
    }
}

#[cfg(test)]
mod tests;
