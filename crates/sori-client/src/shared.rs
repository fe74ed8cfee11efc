//! What handles and the connection share: the driver behind a lock, and the clock.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use sori_mqtt::client_session::Token;
use tokio::time::Instant;

use crate::driver::Driver;
use crate::error::Error;
use crate::message::{Ack, Body, Message};
use crate::publish::{Publish, Receipt};
use crate::state::State;
use crate::subscribe::Subscribe;

/// The driver and its clock. It is locked for moments only, and nobody's code runs meanwhile.
pub(crate) struct Shared {
    driver: Mutex<Driver>,
    started: Instant,
}

impl Shared {
    pub(crate) fn new(driver: Driver) -> Arc<Self> {
        Arc::new(Self { driver: Mutex::new(driver), started: Instant::now() })
    }

    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&mut Driver) -> R) -> R {
        let (result, wakes) = {
            let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
            let result = use_it(&mut driver);
            (result, driver.take_wakes())
        };
        wakes.wake();
        result
    }

    /// The same for what depends on the time.
    pub(crate) fn with_now<R>(&self, use_it: impl FnOnce(&mut Driver, Duration) -> R) -> R {
        let now = self.started.elapsed();
        self.with(|driver| use_it(driver, now))
    }

    /// When, on the clock of the runtime.
    pub(crate) fn instant(&self, at: Duration) -> Instant {
        // A deadline too far away to be expressed is one that nobody lives to see.
        self.started.checked_add(at).unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400))
    }
}

/// One owner of the client. Without any it delivers what it has, and closes.
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.with(|driver| driver.add_handle());
        Self(shared)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Until the server has accepted the connection, or will not.
    pub(crate) async fn connected(&self) -> Result<(), Error> {
        self.until(|driver| driver.connect_result()).await
    }

    /// Accepts a message as soon as there is room.
    pub(crate) async fn send(&self, publish: Publish<'_>) -> Result<Delivery, Error> {
        let mut place = RoomPlace { shared: &self.0, place: None };
        poll_fn(|cx| {
            let RoomPlace { shared, place } = &mut place;
            shared.with(|driver| match driver.publish(&publish) {
                Ok(token) => Poll::Ready(Ok(Delivery::new(shared, token))),
                Err(Error::QueueFull) if driver.waits_for_room() => {
                    let (room, wakes) = driver.room();
                    let place = *place.get_or_insert_with(|| room.join());
                    room.park(place, cx, wakes);
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            })
        })
        .await
    }

    pub(crate) fn try_publish(&self, publish: &Publish<'_>) -> Result<Delivery, Error> {
        let token = self.0.with(|driver| driver.publish(publish))?;
        Ok(Delivery::new(&self.0, token))
    }

    pub(crate) async fn subscribe(&self, subscribe: Subscribe) -> Result<Queue, Error> {
        let id = self.0.with(|driver| driver.subscribe(&subscribe))?;
        let queue = Queue { handle: self.clone(), id, filters: subscribe.filters, batch: VecDeque::new() };
        poll_fn(|cx| self.0.with(|driver| driver.poll_subscribed(id, cx))).await?;
        Ok(queue)
    }

    pub(crate) async fn request(&self, publish: Publish<'_>, timeout: Duration) -> Result<Message, Error> {
        let publish = publish.into_owned();
        let id = self.0.with_now(|driver, now| driver.begin_request(now, publish, timeout))?;
        let _guard = RequestGuard { shared: &self.0, id };
        let body = poll_fn(|cx| self.0.with(|driver| driver.poll_reply(id, cx))).await?;
        Ok(Message::new(body, None))
    }

    pub(crate) async fn reauthenticate(&self) -> Result<(), Error> {
        self.0.with(Driver::reauthenticate)?;
        self.until(|driver| driver.reauthenticated()).await
    }

    pub(crate) async fn close(&self) -> Result<(), Error> {
        self.0.with_now(|driver, now| driver.begin_close(now));
        self.until(|driver| driver.close_result()).await
    }

    /// Until something has come out.
    async fn until<R>(&self, mut outcome: impl FnMut(&mut Driver) -> Option<R>) -> R {
        let mut place = ChangePlace { shared: &self.0, place: None };
        poll_fn(|cx| {
            let ChangePlace { shared, place } = &mut place;
            shared.with(|driver| match outcome(driver) {
                Some(result) => Poll::Ready(result),
                None => {
                    let (changes, wakes) = driver.changes();
                    let place = *place.get_or_insert_with(|| changes.join());
                    changes.park(place, cx, wakes);
                    Poll::Pending
                }
            })
        })
        .await
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.with_now(|driver, now| driver.remove_handle(now));
    }
}

/// A place among those who wait for room; given back also when the wait is given up.
struct RoomPlace<'a> {
    shared: &'a Arc<Shared>,
    place: Option<u64>,
}

impl Drop for RoomPlace<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.with(|driver| {
                let (room, wakes) = driver.room();
                room.leave(place, wakes);
            });
        }
    }
}

/// The same among those who wait for a change.
struct ChangePlace<'a> {
    shared: &'a Arc<Shared>,
    place: Option<u64>,
}

impl Drop for ChangePlace<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.with(|driver| {
                let (changes, wakes) = driver.changes();
                changes.leave(place, wakes);
            });
        }
    }
}

struct RequestGuard<'a> {
    shared: &'a Arc<Shared>,
    id: u64,
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        self.shared.with(|driver| driver.forget_request(self.id));
    }
}

/// A message that this client has accepted: the receipt follows. Waiting for it is not needed for it to be delivered.
#[must_use = "the receipt tells whether the server has the message; drop it with `drop` to say that you do not mind"]
pub struct Delivery {
    shared: Arc<Shared>,
    token: Token,
}

impl Delivery {
    fn new(shared: &Arc<Shared>, token: Token) -> Self {
        Self { shared: Arc::clone(shared), token }
    }

    pub(crate) fn poll_receipt(&self, cx: &Context<'_>) -> Poll<Result<Receipt, Error>> {
        self.shared.with(|driver| driver.poll_receipt(self.token, cx))
    }
}

impl Future for Delivery {
    type Output = Result<Receipt, Error>;

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_receipt(cx)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.shared.with(|driver| driver.forget_receipt(self.token));
    }
}

/// The messages of one subscription.
pub(crate) struct Queue {
    handle: Handle,
    id: u64,
    filters: Vec<String>,
    /// Messages that were taken out with the one before.
    batch: VecDeque<Body>,
}

impl Queue {
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Message>> {
        if let Some(body) = self.batch.pop_front() {
            return Poll::Ready(Some(Message::new(body, None)));
        }
        let shared = self.handle.shared();
        let received = match shared.with(|driver| driver.poll_next(self.id, cx, &mut self.batch)) {
            Poll::Ready(Some(received)) => received,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let ack = match received.due {
            crate::driver::Due::OnAcceptance(delivery) => Some(Ack::new(Arc::clone(shared), delivery)),
            _ => None,
        };
        Poll::Ready(Some(Message::new(received.body, ack)))
    }

    pub(crate) fn unpark(&self) {
        self.handle.shared().with(|driver| driver.unpark(self.id));
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.handle.shared().with(|driver| driver.dropped(self.id))
    }

    pub(crate) fn error(&self) -> Option<Error> {
        self.handle.shared().with(|driver| driver.stream_error(self.id))
    }

    pub(crate) async fn unsubscribe(self) {
        self.handle.shared().with(|driver| driver.remove_stream(self.id, true));
        self.handle.until(|driver| (!driver.is_unsubscribing(&self.filters)).then_some(())).await;
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.handle.shared().with(|driver| driver.remove_stream(self.id, false));
    }
}

/// The changes of the connection's state.
pub(crate) struct Changes {
    shared: Arc<Shared>,
    id: u64,
}

impl Changes {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let id = shared.with(|driver| driver.watch());
        Self { shared: Arc::clone(shared), id }
    }

    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<State>> {
        self.shared.with(|driver| driver.poll_state(self.id, cx))
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.shared.with(|driver| driver.unwatch(self.id));
    }
}
