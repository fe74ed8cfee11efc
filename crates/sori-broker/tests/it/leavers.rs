//! A client with very many subscriptions leaves: they go little by little, and nobody notices.

use std::sync::Arc;

use sori_broker::{Cause, ConnectionId, Effect, ListenerSettings, OpenAccess, PlainSpace, Settings, Shard, ShardId};
use sori_broker::{Space, Time};

const NOW: Time = Time(1000);

struct Broker {
    shard: Shard,
    space: Arc<PlainSpace>,
}

impl Broker {
    #[allow(clippy::arc_with_non_send_sync, reason = "a shard takes an `Arc`, also where there is one thread")]
    fn new() -> Broker {
        let space = Arc::new(PlainSpace::default());
        let (settings, access) = (Arc::new(Settings::default()), Arc::new(OpenAccess));
        let shard = Shard::new(ShardId(0), 1, settings, space.clone(), access, 7, NOW);
        Broker { shard, space }
    }

    fn subscriptions(&self) -> (usize, usize) {
        let mut found = (0, 0);
        self.space.read_index(&mut |index| found = (index.len(), index.shared_len()));
        found
    }

    /// An MQTT 3.1.1 client with a clean session.
    fn connect(&mut self, client_id: u8) -> ConnectionId {
        let id = self.shard.open(NOW, Arc::new(ListenerSettings::default()), "127.0.0.1:1");
        let connect = [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, client_id];
        assert_eq!(self.say(id, &connect), [0x20, 2, 0, 0], "CONNACK");
        id
    }

    fn subscribe(&mut self, id: ConnectionId, filter: &str) {
        let mut packet = vec![0x82, filter.len() as u8 + 5, 0, 1, 0, filter.len() as u8];
        packet.extend_from_slice(filter.as_bytes());
        packet.push(0);
        assert_eq!(self.say(id, &packet), [0x90, 3, 0, 1, 0], "SUBACK");
    }

    fn leave(&mut self, id: ConnectionId) {
        self.shard.closed(NOW, id, Cause::Network("gone".into()));
        self.settle();
    }

    /// Publishes and gives what everybody has got.
    fn publish(&mut self, from: ConnectionId, topic: &str, to: &[ConnectionId]) -> Vec<Vec<u8>> {
        let mut packet = vec![0x30, topic.len() as u8 + 2, 0, topic.len() as u8];
        packet.extend_from_slice(topic.as_bytes());
        self.shard.receive(NOW, from, &packet);
        let got = to.iter().map(|id| self.shard.output(*id).collect::<Vec<_>>().concat()).collect();
        self.settle();
        assert_eq!(self.shard.output_len(from), 0);
        got
    }

    fn say(&mut self, id: ConnectionId, packet: &[u8]) -> Vec<u8> {
        self.shard.receive(NOW, id, packet);
        let answer = self.shard.output(id).collect::<Vec<_>>().concat();
        self.settle();
        answer
    }

    fn settle(&mut self) {
        while let Some(id) = self.shard.next_flush() {
            let length = self.shard.output_len(id);
            self.shard.sent(NOW, id, length);
        }
        self.shard.mail_posted();
        while let Some(effect) = self.shard.next_effect() {
            if let Effect::Drain { then, .. } | Effect::TakeMail { then } = effect {
                self.shard.drained(NOW, then);
            }
        }
    }
}

fn publish_of(topic: &str) -> Vec<u8> {
    let mut packet = vec![0x30, topic.len() as u8 + 2, 0, topic.len() as u8];
    packet.extend_from_slice(topic.as_bytes());
    packet
}

// covers: [MQTT-4.1.0-2] [MQTT311-3.1.2-6]
#[test]
fn many_subscriptions_go_in_slices_and_reach_nobody_meanwhile() {
    let mut broker = Broker::new();
    let (many, all, publisher) = (broker.connect(b'm'), broker.connect(b'a'), broker.connect(b'p'));
    for number in 0..3000 {
        broker.subscribe(many, &format!("f/{number}"));
    }
    broker.subscribe(many, "$share/g/s");
    broker.subscribe(all, "f/#");
    broker.subscribe(all, "$share/g/s");
    broker.leave(many);
    let (left, shared) = broker.subscriptions();
    assert!((2000..3000).contains(&left), "{left} are left after the first slice");
    assert_eq!(shared, 1, "no message may be given to a member that has gone");

    // The same client comes back at once, with a few of its old subscriptions.
    let again = broker.connect(b'm');
    for number in 2990..3000 {
        broker.subscribe(again, &format!("f/{number}"));
    }
    let mut left = broker.subscriptions().0;
    let mut slices = 0;
    while broker.shard.next_deadline() == Some(NOW) {
        for topic in ["f/5", "f/1500"] {
            assert_eq!(broker.publish(publisher, topic, &[all, again]), [publish_of(topic), vec![]]);
        }
        assert_eq!(broker.publish(publisher, "f/2995", &[all, again]), [publish_of("f/2995"), publish_of("f/2995")]);
        for _ in 0..2 {
            assert_eq!(broker.publish(publisher, "s", &[all]), [publish_of("s")]);
        }
        broker.shard.tick(NOW);
        broker.settle();
        let now = broker.subscriptions().0;
        assert!(now < left && left - now <= 512, "{left} became {now} in one slice");
        (left, slices) = (now, slices + 1);
    }
    assert!(slices >= 4, "{slices} slices");
    assert_eq!(broker.subscriptions(), (12, 1));
    assert_eq!(broker.publish(publisher, "f/2995", &[again]), [publish_of("f/2995")]);
    for id in [again, all] {
        broker.leave(id);
    }
    assert_eq!(broker.subscriptions(), (0, 0));
}
