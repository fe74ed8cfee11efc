//! What stands in front of a listener.

use super::super::option::{Entry, Reload, Scope, Standing, Takes};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["enable_proxy_protocol"],
        toml: "listener.proxy_protocol",
        scope: Scope::ListenerLine,
        takes: Takes::Number {
            least: 1,
            most: 2,
            refusal: Some("enable_proxy_protocol must be 1 or 2."),
            set: |place, number| {
                place.listener.settings.transport.proxy_protocol = u8::try_from(number).ok();
            },
        },
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Connections come from a proxy that speaks this version of the PROXY protocol (HAProxy, nginx, load balancers), \
               and the client's address is the one that it tells. With 2, what it tells of TLS counts for \
               `require_certificate` and `use_identity_as_username`. Nobody else may be able to reach the listener: whoever \
               can, can claim to be anybody.",
    },
    Entry {
        words: &["proxy_protocol_v2_require_tls"],
        toml: "listener.proxy_protocol_v2_require_tls",
        scope: Scope::ListenerLine,
        takes: Takes::Flag(|place, value| place.listener.settings.transport.proxy_protocol_v2_require_tls = value),
        default: "false",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Clients that did not come to the proxy by TLS are refused. It needs `enable_proxy_protocol 2`.",
    },
];
