//! How the connection does, told as it changes.

use std::sync::Arc;
use std::time::Duration;

use sori_mqtt::Version;

use crate::error::Error;

/// How the connection does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum State {
    /// A connection is being made.
    Connecting {
        /// How many attempts in a row have failed before.
        attempts: u32,
    },
    /// The server has accepted the connection.
    Connected {
        /// The session of an earlier connection goes on; otherwise the subscriptions are being made again.
        session_present: bool,
        /// The version that is spoken.
        version: Version,
    },
    /// There is no connection.
    Disconnected {
        /// Why.
        error: Arc<Error>,
        /// The next attempt begins after this time.
        retry_in: Duration,
    },
    /// The server did not take a subscription again that it had taken before; its stream has ended.
    SubscriptionLost {
        /// The filter.
        filter: String,
        /// Why.
        error: Arc<Error>,
    },
    /// The client is closed, or has given up: the last state.
    Closed {
        /// Why it has given up.
        error: Option<Arc<Error>>,
    },
}
