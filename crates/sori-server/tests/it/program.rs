//! The program as a process: exit codes and what it prints. Each case starts this test program again, which then is
//! the broker.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid, getsid};
use sori_server::process::daemon;

use super::broker::{command, free_port, wait_until};

/// Runs the broker until it ends by itself.
fn run(arguments: &[&str]) -> (i32, String) {
    let output: Output = command(arguments).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), said)
}

/// A file that is removed when the case is over.
struct Config(PathBuf);

impl Config {
    fn new(name: &str, contents: &str) -> Config {
        let path = std::env::temp_dir().join(format!("sori-{name}-{}.conf", std::process::id()));
        std::fs::write(&path, contents).expect("can be written");
        Config(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("is text")
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn help_and_version_end_well() {
    let (code, said) = run(&["-h"]);
    assert_eq!(code, 0);
    assert!(said.contains("Usage: sori serve [-c config_file] [-d] [-h] [-p port] [-v]"), "{said}");
    assert!(said.contains("max_queued_messages"), "{said}");
    let (code, said) = run(&["--version"]);
    assert!(code == 0 && said.contains("sori version "), "{said}");
}

#[test]
fn mistakes_on_the_command_line_end_with_3() {
    for (arguments, text) in [
        (vec!["-p", "0"], "Error: Invalid port specified (0)."),
        (vec!["-c"], "Error: -c argument given, but no config file specified."),
        (vec!["--unknown"], "Error: Unknown option '--unknown'."),
        (vec!["-c", "does-not-exist.conf"], "Error: Unable to open config file 'does-not-exist.conf'."),
        (vec!["--test-config"], "Error: Please provide a configuration file to test."),
    ] {
        let (code, said) = run(&arguments);
        assert!(code == 3 && said.contains(text), "{code} {said}");
    }
}

#[test]
fn a_configuration_can_be_tested() {
    let good = Config::new("good", &format!("listener {} 127.0.0.1\nallow_anonymous true\n", free_port()));
    let (code, said) = run(&["--test-config", "-c", good.path()]);
    assert!(code == 0 && said.contains("Configuration file is OK."), "{code} {said}");

    let bad = Config::new("bad", "listner 1883\nmax_qos 3\n");
    for arguments in [vec!["--test-config", "-c", bad.path()], vec!["-q", "-c", bad.path()]] {
        let (code, said) = run(&arguments);
        assert_eq!(code, 3, "{said}");
        assert!(said.contains(":1:1: Error: Unknown configuration variable 'listner'. Hint: did you mean 'listener'?"));
        assert!(said.contains(":2:9: Error: 'max_qos' must be between 0 and 2 inclusive."), "{said}");
        assert!(said.contains("The configuration has 2 errors; nothing was started."), "{said}");
    }
}

#[test]
fn a_daemon_that_is_refused_says_so_to_its_shell() {
    let bad = Config::new("bad-daemon", "max_qos 3\n");
    let (code, said) = run(&["-d", "-c", bad.path()]);
    assert!(code == 3 && said.contains("'max_qos' must be"), "{code} {said}");
}

#[test]
fn a_pid_file_that_cannot_be_written_ends_with_1() {
    let config = Config::new("pid", "pid_file /does/not/exist.pid\n");
    for arguments in [vec!["-c", config.path()], vec!["-d", "-c", config.path()]] {
        let (code, said) = run(&arguments);
        assert!(code == 1 && said.contains("Error: Unable to write pid file"), "{code} {said}");
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Files of one case, which are removed with it.
struct Files {
    log: PathBuf,
    pid: PathBuf,
    port: u16,
    config: Config,
}

impl Files {
    fn new(name: &str) -> Files {
        let file = |end: &str| std::env::temp_dir().join(format!("sori-{name}-{}.{end}", std::process::id()));
        let (log, pid, port) = (file("log"), file("pid"), free_port());
        let lines = [
            "user nobody".to_owned(),
            format!("listener {port} 127.0.0.1"),
            format!("log_dest file {}", log.display()),
            format!("pid_file {}", pid.display()),
        ];
        Files { log, pid, port, config: Config::new(name, &lines.join("\n")) }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn pid(&self) -> Option<Pid> {
        std::fs::read_to_string(&self.pid).ok()?.parse().ok().map(Pid::from_raw)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = std::fs::remove_file(&self.log);
        let _ = std::fs::remove_file(&self.pid);
    }
}

#[test]
fn root_is_given_up_and_a_signal_ends_the_broker_well() {
    let files = Files::new("whole-life");
    let mut broker = command(&["-c", files.config.path()]).spawn().expect("starts");
    wait_until("the broker is running", || files.log().contains(" running\n"));
    assert!(listens(files.port));
    assert_eq!(files.pid().map(Pid::as_raw), i32::try_from(broker.id()).ok());
    let owner = std::fs::metadata(&files.log).expect("was opened").uid();
    let nobody = User::from_name("nobody").expect("can be asked").expect("exists").uid;
    assert_eq!(owner, if geteuid().is_root() { nobody.as_raw() } else { geteuid().as_raw() });

    let pid = files.pid().expect("was written");
    kill(pid, Signal::SIGTERM).expect("is ours");
    assert_eq!(broker.wait().expect("ends").code(), Some(0));
    assert!(files.pid().is_none(), "the pid file is gone");
    let log = files.log();
    let texts: Vec<_> = log.lines().filter_map(|line| line.split_once(": ")).map(|(_, text)| text).collect();
    let version = sori_server::VERSION;
    assert_eq!(texts.first().copied(), Some(format!("sori version {version} starting").as_str()));
    assert_eq!(texts.get(1).copied(), Some(format!("Config loaded from {}.", files.config.path()).as_str()));
    assert_eq!(texts.last().copied(), Some(format!("sori version {version} terminating").as_str()));
}

#[test]
fn a_daemon_listens_when_its_shell_goes_on() {
    let files = Files::new("daemon");
    let (code, said) = run(&["-d", "-c", files.config.path()]);
    assert_eq!(code, 0, "{said}{}", files.log());
    assert!(listens(files.port), "{said}{}", files.log());
    let pid = files.pid().expect("was written");
    kill(pid, Signal::SIGTERM).expect("is there");
    wait_until("the daemon removes its pid file", || files.pid().is_none());
}

/// Issue 337 of rmqtt: SIGABRT when the port is taken. It is an exit status and a message.
#[test]
fn a_port_that_is_taken_ends_with_1_and_the_reason_rmqtt_337() {
    let files = Files::new("taken");
    let _taken = TcpListener::bind(("127.0.0.1", files.port)).expect("is free");
    for arguments in [vec!["-c", files.config.path()], vec!["-d", "-c", files.config.path()]] {
        let (code, said) = run(&arguments);
        assert!(code == 1 && said.contains("Address already in use"), "{code} {said}");
        assert!(files.pid().is_none(), "the pid file is gone");
    }
}

#[test]
fn a_user_that_does_not_exist_is_refused() {
    if geteuid().is_root() {
        let config = Config::new("ghost", "user no-such-user\n");
        let (code, said) = run(&["-c", config.path()]);
        assert!(code == 3 && said.contains("Unable to drop privileges to 'no-such-user'"), "{code} {said}");
    }
}

/// Where the daemon of the next case says who it is.
const REPORT: &str = "SORI_TEST_REPORT";

/// Not a case of its own: a shell's process and its daemon, when the environment asks for them.
#[test]
fn background() {
    let Some(report) = std::env::var_os(REPORT) else { return };
    if !daemon::is_daemon() {
        std::process::exit(daemon::start().expect("can be started").into());
    }
    daemon::leave_terminal().expect("was no leader yet");
    let session = getsid(None).expect("has one");
    std::fs::write(&report, format!("{} {session}", std::process::id())).expect("can be written");
    daemon::report_ready().expect("somebody waits");
    std::process::exit(0);
}

#[test]
fn the_shell_waits_until_its_daemon_is_ready() {
    let report = std::env::temp_dir().join(format!("sori-daemon-{}", std::process::id()));
    let status = Command::new(std::env::current_exe().expect("has a path"))
        .args(["program::background", "--exact", "--nocapture", "--quiet", "--test-threads=1"])
        .env(REPORT, &report)
        .status()
        .expect("starts");
    let said = std::fs::read_to_string(&report).expect("was written before the shell went on");
    std::fs::remove_file(&report).expect("is there");
    assert!(status.success());
    let (process, session) = said.split_once(' ').expect("are two numbers");
    assert_eq!(process, session, "the daemon leads a session of its own");
    let ours = getsid(None::<Pid>).expect("has one").to_string();
    assert_ne!(session, ours);
}
