//! How long sessions outlive their connections. Before MQTT 5.0 the client cannot say it, and `persistent_client_expiration`
//! does; a client of MQTT 5.0 says it, and `persistent_client_expiration` is the most that it gets. A change of that setting
//! counts for the sessions that are there.

use crate::session::{NEVER_EXPIRES, SessionKey};
use crate::shard::Shard;
use crate::time::Time;
use crate::timers::Timer;

/// When a session ends whose connection went at `left_at`.
pub(crate) fn end_of(left_at: Time, expiry_seconds: u32) -> Time {
    if expiry_seconds == NEVER_EXPIRES { Time::NEVER } else { left_at.plus_seconds(u64::from(expiry_seconds)) }
}

/// The interval by which a session ends at `ends_at` that counts from now on; at least one second.
pub(crate) fn interval_until(ends_at: Time, now: Time) -> u32 {
    if ends_at == Time::NEVER {
        return NEVER_EXPIRES;
    }
    let left = ends_at.0.saturating_sub(now.0).div_ceil(1000).max(1);
    u32::try_from(left).unwrap_or(NEVER_EXPIRES - 1)
}

/// When the connection went of a session that ends at `ends_at` by this interval; for one that never ends nobody has written it down.
pub(crate) fn beginning_of(ends_at: Time, expiry_seconds: u32) -> Option<Time> {
    let is_known = ends_at != Time::NEVER && expiry_seconds != NEVER_EXPIRES;
    is_known.then(|| Time(ends_at.0.saturating_sub(u64::from(expiry_seconds) * 1000)))
}

impl Shard {
    /// Seconds that a session of MQTT 3.1 or 3.1.1 outlives its connection, and the most of MQTT 5.0; at least one.
    pub(crate) fn expiry_by_setting(&self) -> u32 {
        match self.settings.persistent_client_expiration {
            None => NEVER_EXPIRES,
            Some(seconds) => u32::try_from(seconds).unwrap_or(NEVER_EXPIRES - 1).max(1),
        }
    }

    /// Seconds that a session outlives its connection: what was asked for, and no more than the setting grants.
    pub(crate) fn granted_expiry(&self, asked_seconds: u32) -> u32 {
        asked_seconds.min(self.expiry_by_setting())
    }

    /// The setting may be another one: sessions end by it, counted from when their clients went. Some are looked at now, the
    /// others in the turns that follow.
    pub(crate) fn apply_expiration(&mut self) {
        self.unadjusted = Some(0);
        self.apply_expiration_to_some();
    }

    /// Look at so many sessions as this turn may. Those that begin meanwhile go by the setting already.
    pub(crate) fn apply_expiration_to_some(&mut self) {
        let Some(mut slot) = self.unadjusted else { return };
        while self.budget.sessions > 0 && slot < self.sessions.slots() {
            if let Some((slot, generation)) = self.sessions.key_at(slot) {
                self.apply_expiration_to(SessionKey { slot, generation });
            }
            self.budget.sessions -= 1;
            slot += 1;
        }
        self.unadjusted = (slot < self.sessions.slots()).then_some(slot);
    }

    /// The same for one session; nothing is to be done when it goes by the setting already.
    pub(crate) fn apply_expiration_to(&mut self, key: SessionKey) {
        let (me, setting) = (self.session_ref(key), self.expiry_by_setting());
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        let is_other_interval = session.expires_by_setting && session.expiry_seconds != setting;
        if is_other_interval {
            session.expiry_seconds = setting;
            // What is recorded of the end is understood together with what is recorded of the interval.
            self.recorder.note_connected(me, session);
        }
        let ends_at = end_of(session.left_at, session.expiry_seconds.min(setting));
        if session.connection.is_some() || (session.ends_at == ends_at && !is_other_interval) {
            return;
        }
        session.ends_at = ends_at;
        if let Some(will) = &mut session.will {
            will.at = will.at.min(session.ends_at);
        }
        self.recorder.note_disconnected(me, session);
        let next = session.next_due();
        self.timers.set(Timer::Session(key.slot), &mut session.timer, next);
    }
}
