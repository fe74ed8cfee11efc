//! WebSocket: RFC 6455, and MQTT 5.0 section 6 over it.
//!
//! MQTT's bytes are a stream in binary frames; where frames begin and end means nothing [MQTT-6.0.0-2] [MQTT311-6.0.0-2]. No extension is
//! spoken.

mod client;
mod frame;
mod server;
mod stage;

pub use client::WebSocketClient;
pub use server::{Network, WebSocketServer};
pub(crate) use stage::WebSocketStage;

use base64ct::{Base64, Encoding};
use sha1::{Digest, Sha1};

/// The sub-protocols that are MQTT. [MQTT-6.0.0-3] [MQTT311-6.0.0-3]
pub const SUB_PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// What the server answers to a key. RFC 6455 section 4.2.2
fn accept_of(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    Base64::encode_string(&hash.finalize())
}

#[cfg(test)]
mod tests {
    #[test]
    fn rfc_6455_section_1_3_example() {
        assert_eq!(super::accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
