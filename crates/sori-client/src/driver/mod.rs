//! The client without I/O: bytes in, bytes out, time as an argument.
//!
//! Here is everything that is decided: when to connect, what to send again, which queue a message goes to, who may go on. A
//! shell around it (the library's own one is a task of tokio's) owns the socket and does what the driver says.
//!
//! # The contract
//!
//! 1. [`poll_step`](Driver::poll_step) says when to open a connection and when all is over.
//! 2. While one is being opened: [`opened`](Driver::opened) or [`open_failed`](Driver::open_failed) tell how it went.
//! 3. While it is there: [`received`](Driver::received) takes bytes, as long as it [wants any](Driver::wants_input);
//!    [`take_output`](Driver::take_output) gives bytes; [`closed`](Driver::closed) says that it is gone.
//! 4. After each of them [`link`](Driver::link) tells whether the connection goes on, and
//!    [`deadline`](Driver::deadline) when [`handle_timeout`](Driver::handle_timeout) is to be called at the latest.
//! 5. Whoever waits is woken with [`take_wakes`](Driver::take_wakes), when nothing is locked.

mod authenticating;
mod connection;
mod events;
mod filters;
#[cfg(feature = "store")]
mod keeping;
mod publishing;
mod replies;
mod streams;
mod wakes;
mod watching;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sori_mqtt::ClientSession;
use sori_mqtt::client_session::{Event, Token};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::options::Options;
use crate::reconnect::{Backoff, Random};

use authenticating::Authentication;
use events::Events;
use filters::Filters;
use publishing::Slot;
use replies::Replies;
use streams::Streams;
use wakes::{Waiters, Wakes};
use watching::Watchers;

pub(crate) use streams::Due;

/// The last words to a server that does not read are not waited for longer than this.
const LAST_WORDS_MAX: Duration = Duration::from_secs(2);

/// One client: its session, its subscriptions, its plans.
pub(crate) struct Driver {
    options: Options,
    session: ClientSession,
    now: Duration,
    stage: Stage,
    backoff: Backoff,
    /// The first attempt decides: its failure is the end.
    first_must_succeed: bool,
    /// There was a connection that the server accepted.
    was_connected: bool,
    /// Since when the server has accepted this one.
    connected_at: Option<Duration>,
    /// Why this connection comes to its end.
    cause: Option<Error>,
    /// Closing was asked for; until then messages are still delivered.
    closing: Option<Duration>,
    /// Messages that closing left undelivered.
    undelivered: usize,
    end: Option<Option<Arc<Error>>>,
    handles: usize,
    receipts: BTreeMap<Token, Slot>,
    #[cfg(feature = "store")]
    kept: keeping::Kept,
    authentication: Authentication,
    streams: Streams,
    filters: Filters,
    replies: Replies,
    watchers: Watchers,
    room: Waiters,
    /// Those who wait for a connection, for answers, for the end.
    changes: Waiters,
    io: Option<Waker>,
    wakes: Wakes,
    /// What happens is told, and not sorted.
    events: Option<Events>,
}

/// Where the driver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No connection until then.
    Waiting { at: Duration },
    /// The shell opens one.
    Opening { since: Duration },
    /// It is there.
    Open,
    /// Its last words are being written; with `is_last`, those of the client.
    Closing { since: Duration, is_last: bool },
    /// All is over.
    Ended,
}

/// What the shell is to do next, when it has no connection.
pub(crate) enum Step {
    Open(Endpoint),
    End,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Keep,
    /// Write the output, then close it.
    Finish,
    /// Close it.
    Drop,
}

impl Driver {
    pub(crate) fn new(mut options: Options, first_must_succeed: bool) -> Result<Self, Error> {
        options.load()?;
        #[cfg(feature = "store")]
        let mut kept = keeping::Kept::open(&options)?;
        let connect_options = options.connect_options()?;
        #[cfg(feature = "store")]
        let connect_options = kept.prepare(connect_options);
        let mut session = ClientSession::new(connect_options)?;
        session.hold_messages(true);
        #[cfg(feature = "store")]
        kept.go_on(&mut session);
        let mut random = Random::new(options.seed);
        let backoff = Backoff::new(options.reconnect.clone(), Random::new(random.next()));
        let replies = Replies::new(random.next());
        Ok(Self {
            session,
            now: Duration::ZERO,
            stage: Stage::Waiting { at: Duration::ZERO },
            backoff,
            first_must_succeed,
            was_connected: false,
            connected_at: None,
            cause: None,
            closing: None,
            undelivered: 0,
            end: None,
            handles: 0,
            receipts: BTreeMap::new(),
            #[cfg(feature = "store")]
            kept,
            authentication: Authentication::default(),
            streams: Streams::new(options.incoming_bytes_max, !options.session.clean_start),
            filters: Filters::default(),
            replies,
            watchers: Watchers::default(),
            room: Waiters::default(),
            changes: Waiters::default(),
            io: None,
            wakes: Wakes::default(),
            events: None,
            options,
        })
    }

    /// What to do without a connection; whoever asks is woken when that changes.
    pub(crate) fn poll_step(&mut self, now: Duration, cx: &Context<'_>) -> Poll<Step> {
        self.now = now;
        match self.stage {
            Stage::Ended => return Poll::Ready(Step::End),
            Stage::Waiting { at } if now >= at => {
                self.begin_attempt();
                return Poll::Ready(Step::Open(self.options.endpoint.clone()));
            }
            _ => {}
        }
        self.park_io(cx);
        Poll::Pending
    }

    /// What becomes of the connection, or of the attempt to open one.
    pub(crate) fn link(&self) -> Link {
        match self.stage {
            Stage::Opening { .. } | Stage::Open => Link::Keep,
            Stage::Closing { .. } => Link::Finish,
            Stage::Waiting { .. } | Stage::Ended => Link::Drop,
        }
    }

    /// The shell sleeps until it is woken.
    pub(crate) fn park_io(&mut self, cx: &Context<'_>) {
        self.wakes.park(&mut self.io, cx);
    }

    /// There is something for the shell to do.
    fn wake_io(&mut self) {
        self.wakes.take_from(&mut self.io);
    }

    /// Bytes came from the server.
    pub(crate) fn received(&mut self, now: Duration, bytes: &[u8]) {
        self.now = now;
        self.tell_received(bytes);
        self.session.receive(now, bytes);
        self.drain();
    }

    /// Whether to read from the connection.
    pub(crate) fn wants_input(&self) -> bool {
        self.stage == Stage::Open && !self.is_held_back()
    }

    /// A full queue holds the connection back, as long as nobody waits for anything else from it.
    fn is_held_back(&self) -> bool {
        if self.events.is_some() {
            return self.has_too_many_events();
        }
        self.streams.has_full()
            && self.closing.is_none()
            && self.session.unfinished() == 0
            && !self.filters.is_asking()
            && !self.replies.is_waiting()
            && !self.streams.has_waiting()
    }

    /// Takes the bytes for the server; `buffer` gets them, and what it held is forgotten.
    pub(crate) fn take_output(&mut self, buffer: &mut Vec<u8>) {
        #[cfg(feature = "store")]
        self.kept.follow(self.now, &mut self.session);
        self.session.take_output(buffer);
        self.tell_sent(buffer);
        if !buffer.is_empty() {
            // Output counts as waiting until it is taken.
            self.room.wake_all(&mut self.wakes);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let of_stage = match self.stage {
            Stage::Waiting { at } => Some(at),
            Stage::Opening { since } => Some(since + self.options.connect_timeout),
            Stage::Open => self.session.deadline(),
            Stage::Closing { since, .. } => Some(since + LAST_WORDS_MAX),
            Stage::Ended => return None,
        };
        #[cfg(feature = "store")]
        let of_store = self.kept.deadline(self.now);
        #[cfg(not(feature = "store"))]
        let of_store = None;
        let others = [self.closing, self.replies.deadline(), self.streams.deadline(), of_store];
        others.into_iter().chain([of_stage]).flatten().min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        self.expire_requests();
        self.release_unclaimed();
        #[cfg(feature = "store")]
        self.kept.handle_timeout(now);
        match self.stage {
            Stage::Opening { since } if now >= since + self.options.connect_timeout => self.open_timed_out(),
            Stage::Open => {
                if self.is_held_back() {
                    self.session.not_reading(now);
                }
                if let Err(error) = self.session.handle_timeout(now) {
                    self.connection_failed(error);
                }
            }
            Stage::Closing { since, .. } if now >= since + LAST_WORDS_MAX => self.closed(now, None),
            _ => {}
        }
        if self.closing.is_some_and(|until| now >= until) {
            self.closing = Some(Duration::MAX);
            self.close_now();
        }
        self.drain();
    }

    /// Takes what the session has to tell, to the last event.
    fn drain(&mut self) {
        if self.events.is_some() {
            return self.drain_events();
        }
        while !self.authentication.is_asking() {
            let connection = self.session.connection();
            match self.session.poll_event() {
                Ok(None) => break,
                Ok(Some(Event::Message(publish))) => {
                    let taken = self.streams.deliver(&publish, connection, self.now, &self.filters, &mut self.wakes);
                    self.delivered(taken);
                }
                Ok(Some(Event::Published { token, outcome, properties })) => {
                    let reason = properties.reason_string().map(str::to_owned);
                    self.published(token, outcome, reason);
                }
                Ok(Some(Event::Subscribed { token, reason_codes, properties })) => {
                    let reason_code = reason_codes.iter().next();
                    let reason = properties.reason_string().map(str::to_owned);
                    self.subscribed(token, reason_code, reason);
                }
                Ok(Some(Event::Unsubscribed { token, .. })) => self.unsubscribed(token),
                Ok(Some(Event::RequestLost { token })) => self.request_lost(token),
                Ok(Some(Event::Connected { session_present, properties })) => {
                    let data = properties.authentication_data().map(<[u8]>::to_vec);
                    self.let_in(session_present, data);
                }
                Ok(Some(Event::Challenge { data, .. })) => {
                    let data = data.map(<[u8]>::to_vec);
                    self.challenged(data);
                }
                Ok(Some(Event::Authenticated { properties })) => {
                    let data = properties.authentication_data().map(<[u8]>::to_vec);
                    self.let_in_again(data);
                }
                Err(error) => self.connection_failed(error),
            }
        }
        self.streams.seal();
        self.ask_what_could_not_be_asked();
        self.look_for_replies();
        self.finish_closing();
    }

    /// The wakers to call when nothing is locked.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        std::mem::take(&mut self.wakes)
    }

    /// The error for everything that is asked of a client which is closed.
    fn closed_error(&self) -> Option<Error> {
        match &self.end {
            Some(cause) => Some(Error::Closed(cause.clone())),
            None if self.closing.is_some() => Some(Error::Closed(None)),
            None => None,
        }
    }

    /// A handle more: the connection is there for them.
    pub(crate) fn add_handle(&mut self) {
        self.handles += 1;
    }

    /// A handle less. Without any the client delivers what it has, and closes.
    pub(crate) fn remove_handle(&mut self, now: Duration) {
        self.handles -= 1;
        if self.handles == 0 {
            self.begin_close(now);
        }
    }

    pub(crate) fn changes(&mut self) -> (&mut Waiters, &mut Wakes) {
        (&mut self.changes, &mut self.wakes)
    }

    pub(crate) fn room(&mut self) -> (&mut Waiters, &mut Wakes) {
        (&mut self.room, &mut self.wakes)
    }

    /// The client identifier, which may be one that the server has assigned.
    pub(crate) fn client_id(&self) -> &str {
        self.session.client_id()
    }
}

#[cfg(test)]
mod tests;
