//! A broker of its own: this program once more, as a child process, with a directory that goes with it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::Failure;

/// Starting and stopping take a moment; on a machine that does much else, a long one.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(super) struct OwnBroker {
    child: Child,
    port: u16,
    directory: Directory,
}

/// Removed with the broker.
struct Directory(PathBuf);

impl OwnBroker {
    /// Starts it on a port of this machine that is free, and waits until it listens.
    pub(super) fn start() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("cannot prepare a broker: {error}"));
        let path = std::env::temp_dir().join(format!("sori-bench-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        let directory = Directory(path);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = port.map_err(failed)?.port();
        // While subscribers are away everything is kept for them, however much it is.
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nlog_dest stderr\n\
             persistence true\npersistence_location {}/\n",
            directory.0.display()
        );
        fs::write(directory.0.join("sori.conf"), config).map_err(failed)?;
        let child = spawn(&directory).map_err(failed)?;
        let mut broker = Self { child, port, directory };
        broker.wait_until_it_listens()?;
        Ok(broker)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Stops it, with a kill -9 or in peace, and starts it again with what it has kept.
    pub(super) fn restart(&mut self, hard: bool) -> Result<(), Failure> {
        self.stop(hard)?;
        self.child =
            spawn(&self.directory).map_err(|error| Failure::new(format!("cannot start the broker again: {error}")))?;
        self.wait_until_it_listens()
    }

    fn stop(&mut self, hard: bool) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("cannot stop the broker: {error}"));
        if !hard && self.terminate() {
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until {
                if self.child.try_wait().map_err(failed)?.is_some() {
                    return Ok(());
                }
                thread::sleep(LOOK_AGAIN);
            }
            return Err(Failure::new(format!("the broker did not stop within {} s", PATIENCE.as_secs())));
        }
        self.child.kill().and_then(|()| self.child.wait()).map(|_| ()).map_err(failed)
    }

    fn terminate(&self) -> bool {
        i32::try_from(self.child.id()).is_ok_and(|id| kill(Pid::from_raw(id), Signal::SIGTERM).is_ok())
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if TcpStream::connect_timeout(&address, PATIENCE).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Failure::new(format!("the broker ended with {status}: {}", self.last_words())));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Err(Failure::new(format!("the broker did not listen within {} s: {}", PATIENCE.as_secs(), self.last_words())))
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = fs::read(self.directory.0.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        log.lines().last().unwrap_or("it said nothing").to_owned()
    }
}

/// Not with the terminal's standard input, and not in words on the terminal.
fn spawn(directory: &Directory) -> std::io::Result<Child> {
    let log: File = OpenOptions::new().create(true).append(true).open(directory.0.join("log"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("serve").arg("-c").arg(directory.0.join("sori.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays behind in a directory for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
