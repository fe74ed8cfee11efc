//! A thread beside the workers that waits most of the time, is told things, and ends with its owner.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

/// Such a thread, as its owner knows it.
#[derive(Debug)]
pub(crate) struct Companion<T> {
    things: Option<Sender<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Companion<T> {
    /// Starts it under this name. It must return when nobody can tell it anything any more.
    pub(crate) fn start(name: &str, run: impl FnOnce(Receiver<T>) + Send + 'static) -> io::Result<Companion<T>> {
        let (things, told) = channel();
        let thread = Builder::new().name(name.to_owned()).spawn(move || run(told))?;
        Ok(Companion { things: Some(things), thread: Some(thread) })
    }

    /// Tells it something. That fails when it has ended, and then nobody wants to know.
    pub(crate) fn tell(&self, thing: T) {
        let _ = self.things.as_ref().map(|things| things.send(thing));
    }
}

impl<T> Drop for Companion<T> {
    fn drop(&mut self) {
        self.things = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been told by the panic message.
            let _ = thread.join();
        }
    }
}
