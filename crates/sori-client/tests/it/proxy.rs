//! A network that breaks when the test says so: a relay between clients and a broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// Relays connections until it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cuts: broadcast::Sender<()>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("has an address").port();
        let (cuts, _) = broadcast::channel(16);
        let connections = Arc::new(AtomicUsize::new(0));
        let (all, count) = (cuts.clone(), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(relay(client, port, all.subscribe()));
            }
        });
        Self { port: own, cuts, connections, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// All connections break, in the middle of whatever they carry.
    pub(crate) fn cut(&self) {
        let _ = self.cuts.send(());
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

/// Bytes both ways, until one end is closed or the connection is cut: then with a reset, and bytes are lost.
async fn relay(mut client: TcpStream, port: u16, mut cut: broadcast::Receiver<()>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut from_client, mut from_server) = ([0; 8192], [0; 8192]);
    loop {
        let (read, to, bytes) = tokio::select! {
            _ = cut.recv() => return,
            read = client.read(&mut from_client) => (read, &mut server, &from_client),
            read = server.read(&mut from_server) => (read, &mut client, &from_server),
        };
        let Ok(length @ 1..) = read else { return };
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
