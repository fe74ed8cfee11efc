//! What a worker thread is given by others: mail from shards, new connections, orders.
//!
//! One inbox per worker, in the order in which things were put in, whoever put them there. The worker is woken by
//! whoever finds the inbox empty; it takes everything out at once.

use crate::knock::Knock;
use crate::numbers::Numbers;
use crate::socket::{Admittance, Stream};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError, Waker};
use sori_broker::{
    Access, CheckpointOrder, ConnectionId, Fetch, Handoff, ListenerSettings, Mail, Settings, Shard, StoreState, Verdict,
};
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;

/// Mail that may wait for a worker before those who send it stop reading from their clients. It is to stay in the processors'
/// caches on its way: with 2 MiB it costs up to twice as much, with 16 up to four times.
const MAIL_BYTES_MAX: usize = 512 * 1024;

/// Memory of delivered mail that is kept for those who send the next; else it would come from the system anew, page by page.
const KEPT_BYTES_MAX: usize = MAIL_BYTES_MAX / 2;

/// Something for a worker.
pub(crate) enum Letter {
    /// Messages from another shard.
    Mail(Mail),
    /// A connection was accepted.
    Accepted(Stream, Arc<ListenerSettings>, Box<str>, Option<Admittance>),
    /// A connection comes from another shard, because its session lives here.
    Moved(Stream, Box<Handoff>, Option<Admittance>),
    /// A login that had to wait has been decided.
    Resolved(ConnectionId, Verdict),
    /// New settings.
    Reconfigure(Box<NewSettings>),
    /// Somebody wants to see the shard.
    Show(Box<dyn FnOnce(&Shard) + Send>),
    /// Log lines wait to be published.
    LogLines,
    /// The other end of an in-process connection has written or read.
    Stirred(usize),
    /// The shard's records up to this number are durable.
    Durable(u64),
    /// The store makes a checkpoint.
    Checkpoint(u64, CheckpointOrder),
    /// The store's state has changed.
    StoreState(StoreState),
    /// The store or another worker has room for more, of which it has had too much.
    HasRoom,
    /// Messages that live on disk only, as the shard wanted them.
    Fetched(Box<Fetch>),
    /// Somebody waits until what has come until now is handled.
    Knock(Arc<Knock>),
    /// Say good-bye and stop.
    Stop,
}

/// What a worker may be told to do otherwise while it runs.
#[derive(Clone)]
pub(crate) struct NewSettings {
    /// The listeners that there are now; connections of others end.
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) access: Arc<dyn Access + Send + Sync>,
    /// Connects and disconnects are logged.
    pub(crate) connection_messages: bool,
    /// Seconds between two looks at the `$SYS` tree.
    pub(crate) sys_interval: Option<NonZeroU16>,
}

#[derive(Default)]
struct Letters {
    waiting: VecDeque<Letter>,
    /// Mail that has been delivered.
    emptied: Vec<Mail>,
    /// What that takes.
    emptied_bytes: usize,
    /// The worker has ended: nobody will read.
    is_closed: bool,
}

impl Letters {
    /// Gives whether it is the only one.
    fn put(&mut self, letter: Letter) -> bool {
        self.waiting.push_back(letter);
        self.waiting.len() == 1
    }

    fn take_emptied(&mut self) -> Mail {
        let mail = self.emptied.pop().unwrap_or_default();
        self.emptied_bytes -= mail.capacity();
        mail
    }
}

pub(crate) struct Inbox {
    letters: Mutex<Letters>,
    mail_bytes: AtomicUsize,
    waker: Waker,
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Inbox {
        Inbox { letters: Mutex::default(), mail_bytes: AtomicUsize::new(0), waker }
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Put a letter in. It cannot be lost: the worker takes all letters out under the same lock, so that an inbox
    /// which is not empty has a worker that is awake or about to be.
    pub(crate) fn post(&self, letter: Letter) {
        let was_empty = {
            let mut letters = self.lock();
            if letters.is_closed {
                return;
            }
            letters.put(letter)
        };
        self.wake_if(was_empty);
    }

    /// The same for mail. Gives emptied mail, whose memory the sender uses for the next.
    pub(crate) fn post_mail(&self, mail: Mail) -> Mail {
        let (was_empty, emptied) = {
            let mut letters = self.lock();
            if letters.is_closed {
                return Mail::default();
            }
            self.mail_bytes.fetch_add(mail.size(), Ordering::Relaxed);
            (letters.put(Letter::Mail(mail)), letters.take_emptied())
        };
        self.wake_if(was_empty);
        emptied
    }

    /// Mail of this inbox has been delivered. If there was too much of it until now, and is not any longer, the others of `all` are
    /// told.
    pub(crate) fn give_back(&self, mut mail: Mail, all: &[Arc<Inbox>]) {
        let size = mail.size();
        mail.clear();
        self.keep_emptied(mail);
        let before = self.mail_bytes.fetch_sub(size, Ordering::Relaxed);
        if before > MAIL_BYTES_MAX && before - size <= MAIL_BYTES_MAX {
            let others = all.iter().filter(|inbox| !core::ptr::eq(&***inbox, self));
            others.for_each(|inbox| inbox.post(Letter::HasRoom));
        }
    }

    fn keep_emptied(&self, mail: Mail) {
        let mut letters = self.lock();
        if letters.emptied_bytes + mail.capacity() <= KEPT_BYTES_MAX {
            letters.emptied_bytes += mail.capacity();
            letters.emptied.push(mail);
        }
    }

    fn wake_if(&self, was_empty: bool) {
        if was_empty && let Err(error) = self.waker.wake() {
            // The eventfd's counter can only overflow, and then the worker wakes anyway.
            debug_assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "a waker only fails when it is full");
        }
    }

    /// Everything that is there. Mail is given back when it has been delivered.
    pub(crate) fn take(&self) -> VecDeque<Letter> {
        core::mem::take(&mut self.lock().waiting)
    }

    /// The same, behind what is there already; this way each side keeps its memory.
    pub(crate) fn take_into(&self, letters: &mut VecDeque<Letter>) {
        let waiting = &mut self.lock().waiting;
        match letters.is_empty() {
            true => core::mem::swap(letters, waiting),
            false => letters.append(waiting),
        }
    }

    /// The worker has ended: what waits and what is still posted is dropped, connections on their way among it.
    pub(crate) fn close(&self) {
        let letters = core::mem::replace(&mut *self.lock(), Letters { is_closed: true, ..Letters::default() });
        self.mail_bytes.store(0, Ordering::Relaxed);
        // Dropping a letter may lock other things, so this lock is free again.
        drop(letters);
    }

    /// Does so much mail wait that no more should be produced?
    pub(crate) fn is_overfull(&self) -> bool {
        self.mail_bytes.load(Ordering::Relaxed) > MAIL_BYTES_MAX
    }
}
