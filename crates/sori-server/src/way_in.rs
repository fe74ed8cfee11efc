//! The way into the broker for other parts of this program: connections whose bytes stay in memory.

use crate::inbox::{Inbox, Letter};
use crate::link::{ClientEnd, link};
use crate::socket::Stream;
use sori_broker::{Identity, ListenerSettings};
use std::sync::Arc;

/// Makes connections to the broker inside this program ([`Server::way_in`](crate::Server::way_in)), as many as are asked for.
#[derive(Clone)]
pub struct WayIn {
    /// What log lines have in the place of an address.
    address: Box<str>,
    listener: Arc<ListenerSettings>,
    inbox: Arc<Inbox>,
}

impl WayIn {
    pub(crate) fn new(name: &str, identity: Identity, inbox: Arc<Inbox>) -> WayIn {
        let identity = Some(Arc::new(identity));
        let listener = Arc::new(ListenerSettings { port: 0, identity, ..ListenerSettings::default() });
        WayIn { address: format!("in-process {name}").into(), listener, inbox }
    }

    /// One more connection. If the broker has stopped, it is at its end.
    #[must_use]
    pub fn connect(&self) -> ClientEnd {
        let (broker_end, client_end) = link();
        let (listener, address) = (Arc::clone(&self.listener), self.address.clone());
        self.inbox.post(Letter::Accepted(Stream::Local(broker_end), listener, address, None));
        client_end
    }
}

#[cfg(feature = "client")]
mod client {
    use super::WayIn;
    use crate::link::ClientEnd;
    use sori_client::{ByteStream, Connect, Connecting};
    use std::io;
    use std::task::{Context, Poll};

    impl Connect for WayIn {
        fn connect(&self) -> Connecting<'_> {
            let end: Box<dyn ByteStream> = Box::new(WayIn::connect(self));
            Box::pin(std::future::ready(Ok(end)))
        }

        fn name(&self) -> String {
            String::from("the broker of this program")
        }
    }

    impl ByteStream for ClientEnd {
        fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            ClientEnd::poll_read(self, cx, buffer)
        }

        fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            ClientEnd::poll_write(self, cx, bytes)
        }

        fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            // The broker reads what is there, and sees the end when this end is dropped.
            Poll::Ready(Ok(()))
        }
    }
}
