//! Sessions on a disk that is full, that fails, that is damaged; queues that are not in memory; checkpoints, and crashes
//! at every step of them.

use super::broker::{Broker, Client, Setup, setup};
use super::wire::{
    Kind, Packet, Version, connack, disconnect, puback, pubcomp, publish, pubrec, pubrel, suback, subscribe,
    unsubscribe, v5, v311,
};
use sori_broker::{Event, QueueFull};
use sori_sim::{Fault, SimDisk};

pub(super) fn recorded() -> Setup {
    setup().settings(|settings| settings.keeps_records = true)
}

fn disk(broker: &Broker) -> SimDisk {
    broker.world().disk().expect("there is a store")
}

/// CONNECT of a session that outlives its connection.
pub(super) fn kept(id: &str) -> Packet {
    v5(id).clean(false).session_expiry(10_000)
}

pub(super) fn waits_offline(broker: &Broker, connect: &Packet, filter: &str) {
    let mut client = broker.connect(connect.clone());
    client.subscribe(filter, 2);
    client.cut();
}

/// The numbers of all messages that come, each acknowledged, until no more do.
pub(super) fn read_all(client: &mut Client) -> Vec<u16> {
    let mut numbers = Vec::new();
    loop {
        let packets = client.drain();
        if packets.is_empty() {
            return numbers;
        }
        for packet in packets.iter().filter(|packet| packet.kind == Kind::Publish) {
            numbers.push(number_of(packet));
            client.acknowledge(packet);
        }
    }
}

pub(super) fn numbered(topic: &str, number: u16, length: usize) -> Packet {
    let mut payload = vec![b'.'; length];
    payload[..2].copy_from_slice(&number.to_be_bytes());
    publish(topic).payload(payload)
}

pub(super) fn number_of(packet: &Packet) -> u16 {
    u16::from_be_bytes([packet.payload[0], packet.payload[1]])
}

// Full.

/// No byte more fits on the disk: gives the client whose message took the last of it.
fn fill(broker: &Broker) -> Client {
    let disk = disk(broker);
    disk.set_capacity(disk.figures().bytes_used);
    let mut last = broker.connect(v5("last"));
    // What shows that the disk is full goes into the reserve.
    last.publish(publish("owed").payload("last").qos(1));
    last
}

#[test]
fn a_full_store_refuses_what_it_would_have_to_keep_and_serves_the_rest() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("offline"), "owed");
        waits_offline(broker, &v311("there").clean(false), "live");
        let mut reader = broker.connect(kept("reader"));
        reader.subscribe("live", 2);
        let mut old = broker.connect(v311("old").clean(false));
        let mut a = fill(broker);
        // Refused, and said so.
        for (id, qos) in [(11, 1), (12, 2)] {
            a.send(publish("owed").payload("x").qos(qos).id(id));
            a.expect(if qos == 1 { puback(id) } else { pubrec(id) }.code(0x97));
        }
        a.send(publish("r").payload("x").qos(1).id(13).retain());
        a.expect(puback(13).code(0x97));
        old.send(subscribe(1).filter("t", 1));
        old.expect(suback(1, &[0x80]));
        old.send(publish("owed").payload("x").qos(1).id(1));
        old.expect_closed();
        reader.send(subscribe(2).filter("t", 1));
        reader.expect(suback(2, &[0x97]));
        // What it has already, as clients ask for it whenever they come; not with another QoS, nor what is new.
        reader.send(subscribe(4).filter("live", 2));
        reader.expect(suback(4, &[2]));
        reader.send(subscribe(5).filter("live", 1).filter("live", 2).filter("new", 0));
        reader.expect(suback(5, &[0x97, 2, 0x97]));
        for (connect, code) in
            [(kept("new"), 0x97), (v311("new").clean(false), 3), (v5("new").will(publish("w")), 0x97)]
        {
            let mut refused = broker.open();
            refused.send(connect);
            refused.expect_refused(code);
        }
        // Served.
        a.send(publish("live").payload("0"));
        reader.expect(publish("live").payload("0"));
        let mut clean = broker.connect(v5("clean"));
        clean.subscribe("free/#", 2);
        for qos in 0..3 {
            a.publish(publish("free/x").payload("x").qos(qos));
            clean.expect_message(publish("free/x").payload("x").qos(qos));
        }
        reader.expect_alive();
        assert!(broker.totals().refused_by_store >= 7, "{}", broker.totals().refused_by_store);
        let told = |event: &Event| matches!(event, Event::Dropping { client_id, .. } if &**client_id == "last");
        assert_eq!(broker.events().iter().filter(|event| told(event)).count(), 1);
        // A subscription that could not be removed is not said to be.
        reader.send(unsubscribe(3).filter("live", 0));
        reader.expect_disconnect(0x97);
        // What makes room goes on: a session comes back, takes its messages, and ends.
        let mut offline = broker.connect(kept("offline"));
        offline.expect_message(publish("owed").payload("last").qos(1));
        offline.leave();
        // Room: without a restart, all is taken again.
        disk(broker).set_capacity(u64::MAX);
        broker.seconds(5);
        for (id, qos) in [(21, 1), (22, 2)] {
            a.publish(publish("owed").payload("y").qos(qos).id(id));
        }
        let mut reader = broker.connect(kept("reader"));
        reader.subscribe("t", 1);
        a.publish(publish("r").payload("y").qos(1).id(23).retain());
        broker.connect(kept("new")).leave();
        broker.world().power_cut();
        let mut offline = broker.connect(kept("offline"));
        for qos in [1, 2] {
            offline.expect_message(publish("owed").payload("y").qos(qos));
        }
        offline.expect_nothing();
        let mut late = broker.connect(v5("late"));
        late.subscribe("r", 0);
        late.expect_message(publish("r").payload("y").retain());
    });
}

/// It is stopped on a full disk: what was acknowledged is there when it starts again, full or not.
#[test]
fn a_crash_on_a_full_disk_loses_nothing() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("offline"), "owed");
        let mut a = broker.connect(v5("a"));
        for number in 0..20 {
            a.publish(numbered("owed", number, 300).qos(1));
        }
        fill(broker);
        for round in 0..3 {
            broker.world().power_cut();
            let mut a = broker.connect(v5("a"));
            a.send(publish("owed").payload("x").qos(1).id(13));
            a.expect(puback(13).code(0x97));
            if round == 2 {
                disk(broker).set_capacity(u64::MAX);
                broker.seconds(5);
                a.publish(numbered("owed", 99, 300).qos(1));
            }
        }
        let numbers = read_all(&mut broker.connect(kept("offline")));
        let last = u16::from_be_bytes(*b"la");
        assert_eq!(numbers, (0..20).chain([last, 99]).collect::<Vec<u16>>());
    });
}

/// Others have taken what the reserve gave: not even that can be written which makes room, and what comes must not wait for it without
/// end.
#[test]
fn a_store_that_can_write_nothing_lets_no_more_wait_than_it_may() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("offline"), "owed");
        let mut reader = broker.connect(kept("reader"));
        let mut a = fill(broker);
        let mut clean = broker.connect(v5("clean"));
        clean.subscribe("free", 2);
        disk(broker).set_capacity(0);
        let mut comings = 0;
        // Each coming and going is recorded, though nobody is told before that is durable.
        while !reader.is_closed() {
            assert!(comings < 1000, "it goes on for ever");
            let mut offline = broker.open();
            offline.send(kept("offline"));
            offline.cut();
            broker.seconds(1);
            comings += 1;
        }
        assert!(comings > 3, "some may wait: {comings}");
        reader.expect_disconnect(0x97);
        let records = broker.records();
        for connect in [kept("offline"), kept("reader"), kept("new"), v5("new").will(publish("w"))] {
            let mut refused = broker.open();
            refused.send(connect);
            refused.expect_refused(0x97);
        }
        // What needs no disk goes on.
        for qos in 0..3 {
            a.publish(publish("free").payload("x").qos(qos));
            clean.expect_message(publish("free").payload("x").qos(qos));
        }
        a.send(publish("owed").payload("x").qos(1).id(13));
        a.expect(puback(13).code(0x97));
        assert_eq!(broker.records(), records, "nothing more waits");
        disk(broker).set_capacity(u64::MAX);
        broker.seconds(5);
        let mut offline = broker.connect(kept("offline"));
        // It was sent to one of those that went again.
        offline.expect_message(publish("owed").payload("last").qos(1).dup());
        a.publish(publish("owed").payload("again").qos(1));
        offline.expect_message(publish("owed").payload("again").qos(1));
        assert!(broker.connect(kept("reader")).session_present());
    });
}

// Failed.

#[test]
fn a_store_that_fails_turns_held_packets_into_refusals() {
    for fault in [Fault::Sync, Fault::Write] {
        recorded().run(|broker| {
            waits_offline(broker, &kept("offline"), "owed");
            let ids = ["a", "b", "c", "d", "e", "f"];
            let mut clients: Vec<Client> = ids.iter().map(|id| broker.connect(kept(id))).collect();
            let [a, b, c, d, e, f] = &mut clients[..] else { unreachable!() };
            let mut old = broker.connect(v311("old"));
            e.send(publish("owed").payload("x").qos(2).id(5));
            e.expect(pubrec(5));
            f.send(publish("owed").payload("z").qos(2).id(5));
            f.expect(pubrec(5));
            let (mut new, mut new_old) = (broker.open(), broker.open());
            broker.world().hold_store(true);
            a.send(publish("owed").payload("x").qos(1).id(1));
            b.send(publish("owed").payload("x").qos(2).id(2));
            c.send(subscribe(3).filter("t", 1));
            d.send(unsubscribe(4).filter("t", 0));
            e.send(pubrel(5));
            old.send(publish("owed").payload("x").qos(1).id(1));
            new.send(kept("new"));
            new_old.send(v311("new old").clean(false));
            disk(broker).fail(fault, 1);
            broker.world().hold_store(false);
            a.expect(puback(1).code(0x97));
            // What the disk has of it nobody knows: a refusal would free the identifier. [MQTT-4.3.3-10]
            b.expect_disconnect(0x97);
            c.expect_disconnect(0x97);
            // Nothing was removed, so there is nothing to be kept.
            d.expect(super::wire::unsuback(4, &[0x11]));
            // Not released, as far as anybody can tell: the client asks again after the restart.
            e.expect_nothing();
            old.expect_nothing();
            new.expect_refused(0x97);
            new_old.expect_refused(3);
            // What is new has been kept nowhere, and may be refused; of what is repeated nobody knows that.
            a.send(publish("owed").payload("x").qos(2).id(3));
            a.expect(pubrec(3).code(0x97));
            f.send(publish("owed").payload("z").qos(2).id(5).dup());
            f.expect_disconnect(0x97);
            // For good, however well the disk is now.
            broker.seconds(100);
            a.send(publish("owed").payload("x").qos(1).id(6));
            a.expect(puback(6).code(0x97));
            let mut clean = broker.connect(v5("clean"));
            clean.subscribe("free", 1);
            clean.publish(publish("free").payload("x").qos(1));
            clean.expect_message(publish("free").payload("x").qos(1));
            broker.world().power_cut();
            let mut e = broker.connect(kept("e"));
            e.send(pubrel(5));
            e.expect(pubcomp(5));
            let mut a = broker.connect(kept("a"));
            a.publish(publish("owed").payload("y").qos(1).id(7));
            let mut offline = broker.connect(kept("offline"));
            let messages = offline.drain();
            let has = |payload: &[u8]| messages.iter().any(|message| message.payload == payload);
            assert!(has(b"x") && has(b"y"), "{messages:?}");
        });
    }
}

/// What waits for the store never leaves; what only stood behind it does, in its order, and without an alias that it was to have
/// heard of in between.
#[test]
fn mqtt5_4_6_0_6_what_stood_behind_held_messages_leaves_when_the_store_fails() {
    recorded().run(|broker| {
        let mut reader = broker.connect(kept("reader").topic_alias_maximum(9));
        reader.subscribe("#", 2);
        let mut old = broker.connect(v311("old").clean(false));
        old.subscribe("#", 2);
        let mut writer = broker.connect(v5("writer"));
        let message = |topic: &str, payload: &str, qos: u8| publish(topic).payload(payload).qos(qos);
        writer.send(message("b", "2", 2).id(2));
        writer.expect(pubrec(2));
        broker.world().hold_store(true);
        writer.send(message("a", "1", 1).id(1));
        writer.send(pubrel(2));
        writer.send(message("b", "3", 1).id(3));
        writer.send(message("a", "4", 1).id(4).message_expiry(100));
        writer.send(message("a", "5", 0));
        reader.expect_message(message("a", "1", 1).topic_alias(1));
        old.expect_message(message("a", "1", 1));
        reader.expect_nothing();
        old.expect_nothing();
        broker.seconds(10);
        disk(broker).fail(Fault::Sync, 1);
        broker.world().hold_store(false);
        reader.expect_message(message("b", "3", 1));
        reader.expect_message(message("a", "4", 1).message_expiry(90));
        reader.expect_message(message("a", "5", 0));
        old.expect_message(message("b", "3", 1));
        old.expect_message(message("a", "4", 1));
        old.expect_message(message("a", "5", 0));
        writer.send(message("a", "6", 0));
        reader.expect_message(message("a", "6", 0));
        reader.expect_nothing();
    });
}

// Queues that are not in memory.

pub(super) fn little_memory(limit: u64) -> Setup {
    recorded().settings(|settings| {
        settings.memory_limit = limit;
        settings.queued_messages_max = 0;
    })
}

#[test]
fn queues_beyond_the_memory_limit_come_back_in_order() {
    little_memory(40_000).run(|broker| {
        for connect in [kept("a"), v311("b").clean(false)] {
            waits_offline(broker, &connect, "t");
            let mut publisher = broker.connect(v5("publisher"));
            for number in 0..500 {
                publisher.publish(numbered("t", number, 200).qos(1 + (number % 2) as u8));
            }
            let totals = broker.totals();
            assert_eq!((totals.queued, totals.dropped()), (500, 0));
            assert!(totals.queued_in_store > 300, "{}", totals.queued_in_store);
            let mut client = broker.connect(connect.clone());
            assert_eq!(read_all(&mut client), (0..500).collect::<Vec<u16>>());
            client.expect_alive();
            assert_eq!((broker.totals().queued, broker.totals().queued_in_store), (0, 0));
            broker.connect(connect.clean(true)).leave();
        }
    });
}

/// Messages that have to stay in memory drive out those that only wait, wherever these wait.
#[test]
fn what_waits_makes_room_for_qos_2_and_retained_messages() {
    little_memory(40_000).run(|broker| {
        for name in ["a", "b"] {
            waits_offline(broker, &kept(name), "t");
        }
        let mut publisher = broker.connect(v5("publisher"));
        let mut number = 0;
        while number < 80 {
            publisher.publish(numbered("t", number, 200).qos(1));
            number += 1;
        }
        assert_eq!(broker.totals().queued_in_store, 0);
        for retain in [false, true] {
            for _ in 0..50 {
                let message = numbered("t", number, 4000).qos(2);
                publisher.publish(if retain { message.retain() } else { message });
                number += 1;
            }
        }
        assert_eq!(broker.totals().dropped_memory, 0);
        // What is larger than the room that others keep free may have to come again.
        publisher.send(numbered("r", 0, 10_000).qos(1).id(1).retain());
        if publisher.receive().code == 0x97 {
            publisher.publish(numbered("r", 0, 10_000).qos(1).retain());
        }
        publisher.subscribe("new", 1);
        // These do not give way to each other.
        let dropped = broker.totals().dropped_memory;
        publisher.send(numbered("r/2", 0, 20_000).qos(1).id(1).retain());
        publisher.expect(puback(1).code(0x97));
        assert_eq!((broker.totals().queued, broker.totals().dropped_memory), (2 * u64::from(number), dropped + 1));
        assert!(broker.totals().queued_in_store > 250, "{}", broker.totals().queued_in_store);
        for name in ["a", "b"] {
            assert_eq!(read_all(&mut broker.connect(kept(name))), (0..number).collect::<Vec<u16>>());
        }
    });
}

/// Slow clients that are there: what comes while they read, and what was there before, is one line.
#[test]
fn a_slow_client_reads_its_queue_from_the_store_while_more_comes() {
    little_memory(40_000).run(|broker| {
        let mut slow = broker.connect(kept("slow").receive_maximum(2));
        slow.subscribe("t", 1);
        let mut publisher = broker.connect(v5("publisher"));
        let mut numbers = Vec::new();
        for number in 0..600 {
            publisher.publish(numbered("t", number, 200).qos(1));
            if number % 3 == 0 {
                for packet in slow.drain() {
                    numbers.push(number_of(&packet));
                    slow.acknowledge(&packet);
                }
            }
        }
        assert!(broker.totals().queued_in_store > 0);
        numbers.extend(read_all(&mut slow));
        assert_eq!(numbers, (0..600).collect::<Vec<u16>>());
        assert_eq!(broker.totals().dropped(), 0);
    });
}

#[test]
fn queues_in_the_store_survive_crashes_in_order_whatever_has_been_read() {
    little_memory(40_000).run(|broker| {
        let connect = kept("a");
        waits_offline(broker, &connect, "t");
        let mut numbers = Vec::new();
        for round in 0..4 {
            let mut publisher = broker.connect(v5("publisher"));
            for number in 0..100 {
                publisher.publish(numbered("t", round * 100 + number, 200).qos(2));
            }
            if round == 2 {
                broker.world().checkpoint();
            }
            broker.world().power_cut();
            let mut a = broker.connect(connect.clone().receive_maximum(5));
            for _ in 0..30 {
                let message = a.receive();
                numbers.push(number_of(&message));
                a.acknowledge(&message);
            }
            broker.world().kill();
        }
        numbers.extend(read_all(&mut broker.connect(connect.clone())));
        assert_eq!(numbers, (0..400).collect::<Vec<u16>>());
    });
}

/// What a full queue lets go of is let go of in the store, too: in its order, counted, and for ever.
#[test]
fn each_policy_holds_for_queues_in_the_store() {
    for (policy, expected) in
        [(QueueFull::DropNewest, 0..50), (QueueFull::DropOldest, 150..200), (QueueFull::Disconnect, 0..50)]
    {
        let setup = little_memory(4_000).settings(|settings| {
            settings.queue_full = policy;
            settings.queued_messages_max = 50;
        });
        setup.run(|broker| {
            waits_offline(broker, &kept("a"), "t");
            let mut publisher = broker.connect(v5("publisher"));
            for number in 0..200 {
                publisher.send(numbered("t", number, 200).qos(1).id(1));
                publisher.receive();
                if number == 100 {
                    assert!(broker.totals().queued_in_store > 20, "{policy:?}: {}", broker.totals().queued_in_store);
                    broker.world().checkpoint();
                }
            }
            assert_eq!(broker.totals().dropped_queue_full, 150, "{policy:?}");
            broker.world().power_cut();
            assert_eq!(broker.totals().queued, 50);
            assert_eq!(read_all(&mut broker.connect(kept("a"))), expected.clone().collect::<Vec<u16>>(), "{policy:?}");
        });
    }
}

/// Also right after a restart, when nothing of any queue is in memory.
#[test]
fn the_oldest_makes_room_in_a_queue_that_no_run_has_read() {
    let setup = recorded().settings(|settings| {
        settings.queue_full = QueueFull::DropOldest;
        settings.queued_messages_max = 10;
    });
    setup.run(|broker| {
        waits_offline(broker, &kept("a"), "t");
        let mut number = 0;
        for _ in 0..4 {
            let mut publisher = broker.connect(v5("publisher"));
            for _ in 0..7 {
                publisher.publish(numbered("t", number, 20).qos(1));
                number += 1;
            }
            broker.crash();
        }
        assert_eq!(read_all(&mut broker.connect(kept("a"))), (18..28).collect::<Vec<u16>>());
    });
}

#[test]
fn messages_expire_in_the_store_as_they_do_in_memory() {
    little_memory(10_000).run(|broker| {
        waits_offline(broker, &kept("a"), "t");
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..100 {
            let message = numbered("t", number, 200).qos(1);
            let message = if number % 2 == 0 { message.message_expiry(50) } else { message };
            publisher.publish(message);
        }
        assert!(broker.totals().queued_in_store > 50);
        broker.seconds(60);
        let mut a = broker.connect(kept("a"));
        assert_eq!(read_all(&mut a), (0..50).map(|n| 2 * n + 1).collect::<Vec<u16>>());
        assert_eq!(broker.totals().dropped_expired, 50);
    });
}

#[test]
fn a_session_that_ends_takes_its_queue_out_of_the_store() {
    little_memory(10_000).run(|broker| {
        waits_offline(broker, &kept("a"), "t");
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..100 {
            publisher.publish(numbered("t", number, 200).qos(1));
        }
        let _a = broker.connect(kept("a").clean(true));
        let totals = broker.totals();
        assert_eq!((totals.queued, totals.queued_in_store, totals.dropped_session_ended), (0, 0, 100));
        broker.world().power_cut();
        broker.connect(kept("a")).expect_nothing();
    });
}

/// One bit of one message turns over on the disk while the broker runs. That message is lost, which is counted and told;
/// all others come, in order.
#[test]
fn a_damaged_message_in_the_store_is_counted_and_told() {
    little_memory(4_000).run(|broker| {
        waits_offline(broker, &kept("a"), "t");
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..10 {
            publisher.publish(numbered("t", number, 400).qos(1));
        }
        // One segment so far: the message ends near the end of the file.
        let disk = disk(broker);
        let reserve = 4096;
        let bit = (disk.figures().bytes_used - reserve - 200) * 8 + 3;
        for number in 10..25 {
            publisher.publish(numbered("t", number, 400).qos(1));
        }
        assert!(broker.totals().queued_in_store > 12);
        disk.flip("00000001.log", bit);
        broker.events();
        let mut a = broker.connect(kept("a"));
        assert_eq!(read_all(&mut a), (0..9).chain(10..25).collect::<Vec<u16>>());
        assert_eq!(broker.totals().dropped_damaged, 1);
        let damaged = |event: &Event| matches!(event, Event::Damaged { client_id, count: 1 } if &**client_id == "a");
        assert_eq!(broker.events().into_iter().filter(damaged).count(), 1);
        // It does not wait for ever.
        assert_eq!(broker.totals().queued, 0);
    });
}

// Checkpoints.

/// All that a session can have, on several of them; what must be there after any crash is told by [`expect_everything`].
fn make_everything(broker: &Broker) -> Vec<Client> {
    let mut publisher = broker.connect(v5("publisher"));
    let mut clients = Vec::new();
    for n in 0..4 {
        let mut client = broker.connect(kept(&format!("s{n}")).receive_maximum(3));
        client.subscribes(subscribe(1).subscription_id(7).filter("t", 2));
        client.subscribe(format!("own/{n}"), 1);
        client.subscribe("gone", 1);
        client.unsubscribe("gone");
        client.send(publish("released").payload(format!("{n}")).qos(2).id(40));
        client.expect(pubrec(40));
        clients.push(client);
    }
    for number in 0..30 {
        publisher.publish(numbered("t", number, 300).qos(1 + (number % 2) as u8));
        publisher.publish(publish(format!("r/{}", number % 5)).payload(format!("{number}")).qos(1).retain());
    }
    publisher.publish(publish("r/0").qos(1).retain());
    waits_offline(broker, &kept("reader"), "released");
    clients
}

#[track_caller]
fn expect_everything(broker: &Broker) {
    let mut late = broker.connect(v5("late"));
    late.subscribe("r/+", 1);
    let current: Vec<Packet> =
        (1..5).map(|n| publish(format!("r/{n}")).payload(format!("{}", 25 + n)).qos(1).retain()).collect();
    late.expect_messages_in_any_order(&current);
    late.expect_nothing();
    for n in 0..4 {
        let mut client = broker.connect(kept(&format!("s{n}")));
        assert!(client.session_present());
        let numbers = read_all(&mut client);
        assert_eq!(numbers, (0..30).collect::<Vec<u16>>(), "session {n}");
        client.send(pubrel(40));
        client.expect(pubcomp(40));
        late.publish(publish(format!("own/{n}")).payload("x").qos(1));
        client.expect_message(publish(format!("own/{n}")).payload("x").qos(1));
        late.publish(publish("gone").payload("x").qos(1));
        client.expect_nothing();
    }
    let mut reader = broker.connect(kept("reader"));
    let released: Vec<Packet> = (0..4).map(|n| publish("released").payload(format!("{n}")).qos(2)).collect();
    reader.expect_messages_in_any_order(&released);
    reader.expect_nothing();
}

/// The machine stops at every operation on the disk that a checkpoint and the cleaning after it make.
#[test]
fn a_crash_at_every_step_of_a_checkpoint_changes_nothing() {
    for ends_by_power_cut in [false, true] {
        for shards in [1, 3] {
            for operations in 0.. {
                let broker = recorded().broker(shards);
                let _clients = make_everything(&broker);
                disk(&broker).stop_after(operations);
                for _ in 0..3 {
                    broker.world().checkpoint();
                }
                let is_over = !disk(&broker).is_stopped();
                if ends_by_power_cut {
                    broker.world().power_cut()
                } else {
                    broker.world().kill()
                }
                expect_everything(&broker);
                if is_over {
                    assert!(operations > 10, "a checkpoint has more than {operations} operations");
                    break;
                }
            }
        }
    }
}

/// What happens while the order for a checkpoint is on its way, and what happens between one and the next.
#[test]
fn checkpoints_between_all_that_sessions_do() {
    recorded().run(|broker| {
        let mut publisher = broker.connect(kept("publisher"));
        let mut expected = Vec::new();
        for round in 0..12_u16 {
            broker.world().hold_store(true);
            broker.world().checkpoint();
            let mut new = broker.open();
            new.send(kept(&format!("n{round}")));
            new.send(subscribe(1).filter("t", 1));
            publisher.send(numbered("t", round, 2000).qos(1).id(round + 1));
            if round % 3 == 1 {
                broker.world().hold_store(false);
                publisher.expect(puback(round + 1));
                expected.push(round);
            } else {
                broker.world().hold_store(false);
                expected.push(round);
            }
            new.cut();
            match round % 3 {
                0 => broker.world().power_cut(),
                1 => broker.world().kill(),
                _ => broker.world().checkpoint(),
            }
            publisher = broker.connect(kept("publisher"));
        }
        for round in 0..12_u16 {
            let mut client = broker.connect(kept(&format!("n{round}")));
            assert!(client.session_present());
            assert_eq!(read_all(&mut client), expected[usize::from(round)..], "n{round}");
        }
    });
}

/// Old segments go as their messages do, and what is still needed of them is moved, not lost.
#[test]
fn what_waits_for_long_survives_that_segments_are_emptied() {
    recorded().settings(|settings| settings.queued_messages_max = 0).run(|broker| {
        waits_offline(broker, &kept("old"), "t/+/7");
        let mut busy = broker.connect(kept("busy"));
        busy.subscribe("t/#", 1);
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..600_u16 {
            publisher.publish(numbered(&format!("t/x/{}", number % 20), number, 500).qos(1));
            read_all(&mut busy);
            if number % 100 == 99 {
                broker.world().checkpoint();
                broker.seconds(1);
            }
        }
        for _ in 0..3 {
            broker.world().checkpoint();
            broker.seconds(1);
        }
        let used = disk(broker).figures().bytes_used;
        assert!(used < 100_000, "600 messages of 500 bytes were published, 30 wait, and the store takes {used} bytes");
        broker.world().power_cut();
        let numbers = read_all(&mut broker.connect(kept("old")));
        assert_eq!(numbers, (0..30).map(|n| 20 * n + 7).collect::<Vec<u16>>());
    });
}

// Crashes.

/// PUBREC was a promise, whoever gave the message.
#[test]
fn qos_2_of_a_clean_session_survives_a_crash_after_pubrec() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("reader"), "t");
        for connect in [v5("a"), v311("b")] {
            for checkpoints in 0..3 {
                let mut a = broker.connect(connect.clone());
                a.subscribe("t", 2);
                a.send(publish("t").payload("x").qos(2).id(1));
                a.expect(pubrec(1));
                for _ in 0..checkpoints {
                    broker.world().checkpoint();
                }
                broker.world().power_cut();
                // Its session has ended: the identifier is new.
                let mut a = broker.connect(connect.clone());
                assert!(!a.session_present());
                a.publish(publish("t").payload("y").qos(2).id(1));
                let mut reader = broker.connect(kept("reader"));
                reader.expect_messages_in_any_order(&[
                    publish("t").payload("x").qos(2),
                    publish("t").payload("y").qos(2),
                ]);
                reader.expect_nothing();
            }
        }
    });
}

/// The identifier of a QoS 2 message that is kept is used for another message, which is refused: the identifier is free,
/// and the message that was acknowledged goes on its way, once.
// covers: [MQTT-4.3.3-8] [MQTT-4.3.3-9]
#[test]
fn mqtt5_4_3_3_9_a_refused_message_takes_nothing_of_the_one_before() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("reader"), "t");
        for connect in [kept("a"), v5("a"), v311("a").clean(false)] {
            let mut a = broker.connect(connect);
            a.send(publish("t").payload("first").qos(2).id(5));
            a.expect(pubrec(5));
            let is_v5 = matches!(a.version(), Version::V5);
            a.send(publish("$SYS/t").payload("denied").qos(2).id(5));
            a.expect(if is_v5 { pubrec(5).code(0x87) } else { pubrec(5) });
            if is_v5 {
                a.send(publish("t").payload("second").qos(2).id(5));
                a.expect(pubrec(5));
            }
            a.send(pubrel(5));
            a.expect(pubcomp(5));
            broker.world().power_cut();
            let mut reader = broker.connect(kept("reader"));
            reader.expect_message(publish("t").payload("first").qos(2));
            if is_v5 {
                reader.expect_message(publish("t").payload("second").qos(2));
            }
            reader.expect_nothing();
            reader.cut();
            broker.connect(v5("a").clean(true)).leave();
        }
        broker.connect(kept("reader")).expect_nothing();
    });
}

/// Whose connection ends because it sends the same again and again without DUP has its message kept still, in memory as on
/// the disk.
// covers: [MQTT-4.3.3-10]
#[test]
fn mqtt5_4_3_3_10_a_message_that_came_too_often_is_kept_for_its_pubrel() {
    for restarts in [false, true] {
        recorded().run(|broker| {
            waits_offline(broker, &kept("reader"), "t");
            let mut a = broker.connect(kept("a"));
            for _ in 0..2 {
                a.send(publish("t").payload("x").qos(2).id(5));
                a.expect(pubrec(5));
            }
            a.send(publish("t").payload("x").qos(2).id(5));
            a.expect_disconnect(0x82);
            if restarts {
                broker.world().power_cut();
            }
            let mut a = broker.connect(kept("a"));
            a.send(publish("t").payload("x").qos(2).id(5).dup());
            a.expect(pubrec(5));
            a.send(pubrel(5));
            a.expect(pubcomp(5));
            broker.connect(kept("reader")).expect_message(publish("t").payload("x").qos(2));
            broker.world().power_cut();
            broker.connect(kept("reader")).expect_nothing();
        });
    }
}

#[test]
fn wills_of_clean_sessions_come_exactly_once_after_a_crash() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("reader"), "w/+");
        for checkpoints in 0..3 {
            let _a = broker.connect(v5("a").will(publish("w/a").payload("x").qos(2)));
            let _b = broker.connect(v311("b").will(publish("w/b").payload("x").qos(2).retain()));
            let mut left = broker.connect(v5("left").will(publish("w/left").qos(2)));
            left.leave();
            for _ in 0..checkpoints {
                broker.world().checkpoint();
            }
            broker.world().kill();
            broker.seconds(1);
            broker.world().power_cut();
            broker.seconds(1);
            let mut reader = broker.connect(kept("reader"));
            reader.expect_messages_in_any_order(&[
                publish("w/a").payload("x").qos(2),
                publish("w/b").payload("x").qos(2),
            ]);
            reader.expect_nothing();
            let mut late = broker.connect(v5("late"));
            late.subscribe("w/b", 2);
            late.expect_message(publish("w/b").payload("x").qos(2).retain());
            late.publish(publish("w/b").retain());
        }
    });
}

/// Its will is published then, for that had to come with the session's end at the latest.
#[test]
fn a_session_that_is_over_at_the_restart_ends_with_its_will() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("reader"), "w");
        let connect = v5("a").clean(false).session_expiry(10);
        let mut a = broker.connect(connect.clone().will(publish("w").payload("x").qos(1).will_delay(1000)));
        a.subscribe("t", 1);
        a.cut();
        broker.world().kill();
        broker.seconds(5);
        broker.world().hold_store(true);
        broker.seconds(100);
        // It is over, and the power fails before that is kept.
        broker.world().power_cut();
        broker.world().hold_store(false);
        broker.seconds(0);
        broker.connect(kept("reader")).expect_message(publish("w").payload("x").qos(1));
        assert!(!broker.connect(connect).session_present());
        broker.world().power_cut();
        broker.connect(kept("reader")).expect_nothing();
    });
}

/// The broker starts with a wrong clock, which is set after that: what was to happen in an hour still happens in an hour.
#[test]
fn the_clock_may_be_set_while_the_broker_runs() {
    const DAY: u64 = 86_400_000;
    for checkpoints in 0..3 {
        recorded().run(|broker| {
            let connect = v5("a").clean(false).session_expiry(3600);
            let mut a = broker.connect(connect.clone().will(publish("w").payload("x").qos(1).will_delay(1800)));
            a.subscribe("t", 1);
            a.cut();
            waits_offline(broker, &v5("watcher").clean(false).session_expiry(u32::MAX), "w");
            let mut publisher = broker.connect(v5("publisher"));
            publisher.publish(publish("t").payload("before").qos(1).message_expiry(3600));
            publisher.publish(publish("r").payload("kept").qos(1).message_expiry(3600).retain());
            broker.world().set_clock(DAY);
            publisher.publish(publish("t").payload("after").qos(1).message_expiry(3600));
            if checkpoints > 0 {
                broker.world().checkpoint();
            }
            // A day later by the wall clock, and at once by all others.
            broker.world().power_cut();
            broker.seconds(600);
            if checkpoints > 1 {
                broker.world().checkpoint();
            }
            broker.world().set_clock(DAY);
            broker.world().power_cut();
            broker.seconds(600);
            broker.world().power_cut();
            let mut watcher = broker.connect(v5("watcher").clean(false).session_expiry(u32::MAX));
            watcher.expect_nothing();
            watcher.subscribe("r", 1);
            watcher.expect_message(publish("r").payload("kept").qos(1).message_expiry(2400).retain());
            let mut a = broker.connect(connect.clone().will(publish("w").payload("x").qos(1).will_delay(1800)));
            assert!(a.session_present());
            for payload in ["before", "after"] {
                a.expect_message(publish("t").payload(payload).qos(1).message_expiry(2400));
            }
            a.cut();
            // And no later.
            broker.seconds(1799);
            broker.world().power_cut();
            watcher = broker.connect(v5("watcher").clean(false).session_expiry(u32::MAX));
            watcher.expect_nothing();
            broker.seconds(2);
            watcher.expect_message(publish("w").payload("x").qos(1));
            broker.world().set_clock(DAY);
            broker.world().power_cut();
            broker.seconds(1801);
            assert!(!broker.connect(connect.clone()).session_present());
        });
    }
}

/// DISCONNECT had the last word on how long a session lasts, longer or shorter than CONNECT had it.
#[test]
fn mqtt5_3_14_2_2_2_the_interval_of_disconnect_holds_across_restarts() {
    recorded().run(|broker| {
        for (id, in_connect, in_disconnect, is_there) in [
            ("never", 3, u32::MAX, true),
            ("longer", 3, 1000, true),
            ("shorter", 1000, 3, false),
            ("no-longer-never", u32::MAX, 3, false),
        ] {
            let connect = v5(id).clean(false).session_expiry(in_connect);
            let mut client = broker.connect(connect.clone());
            client.subscribe("t", 1);
            client.send(disconnect().session_expiry(in_disconnect));
            client.expect_closed();
            broker.connect(v5("publisher")).publish(publish("t").payload(id).qos(1));
            for _ in 0..2 {
                broker.world().power_cut();
                broker.seconds(5);
            }
            let mut client = broker.connect(connect);
            assert_eq!(client.session_present(), is_there, "{id}");
            if is_there {
                client.expect_message(publish("t").payload(id).qos(1));
            }
            client.send(disconnect().session_expiry(0));
        }
    });
}

#[test]
fn clean_sessions_touch_no_disk() {
    recorded().run(|broker| {
        // A run that begins is noted, with whatever comes next.
        broker.seconds(1);
        let before = disk(broker).figures();
        let mut a = broker.connect(v5("a"));
        let mut b = broker.connect(v311("b"));
        for client in [&mut a, &mut b] {
            client.subscribe("t/#", 2);
            client.subscribe("$share/g/u", 1);
        }
        for number in 0..50 {
            let message = numbered("t/x", number, 100).qos((number % 3) as u8);
            a.publish(message.clone());
            a.expect_message(message.clone());
            b.expect_message(message);
            b.publish(numbered("u", number, 10).qos(1));
            for client in [&mut a, &mut b] {
                read_all(client);
            }
        }
        broker.seconds(100);
        a.leave();
        b.cut();
        assert_eq!(broker.records(), 0);
        assert_eq!(disk(broker).figures(), before);
    });
}

/// A CONNACK is not an acknowledgement of anything but the session.
#[test]
fn a_session_that_is_refused_after_all_is_not_there() {
    recorded().run(|broker| {
        let mut a = broker.open();
        broker.world().hold_store(true);
        a.send(kept("a").will(publish("w").payload("x").qos(1)));
        disk(broker).fail(Fault::Write, 1);
        broker.world().hold_store(false);
        a.expect(connack().code(0x97));
        a.expect_closed();
        broker.world().power_cut();
        assert!(!broker.connect(kept("a")).session_present());
    });
}
