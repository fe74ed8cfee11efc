//! TLS on a listener.

use super::super::option::{Again, Entry, Place, Refused, Reload, Scope, Standing, Takes};
use std::path::PathBuf;

/// The rest of the line, stored whole.
const fn text(again: Again, set: fn(&mut Place<'_>, &str) -> Result<(), Refused>) -> Takes {
    Takes::Text { longest: 65_535, again, set }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["cafile"],
        toml: "listener.tls.cafile",
        scope: Scope::Listener,
        takes: text(Again::Replaces, |place, text| {
            place.listener.settings.transport.cafile = Some(PathBuf::from(text));
            Ok(())
        }),
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The CAs whose certificates clients may have, as one PEM file. It counts with `require_certificate true`. CAs \
               between the server's certificate and the root may stand here, too, if `certfile` has one certificate only.",
    },
    Entry {
        words: &["capath"],
        toml: "listener.tls.capath",
        scope: Scope::Listener,
        takes: text(Again::Replaces, |place, text| {
            place.listener.settings.transport.capath = Some(PathBuf::from(text));
            Ok(())
        }),
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "A directory of files as in `cafile`. Their names do not matter: no `c_rehash` is needed.",
    },
    Entry {
        words: &["certfile"],
        toml: "listener.tls.certfile",
        scope: Scope::Listener,
        takes: text(Again::Replaces, |place, text| {
            place.listener.settings.transport.certfile = Some(PathBuf::from(text));
            Ok(())
        }),
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The server's certificate, and behind it in the same file those between it and the CA, as PEM. With it and \
               `keyfile` the listener speaks TLS. A changed file is read again by itself; a file that cannot be used \
               changes nothing.",
    },
    Entry {
        words: &["ciphers"],
        toml: "listener.tls.ciphers",
        scope: Scope::Listener,
        takes: text(Again::Replaces, |place, text| {
            place.listener.settings.transport.ciphers = Some(text.to_owned());
            Ok(())
        }),
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The suites of TLS 1.2 that may be used, as a list of OpenSSL (`HIGH:!aNULL`, `ECDHE+AESGCM`, names). Only suites \
               with ECDHE and AES-GCM or ChaCha20-Poly1305 are spoken, so that a list can only choose among six. With \
               `psk_hint` it chooses among the suites with a pre-shared key (`PSK-AES128-GCM-SHA256`).",
    },
    Entry {
        words: &["ciphers_tls1.3"],
        toml: "listener.tls.ciphers_tls13",
        scope: Scope::Listener,
        takes: text(Again::Replaces, |place, text| {
            place.listener.settings.transport.ciphers_tls13 = Some(text.to_owned());
            Ok(())
        }),
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The suites of TLS 1.3 that may be used, with colons between them: TLS_AES_256_GCM_SHA384, \
               TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256.",
    },
    Entry {
        words: &["crlfile"],
        toml: "listener.tls.crlfile",
        scope: Scope::Listener,
        takes: text(Again::Replaces, |place, text| {
            place.listener.settings.transport.crlfile = Some(PathBuf::from(text));
            Ok(())
        }),
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The certificates that the CAs have revoked, as PEM lists. A client is let in only if the list of its CA is in \
               the file, is not outdated and does not name it.",
    },
    Entry {
        words: &["disable_client_cert_date_checks"],
        toml: "listener.tls.disable_client_cert_date_checks",
        scope: Scope::Listener,
        takes: Takes::Flag(|place, value| place.listener.settings.transport.disable_client_cert_date_checks = value),
        default: "false",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Client certificates whose time is over or has not come are taken, too. For devices that have lost their clock; \
               everything else is still checked.",
    },
    Entry {
        words: &["keyfile"],
        toml: "listener.tls.keyfile",
        scope: Scope::Listener,
        takes: text(Again::Replaces, |place, text| {
            place.listener.settings.transport.keyfile = Some(PathBuf::from(text));
            Ok(())
        }),
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The private key of the certificate in `certfile`, as PEM, without a pass phrase.",
    },
    Entry {
        words: &["require_certificate"],
        toml: "listener.tls.require_certificate",
        scope: Scope::Listener,
        takes: Takes::Flag(|place, value| place.listener.settings.transport.require_certificate = value),
        default: "false",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Clients must show a certificate of one of the CAs in `cafile` or `capath`. Behind `enable_proxy_protocol 2` the \
               proxy must have verified it.",
    },
    Entry {
        words: &["tls_version"],
        toml: "listener.tls.version",
        scope: Scope::ListenerLine,
        takes: text(Again::Replaces, |place, text| {
            let is_default = text == "tlsv1.2";
            place.listener.settings.transport.tls_version = (!is_default).then(|| text.to_owned());
            Ok(())
        }),
        default: "tlsv1.2",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The lowest version of TLS that is spoken: `tlsv1.2` or `tlsv1.3`.",
    },
    Entry {
        words: &["use_identity_as_username"],
        toml: "listener.tls.use_identity_as_username",
        scope: Scope::Listener,
        takes: Takes::Flag(|place, value| place.listener.settings.transport.use_identity_as_username = value),
        default: "false",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The user name is the Common Name of the client's certificate; user name and password of the client do not \
               count, and no password is asked for. It needs `require_certificate true`. With `psk_hint` it is the identity \
               whose key the client has.",
    },
    Entry {
        words: &["use_subject_as_username"],
        toml: "listener.tls.use_subject_as_username",
        scope: Scope::Listener,
        takes: Takes::Flag(|place, value| place.listener.settings.transport.use_subject_as_username = value),
        default: "false",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The user name is the whole subject of the client's certificate, written as `openssl x509 -subject -nameopt \
               RFC2253` writes it: `CN=device,O=Acme`. `use_identity_as_username` wins over it.",
    },
];
