//! The options of TLS; all commands that connect share them, and those of Mosquitto's clients become the same values.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sori_client::Tls;
use sori_server::psk::read_key;

use crate::failure::Failure;

#[derive(Args, Debug)]
#[command(next_help_heading = "TLS (one of these options is enough to speak it; with a URL its scheme decides)")]
pub(crate) struct TlsArguments {
    /// Speak TLS, and trust whom this machine trusts
    #[arg(long, conflicts_with_all = ["cafile", "capath"])]
    tls: bool,
    /// Speak TLS, and trust these CAs (PEM)
    #[arg(long, value_name = "FILE")]
    cafile: Option<PathBuf>,
    /// The same, each CA in a file of its own
    #[arg(long, value_name = "DIRECTORY")]
    capath: Option<PathBuf>,
    /// This client's own certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// A key that is shared with the broker, instead of certificates: hexadecimal digits
    #[arg(long, value_name = "KEY", requires = "psk_identity", conflicts_with_all = ["tls", "cafile", "capath", "cert", "insecure"])]
    psk: Option<String>,
    /// Whose key it is
    #[arg(long, value_name = "NAME", requires = "psk")]
    psk_identity: Option<String>,
    /// Do not compare the broker's name with its certificate: whoever has any certificate of these CAs can read along
    #[arg(long)]
    insecure: bool,
    /// The lowest version of TLS
    #[arg(long, value_enum, value_name = "VERSION")]
    tls_version: Option<VersionArgument>,
    /// The application protocol to ask for (ALPN)
    #[arg(long, value_name = "PROTOCOL")]
    tls_alpn: Option<String>,
    /// Cipher suites to offer, as OpenSSL writes them
    #[arg(long, value_name = "LIST")]
    ciphers: Option<String>,
    /// Write the secrets of the connection there, for Wireshark
    #[arg(long, value_name = "FILE")]
    tls_keylog: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum VersionArgument {
    #[value(name = "1.2", alias = "tlsv1.2")]
    V12,
    #[value(name = "1.3", alias = "tlsv1.3")]
    V13,
}

impl TlsArguments {
    /// Whether there is anything that only TLS can keep.
    pub(crate) fn is_given(&self) -> bool {
        let files = [&self.cafile, &self.capath, &self.cert, &self.key, &self.tls_keylog];
        self.tls
            || self.psk.is_some()
            || self.insecure
            || self.tls_version.is_some()
            || self.tls_alpn.is_some()
            || self.ciphers.is_some()
            || files.into_iter().any(Option::is_some)
    }

    /// Whom to trust and what to show, if there is any such option.
    pub(crate) fn tls(&self) -> Result<Option<Tls>, Failure> {
        let wanted = Wanted {
            cafile: self.cafile.clone(),
            capath: self.capath.clone(),
            certificate: self.cert.clone().zip(self.key.clone()),
            psk: psk(self.psk.as_deref(), self.psk_identity.as_deref()).map_err(Failure::new)?,
            any_host_name: self.insecure,
            only_tls_1_3: self.tls_version == Some(VersionArgument::V13),
            alpn: self.tls_alpn.clone(),
            ciphers: self.ciphers.clone(),
            key_log: self.tls_keylog.clone(),
        };
        self.is_given().then(|| wanted.tls()).transpose()
    }
}

/// A key that the broker has, too.
pub(crate) struct SharedKey {
    identity: String,
    key: Box<[u8]>,
}

/// A key in hexadecimal digits, and whose it is.
pub(crate) fn psk(key: Option<&str>, identity: Option<&str>) -> Result<Option<SharedKey>, String> {
    let (Some(key), Some(identity)) = (key, identity) else { return Ok(None) };
    // What is wrong is told without the key.
    let key = read_key(key).map_err(|(at, hint)| format!("--psk, character {}: {hint}", at + 1))?;
    Ok(Some(SharedKey { identity: identity.to_owned(), key }))
}

/// What a command line says about TLS.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) cafile: Option<PathBuf>,
    pub(crate) capath: Option<PathBuf>,
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    /// Instead of certificates.
    pub(crate) psk: Option<SharedKey>,
    pub(crate) any_host_name: bool,
    pub(crate) only_tls_1_3: bool,
    pub(crate) alpn: Option<String>,
    pub(crate) ciphers: Option<String>,
    pub(crate) key_log: Option<PathBuf>,
}

impl Wanted {
    /// For the client library. Without files those are trusted whom this machine trusts.
    pub(crate) fn tls(self) -> Result<Tls, Failure> {
        let mut tls = Tls::new();
        if let Some(file) = self.cafile {
            tls = tls.ca_file(file);
        }
        if let Some(directory) = self.capath {
            tls = tls.ca_directory(directory);
        }
        if let Some((certificate, key)) = self.certificate {
            tls = tls.client_certificate(certificate, key);
        }
        if let Some(SharedKey { identity, key }) = self.psk {
            tls = tls.pre_shared_key(identity, key);
        }
        if self.any_host_name {
            tls = tls.insecure_any_host_name();
        }
        if self.only_tls_1_3 {
            tls = tls.only_tls_1_3();
        }
        if let Some(protocol) = self.alpn {
            tls = tls.alpn(protocol);
        }
        if let Some(list) = self.ciphers {
            tls = tls.ciphers(&list).map_err(|error| Failure::new(format!("--ciphers: {error}")))?;
        }
        if let Some(file) = self.key_log {
            tls = tls.key_log(file);
        }
        Ok(tls)
    }
}
