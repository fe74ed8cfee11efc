//! Bytes between a socket and the driver.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};

use crate::driver::{Driver, Link, Step};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::shared::Shared;

use super::{ByteStream, connect};

/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;
/// Rounds of reading and writing before other tasks have their turn.
const ROUNDS_MAX: usize = 16;

/// From the first attempt to the end.
pub(super) async fn run(shared: &Arc<Shared>) {
    let mut alarm = Alarm::default();
    let mut buffers = Buffers { input: vec![0; READ_BYTES], output: Vec::new(), written: 0 };
    loop {
        let step =
            poll_fn(|cx| alarm.poll(shared, cx, |cx| shared.with_now(|driver, now| driver.poll_step(now, cx)))).await;
        let Step::Open(endpoint) = step else { return };
        answer_questions(shared);
        match open(shared, &mut alarm, &endpoint).await {
            None => {}
            Some(Err(error)) => shared.with_now(|driver, now| driver.open_failed(now, error)),
            Some(Ok(mut stream)) => {
                shared.with_now(|driver, now| driver.opened(now));
                (buffers.written, buffers.output) = (0, Vec::new());
                let error = poll_fn(|cx| {
                    alarm.poll(shared, cx, |cx| poll_connection(shared, stream.as_mut(), &mut buffers, cx))
                })
                .await;
                shared.with_now(|driver, now| driver.closed(now, error));
            }
        }
    }
}

/// Opens a connection, as long as the driver wants one.
async fn open(
    shared: &Arc<Shared>,
    alarm: &mut Alarm,
    endpoint: &Endpoint,
) -> Option<Result<Box<dyn ByteStream>, Error>> {
    let mut opening = pin!(connect::open(endpoint));
    poll_fn(|cx| {
        alarm.poll(shared, cx, |cx| {
            let is_wanted = shared.with(|driver| {
                driver.park_io(cx);
                driver.link() == Link::Keep
            });
            if !is_wanted {
                return Poll::Ready(None);
            }
            opening.as_mut().poll(cx).map(Some)
        })
    })
    .await
}

/// The authenticator is asked while nothing is locked.
fn answer_questions(shared: &Shared) {
    while let Some((authenticator, question)) = shared.with(Driver::take_question) {
        let answer = authenticator.answer(&question);
        shared.with_now(|driver, now| driver.answered(now, &question, answer));
    }
}

struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
    /// So much of the output is with the socket.
    written: usize,
}

/// Reads and writes as long as anything moves. Ready when the connection is over; with an error if it was lost by one.
fn poll_connection(
    shared: &Arc<Shared>,
    stream: &mut dyn ByteStream,
    buffers: &mut Buffers,
    cx: &mut Context<'_>,
) -> Poll<Option<io::Error>> {
    for _ in 0..ROUNDS_MAX {
        answer_questions(shared);
        let is_written = match poll_write(shared, stream, buffers, cx) {
            Ok(is_written) => is_written,
            Err(error) => return Poll::Ready(Some(error)),
        };
        let (link, wants_input) = shared.with(|driver| {
            driver.park_io(cx);
            (driver.link(), driver.wants_input())
        });
        match link {
            Link::Keep => {}
            Link::Drop => return Poll::Ready(None),
            Link::Finish if is_written => return stream.poll_close(cx).map(|_| None),
            Link::Finish => return Poll::Pending,
        }
        if !wants_input {
            return Poll::Pending;
        }
        match stream.poll_read(cx, &mut buffers.input) {
            Poll::Ready(Ok(0)) => return Poll::Ready(None),
            Poll::Ready(Ok(length)) => {
                let bytes = buffers.input.get(..length).unwrap_or_default();
                shared.with_now(|driver, now| driver.received(now, bytes));
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
            Poll::Pending => return Poll::Pending,
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Writes what there is to write. Gives whether all of it is with the socket.
fn poll_write(
    shared: &Arc<Shared>,
    stream: &mut dyn ByteStream,
    buffers: &mut Buffers,
    cx: &mut Context<'_>,
) -> io::Result<bool> {
    loop {
        if buffers.written >= buffers.output.len() {
            buffers.written = 0;
            shared.with(|driver| driver.take_output(&mut buffers.output));
            if buffers.output.is_empty() {
                return match stream.poll_flush(cx) {
                    Poll::Ready(flushed) => flushed.map(|()| true),
                    Poll::Pending => Ok(false),
                };
            }
        }
        let waiting = buffers.output.get(buffers.written..).unwrap_or_default();
        match stream.poll_write(cx, waiting) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(length)) => buffers.written += length,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(false),
        }
    }
}

/// Wakes the task at the driver's next deadline.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// For when it is set; none when it has rung.
    at: Option<Duration>,
}

impl Alarm {
    /// Polls `what`, and tells the driver when its time has come; then polls again.
    fn poll<R>(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
        mut what: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        loop {
            if let Poll::Ready(result) = what(cx) {
                return Poll::Ready(result);
            }
            let deadline = shared.with_now(|driver, now| {
                let deadline = driver.deadline();
                if deadline.is_some_and(|deadline| now >= deadline) {
                    driver.handle_timeout(now);
                    return Err(());
                }
                Ok(deadline)
            });
            let Ok(deadline) = deadline else { continue };
            let Some(at) = deadline else { return Poll::Pending };
            let is_pending = self.poll_sleep(shared, at, cx).is_pending();
            if is_pending {
                return Poll::Pending;
            }
        }
    }

    /// Ready when it may be time. A deadline that has moved away, as it does with everything that comes in, is looked at again
    /// when the time of the former one has come, which costs less than to move the timer each time.
    fn poll_sleep(&mut self, shared: &Arc<Shared>, at: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(shared.instant(at))));
        if self.at.is_none_or(|set| set > at) {
            self.at = Some(at);
            sleep.as_mut().reset(shared.instant(at));
        }
        ready!(sleep.as_mut().poll(cx));
        self.at = None;
        Poll::Ready(())
    }
}
