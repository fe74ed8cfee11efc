//! Options of Mosquitto whose machinery is not in this version. They are known, so that they are refused by name and
//! for a reason: a broker that ignored `require_certificate` would be open.

use super::super::option::{Again, Entry, Reload, Scope, Standing, Structure, Takes};

const TEXT: Takes = Takes::Text { longest: 65_535, again: Again::Replaces, set: |_, _| Ok(()) };
const FLAG: Takes = Takes::Flag(|_, _| ());
const WORDS: Takes = Takes::Word { form: "", sample: "", set: |_, _, _| Ok(()) };

const fn later(words: &'static [&'static str], scope: Scope, takes: Takes, needs: &'static str) -> Entry {
    let unless = if let Takes::Flag(_) = takes { Some("false") } else { None };
    refused(words, scope, takes, Standing::Later { needs, unless })
}

const fn refused(words: &'static [&'static str], scope: Scope, takes: Takes, standing: Standing) -> Entry {
    Entry { words, toml: "", scope, takes, default: "", reload: Reload::Restart, standing, help: "" }
}

const BRIDGES: &str = "bridges";
const ENGINE: Standing = Standing::Never("use a key file");

pub(super) const ENTRIES: &[Entry] = &[
    refused(&["dhparamfile"], Scope::Listener, Takes::Anything, Standing::Mapped("TLS chooses its groups by itself")),
    refused(&["tls_engine"], Scope::Listener, TEXT, ENGINE),
    refused(&["tls_engine_kpass_sha1"], Scope::Listener, TEXT, ENGINE),
    refused(&["tls_keyform"], Scope::Listener, TEXT, ENGINE),
    later(&["enable_control_api"], Scope::Global, FLAG, "the control topics"),
    later(&["connection"], Scope::Global, Takes::Structure(Structure::Connection), BRIDGES),
    later(
        &[
            "address",
            "addresses",
            "bridge_alpn",
            "bridge_attempt_unsubscribe",
            "bridge_bind_address",
            "bridge_cafile",
            "bridge_capath",
            "bridge_certfile",
            "bridge_ciphers",
            "bridge_ciphers_tls1.3",
            "bridge_identity",
            "bridge_insecure",
            "bridge_keyfile",
            "bridge_max_packet_size",
            "bridge_max_topic_alias",
            "bridge_outgoing_retain",
            "bridge_protocol_version",
            "bridge_psk",
            "bridge_receive_maximum",
            "bridge_reload_type",
            "bridge_require_ocsp",
            "bridge_session_expiry_interval",
            "bridge_tcp_keepalive",
            "bridge_tcp_user_timeout",
            "bridge_tls_use_os_certs",
            "bridge_tls_version",
            "cleansession",
            "clientid",
            "idle_timeout",
            "keepalive_interval",
            "local_cleansession",
            "local_clientid",
            "local_password",
            "local_username",
            "notification_topic",
            "notifications",
            "notifications_local_only",
            "password",
            "remote_clientid",
            "remote_password",
            "remote_username",
            "restart_timeout",
            "round_robin",
            "start_type",
            "threshold",
            "topic",
            "try_private",
            "username",
        ],
        Scope::Bridge,
        WORDS,
        BRIDGES,
    ),
];
