//! The model's sockets: what a client has received.

use crate::link::BrokerEnd;

/// A client's connection.
pub(crate) struct Stream {
    /// Its name in the scenario.
    pub(crate) client: &'static str,
    /// All that the broker wrote.
    pub(crate) received: Vec<u8>,
    /// The broker has closed it.
    pub(crate) is_closed: bool,
    /// Where the scenario is about a connection within the program.
    pub(crate) local: Option<BrokerEnd>,
}

impl Stream {
    pub(crate) fn of(client: &'static str) -> Stream {
        Stream { client, received: Vec::new(), is_closed: false, local: None }
    }
}

/// The model's connections take no place from each other.
pub(crate) struct Admittance;
