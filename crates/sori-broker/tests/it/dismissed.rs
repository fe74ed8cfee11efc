//! What a client is told when the listener that it came by is taken away, and what others see of it.

use std::sync::Arc;

use sori_broker::{Cause, ConnectionId, Effect, Event, ListenerSettings, OpenAccess, PlainSpace, Settings, Shard};
use sori_broker::{ShardId, Time};

const NOW: Time = Time(1000);

struct Broker {
    shard: Shard,
    closed: Vec<ConnectionId>,
    causes: Vec<Cause>,
}

impl Broker {
    #[allow(clippy::arc_with_non_send_sync, reason = "a shard takes an `Arc`, also where there is one thread")]
    fn new() -> Broker {
        let (settings, access) = (Arc::new(Settings::default()), Arc::new(OpenAccess));
        let shard = Shard::new(ShardId(0), 1, settings, Arc::new(PlainSpace::default()), access, 7, NOW);
        Broker { shard, closed: Vec::new(), causes: Vec::new() }
    }

    fn open(&mut self) -> ConnectionId {
        self.shard.open(NOW, Arc::new(ListenerSettings::default()), "127.0.0.1:1")
    }

    fn say(&mut self, id: ConnectionId, packet: &[u8]) -> Vec<u8> {
        self.shard.receive(NOW, id, packet);
        self.output(id)
    }

    /// What has been written to a connection since the last look, and whatever else there was to do.
    fn output(&mut self, id: ConnectionId) -> Vec<u8> {
        let written = self.shard.output(id).collect::<Vec<_>>().concat();
        self.shard.sent(NOW, id, written.len());
        self.shard.mail_posted();
        while let Some(effect) = self.shard.next_effect() {
            match effect {
                Effect::Close(id) => self.closed.push(id),
                Effect::Event(Event::Disconnected { cause, .. }) => self.causes.push(cause),
                _ => {}
            }
        }
        written
    }
}

#[test]
fn an_mqtt_5_client_is_told_and_its_will_is_published() {
    let mut broker = Broker::new();
    // A client with the will "w" on the topic "t", and one that subscribes to it.
    let connect = [0x10, 20, 0, 4, b'M', b'Q', b'T', b'T', 5, 0x06, 0, 0, 0, 0, 1, b'a', 0, 0, 1, b't', 0, 1];
    let connect = [&connect[..], b"w"].concat();
    let connect = [&[0x10, connect.len() as u8 - 2], &connect[2..]].concat();
    let a = broker.open();
    assert_eq!(broker.say(a, &connect)[0], 0x20, "CONNACK");
    let b = broker.open();
    assert_eq!(broker.say(b, &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, b'b']), [0x20, 2, 0, 0]);
    assert_eq!(broker.say(b, &[0x82, 6, 0, 1, 0, 1, b't', 0]), [0x90, 3, 0, 1, 0]);

    broker.shard.dismiss(NOW, a);
    assert_eq!(broker.output(a)[..3], [0xE0, 1, 0x98], "DISCONNECT: administrative action");
    assert_eq!((broker.closed.as_slice(), broker.causes.as_slice()), (&[a][..], &[Cause::Dismissed][..]));
    assert_eq!(broker.output(b), [0x30, 4, 0, 1, b't', b'w']);
    // Twice is once.
    broker.shard.dismiss(NOW, a);
    assert_eq!((broker.output(a).len(), broker.closed.len()), (0, 1));
}

#[test]
fn who_has_not_logged_in_is_closed() {
    let mut broker = Broker::new();
    let a = broker.open();
    broker.shard.dismiss(NOW, a);
    assert_eq!(broker.output(a), [0; 0]);
    assert_eq!((broker.closed.as_slice(), broker.causes.len()), (&[a][..], 0));
}
