//! A SUBSCRIBE or UNSUBSCRIBE of very many filters is handled in parts, and others are heard in between.

use std::sync::Arc;

use sori_broker::{
    CheckpointOrder, ConnectionId, Effect, MemoryUse, Records, RecordsStep, Recovered, Settings, StoreState,
};

use super::lone::Lone;
use super::wire::{
    Packet, Version, disconnect, pingreq, pingresp, publish, suback, subscribe, unsuback, unsubscribe, v5,
};

const MANY: usize = 10_000;
/// About so many filters are handled in one call.
const IN_A_GO: usize = 1024;

/// `packet` with the filters `f/0`, `f/1`, ..., and QoS 0, 1, 2, 0, ...
fn with_filters(packet: Packet, count: usize) -> Packet {
    (0..count).fold(packet, |packet, number| packet.filter(format!("f/{number}"), (number % 3) as u8))
}

fn granted(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 3) as u8).collect()
}

fn bytes(packets: impl IntoIterator<Item = Packet>) -> Vec<u8> {
    packets.into_iter().flat_map(|packet| packet.encode(Version::V5)).collect()
}

fn kept(client_id: &str) -> Packet {
    v5(client_id).clean(false).session_expiry(1000)
}

fn recorded() -> Settings {
    Settings { keeps_records: true, ..Settings::default() }
}

/// The client `c`, whose SUBSCRIBE of very many filters has come, with `behind` in the same bytes; its first part has been handled.
fn begun(settings: Settings, behind: impl IntoIterator<Item = Packet>) -> (Lone, ConnectionId) {
    let mut broker = Lone::new(settings);
    let id = broker.connect(kept("c"));
    let all = bytes([with_filters(subscribe(7), MANY)].into_iter().chain(behind));
    broker.shard.receive(broker.now, id, &all);
    assert_eq!(broker.subscriptions().0, IN_A_GO, "the first part");
    (broker, id)
}

/// Turn after turn until nothing is due; gives what was sent to a connection.
fn finish(broker: &mut Lone, id: ConnectionId) -> Vec<u8> {
    let mut output = broker.output(id);
    broker.settle();
    while broker.is_due() {
        broker.shard.tick(broker.now);
        output.extend(broker.output(id));
        broker.settle();
    }
    assert!(!broker.shard.is_behind());
    output
}

#[test]
fn others_are_heard_between_the_parts_and_the_answer_is_one_packet() {
    let mut broker = Lone::new(Settings::default());
    let (id, other) = (broker.connect(v5("c")), broker.connect(v5("o")));
    broker.say_bytes(other, &bytes([subscribe(1).filter("o", 0)]));
    // An UNSUBSCRIBE of more than there are.
    let codes = [vec![0; MANY], vec![0x11; 50]].concat();
    for (packet, answer, change) in [
        (with_filters(subscribe(7), MANY), suback(7, &granted(MANY)), 1),
        (with_filters(unsubscribe(8), MANY + 50), unsuback(8, &codes), -1),
    ] {
        // It comes in pieces, and others follow: one of them with its end, one in between.
        let packets = bytes([packet, pingreq()]);
        let (first, rest) = packets.split_at(packets.len() / 2);
        assert_eq!(broker.say_bytes(id, first), b"");
        broker.shard.receive(broker.now, id, rest);
        let mut output = broker.output(id);
        broker.shard.receive(broker.now, id, &bytes([publish("o").payload("behind")]));
        let (mut heard, mut parts, mut before) = (broker.output(other), 1, broker.subscriptions().0);
        broker.settle();
        while broker.is_due() {
            assert!(output.is_empty() && heard.is_empty() && broker.shard.is_connection_behind(id));
            let others = broker.say_bytes(other, &bytes([publish("o").payload("between")]));
            assert_eq!(others, bytes([publish("o").payload("between")]));
            broker.shard.tick(broker.now);
            let now = broker.subscriptions().0;
            let changed = (now as isize - before as isize) * change;
            assert!((0..=IN_A_GO as isize).contains(&changed), "{before} became {now}");
            (parts, before) = (parts + 1, now);
            output = broker.output(id);
            heard = broker.output(other);
            broker.settle();
        }
        assert_eq!(parts, MANY.div_ceil(IN_A_GO));
        assert_eq!(output, bytes([answer, pingresp()]));
        assert_eq!(heard, bytes([publish("o").payload("behind")]));
        assert_eq!(broker.subscriptions().0, if change > 0 { MANY + 1 } else { 1 });
        assert!(!broker.shard.is_behind());
    }
}

/// Several that do it at once share a call.
#[test]
fn parts_of_several_clients_share_a_turn() {
    let mut broker = Lone::new(Settings::default());
    let all: Vec<_> = (0..3).map(|number| broker.connect(v5(&format!("c{number}")))).collect();
    for id in &all {
        broker.shard.receive(broker.now, *id, &bytes([with_filters(subscribe(7), MANY)]));
    }
    let mut before = broker.subscriptions().0;
    assert_eq!(before, 3 * IN_A_GO);
    while broker.is_due() {
        broker.shard.tick(broker.now);
        let now = broker.subscriptions().0;
        assert!(now - before < IN_A_GO + 32, "{before} became {now}");
        before = now;
    }
    assert_eq!(before, 3 * MANY);
    all.iter().for_each(|id| assert_eq!(broker.output(*id), bytes([suback(7, &granted(MANY))])));
}

/// Very many packets with few filters each are no better.
#[test]
fn the_filters_of_all_packets_in_one_input_count() {
    let mut broker = Lone::new(Settings::default());
    let id = broker.connect(v5("c"));
    let packets = (0..5000).map(|number| subscribe(1).filter(format!("f/{number}"), 0));
    broker.shard.receive(broker.now, id, &bytes(packets));
    assert_eq!(broker.subscriptions().0, IN_A_GO);
    assert_eq!(finish(&mut broker, id), bytes((0..5000).map(|_| suback(1, &[0]))));
}

#[test]
fn what_had_come_counts_when_the_connection_is_lost() {
    let (mut broker, id) = begun(recorded(), [publish("f/1").qos(1).id(9).payload("mine"), disconnect()]);
    broker.leave(id);
    assert_eq!(broker.subscriptions().0, MANY);
    while broker.tick() {}
    assert!(!broker.shard.is_behind());
    assert_eq!(broker.shard.totals().publish_sent, 1, "it was published behind the SUBSCRIBE");
    let again = broker.connect(kept("c"));
    assert_eq!(broker.shard.subscriptions("c").len(), MANY);
    broker.leave(again);
}

#[test]
fn a_session_that_ends_with_its_connection_leaves_nothing() {
    let mut broker = Lone::new(Settings::default());
    let id = broker.connect(v5("c"));
    broker.shard.receive(broker.now, id, &bytes([with_filters(subscribe(7), MANY)]));
    broker.leave(id);
    while broker.tick() {}
    assert_eq!((broker.subscriptions(), broker.shard.totals().sessions), ((0, 0), 0));
}

#[test]
fn who_takes_over_finds_the_packet_done() {
    for (is_clean, left) in [(false, MANY), (true, 0)] {
        let (mut broker, old) = begun(Settings::default(), [pingreq()]);
        let new = broker.shard.open(broker.now, Arc::default(), "127.0.0.1:1");
        broker.shard.receive(broker.now, new, &bytes([kept("c").clean(is_clean)]));
        assert_eq!(broker.output(old), bytes([suback(7, &granted(MANY)), pingresp()]));
        broker.settle();
        assert_eq!(broker.output(old)[..1], [0xE0], "DISCONNECT follows");
        broker.leave(old);
        assert_eq!(finish(&mut broker, new), b"");
        assert_eq!((broker.shard.subscriptions("c").len(), broker.subscriptions().0), (left, left));
        assert_eq!(broker.say_bytes(new, &bytes([pingreq()])), bytes([pingresp()]));
    }
}

type End = fn(&mut Lone, ConnectionId);

/// What the broker ends is not heard any more, and what it has subscribed so far stays.
#[test]
fn what_the_broker_ends_gets_no_answer() {
    let dismiss: End = |broker, id| broker.shard.dismiss(broker.now, id);
    let shut_down: End = |broker, _| broker.shard.shutdown(broker.now);
    let stuck: End = |broker, _| broker.shard.set_store(broker.now, StoreState::Stuck);
    let failed: End = |broker, _| broker.shard.set_store(broker.now, StoreState::Failed);
    for (end, code) in [(dismiss, 0x98), (shut_down, 0x8B), (stuck, 0x97), (failed, 0x97)] {
        let (mut broker, id) = begun(recorded(), [pingreq()]);
        end(&mut broker, id);
        let (mut output, mut is_closed) = (Vec::new(), false);
        for _ in 0..2 * MANY / IN_A_GO {
            broker.shard.tick(broker.now);
            output.extend(broker.output(id));
            is_closed |= std::iter::from_fn(|| broker.shard.next_effect())
                .any(|effect| matches!(effect, Effect::Close(closed) if closed == id));
            broker.settle();
        }
        assert_eq!((output[0], output[2], is_closed), (0xE0, code, true), "{output:?}");
        assert_eq!(broker.subscriptions().0, IN_A_GO);
        broker.leave(id);
        assert!(!broker.shard.is_behind() && broker.subscriptions().0 == IN_A_GO);
    }
}

/// What has been recorded since the last call.
fn records(broker: &mut Lone) -> Option<Records> {
    let records = broker.shard.take_records()?;
    records.placed(1 << 32);
    Some(records)
}

/// The records of the first part are durable early, and the last part of the UNSUBSCRIBE needs none.
#[test]
fn the_answer_waits_for_the_records_of_all_parts() {
    let unknown = (0..MANY).fold(unsubscribe(8).filter("f/0", 0), |packet, n| packet.filter(format!("no/{n}"), 0));
    for (packet, answer) in [
        (with_filters(subscribe(7), MANY), suback(7, &granted(MANY))),
        (unknown, unsuback(8, &[vec![0], vec![0x11; MANY]].concat())),
    ] {
        let mut broker = Lone::new(recorded());
        let id = broker.connect(kept("c"));
        broker.say_bytes(id, &bytes([subscribe(1).filter("f/0", 0)]));
        broker.shard.receive(broker.now, id, &bytes([packet]));
        let first = records(&mut broker).expect("something was recorded").upto;
        while broker.shard.is_behind() {
            broker.shard.tick(broker.now);
            broker.shard.durable(broker.now, first);
            assert_eq!(broker.output(id), b"");
        }
        let last = records(&mut broker).expect("somebody waits for it").upto;
        assert_eq!(broker.output(id), b"");
        broker.shard.durable(broker.now, last);
        assert_eq!(broker.output(id), bytes([answer]));
    }
}

/// A client whose session is not kept does not wait for what others have recorded meanwhile.
#[test]
fn the_answer_does_not_wait_for_records_of_others() {
    let mut broker = Lone::new(recorded());
    let (id, other) = (broker.connect(v5("c")), broker.connect(kept("o")));
    broker.shard.receive(broker.now, id, &bytes([with_filters(subscribe(7), MANY)]));
    while broker.shard.is_behind() {
        broker.shard.receive(broker.now, other, &bytes([subscribe(1).filter("o", 0)]));
        broker.shard.tick(broker.now);
    }
    assert_eq!(broker.output(id), bytes([suback(7, &granted(MANY))]));
}

#[test]
fn retained_messages_follow_the_answer() {
    let mut broker = Lone::new(Settings::default());
    let (id, publisher) = (broker.connect(v5("c")), broker.connect(v5("p")));
    broker.say_bytes(publisher, &bytes([publish("f/0").retain().payload("kept")]));
    broker.shard.receive(broker.now, id, &bytes([with_filters(subscribe(7), MANY)]));
    // A live message may come before, and what is written then makes the shard look at what else there is to be sent.
    let live = bytes([publish("f/3").payload("live")]);
    broker.shard.receive(broker.now, publisher, &live);
    let expected = [live, bytes([suback(7, &granted(MANY)), publish("f/0").retain().payload("kept")])].concat();
    assert_eq!(finish(&mut broker, id), expected);
}

/// What the client says while its packet is handled is not read: it is not silent.
// covers: [MQTT-3.1.2-22]
#[test]
fn keep_alive_is_no_shorter_for_very_many_filters() {
    let mut broker = Lone::new(Settings::default());
    let id = broker.connect(v5("c").keep_alive(1));
    broker.shard.receive(broker.now, id, &bytes([with_filters(subscribe(7), MANY)]));
    while broker.shard.is_behind() {
        broker.now = broker.now.plus_seconds(1);
        broker.shard.tick(broker.now);
    }
    assert_eq!(broker.output(id), bytes([suback(7, &granted(MANY))]));
    broker.now = broker.now.plus_seconds(2);
    broker.tick();
    assert_eq!(broker.shard.totals().clients_connected, 0);
}

/// A checkpoint begins between two parts, and so much is to be written down that others come before it ends: what is read from its beginning
/// is all.
#[test]
fn a_checkpoint_may_come_between_two_parts() {
    let mut broker = Lone::new(recorded());
    let id = broker.connect(kept("c"));
    let filter = |number: usize| format!("{number}/{}", "a long way ".repeat(10));
    let packet = (0..MANY).fold(subscribe(7), |packet, number| packet.filter(filter(number), 1));
    broker.shard.receive(broker.now, id, &bytes([packet]));
    records(&mut broker);
    broker.shard.checkpoint(broker.now, 1, CheckpointOrder::Begin);
    let (mut recovered, mut is_walked) = (Recovered::new(), false);
    while broker.is_due() {
        broker.shard.tick(broker.now);
        while let Some(piece) = records(&mut broker) {
            recovered.apply(1 << 32, &piece.bytes).expect("these are records");
            is_walked |= piece.step == Some(RecordsStep::Walked(1));
        }
    }
    assert!(is_walked);
    recovered.finish(&MemoryUse::default(), &mut |_| None);
    let mut next = Lone::new(recorded());
    for (client_id, session) in recovered.take_sessions() {
        next.shard.restore(next.now, client_id, session, &mut |_| None);
    }
    assert_eq!(next.shard.subscriptions("c"), broker.shard.subscriptions("c"));
    assert_eq!(next.subscriptions().0, MANY);
}
