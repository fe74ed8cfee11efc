//! Listeners with `protocol http_api`: figures, files, who may see them, and what visitors cannot do.

use super::broker::{Broker, command, free_port, wait_until};
use super::certificates::Ca;
use super::client::Client;
use sori_net::tls::ServerRoots;
use sori_net::{TlsClient, TlsClientOptions, Transport};
use sori_server::passwords::{Hashed, Scheme};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const HUP: i32 = 1;

/// A directory that goes with the case.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("sori-http-api-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("site")).expect("can be made");
        Directory(path)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, contents).expect("can be written");
        path
    }

    fn http_dir(&self) -> String {
        format!("http_dir {}\n", self.0.join("site").display())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn listener(port: u16, more: &str) -> String {
    format!("listener {port} 127.0.0.1\nprotocol http_api\n{more}\n")
}

fn open(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    stream
}

/// All that comes in answer to these bytes, until the broker closes the connection.
fn exchange(mut stream: impl Read + Write, bytes: &[u8]) -> String {
    stream.write_all(bytes).expect("is open");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("is closed in the end");
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}

fn get(port: u16, path: &str) -> String {
    exchange(open(port), &request("GET", path, ""))
}

fn get_as(port: u16, path: &str, credentials: &str) -> String {
    exchange(open(port), &request("GET", path, &format!("Authorization: Basic {credentials}\r\n")))
}

fn status(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[test]
fn the_broker_tells_its_version_listeners_and_figures() {
    let port = free_port();
    let broker = Broker::start(&listener(port, ""));
    let version = get(port, "/api/v1/version");
    assert_eq!((status(&version), body(&version)), (200, sori_server::VERSION));
    assert!(version.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{version}");
    let listeners = get(port, "/api/v1/listeners");
    let expected = format!(
        "{{\"listeners\":[{{\"allow_anonymous\":true,\"mtls\":false,\"port\":{},\"protocol\":\"mqtt\",\"tls\":false}},\
         {{\"allow_anonymous\":true,\"mtls\":false,\"port\":{port},\"protocol\":\"httpapi\",\"tls\":false}}]}}",
        broker.port
    );
    assert_eq!(body(&listeners), expected);
    assert!(listeners.contains("\r\nContent-Type: application/json\r\n"), "{listeners}");
    let _client = Client::connect(broker.port, "a");
    wait_until("a client is counted", || {
        let tree = get(port, "/api/v1/systree");
        body(&tree).contains("\"$SYS/broker/clients/connected\":1,") && body(&tree).contains("\"$SYS/broker/uptime\":")
    });
    for (path, expected) in [("/api/v1/none", 404), ("/API/v1/version", 404), ("/", 404), ("/index.html", 404)] {
        assert_eq!(status(&get(port, path)), expected, "{path}");
    }
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn files_are_served_and_none_from_outside() {
    let (directory, port) = (Directory::new(), free_port());
    let large: Vec<u8> = (0..3_000_000u32).map(|at| at.to_le_bytes()[0].max(1) & 0x7F).collect();
    directory.write("site/index.html", "<p>hello</p>");
    directory.write("site/large.bin", &large);
    directory.write("secret", "secret");
    std::os::unix::fs::symlink("../secret", directory.0.join("site/link")).expect("can be made");
    let _broker = Broker::start(&listener(port, &directory.http_dir()));
    let index = get(port, "/");
    assert_eq!((status(&index), body(&index)), (200, "<p>hello</p>"));
    assert!(index.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{index}");
    assert!(body(&get(port, "/large.bin")).as_bytes() == large);
    for path in [
        "/../secret",
        "../../../etc/passwd",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "//etc/passwd",
        "/link",
        "/site",
        "/.",
        "/index.html%00.txt",
        "*",
    ] {
        let answer = get(port, path);
        assert_eq!((status(&answer), body(&answer)), (404, "Not found.\n"), "{path}");
    }
}

#[test]
fn head_has_no_body_and_other_methods_are_not_there() {
    let (directory, port) = (Directory::new(), free_port());
    directory.write("site/index.html", "12345");
    let _broker = Broker::start(&listener(port, &directory.http_dir()));
    let head = exchange(open(port), &request("HEAD", "/index.html", ""));
    assert_eq!((status(&head), body(&head)), (200, ""));
    assert!(head.contains("\r\nContent-Length: 5\r\n"), "{head}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get"] {
        // The request after it is never looked at: nobody knows where this one ends.
        let bytes = [request(method, "/index.html", "Content-Length: 5\r\n"), request("GET", "/", "")].concat();
        let answer = exchange(open(port), &bytes);
        assert_eq!((status(&answer), body(&answer)), (405, "Invalid HTTP Method\n"), "{method}");
        assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"));
    }
}

#[test]
fn a_connection_has_one_answer_wherever_its_request_is_cut() {
    let port = free_port();
    let _broker = Broker::start(&listener(port, ""));
    let bytes = request("GET", "/api/v1/version", "Connection: keep-alive\r\n");
    let twice = exchange(open(port), &bytes.repeat(2));
    assert_eq!(twice.matches("HTTP/1.1 200 OK\r\n").count(), 1);
    assert!(twice.contains("\r\nConnection: close\r\n"));
    let mut stream = open(port);
    stream.set_nodelay(true).expect("an option");
    for piece in bytes.chunks(7) {
        stream.write_all(piece).expect("is open");
    }
    assert_eq!(body(&exchange(stream, b"")), sori_server::VERSION);
}

#[test]
fn what_is_no_request_is_told_so_and_closed() {
    let port = free_port();
    let broker = Broker::start(&listener(port, ""));
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000));
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"\x10\x0c\0\x04MQTT\x04\0\0\0\0\0\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (long.as_bytes(), 431),
        (&vec![b'x'; 100_000], 431),
    ] {
        assert_eq!(status(&exchange(open(port), bytes)), expected, "{:?}", bytes.get(..40));
    }
    // Bytes that come after the answer do not take it away.
    assert_eq!(status(&exchange(open(port), &[b"BAD\r\n\r\n".as_slice(), &vec![0; 300_000]].concat())), 400);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn users_are_those_of_the_broker_and_rules_are_about_the_path() {
    let (directory, port) = (Directory::new(), free_port());
    directory.write("site/a.txt", "a");
    directory.write("site/b.txt", "b");
    let hashed = |name: &str, password: &str| {
        let hashed = Hashed::of_password(Scheme::Pbkdf2 { iterations: 101 }, password.as_bytes());
        format!("{name}:{}\n", hashed.expect("random numbers"))
    };
    let users = directory.write("users", [hashed("ann", "pw:1"), hashed("bob", "pw2")].concat());
    let rules = directory.write("rules", "user ann\ntopic read /#\nuser bob\ntopic read /a.txt\ntopic write /b.txt\n");
    let files = format!("password_file {}\nacl_file {}\n", users.display(), rules.display());
    let options = listener(port, &format!("{}{files}listener_allow_anonymous false", directory.http_dir()));
    let broker = Broker::start(&options);
    let (ann, bob, wrong) = ("YW5uOnB3OjE=", "Ym9iOnB3Mg==", "YW5uOng=");
    for (path, credentials, expected) in [
        ("/a.txt", ann, 200),
        ("/api/v1/version", ann, 200),
        ("/a.txt", bob, 200),
        ("/%61.txt", bob, 200),
        ("/b.txt", bob, 401),
        ("/%62.txt", bob, 401),
        ("/api/v1/version", bob, 401),
        ("/a.txt", wrong, 401),
        ("/a.txt", "!", 401),
        ("/a.txt", "Og==", 401),
    ] {
        let answer = get_as(port, path, credentials);
        assert_eq!(status(&answer), expected, "{path} {credentials}: {answer}");
        if expected == 401 {
            assert_eq!(body(&answer), "Not authorised\n");
            assert!(answer.contains("\r\nWWW-Authenticate: Basic realm=\"sori\""), "{answer}");
        }
    }
    let nobody = get(port, "/a.txt");
    assert_eq!(status(&nobody), 401, "{nobody}");
    broker.wait_for_log("Client http-api may not be sent '/b.txt'");
    // With another password the old one opens nothing, for who came before as little.
    let before = open(port);
    directory.write("users", hashed("bob", "other"));
    broker.signal(HUP);
    broker.wait_for_log("The configuration was reloaded");
    let again = request("GET", "/a.txt", "Authorization: Basic Ym9iOnB3Mg==\r\n");
    assert_eq!(status(&exchange(before, &again)), 401);
    assert_eq!(status(&get_as(port, "/a.txt", bob)), 401);
}

#[test]
fn who_guesses_passwords_has_to_wait_here_too() {
    let (directory, port) = (Directory::new(), free_port());
    let hashed = Hashed::of_password(Scheme::Pbkdf2 { iterations: 101 }, b"right").expect("random numbers");
    let users = directory.write("users", format!("ann:{hashed}\n"));
    let broker = Broker::start(&listener(port, &format!("password_file {}", users.display())));
    for _ in 0..6 {
        assert_eq!(status(&get_as(port, "/api/v1/version", "YW5uOng=")), 401);
    }
    broker.wait_for_log("User 'ann' from 127.0.0.1 must wait");
}

fn over_tls(port: u16, tls: &TlsClient, bytes: &[u8]) -> Result<String, String> {
    let transport = Transport::plain().tls_client(tls, "localhost").expect("a name");
    let mut client = Client::open_by(port, transport)?;
    client.send(bytes);
    Ok(String::from_utf8_lossy(&client.rest()).into_owned())
}

#[test]
fn tls_and_certificates_are_as_on_any_listener() {
    let (ca, secure, mutual, bound) = (Ca::new(), free_port(), free_port(), Directory::new());
    let (certfile, keyfile) = ca.server();
    let rules = bound.write("rules", "topic read #\nuser device\ntopic read /api/v1/version\n");
    let files = format!("certfile {}\nkeyfile {}\n", certfile.display(), keyfile.display());
    let named = format!(
        "{files}cafile {}\nrequire_certificate true\nuse_identity_as_username true\nlistener_allow_anonymous false",
        ca.path("ca.pem").display()
    );
    let global = format!("acl_file {}\n", rules.display());
    let broker = Broker::start(&[global, listener(secure, &files), listener(mutual, &named)].concat());
    let roots = || ServerRoots::Files { cafile: Some(ca.path("ca.pem")), capath: None };
    let client = |certificate| {
        TlsClient::load(&TlsClientOptions { roots: roots(), certificate, ..TlsClientOptions::default() }).expect("good")
    };
    let version = request("GET", "/api/v1/version", "");
    let plain = over_tls(secure, &client(None), &version).expect("a handshake");
    assert_eq!((status(&plain), body(&plain)), (200, sori_server::VERSION));
    let listeners = over_tls(secure, &client(None), &request("GET", "/api/v1/listeners", "")).expect("a handshake");
    assert!(listeners.contains("\"mtls\":true") && listeners.contains("\"tls\":true"), "{listeners}");
    let device = client(Some(ca.client("device")));
    assert_eq!(status(&over_tls(mutual, &device, &version).expect("a handshake")), 200);
    let lie = request("GET", "/api/v1/listeners", "Authorization: Basic YW5uOnB3OjE=\r\n");
    assert_eq!(status(&over_tls(mutual, &device, &lie).expect("a handshake")), 401, "its certificate names it");
    let other = client(Some(ca.client("other")));
    assert_eq!(status(&over_tls(mutual, &other, &version).expect("a handshake")), 401);
    assert!(over_tls(mutual, &client(None), &version).map_or(true, |answer| answer.is_empty()));
    broker.wait_for_log("closed: peer sent no certificates");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_unix_socket_is_a_listener_too() {
    let directory = Directory::new();
    let path = directory.0.join("http.sock");
    let _broker = Broker::start(&format!("listener 0 {}\nprotocol http_api\n", path.display()));
    let stream = UnixStream::connect(&path).expect("it listens");
    let answer = exchange(stream, &request("GET", "/api/v1/listeners", ""));
    assert!(body(&answer).contains(&format!("\"path\":\"{}\",\"protocol\":\"httpapi\"", path.display())), "{answer}");
}

#[test]
fn who_is_slow_is_closed_and_keeps_nobody_waiting() {
    let port = free_port();
    let broker = Broker::start(&listener(port, "connect_timeout 1"));
    let mut trickling = open(port);
    let idle = open(port);
    let mut sent = 0;
    // One byte every now and then does not buy time.
    wait_until("it is closed", || {
        assert_eq!(status(&get(port, "/api/v1/version")), 200);
        sent += 1;
        trickling.write_all(b"G").is_err()
    });
    assert!(sent > 1);
    assert_eq!(exchange(idle, b""), "", "not a word, and closed");
    wait_until("nothing is left of them", || broker.open_files() < 40);
}

#[test]
fn who_does_not_take_its_answer_is_closed_and_who_takes_it_is_not() {
    let (directory, port) = (Directory::new(), free_port());
    // More than what the sockets on both sides hold.
    directory.write("site/large.bin", vec![b'x'; 64 << 20]);
    let options = format!("{}connect_timeout 1", directory.http_dir());
    let broker = Broker::start(&listener(port, &options));
    let before = broker.open_files();
    let mut held = open(port);
    held.write_all(&request("GET", "/large.bin", "")).expect("is open");
    wait_until("it is let in", || broker.open_files() > before);
    assert_eq!(body(&get(port, "/large.bin")).len(), 64 << 20);
    wait_until("it is closed", || broker.open_files() <= before);
    let mut rest = Vec::new();
    // Whether the end comes as an end or as a reset is the system's business.
    let _ = held.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20);
}

#[test]
fn connections_are_bounded_and_those_of_mqtt_are_not_among_them() {
    let port = free_port();
    let broker = Broker::start(&listener(port, ""));
    let mut held: Vec<TcpStream> = (0..256).map(|_| open(port)).collect();
    broker.wait_for_log(" running\n");
    let one_more = exchange(open(port), b"");
    assert_eq!(one_more, "", "closed at once");
    broker.wait_for_log("denied: 256 connections of HTTP are open.");
    let _client = Client::connect(broker.port, "a");
    let last = held.pop().expect("there are many");
    assert_eq!(status(&exchange(last, &request("GET", "/api/v1/version", ""))), 200, "each of them is served");
    drop(held);
    wait_until("there is room again", || {
        let (mut stream, mut answer) = (open(port), Vec::new());
        // Whoever is denied may find the connection gone before it has asked.
        let _ = stream.write_all(&request("GET", "/api/v1/version", ""));
        let _ = stream.read_to_end(&mut answer);
        status(&String::from_utf8_lossy(&answer)) == 200
    });
}

#[test]
fn a_reload_brings_and_takes_listeners_and_directories() {
    let (directory, port, other) = (Directory::new(), free_port(), free_port());
    directory.write("site/index.html", "one");
    fs::create_dir_all(directory.0.join("two")).expect("can be made");
    directory.write("two/index.html", "two");
    let broker = Broker::start("");
    let reload = |options: &str, count: usize| {
        broker.rewrite(options);
        broker.signal(HUP);
        wait_until("it is reloaded", || broker.log().matches("The configuration was").count() >= count);
    };
    reload(&listener(port, &directory.http_dir()), 1);
    assert_eq!(body(&get(port, "/")), "one");
    let two = format!("http_dir {}\n", directory.0.join("two").display());
    reload(&[listener(port, &two), listener(other, "")].concat(), 2);
    assert_eq!(body(&get(port, "/")), "two");
    assert!(body(&get(other, "/api/v1/listeners")).contains(&format!("\"port\":{other},")));
    let missing = format!("http_dir {}\n", directory.0.join("none").display());
    reload(&listener(port, &missing), 3);
    broker.wait_for_log("Unable to use http_dir ");
    assert_eq!(body(&get(port, "/")), "two", "a mistake changes nothing");
    reload("", 4);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_directory_that_is_not_there_stops_the_start() {
    let directory = Directory::new();
    let lines = listener(free_port(), &format!("http_dir {}/none", directory.0.display()));
    let file = directory.write("broker.conf", lines);
    let output = command(&["-c", file.to_str().expect("is text")]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("Unable to use http_dir \"") && text.contains("No such file"), "{text}");
    let checked = sori_server::check(&[file], &[]);
    assert!(checked.iter().any(|remark| remark.is_error() && remark.to_string().contains("http_dir")), "{checked:?}");
}
