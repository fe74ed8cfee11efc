//! What the broker costs over time: bad packets leave nothing behind, and doing nothing is free.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use sori_mqtt::{
    Ack, Auth, Connect, Disconnect, PINGREQ, PacketId, PacketType, Properties, Property, PropertyBuffer, Publish, QoS,
    ReasonCode, Subscribe, SubscribeOptions, TopicFilter, Unsubscribe, Version, Will,
};

use super::broker::{Broker, free_port};
use super::client::{Client, hello, publish};

/// One packet of every type that a client sends, with as much in it as it can have; CONNECT first.
fn packets(version: Version) -> Vec<Vec<u8>> {
    let is_v5 = version == Version::V5;
    let with = |property: Property<'_>| {
        let mut properties = PropertyBuffer::new();
        if is_v5 {
            properties.push(property);
        }
        properties
    };
    let user = with(Property::UserProperty("k", "v"));
    let (alias, expiry) = (with(Property::TopicAlias(3)), with(Property::SessionExpiryInterval(0)));
    let will =
        Will { topic: "w", payload: b"x", qos: QoS::AtLeastOnce, retain: false, properties: user.as_properties() };
    let connect = Connect {
        version,
        will: Some(will),
        user_name: Some("u"),
        password: Some(b"p"),
        properties: expiry.as_properties(),
        ..hello("bad")
    };
    let filter = TopicFilter::new("a/+").expect("is legal");
    let id = PacketId::FIRST;
    let mut all = vec![Vec::new(); 1];
    connect.encode(&mut all[0]);
    let mut add = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = Vec::new();
        write(&mut packet);
        all.push(packet);
    };
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let message = Publish { retain: true, properties: alias.as_properties(), ..publish("a/b", b"12", qos, 5) };
        add(&|out| message.encode(version, out));
    }
    for kind in [PacketType::PubAck, PacketType::PubRec, PacketType::PubRel, PacketType::PubComp] {
        let ack = Ack { packet_id: id, reason_code: ReasonCode::Success, properties: user.as_properties() };
        add(&|out| ack.encode(kind, version, out));
    }
    let filters = [(filter, SubscribeOptions::default())];
    add(&|out| Subscribe::new(id, user.as_properties(), &filters).encode(version, out));
    add(&|out| Unsubscribe::new(id, Properties::EMPTY, &[filter]).encode(version, out));
    add(&|out| out.extend_from_slice(&PINGREQ));
    let disconnect = Disconnect { reason_code: ReasonCode::Success, properties: user.as_properties() };
    add(&|out| disconnect.encode(version, out));
    if is_v5 {
        let method = with(Property::AuthenticationMethod("m"));
        let auth = Auth { reason_code: ReasonCode::ReAuthenticate, properties: method.as_properties() };
        add(&|out| auth.encode(version, out));
    }
    all
}

/// Says this on a connection of its own and waits until the broker has read it all and is done with it.
fn say(socket: &Path, packets: &[&[u8]]) {
    let mut stream = UnixStream::connect(socket).expect("the broker listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    for packet in packets {
        // The broker may have closed it already.
        let _ = stream.write_all(packet);
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => unreachable!("the broker neither answers nor closes: {error}"),
        }
    }
}

/// Every packet cut after each byte, and changed at each byte, after a CONNECT or as one. Gives the number of them.
fn one_round(socket: &Path) -> usize {
    let mut count = 0;
    for version in [Version::V311, Version::V5] {
        let packets = packets(version);
        let connect = packets[0].as_slice();
        for (number, packet) in packets.iter().enumerate() {
            let mut offer = |bytes: &[u8]| {
                count += 1;
                if number == 0 { say(socket, &[bytes]) } else { say(socket, &[connect, bytes]) }
            };
            for at in 0..packet.len() {
                offer(&packet[..at]);
                let mut changed = packet.clone();
                changed[at] ^= 0xFF;
                offer(&changed);
            }
        }
    }
    count
}

#[test]
fn malformed_packets_leave_nothing_behind() {
    const ROUNDS: usize = 50;
    const MIB: i64 = 1024 * 1024;
    let socket = std::env::temp_dir().join(format!("sori-malformed-{}.sock", free_port()));
    let broker =
        Broker::start(&format!("connection_messages false\nlistener 0 {}\nallow_anonymous true", socket.display()));
    let mut early = 0;
    let mut count = 0;
    for round in 1..=ROUNDS {
        count += one_round(&socket);
        if round == 5 {
            early = broker.resident_bytes();
        }
    }
    let grown = broker.resident_bytes() - early;
    eprintln!("{count} malformed packets in {ROUNDS} rounds: {} KiB more than after round 5", grown / 1024);
    assert!(grown < MIB, "{grown} bytes");
    Client::connect(broker.port, "after").expect_alive();
    let _ = std::fs::remove_file(socket);
}

/// Whatever else the machine does makes the broker's own little work longer, and nothing makes it shorter: one quiet look is enough.
#[test]
fn an_idle_broker_uses_less_than_a_thousandth_of_a_processor() {
    const WATCHED: Duration = Duration::from_secs(4);
    const LOOKS_MAX: usize = 5;
    let broker = Broker::start("");
    let mut clients: Vec<Client> = (0..100).map(|n| Client::connect(broker.port, &format!("idle {n}"))).collect();
    // The counters of what has just happened are hung out within a second.
    thread::sleep(Duration::from_millis(1500));
    let mut looks = Vec::new();
    while looks.len() < LOOKS_MAX && looks.iter().all(|spent| *spent >= WATCHED / 1000) {
        let before = broker.processor_time();
        // Here time itself is what is measured against.
        thread::sleep(WATCHED);
        looks.push(broker.processor_time() - before);
    }
    eprintln!("an idle broker with 100 clients used {looks:?} in {WATCHED:?} each");
    assert!(looks.iter().any(|spent| *spent < WATCHED / 1000), "{looks:?}");
    for client in &mut clients {
        client.expect_alive();
    }
}
