//! How the connections of a listener are carried: TLS, WebSocket, the PROXY protocol. What the lines say, and whether it goes
//! together; the files are read by [`Carrier`](crate::carrier::Carrier).

use super::files::pointed;
use super::remark::{Location, Remark, Severity};
use super::{ListenerConfig, Setting};
use crate::psk::{Keyring, Keys};
use sori_net::ListenerTls;
#[cfg(feature = "psk")]
use sori_net::tls::PskServerOptions;
use sori_net::tls::{ClientCertificates, TlsServerOptions, TlsVersion, unknown_ciphers};
use sori_net::websocket::Network;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is spoken on a listener, with TLS around it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// MQTT as it is.
    #[default]
    Mqtt,
    /// MQTT in WebSocket frames.
    WebSockets,
    /// HTTP, for figures and files; no MQTT.
    HttpApi,
}

/// What the lines of one listener say of its transports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransportConfig {
    /// What is spoken.
    pub protocol: Protocol,
    /// The files that are served, where HTTP is spoken.
    pub http_dir: Option<PathBuf>,
    /// Web pages of these origins may connect; of all, when there is none.
    pub websockets_origins: Vec<String>,
    /// `X-Forwarded-For` of these is believed.
    pub websockets_trusted_proxies: Vec<Network>,
    /// The server's certificate and those between it and the CA.
    pub certfile: Option<PathBuf>,
    /// The certificate's private key.
    pub keyfile: Option<PathBuf>,
    /// The CAs of client certificates.
    pub cafile: Option<PathBuf>,
    /// A directory of such files.
    pub capath: Option<PathBuf>,
    /// What the CAs have revoked.
    pub crlfile: Option<PathBuf>,
    /// Clients must show a certificate.
    pub require_certificate: bool,
    /// Clients have keys instead of certificates, and are told this before.
    pub psk_hint: Option<String>,
    /// The Common Name of the certificate, or the identity of the key, is the user name.
    pub use_identity_as_username: bool,
    /// The subject of the certificate is the user name.
    pub use_subject_as_username: bool,
    /// Client certificates of any date are taken.
    pub disable_client_cert_date_checks: bool,
    /// The lowest version, as it was written.
    pub tls_version: Option<String>,
    /// The suites of TLS 1.2, as an OpenSSL list.
    pub ciphers: Option<String>,
    /// The suites of TLS 1.3.
    pub ciphers_tls13: Option<String>,
    /// The version of the PROXY protocol that every connection begins with.
    pub proxy_protocol: Option<u8>,
    /// The client must have come to the proxy by TLS.
    pub proxy_protocol_v2_require_tls: bool,
    /// Connections come in by this network interface only.
    pub bind_interface: Option<String>,
}

impl TransportConfig {
    /// Nothing between the protocol and the socket.
    pub(crate) fn is_plain(&self) -> bool {
        self.protocol != Protocol::WebSockets && !self.speaks_tls() && self.proxy_protocol.is_none()
    }

    /// The broker itself speaks TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.certfile.is_some() || self.psk_hint.is_some()
    }

    /// A certificate or a key says who a client is.
    pub(crate) fn names_its_clients(&self) -> bool {
        match (self.speaks_tls(), self.proxy_protocol) {
            (true, _) => self.use_identity_as_username || self.use_subject_as_username,
            // As in Mosquitto: behind a proxy the name counts where a certificate is required.
            (false, Some(2)) => self.use_identity_as_username && self.require_certificate,
            _ => false,
        }
    }

    /// The files that are named, without the key: directories, and what lies in them.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let named = [&self.certfile, &self.cafile, &self.capath, &self.crlfile].into_iter().flatten();
        // One that cannot be read is told of where it is used.
        let below = self.capath.iter().filter_map(|directory| std::fs::read_dir(directory).ok()).flatten();
        let mut files: Vec<PathBuf> = named.cloned().chain(below.flatten().map(|entry| entry.path())).collect();
        files.sort();
        files.dedup();
        files
    }

    /// For clients with certificates.
    fn server_options(&self, key_log: Option<&PathBuf>) -> Result<Option<TlsServerOptions>, Fault> {
        let (options, faults) = self.server_options_at_least(key_log);
        faults.into_iter().next().map_or(Ok(options), Err)
    }

    /// The same as far as the lines go together, and what is wrong with them.
    fn server_options_at_least(&self, key_log: Option<&PathBuf>) -> (Option<TlsServerOptions>, Vec<Fault>) {
        let mut faults = Vec::new();
        let (Some(certfile), Some(keyfile)) = (&self.certfile, &self.keyfile) else { return (None, faults) };
        let client_certificates = self.client_certificates().unwrap_or_else(|fault| {
            faults.push(fault);
            ClientCertificates::None
        });
        let version_min = version_min(self.tls_version.as_deref()).unwrap_or_else(|fault| {
            faults.push(fault);
            TlsVersion::V12
        });
        let options = TlsServerOptions {
            certfile: certfile.clone(),
            keyfile: keyfile.clone(),
            cafile: self.cafile.clone(),
            capath: self.capath.clone(),
            client_certificates,
            version_min,
            ciphers: self.ciphers.clone(),
            ciphers_tls13: self.ciphers_tls13.clone(),
            key_log: key_log.cloned(),
        };
        (Some(options), faults)
    }

    /// For clients with keys.
    #[cfg(feature = "psk")]
    fn load_keys(&self, hint: &str, keys: Arc<Keys>, key_log: Option<&PathBuf>) -> Result<ListenerTls, Fault> {
        if version_min(self.tls_version.as_deref())? == TlsVersion::V13 {
            let text = "psk_hint goes with TLS 1.2 only. Check tls_version: it wants at least TLS 1.3.";
            return Err(Fault::new("tls_version", text));
        }
        let options =
            PskServerOptions { hint: hint.to_owned(), keys, ciphers: self.ciphers.clone(), key_log: key_log.cloned() };
        ListenerTls::with_keys(&options).map_err(|error| self.blame(&error))
    }

    #[cfg(not(feature = "psk"))]
    fn load_keys(&self, _: &str, _: Arc<Keys>, _: Option<&PathBuf>) -> Result<ListenerTls, Fault> {
        let text = "psk_hint needs a sori with TLS-PSK, which this one was built without (feature `psk`).";
        Err(Fault::new("psk_hint", text))
    }

    fn client_certificates(&self) -> Result<ClientCertificates, Fault> {
        if !self.require_certificate {
            // Mosquitto does not ask clients for certificates either, but a list that cannot be read is an error.
            return match &self.crlfile {
                Some(file) if !file.exists() => {
                    let file = file.display();
                    let text = format!(
                        "Unable to load certificate revocation file \"{file}\". Check crlfile: there is no such file."
                    );
                    Err(Fault::new("crlfile", text))
                }
                _ => Ok(ClientCertificates::None),
            };
        }
        if self.cafile.is_none() && self.capath.is_none() {
            let text = "require_certificate needs cafile or capath: whose certificates may clients have?";
            return Err(Fault::new("require_certificate", text));
        }
        Ok(ClientCertificates::Required {
            crlfile: self.crlfile.clone(),
            any_date: self.disable_client_cert_date_checks,
        })
    }

    /// Mosquitto's sentence about the file, and why.
    fn blame(&self, error: &sori_net::LoadError) -> Fault {
        let Some(path) = &error.path else {
            // Only lists of ciphers are wrong by themselves.
            let option = if self.ciphers.is_some() { "ciphers" } else { "ciphers_tls1.3" };
            return Fault::new(option, format!("Unable to set up TLS: {}.", error.reason));
        };
        let (what, option) = match Some(path) {
            path if path == self.keyfile.as_ref() => ("server key file", "keyfile"),
            path if path == self.certfile.as_ref() => ("server certificate", "certfile"),
            path if path == self.crlfile.as_ref() => ("certificate revocation file", "crlfile"),
            Some(path) if self.capath.as_ref().is_some_and(|directory| path.starts_with(directory)) => {
                ("CA certificates", "capath")
            }
            _ => ("CA certificates", "cafile"),
        };
        let text = format!("Unable to load {what} \"{}\". Check {option}: it {}.", path.display(), error.reason);
        Fault::new(option, text)
    }

    /// Words of the lists of ciphers that lead nowhere.
    fn unknown_ciphers(&self) -> Vec<(&'static str, String)> {
        // OpenSSL has its own words for suites with keys, and refuses a list that names none.
        if self.psk_hint.is_some() {
            return Vec::new();
        }
        let lists = [("ciphers", &self.ciphers, false), ("ciphers_tls1.3", &self.ciphers_tls13, true)];
        let unknown = lists.into_iter().filter_map(|(option, list, is_tls13)| {
            let unknown = unknown_ciphers(list.as_deref()?, is_tls13);
            (!unknown.is_empty()).then(|| (option, unknown.join(", ")))
        });
        unknown.collect()
    }
}

fn version_min(written: Option<&str>) -> Result<TlsVersion, Fault> {
    match written {
        None => Ok(TlsVersion::V12),
        Some("tlsv1.3") => Ok(TlsVersion::V13),
        Some("tlsv1.1" | "tlsv1") => {
            let text = "TLS versions below 1.2 are broken and not spoken; write `tls_version tlsv1.2`, which also is \
                        the default.";
            Err(Fault::new("tls_version", text))
        }
        Some(other) => Err(Fault::new("tls_version", format!("Unsupported tls_version \"{other}\"."))),
    }
}

/// Why a listener cannot speak TLS.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The option that says so, or names the file that does.
    pub(crate) option: &'static str,
    pub(crate) text: String,
}

impl Fault {
    fn new(option: &'static str, text: impl Into<String>) -> Fault {
        Fault { option, text: text.into() }
    }
}

impl ListenerConfig {
    /// The keys of its clients, if it asks for them.
    pub(crate) fn keyring(&self, version: u64) -> Option<Keyring> {
        self.transport.psk_hint.as_ref()?;
        let nobodys = || Arc::new(Keys::none(Path::new("")));
        Some(Keyring { keys: self.keys.clone().unwrap_or_else(nobodys), version })
    }

    /// Reads the files of TLS and checks them; `None` without TLS.
    pub(crate) fn load_tls(&self, key_log: Option<&PathBuf>) -> Result<Option<ListenerTls>, Fault> {
        if let (Some(hint), Some(keyring)) = (&self.transport.psk_hint, self.keyring(0)) {
            return self.transport.load_keys(hint, keyring.keys, key_log).map(Some);
        }
        let Some(options) = self.transport.server_options(key_log)? else { return Ok(None) };
        ListenerTls::load(&options).map(Some).map_err(|error| self.transport.blame(&error))
    }

    /// Everything that [`load_tls`](Self::load_tls) would fail of, file by file.
    pub(crate) fn tls_faults(&self) -> Vec<Fault> {
        if self.transport.psk_hint.is_some() {
            return self.load_tls(None).err().into_iter().collect();
        }
        let (options, mut faults) = self.transport.server_options_at_least(None);
        if let Some(options) = options {
            faults.extend(ListenerTls::faults(&options).iter().map(|error| self.transport.blame(error)));
        }
        faults
    }
}

/// Keys without a listener that asks for them, and the other way round.
pub(super) fn check_keys(listeners: &[ListenerConfig], settings: &[Setting], remarks: &mut Vec<Remark>) {
    let asks = |listener: &ListenerConfig| listener.transport.psk_hint.is_some();
    for (index, listener) in listeners.iter().enumerate().filter(|(_, listener)| asks(listener)) {
        if listener.keys.is_none() {
            let at = place_of("psk_hint", index, settings).or_else(|| listener.declared_at.clone());
            let remark = Remark::new(Severity::Warning, "psk_hint without psk_file: no client can connect.").at(at);
            remarks.push(remark.hint("`psk_file <path>`, with a line <identity>:<key> for each client."));
        }
    }
    if listeners.iter().any(|listener| listener.keys.is_some()) && !listeners.iter().any(asks) {
        let remark = Remark::new(Severity::Warning, "psk_file means nothing without psk_hint.")
            .hint("`psk_hint <text>` below the listener whose clients have these keys.");
        remarks.push(pointed("psk_file", settings, remark));
    }
}

/// The line with one of these options below a listener, which has this number in the order of the file.
fn place_of(option: &str, listener: usize, settings: &[Setting]) -> Option<Location> {
    let is_it = |line: &&Setting| line.listener == Some(listener) && line.entry.words.contains(&option);
    settings.iter().rev().find(is_it).map(Setting::place)
}

/// What no single line can show.
pub(super) fn check<'a>(
    listeners: impl Iterator<Item = &'a ListenerConfig>,
    settings: &[Setting],
    remarks: &mut Vec<Remark>,
) {
    for (index, listener) in listeners.enumerate() {
        let transport = &listener.transport;
        let mut tell = |severity, options: &[&str], text: String, hint: &str| {
            let line = options.iter().find_map(|option| place_of(option, index, settings));
            let remark = Remark::new(severity, text).at(line.or_else(|| listener.declared_at.clone()));
            remarks.push(remark.hint(hint));
        };
        for (options, text, hint) in errors(transport) {
            tell(Severity::Error, options, text.to_owned(), hint);
        }
        for (options, text, hint) in warnings(transport) {
            tell(Severity::Warning, options, text.to_owned(), hint);
        }
        for (option, words) in transport.unknown_ciphers() {
            let text = format!("No cipher that is spoken here is named in '{option}' by: {words}.");
            tell(Severity::Warning, &[option], text, "TLS 1.2 and 1.3 are spoken with AES-GCM and ChaCha20 only.");
        }
    }
}

/// The options of which the first one that stands there is the line to look at, what is the matter, and what to do.
type Told = (&'static [&'static str], &'static str, &'static str);

/// In Mosquitto's words.
fn errors(transport: &TransportConfig) -> Vec<Told> {
    let (has_certificate, has_key) = (transport.certfile.is_some(), transport.keyfile.is_some());
    let is_proxy_v2 = transport.proxy_protocol == Some(2);
    let cases: [(bool, Told); 6] = [
        (
            has_certificate != has_key,
            (
                &["certfile", "keyfile"],
                "Both certfile and keyfile must be provided to enable a TLS listener.",
                "certfile is the server's certificate, keyfile its private key; they may be the same file.",
            ),
        ),
        (
            transport.cafile.is_some() && !has_certificate && transport.psk_hint.is_none(),
            (
                &["cafile"],
                "cafile specified without certfile and keyfile.",
                "cafile is for the certificates of clients; the server needs a certificate of its own.",
            ),
        ),
        (
            transport.capath.is_some() && !has_certificate && transport.psk_hint.is_none(),
            (
                &["capath"],
                "capath specified without certfile and keyfile.",
                "capath is for the certificates of clients; the server needs a certificate of its own.",
            ),
        ),
        (
            is_proxy_v2 && transport.use_subject_as_username,
            (
                &["use_subject_as_username"],
                "use_subject_as_username cannot be used with `enable_proxy_protocol 2`.",
                "a proxy tells the Common Name only: use_identity_as_username.",
            ),
        ),
        (
            transport.psk_hint.is_some()
                && (has_certificate || has_key || transport.cafile.is_some() || transport.capath.is_some()),
            (
                &["psk_hint"],
                "Cannot use both certificate and psk encryption in a single listener.",
                "give certificates and psk_hint a listener each.",
            ),
        ),
        (
            is_proxy_v2 && (has_certificate || has_key),
            (
                &["certfile", "keyfile"],
                "certfile and keyfile cannot be used with `enable_proxy_protocol 2`.",
                "the proxy speaks TLS with the clients.",
            ),
        ),
    ];
    cases.into_iter().filter(|(is_so, _)| *is_so).map(|(_, told)| told).collect()
}

fn warnings(transport: &TransportConfig) -> Vec<Told> {
    let is_named = transport.use_identity_as_username || transport.use_subject_as_username;
    let is_v2 = transport.proxy_protocol == Some(2);
    let has_certificates = transport.certfile.is_some() || is_v2;
    let has_keys = transport.psk_hint.is_some();
    let has_websocket_options =
        !transport.websockets_origins.is_empty() || !transport.websockets_trusted_proxies.is_empty();
    let cases: [(bool, Told); 7] = [
        (
            is_named && has_certificates && !has_keys && !transport.require_certificate,
            (
                &["use_identity_as_username", "use_subject_as_username"],
                "The user name is to come from a certificate, and none is asked for: no client can connect.",
                "`require_certificate true`, with the CA of the clients in cafile.",
            ),
        ),
        (
            transport.use_subject_as_username && !transport.use_identity_as_username && has_keys,
            (
                &["use_subject_as_username"],
                "The user name is to come from a certificate, and clients with keys have none: no client can connect.",
                "`use_identity_as_username true` makes the identity of the key the user name.",
            ),
        ),
        (
            is_named && !has_certificates && !has_keys,
            (
                &["use_identity_as_username", "use_subject_as_username"],
                "use_identity_as_username and use_subject_as_username mean nothing without TLS.",
                "give the listener certfile and keyfile.",
            ),
        ),
        (
            transport.require_certificate && !has_certificates,
            (
                &["require_certificate"],
                "require_certificate means nothing without certfile and keyfile.",
                "give the listener certfile and keyfile.",
            ),
        ),
        (
            transport.proxy_protocol_v2_require_tls && !is_v2,
            (
                &["proxy_protocol_v2_require_tls"],
                "proxy_protocol_v2_require_tls means nothing without `enable_proxy_protocol 2`.",
                "write `enable_proxy_protocol 2` below the same listener.",
            ),
        ),
        (
            has_websocket_options && transport.protocol != Protocol::WebSockets,
            (
                &["websockets_origin", "websockets_trusted_proxy"],
                "Options of WebSocket mean nothing without `protocol websockets`.",
                "write `protocol websockets` below the same listener.",
            ),
        ),
        (
            transport.http_dir.is_some() && transport.protocol != Protocol::HttpApi,
            (
                &["http_dir"],
                "http_dir means nothing without `protocol http_api`.",
                "give the files a listener of their own.",
            ),
        ),
    ];
    cases.into_iter().filter(|(is_so, _)| *is_so).map(|(_, told)| told).collect()
}
