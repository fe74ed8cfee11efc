//! Connections that the broker ends of its own accord, very many at one moment: some end at once, the others in the turns that
//! follow, and until then nothing more is heard from them.

use std::sync::Arc;

use sori_broker::{ConnectionId, Identity, ListenerSettings, Settings, StoreState, Verdict};

use super::later::Keeps;
use super::lone::Lone;
use super::wire::{Version, publish, subscribe, v311};

const ALL: u64 = 300;
/// So many end in one turn.
const IN_A_TURN: u64 = 64;

/// A broker with a client that stays, and very many that have to go for each of the reasons.
fn crowd() -> (Lone, ConnectionId, Vec<ConnectionId>) {
    let mut broker = Lone::new(Settings { keeps_records: true, ..Settings::default() });
    let stays = broker.connect(v311("stays"));
    broker.subscribe(stays, "t", 0);
    let goes = |number| v311(&format!("goes {number}")).clean(false).user("named");
    let all = (0..ALL).map(|number| broker.connect(goes(number))).collect();
    (broker, stays, all)
}

fn dismiss(broker: &mut Lone, all: &[ConnectionId]) {
    all.iter().for_each(|id| broker.shard.dismiss(broker.now, *id));
}

fn revoke(broker: &mut Lone, all: &[ConnectionId]) {
    all.iter().for_each(|id| broker.shard.revoke(broker.now, *id));
}

fn change_rules(broker: &mut Lone, _: &[ConnectionId]) {
    broker.shard.reconfigure(
        broker.now,
        Arc::new(Settings::default()),
        Arc::new(Keeps(|identity: &Identity| identity.user_name.is_none())),
    );
}

fn lose_store(broker: &mut Lone, _: &[ConnectionId]) {
    broker.shard.set_store(broker.now, StoreState::Stuck);
}

type End = fn(&mut Lone, &[ConnectionId]);
const FOR_EACH_REASON: [(&str, End); 4] =
    [("dismissed", dismiss), ("revoked", revoke), ("other rules", change_rules), ("no store", lose_store)];

fn connected(broker: &Lone) -> u64 {
    broker.shard.totals().clients_connected
}

#[test]
fn very_many_end_in_slices() {
    for (reason, end) in FOR_EACH_REASON {
        let (mut broker, stays, all) = crowd();
        end(&mut broker, &all);
        broker.settle();
        for left in (0..=ALL).rev().filter(|left| *left == 0 || (ALL - left).is_multiple_of(IN_A_TURN)).skip(1) {
            assert_eq!(connected(&broker), 1 + left, "{reason}");
            // Who is to end already does not end twice.
            end(&mut broker, &all);
            assert_eq!(broker.tick(), left > 0, "{reason}");
        }
        assert!(broker.shard.wants_input(stays), "{reason}");
    }
}

#[test]
fn who_is_to_end_is_not_heard_any_more() {
    for (reason, end) in FOR_EACH_REASON {
        let (mut broker, stays, all) = crowd();
        let last = *all.last().expect("there are many");
        // The rest of a packet is no better than a whole one.
        let bytes = publish("t").encode(Version::V311);
        broker.say_bytes(last, &bytes[..3]);
        end(&mut broker, &all);
        broker.settle();
        assert!(!broker.shard.wants_input(last), "{reason}");
        assert_eq!(broker.say_bytes(last, &bytes[3..]), [0; 0], "{reason}");
        assert_eq!(broker.say(last, subscribe(1).filter("t", 0)), [0; 0], "{reason}");
        assert_eq!(broker.publish(last, "t", &[stays]), [vec![]], "{reason}");
        assert_eq!(broker.subscriptions(), (1, 0), "{reason}");
        assert_eq!(broker.publish(stays, "t", &[stays])[0].len(), 5, "{reason}");
    }
}

#[test]
fn one_that_goes_by_itself_does_not_take_its_successor_with_it() {
    for (reason, end) in FOR_EACH_REASON {
        let (mut broker, _, all) = crowd();
        end(&mut broker, &all);
        broker.settle();
        broker.leave(all[290]);
        broker.shard.set_store(broker.now, StoreState::Ok);
        let comes = broker.shard.open(broker.now, Arc::new(ListenerSettings::default()), "127.0.0.1:1");
        assert_eq!(comes.slot(), all[290].slot(), "{reason}");
        while broker.tick() {}
        assert!(broker.shard.wants_input(comes), "{reason}");
    }
}

/// A client that is still on its way in when it is taken away what it came by does not get in, nor in the way of another.
#[test]
fn who_is_to_end_does_not_take_a_session_over() {
    let (mut broker, stays, all) = crowd();
    let again = broker.shard.open(broker.now, Arc::new(ListenerSettings::default()), "127.0.0.1:1");
    broker.shard.receive(broker.now, again, &v311("stays").encode(Version::V311));
    dismiss(&mut broker, &all);
    broker.shard.dismiss(broker.now, again);
    // What has been said elsewhere is heard, and then it would be let in.
    broker.settle();
    assert!(broker.shard.wants_input(stays));
    while broker.tick() {}
    assert_eq!((connected(&broker), broker.shard.totals().take_overs), (1, 0));
}

#[test]
fn who_is_to_end_is_not_let_in_by_an_answer() {
    let (mut broker, ..) = crowd();
    change_rules(&mut broker, &[]);
    let late = broker.shard.open(broker.now, Arc::new(ListenerSettings::default()), "127.0.0.1:1");
    broker.shard.receive(broker.now, late, &v311("late").encode(Version::V311));
    broker.shard.dismiss(broker.now, late);
    broker.shard.resolve(broker.now, late, Verdict::Accept(Arc::default()));
    assert_eq!(broker.output(late), [0; 0]);
    while broker.tick() {}
    assert_eq!(connected(&broker), 1);
}

/// The end of the broker waits for no turn.
#[test]
fn a_shutdown_ends_who_is_still_to_end() {
    let (mut broker, _, all) = crowd();
    dismiss(&mut broker, &all);
    broker.shard.shutdown(broker.now);
    assert_eq!(connected(&broker), 0);
    while broker.tick() {}
    assert_eq!(connected(&broker), 0);
}
