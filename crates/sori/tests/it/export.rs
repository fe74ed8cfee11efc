//! `sori store export` and `import`: a broker goes on from the copy as it would have from the store itself.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use sori_mqtt::{
    Ack, Connect, Direction, Disconnect, Packet, PacketId, PacketType, Properties, Property, PropertyBuffer, Publish,
    QoS, ReasonCode, Split, Subscribe, SubscribeOptions, TopicFilter, Version, Will, decode, split,
};

use super::broker::unused_port;
use super::serve::{Directory, Running};
use super::sori;
use super::store::succeeds;

/// After so long without a packet nothing more will come.
const QUIET: Duration = Duration::from_millis(500);

struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
}

fn properties(all: &[Property<'_>]) -> PropertyBuffer {
    let mut buffer = PropertyBuffer::new();
    for property in all {
        buffer.push(*property);
    }
    buffer
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("is not 0")
}

impl Client {
    fn connect(port: u16, client_id: &str, user_name: &str, will: Option<Will<'_>>) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the broker listens");
        let mut client = Client { stream, bytes: Vec::new() };
        let properties = properties(&[Property::SessionExpiryInterval(50_000), Property::ReceiveMaximum(2)]);
        client.say(&Packet::Connect(Connect {
            version: Version::V5,
            bridge: false,
            clean_start: false,
            keep_alive: 0,
            client_id,
            will,
            user_name: Some(user_name),
            password: None,
            properties: properties.as_properties(),
        }));
        client.expect("ConnAck");
        client
    }

    fn say(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(Version::V5, &mut bytes);
        self.stream.write_all(&bytes).expect("the connection is there");
    }

    fn acknowledge(&mut self, kind: PacketType, packet_id: PacketId) {
        let mut bytes = Vec::new();
        let (reason_code, properties) = (ReasonCode::Success, Properties::EMPTY);
        Ack { packet_id, reason_code, properties }.encode(kind, Version::V5, &mut bytes);
        self.stream.write_all(&bytes).expect("the connection is there");
    }

    fn subscribe(&mut self, filter: &str, options: SubscribeOptions, identifier: u32) {
        let properties = properties(&[Property::SubscriptionIdentifier(identifier)]);
        let filters = [(TopicFilter::new(filter).expect("is legal"), options)];
        self.say(&Packet::Subscribe(Subscribe::new(id(1), properties.as_properties(), &filters)));
        self.expect("SubAck");
    }

    fn publish(&mut self, topic: &str, qos: QoS, retain: bool, properties: &PropertyBuffer) {
        let properties = properties.as_properties();
        let packet_id = Some(id(9));
        self.say(&Packet::Publish(Publish { dup: false, qos, retain, topic, packet_id, properties, payload: b"\0x" }));
        self.expect(if qos == QoS::AtLeastOnce { "PubAck" } else { "PubRec" });
    }

    /// The next packet as text, and what would acknowledge it. What is left of an expiry differs from run to run.
    fn next(&mut self) -> Option<(String, Option<(PacketType, PacketId)>)> {
        self.stream.set_read_timeout(Some(QUIET)).expect("a time-out");
        loop {
            if let Split::Frame(frame) = split(&self.bytes, usize::MAX).expect("a packet") {
                let size = frame.size;
                let packet = decode(frame, Version::V5, Direction::ToClient).expect("a legal packet");
                let (text, answer) = match &packet {
                    Packet::Publish(p) => {
                        let answer = if p.qos == QoS::AtLeastOnce { PacketType::PubAck } else { PacketType::PubRec };
                        let expires = p.properties.message_expiry_interval().is_some();
                        let others = p.properties.iter().filter(|p| !matches!(p, Property::MessageExpiryInterval(_)));
                        let others: Vec<_> = others.collect();
                        let (topic, qos, retain, dup) = (p.topic, p.qos, p.retain, p.dup);
                        let text = format!("{topic} {qos:?} {retain} {dup} {:?} {expires} {others:?}", p.packet_id);
                        (text, p.packet_id.map(|packet_id| (answer, packet_id)))
                    }
                    Packet::PubRel(ack) => (format!("{packet:?}"), Some((PacketType::PubComp, ack.packet_id))),
                    _ => (format!("{packet:?}"), None),
                };
                self.bytes.drain(..size);
                return Some((text, answer));
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
                // A signal of another test in this process.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => unreachable!("{error}"),
            }
        }
    }

    /// Passes over what comes, up to a packet whose text contains these words; gives that.
    #[track_caller]
    fn expect(&mut self, words: &str) -> (String, Option<(PacketType, PacketId)>) {
        for _ in 0..100 {
            match self.next() {
                Some(next) if next.0.contains(words) => return next,
                _ => {}
            }
        }
        unreachable!("no {words} has come")
    }

    /// Everything that comes, each acknowledged.
    fn all(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some((text, answer)) = self.next() {
            all.push(text);
            if let Some((kind, packet_id)) = answer {
                self.acknowledge(kind, packet_id);
            }
        }
        all
    }
}

fn start(location: &Path, port: u16) -> Running {
    let acl = location.join("acl");
    std::fs::write(&acl, "user ann\ntopic readwrite #\n").expect("can be written");
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {}\npersistence true\npersistence_location {}\n",
        acl.display(),
        location.display()
    );
    let config = location.join("broker.conf");
    std::fs::write(&config, text).expect("can be written");
    Running::start(sori(&format!("serve -v -c {}", config.display()), port), " running\n")
}

/// Clients do a bit of everything that a store keeps, and then the broker is killed.
fn leave_everything(location: &Path) {
    let port = unused_port();
    let running = start(location, port);
    let lasting = [Property::ContentType("text"), Property::UserProperty("a", "b")];
    let expiring = properties(&[&lasting[..], &[Property::MessageExpiryInterval(60_000)]].concat());
    let plain = PropertyBuffer::new();

    let mut kept = Client::connect(port, "kept", "ann", None);
    let options = SubscribeOptions { qos: QoS::ExactlyOnce, ..SubscribeOptions::default() };
    kept.subscribe("a/#", SubscribeOptions { no_local: true, retain_as_published: true, ..options }, 7);
    kept.subscribe("$share/g/s/+", options, 8);
    let mut publisher = Client::connect(port, "publisher", "ann", None);
    publisher.publish("a/1", QoS::AtLeastOnce, false, &expiring);
    publisher.publish("a/2", QoS::ExactlyOnce, false, &plain);
    publisher.acknowledge(PacketType::PubRel, id(9));
    kept.expect("a/1");
    let (_, answer) = kept.expect("a/2");
    let (kind, packet_id) = answer.expect("it is of QoS 2");
    kept.acknowledge(kind, packet_id);
    kept.expect("PubRel");
    publisher.publish("s/1", QoS::AtLeastOnce, false, &expiring);
    publisher.publish("a/3", QoS::AtLeastOnce, true, &plain);
    publisher.publish("r/1", QoS::AtLeastOnce, true, &expiring);
    kept.publish("s/2", QoS::ExactlyOnce, false, &plain);

    let will = |properties| Will { topic: "w", payload: b"gone", qos: QoS::ExactlyOnce, retain: true, properties };
    let delayed =
        properties(&[Property::WillDelayInterval(40_000), Property::MessageExpiryInterval(30_000), lasting[0]]);
    let connected = Client::connect(port, "connected", "ann", Some(will(delayed.as_properties())));
    let mut gone = Client::connect(port, "gone", "bob", Some(will(delayed.as_properties())));
    let expiry = properties(&[Property::SessionExpiryInterval(u32::MAX)]);
    let reason_code = ReasonCode::DisconnectWithWill;
    gone.say(&Packet::Disconnect(Disconnect { reason_code, properties: expiry.as_properties() }));
    // Its connection ends when that is on the disk.
    gone.stream.set_read_timeout(None).expect("no time-out");
    assert_eq!(gone.stream.read(&mut [0]).expect("the end"), 0);
    running.end("KILL");
    drop(connected);
}

/// What clients see of all this when they come back.
fn look(location: &Path) -> Vec<String> {
    let port = unused_port();
    let running = start(location, port);
    let mut kept = Client::connect(port, "kept", "ann", None);
    let mut all = kept.all();
    kept.acknowledge(PacketType::PubRel, id(9));
    all.extend(kept.all());
    let mut looks = Client::connect(port, "looks", "ann", None);
    looks.subscribe("#", SubscribeOptions { qos: QoS::ExactlyOnce, ..SubscribeOptions::default() }, 1);
    let mut retained = looks.all();
    retained.sort();
    all.extend(retained);
    assert_eq!(running.end("TERM").0, Some(0));
    all
}

#[test]
fn nothing_is_lost_on_the_way() {
    let directory = Directory::new("export");
    let (old, new) = (directory.0.join("old"), directory.0.join("new"));
    for location in [&old, &new] {
        std::fs::create_dir(location).expect("can be made");
    }
    leave_everything(&old);

    let exported = succeeds(&format!("store export {}", old.display()));
    for (words, count) in [
        (r#""type":"session""#, 4),
        (r#""type":"in_flight","client_id":"kept","packet_id":1,"state":"publish","qos":1"#, 1),
        (r#""type":"in_flight","client_id":"kept","packet_id":2,"state":"pubrel","qos":2"#, 1),
        (r#""type":"queued","client_id":"kept","qos":1,"retain":false,"group":1780969386,"identifiers":[8]"#, 1),
        (r#""type":"queued","client_id":"kept","qos":1,"retain":true,"identifiers":[7]"#, 1),
        (r#""type":"incoming","client_id":"kept","packet_id":9"#, 1),
        (r#""filter":"a/#","qos":2,"no_local":true,"retain_as_published":true,"identifier":7"#, 1),
        (r#""owner":{"client_id":"publisher","user_name":"ann"}"#, 2),
        (r#""will":{"delay_seconds":40000,"expiry_seconds":30000,"due_at":null"#, 1),
        (r#""will":{"delay_seconds":40000,"expiry_seconds":30000,"due_at":1"#, 1),
        (r#""user_name":"bob","expiry_seconds":4294967295,"ends_at":null"#, 1),
        (r#""expires_at":"#, 3),
    ] {
        assert_eq!(exported.matches(words).count(), count, "{words} in\n{exported}");
    }
    let file = directory.file("export.jsonl", &exported);
    succeeds(&format!("store import {} -i {file}", new.display()));
    let lines = |text: &str| {
        // No identifier has been used, or the last one: 1 is next.
        let text = text.replace(r#""last_packet_id":65535"#, r#""last_packet_id":null"#);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(&succeeds(&format!("store export {}", new.display()))), lines(&exported));

    let seen = look(&old);
    assert_eq!(look(&new), seen);
    for topic in ["a/1 ", "s/1 ", "a/3 ", "s/2 ", "r/1 "] {
        assert!(seen.iter().any(|text| text.starts_with(topic)), "{topic}in {seen:?}");
    }
}
