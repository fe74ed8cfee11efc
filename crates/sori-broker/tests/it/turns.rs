//! What may wait is done little by little: one turn of a shard takes so long and no longer, however many sessions have
//! something to do at one moment.

use std::sync::Arc;

use sori_broker::{CheckpointOrder, ConnectionId, OpenAccess, RecordsStep, Settings, Space};

use super::lone::Lone;
use super::wire::{Version, disconnect, puback, publish, subscribe, v5, v311};

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

/// A queue of messages that have expired is looked through when its client is back: not all of it in one turn.
// covers: [MQTT-3.3.2-5]
#[test]
fn messages_that_expired_before_their_client_came_back_go_in_slices() {
    let mut broker = Lone::new(Settings { queued_messages_max: 0, ..Settings::default() });
    let (publisher, id) = (broker.connect(v5("p")), broker.connect(v311("q").clean(false)));
    broker.subscribe(id, "q", 1);
    broker.leave(id);
    for _ in 0..10_000 {
        broker.say_bytes(publisher, &publish("q").qos(1).id(1).message_expiry(1).encode(Version::V5));
    }
    broker.say_bytes(publisher, &publish("q").qos(1).id(1).payload("alive").encode(Version::V5));
    broker.now = broker.now.plus_seconds(2);
    let _id = broker.connect(v311("q").clean(false));
    let mut dropped = 0;
    while dropped < 10_000 {
        let before = dropped;
        dropped = broker.shard.totals().dropped_expired;
        assert!(dropped > before && dropped - before <= 4096 + 2, "{before}, then {dropped}");
        let sent = broker.shard.totals().publish_sent;
        assert_eq!((broker.is_due(), sent), (dropped < 10_000, u64::from(dropped == 10_000)));
        broker.tick();
    }
}

/// In a full queue of messages that have expired, one that comes makes room for itself and not for thousands.
#[test]
fn a_full_queue_that_has_expired_is_emptied_in_slices() {
    let mut broker = Lone::new(Settings { queued_messages_max: 5000, ..Settings::default() });
    let (publisher, id) = (broker.connect(v5("p")), broker.connect(v311("q").clean(false)));
    broker.subscribe(id, "q", 1);
    broker.leave(id);
    for _ in 0..5000 {
        broker.say_bytes(publisher, &publish("q").qos(1).id(1).message_expiry(1).encode(Version::V5));
    }
    broker.now = broker.now.plus_seconds(2);
    broker.say_bytes(publisher, &publish("q").qos(1).id(1).encode(Version::V5));
    let totals = broker.shard.totals();
    assert_eq!((totals.dropped_expired, totals.queued, totals.dropped()), (32, 5000 - 31, 32));
}

/// Beyond the memory limit a long queue is left to the store by and by, and nothing is lost meanwhile.
#[test]
fn a_long_queue_is_left_to_the_store_in_slices() {
    let mut settings = Settings { keeps_records: true, queued_messages_max: 0, ..Settings::default() };
    let mut broker = Lone::new(settings.clone());
    session_with_queue(&mut broker, "q", 5000);
    let publisher = broker.connect(v311("p"));
    settings.memory_limit = used(&broker);
    broker.shard.reconfigure(broker.now, Arc::new(settings), Arc::new(OpenAccess));
    let mut in_store = 0;
    for number in 1..=20 {
        broker.say(publisher, publish("q").qos(1).id(1).payload("waits"));
        let totals = broker.shard.totals();
        assert_eq!((totals.queued, totals.dropped()), (5000 + number, 0));
        assert!(totals.queued_in_store - in_store <= 256, "{in_store}, then {}", totals.queued_in_store);
        in_store = totals.queued_in_store;
    }
    assert!(in_store >= 256, "{in_store}");
}

fn retain(broker: &mut Lone, publisher: ConnectionId, topics: u32, expiry_seconds: Option<u32>) {
    for number in 0..topics {
        let message = publish(format!("r/{number}")).retain().payload("kept");
        let message = expiry_seconds.iter().fold(message, |message, seconds| message.message_expiry(*seconds));
        broker.say_bytes(publisher, &message.encode(Version::V5));
    }
}

/// One session may have very many subscriptions and messages: others do not wait until all of it is written down.
#[test]
fn a_large_session_is_written_down_for_a_checkpoint_in_slices() {
    let settings = Settings { keeps_records: true, inflight_messages_max: 0, ..Settings::default() };
    let mut broker = Lone::new(settings);
    let (id, publisher) = (broker.connect(v311("large").clean(false)), broker.connect(v311("p")));
    broker.subscribe(id, "t", 1);
    for first in (0..8000).step_by(100) {
        let filters = (first..first + 100).map(|number| format!("a/filter/of/some/length/{number}"));
        broker.say(id, filters.fold(subscribe(1), |packet, filter| packet.filter(filter, 1)));
    }
    for number in 1..=8000 {
        broker.say(id, publish("nobody").qos(2).id(number).payload("x"));
        broker.say(publisher, publish("t").qos(1).id(1).payload("x"));
    }
    broker.shard.checkpoint(broker.now, 1, CheckpointOrder::Begin);
    let (mut turns, mut bytes) = (0, 0);
    loop {
        assert!(broker.is_due(), "it goes on");
        broker.shard.tick(broker.now);
        let records = broker.shard.take_records().expect("something is written down");
        assert!(records.bytes.len() < 65 * 1024, "{} bytes in one turn", records.bytes.len());
        bytes += records.bytes.len();
        turns += 1;
        if records.step == Some(RecordsStep::Walked(1)) {
            break;
        }
    }
    assert!(bytes > 8000 * 80 && turns > 8000 * 80 / (64 * 1024), "{bytes} bytes in {turns} turns are not all");
}

/// Each reads its share in turn, and together they read no more in one turn than one alone might.
#[test]
fn many_that_read_retained_messages_share_a_turn() {
    let mut broker = Lone::new(Settings::default());
    let publisher = broker.connect(v5("p"));
    retain(&mut broker, publisher, 1500, None);
    let readers: Vec<_> = (0..20).map(|number| broker.connect(v311(&format!("c{number}")))).collect();
    let before = broker.shard.totals().publish_sent;
    for id in &readers {
        broker.say(*id, subscribe(1).filter("r/#", 0));
    }
    let sent = |broker: &Lone| broker.shard.totals().publish_sent - before;
    assert_eq!(sent(&broker), 2048, "in the first turn");
    let mut turns = 0;
    while sent(&broker) < 20 * 1500 {
        let sent_before = sent(&broker);
        assert!(broker.is_due(), "somebody has still to read");
        broker.shard.tick(broker.now);
        if turns == 4 {
            // All have had something by now: the last of them as well.
            assert!(broker.shard.output_len(readers[19]) > 0);
        }
        broker.settle();
        assert!(sent(&broker) - sent_before <= 2048);
        turns += 1;
    }
    assert!(turns < 20, "{turns} turns");
}

/// A client that asks for one topic waits for nobody in a shard where nobody else reads.
#[test]
fn one_retained_message_comes_at_once() {
    let mut broker = Lone::new(Settings::default());
    let publisher = broker.connect(v5("p"));
    retain(&mut broker, publisher, 1, None);
    let id = broker.connect(v311("c"));
    assert_eq!(broker.say(id, subscribe(1).filter("r/0", 0)).len(), 5 + 11, "SUBACK and PUBLISH");
    assert!(!broker.is_due());
}

#[test]
fn retained_messages_that_expire_together_go_in_slices() {
    let mut broker = Lone::new(Settings::default());
    let publisher = broker.connect(v5("p"));
    retain(&mut broker, publisher, 1500, Some(1));
    broker.now = broker.now.plus_seconds(2);
    for left in [1500 - 512, 1500 - 1024, 0] {
        assert!(broker.tick(), "more is due");
        let mut found = 0;
        broker.space.retained(&mut |retained| found = retained.len());
        assert_eq!(found, left);
    }
    assert!(!broker.tick());
    assert_eq!(used(&broker), 0);
}

/// Publishes `count` numbered messages to everybody in one piece.
fn burst(broker: &mut Lone, publisher: ConnectionId, count: u16, qos: u8) {
    let message = |number: u16| publish("t").qos(qos).payload(number.to_string());
    let packets = (1..=count).flat_map(|number| match qos {
        0 => message(number).encode(Version::V311),
        _ => message(number).id(number).encode(Version::V311),
    });
    let packets: Vec<u8> = packets.collect();
    broker.shard.receive(broker.now, publisher, &packets);
}

fn crowd(broker: &mut Lone, count: u32) -> Vec<ConnectionId> {
    let all: Vec<_> = (0..count).map(|number| broker.connect(v311(&format!("s{number}")))).collect();
    all.iter().for_each(|id| broker.subscribe(*id, "t", 0));
    all
}

fn delivered(broker: &Lone) -> u64 {
    broker.shard.totals().publish_sent
}

#[test]
fn a_burst_for_very_many_is_delivered_in_slices() {
    const CROWD: u64 = 1000;
    for qos in [0, 1] {
        let mut broker = Lone::new(Settings::default());
        let all = crowd(&mut broker, CROWD as u32);
        let publisher = broker.connect(v311("p"));
        burst(&mut broker, publisher, 100, qos);
        let mut heard = broker.output(all[7]);
        let mut answers = broker.output(publisher);
        broker.settle();
        assert!(broker.shard.is_connection_behind(publisher), "nothing more is to be read from it");
        let (mut before, mut slices) = (delivered(&broker), 1);
        assert!((4000..6000).contains(&before), "{before}");
        while delivered(&broker) < 100 * CROWD {
            assert!(broker.is_due(), "it goes on by itself");
            broker.shard.tick(broker.now);
            heard.extend(broker.output(all[7]));
            answers.extend(broker.output(publisher));
            broker.settle();
            let after = delivered(&broker);
            assert!((1..6000).contains(&(after - before)), "{before} became {after}");
            (before, slices) = (after, slices + 1);
        }
        assert!((17..26).contains(&slices), "{slices}");
        assert!(!broker.shard.is_behind() && !broker.is_due());
        let expected = (1..=100u16).flat_map(|n| publish("t").payload(n.to_string()).encode(Version::V311));
        assert_eq!(heard, expected.collect::<Vec<_>>(), "all, and in their order");
        let acknowledged = (1..=100u16).flat_map(|n| puback(n).encode(Version::V311)).collect::<Vec<_>>();
        assert_eq!(answers, if qos == 0 { vec![] } else { acknowledged });
    }
}

#[test]
fn what_came_before_its_end_is_delivered_though_it_comes_to_very_many() {
    for ends in ["it is closed", "it says goodbye", "another one takes over"] {
        let mut broker = Lone::new(Settings::default());
        let all = crowd(&mut broker, 1000);
        let publisher = broker.connect(v311("p"));
        burst(&mut broker, publisher, 100, 0);
        match ends {
            "it is closed" => {}
            "it says goodbye" => broker.shard.receive(broker.now, publisher, &disconnect().encode(Version::V311)),
            _ => _ = broker.connect(v311("p")),
        }
        broker.leave(publisher);
        while broker.tick() {}
        assert_eq!(delivered(&broker), 100 * all.len() as u64, "{ends}");
    }
}

#[test]
fn others_are_heard_while_one_is_behind() {
    let mut broker = Lone::new(Settings::default());
    let all = crowd(&mut broker, 1000);
    let (publisher, other) = (broker.connect(v311("p")), broker.connect(v311("o")));
    broker.subscribe(other, "o", 0);
    burst(&mut broker, publisher, 100, 0);
    burst(&mut broker, other, 100, 0);
    assert_eq!(broker.publish(other, "o", &[other]), [vec![]], "what is behind stays behind what came before it");
    let third = broker.connect(v311("third"));
    assert_eq!(broker.publish(third, "o", &[other]), [publish("o").encode(Version::V311)]);
    while broker.tick() {}
    assert_eq!(delivered(&broker), 200 * all.len() as u64 + 2);
}

/// Sessions whose clients are away, for a second.
fn away(count: u32) -> Lone {
    let mut broker = Lone::new(away_for(1));
    for number in 0..count {
        let id = broker.connect(v311(&format!("c{number}")).clean(false));
        broker.leave(id);
    }
    broker
}

fn away_for(seconds: u64) -> Settings {
    Settings { persistent_client_expiration: Some(seconds), keeps_records: true, ..Settings::default() }
}

fn reconfigure(broker: &mut Lone, settings: Settings) {
    broker.shard.reconfigure(broker.now, Arc::new(settings), Arc::new(OpenAccess));
}

#[test]
fn another_expiration_comes_to_very_many_sessions_in_slices() {
    let mut broker = away(2500);
    reconfigure(&mut broker, away_for(100));
    let mut slices = vec![broker.shard.records_len()];
    broker.settle();
    while broker.is_due() {
        broker.shard.tick(broker.now);
        slices.push(broker.shard.records_len());
        broker.settle();
    }
    assert_eq!(slices.len(), 3, "{slices:?}");
    assert!(slices[1] < slices[0] * 11 / 10 && slices[2] < slices[0] / 2, "{slices:?}");
    // It has come to all of them.
    reconfigure(&mut broker, away_for(100));
    while broker.tick() {}
    broker.now = broker.now.plus_seconds(99);
    assert!(!broker.is_due());
    broker.now = broker.now.plus_seconds(1);
    while broker.tick() {}
    assert_eq!(broker.shard.totals().sessions_expired, 2500);
}

#[test]
fn no_session_ends_by_an_expiration_that_does_not_hold_any_more() {
    let mut broker = away(2500);
    broker.now = broker.now.plus_seconds(1);
    reconfigure(&mut broker, away_for(100));
    while broker.tick() {}
    assert_eq!(broker.shard.totals().sessions, 2500);
}
