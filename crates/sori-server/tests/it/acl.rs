//! `acl_file` on sockets: what a client may publish and is sent, what a reload changes, and what stops the start.

use std::fs;
use std::path::PathBuf;

use sori_mqtt::{Connect, PacketId, PacketType, Publish, QoS, Version};

use super::broker::{Broker, command, free_port};
use super::client::{Client, Received, hello, publish};

const HUP: i32 = 1;

/// A file with rules, which goes with the case.
struct Acl(PathBuf);

impl Acl {
    fn new(name: &str, contents: &str) -> Acl {
        let acl = Acl(std::env::temp_dir().join(format!("sori-acl-{name}-{}", std::process::id())));
        acl.write(contents);
        acl
    }

    fn write(&self, contents: &str) {
        fs::write(&self.0, contents).expect("can be written");
    }

    /// The line of the configuration.
    fn line(&self) -> String {
        format!("acl_file {}\n", self.0.display())
    }
}

impl Drop for Acl {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn connect(broker: &Broker, client_id: &str, user_name: &str) -> Client {
    Client::connect_with(broker.port, &Connect { user_name: Some(user_name), ..hello(client_id) }).0
}

/// A client of this name whose session outlives the connection.
fn resume(broker: &Broker, client_id: &str, user_name: &str) -> (Client, bool) {
    let login = Connect { version: Version::V311, clean_start: false, user_name: Some(user_name), ..hello(client_id) };
    Client::connect_with(broker.port, &login)
}

/// The client may not publish this, and is told so.
#[track_caller]
fn expect_denied(client: &mut Client, topic: &str) {
    client.publish(topic, b"", QoS::AtLeastOnce, 1);
    assert_eq!(client.receive(), Received::Refused(PacketType::PubAck, PacketId::FIRST, 0x87));
}

/// Reloads, and waits until a client of its own can see that it is done.
fn reload(broker: &Broker, until: &str) {
    broker.signal(HUP);
    broker.wait_for_log(until);
}

#[test]
fn clients_get_what_their_lines_allow() {
    let acl = Acl::new(
        "rights",
        "topic read news/#\ntopic deny news/secret\nuser writer\ntopic write news/#\npattern home/%u/%c/#\n",
    );
    let broker = Broker::start(&acl.line());
    let mut reader = Client::connect(broker.port, "reader");
    // Everybody may subscribe, whatever comes of it.
    reader.subscribe("#", QoS::AtLeastOnce);
    reader.subscribe("$SYS/#", QoS::AtMostOnce);
    let mut writer = connect(&broker, "w1", "writer");
    writer.subscribe("#", QoS::AtMostOnce);
    writer.publish_and_wait("news/secret", b"1");
    writer.publish_and_wait("news/today", b"2");
    assert_eq!(reader.message(), ("news/today".to_owned(), b"2".to_vec()));
    expect_denied(&mut writer, "other");
    expect_denied(&mut reader, "news/today");
    expect_denied(&mut writer, "home/writer/w2/a");
    writer.publish("home/writer/w1/a", b"3", QoS::AtMostOnce, 0);
    assert_eq!(writer.message(), ("home/writer/w1/a".to_owned(), b"3".to_vec()));
    // A user whom the file does not name has the patterns only.
    let mut stranger = connect(&broker, "s", "stranger");
    expect_denied(&mut stranger, "news/today");
    stranger.publish_and_wait("home/stranger/s", b"");
    // Neither the other messages nor any of the $SYS tree have come.
    reader.expect_alive();
    writer.expect_alive();
    let file = acl.0.display();
    broker.wait_for_log(&format!("Client reader may not publish to 'news/today': no line of {file} grants it."));
    broker.wait_for_log(&format!("Client reader may not be sent 'news/secret': denied by {file}:2."));
    // The same surprise is told once.
    expect_denied(&mut reader, "news/today");
    reader.publish("end", b"", QoS::AtMostOnce, 0);
    broker.wait_for_log("Client reader may not publish to 'end'");
    assert_eq!(broker.log().matches("Client reader may not publish to 'news/today'").count(), 1);
}

#[test]
fn an_empty_file_allows_nothing_2018_12550() {
    let acl = Acl::new("empty", "# nothing\n\n");
    for listeners in ["", "per_listener_settings true\n"] {
        // The lines above the listener's are not its own.
        let broker = if listeners.is_empty() { Broker::start(&acl.line()) } else { per_listener(&acl) };
        let mut client = Client::connect(broker.port, "client");
        client.subscribe("a", QoS::AtMostOnce);
        expect_denied(&mut client, "a");
        client.expect_alive();
    }
}

/// A broker whose file belongs to its listener.
fn per_listener(acl: &Acl) -> Broker {
    let broker = Broker::start("");
    let text = fs::read_to_string(broker.file("broker.conf")).expect("is there");
    let mut broker = broker;
    let text = format!("per_listener_settings true\n{text}{}", acl.line());
    broker.restart(nix::sys::signal::Signal::SIGTERM, |directory| {
        fs::write(directory.join("broker.conf"), text).expect("can be written");
    });
    broker
}

/// CVE-2026-44838 of RabbitMQ, a client identifier injected into a permission pattern: whatever it says, it stands for itself.
#[test]
fn a_client_id_in_a_pattern_is_no_pattern_rabbitmq_2026_44838() {
    let acl = Acl::new("injected", "pattern readwrite own/%c/in\npattern readwrite of/%u/%c\n");
    let broker = Broker::start(&acl.line());
    let mut victim = connect(&broker, "victim", "me");
    let tricks = [
        ".*",
        "v.*",
        "victim|x",
        "(victim)",
        "^victim$",
        "[a-z]+",
        "vict?m",
        "\\w+",
        "*",
        "**",
        ".",
        "..",
        "%c",
        "%u",
        "%",
        "{client_id}",
        "${clientid}",
        "victim ",
        " victim",
        "VICTIM",
        "victim/in",
        "/",
        "own/victim",
        "x/../victim",
        "+",
        "#",
        "victim/#",
        "+/in",
        "$share/g/#",
        "me",
        "",
    ];
    for name in tricks {
        for (client_id, user_name) in [(name, "you"), ("other", name), (name, name)] {
            let mut spy = connect(&broker, client_id, user_name);
            spy.subscribe("#", QoS::AtMostOnce);
            spy.subscribe("own/victim/in", QoS::AtMostOnce);
            for topic in ["own/victim/in", "of/me/victim", "of/you/victim", "own/x/in", "secret"] {
                expect_denied(&mut spy, topic);
            }
            victim.publish_and_wait("own/victim/in", b"");
            victim.publish_and_wait("of/me/victim", b"");
            // Its own, where the name is a level of a topic.
            if !client_id.is_empty() && !format!("{client_id}{user_name}").contains(['+', '#', '/']) {
                spy.publish(&format!("own/{client_id}/in"), b"mine", QoS::AtMostOnce, 0);
                assert_eq!(spy.message(), (format!("own/{client_id}/in"), b"mine".to_vec()), "and nothing before it");
            } else {
                spy.expect_alive();
            }
        }
    }
}

#[test]
fn names_with_wildcards_get_nothing_from_patterns_2017_7650() {
    let acl = Acl::new("wildcards", "pattern readwrite data/%u\npattern readwrite own/%c\n");
    let broker = Broker::start(&acl.line());
    let mut honest = connect(&broker, "honest", "me");
    for (client_id, user_name) in [("spy1", "+"), ("spy2", "#"), ("#", "me"), ("+", "me")] {
        let mut spy = connect(&broker, client_id, user_name);
        spy.subscribe("#", QoS::AtMostOnce);
        expect_denied(&mut spy, "data/me");
        honest.publish_and_wait("data/me", b"");
        spy.expect_alive();
    }
}

#[test]
fn a_reload_changes_what_open_connections_may() {
    let acl = Acl::new("reload", "topic a\ntopic b\n");
    let broker = Broker::start(&format!("{}log_type all\n", acl.line()));
    let mut client = Client::connect(broker.port, "client");
    client.subscribe("#", QoS::AtMostOnce);
    for topic in ["a", "b"] {
        client.publish(topic, b"", QoS::AtMostOnce, 0);
        assert_eq!(client.message().0, topic);
    }
    acl.write("topic a\ntopic write b\ntopic read c\n");
    broker.signal(HUP);
    super::broker::wait_until("b is not delivered any more", || {
        client.publish("b", b"", QoS::AtMostOnce, 0);
        client.send(&sori_mqtt::PINGREQ);
        match client.receive() {
            Received::PingResp => true,
            _ => client.receive() != Received::PingResp,
        }
    });
    expect_denied(&mut client, "c");
    client.publish("a", b"", QoS::AtMostOnce, 0);
    assert_eq!(client.message().0, "a");
    let file = acl.0.display();
    broker.wait_for_log(&format!("Client client may not publish to 'c': no line of {file} grants it."));
}

#[test]
fn a_broken_or_missing_file_keeps_the_old_rules_at_a_reload() {
    let acl = Acl::new("broken", "topic a\n");
    let broker = Broker::start(&acl.line());
    let mut client = Client::connect(broker.port, "client");
    let mut check = || {
        client.publish_and_wait("a", b"");
        expect_denied(&mut client, "b");
    };
    check();
    acl.write("topic #\ntopics b\ntopic read b#\n");
    reload(&broker, "The configuration was not changed.");
    let (log, file) = (broker.log(), acl.0.display());
    assert!(log.contains(&format!("{file}:2:1: Error: Invalid line in acl_file: topics b.")), "{log}");
    assert!(log.contains(&format!("{file}:3:12: Error: Invalid ACL topic 'b#' in acl_file.")), "{log}");
    check();
    fs::remove_file(&acl.0).expect("is there");
    reload(&broker, &format!("Error: Unable to open acl_file \"{file}\"."));
    check();
    // Nor does a mistake elsewhere open the broker.
    broker.rewrite("no_such_option 1");
    reload(&broker, "Unknown configuration variable 'no_such_option'");
    check();
}

#[test]
fn what_waits_is_not_sent_once_it_may_not_be_received() {
    let acl = Acl::new("queued", "user u\ntopic #\nuser v\ntopic write #\n");
    let mut broker = Broker::start(&format!("persistence true\n{}", acl.line()));
    let (mut away, _) = resume(&broker, "away", "u");
    away.subscribe("#", QoS::ExactlyOnce);
    let mut publisher = connect(&broker, "publisher", "v");
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        // In flight: sent, and not acknowledged.
        away.ask("#", qos, 1);
        assert_eq!(away.receive(), Received::SubAck(vec![qos as u8]));
        publisher.publish("sent", b"", qos, 2);
        let kind = if qos == QoS::AtLeastOnce { PacketType::PubAck } else { PacketType::PubRec };
        assert!(matches!(publisher.receive(), Received::Ack(found, _) if found == kind));
        if qos == QoS::ExactlyOnce {
            publisher.acknowledge(PacketType::PubRel, PacketId::new(2).expect("is not 0"));
            assert!(matches!(publisher.receive(), Received::Ack(PacketType::PubComp, _)));
        }
        assert_eq!(away.message().0, "sent");
    }
    away.send(&[0xE0, 0]);
    assert_eq!(away.receive(), Received::End);
    drop(away);
    for number in 0..50 {
        publisher.publish_and_wait("queued", &[number]);
        publisher.publish_and_wait("other", &[number]);
    }
    // Another user has the session now, who may receive nothing.
    let (mut other, was_there) = resume(&broker, "away", "v");
    assert!(was_there);
    other.expect_alive();
    drop(other);
    let (mut back, _) = resume(&broker, "away", "u");
    back.expect_alive();
    back.send(&[0xE0, 0]);
    assert_eq!(back.receive(), Received::End);
    drop(back);
    for number in 0..50 {
        publisher.publish_and_wait("queued", &[number]);
        publisher.publish_and_wait("other", &[number]);
    }
    // The rules change while the broker is down.
    broker.restart(nix::sys::signal::Signal::SIGTERM, |_| acl.write("user u\ntopic #\ntopic deny queued\n"));
    let (mut back, was_there) = resume(&broker, "away", "u");
    assert!(was_there);
    for number in 0..50 {
        let Received::Message { topic, payload, packet_id, .. } = back.receive() else { unreachable!("a message") };
        assert_eq!((topic.as_str(), payload), ("other", vec![number]));
        back.acknowledge(PacketType::PubAck, packet_id.expect("has one"));
    }
    back.expect_alive();
}

#[test]
fn a_retained_message_does_not_outlive_the_right_of_its_publisher_2018_12546() {
    let acl = Acl::new("retained", "topic read #\nuser writer\ntopic write #\n");
    let broker = Broker::start(&acl.line());
    let mut writer = connect(&broker, "writer", "writer");
    for topic in ["kept", "lost"] {
        writer.say(|out| {
            Publish { retain: true, ..publish(topic, b"x", QoS::AtLeastOnce, 1) }.encode(Version::V5, out);
        });
        assert!(matches!(writer.receive(), Received::Ack(PacketType::PubAck, _)));
    }
    acl.write("topic read #\nuser writer\ntopic write kept\n");
    broker.signal(HUP);
    super::broker::wait_until("the rules are the new ones", || {
        writer.publish("lost", b"", QoS::AtLeastOnce, 1);
        matches!(writer.receive(), Received::Refused(..))
    });
    let mut reader = Client::connect(broker.port, "reader");
    reader.subscribe("#", QoS::AtMostOnce);
    assert_eq!(reader.message().0, "kept");
    reader.expect_alive();
}

#[test]
fn mistakes_end_the_start_with_3_and_all_of_them_are_named() {
    let acl = Acl::new("mistakes", "topic reed a\nuser\ntopic good\n");
    let port = free_port();
    let file = acl.0.display().to_string();
    let run = |conf: String, arguments: &[&str]| {
        let conf = Acl::new("mistakes-conf", &conf);
        let path = conf.0.to_str().expect("is text").to_owned();
        let output = command(&[arguments, &["-c", &path]].concat()).output().expect("starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let conf = format!("listener {port} 127.0.0.1\nmax_qos 3\n{}", acl.line());
    for arguments in [vec![], vec!["--test-config"]] {
        let (code, said) = run(conf.clone(), &arguments);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("'max_qos' must be between"), "{said}");
        let reed =
            format!("{file}:1:7: Error: Invalid topic access type 'reed' in acl_file. Hint: allowed: read, write, ");
        assert!(said.contains(&reed), "{said}");
        assert!(said.contains(&format!("{file}:2:5: Error: Missing username in acl_file.")), "{said}");
        assert!(said.contains("The configuration has 3 errors; nothing was started."), "{said}");
    }
    let (code, said) = run(format!("listener {port}\nacl_file /does/not/exist\n"), &[]);
    assert!(code == Some(3) && said.contains("Error: Unable to open acl_file \"/does/not/exist\"."), "{said}");
}
