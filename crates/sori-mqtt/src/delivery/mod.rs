//! What must be remembered until a delivery with QoS 1 or 2 is complete: one table for the messages that were sent
//! ([`OutgoingMessages`]) and one for those that were received ([`IncomingMessages`]).
//!
//! Client and broker keep the same two tables, one pair per session. The tables know packet identifiers, the state of
//! each handshake and the send quota; they neither encode packets nor own a socket or a clock.
//!
//! ```text
//!             QoS 1                                  QoS 2
//!   sender            receiver          sender                    receiver
//!   insert  -PUBLISH->                  insert     -PUBLISH->     publish_qos2
//!   puback  <-PUBACK--                  pubrec     <-PUBREC--
//!                                                  -PUBREL-->     release
//!                                       pubcomp    <-PUBCOMP-
//! ```

mod receiver;
mod sender;

pub use receiver::{Incoming, IncomingMessages};
pub use sender::{AckError, OutgoingMessages, OutgoingState, PubRec, Resend};
