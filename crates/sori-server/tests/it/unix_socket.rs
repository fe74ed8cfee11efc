//! A listener on a Unix socket.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use sori_mqtt::PINGREQ;

use super::broker::{Broker, command, free_port};
use super::client::hello;

fn socket_path() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("sori-test-{}.sock", free_port()))
}

#[test]
fn clients_come_by_a_unix_socket_which_is_removed_at_the_end() {
    let path = socket_path();
    // A broker that was killed has left it behind.
    drop(UnixListener::bind(&path).expect("is free"));
    let broker = Broker::start(&format!("listener 0 {}\nallow_anonymous true", path.display()));
    let mut stream = UnixStream::connect(&path).expect("the broker listens");
    let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o770, "the broker's group may connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let mut bytes = Vec::new();
    hello("client").encode(&mut bytes);
    bytes.extend_from_slice(&PINGREQ);
    stream.write_all(&bytes).expect("is open");
    let mut answers = Vec::new();
    while !answers.ends_with(&[0xD0, 0]) {
        let mut buffer = [0; 100];
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(count > 0, "{answers:?}");
        answers.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(answers[0], 0x20);
    assert_eq!(broker.stop(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_not_replaced() {
    let path = socket_path();
    std::fs::write(&path, "precious").expect("can be written");
    let file = path.with_extension("conf");
    std::fs::write(&file, format!("listener 0 {}\n", path.display())).expect("can be written");
    let output = command(&["-c", file.to_str().expect("is text")]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).expect("is there"), "precious");
    for path in [path, file] {
        std::fs::remove_file(path).expect("is there");
    }
}
