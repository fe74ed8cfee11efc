//! `password_file` on sockets: who comes in, what a reload changes, and what stops the start; and rules that belong to a
//! listener.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use sori_mqtt::{Connect, PacketType, Property, PropertyBuffer, QoS, Version};
use sori_server::passwords::{Hashed, Scheme};

use super::broker::{Broker, command, free_port, wait_until};
use super::client::{Client, Received, hello};

const HUP: i32 = 1;

/// A file beside the broker's, which goes with the case.
struct File(PathBuf);

impl File {
    fn new(name: &str, contents: &str) -> File {
        let file = File(std::env::temp_dir().join(format!("sori-passwords-{name}-{}", std::process::id())));
        file.write(contents);
        file
    }

    fn write(&self, contents: &str) {
        fs::write(&self.0, contents).expect("can be written");
    }

    fn line(&self, option: &str) -> String {
        format!("{option} {}\n", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A line of a password file, made with this scheme.
fn hashed(user_name: &str, password: &str, scheme: Scheme) -> String {
    let hashed = Hashed::of_password(scheme, password.as_bytes()).expect("there are random numbers");
    format!("{user_name}:{hashed}\n")
}

/// The same at little cost.
fn user(user_name: &str, password: &str) -> String {
    hashed(user_name, password, Scheme::Pbkdf2 { iterations: 101 })
}

fn login<'a>(client_id: &'a str, user_name: &'a str, password: &'a str) -> Connect<'a> {
    Connect { user_name: Some(user_name), password: Some(password.as_bytes()), ..hello(client_id) }
}

/// The code of CONNACK.
#[track_caller]
fn code(port: u16, connect: &Connect<'_>) -> u8 {
    let mut client = Client::open(port);
    client.speak(connect.version);
    client.say(|out| connect.encode(out));
    match client.receive() {
        Received::ConnAck { code, .. } => code,
        other => unreachable!("no CONNACK but {other:?}"),
    }
}

#[track_caller]
fn connect(port: u16, client_id: &str, user_name: &str, password: &str) -> Client {
    Client::connect_with(port, &login(client_id, user_name, password)).0
}

#[test]
fn users_come_in_with_passwords_of_every_form() {
    // Written by Mosquitto 1.6 and 2.0.11, and by the reference implementations of the three forms.
    let vectors = include_str!("../../src/passwords/vectors.txt").lines().filter_map(|line| line.split_once(' '));
    let lines: Vec<(&str, &str)> = vectors.collect();
    let users = File::new("forms", &lines.iter().map(|(name, hash)| format!("{name}:{hash}\n")).collect::<String>());
    let broker = Broker::start(&format!("{}allow_anonymous false\n", users.line("password_file")));
    for (name, _) in lines {
        for version in [Version::V311, Version::V5] {
            let (right, wrong) = (login("client", name, "pw"), login("client", name, "pW"));
            assert_eq!(code(broker.port, &Connect { version, ..right }), 0, "{name}");
            let refused = code(broker.port, &Connect { version, ..wrong });
            assert_eq!(refused, 0x87, "{name} {version:?}");
        }
    }
    for refused in
        [login("c", "nobody", "pw"), login("c", "", ""), Connect { password: None, ..login("c", "sha512-12", "") }]
    {
        assert_eq!(code(broker.port, &refused), 0x87, "{refused:?}");
    }
    assert_eq!(code(broker.port, &hello("anonymous")), 0x87);
}

#[test]
fn what_the_client_sends_behind_connect_waits_for_the_answer() {
    let users = File::new("behind", &user("ann", "pw"));
    let broker = Broker::start(&users.line("password_file"));
    let mut client = Client::open(broker.port);
    for _ in 0..20 {
        client.say(|out| {
            login("client", "ann", "pw").encode(out);
            out.extend(sori_mqtt::PINGREQ);
            out.extend([0xE0, 0]);
        });
        assert!(matches!(client.receive(), Received::ConnAck { code: 0, .. }));
        assert_eq!((client.receive(), client.receive()), (Received::PingResp, Received::End));
        client = Client::open(broker.port);
    }
}

#[test]
fn others_are_served_while_a_password_is_checked() {
    // A second or more.
    let users = File::new("slow", &hashed("slow", "pw", Scheme::Pbkdf2 { iterations: 100_000 }));
    let broker = Broker::start(&format!("{}threads 1\n", users.line("password_file")));
    let mut other = Client::connect(broker.port, "other");
    let mut slow = Client::open(broker.port);
    slow.say(|out| login("slow", "slow", "pw").encode(out));
    for _ in 0..5 {
        other.expect_alive();
    }
    assert_eq!(slow.receive_within(Duration::from_millis(1)), None, "the others have not waited for it");
    assert!(matches!(slow.receive(), Received::ConnAck { code: 0, .. }));
}

#[test]
fn who_guesses_has_to_wait_and_others_do_not() {
    let users = File::new("guesses", &(user("ann", "pw") + &user("bob", "pw")));
    let broker = Broker::start(&users.line("password_file"));
    for _ in 0..5 {
        assert_eq!(code(broker.port, &login("guess", "ann", "wrong")), 0x87);
    }
    broker.wait_for_log("User 'ann' from 127.0.0.1 must wait 1 s: 5 logins have failed.");
    wait_until("they are told", || broker.log().matches("] disconnected: not authorised.").count() == 5);
    let log = broker.log();
    let of_them: Vec<&str> = log.lines().filter(|line| line.starts_with("Client guess [127.0.0.1:")).collect();
    assert_eq!(of_them.len(), 5, "one line each: {of_them:?}");
    assert!(of_them.iter().all(|line| line.ends_with("] disconnected: not authorised.")), "{of_them:?}");
    // The answer is the same for the right password, until the second has passed.
    wait_until("ann comes in again", || code(broker.port, &login("ann", "ann", "pw")) == 0);
    assert_eq!(code(broker.port, &login("bob", "bob", "pw")), 0);
    let mut watcher = connect(broker.port, "watcher", "bob", "pw");
    watcher.subscribe("$SYS/broker/logins/failed", QoS::AtMostOnce);
    // The tree is looked at every ten seconds.
    assert_eq!(watcher.message(), ("$SYS/broker/logins/failed".to_owned(), b"5".to_vec()));
}

#[test]
fn a_reload_takes_back_what_let_clients_in_and_nothing_else() {
    let (ann, bob, new) = (user("ann", "pw"), user("bob", "pw"), user("new", "pw"));
    let users = File::new("reload", &format!("{ann}{bob}"));
    let broker = Broker::start(&users.line("password_file"));
    let mut stays = connect(broker.port, "stays", "ann", "pw");
    let mut goes = connect(broker.port, "goes", "bob", "pw");
    let mut anonymous = Client::connect(broker.port, "anonymous");
    users.write(&format!("{new}{ann}"));
    broker.signal(HUP);
    assert_eq!((goes.receive(), goes.receive()), (Received::Disconnect(0x87), Received::End));
    broker.wait_for_log("Client goes [127.0.0.1:");
    stays.expect_alive();
    anonymous.expect_alive();
    connect(broker.port, "new", "new", "pw").expect_alive();
    assert_eq!(code(broker.port, &login("goes", "bob", "pw")), 0x87);
    // Another password is another line.
    users.write(&format!("{new}{}", user("ann", "other")));
    broker.signal(HUP);
    assert_eq!(stays.receive(), Received::Disconnect(0x87));
    assert_eq!(code(broker.port, &login("ann", "ann", "pw")), 0x87, "though it was right a moment ago");
    connect(broker.port, "ann", "ann", "other").expect_alive();
    // Nobody may be anonymous any more.
    broker.rewrite(&format!("{}listener_allow_anonymous false\n", users.line("password_file")));
    broker.signal(HUP);
    assert_eq!(anonymous.receive(), Received::Disconnect(0x87));
}

#[test]
fn a_broken_or_missing_file_keeps_the_old_users_at_a_reload_2017_7652() {
    let users = File::new("broken", &user("ann", "pw"));
    let broker = Broker::start(&format!("{}listener_allow_anonymous false\n", users.line("password_file")));
    let mut ann = connect(broker.port, "ann", "ann", "pw");
    let file = users.0.display().to_string();
    let mut check = |said: &str| {
        broker.signal(HUP);
        broker.wait_for_log(said);
        ann.expect_alive();
        assert_eq!(code(broker.port, &hello("anonymous")), 0x87);
        assert_eq!(code(broker.port, &login("bob", "bob", "")), 0x87);
        connect(broker.port, "again", "ann", "pw").expect_alive();
    };
    users.write("bob:\nann:pw\n");
    check(&format!("{file}:2:5: Error: Unable to decode line in password file '{file}'."));
    // Half of the file has been written.
    users.write(&user("ann", "pw")[..40]);
    check(&format!("{file}:1:"));
    fs::remove_file(&users.0).expect("is there");
    check(&format!("Error: Unable to open password_file \"{file}\"."));
    users.write("");
    broker.signal(HUP);
    wait_until("nobody has a password any more", || code(broker.port, &login("ann", "ann", "pw")) == 0x87);
}

#[test]
fn mistakes_end_the_start_with_3_and_all_of_them_are_named_2018_12551() {
    let users = File::new("mistakes", &format!("{}bob:\nbob:$5$a$b\n:x\n", user("ann", "pw")));
    let file = users.0.display().to_string();
    let conf = File::new("mistakes-conf", &format!("listener {}\n{}", free_port(), users.line("password_file")));
    let output = command(&["-c", conf.0.to_str().expect("is text")]).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for (place, text) in [
        ("2:5", format!("Unable to decode line in password file '{file}'.")),
        ("3:1", format!("Duplicate user 'bob' in password file '{file}'.")),
        ("4:1", format!("Invalid line in password file '{file}'.")),
    ] {
        assert!(said.contains(&format!("{file}:{place}: Error: {text} Hint: ")), "{place}: {said}");
    }
    assert!(said.contains("The configuration has 3 errors; nothing was started."), "{said}");
}

/// A session that outlives its connection.
fn resume(port: u16, client_id: &str, user_name: &str) -> (Client, bool) {
    let mut properties = PropertyBuffer::new();
    properties.push(Property::SessionExpiryInterval(1000));
    let properties = properties.as_properties();
    Client::connect_with(port, &Connect { clean_start: false, properties, ..login(client_id, user_name, "pw") })
}

fn leave(mut client: Client) {
    client.send(&[0xE0, 0]);
    assert_eq!(client.receive(), Received::End);
}

/// Rules of one listener hold for its clients and for nobody else, and a session is under those of its last listener, also
/// when its client is away and after a restart.
#[test]
fn each_listener_has_its_own_rules_2018_20145() {
    let users = File::new("own-users", &user("ann", "pw"));
    let first = File::new("own-first", "user ann\ntopic a\ntopic write b\n");
    let second = File::new("own-second", "topic b\n");
    let mut broker = Broker::start("");
    let (one, two) = (broker.port, free_port());
    let log = broker.file("log").display().to_string();
    let text = format!(
        "per_listener_settings true\npersistence true\nlog_dest file {log}\nlog_timestamp false\n\
         listener {one} 127.0.0.1\nallow_anonymous false\n{}{}listener {two} 127.0.0.1\nallow_anonymous true\n{}",
        users.line("password_file"),
        first.line("acl_file"),
        second.line("acl_file")
    );
    broker.restart(Signal::SIGTERM, |directory| {
        fs::write(directory.join("broker.conf"), text).expect("can be written");
    });
    assert_eq!(code(one, &hello("x")), 0x87);
    assert_eq!(code(one, &login("x", "ann", "wrong")), 0x87);
    let (mut ann, _) = resume(one, "ann", "ann");
    ann.subscribe("#", QoS::AtLeastOnce);
    let mut other = Client::connect(two, "other");
    other.subscribe("#", QoS::AtLeastOnce);
    ann.publish("a", b"1", QoS::AtMostOnce, 0);
    ann.publish("b", b"2", QoS::AtMostOnce, 0);
    assert_eq!(other.message(), ("b".to_owned(), b"2".to_vec()));
    other.publish("a", b"", QoS::AtLeastOnce, 1);
    assert!(matches!(other.receive(), Received::Refused(PacketType::PubAck, _, 0x87)));
    let next = |client: &mut Client| match client.receive() {
        Received::Message { topic, payload, packet_id, .. } => {
            client.acknowledge(PacketType::PubAck, packet_id.expect("has one"));
            (topic, payload)
        }
        other => unreachable!("no message but {other:?}"),
    };
    assert_eq!(ann.message(), ("a".to_owned(), b"1".to_vec()));
    leave(ann);
    broker.restart(Signal::SIGTERM, |_| ());
    // She is away, and what comes for her is what the rules of her listener let her have.
    let mut publisher = connect(one, "publisher", "ann", "pw");
    publisher.publish_and_wait("b", b"3");
    publisher.publish_and_wait("a", b"4");
    let (mut ann, was_there) = resume(one, "ann", "ann");
    assert!(was_there);
    assert_eq!(next(&mut ann), ("a".to_owned(), b"4".to_vec()));
    ann.expect_alive();
    leave(ann);
    // By the other listener she has other rights, whatever her name.
    let (mut ann, was_there) = resume(two, "ann", "nobody asks");
    assert!(was_there);
    publisher.publish_and_wait("a", b"5");
    ann.expect_alive();
}

#[test]
fn a_durable_session_loses_the_right_that_is_withdrawn_2021_34434() {
    let acl = File::new("withdrawn", "user ann\ntopic #\nuser bob\ntopic write #\n");
    let users = File::new("withdrawn-users", &(user("ann", "pw") + &user("bob", "pw")));
    let options = users.line("password_file") + &acl.line("acl_file");
    let broker = Broker::start(&options);
    let (mut ann, _) = resume(broker.port, "ann", "ann");
    ann.subscribe("secret", QoS::AtLeastOnce);
    ann.subscribe("open", QoS::AtLeastOnce);
    leave(ann);
    let mut bob = connect(broker.port, "bob", "bob", "pw");
    bob.publish_and_wait("secret", b"queued before");
    acl.write("user ann\ntopic open\nuser bob\ntopic write #\ntopic deny done\n");
    broker.signal(HUP);
    wait_until("the rules are the new ones", || {
        bob.publish("done", b"", QoS::AtLeastOnce, 1);
        matches!(bob.receive(), Received::Refused(..))
    });
    bob.publish_and_wait("secret", b"queued after");
    bob.publish_and_wait("open", b"1");
    let (mut ann, was_there) = resume(broker.port, "ann", "ann");
    assert!(was_there);
    assert_eq!(ann.message(), ("open".to_owned(), b"1".to_vec()));
    bob.publish_and_wait("secret", b"live");
    ann.expect_alive();
}
