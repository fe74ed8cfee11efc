//! The task that owns the socket: it does what the driver says, and decides nothing.

mod connect;
mod pump;
mod thread;
#[cfg(feature = "transport")]
mod transported;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::Error;
use crate::shared::Shared;

pub(crate) use thread::{block_on, block_on_until};

/// Bytes in order, both ways, and none is lost [MQTT-4.2.0-1] [MQTT311-7.1.2-1]: a socket, or whatever takes its place.
///
/// The calls are those of a non-blocking socket: one that returns [`Poll::Pending`] has seen to it that the task of `cx` is
/// woken when it is worth trying again.
pub trait ByteStream: Send {
    /// Reads into `buffer`, and gives how many bytes there were; none at the end.
    ///
    /// # Errors
    /// The connection is broken.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some of `bytes`, and gives how many.
    ///
    /// # Errors
    /// The connection is broken.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Sees to it that what was written leaves, where something between keeps it.
    ///
    /// # Errors
    /// The connection is broken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Nothing more will be written.
    ///
    /// # Errors
    /// The connection is broken.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A connection that is being made.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

/// Makes connections by other ways than sockets: to a server in the same program, for example
/// ([`Options::over`](crate::Options::over)).
pub trait Connect: Send + Sync + 'static {
    /// Makes a connection. Each attempt of the client asks for one.
    fn connect(&self) -> Connecting<'_>;

    /// What the server is called in messages to people.
    fn name(&self) -> String;
}

/// Drives the client until it is closed: in the runtime of the caller if there is one, else in a thread of its own.
pub(crate) fn start(shared: &Arc<Shared>) -> Result<(), Error> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            runtime.spawn(run(Guard(Arc::clone(shared))));
            Ok(())
        }
        Err(_) => start_thread(shared),
    }
}

/// Drives the client in a thread of its own.
pub(crate) fn start_thread(shared: &Arc<Shared>) -> Result<(), Error> {
    let failed = |what| move |error| Error::Machine(what, Arc::new(error));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("the client's sockets cannot be watched"))?;
    let guard = Guard(Arc::clone(shared));
    std::thread::Builder::new()
        .name("sori-client".into())
        .spawn(move || runtime.block_on(run(guard)))
        .map_err(failed("the client's thread cannot be started"))?;
    Ok(())
}

/// Whatever ends the task, a runtime that is shut down included, ends the client: nobody waits for ever.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.with(|driver| driver.end(Some(runtime_is_gone())));
    }
}

fn runtime_is_gone() -> Error {
    let error = io::Error::other("the runtime it ran in was shut down");
    Error::Machine("the client's task has ended", Arc::new(error))
}

async fn run(guard: Guard) {
    pump::run(&guard.0).await;
}
