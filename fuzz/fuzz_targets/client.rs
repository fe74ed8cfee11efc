//! The client library against any server: no panic, no wait without end, and everybody who waits gets an answer.
//!
//! The first byte chooses the version, the others are cut into what the server says, one piece after another: a byte below 0x80
//! is the length (less one) of the next piece, others close the connection.

#![no_main]

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sori_client::{ByteStream, Client, Connect, Connecting, Options, Publish, QoS, Reconnect, Subscribe, Version};

fuzz_target!(|data: &[u8]| {
    let [version, said @ ..] = data else { return };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("nothing is in the way");
    let reconnect = Reconnect::default().min(Duration::from_millis(1)).max(Duration::from_millis(1)).attempts_max(3);
    let mut options = Options::over(Script(Arc::new(Mutex::new(said.iter().copied().collect()))))
        .reconnect(reconnect)
        .client_id("fuzz")
        .connect_timeout(Duration::from_secs(1))
        .close_timeout(Duration::from_secs(1))
        .incoming_bytes_max(10_000)
        .seed(1);
    match version % 3 {
        0 => options = options.version(Version::V311),
        1 => options = options.version(Version::V5),
        _ => {}
    }
    runtime.block_on(async {
        let client = Client::start(options).expect("legal options");
        let sends = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
            .map(|qos| client.try_publish(Publish::new("t", "hello").qos(qos)).expect("room"));
        let streams = async {
            let careful = client.subscribe(Subscribe::new("#").qos(QoS::ExactlyOnce).manual_acks(true)).await;
            if let Ok(mut stream) = careful {
                let limit = Duration::from_secs(100);
                while let Ok(Some(mut message)) = tokio::time::timeout(limit, stream.next()).await {
                    match message.take_ack() {
                        Some(ack) if message.payload().len() % 3 == 0 => drop(ack),
                        Some(ack) => ack.accept(),
                        None => {}
                    }
                }
            }
        };
        let request = client.request(("ask", "?"), Duration::from_secs(1));
        let receipts = async {
            for delivery in sends {
                // A server may never say that it has a message.
                let _ = tokio::time::timeout(Duration::from_secs(100), delivery).await;
            }
        };
        let _ = tokio::join!(streams, request, receipts);
        let _ = client.close().await;
    });
});

/// What the server says on this connection and the next ones.
struct Script(Arc<Mutex<VecDeque<u8>>>);

impl Connect for Script {
    fn connect(&self) -> Connecting<'_> {
        let script = Arc::clone(&self.0);
        Box::pin(async move { Ok(Box::new(Scripted(script)) as Box<dyn ByteStream>) })
    }

    fn name(&self) -> String {
        "the fuzzer".into()
    }
}

struct Scripted(Arc<Mutex<VecDeque<u8>>>);

impl ByteStream for Scripted {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut script = self.0.lock().expect("nobody panics");
        match script.pop_front() {
            // It says nothing more, ever.
            None => Poll::Pending,
            Some(0x80..) => Poll::Ready(Ok(0)),
            Some(length) => {
                let length = script.len().min(usize::from(length) + 1).min(buffer.len());
                for (byte, said) in buffer.iter_mut().zip(script.drain(..length)) {
                    *byte = said;
                }
                Poll::Ready(Ok(length))
            }
        }
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
