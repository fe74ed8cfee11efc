//! Functions that take messages apart and do something with them.

use std::future::Future;
use std::pin::Pin;

use super::extract::{FromMessage, Incoming};

/// Whatever a handler fails with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a handler gives: nothing, or a `Result` whose error says why it failed.
pub trait Outcome {
    /// As a `Result`.
    ///
    /// # Errors
    /// The handler has failed.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// What a handler does with one message, in the background of whoever awaits it.
pub type Work = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
/// The same in the thread of whoever calls it.
pub type BlockingWork = Box<dyn FnOnce() -> Result<(), BoxError> + Send>;

/// An asynchronous handler: a function of up to six parts of a message ([`FromMessage`]) that gives a future.
pub trait Handler<Parts>: Send + Sync + 'static {
    /// How many names of the pattern it takes.
    const NAMES: usize;

    /// Takes the message apart; the work is still to be done.
    ///
    /// # Errors
    /// The message has not the parts that the handler wants.
    fn begin(&self, incoming: Incoming<'_>) -> Result<Work, String>;
}

/// A blocking handler: a function of up to six parts of a message ([`FromMessage`]).
pub trait BlockingHandler<Parts>: Clone + Send + Sync + 'static {
    /// How many names of the pattern it takes.
    const NAMES: usize;

    /// Takes the message apart; the work is still to be done.
    ///
    /// # Errors
    /// The message has not the parts that the handler wants.
    fn begin(&self, incoming: Incoming<'_>) -> Result<BlockingWork, String>;
}

macro_rules! handlers {
    ($($part:ident)*) => {
        impl<F, W, $($part,)*> Handler<($($part,)*)> for F
        where
            F: Fn($($part),*) -> W + Send + Sync + 'static,
            W: Future<Output: Outcome> + Send + 'static,
            $($part: FromMessage,)*
        {
            const NAMES: usize = 0 $(+ $part::NAMES)*;

            #[allow(unused_mut, unused_variables)] // Without parts nothing is taken.
            fn begin(&self, mut incoming: Incoming<'_>) -> Result<Work, String> {
                let work = self($($part::from_message(&mut incoming)?),*);
                Ok(Box::pin(async move { work.await.into_result() }))
            }
        }

        #[allow(non_snake_case)] // A part is named as its type is.
        impl<F, R, $($part,)*> BlockingHandler<($($part,)*)> for F
        where
            F: Fn($($part),*) -> R + Clone + Send + Sync + 'static,
            R: Outcome,
            $($part: FromMessage,)*
        {
            const NAMES: usize = 0 $(+ $part::NAMES)*;

            #[allow(unused_mut, unused_variables)] // Without parts nothing is taken.
            fn begin(&self, mut incoming: Incoming<'_>) -> Result<BlockingWork, String> {
                $(let $part = $part::from_message(&mut incoming)?;)*
                let handler = self.clone();
                Ok(Box::new(move || handler($($part),*).into_result()))
            }
        }
    };
}

handlers!();
handlers!(A);
handlers!(A B);
handlers!(A B C);
handlers!(A B C D);
handlers!(A B C D E);
handlers!(A B C D E G);
