//! Whom a client trusts, and how it proves who it is.

use std::path::PathBuf;

#[cfg(feature = "psk")]
use sori_net::tls::PskClientOptions;
use sori_net::tls::{ServerRoots, TlsVersion, unknown_ciphers};
use sori_net::{TlsClient, TlsClientOptions};

use crate::error::Error;

/// TLS for `mqtts://` and `wss://`. Unless something else is chosen, servers are trusted whose certificate has the host's name
/// and comes from an authority that this machine trusts.
///
/// ```
/// use sori_client::{Options, Tls};
///
/// let tls = Tls::new().ca_file("/etc/ssl/our-ca.pem").client_certificate("device-7.pem", "device-7.key");
/// let options = Options::new("mqtts://broker.example")?.tls(tls);
/// # Ok::<(), sori_client::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    options: TlsClientOptions,
    #[cfg(feature = "psk")]
    psk: Option<Psk>,
}

/// Who a client is, and the key that proves it.
#[cfg(feature = "psk")]
#[derive(Clone, PartialEq, Eq)]
struct Psk {
    identity: String,
    key: Vec<u8>,
}

#[cfg(feature = "psk")]
impl std::fmt::Debug for Psk {
    /// Without the key, so that none ever stands in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Psk({:?})", self.identity)
    }
}

impl Tls {
    /// The authorities that this machine trusts, TLS 1.2 and 1.3.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only servers with a certificate from the authorities in this file (PEM) are trusted; a server's own certificate may
    /// stand there, too.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        let capath = match self.options.roots {
            ServerRoots::Files { capath, .. } => capath,
            _ => None,
        };
        self.options.roots = ServerRoots::Files { cafile: Some(path.into()), capath };
        self
    }

    /// The same for all files of a directory.
    #[must_use]
    pub fn ca_directory(mut self, path: impl Into<PathBuf>) -> Self {
        let cafile = match self.options.roots {
            ServerRoots::Files { cafile, .. } => cafile,
            _ => None,
        };
        self.options.roots = ServerRoots::Files { cafile, capath: Some(path.into()) };
        self
    }

    /// The certificate (with those between it and its authority) and the key that this client shows, as files in PEM.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.options.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// A key that client and server share takes the place of certificates: the server knows this client by the identity and the key,
    /// and proves that it has the same. TLS 1.2 only; what was said about certificates is an error then.
    #[cfg(feature = "psk")]
    #[must_use]
    pub fn pre_shared_key(mut self, identity: impl Into<String>, key: impl Into<Vec<u8>>) -> Self {
        self.psk = Some(Psk { identity: identity.into(), key: key.into() });
        self
    }

    /// A protocol that is offered to the server (ALPN), for those that serve several at one port. The first is preferred.
    #[must_use]
    pub fn alpn(mut self, protocol: impl Into<Vec<u8>>) -> Self {
        self.options.alpn.push(protocol.into());
        self
    }

    /// TLS 1.3 and nothing older.
    #[must_use]
    pub fn only_tls_1_3(mut self) -> Self {
        self.options.version_min = TlsVersion::V13;
        self
    }

    /// The cipher suites that are offered, as OpenSSL writes them and separated by colons: those of TLS 1.3 by their names, those of
    /// TLS 1.2 also as a list such as `ECDHE+AESGCM`. Of a version without any in the list all are offered. Behind a pre-shared key it is a
    /// list of suites with a key, such as `PSK-AES128-GCM-SHA256`.
    ///
    /// # Errors
    /// A name in the list is not spoken here: a list that means less than it says is no protection.
    pub fn ciphers(mut self, list: &str) -> Result<Self, Error> {
        #[cfg(feature = "psk")]
        if self.psk.is_some() {
            self.options.ciphers = Some(list.to_owned());
            return Ok(self);
        }
        let names = list.split([':', ',', ' ']).filter(|name| !name.is_empty());
        let (tls13, tls12): (Vec<&str>, Vec<&str>) =
            names.partition(|name| name.starts_with("TLS_") && !name.contains("_WITH_"));
        let lists = [(tls12.join(":"), false), (tls13.join(":"), true)];
        let unknown: Vec<String> = lists.iter().flat_map(|(list, is_tls13)| unknown_ciphers(list, *is_tls13)).collect();
        if !unknown.is_empty() {
            return Err(Error::TlsCiphers(unknown.join(", ")));
        }
        let [tls12, tls13] = lists.map(|(list, _)| Some(list).filter(|list| !list.is_empty()));
        (self.options.ciphers, self.options.ciphers_tls13) = (tls12, tls13);
        Ok(self)
    }

    /// Writes the secrets of all connections to this file, for Wireshark: whoever has it can read everything.
    #[must_use]
    pub fn key_log(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.key_log = Some(path.into());
        self
    }

    /// **Dangerous**: the server's certificate need not have the host's name, so whoever has any certificate of a trusted
    /// authority can read and change everything, passwords included.
    #[must_use]
    pub fn insecure_any_host_name(mut self) -> Self {
        self.options.any_host_name = true;
        self
    }

    /// **Dangerous**: every certificate is taken, so whoever is on the way can read and change everything, passwords
    /// included. For tests; the safe way to a server with a certificate of its own is [`ca_file`](Self::ca_file).
    #[must_use]
    pub fn insecure_any_server(mut self) -> Self {
        self.options.roots = ServerRoots::Anybody;
        self
    }

    pub(super) fn load(&self) -> Result<TlsClient, Error> {
        #[cfg(feature = "psk")]
        if let Some(psk) = &self.psk {
            return self.load_psk(psk);
        }
        TlsClient::load(&self.options).map_err(|error| Error::TlsFiles(error.to_string()))
    }

    #[cfg(feature = "psk")]
    fn load_psk(&self, psk: &Psk) -> Result<TlsClient, Error> {
        let TlsClientOptions { roots, certificate, any_host_name, alpn, version_min, ciphers, key_log, .. } =
            &self.options;
        if *roots != ServerRoots::System || certificate.is_some() || *any_host_name {
            let text = "a pre-shared key takes the place of certificates: leave out the one or the others";
            return Err(Error::TlsFiles(text.to_owned()));
        }
        if *version_min == TlsVersion::V13 {
            return Err(Error::TlsFiles("pre-shared keys go with TLS 1.2, and TLS 1.3 was asked for".to_owned()));
        }
        let options = PskClientOptions {
            identity: psk.identity.clone(),
            key: psk.key.clone(),
            alpn: alpn.clone(),
            ciphers: ciphers.clone(),
            key_log: key_log.clone(),
        };
        TlsClient::with_key(&options).map_err(|error| Error::TlsFiles(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "psk")]
    fn a_key_takes_the_place_of_certificates() {
        let tls = || Tls::new().pre_shared_key("me", *b"secret");
        tls().load().expect("is enough");
        tls().ciphers("PSK-AES128-GCM-SHA256").expect("a list").load().expect("has a key");
        let refused = |tls: Tls| tls.load().expect_err("does not go together").to_string();
        for tls in [tls().ca_file("x"), tls().client_certificate("x", "x"), tls().insecure_any_host_name()] {
            assert!(refused(tls).contains("takes the place of certificates"));
        }
        assert!(refused(tls().only_tls_1_3()).contains("TLS 1.2"));
        assert!(refused(tls().ciphers("HIHG").expect("a list")).contains("none of them has a pre-shared key"));
        assert!(refused(Tls::new().pre_shared_key("", *b"secret")).contains("an identity has"));
        let shown = format!("{:?}", tls());
        assert!(shown.contains("me") && !shown.contains("115"), "{shown}");
    }

    #[test]
    fn a_list_of_suites_is_two() {
        let check = |list: &str, tls12: Option<&str>, tls13: Option<&str>| {
            let tls = Tls::new().ciphers(list).expect("suites");
            let found = (tls.options.ciphers.as_deref(), tls.options.ciphers_tls13.as_deref());
            assert_eq!(found, (tls12, tls13), "{list}");
        };
        check("HIGH:!aNULL", Some("HIGH:!aNULL"), None);
        check("TLS_AES_128_GCM_SHA256", None, Some("TLS_AES_128_GCM_SHA256"));
        check(
            "ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384",
            Some("ECDHE-RSA-AES256-GCM-SHA384"),
            Some("TLS_AES_256_GCM_SHA384"),
        );
        for list in ["HIHG", "TLS_AES_128_CCM_SHA256", "HIGH:HIHG"] {
            assert!(matches!(Tls::new().ciphers(list), Err(Error::TlsCiphers(_))), "{list}");
        }
    }
}
