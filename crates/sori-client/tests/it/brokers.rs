//! Brokers to test against, each as a process of its own: sori (this test program, started again), Mosquitto where it is
//! installed, and FlashMQ where `SORI_FLASHMQ` names its program.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sori_client::{Options, Reconnect, Version};

/// The arguments for the broker, one per line, when this process is to be it.
const ARGUMENTS: &str = "SORI_TEST_ARGUMENTS";
/// Long enough for a slow and busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Not a case of its own: the broker, when the environment asks for it.
#[test]
fn process() {
    let Some(arguments) = std::env::var_os(ARGUMENTS) else { return };
    let arguments = arguments.into_string().expect("is text");
    let code = sori_server::run(arguments.lines().map(Into::into), false);
    std::process::exit(code.into());
}

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sori,
    Mosquitto,
    FlashMq,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Sori, Self::Mosquitto, Self::FlashMq];
}

/// A listener besides the two that every broker has, plain TCP and a Unix socket.
pub(crate) struct Listener {
    pub(crate) port: u16,
    pub(crate) is_websocket: bool,
    pub(crate) secure: Option<Secure>,
}

/// The files that a listener with TLS needs.
#[derive(Clone)]
pub(crate) struct Secure {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Whose certificates clients must have, if they must have any.
    pub(crate) client_ca: Option<PathBuf>,
}

/// A running broker, which ends with the test.
pub(crate) struct Broker {
    kind: Kind,
    child: Child,
    directory: PathBuf,
    pub(crate) port: u16,
    /// The ports of its other listeners.
    others: Vec<u16>,
}

impl Broker {
    /// None if it is not installed.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, &[])
    }

    /// With more listeners.
    pub(crate) fn start_with(kind: Kind, listeners: &[Listener]) -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let is_installed = match kind {
            Kind::Sori => true,
            Kind::Mosquitto => Command::new(MOSQUITTO).arg("-h").output().is_ok(),
            Kind::FlashMq => flashmq().is_some(),
        };
        if !is_installed {
            println!("{kind:?} is not installed");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("sori-client-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a folder of its own");
        let port = free_port();
        let configuration = match kind {
            Kind::Sori | Kind::Mosquitto => mosquitto_conf(kind, &directory, port, listeners),
            Kind::FlashMq => flashmq_conf(&directory, port, listeners),
        };
        std::fs::write(directory.join("conf"), configuration).expect("can be written");
        let child = spawn(kind, &directory);
        let others = listeners.iter().map(|listener| listener.port).collect();
        let broker = Self { kind, child, directory, port, others };
        broker.wait_until_ready();
        Some(broker)
    }

    pub(crate) fn sori() -> Self {
        Self::start(Kind::Sori).expect("is always there")
    }

    fn wait_until_ready(&self) {
        let until = Instant::now() + PATIENCE;
        let socket = self.directory.join("socket");
        let is_open = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
        while !is_open(&self.port) || !self.others.iter().all(is_open) || UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < until, "{:?} listens", self.kind);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// kill -9, and the same broker once more.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().expect("runs");
        self.child.wait().expect("ends");
        let _ = std::fs::remove_file(self.directory.join("socket"));
        self.child = spawn(self.kind, &self.directory);
        self.wait_until_ready();
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub(crate) fn unix_url(&self) -> String {
        format!("unix:{}/socket", self.directory.display())
    }

    /// Options for tests: reconnecting does not wait for long.
    pub(crate) fn options(&self, version: Version) -> Options {
        options(&self.url()).version(version)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Options for tests.
pub(crate) fn options(url: &str) -> Options {
    for_tests(Options::new(url).expect("a URL"))
}

pub(crate) fn for_tests(options: Options) -> Options {
    let quick = Reconnect::default().min(Duration::from_millis(5)).max(Duration::from_millis(100));
    options.reconnect(quick).connect_timeout(PATIENCE).close_timeout(PATIENCE)
}

const MOSQUITTO: &str = "/usr/sbin/mosquitto";

/// FlashMQ's program, which no distribution has.
fn flashmq() -> Option<OsString> {
    std::env::var_os("SORI_FLASHMQ")
}

fn mosquitto_conf(kind: Kind, directory: &Path, port: u16, listeners: &[Listener]) -> String {
    let at = directory.display();
    // As root it would become another user, who may not write here.
    let user = if kind == Kind::Mosquitto { "user root\n" } else { "" };
    let mut conf = format!(
        "{user}listener {port} 127.0.0.1\nlistener 0 {at}/socket\nallow_anonymous true\nlog_dest none\n\
         persistence true\npersistence_location {at}/\nmax_queued_messages 0\nmax_inflight_messages 100\n"
    );
    for Listener { port, is_websocket, secure } in listeners {
        conf += &format!("listener {port} 127.0.0.1\n");
        if *is_websocket {
            conf += "protocol websockets\n";
        }
        if let Some(Secure { certificate, key, client_ca }) = secure {
            conf += &format!("certfile {}\nkeyfile {}\n", certificate.display(), key.display());
            if let Some(ca) = client_ca {
                conf += &format!("cafile {}\nrequire_certificate true\n", ca.display());
            }
        }
    }
    conf
}

fn flashmq_conf(directory: &Path, port: u16, listeners: &[Listener]) -> String {
    let at = directory.display();
    let tcp = |port: &u16| format!("port {port}\ninet_protocol ip4\ninet4_bind_address 127.0.0.1\n");
    let mut conf = format!(
        "log_file /dev/null\nallow_anonymous true\nstorage_dir {at}\nthread_count 2\nmax_qos_msg_pending_per_client 65535\n\
         listen {{\nprotocol mqtt\n{}}}\nlisten {{\nprotocol mqtt\ninet_protocol unix\nunix_socket_path {at}/socket\n}}\n",
        tcp(&port)
    );
    for Listener { port, is_websocket, secure } in listeners {
        let protocol = if *is_websocket { "websockets" } else { "mqtt" };
        conf += &format!("listen {{\nprotocol {protocol}\n{}", tcp(port));
        if let Some(Secure { certificate, key, client_ca }) = secure {
            conf += &format!("fullchain {}\nprivkey {}\n", certificate.display(), key.display());
            if let Some(ca) = client_ca {
                conf += &format!("client_verification_ca_file {}\n", ca.display());
            }
        }
        conf += "}\n";
    }
    conf
}

fn spawn(kind: Kind, directory: &Path) -> Child {
    let file = directory.join("conf");
    let file = file.to_str().expect("is text");
    let mut command = match kind {
        Kind::Sori => {
            let mut command = Command::new(std::env::current_exe().expect("has a path"));
            command.args(["brokers::process", "--exact", "--nocapture", "--test-threads=1"]);
            command.env(ARGUMENTS, ["-c", file].join("\n"));
            command
        }
        Kind::Mosquitto => {
            let mut command = Command::new(MOSQUITTO);
            command.args(["-c", file]);
            command
        }
        Kind::FlashMq => {
            let mut command = Command::new(flashmq().expect("was asked for"));
            command.args(["--config-file", file]);
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("starts")
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

/// What must not take for ever.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect(what)
}
