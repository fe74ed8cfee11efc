//! The blocking client: the same methods for programs without a runtime. A thread in the background drives the connection.
//!
//! ```no_run
//! use sori_client::{Publish, blocking::Client};
//!
//! let client = Client::connect("mqtt://localhost")?;
//! client.publish(Publish::new("greetings", "hello"))?;
//! for message in client.subscribe("greetings/#")? {
//!     println!("{}: {}", message.topic(), message.text().unwrap_or("not text"));
//! }
//! # Ok::<(), sori_client::Error>(())
//! ```

use std::fmt;
use std::time::{Duration, Instant};

use crate::driver::Driver;
use crate::error::Error;
use crate::io::{self, block_on, block_on_until};
use crate::message::Message;
use crate::options::Options;
use crate::publish::{Publish, Receipt};
use crate::shared::{Changes, Handle, Queue, Shared};
use crate::state::State;
use crate::subscribe::Subscribe;

/// A client, blocking: a handle that costs nothing to clone and may be used from every thread at once.
///
/// It has no part in any runtime, so it may also be used where one runs: it keeps that thread waiting, and nothing else.
#[derive(Clone)]
pub struct Client {
    handle: Handle,
}

impl Client {
    /// Connects to a server, given by its URL or by [`Options`], and waits until it has accepted the connection. From
    /// then on the client connects again by itself.
    ///
    /// # Errors
    /// The URL or the options are not legal, the server cannot be reached, or it refuses.
    pub fn connect<O: TryInto<Options>>(options: O) -> Result<Self, Error>
    where
        Error: From<O::Error>,
    {
        let client = Self::begin(options.try_into()?, true)?;
        block_on(client.handle.connected())?;
        Ok(client)
    }

    /// Like [`connect`](Self::connect), but waits for nothing: also the first connection is tried again and again, and
    /// what is published and subscribed to waits for it.
    ///
    /// # Errors
    /// The URL or the options are not legal.
    pub fn start<O: TryInto<Options>>(options: O) -> Result<Self, Error>
    where
        Error: From<O::Error>,
    {
        Self::begin(options.try_into()?, false)
    }

    fn begin(options: Options, first_must_succeed: bool) -> Result<Self, Error> {
        let shared = Shared::new(Driver::new(options, first_must_succeed)?);
        let handle = Handle::new(shared);
        io::start_thread(handle.shared())?;
        Ok(Self { handle })
    }

    /// Publishes a message, and waits for its receipt: with QoS 1 and 2 the server has it then.
    ///
    /// # Errors
    /// The message is not legal or the server refuses it, it was given up for newer ones, or the client was closed.
    pub fn publish<'a>(&self, publish: impl Into<Publish<'a>>) -> Result<Receipt, Error> {
        self.send(publish)?.wait()
    }

    /// Accepts a message for publishing, as soon as there is room, and does not wait for its receipt: that is what it
    /// gives. Many messages can be on their way like this.
    ///
    /// # Errors
    /// The message is not legal, there is no room and it was [chosen](crate::WhenFull) not to wait, or the client was
    /// closed.
    pub fn send<'a>(&self, publish: impl Into<Publish<'a>>) -> Result<Delivery, Error> {
        Ok(Delivery(block_on(self.handle.send(publish.into()))?))
    }

    /// Like [`send`](Self::send), but never waits.
    ///
    /// # Errors
    /// The same, and [`Error::QueueFull`] when there is no room now.
    pub fn try_publish<'a>(&self, publish: impl Into<Publish<'a>>) -> Result<Delivery, Error> {
        Ok(Delivery(self.handle.try_publish(&publish.into())?))
    }

    /// Subscribes to a filter or several, and waits until the server has answered.
    ///
    /// # Errors
    /// A filter is not legal or the server refuses it, or the client was closed.
    pub fn subscribe(&self, subscribe: impl Into<Subscribe>) -> Result<Subscription, Error> {
        Ok(Subscription { queue: block_on(self.handle.subscribe(subscribe.into()))? })
    }

    /// MQTT 5.0: publishes a request and waits for the response, at most for this time.
    ///
    /// # Errors
    /// No response came in time, the request is not legal or refused, or the version has no requests.
    pub fn request<'a>(&self, request: impl Into<Publish<'a>>, timeout: Duration) -> Result<Message, Error> {
        block_on(self.handle.request(request.into(), timeout))
    }

    /// MQTT 5.0: authenticates once more on this connection, with the [authenticator](Options::authenticator), and waits
    /// until the server has accepted that.
    ///
    /// # Errors
    /// There is no authenticator or no connection, or the server refuses, which ends the connection.
    pub fn reauthenticate(&self) -> Result<(), Error> {
        block_on(self.handle.reauthenticate())
    }

    /// The changes of the connection's state, from now on.
    #[must_use]
    pub fn states(&self) -> States {
        States { changes: Changes::new(self.handle.shared()) }
    }

    /// How the connection does now.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.shared().with(|driver| driver.state())
    }

    /// The client identifier, which may be one that the server has assigned.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.handle.shared().with(|driver| driver.client_id().to_owned())
    }

    /// How many messages came that no subscription was for.
    #[must_use]
    pub fn unmatched(&self) -> u64 {
        self.handle.shared().with(|driver| driver.unmatched())
    }

    /// Waits until everything that was published has its receipt (at most for the
    /// [`close_timeout`](Options::close_timeout)), then says good-bye to the server. All handles are closed with it.
    ///
    /// # Errors
    /// Messages could not be delivered in time, or the client had given up before.
    pub fn close(self) -> Result<(), Error> {
        block_on(self.handle.close())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("client_id", &self.client_id()).field("state", &self.state()).finish()
    }
}

/// A message that this client has accepted: the receipt follows. Waiting for it is not needed for it to be delivered.
#[must_use = "the receipt tells whether the server has the message; drop it with `drop` to say that you do not mind"]
pub struct Delivery(crate::Delivery);

impl Delivery {
    /// Waits for the receipt.
    ///
    /// # Errors
    /// The server refuses the message, it was given up for newer ones, or the client was closed.
    pub fn wait(self) -> Result<Receipt, Error> {
        block_on(self.0)
    }

    /// Waits for the receipt, at most for this time; none if it has not come.
    ///
    /// # Errors
    /// The same.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<Receipt>, Error> {
        block_on_until(Some(Instant::now() + timeout), |cx| self.0.poll_receipt(cx)).transpose()
    }
}

/// The messages of one subscription: an iterator that waits for the next one.
///
/// When it is dropped the server is told to send no more, unless its session is to outlive the program
/// ([`Options::clean_start`]).
pub struct Subscription {
    queue: Queue,
}

impl Subscription {
    /// The next message, if one comes in this time. None also when there will be no more.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Message> {
        let next = block_on_until(Some(Instant::now() + timeout), |cx| self.queue.poll_next(cx));
        if next.is_none() {
            self.queue.unpark();
        }
        next.flatten()
    }

    /// How many messages were dropped, because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Why the stream has ended, if the server has not given a subscription again after a reconnect.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.queue.error()
    }

    /// Tells the server to send no more, and waits for its answer if there is a connection.
    pub fn unsubscribe(self) {
        block_on(self.queue.unsubscribe());
    }
}

impl Iterator for Subscription {
    type Item = Message;

    /// The next message; none when the client is closed or the subscription lost.
    fn next(&mut self) -> Option<Message> {
        block_on_until(None, |cx| self.queue.poll_next(cx)).flatten()
    }
}

/// The changes of a connection's state: an iterator that waits for the next one; who does not look for long sees the
/// newest only.
pub struct States {
    changes: Changes,
}

impl Iterator for States {
    type Item = State;

    /// The next change; none after [`State::Closed`].
    fn next(&mut self) -> Option<State> {
        block_on_until(None, |cx| self.changes.poll_next(cx)).flatten()
    }
}
