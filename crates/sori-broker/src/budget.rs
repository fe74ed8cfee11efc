//! How much a shard does of what may wait, from one tick to the next. Whoever finds nothing left goes on in a later turn, so
//! that very many sessions with something to do at one moment keep nobody waiting.

/// Places of the index that are changed in one go, which takes a fraction of a millisecond.
pub(crate) const PLACES_IN_A_GO: usize = 512;

/// Messages that lost members of groups hand back to the others.
const HANDED_MAX: usize = 2048;

/// Messages of sessions that have ended.
const FREED_MAX: usize = 2048;

/// Connections and sessions whose time has come: most of them end, and wills are published.
pub(crate) const TIMERS_MAX: usize = 256;

/// Connections that the broker ends.
const ENDINGS_MAX: usize = 64;

/// Sessions looked at for another `persistent_client_expiration`.
const SESSIONS_MAX: usize = 1024;

/// Messages thrown away when their turn to be sent has come, because they have expired or may not be sent.
const DROPPED_MAX: u32 = 4096;

/// Topics looked at for new subscriptions, which may mean as many messages sent.
const READ_MAX: u32 = 2048;

/// Deliveries that one call causes, about: then it stops behind the message that it is at, and the rest of the input waits. They take about
/// a millisecond.
pub(crate) const DELIVERIES_IN_A_GO: usize = 4096;

/// A filter that is subscribed or given up takes about as long as so many deliveries: a call handles a thousand of them.
pub(crate) const DELIVERIES_OF_A_FILTER: usize = 4;

/// What is left until the next tick.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Subscriptions of sessions that have ended, to be taken out of the index.
    pub(crate) removals: usize,
    /// Subscriptions to be marked in the index.
    pub(crate) marks: usize,
    /// Messages from groups, to be handed back.
    pub(crate) handed: usize,
    /// Messages of sessions that have ended, to be freed.
    pub(crate) frees: usize,
    /// Connections on the list of those that are to end.
    pub(crate) endings: usize,
    /// Sessions to be looked at after a change of the settings.
    pub(crate) sessions: usize,
    /// Messages to be thrown away instead of being sent.
    pub(crate) drops: u32,
    /// Topics with retained messages to be looked at.
    pub(crate) reads: u32,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            removals: PLACES_IN_A_GO,
            marks: PLACES_IN_A_GO,
            handed: HANDED_MAX,
            frees: FREED_MAX,
            endings: ENDINGS_MAX,
            sessions: SESSIONS_MAX,
            drops: DROPPED_MAX,
            reads: READ_MAX,
        }
    }
}
