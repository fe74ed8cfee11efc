//! Whatever a `mosquitto.db` holds, importing it ends with values or with an error that names a place in the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_mqtt::{TopicFilter, TopicName};
use sori_server::import::{ImportFault, Imported, Place, read_mosquitto_db};
use std::collections::HashSet;

fuzz_target!(|data: &[u8]| {
    match read_mosquitto_db("mosquitto.db".as_ref(), data) {
        Ok(imported) => check(&imported),
        Err(error) => match error.fault() {
            ImportFault::Damaged { place: Place::Byte(offset), what } => {
                assert!(*offset <= data.len() as u64 && !what.is_empty(), "{error}");
            }
            ImportFault::Damaged { .. } | ImportFault::Io(_) => panic!("bytes in memory have no such fault: {error}"),
            ImportFault::Foreign | ImportFault::Unsupported(_) => {}
        },
    }
});

/// What the types promise.
fn check(imported: &Imported) {
    let mut client_ids = HashSet::new();
    for session in &imported.sessions {
        assert!(!session.client_id.is_empty() && client_ids.insert(&session.client_id));
        let filters: HashSet<_> = session.subscriptions.iter().map(|subscription| &subscription.filter).collect();
        assert_eq!(filters.len(), session.subscriptions.len());
        assert!(filters.into_iter().all(|filter| TopicFilter::new(filter).is_ok()));
        let in_flight: HashSet<_> = session.inflight.iter().map(|entry| entry.packet_id).collect();
        assert_eq!(in_flight.len(), session.inflight.len());
        let incoming: HashSet<_> = session.incoming.iter().map(|entry| entry.packet_id).collect();
        assert_eq!(incoming.len(), session.incoming.len());
        for message in session.queued.iter().map(|delivery| &delivery.message) {
            assert!(TopicName::new(&message.topic).is_ok());
            let read: usize = message.properties.as_properties().iter().map(|property| property.encoded_len()).sum();
            assert_eq!(read, message.properties.as_properties().len());
        }
    }
    let topics: HashSet<_> = imported.retained.iter().map(|message| &message.topic).collect();
    assert_eq!(topics.len(), imported.retained.len());
}
