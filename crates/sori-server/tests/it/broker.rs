//! The broker as a process of its own: this test program, started again.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The arguments for the broker, one per line, when this process is to be it.
const ARGUMENTS: &str = "SORI_TEST_ARGUMENTS";
/// How many files the broker may open: so many, and so many if it asks for more.
const OPEN_FILES: &str = "SORI_TEST_OPEN_FILES";

/// Not a case of its own: the broker, when the environment asks for it.
#[test]
fn process() {
    let Some(arguments) = std::env::var_os(ARGUMENTS) else { return };
    if let Ok(limits) = std::env::var(OPEN_FILES) {
        let (soft, hard) = limits.split_once(' ').expect("are two");
        let number = |text: &str| text.parse().expect("is a number");
        setrlimit(Resource::RLIMIT_NOFILE, number(soft), number(hard)).expect("may be lowered");
    }
    let arguments = arguments.into_string().expect("is text");
    let code = sori_server::run(arguments.lines().map(Into::into), false);
    std::process::exit(code.into());
}

/// The broker with these arguments, ready to start.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("has a path"));
    command.args(["broker::process", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ARGUMENTS, arguments.join("\n"));
    command
}

/// The broker with these arguments, and a socket that listens already, as systemd gives it (sd_listen_fds(3)).
pub(crate) fn command_with_socket(arguments: &[&str], socket: OwnedFd) -> Command {
    let broker = command(arguments);
    // The shell gives the socket its number, and the process its identifier, which is known only then.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec env LISTEN_FDS=1 LISTEN_PID=$$ "$0" "$@" 3<&0 </dev/null"#]);
    shell.arg(broker.get_program()).args(broker.get_args());
    shell.envs(broker.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(socket);
    shell
}

/// A port that nobody listens on, below those that the system gives to clients, which come and go.
pub(crate) fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + std::process::id() % 200 * 100;
    loop {
        let port = u16::try_from(first).unwrap_or(10_000) + TRIED.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running broker, which ends with the test.
pub(crate) struct Broker {
    child: Child,
    directory: PathBuf,
    pub(crate) port: u16,
}

impl Broker {
    /// A broker with one listener, anonymous clients and these lines in its file.
    pub(crate) fn start(options: &str) -> Broker {
        Broker::start_with_open_files(options, None)
    }

    /// Likewise, and it may open only so many files.
    pub(crate) fn start_with_open_files(options: &str, limits: Option<(u64, u64)>) -> Broker {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("sori-broker-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("can be made");
        let port = free_port();
        Broker::write(&directory, port, options);
        let child = Broker::spawn(&directory, limits);
        let broker = Broker { child, directory, port };
        broker.wait_for_log(" running\n");
        broker
    }

    fn spawn(directory: &std::path::Path, limits: Option<(u64, u64)>) -> Child {
        let mut broker_command = command(&["-c", directory.join("broker.conf").to_str().expect("is text")]);
        if let Some((soft, hard)) = limits {
            broker_command.env(OPEN_FILES, format!("{soft} {hard}"));
        }
        // What would be kept is kept in the directory of the broker.
        broker_command.current_dir(directory);
        broker_command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts")
    }

    /// Ends it with a signal, changes whatever is to be changed meanwhile, and starts it again with an empty log.
    pub(crate) fn restart(&mut self, signal: Signal, meanwhile: impl FnOnce(&std::path::Path)) {
        self.end(signal);
        meanwhile(&self.directory);
        self.start_again();
        self.wait_for_log(" running\n");
    }

    /// Ends it with a signal; its exit code.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        kill(self.pid(), signal).expect("it runs");
        self.child.wait().expect("ends").code()
    }

    /// Starts it again with an empty log, without waiting for it.
    pub(crate) fn start_again(&mut self) {
        let _ = fs::remove_file(self.file("log"));
        self.child = Broker::spawn(&self.directory, None);
    }

    fn write(directory: &std::path::Path, port: u16, options: &str) {
        let log = directory.join("log");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\n{options}\nlog_dest file {}\nlog_timestamp false\n",
            log.display()
        );
        fs::write(directory.join("broker.conf"), text).expect("can be written");
    }

    /// Puts other lines into its file.
    pub(crate) fn rewrite(&self, options: &str) {
        Broker::write(&self.directory, self.port, options);
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        while !self.log().contains(text) {
            assert!(Instant::now() < until, "{text:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("is small"))
    }

    pub(crate) fn signal(&self, number: i32) {
        // Real-time signals have no name.
        let sent = Command::new("kill").args([format!("-{number}"), self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Bytes of memory that it occupies.
    pub(crate) fn resident_bytes(&self) -> i64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("has memory");
        line.trim().trim_end_matches(" kB").parse::<i64>().expect("is a number") * 1024
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    /// How long its threads have run, all together.
    pub(crate) fn processor_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let nanoseconds = tasks.filter_map(|task| {
            let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Ends it with SIGTERM; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        kill(self.pid(), Signal::SIGTERM).expect("it runs");
        self.child.wait().expect("ends").code()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
