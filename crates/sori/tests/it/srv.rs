//! `-S`: servers that the DNS names, with a name server of the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use sori_mqtt::{PacketType, QoS, ReasonCode};

use crate::broker::{Broker, unused_port};
use crate::clients::Links;
use crate::{result, sori};

/// Priority, weight, port, target.
pub(crate) type Srv = (u16, u16, u16, &'static str);

/// A name server that knows one name.
pub(crate) struct NameServer {
    address: SocketAddr,
    /// What it was asked, and whether by TCP.
    questions: Receiver<(String, bool)>,
}

impl NameServer {
    /// `cuts`: by UDP it only says that there is more.
    pub(crate) fn new(name: &'static str, records: Vec<Srv>, cuts: bool) -> NameServer {
        // The same port of both kinds; somebody else may have the second one.
        let (udp, tcp) = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").expect("a free port"))
            .find_map(|udp| {
                let tcp = TcpListener::bind(udp.local_addr().expect("is bound")).ok()?;
                Some((udp, tcp))
            })
            .expect("there are many");
        let address = udp.local_addr().expect("is bound");
        let (sender, questions) = channel();
        let (by_tcp, all) = (sender.clone(), records.clone());
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((count, from)) = udp.recv_from(&mut buffer) {
                let question = &buffer[..count];
                // Nobody listens any more when the test is over.
                let _ = sender.send((name_in(question), false));
                // Noise of others is not taken for the answer.
                let _ = udp.send_to(b"noise", from);
                let _ = udp.send_to(&answer(question, name, &records, cuts), from);
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.expect("a connection");
                let mut length = [0; 2];
                stream.read_exact(&mut length).expect("a length");
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut question).expect("a question");
                let _ = by_tcp.send((name_in(&question), true));
                let answer = answer(&question, name, &all, false);
                stream.write_all(&(answer.len() as u16).to_be_bytes()).expect("is open");
                // In two pieces, as a network may do it.
                let (first, rest) = answer.split_at(answer.len() / 2);
                stream.write_all(first).expect("is open");
                stream.write_all(rest).expect("is open");
            }
        });
        NameServer { address, questions }
    }

    pub(crate) fn asked(&self) -> (String, bool) {
        self.questions.recv().expect("a question")
    }

    pub(crate) fn sori(&self, words: &str) -> Command {
        let mut command = sori(words, 0);
        command.env("SORI_NAME_SERVER", self.address.to_string());
        command
    }
}

/// Labels behind their lengths, up to the empty one. RFC 1035 section 3.1
fn name_in(question: &[u8]) -> String {
    let mut labels = Vec::new();
    let mut rest = &question[12..];
    while let Some((&length, behind)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let (label, behind) = behind.split_at(usize::from(length));
        labels.push(String::from_utf8(label.to_vec()).expect("is text"));
        rest = behind;
    }
    labels.join(".")
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// RFC 1035 section 4.1: the header, the question, and records whose names point to the question's.
fn answer(question: &[u8], name: &str, records: &[Srv], cuts: bool) -> Vec<u8> {
    let is_known = name_in(question) == name;
    let records = if is_known && !cuts { records } else { &[] };
    let flags: u16 = match (is_known, cuts) {
        (true, false) => 0x8180,
        (true, true) => 0x8380,
        (false, _) => 0x8183,
    };
    let mut bytes = question[..2].to_vec();
    for number in [flags, 1, records.len() as u16, 0, 0] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&question[12..]);
    for (priority, weight, port, target) in records {
        let target = labels(target);
        bytes.extend_from_slice(b"\xC0\x0C\0\x21\0\x01\0\0\0\x3C");
        bytes.extend_from_slice(&(6 + target.len() as u16).to_be_bytes());
        for number in [priority, weight, port] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&target);
    }
    bytes
}

const PLAIN: &str = "_mqtt._tcp.example.test";

#[test]
fn the_first_server_that_answers_is_taken_by_priority() {
    let (broker, never, links) = (Broker::new(), Broker::new(), Links::new("srv"));
    let records =
        vec![(30, 0, never.port, "127.0.0.1"), (20, 5, broker.port, "localhost"), (10, 0, unused_port(), "127.0.0.1")];
    let dns = NameServer::new(PLAIN, records, false);
    let of_mosquitto = |words: &str| {
        let mut command = Command::new(links.path("mosquitto_pub"));
        command.args(words.split(' ')).env("SORI_NAME_SERVER", dns.address.to_string());
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        command
    };
    for mut command in [
        dns.sori("pub -S -h example.test -t a -m hi -q 1"),
        dns.sori("pub --srv -h example.test. -t a -m hi -q 1"),
        of_mosquitto("-S -h example.test -t a -m hi -q 1"),
        // The port is of no account.
        of_mosquitto("-h example.test -p 1 -S -t a -m hi -q 1"),
    ] {
        let child = command.spawn().expect("starts");
        let mut peer = broker.connected();
        assert_eq!(peer.publish(), (QoS::AtLeastOnce, "a".into(), "hi".into()));
        peer.acknowledge(PacketType::PubAck, 1, ReasonCode::Success);
        peer.expect_goodbye();
        assert_eq!(result(&child.wait_with_output().expect("ends")), (0, String::new(), String::new()));
        assert_eq!(dns.asked(), (PLAIN.to_owned(), false));
    }
}

#[test]
fn an_answer_that_is_too_large_for_udp_comes_by_tcp() {
    let broker = Broker::new();
    let dns = NameServer::new(PLAIN, vec![(0, 0, broker.port, "127.0.0.1")], true);
    let child = dns.sori("sub -S -h example.test -t a -C 1").spawn().expect("starts");
    let mut peer = broker.subscribed();
    peer.message("a", b"hi");
    peer.expect_goodbye();
    assert_eq!(result(&child.wait_with_output().expect("ends")), (0, "hi\n".to_owned(), String::new()));
    assert_eq!([dns.asked(), dns.asked()], [(PLAIN.to_owned(), false), (PLAIN.to_owned(), true)]);
}

#[test]
fn what_the_dns_does_not_know_is_told() {
    let dead = unused_port();
    for (records, words, expected) in [
        (
            vec![(0, 0, 1, "127.0.0.1")],
            "pub -S -h other.test -t a -m b",
            "cannot find the host \"_mqtt._tcp.other.test\": the DNS names no server for it (SRV); without -S the host"
                .to_owned(),
        ),
        (
            // RFC 2782: there is no such service.
            vec![(0, 0, 0, "")],
            "pub -S -h example.test -t a -m b",
            "cannot find the host \"_mqtt._tcp.example.test\": the DNS names no server for it (SRV)".to_owned(),
        ),
        (
            vec![(0, 0, dead, "127.0.0.1")],
            "rr -S -h example.test -t a -e b -m c",
            format!("connection refused by 127.0.0.1:{dead}"),
        ),
    ] {
        let dns = NameServer::new(PLAIN, records, false);
        let (status, _, err) = result(&dns.sori(words).output().expect("starts"));
        assert_eq!(status, 1, "{err}");
        assert!(err.contains(&expected), "{err}");
    }
    let (status, _, err) =
        result(&sori("pub -S -h example.test -t a -m b", 0).env("SORI_NAME_SERVER", "here").output().expect("starts"));
    assert_eq!(status, 1);
    assert!(err.contains("SORI_NAME_SERVER names no address and port"), "{err}");
    // Nobody is there to ask.
    let links = Links::new("srv-dead");
    let mosquitto = &mut Command::new(links.path("mosquitto_pub"));
    mosquitto.args(["-S", "-h", "example.test", "-t", "a", "-m", "b"]);
    for command in [&mut sori("pub -S -h example.test -t a -m b", 0), mosquitto] {
        let (status, _, err) =
            result(&command.env("SORI_NAME_SERVER", format!("127.0.0.1:{dead}")).output().expect("runs"));
        assert_eq!(status, 1, "{err}");
        let advice =
            "is that the right name server (/etc/resolv.conf, or SORI_NAME_SERVER=ADDRESS:PORT in the environment)";
        assert!(err.contains(&format!("name server 127.0.0.1:{dead}: ")) && err.contains(advice), "{err}");
    }
    let (status, _, _) = result(&sori("pub -S -h example.test -p 1 -t a -m b", 0).output().expect("starts"));
    assert_eq!(status, 2, "the DNS says which port");
}
