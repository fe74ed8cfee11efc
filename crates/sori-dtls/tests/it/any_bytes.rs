//! Whatever comes from the network, nothing panics, and nobody comes in.

use crate::pair::{Pair, WHOLE, client_of, server_of};
use proptest::prelude::*;
use sori_dtls::{PskClient, PskServer};
use std::sync::LazyLock;

// Setting up one of these takes as long as a hundred handshakes.
static SERVER: LazyLock<PskServer> = LazyLock::new(|| server_of(None).expect("good options"));
static CLIENT: LazyLock<PskClient> = LazyLock::new(|| client_of("ann", b"key of ann", None).expect("good options"));

proptest! {
    #[test]
    fn any_bytes_end_a_handshake_or_wait_for_more(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut server = SERVER.accept().expect("memory");
        let (mut plain, mut output) = (Vec::new(), Vec::new());
        let _ = server.receive(&bytes, &mut plain, &mut output);
        prop_assert!(server.is_handshaking() && plain.is_empty());
    }

    /// One bit of what the client says is turned.
    #[test]
    fn a_damaged_record_is_never_taken(at in 0usize..2000, bit in 0u8..8) {
        let mut pair = Pair::new(&CLIENT, &SERVER);
        prop_assert_eq!(pair.shake_hands(WHOLE), (None, None));
        let mut wire = Vec::new();
        pair.client.send(&[b'x'; 100], &mut wire).expect("is open");
        let at = at % wire.len();
        wire[at] ^= 1 << bit;
        let (mut plain, mut output) = (Vec::new(), Vec::new());
        let outcome = pair.server.receive(&wire, &mut plain, &mut output);
        // A longer length waits for the rest; everything else is an error with an alert.
        prop_assert!(plain.is_empty());
        prop_assert_ne!(outcome.is_err(), output.is_empty());
    }
}
