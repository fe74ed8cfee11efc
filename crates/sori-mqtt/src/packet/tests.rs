//! Packets written byte by byte: what is accepted, what is refused, and with which reason code.

mod ack;
mod connack;
mod connect;
mod disconnect_auth;
mod flags;
mod publish;
mod suback;
mod subscribe;

use alloc::vec::Vec;

use super::*;
use crate::{PACKET_SIZE_MAX, Split, split};
pub(super) use Direction::{ToClient, ToServer};
pub(super) use Version::{V5, V31, V311};

const VERSIONS: [Version; 3] = [V31, V311, V5];

/// A packet of these parts; its length is right.
fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = Vec::from([first]);
    crate::encode_variable_byte_integer(body.len() as u32, &mut bytes);
    bytes.extend_from_slice(&body);
    bytes
}

/// A string or binary field with its length.
fn field(content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = Vec::from((content.len() as u16).to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

fn read(bytes: &[u8], version: Version, direction: Direction) -> Result<Packet<'_>, DecodeError> {
    match split(bytes, PACKET_SIZE_MAX)? {
        Split::Frame(frame) => {
            assert_eq!(frame.size, bytes.len(), "the test wrote one packet");
            decode(frame, version, direction)
        }
        Split::Incomplete { .. } => unreachable!("the test wrote a whole packet"),
    }
}

/// The reason code of a packet that is refused.
#[track_caller]
fn refused(bytes: &[u8], version: Version, direction: Direction) -> ReasonCode {
    let error = read(bytes, version, direction).expect_err("the packet is wrong");
    assert_eq!(error.packet_type(), PacketType::from_u8(bytes[0] >> 4));
    error.reason_code()
}

/// The packet is accepted, and encoding it again gives the same bytes.
#[track_caller]
fn accepted(bytes: &[u8], version: Version, direction: Direction) -> Packet<'_> {
    let packet = read(bytes, version, direction).expect("the packet is right");
    let mut again = Vec::new();
    packet.encode(version, &mut again);
    assert_eq!(again, bytes);
    assert_eq!(packet.encoded_len(version), bytes.len());
    packet
}

#[test]
fn an_error_reads_like_a_line_of_a_log() {
    let publish = packet(0x30, &[&field("a/+")]);
    let error = read(&publish, V311, ToServer).expect_err("a wildcard");
    assert_eq!(alloc::format!("{error}"), "malformed packet: PUBLISH topic name holds a wildcard");
    assert_eq!((error.version(), error.packet_type()), (Some(V311), Some(PacketType::Publish)));
    let error = read(&[0x00, 0x00], V311, ToServer).expect_err("type 0");
    assert_eq!(alloc::format!("{error}"), "protocol error: packet type is 0");
}

#[test]
fn ping_packets_are_two_bytes() {
    for version in VERSIONS {
        assert_eq!(accepted(&PINGREQ, version, ToServer), Packet::PingReq);
        assert_eq!(accepted(&PINGRESP, version, ToClient), Packet::PingResp);
        for (bytes, direction) in [([0xC0, 1, 0], ToServer), ([0xD0, 1, 0], ToClient), ([0xD0, 1, 0], ToServer)] {
            let error = read(&bytes, version, direction).expect_err("a body");
            assert_eq!(error.reason_code(), ReasonCode::MalformedPacket);
            assert!(error.closes_silently());
        }
    }
}

#[test]
fn a_packet_that_the_other_side_sends_is_a_protocol_error() {
    let to_server = [packet(0x10, &[]), packet(0x82, &[]), packet(0xA2, &[]), packet(0xC0, &[])];
    let to_client = [packet(0x20, &[]), packet(0x90, &[]), packet(0xB0, &[]), packet(0xD0, &[])];
    for version in VERSIONS {
        for bytes in &to_server {
            assert_eq!(refused(bytes, version, ToClient), ReasonCode::ProtocolError);
        }
        for bytes in &to_client {
            assert_eq!(refused(bytes, version, ToServer), ReasonCode::ProtocolError);
        }
    }
}
