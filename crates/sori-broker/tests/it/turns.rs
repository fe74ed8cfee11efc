//! What may wait is done little by little: one turn of a shard takes so long and no longer, however many sessions have
//! something to do at one moment.

use sori_broker::{Settings, Space};

use super::lone::Lone;
use super::wire::{publish, v311};

fn used(broker: &Lone) -> u64 {
    broker.space.memory_used()
}

/// A session whose client is away, and for which so many messages wait.
fn session_with_queue(broker: &mut Lone, client_id: &str, messages: u32) {
    let (publisher, id) = (broker.connect(v311("p")), broker.connect(v311(client_id).clean(false)));
    broker.subscribe(id, client_id, 1);
    broker.leave(id);
    for _ in 0..messages {
        broker.say(publisher, publish(client_id).qos(1).id(1).payload("waits"));
    }
    broker.leave(publisher);
}

#[test]
fn a_long_queue_of_a_session_that_ends_is_freed_in_slices() {
    let mut broker = Lone::new(Settings { queued_messages_max: 0, ..Settings::default() });
    session_with_queue(&mut broker, "q", 10_000);
    let full = used(&broker);
    // The client does not want its session any more.
    let again = broker.connect(v311("q"));
    let totals = broker.shard.totals();
    assert_eq!((totals.queued, totals.queued_bytes, totals.dropped_session_ended), (0, 0, 10_000));
    let mut before = used(&broker);
    assert!(before > full / 2, "{before} of {full} bytes are left after the first slice");
    let mut slices = 1;
    while broker.tick() {
        let after = used(&broker);
        assert!(after < before && before - after < full / 4, "{before} bytes became {after}");
        (before, slices) = (after, slices + 1);
    }
    assert_eq!((before, slices), (0, 5));
    broker.leave(again);
    assert_eq!(broker.shard.totals().dropped_session_ended, 10_000);
}

#[test]
fn short_queues_go_with_their_sessions() {
    let mut broker = Lone::new(Settings::default());
    for client_id in ["a", "b", "c"] {
        session_with_queue(&mut broker, client_id, 100);
    }
    for client_id in ["a", "b", "c"] {
        broker.connect(v311(client_id));
    }
    assert_eq!((used(&broker), broker.is_due()), (0, false));
}

// covers: [MQTT-4.1.0-2]
#[test]
fn sessions_that_expire_together_end_in_slices() {
    let mut broker = Lone::new(Settings { persistent_client_expiration: Some(1), ..Settings::default() });
    let all = (0..1000).map(|number| broker.connect(v311(&format!("c{number}")).clean(false)));
    for id in all.collect::<Vec<_>>() {
        broker.leave(id);
    }
    broker.now = broker.now.plus_seconds(2);
    for left in [744, 488, 232, 0] {
        assert!(broker.tick(), "more is due");
        let totals = broker.shard.totals();
        assert_eq!((totals.sessions, totals.sessions_expired), (left, 1000 - left));
    }
    assert!(!broker.tick());
}
