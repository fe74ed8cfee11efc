//! WebSocket on a listener; `protocol websockets` stands with the listeners.

use super::super::option::{Again, Entry, Reload, Scope, Standing, Takes};
use sori_net::websocket::Network;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["websockets_origin"],
        toml: "listener.websockets.origins",
        scope: Scope::ListenerLine,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Replaces,
            set: |place, text| {
                place.listener.settings.transport.websockets_origins.push(text.to_owned());
                Ok(())
            },
        },
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Web pages of this origin may connect (`https://app.example.org`, compared exactly); each line adds one. Without \
               any, pages of all origins may. Clients that are no pages send no origin and are let in.",
    },
    Entry {
        words: &["websockets_trusted_proxy"],
        toml: "listener.websockets.trusted_proxies",
        scope: Scope::ListenerLine,
        takes: Takes::Text {
            longest: 100,
            again: Again::Replaces,
            set: |place, text| {
                let network = Network::parse(text).ok_or_else(|| {
                    let wrong = format!("'{text}' is neither an address nor a network.");
                    (wrong, "write one like 127.0.0.1, ::1 or 10.0.0.0/8.")
                })?;
                place.listener.settings.transport.websockets_trusted_proxies.push(network);
                Ok(())
            },
        },
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "A proxy whose header `X-Forwarded-For` is believed, by address or network; each line adds one. The address in \
               the header is then the client's in log lines.",
    },
];
