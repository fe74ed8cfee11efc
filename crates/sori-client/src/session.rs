//! A session event by event, for tools: exactly the packets that were asked for, and everything that happens, in its order.
//!
//! It is no client that keeps subscriptions and receipts apart, makes subscriptions again or waits for anything by
//! itself: [`Client`](crate::Client) does that. Both are driven by the same connection in the background.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use sori_mqtt::client_session::{Delivery, Token};
use sori_mqtt::{Properties, ReasonCode, SubscribeOptions, Version};

use crate::driver::Driver;
use crate::error::Error;
use crate::io::{self, block_on_until};
use crate::message::Message;
use crate::options::Options;
use crate::publish::{Publish, Receipt};
use crate::shared::{Handle, Shared};

/// A session with a server, event by event. It connects, keeps alive and connects again as a [`Client`](crate::Client) does and
/// by the same [`Options`]; what is sent besides is decided by the program.
///
/// ```no_run
/// use sori_client::{Event, Properties, ReasonCode, Session, SubscribeOptions};
///
/// let mut session = Session::open("mqtt://localhost")?;
/// while let Some(event) = session.wait(None) {
///     match event {
///         // Also after a reconnect: then the server may have forgotten.
///         Event::Connected { .. } => {
///             session.subscribe(&["a/#", "b/#"], SubscribeOptions::default(), Properties::EMPTY)?;
///         }
///         Event::Message { message, .. } if message.topic() == "a/stop" => {
///             session.disconnect(ReasonCode::Success, Properties::EMPTY)?;
///         }
///         Event::Message { message, .. } => println!("{}: {} bytes", message.topic(), message.payload().len()),
///         Event::Lost { error, retry_in } => eprintln!("{error}; again in {retry_in:?}"),
///         Event::Ended { error } => return error.map_or(Ok(()), |error| Err((*error).clone())),
///         _ => {}
///     }
/// }
/// # Ok::<(), sori_client::Error>(())
/// ```
///
/// Its connection is driven by a thread of its own, so threads can [`wait`](Self::wait) and tasks of any executor await
/// [`next`](Self::next). Events wait to be taken, up to a bound ([`incoming_bytes_max`](Options::incoming_bytes_max), and 10,000
/// of them); then the connection is not read any further. A session that is dropped delivers what it has, and says
/// good-bye.
pub struct Session {
    handle: Handle,
    /// The acknowledgement of the message that was taken last.
    owed: Option<Delivery>,
}

/// One thing that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server has accepted the connection, the first or a later one.
    Connected {
        /// The session of an earlier connection goes on; otherwise there are no subscriptions.
        session_present: bool,
        /// The version that is spoken.
        version: Version,
    },
    /// A message came. It is acknowledged when the next event is asked for, or a good-bye said: a program that is killed
    /// before is sent it again.
    Message {
        /// The message.
        message: Message,
        /// The packet identifier of this delivery; none with QoS 0.
        packet_id: Option<u16>,
    },
    /// A publish is at its end.
    Published {
        /// What [`Session::publish`] gave.
        token: Token,
        /// How it ended; with QoS 0 it was handed to the connection.
        result: Result<Receipt, Error>,
    },
    /// SUBACK.
    Subscribed {
        /// What [`Session::subscribe`] gave.
        token: Token,
        /// One for each filter, in their order; codes of 0x80 or more are refusals.
        reason_codes: Vec<ReasonCode>,
        /// MQTT 5.0: a sentence for people.
        reason_string: Option<String>,
    },
    /// UNSUBACK.
    Unsubscribed {
        /// What [`Session::unsubscribe`] gave.
        token: Token,
        /// MQTT 5.0: one for each filter, in their order.
        reason_codes: Vec<ReasonCode>,
        /// MQTT 5.0: a sentence for people.
        reason_string: Option<String>,
    },
    /// The connection ended before the server answered this subscribe or unsubscribe.
    RequestLost {
        /// What the request gave.
        token: Token,
    },
    /// There is no connection any more, or still none; it is made anew after this time.
    Lost {
        /// Why.
        error: Arc<Error>,
        /// When the next attempt begins.
        retry_in: Duration,
    },
    /// Bytes for the server, if they were [asked for](Session::open_with_bytes): whole packets of MQTT.
    Sent(Vec<u8>),
    /// Bytes from the server, cut anywhere, before what they mean is told.
    Received(Vec<u8>),
    /// It is over: the last event, however often it is asked for.
    Ended {
        /// Why, if not by a good-bye.
        error: Option<Arc<Error>>,
    },
}

impl Session {
    /// Begins a session, and waits for nothing. The first attempt to connect decides, as with
    /// [`Client::connect`](crate::Client::connect): its failure is the end.
    ///
    /// # Errors
    /// The URL or the options are not legal; [`Options::store`] is not for sessions.
    pub fn open<O: TryInto<Options>>(options: O) -> Result<Self, Error>
    where
        Error: From<O::Error>,
    {
        Self::begin(options.try_into()?, false)
    }

    /// The same, and all bytes of the connection are told, too ([`Event::Sent`], [`Event::Received`]): for whoever wants to see
    /// the packets. Between them and the network TLS, WebSockets and proxies may stand.
    ///
    /// # Errors
    /// The same.
    pub fn open_with_bytes<O: TryInto<Options>>(options: O) -> Result<Self, Error>
    where
        Error: From<O::Error>,
    {
        Self::begin(options.try_into()?, true)
    }

    fn begin(options: Options, with_bytes: bool) -> Result<Self, Error> {
        let handle = Handle::new(Shared::new(Driver::telling(options, with_bytes)?));
        io::start_thread(handle.shared())?;
        Ok(Self { handle, owed: None })
    }

    /// The next event; none if the waiting was [interrupted](Self::interrupter).
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The same in a thread, at most until then.
    pub fn wait(&mut self, until: Option<Instant>) -> Option<Event> {
        block_on_until(until, |cx| self.poll(cx)).flatten()
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.poll(&Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let Self { handle, owed } = self;
        handle.shared().with(|driver| {
            acknowledge(driver, owed);
            driver.poll_event(cx).map(|told| {
                let (event, delivery) = told?;
                *owed = delivery;
                Some(event)
            })
        })
    }

    /// Something for other threads that makes the waiting end when they have something to say.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(Arc::clone(self.handle.shared()))
    }

    /// Publishes; the token comes back with [`Event::Published`]. Without a connection the message waits for one.
    ///
    /// # Errors
    /// The message is not legal, the server does not take it, too much waits already ([`Options::queue_bytes_max`]), or
    /// all is over.
    pub fn publish<'a>(&self, publish: impl Into<Publish<'a>>) -> Result<Token, Error> {
        let publish = publish.into();
        self.handle.shared().with(|driver| driver.publish_told(&publish))
    }

    /// Sends one SUBSCRIBE with all these filters; the token comes back with [`Event::Subscribed`] or
    /// [`Event::RequestLost`].
    ///
    /// # Errors
    /// Something is not legal, the server does not support it, there is no connection, or all is over.
    pub fn subscribe(
        &self,
        filters: &[&str],
        options: SubscribeOptions,
        properties: Properties<'_>,
    ) -> Result<Token, Error> {
        self.handle.shared().with(|driver| driver.subscribe_told(filters, options, properties))
    }

    /// Sends one UNSUBSCRIBE with all these filters; the token comes back with [`Event::Unsubscribed`] or
    /// [`Event::RequestLost`].
    ///
    /// # Errors
    /// Something is not legal, there is no connection, or all is over.
    pub fn unsubscribe(&self, filters: &[&str], properties: Properties<'_>) -> Result<Token, Error> {
        self.handle.shared().with(|driver| driver.unsubscribe_told(filters, properties))
    }

    /// Sends DISCONNECT behind what stands to be sent, and waits for nothing: when it is with the network, the session has
    /// [ended](Event::Ended). With [`ReasonCode::DisconnectWithWill`] the server publishes the will.
    ///
    /// # Errors
    /// Reason code or properties are not legal here; the session goes on.
    pub fn disconnect(&mut self, reason_code: ReasonCode, properties: Properties<'_>) -> Result<(), Error> {
        let Self { handle, owed } = self;
        handle.shared().with_now(|driver, now| {
            acknowledge(driver, owed);
            driver.disconnect(now, reason_code, properties)
        })
    }
}

/// The message before was dealt with.
fn acknowledge(driver: &mut Driver, owed: &mut Option<Delivery>) {
    if let Some(delivery) = owed.take() {
        // Success is legal in every version, and a connection that takes no answers tells so itself.
        let _ = driver.acknowledge(delivery, ReasonCode::Success);
    }
}

/// Ends the waiting of a [`Session`]: whoever waits for an event gets none, and if nobody does, whoever asks next.
#[derive(Clone)]
pub struct Interrupter(Arc<Shared>);

impl Interrupter {
    /// Ends the waiting once.
    pub fn interrupt(&self) {
        self.0.with(|driver| driver.interrupt());
    }
}
