//! A router at work.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::blocking;
use crate::client::Client;
use crate::error::Error;
use crate::io::block_on;
use crate::message::Message;
use crate::subscribe::Subscribe;

use super::extract::Incoming;
use super::handler::{BlockingWork, Work};
use super::pattern::{self, Pattern};
use super::{Begin, Dispatch, Failure, FailureReason, Router};

impl Router {
    /// Subscribes to all patterns, and hands messages to their handlers until the client is closed.
    ///
    /// # Errors
    /// A pattern is wrong, or the server refuses a subscription, now or after a reconnect.
    pub async fn run(&self, client: &Client) -> Result<(), Error> {
        let mut messages = client.subscribe(self.subscription()?).await?;
        while let Some(mut message) = messages.next().await {
            let ack = message.take_ack();
            if self.dispatch(&message).await == Dispatch::Handled
                && let Some(ack) = ack
            {
                ack.accept();
            }
        }
        messages.error().map_or(Ok(()), Err)
    }

    /// The same in this thread, until the client is closed. Blocking handlers run in it, too.
    ///
    /// # Errors
    /// A pattern is wrong, or the server refuses a subscription, now or after a reconnect.
    pub fn run_blocking(&self, client: &blocking::Client) -> Result<(), Error> {
        let mut messages = client.subscribe(self.subscription()?)?;
        for mut message in &mut messages {
            let ack = message.take_ack();
            if block_on(self.dispatch(&message)) == Dispatch::Handled
                && let Some(ack) = ack
            {
                ack.accept();
            }
        }
        messages.error().map_or(Ok(()), Err)
    }

    /// Hands one message to the handler of the first pattern that matches: for tests, and for subscriptions of your own.
    pub async fn dispatch(&self, message: &Message) -> Dispatch {
        let found = self.routes.iter().find_map(|route| {
            let names = route.pattern.captures(message.topic())?;
            Some((route, names))
        });
        let Some((route, names)) = found else {
            self.unmatched.fetch_add(1, Ordering::Relaxed);
            (self.on_unmatched)(message);
            return Dispatch::Unmatched;
        };
        let incoming = Incoming::new(message, names);
        let done = match &route.begin {
            Begin::Async(begin) => match caught(|| begin(incoming)) {
                Ok(Ok(work)) => run_async(work).await,
                Ok(Err(text)) => Err(FailureReason::Parts(text)),
                Err(panicked) => Err(panicked),
            },
            Begin::Blocking(begin) => match caught(|| begin(incoming)) {
                Ok(Ok(work)) => run_blocking(work).await,
                Ok(Err(text)) => Err(FailureReason::Parts(text)),
                Err(panicked) => Err(panicked),
            },
        };
        match done {
            Ok(()) => {
                self.handled.fetch_add(1, Ordering::Relaxed);
                Dispatch::Handled
            }
            Err(reason) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let (topic, pattern) = (message.topic().to_owned(), route.pattern.text.clone());
                (self.on_failure)(&Failure { topic, pattern, reason });
                Dispatch::Failed
            }
        }
    }

    /// What the server is asked for.
    fn subscription(&self) -> Result<Subscribe, Error> {
        if let Some((pattern, why)) = &self.mistake {
            return Err(Error::Route(pattern.clone(), why.clone()));
        }
        let patterns: Vec<&Pattern> = self.routes.iter().map(|route| &route.pattern).collect();
        let filters = pattern::filters(&patterns);
        let mut filters = filters.into_iter().map(|filter| match &self.shared {
            Some(group) => format!("$share/{group}/{filter}"),
            None => filter.to_owned(),
        });
        let first = filters.next().ok_or_else(|| Error::Route(String::new(), "the router has no routes".into()))?;
        let subscribe = filters.fold(Subscribe::new(first), Subscribe::and);
        Ok(subscribe.qos(self.qos).manual_acks(self.acknowledges_when_handled))
    }
}

async fn run_async(mut work: Work) -> Result<(), FailureReason> {
    poll_fn(|cx| match caught(|| work.as_mut().poll(cx)) {
        Ok(Poll::Ready(result)) => Poll::Ready(result.map_err(FailureReason::Handler)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// In a thread for such work where there is a runtime that has some, else in this one.
async fn run_blocking(work: BlockingWork) -> Result<(), FailureReason> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return caught(work)?.map_err(FailureReason::Handler);
    };
    match runtime.spawn_blocking(move || caught(work)).await {
        Ok(done) => done?.map_err(FailureReason::Handler),
        Err(_) => Err(FailureReason::Panic("the runtime was shut down".into())),
    }
}

/// A panic of a handler is a failure like any other. What it leaves behind is its own.
fn caught<R>(run: impl FnOnce() -> R) -> Result<R, FailureReason> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| FailureReason::Panic(words(&*panic)))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".into())
}
