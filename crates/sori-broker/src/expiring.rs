//! How long sessions outlive their connections when the client cannot say it, as before MQTT 5.0:
//! `persistent_client_expiration` says it, and a change of that counts for the sessions that are there.

use crate::session::{NEVER_EXPIRES, SessionKey};
use crate::shard::Shard;
use crate::time::Time;
use crate::timers::Timer;
use alloc::vec::Vec;

/// When a session ends whose connection went at `left_at`.
pub(crate) fn end_of(left_at: Time, expiry_seconds: u32) -> Time {
    if expiry_seconds == NEVER_EXPIRES { Time::NEVER } else { left_at.plus_seconds(u64::from(expiry_seconds)) }
}

/// When the connection went of a session that ends at `ends_at`; for one that never ends nobody has written it down.
pub(crate) fn beginning_of(ends_at: Time, expiry_seconds: u32) -> Option<Time> {
    (ends_at != Time::NEVER).then(|| Time(ends_at.0.saturating_sub(u64::from(expiry_seconds) * 1000)))
}

impl Shard {
    /// Seconds that a session of MQTT 3.1 or 3.1.1 outlives its connection, at least one.
    pub(crate) fn expiry_by_setting(&self) -> u32 {
        match self.settings.persistent_client_expiration {
            None => NEVER_EXPIRES,
            Some(seconds) => u32::try_from(seconds).unwrap_or(NEVER_EXPIRES - 1).max(1),
        }
    }

    /// The setting is another one: sessions end by it, counted from when their clients went.
    pub(crate) fn apply_expiration(&mut self) {
        let keys = self.sessions.iter().filter(|(_, _, session)| session.expires_by_setting);
        let keys: Vec<SessionKey> = keys.map(|(slot, generation, _)| SessionKey { slot, generation }).collect();
        for key in keys {
            self.apply_expiration_to(key);
        }
    }

    /// The same for one session; nothing is to be done when it goes by the setting already.
    pub(crate) fn apply_expiration_to(&mut self, key: SessionKey) {
        let (me, expiry) = (self.session_ref(key), self.expiry_by_setting());
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        if !session.expires_by_setting || session.expiry_seconds == expiry {
            return;
        }
        session.expiry_seconds = expiry;
        // What is recorded of the end is understood together with what is recorded of the interval.
        self.recorder.note_connected(me, session);
        if session.connection.is_some() {
            return;
        }
        session.ends_at = end_of(session.left_at, expiry);
        if let Some(will) = &mut session.will {
            will.at = will.at.min(session.ends_at);
        }
        self.recorder.note_disconnected(me, session);
        let next = session.next_due();
        self.timers.set(Timer::Session(key.slot), &mut session.timer, next);
    }
}
