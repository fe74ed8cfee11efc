//! At `memory_limit`, what waits and is durable is left to the store: by each message for the queue that it goes to, and where
//! something must stay in memory, retained or until PUBREL, by all queues, some at a time, until there is room for it.

use crate::ids::ShardId;
use crate::message::MessageRef;
use crate::session::SessionKey;
use crate::settings::QueueFull;
use crate::shard::Shard;
use crate::time::Time;
use sori_mqtt::QoS;

/// Sessions looked at in one go.
const SESSIONS_IN_A_GO: u32 = if cfg!(test) { 4 } else { 512 };
/// Messages of a queue that are left to the store for one that comes.
const MESSAGES_FOR_ONE: usize = 256;
/// Messages left to the store in one go, and one more for so many bytes that are to find room.
const MESSAGES_IN_A_GO: usize = 4096;
const BYTES_FOR_A_MESSAGE: u64 = 64;
/// Where nothing can go, it is not tried again for so long; nor are other shards asked more often without need.
const PAUSE_MILLIS: u64 = 100;
/// What must stay in memory begins to look for room when this part of the limit is left: other shards take a turn to make some.
const HEADROOM_PART: u64 = 8;

/// How far a shard is with what its queues may leave to the store.
#[derive(Debug, Default)]
pub(crate) struct Spilling {
    /// The slot of the session whose turn it is.
    slot: u32,
    /// Sessions looked at since one had something to leave.
    in_vain: u32,
    next_try: Time,
    next_asking: Time,
}

impl Shard {
    /// Is there memory for another message in a queue? If not, the session's queue is left to the store, as far as it is there,
    /// a part each time.
    pub(crate) fn has_memory_for(&mut self, key: SessionKey, qos: QoS, message: &MessageRef<'_>) -> bool {
        let limit = self.settings.memory_limit;
        let needs = message.payload.len() as u64;
        if limit == 0 || self.space.memory_used() + needs <= limit {
            return true;
        }
        let may_spill = self.may_spill() && qos != QoS::AtMostOnce;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return false };
        if !may_spill || !session.is_persistent() {
            return false;
        }
        loop {
            let spilled = session.queue.spill(0, MESSAGES_FOR_ONE, &self.memory);
            // What is not durable yet, and what the store's part of the queues takes, has this much more; and while there is room in
            // that, the rest of the queue has time until more comes.
            let has_room = self.space.memory_used() + needs <= limit + limit / 4;
            if has_room || spilled == 0 {
                return has_room;
            }
        }
    }

    /// Is there memory for so many bytes that have to stay there? What only waits makes room.
    pub(crate) fn has_memory_to_keep(&mut self, bytes: u64) -> bool {
        let limit = self.settings.memory_limit;
        if limit == 0 {
            return true;
        }
        let room = bytes + limit / HEADROOM_PART;
        if self.space.memory_used() + room <= limit {
            return true;
        }
        self.make_room(room);
        let used = self.space.memory_used();
        let has_memory = used + bytes <= limit;
        if used + room > limit && (!has_memory || self.now >= self.spilling.next_asking) {
            self.ask_for_room(room);
        }
        has_memory
    }

    /// Other shards' queues may take the memory.
    fn ask_for_room(&mut self, room: u64) {
        if !self.may_spill() {
            return;
        }
        self.spilling.next_asking = self.now.plus_millis(PAUSE_MILLIS);
        for (shard, mail) in (0..).map(ShardId).zip(&mut self.mail) {
            if shard != self.id {
                mail.ask_for_room(room);
            }
        }
    }

    /// Leave to the store what waits for sessions, one after the other, until so many bytes have room or this go is over.
    pub(crate) fn make_room(&mut self, room: u64) {
        let (limit, slots) = (self.settings.memory_limit, self.sessions.slots());
        if !self.may_spill() || self.now < self.spilling.next_try {
            return;
        }
        let mut left = MESSAGES_IN_A_GO + usize::try_from(room / BYTES_FOR_A_MESSAGE).unwrap_or(0);
        for _ in 0..slots.min(SESSIONS_IN_A_GO) {
            if self.spilling.slot >= slots {
                self.spilling.slot = 0;
            }
            let spilled = self.spill_session(self.spilling.slot, left);
            left -= spilled;
            self.spilling.in_vain = if spilled > 0 { 0 } else { self.spilling.in_vain + 1 };
            if left == 0 || (spilled > 0 && self.space.memory_used() + room <= limit) {
                // It may have more.
                return;
            }
            self.spilling.slot += 1;
            if self.spilling.in_vain >= slots {
                self.spilling.in_vain = 0;
                self.spilling.next_try = self.now.plus_millis(PAUSE_MILLIS);
                return;
            }
        }
    }

    /// Gives how many messages went, at most `max`.
    fn spill_session(&mut self, slot: u32, max: usize) -> usize {
        let Some((slot, generation)) = self.sessions.key_at(slot) else { return 0 };
        let Some(session) = self.sessions.get_mut(slot, generation) else { return 0 };
        if session.is_persistent() { session.queue.spill(0, max, &self.memory) } else { 0 }
    }

    /// A queue that keeps the latest value of each topic has to know the topics.
    fn may_spill(&self) -> bool {
        self.recorder.is_on() && self.settings.queue_full != QueueFull::LatestValue
    }
}
