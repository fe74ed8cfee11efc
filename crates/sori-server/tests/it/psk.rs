//! Listeners whose clients have keys instead of certificates, and who these clients are.

use super::broker::{Broker, free_port};
use super::client::{Client, Received, hello};
use sori_mqtt::Connect;
use sori_net::tls::PskClientOptions;
use sori_net::{TlsClient, Transport};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const ANN: &str = "ann:00112233445566778899aabbccddeeff\n";
const BOB: &str = "bob:ffeeddccbbaa99887766554433221100\n";

/// A file of keys, which goes with the test.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(lines: &str) -> KeyFile {
        let file = KeyFile(std::env::temp_dir().join(format!("sori-psk-{}-{}", std::process::id(), free_port())));
        file.write(lines);
        file
    }

    /// As a whole: nobody sees half of it.
    fn write(&self, lines: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, lines).expect("can be written");
        fs::rename(new, &self.0).expect("can be replaced");
    }

    /// The lines of a listener for whom the file has.
    fn listener(&self, port: u16, more: &str) -> String {
        format!("psk_file {}\nlistener {port} 127.0.0.1\npsk_hint a hint\n{more}\n", self.0.display())
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The key in a line of the file.
fn key(line: &str) -> Vec<u8> {
    let digits = line.trim_end().split_once(':').expect("a line").1;
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn transport(identity: &str, key: Vec<u8>) -> Transport {
    let options = PskClientOptions { identity: identity.to_owned(), key, ..PskClientOptions::default() };
    let tls = TlsClient::with_key(&options).expect("good options");
    Transport::plain().tls_client(&tls, "localhost").expect("a client")
}

fn open(port: u16, identity: &str, line: &str) -> Result<Client, String> {
    Client::open_by(port, transport(identity, key(line)))
}

#[track_caller]
fn connect(port: u16, identity: &str, line: &str) -> Client {
    let mut client = open(port, identity, line).expect("a handshake");
    assert_eq!(client.hello(&hello(identity)), 0);
    client
}

#[test]
fn use_identity_as_username() {
    let (keys, port) = (KeyFile::new(&format!("# who\n{ANN}{BOB}")), free_port());
    let options = "listener_allow_anonymous false\nuse_identity_as_username true";
    let broker = Broker::start(&keys.listener(port, options));
    let mut ann = open(port, "ann", ANN).expect("a handshake");
    // What it says of itself does not count.
    let lie = Connect { user_name: Some("admin"), password: Some(b"x"), ..hello("a") };
    assert_eq!(ann.hello(&lie), 0);
    broker.wait_for_log(", u'ann')");
    let refused = open(port, "ann", BOB).err().expect("another key");
    assert_eq!(refused, "the server has another key for this identity (bad_record_mac)");
    broker.wait_for_log("disconnected: the client has another key than the one of the identity \"ann\"");
    let refused = open(port, "eve", ANN).err().expect("nobody");
    assert_eq!(refused, "the server has no key for this identity (unknown_psk_identity)");
    broker.wait_for_log("disconnected: there is no key for the identity \"eve\"");
    ann.expect_alive();
    let log = broker.log().to_lowercase();
    assert!(!log.contains("0011223344") && !log.contains("[0, 17,"), "no key is in the log: {log}");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn without_that_a_key_opens_the_door_and_the_name_is_the_clients_own() {
    let (keys, port) = (KeyFile::new(ANN), free_port());
    let broker = Broker::start(&keys.listener(port, "listener_allow_anonymous false"));
    let mut nameless = open(port, "ann", ANN).expect("a handshake");
    // Mosquitto's code for who is not let in.
    assert_eq!(nameless.hello(&hello("a")), 0x87);
    broker.rewrite(&keys.listener(port, "listener_allow_anonymous true"));
    broker.signal(nix::libc::SIGHUP);
    broker.wait_for_log("The configuration was reloaded");
    let mut named = open(port, "ann", ANN).expect("a handshake");
    assert_eq!(named.hello(&Connect { user_name: Some("carl"), ..hello("a") }), 0);
    broker.wait_for_log("u'carl'");
}

#[test]
fn who_has_no_key_is_told_so_in_the_log() {
    let (keys, port) = (KeyFile::new(ANN), free_port());
    let broker = Broker::start(&keys.listener(port, ""));
    let mut plain = Client::open(port);
    plain.say(|out| hello("a").encode(out));
    broker.wait_for_log("disconnected: wrong version number");
    assert!(matches!(plain.receive(), Received::End));
    let options = sori_net::TlsClientOptions { roots: sori_net::tls::ServerRoots::Anybody, ..Default::default() };
    let tls = TlsClient::load(&options).expect("no files");
    let certificates = Transport::plain().tls_client(&tls, "localhost").expect("a name");
    assert!(Client::open_by(port, certificates).is_err());
    broker.wait_for_log("disconnected: the client offers no cipher suite with a pre-shared key that is spoken here");
    connect(port, "ann", ANN).expect_alive();
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_key_that_is_gone_or_another_ends_the_connection_and_a_bad_file_changes_nothing() {
    let (keys, port) = (KeyFile::new(&format!("{ANN}{BOB}")), free_port());
    let broker = Broker::start(&keys.listener(port, ""));
    let (mut ann, mut bob) = (connect(port, "ann", ANN), connect(port, "bob", BOB));
    keys.write("ann:0x00\n");
    broker.wait_for_log(":1:6: Error: Invalid line in psk_file");
    broker.wait_for_log("The configuration was not changed.");
    // It changes on disk, without a signal.
    keys.write(&format!("{BOB}eve:11\n"));
    assert_eq!(ann.receive(), Received::Disconnect(0x87));
    broker.wait_for_log("what let this client in has been taken back");
    assert!(open(port, "ann", ANN).is_err());
    connect(port, "eve", "eve:11").expect_alive();
    bob.expect_alive();
    // And by a signal; the line is there with another key.
    keys.write("bob:22\n");
    broker.signal(nix::libc::SIGHUP);
    assert_eq!(bob.receive(), Received::Disconnect(0x87));
    connect(port, "bob", "bob:22").expect_alive();
    // A listener that asks for no key any more.
    let mut bob = connect(port, "bob", "bob:22");
    broker.rewrite(&format!("listener {port} 127.0.0.1\n"));
    broker.signal(nix::libc::SIGHUP);
    assert_eq!(bob.receive(), Received::Disconnect(0x87));
}

/// Its handshake goes on with the keys that it began with, and then these are looked at again.
#[test]
fn a_key_that_goes_during_the_handshake_lets_nobody_in() {
    let (keys, port) = (KeyFile::new(ANN), free_port());
    let broker = Broker::start(&keys.listener(port, ""));
    let mut transport = transport("ann", key(ANN));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    let say = |transport: &mut Transport, mut stream: &TcpStream| {
        stream.write_all(transport.output()).expect("is open");
        transport.sent(transport.output().len());
    };
    let hear = |transport: &mut Transport, mut stream: &TcpStream| {
        let mut wire = [0; 4096];
        let count = stream.read(&mut wire).expect("is open");
        transport.receive(&mut wire[..count], &mut Vec::new()).expect("the server's words");
        count
    };
    // RFC 5246 section 7.3: what the client says next has its identity and all the rest of its handshake.
    say(&mut transport, &stream);
    while transport.output().is_empty() {
        hear(&mut transport, &stream);
    }
    keys.write(BOB);
    broker.wait_for_log("The configuration was reloaded");
    say(&mut transport, &stream);
    while !transport.is_open() {
        hear(&mut transport, &stream);
    }
    let mut connect = Vec::new();
    hello("a").encode(&mut connect);
    transport.send(&connect);
    // The broker may have closed it already.
    let _ = stream.write_all(transport.output());
    let mut plain = Vec::new();
    let mut wire = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut wire) {
        transport.receive(&mut wire[..count], &mut plain).expect("a good-bye");
    }
    assert!(plain.is_empty(), "no CONNACK: {plain:?}");
    assert!(!broker.log().contains("New client connected"), "{}", broker.log());
}

/// Runs a program of others until it ends.
fn run(program: &str, words: &[&str]) -> Output {
    Command::new(program).args(words).stdin(Stdio::null()).output().expect("Debian has it")
}

#[test]
fn debians_mosquitto_pub_and_mosquitto_sub() {
    let (keys, port) = (KeyFile::new(&format!("{ANN}{BOB}")), free_port());
    let broker = Broker::start(&keys.listener(port, "use_identity_as_username true"));
    let port = port.to_string();
    let to = |identity, line: &'static str| {
        let digits = line.trim_end().split_once(':').expect("a line").1;
        ["-h", "127.0.0.1", "-p", &port, "-t", "topic/psk", "--psk", digits, "--psk-identity", identity]
    };
    let said = run("mosquitto_pub", &[&to("ann", ANN)[..], &["-m", "a message", "-q", "1", "-r"]].concat());
    assert!(said.status.success(), "{said:?}");
    broker.wait_for_log("u'ann')");
    let said = run("mosquitto_sub", &[&to("bob", BOB)[..], &["-C", "1", "--ciphers", "PSK-AES128-CBC-SHA"]].concat());
    assert_eq!(String::from_utf8_lossy(&said.stdout), "a message\n");
    for (who, line, why) in [("eve", ANN, "no key for the identity \"eve\""), ("ann", BOB, "has another key than")] {
        let said = run("mosquitto_pub", &[&to(who, line)[..], &["-m", "x"]].concat());
        assert!(!said.status.success());
        broker.wait_for_log(why);
    }
}

/// A session that were taken up again would ask for no key.
#[test]
fn openssls_client_is_told_the_hint_and_shows_its_key_each_time() {
    let (keys, port) = (KeyFile::new(ANN), free_port());
    let _broker = Broker::start(&keys.listener(port, ""));
    let address = format!("127.0.0.1:{port}");
    let digits = ANN.trim_end().split_once(':').expect("a line").1;
    let words = ["s_client", "-connect", &address, "-psk_identity", "ann", "-psk", digits, "-tls1_2", "-reconnect"];
    let said = run("openssl", &words);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("PSK identity hint: a hint") && said.contains("PSK identity: ann"), "{said}");
    assert_eq!((said.matches("New, TLSv1.2").count(), said.matches("Reused").count()), (6, 0), "{said}");
}
