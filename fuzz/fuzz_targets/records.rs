//! Whatever a store gives back for records, reading them ends with an error that has a place, or with sessions that a broker takes over.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sori_broker::{MemoryUse, OpenAccess, PlainMessage, PlainSpace, Recovered, Settings, Shard, ShardId, Time};

fuzz_target!(|data: &[u8]| {
    let _ = PlainMessage::decode(data);
    let mut recovered = Recovered::new();
    if let Err(error) = recovered.apply(0, data) {
        assert!(error.offset <= data.len() && !error.text.is_empty());
        return;
    }
    // A message may stand anywhere.
    let read = &mut |place: u64| data.get(usize::try_from(place).ok()?..).map(<[u8]>::to_vec);
    recovered.finish(&MemoryUse::default(), read);
    recovered.plain_sessions().for_each(drop);
    let settings = Arc::new(Settings { keeps_records: true, ..Settings::default() });
    let space = Arc::new(PlainSpace::default());
    let mut shard = Shard::new(ShardId(0), 1, settings, space, Arc::new(OpenAccess), 1, Time(0));
    shard.begin_run(recovered.counter());
    shard.restore_retained(recovered.retained_version(), &recovered.take_retained());
    for (client_id, session) in recovered.take_sessions() {
        shard.restore(Time(0), client_id, session, read);
    }
    shard.tick(Time(1_000_000));
    drop(shard.take_records());
    shard.shutdown(Time(2_000_000));
});
