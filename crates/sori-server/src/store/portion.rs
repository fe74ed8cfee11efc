//! What one shard gets of what a store held.

use sori_broker::{Clocks, MemoryUse, Recovered, RecoveredSession, RetainedMessage, Shard, ShardId, Time};
use sori_store::Reader;
use std::sync::Arc;

/// What a shard begins with.
#[derive(Default)]
pub(crate) struct Portion {
    /// `None`: nothing is kept.
    held: Option<Held>,
}

struct Held {
    sessions: Vec<(Arc<str>, RecoveredSession)>,
    /// For one of the shards: the retained messages and their last version.
    retained: Option<(u64, Vec<RetainedMessage>)>,
    counter: u64,
    clocks: Clocks,
    reader: Reader,
}

/// One portion for each shard, with as many sessions as the others. `memory` counts the retained messages.
pub(crate) fn portions(mut recovered: Recovered, reader: &Reader, shards: u16, memory: &MemoryUse) -> Vec<Portion> {
    recovered.finish(memory, &mut |place| reader.read(place).ok());
    let mut held: Vec<Held> = (0..shards)
        .map(|_| Held {
            sessions: Vec::new(),
            retained: None,
            counter: recovered.counter(),
            clocks: recovered.clocks().clone(),
            reader: reader.clone(),
        })
        .collect();
    for (at, session) in recovered.take_sessions().enumerate() {
        held[at % usize::from(shards)].sessions.push(session);
    }
    held[0].retained = Some((recovered.retained_version(), recovered.take_retained()));
    held.into_iter().map(|held| Portion { held: Some(held) }).collect()
}

impl Portion {
    /// The first shard's records begin a run: they must be in the store before those of any other shard.
    pub(crate) fn begin(&self, id: ShardId, shard: &mut Shard) {
        if let Some(held) = &self.held {
            shard.keep_time(&held.clocks);
        }
        match &self.held {
            Some(held) if id == ShardId(0) => shard.begin_run(held.counter),
            Some(held) => shard.go_on_after(held.counter),
            None => {}
        }
    }

    /// Make everything again.
    pub(crate) fn restore(self, shard: &mut Shard, now: Time) {
        let Some(Held { sessions, retained, reader, .. }) = self.held else { return };
        let read = &mut |place| reader.read(place).ok();
        for (client_id, session) in sessions {
            shard.restore(now, client_id, session, read);
        }
        if let Some((version, messages)) = retained {
            shard.restore_retained(version, &messages);
        }
    }
}
