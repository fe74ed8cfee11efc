//! What a shard counts, for `$SYS` and for whoever operates it.

macro_rules! totals {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the start, and gauges of now. Those of several shards add up.
        #[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
        pub struct Totals { $($(#[$doc])* pub $name: u64,)* }

        impl core::ops::AddAssign<&Totals> for Totals {
            fn add_assign(&mut self, other: &Totals) {
                $(self.$name = self.$name.wrapping_add(other.$name);)*
            }
        }

        impl Totals {
            /// The names of all fields, in order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The values of all fields, in the order of [`Totals::NAMES`].
            #[must_use]
            pub fn values(&self) -> alloc::vec::Vec<u64> {
                alloc::vec![$(self.$name),*]
            }

            /// The totals with these values, in the order of [`Totals::NAMES`]; missing ones are 0.
            #[must_use]
            pub fn from_values(values: impl IntoIterator<Item = u64>) -> Totals {
                let mut values = values.into_iter();
                Totals { $($name: values.next().unwrap_or(0),)* }
            }
        }
    };
}

totals! {
    /// Bytes received.
    bytes_received,
    /// Bytes sent.
    bytes_sent,
    /// Packets of all types received.
    packets_received,
    /// Packets of all types sent.
    packets_sent,
    /// PUBLISH packets received.
    publish_received,
    /// PUBLISH packets sent.
    publish_sent,
    /// Payload bytes received in PUBLISH packets.
    publish_bytes_received,
    /// Payload bytes sent in PUBLISH packets.
    publish_bytes_sent,
    /// Messages dropped because a queue was full.
    dropped_queue_full,
    /// Messages dropped because the memory limit was reached.
    dropped_memory,
    /// Messages dropped because they were larger than the client's Maximum Packet Size.
    dropped_too_large,
    /// Messages that expired before they were sent.
    dropped_expired,
    /// QoS 0 messages dropped for sessions that were offline.
    dropped_offline_qos0,
    /// Messages that a client refused with a PUBACK or PUBREC of 0x80 or more.
    dropped_refused,
    /// Messages for a session that ended before it got them.
    dropped_session_ended,
    /// Messages that clients published without the right to.
    publish_denied,
    /// Messages larger than `message_size_limit`.
    publish_too_large,
    /// QoS 1 and 2 messages beyond Receive Maximum that were taken all the same.
    receive_maximum_exceeded,
    /// Messages and requests that were refused because the store was full or had failed.
    refused_by_store,
    /// Messages that could not be read from the store again.
    dropped_damaged,
    /// Publications that were recorded for sessions which outlive their connections.
    recorded,
    /// CONNECT packets received.
    connects,
    /// Connections opened.
    connections_opened,
    /// Connections refused or closed for a violation of the protocol.
    protocol_errors,
    /// Sessions that ended because their expiry passed.
    sessions_expired,
    /// Take-overs of a session by a new connection.
    take_overs,
    /// Open connections now.
    connections,
    /// Connected clients now.
    clients_connected,
    /// Sessions now, connected or not.
    sessions,
    /// Messages queued now.
    queued,
    /// Payload bytes queued now.
    queued_bytes,
    /// Messages queued now that lie in the store only.
    queued_in_store,
    /// Messages in flight to clients now.
    inflight,
}

impl Totals {
    /// All messages dropped, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped_queue_full
            + self.dropped_memory
            + self.dropped_too_large
            + self.dropped_expired
            + self.dropped_damaged
    }
}
