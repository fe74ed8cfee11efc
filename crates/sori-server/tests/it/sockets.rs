//! Sockets that systemd has opened, and listeners of one network interface.

use super::broker::{Broker, command, command_with_socket, free_port, wait_until};
use super::client::{Client, hello};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A directory for a configuration, removed with the case.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("sori-sockets-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("can be made");
        Directory(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A broker with this listener, which is given this socket.
    fn start(&self, listener: &str, socket: OwnedFd) -> Child {
        let (file, log) = (self.path("broker.conf"), self.path("log"));
        let text = format!("{listener}\nallow_anonymous true\nlog_dest file {}\n", log.display());
        std::fs::write(&file, text).expect("can be written");
        let mut command = command_with_socket(&["-c", file.to_str().expect("is text")], socket);
        command.current_dir(&self.0).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("sh is there");
        wait_until("it runs", || self.log().contains(" running\n"));
        child
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn stop(mut child: Child) -> Option<i32> {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("is small")), Signal::SIGTERM).expect("it runs");
    child.wait().expect("ends").code()
}

#[test]
fn a_port_that_systemd_has_opened_is_taken_and_not_opened_again() {
    let directory = Directory::new("tcp");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("it is bound").port();
    // It waits for the broker, which is what systemd opens sockets for.
    let early = std::thread::spawn(move || Client::connect(port, "early"));
    let child = directory.start(&format!("listener {port} 127.0.0.1"), socket.into());
    early.join().expect("it is let in").expect_alive();
    Client::connect(port, "late").expect_alive();
    let log = directory.log();
    assert!(!log.contains("Opening ipv4 listen socket"), "{log}");
    assert_eq!(stop(child), Some(0));
}

#[test]
fn a_unix_socket_of_systemd_stays_when_the_broker_goes() {
    let directory = Directory::new("unix");
    let path = directory.path("mqtt.sock");
    let socket = UnixListener::bind(&path).expect("is free");
    let child = directory.start(&format!("listener 0 {}", path.display()), socket.into());
    assert_eq!(connack(&path), 0x20);
    assert_eq!(stop(child), Some(0));
    assert!(path.exists(), "systemd looks after it");
}

/// The first byte that the broker answers to CONNECT.
fn connack(path: &Path) -> u8 {
    let mut stream = UnixStream::connect(path).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let mut bytes = Vec::new();
    hello("client").encode(&mut bytes);
    stream.write_all(&bytes).expect("is open");
    let mut first = [0];
    stream.read_exact(&mut first).expect("an answer");
    first[0]
}

#[test]
fn a_socket_that_no_listener_wants_is_told_of() {
    let directory = Directory::new("unwanted");
    let (socket, port) = (TcpListener::bind("127.0.0.1:0").expect("a free port"), free_port());
    let child = directory.start(&format!("listener {port} 127.0.0.1"), socket.into());
    let log = directory.log();
    assert!(log.contains("No listener wants the socket at 127.0.0.1:"), "{log}");
    Client::connect(port, "a").expect_alive();
    assert_eq!(stop(child), Some(0));
}

#[test]
fn a_listener_of_one_interface_takes_connections_by_it() {
    let port = free_port();
    let broker = Broker::start(&format!("listener {port} 127.0.0.1\nbind_interface lo\nallow_anonymous true"));
    Client::connect(port, "a").expect_alive();
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn an_interface_that_is_not_there_ends_the_start() {
    let (directory, port) = (Directory::new("interface"), free_port());
    let file = directory.path("broker.conf");
    let lines = format!("listener {port} 127.0.0.1\nbind_interface no-such-if\n");
    std::fs::write(&file, lines).expect("can be written");
    let output = command(&["-c", file.to_str().expect("is text")]).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("interface no-such-if"), "{said}");
}
