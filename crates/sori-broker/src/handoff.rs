//! A connection on its way from the shard that accepted it to the shard where its session lives.

use crate::access::Identity;
use crate::settings::ListenerSettings;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::Version;

/// Everything about a connection that has sent CONNECT and is not answered yet.
#[derive(Debug)]
pub struct Handoff {
    pub(crate) listener: Arc<ListenerSettings>,
    pub(crate) address: Box<str>,
    /// The version that its CONNECT said.
    pub(crate) version: Version,
    /// The CONNECT packet, whole.
    pub(crate) connect: Vec<u8>,
    /// Bytes that came after it.
    pub(crate) input: Vec<u8>,
    pub(crate) admission: Admission,
    /// When its client must be in.
    pub(crate) due: Time,
}

/// What is known of a client that has been let in but has no session yet.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Arc<Identity>,
    /// The client identifier was assigned by the broker.
    pub(crate) assigned: bool,
    /// The method and last data of an AUTH exchange, for CONNACK.
    pub(crate) authentication: Option<(Box<str>, Option<Vec<u8>>)>,
}
