//! The asynchronous client. It needs no runtime of its own, and no loop of the caller keeps it going.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use crate::driver::Driver;
use crate::error::Error;
use crate::io;
use crate::message::Message;
use crate::options::Options;
use crate::publish::{Publish, Receipt};
use crate::shared::{Changes, Delivery, Handle, Queue, Shared};
use crate::state::State;
use crate::subscribe::Subscribe;

/// A client, asynchronous: a handle that costs nothing to clone and may be used from everywhere at once.
///
/// The connection is driven in the background: in the tokio runtime in which the client was made, or else in a thread of
/// its own, so that any executor will do. When the last handle is gone (subscriptions are handles, too) what was published
/// is delivered, and the connection closed; [`close`](Self::close) waits for that.
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
    pub async fn connect<O: TryInto<Options>>(options: O) -> Result<Self, Error>
    where
        Error: From<O::Error>,
    {
        let client = Self::begin(options.try_into()?, true)?;
        client.handle.connected().await?;
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
        io::start(handle.shared())?;
        Ok(Self { handle })
    }

    /// Publishes a message, and waits for its receipt: with QoS 1 and 2 the server has it then.
    ///
    /// # Errors
    /// The message is not legal or the server refuses it, it was given up for newer ones, or the client was closed.
    pub async fn publish(&self, publish: impl Into<Publish<'_>>) -> Result<Receipt, Error> {
        self.handle.send(publish.into()).await?.await
    }

    /// Accepts a message for publishing, as soon as there is room, and does not wait for its receipt: that is what it
    /// gives. Many messages can be on their way like this.
    ///
    /// # Errors
    /// The message is not legal, there is no room and it was [chosen](crate::WhenFull) not to wait, or the client was
    /// closed.
    pub async fn send(&self, publish: impl Into<Publish<'_>>) -> Result<Delivery, Error> {
        self.handle.send(publish.into()).await
    }

    /// Like [`send`](Self::send), but never waits.
    ///
    /// # Errors
    /// The same, and [`Error::QueueFull`] when there is no room now.
    pub fn try_publish<'a>(&self, publish: impl Into<Publish<'a>>) -> Result<Delivery, Error> {
        self.handle.try_publish(&publish.into())
    }

    /// Subscribes to a filter or several, and waits until the server has answered.
    ///
    /// # Errors
    /// A filter is not legal or the server refuses it, or the client was closed.
    pub async fn subscribe(&self, subscribe: impl Into<Subscribe>) -> Result<Subscription, Error> {
        Ok(Subscription { queue: self.handle.subscribe(subscribe.into()).await? })
    }

    /// MQTT 5.0: publishes a request and waits for the response, at most for this time.
    ///
    /// # Errors
    /// No response came in time, the request is not legal or refused, or the version has no requests.
    pub async fn request(&self, request: impl Into<Publish<'_>>, timeout: Duration) -> Result<Message, Error> {
        self.handle.request(request.into(), timeout).await
    }

    /// MQTT 5.0: authenticates once more on this connection, with the [authenticator](Options::authenticator), and waits
    /// until the server has accepted that.
    ///
    /// # Errors
    /// There is no authenticator or no connection, or the server refuses, which ends the connection.
    pub async fn reauthenticate(&self) -> Result<(), Error> {
        self.handle.reauthenticate().await
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
    pub async fn close(self) -> Result<(), Error> {
        self.handle.close().await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("client_id", &self.client_id()).field("state", &self.state()).finish()
    }
}

/// The messages of one subscription, as a stream.
///
/// When it is dropped the server is told to send no more, unless its session is to outlive the program
/// ([`Options::clean_start`]).
pub struct Subscription {
    queue: Queue,
}

impl Subscription {
    /// The next message; none when the client is closed or the subscription lost.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|cx| self.queue.poll_next(cx)).await
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
    pub async fn unsubscribe(self) {
        self.queue.unsubscribe().await;
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.queue.poll_next(cx)
    }
}

/// The changes of a connection's state, as a stream; who does not look for long sees the newest only.
pub struct States {
    changes: Changes,
}

impl States {
    /// The next change; none after [`State::Closed`].
    pub async fn next(&mut self) -> Option<State> {
        poll_fn(|cx| self.changes.poll_next(cx)).await
    }
}

impl Stream for States {
    type Item = State;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<State>> {
        self.changes.poll_next(cx)
    }
}
