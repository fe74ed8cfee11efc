//! `sori serve` from outside: what it says when it starts, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use super::broker::unused_port;
use super::{result, sori};

/// A directory of one test, removed with it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("sori-serve-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("can be made");
        Directory(path)
    }

    /// A file in it with these lines; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("can be written");
        path.to_str().expect("is text").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A broker that is running, and what it said until then on standard error.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<ChildStderr>,
    pub(crate) said: String,
}

impl Running {
    /// Waits for this text on standard error.
    pub(crate) fn start(mut command: Command, last_words: &str) -> Running {
        let mut child = command.spawn().expect("starts");
        let lines = BufReader::new(child.stderr.take().expect("is a pipe"));
        let mut running = Running { child, lines, said: String::new() };
        running.wait_for(last_words);
        running
    }

    /// Waits for this text in what it says from now on.
    pub(crate) fn wait_for(&mut self, words: &str) {
        let before = self.said.len();
        while !self.said[before..].contains(words) {
            let count = self.lines.read_line(&mut self.said).expect("is text");
            assert!(count > 0, "{words:?} was not said before the end:\n{}", self.said);
        }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; its exit code, and the rest of what it says.
    pub(crate) fn end(self, signal: &str) -> (Option<i32>, String) {
        signal_to(self.child.id(), signal);
        self.wait()
    }

    /// Its end: its exit code, and the rest of what it says.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("is text");
        (self.child.wait().expect("ends").code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal_to(process: u32, signal: &str) {
    let sent = Command::new("kill").args([format!("-{signal}"), process.to_string()]).status().expect("kill is there");
    assert!(sent.success());
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_says_where_it_listens_and_what_to_try_and_that_works() {
    let port = unused_port();
    let running = Running::start(sori("serve -p {port}", port), "sori pub");
    assert!(
        running.said.contains(&format!("listens on 127.0.0.1:{port}, [::1]:{port}, for clients on this machine only."))
    );
    assert!(
        running
            .said
            .contains(&format!("\n  sori sub -p {port} -t 'home/#' -v\n  sori pub -p {port} -t home/temp -m 21\n"))
    );

    let subscriber = sori("sub -p {port} -t home/# -v -C 1", port).spawn().expect("starts");
    // Whichever is first: a retained message is there for the other.
    let (status, _, err) = result(&sori("pub -p {port} -t home/temp -m 21 -q 1 -r", port).output().expect("starts"));
    assert_eq!((status, err.as_str()), (0, ""));
    let output = subscriber.wait_with_output().expect("ends");
    assert_eq!(result(&output), (0, "home/temp 21\n".to_owned(), String::new()));
    assert_eq!(running.end("TERM").0, Some(0));
}

#[test]
fn sigterm_and_ctrl_c_end_it_well() {
    for signal in ["TERM", "INT"] {
        let port = unused_port();
        let running = Running::start(sori("serve -p {port} -v", port), " running\n");
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        // A connection that nobody has accepted yet would be reset.
        client.write_all(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a").expect("it is taken");
        client.read_exact(&mut [0; 4]).expect("CONNACK");
        let (status, rest) = running.end(signal);
        assert_eq!(status, Some(0), "{rest}");
        assert!(rest.contains(" terminating\n"), "{rest}");
        assert_eq!(client.read(&mut [0; 10]).expect("the end"), 0);
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "the port is free");
    }
}

#[test]
fn a_taken_port_is_one_clear_line_and_exit_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let (status, _, err) = result(&sori("serve -q -p {port}", port).output().expect("starts"));
    let expected = format!(
        "Error: Address already in use: 127.0.0.1:{port}. Is another broker running? Choose another port with -p.\n"
    );
    assert_eq!((status, err), (1, expected));
}

#[test]
fn bad_options_and_files_are_one_clear_line_and_exit_status_3() {
    let directory = Directory::new("bad");
    let bad = directory.file("bad.conf", "listener 1883\nmax_qos 9\n");
    for (words, text) in [
        ("serve --no-such-option".to_owned(), "Error: Unknown option '--no-such-option'."),
        ("serve -p 70000".to_owned(), "Error: Invalid port specified (70000)."),
        ("serve -c /no/such/file".to_owned(), "Error: Unable to open config file '/no/such/file'."),
        (format!("serve -c {bad}"), ":2:9: Error: 'max_qos' must be between 0 and 2 inclusive."),
        (format!("serve --test-config -c {bad}"), ":2:9: Error: 'max_qos' must be between 0 and 2 inclusive."),
    ] {
        let (status, out, err) = result(&sori(&words, 0).output().expect("starts"));
        assert_eq!((status, out.as_str()), (3, ""), "{words}: {err}");
        assert_eq!(err.matches("Error").count(), 1, "{err}");
        assert!(err.contains(text), "{words}: {err}");
    }
    let port = unused_port();
    let good = directory.file("good.conf", &format!("listener {port} 127.0.0.1\n"));
    let output = sori(&format!("serve --test-config -c {good}"), 0).output().expect("starts");
    assert_eq!(result(&output), (0, String::new(), "Configuration file is OK.\n".to_owned()));
}

#[test]
fn a_daemon_listens_when_its_command_has_ended() {
    let directory = Directory::new("daemon");
    let port = unused_port();
    let (pid_file, log) = (directory.0.join("pid"), directory.0.join("log"));
    let config = directory.file(
        "daemon.conf",
        &format!("listener {port} 127.0.0.1\npid_file {}\nlog_dest file {}\n", pid_file.display(), log.display()),
    );
    let output = sori(&format!("serve -d -c {config}"), 0).output().expect("starts");
    assert_eq!(result(&output).0, 0, "{}", result(&output).2);
    let pid: u32 = fs::read_to_string(&pid_file).expect("was written").trim().parse().expect("is a number");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "it listens");
    signal_to(pid, "TERM");
    wait_until("the pid file is removed", || !pid_file.exists());
    wait_until("the log is whole", || fs::read_to_string(&log).is_ok_and(|log| log.contains(" terminating\n")));
}

#[test]
fn under_the_name_mosquitto_it_is_the_broker() {
    let directory = Directory::new("mosquitto");
    let name = directory.0.join("mosquitto");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sori"), &name).expect("can be made");
    let port = unused_port();
    let mut command = Command::new(&name);
    command.args(["-p", &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let running = Running::start(command, " running\n");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert_eq!(running.end("INT").0, Some(0));
}
