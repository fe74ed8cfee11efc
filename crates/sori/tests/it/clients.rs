//! `sori rr`, `sub` and `pub` beyond one message, and the names of Mosquitto's clients.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sori_mqtt::{Packet, PacketId, PacketType, Properties, Property, PropertyBuffer, QoS, ReasonCode, SubAck, Version};

use crate::broker::{Broker, Peer, unused_port};
use crate::{result, sori};

fn start(command: &str, words: &str, broker: &Broker) -> Child {
    sori(&format!("{command} -h 127.0.0.1 -p {{port}} {words}"), broker.port).spawn().expect("starts")
}

pub(crate) fn end(child: Child) -> (i32, String, String) {
    result(&child.wait_with_output().expect("ends"))
}

/// A folder with links, which is removed in the end.
pub(crate) struct Links(PathBuf);

impl Links {
    pub(crate) fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sori-links-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sori"), folder.join(name)).expect("a link");
        }
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn start(&self, words: &str, port: u16) -> Child {
        let words = words.replace("{port}", &port.to_string());
        let (name, words) = words.split_once(' ').unwrap_or((&words, ""));
        let mut command = Command::new(self.0.join(name));
        // '' is an empty argument, as in a shell.
        command.args(words.split(' ').filter(|word| !word.is_empty()).map(|word| if word == "''" { "" } else { word }));
        // Not this folder itself: the links in it have the names of the files of options.
        command.env("XDG_CONFIG_HOME", self.0.join("config"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // A folder that stays behind harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Accepts a client and its SUBSCRIBE.
fn subscribed(broker: &Broker, reason_codes: &[u8]) -> Peer {
    let mut peer = broker.connected();
    peer.expect(PacketType::Subscribe);
    suback(&mut peer, reason_codes);
    peer
}

fn suback(peer: &mut Peer, reason_codes: &[u8]) {
    peer.send(&Packet::SubAck(SubAck { packet_id: PacketId::FIRST, properties: Properties::EMPTY, reason_codes }));
}

#[test]
fn a_request_waits_for_the_answer_with_its_mark() {
    let broker = Broker::new();
    let child = start("rr", "-t ask -e answer -m hi --correlation-data mine --latency", &broker);
    let mut peer = subscribed(&broker, &[0]);
    let request = peer.expect(PacketType::Publish);
    peer.decoded(&request, |_, packet| {
        let Packet::Publish(publish) = packet else { unreachable!("a PUBLISH") };
        assert_eq!((publish.topic, publish.payload), ("ask", &b"hi"[..]));
        assert_eq!(publish.properties.response_topic(), Some("answer"));
        assert_eq!(publish.properties.correlation_data(), Some(&b"mine"[..]));
    });
    for (mark, payload) in [(&b"another"[..], "not this one"), (b"mine", "this one")] {
        let mut properties = PropertyBuffer::new();
        properties.push(Property::CorrelationData(mark));
        peer.message_with("answer", payload.as_bytes(), properties.as_properties());
    }
    peer.expect_goodbye();
    let (status, out, err) = end(child);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.starts_with("this one\nLatency: "), "{out}");
}

#[test]
fn a_message_can_be_repeated() {
    let broker = Broker::new();
    let child = start("pub", "-t a -m hi --repeat 3 --repeat-delay 0.01 -q 1 --content-type text/plain", &broker);
    let mut peer = broker.connected();
    for packet_id in 1..=3 {
        assert_eq!(peer.publish(), (QoS::AtLeastOnce, "a".into(), "hi".into()));
        peer.acknowledge(PacketType::PubAck, packet_id, ReasonCode::Success);
    }
    peer.expect_goodbye();
    assert_eq!(end(child), (0, String::new(), String::new()));
}

#[test]
fn json_is_legal_whatever_comes() {
    let broker = Broker::new();
    let child = start("sub", "-t a -C 2 -F json", &broker);
    let mut peer = broker.subscribed();
    peer.message("a", b"hi");
    peer.message("a", b"\xFF");
    peer.expect_goodbye();
    let (status, out, err) = end(child);
    assert_eq!((status, err.as_str()), (0, ""));
    let objects: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(objects[0]["payload"], "hi");
    assert_eq!(objects[1]["payload_base64"], "/w==");
}

#[test]
fn a_tree_is_written_at_the_end_where_there_is_no_terminal() {
    let broker = Broker::new();
    let child = start("sub", "-t # -C 3 --tree", &broker);
    let mut peer = broker.subscribed();
    for (topic, payload) in [("a/b", b"1"), ("a/c", b"2"), ("a/b", b"3")] {
        peer.message(topic, payload);
    }
    peer.expect_goodbye();
    let expected = "3 messages on 2 topics\n└─ a\n   ├─ b = 3  (2)\n   └─ c = 2  (1)\n";
    assert_eq!(end(child), (0, expected.into(), String::new()));
}

#[test]
fn a_lost_connection_is_made_again() {
    let broker = Broker::new();
    let child = start("sub", "-t a -C 2 --reconnect", &broker);
    let mut peer = broker.subscribed();
    peer.message("a", b"before");
    drop(peer);
    let mut peer = broker.connected();
    let subscribe = peer.expect(PacketType::Subscribe);
    suback_for(&mut peer, &subscribe);
    peer.message("a", b"after");
    peer.expect_goodbye();
    let (status, out, err) = end(child);
    assert_eq!((status, out.as_str()), (0, "before\nafter\n"));
    assert!(err.contains("connecting again"), "{err}");
}

#[test]
fn a_refusal_ends_the_reconnecting() {
    let (links, broker) = (Links::new("refusal"), Broker::new());
    let own = || start("sub", "-t a --reconnect", &broker);
    let mosquitto = || links.start("mosquitto_sub -V 5 -h 127.0.0.1 -p {port} -t a", broker.port);
    let clients: [(&dyn Fn() -> Child, &str); 2] = [
        (&own, "sori: the server refused the connection: not authorized\n"),
        (&mosquitto, "Connection error: Not authorized\n"),
    ];
    // One after the other: two at a time would take each other's place at the broker.
    for (client, last_words) in clients {
        let child = client();
        drop(broker.subscribed());
        let mut peer = broker.accept();
        peer.expect(PacketType::Connect);
        peer.answer(ReasonCode::NotAuthorized);
        let (status, _, err) = end(child);
        assert_eq!(status, 135, "{err}");
        assert!(err.ends_with(last_words), "{err}");
    }
}

#[test]
fn lines_go_on_after_a_lost_connection() {
    let (links, broker) = (Links::new("lines"), Broker::new());
    let mut command = Command::new(links.0.join("mosquitto_pub"));
    command.args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-t", "a", "-l"]);
    command.env("XDG_CONFIG_HOME", links.0.join("config"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("is a pipe");
    let mut peer = broker.connected();
    stdin.write_all(b"before\n").expect("is read");
    assert_eq!(peer.publish().2, "before");
    drop(peer);
    let mut peer = broker.connected();
    stdin.write_all(b"after\n").expect("is read");
    assert_eq!(peer.publish().2, "after");
    drop(stdin);
    peer.expect_goodbye();
    assert_eq!(end(child), (0, String::new(), String::new()));
}

/// With the identifier of this SUBSCRIBE.
fn suback_for(peer: &mut Peer, subscribe: &[u8]) {
    let packet_id = [subscribe[2], subscribe[3]];
    peer.send_bytes(&[0x90, 4, packet_id[0], packet_id[1], 0, 0]);
}

#[test]
fn topics_are_explained_and_judged() {
    let (status, out, _) = result(&sori("topic match a/+ a/b a/b/c", 0).output().expect("starts"));
    assert_eq!(status, 1);
    assert!(out.contains("a/+ matches a/b\n") && out.contains("a/+ does not match a/b/c\n"), "{out}");
    let (status, out, _) = result(&sori("topic match --json $share/g/a/# a", 0).output().expect("starts"));
    let found: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, &found["share"], &found["topics"][0]["matches"]), (0, &"g".into(), &true.into()));
    let (status, out, _) = result(&sori("topic lint a/b /C", 0).output().expect("starts"));
    assert_eq!(status, 1);
    assert!(out.ends_with("2 topics, 2 findings\n") && out.contains("(no-leading-slash)"), "{out}");
    let (status, _, err) = result(&sori("topic match a/#/b a", 0).output().expect("starts"));
    assert_eq!(status, 1);
    assert!(err.starts_with("sori: \"a/#/b\" is no topic filter"), "{err}");
}

#[test]
fn topics_of_a_live_broker_are_judged() {
    let broker = Broker::new();
    let child = start("topic lint --broker -W 1", "--json", &broker);
    let mut peer = broker.subscribed();
    peer.message("Kitchen", b"1");
    peer.message("Kitchen", b"2");
    peer.message("$SYS/Broker", b"not looked at");
    peer.expect_goodbye();
    let (status, out, _) = end(child);
    let found: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, &found["topics"], &found["findings"][0]["rule"]), (1, &1.into(), &"lower-case".into()));
    assert_eq!(found["findings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn under_mosquitto_s_names_the_statuses_are_mosquitto_s() {
    let links = Links::new("statuses");
    for (words, status, out, err) in [
        ("mosquitto_sub --help", 1, "Usage: mosquitto_sub", ""),
        ("mosquitto_pub --version", 1, "mosquitto_pub version 2", ""),
        ("mosquitto_rr", 1, "", "Error: All of topic, message, and response topic must be supplied."),
        ("mosquitto_sub -q 3", 1, "", "Error: Invalid QoS given: 3\n\nUse 'mosquitto_sub --help' to see usage.\n"),
        ("mosquitto_pub -h 127.0.0.1 -p {port} -t a -m b", 1, "", "Error: connection refused by 127.0.0.1:"),
        ("mosquitto_pub -i '' -t a -m b", 1, "", "Error: Invalid id.\n"),
        ("mosquitto_sub -i '' -t a", 1, "", "Error: Invalid id and/or clean_session.\n"),
        ("mosquitto_rr -i '' -t a -e b -m c", 1, "", "Error: Invalid id and/or clean_session.\n"),
        ("mosquitto_pub --quiet -i '' -t a -m b", 1, "", ""),
        ("mosquitto_pub --quiet -h 127.0.0.1 -p {port} -t a -m b", 1, "", ""),
    ] {
        let found = end(links.start(words, unused_port()));
        assert_eq!(found.0, status, "{words}");
        assert!(found.1.contains(out) && found.2.contains(err), "{words}: {found:?}");
        assert!(!err.is_empty() || found.2.is_empty(), "{words}: {found:?}");
    }
}

#[test]
fn a_denied_message_is_a_warning_under_mosquitto_s_name() {
    let (links, broker) = (Links::new("denied"), Broker::new());
    let child = links.start("mosquitto_pub -V 5 -h 127.0.0.1 -p {port} -t a -m b -q 1", broker.port);
    let mut peer = broker.connected();
    peer.publish();
    peer.acknowledge(PacketType::PubAck, 1, ReasonCode::NotAuthorized);
    peer.expect_goodbye();
    assert_eq!(end(child), (0, String::new(), "Warning: Publish 1 failed: Not authorized.\n".into()));
}

/// With a broker that takes little: 50 bytes, QoS 1, nothing retained.
fn end_at_a_small_broker(name: &str, words: &str, input: &str, serve: impl FnOnce(&mut Peer)) -> (i32, String, String) {
    let (links, broker) = (Links::new(name), Broker::new());
    let words = format!("{words} -V 5 -h 127.0.0.1 -p {}", broker.port);
    let mut words = words.split(' ');
    let mut command = Command::new(links.path(words.next().expect("a name")));
    command.args(words).env("XDG_CONFIG_HOME", links.path("config"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("is a pipe");
    stdin.write_all(input.as_bytes()).expect("is read");
    drop(stdin);
    let mut peer = broker.accept();
    peer.expect(PacketType::Connect);
    let mut properties = PropertyBuffer::new();
    properties.push(Property::MaximumPacketSize(50));
    properties.push(Property::MaximumQoS(QoS::AtLeastOnce));
    properties.push(Property::RetainAvailable(false));
    peer.answer_with(ReasonCode::Success, properties.as_properties());
    serve(&mut peer);
    end(child)
}

#[test]
fn what_the_broker_does_not_take_is_not_sent_and_has_mosquitto_s_status() {
    let large = "x".repeat(60);
    let goodbye = |peer: &mut Peer| drop(peer.expect_goodbye());
    let gone = |peer: &mut Peer| assert!(!matches!(peer.packet(), Some(packet) if packet[0] >> 4 == 3));
    let answered = |peer: &mut Peer| {
        let subscribe = peer.expect(PacketType::Subscribe);
        suback_for(peer, &subscribe);
        gone(peer);
    };
    let lost = "Error: The connection was lost. (cannot publish: ";
    let (status, _, err) = end_at_a_small_broker("large", &format!("mosquitto_pub -t a -m {large}"), "", goodbye);
    assert!(status == 7 && err.starts_with(lost) && err.contains("50 bytes"), "{status} {err}");
    let (status, _, err) = end_at_a_small_broker("qos", "mosquitto_pub -t a -m b -q 2", "", goodbye);
    assert!(status == 7 && err.contains(lost), "{status} {err}");
    assert!(err.starts_with("Error: Message QoS not supported on broker, try a lower QoS.\n"), "{err}");
    // Lines and requests have the number of the error itself.
    let too_large = "Error: Packet larger than supported by the server. (";
    let (status, _, err) = end_at_a_small_broker("large-line", "mosquitto_pub -t a -l", &large, gone);
    assert!(status == 25 && err.starts_with(too_large), "{status} {err}");
    let (status, _, err) =
        end_at_a_small_broker("large-request", &format!("mosquitto_rr -t a -e b -m {large}"), "", answered);
    assert!(status == 25 && err.starts_with(too_large), "{status} {err}");
    let not_supported = "Error: Requested QoS not supported on server. (";
    let (status, _, err) = end_at_a_small_broker("qos-line", "mosquitto_pub -t a -l -q 2", "b\n", gone);
    assert!(status == 24 && err.starts_with(not_supported), "{status} {err}");
    let (status, _, err) = end_at_a_small_broker("qos-request", "mosquitto_rr -t a -e b -m c -q 2", "", answered);
    assert!(status == 24 && err.starts_with(not_supported), "{status} {err}");
}

#[test]
fn where_nothing_is_retained_mosquitto_s_name_publishes_without_the_flag() {
    for (name, words) in [("unretained", "mosquitto_pub -t a -r -m b"), ("unretained-line", "mosquitto_pub -t a -r -l")]
    {
        let found = end_at_a_small_broker(name, words, "b\n", |peer| {
            let publish = peer.expect(PacketType::Publish);
            assert_eq!(publish[0], 0x30, "neither retained nor QoS 1");
            peer.expect_goodbye();
        });
        assert_eq!(found, (0, String::new(), String::new()), "{words}");
    }
}

#[test]
fn a_refused_connection_has_mosquitto_s_status() {
    let (of_3, of_5) =
        ("Connection error: Connection Refused: not authorised.\n", "Connection error: Not authorized\n");
    let more = "Error: The connection was refused.\n";
    for (words, status, said) in [
        ("mosquitto_sub -V 311 -t a", 5, of_3.to_owned()),
        ("mosquitto_sub -V 5 -t a", 135, of_5.to_owned()),
        ("mosquitto_rr -V 5 -t a -e b -n", 135, of_5.to_owned()),
        ("mosquitto_pub -V 311 -t a -n", 5, format!("{of_3}{more}")),
        ("mosquitto_pub -V 5 -t a -n", 135, format!("{of_5}{more}")),
    ] {
        let (links, broker) = (Links::new("refused"), Broker::new());
        let child = links.start(&format!("{words} -h 127.0.0.1 -p {{port}}"), broker.port);
        let mut peer = broker.accept();
        peer.expect(PacketType::Connect);
        peer.answer(ReasonCode::NotAuthorized);
        assert_eq!(end(child), (status, String::new(), said), "{words}");
    }
}

#[test]
fn a_signal_ends_publishing_as_it_ends_a_program_without_a_handler() {
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let (links, broker) = (Links::new("signal"), Broker::new());
        let child = links.start("mosquitto_pub -h 127.0.0.1 -p {port} -t a -m b -q 1", broker.port);
        let mut peer = broker.connected();
        peer.publish();
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a number")), signal).expect("runs");
        peer.expect_goodbye();
        assert_eq!(end(child), (status, String::new(), String::new()));
    }
}

#[test]
fn time_is_up_with_the_will() {
    let (links, broker) = (Links::new("time"), Broker::new());
    let child = links.start("mosquitto_sub -V 5 -h 127.0.0.1 -p {port} -t a -W 1", broker.port);
    let mut peer = broker.subscribed();
    assert_eq!(peer.expect(PacketType::Disconnect), [0xE0, 1, 0x04]);
    assert_eq!(end(child), (27, String::new(), "Timed out\n".into()));
}

#[test]
fn options_come_from_a_file_and_the_environment() {
    let (links, broker) = (Links::new("file"), Broker::new());
    let defaults = format!("# mine\n-h 127.0.0.1\n-p {}\n-i from file\n", broker.port);
    let folder = links.0.join("config");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("mosquitto_pub"), defaults).expect("a file");
    let mut command = Command::new(links.0.join("mosquitto_pub"));
    command.args(["-t", "a", "-m", "b"]).env("XDG_CONFIG_HOME", &folder).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut peer = broker.accept();
    let connect = peer.expect(PacketType::Connect);
    peer.decoded(&connect, |version, packet| {
        let Packet::Connect(connect) = packet else { unreachable!("a CONNECT") };
        assert_eq!((*version, connect.client_id), (Version::V311, "from file"));
    });
    peer.answer(ReasonCode::Success);
    peer.expect(PacketType::Publish);
    peer.expect_goodbye();
    assert_eq!(end(child).0, 0);
}

#[test]
fn a_unix_socket_is_a_way_to_the_broker() {
    let links = Links::new("unix");
    let path = links.0.join("socket");
    for words in ["sub --unix {path} -t a", "pub --unix {path} -t a -m b"] {
        let words = words.replace("{path}", &path.display().to_string());
        let (status, _, err) = result(&sori(&words, 0).output().expect("starts"));
        assert_eq!(status, 1);
        assert!(err.contains("there is no such socket") && err.contains(&path.display().to_string()), "{err}");
    }
    assert!(Path::new(&path).parent().is_some_and(Path::exists));
}
