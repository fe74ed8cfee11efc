//! MQTT 3.1, 3.1.1 and 5.0 without I/O: packets, delivery tables, client session.
//!
//! Bytes come in, typed packets come out, and the other way round. Nothing here opens a socket, reads a clock or
//! starts a thread; decoding borrows from the caller's buffer and allocates nothing. A value that exists is valid: a
//! [`TopicFilter`] is a legal filter, the [`Properties`] of a decoded packet are known, in their place and in range.
//!
//! # One packet in
//!
//! 1. [`split`] finds the first whole packet in the bytes received so far, or says how many bytes it needs.
//! 2. [`decode`] turns that frame into a [`Packet`]; [`decode_publish`] is the same code for the packet type that
//!    matters most.
//! 3. Every fault is a [`DecodeError`] that knows the reason code for the peer and a sentence for the log.
//!
//! ```
//! use sori_mqtt::{Direction, Packet, Split, Version, decode, split};
//!
//! let received = [0x30, 0x06, 0x00, 0x01, b'a', b'h', b'e', b'y', 0xC0];
//! let Ok(Split::Frame(frame)) = split(&received, 1024) else { panic!("the first packet is whole") };
//! assert_eq!(frame.size, 8);
//! let Ok(Packet::Publish(publish)) = decode(frame, Version::V311, Direction::ToServer) else { panic!("a PUBLISH") };
//! assert_eq!((publish.topic, publish.payload), ("a", &b"hey"[..]));
//! ```
//!
//! # One packet out
//!
//! Every packet type has `encode`, which appends to the caller's buffer in the form of the given [`Version`], and
//! `encoded_len`, which tells the size beforehand so that the receiver's Maximum Packet Size can be kept.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client_session;
mod delivery;
mod error;
mod frame;
mod packet;
mod packet_id;
mod property;
mod qos;
mod reader;
mod reason_code;
mod text;
mod topic;
mod variable_byte_integer;
mod version;
mod writer;

pub use client_session::ClientSession;
pub use delivery::{AckError, Incoming, IncomingMessages, OutgoingMessages, OutgoingState, PubRec, Resend};
pub use error::DecodeError;
pub use frame::{Frame, PACKET_SIZE_MAX, Split, split};
pub use packet::{
    Ack, Auth, ConnAck, Connect, DISCONNECT, Direction, Disconnect, Filters, PINGREQ, PINGRESP, Packet, PacketType,
    Publish, RetainHandling, SubAck, Subscribe, SubscribeFilters, SubscribeOptions, UnsubAck, Unsubscribe,
    UnsubscribeFilters, Will, decode, decode_publish,
};
pub use packet_id::PacketId;
pub use property::{Properties, Property, PropertyBuffer, PropertyIdentifier};
pub use qos::QoS;
pub use reason_code::ReasonCode;
pub use topic::{TopicError, TopicFilter, TopicName};
pub use variable_byte_integer::{encode_variable_byte_integer, variable_byte_integer_len};
pub use version::Version;
