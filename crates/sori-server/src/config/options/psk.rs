//! TLS on a listener whose clients have keys instead of certificates.

use super::super::option::{Again, Entry, Reload, Scope, Standing, Takes};
use std::path::PathBuf;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["psk_file"],
        toml: "psk_file",
        scope: Scope::Security,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Replaces,
            set: |place, text| {
                place.security().psk_file = Some(PathBuf::from(text));
                Ok(())
            },
        },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The file that says who has which key: lines `identity:key`, the key in hexadecimal digits; `#` begins a \
               comment line. It counts on listeners with `psk_hint`. It is read again at each reload and when it changes: \
               clients stay connected unless their line is gone or has another key. With `per_listener_settings true` it \
               belongs to the listener above it.",
    },
    Entry {
        words: &["psk_hint"],
        toml: "listener.psk_hint",
        scope: Scope::Listener,
        takes: Takes::Text {
            longest: 256,
            again: Again::Replaces,
            set: |place, text| {
                place.listener.settings.transport.psk_hint = Some(text.to_owned());
                Ok(())
            },
        },
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The listener speaks TLS with keys that it shares with its clients (TLS-PSK), without certificates: TLS 1.2 \
               only. A client names itself, and what it has must be its key in `psk_file`. The hint is a text that each \
               client is told before; most take no notice of it.",
    },
];
