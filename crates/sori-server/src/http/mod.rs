//! `protocol http_api`: figures of the broker and files of a directory, for web browsers and scripts; nothing can be changed by it.
//!
//! All connections of such listeners are one thread's, which has nothing to do with the shards: it may wait for a file, or be
//! kept busy by those who ask, and no message is late for it. Each connection is a state machine ([`visitor`]); the thread
//! ([`desk`]) watches sockets and deadlines. Everything a visitor can do is bounded: the length of a request, the time for it and for
//! its answer, how many connections there are.
//!
//! ```text
//!  reading ── a request, complete ──► asking ── who it is ──► answering ── all is written ──► lingering
//! ```

mod answer;
mod api;
mod desk;
mod directory;
mod visitor;

pub(crate) use desk::{Arrival, HTTP_SHARD, Http, Mailbox, Order, VISITORS_MAX};

use crate::config::{Config, ListenerConfig, Protocol};
use directory::Directory;
use sori_broker::Access;
use std::sync::Arc;
use std::time::Duration;

/// Who asks is this client for the rules about topics, as in Mosquitto.
const CLIENT_ID: &str = "http-api";

/// What holds for all visitors with one configuration.
#[derive(Clone)]
pub(crate) struct Rules {
    access: Arc<dyn Access + Send + Sync>,
    /// The listeners of the broker, in JSON.
    listeners: Arc<str>,
    /// How long a visitor may take to ask, and to be known.
    patience: Duration,
    /// Connections that fail are logged.
    connection_messages: bool,
}

impl Rules {
    pub(crate) fn of(config: &Config, access: Arc<dyn Access + Send + Sync>) -> Rules {
        Rules {
            access,
            listeners: api::listeners(config).into(),
            patience: config.connect_timeout,
            connection_messages: config.connection_messages,
        }
    }
}

/// A listener of this kind.
#[derive(Debug)]
pub(crate) struct Site {
    /// Its files, if it has any.
    directory: Option<Directory>,
}

impl Site {
    /// `None` for a listener of another kind.
    ///
    /// # Errors
    /// What cannot be used and why, in a sentence.
    pub(crate) fn load(listener: &ListenerConfig) -> Result<Option<Arc<Site>>, String> {
        let transport = &listener.transport;
        if transport.protocol != Protocol::HttpApi {
            return Ok(None);
        }
        let directory = transport.http_dir.as_deref().map(Directory::new).transpose()?;
        Ok(Some(Arc::new(Site { directory })))
    }
}
