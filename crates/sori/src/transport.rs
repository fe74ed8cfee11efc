//! The options about what lies between the socket and MQTT: TLS, WebSocket and proxies. All commands that connect share
//! them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sori_net::Proxy;
use sori_net::TlsClientOptions;
use sori_net::proxy::Credentials;
use sori_net::tls::{ServerRoots, TlsVersion, unknown_ciphers};

use crate::failure::Failure;
use crate::url::Url;
use crate::way::{ProxyServer, Way};

#[derive(Args, Debug)]
#[command(next_help_heading = "TLS and proxies (one of the options of TLS is enough to speak it)")]
pub(crate) struct TransportArguments {
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
    /// Connect through a proxy: socks5h://[user[:password]@]host[:port], or http://...
    #[arg(long, value_name = "URL", value_parser = proxy, conflicts_with = "unix")]
    proxy: Option<ProxyServer>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum VersionArgument {
    #[value(name = "1.2", alias = "tlsv1.2")]
    V12,
    #[value(name = "1.3", alias = "tlsv1.3")]
    V13,
}

impl TransportArguments {
    /// Whether there is anything that only TLS can keep.
    pub(crate) fn asks_for_tls(&self) -> bool {
        let files = [&self.cafile, &self.capath, &self.cert, &self.key, &self.tls_keylog];
        self.tls
            || self.insecure
            || self.tls_version.is_some()
            || self.tls_alpn.is_some()
            || self.ciphers.is_some()
            || files.into_iter().any(Option::is_some)
    }

    /// The way, with TLS also where the URL asks for it.
    pub(crate) fn way(&self, tls: bool, web_socket: Option<String>) -> Result<Way, Failure> {
        let tls = (tls || self.asks_for_tls()).then(|| self.tls()).transpose()?;
        Ok(Way { proxy: self.proxy.clone(), tls, web_socket })
    }

    fn tls(&self) -> Result<TlsClientOptions, Failure> {
        let (ciphers, ciphers_tls13) = self.ciphers.as_deref().map(suites).transpose()?.unwrap_or_default();
        Ok(TlsClientOptions {
            roots: roots(self.cafile.clone(), self.capath.clone()),
            certificate: self.cert.clone().zip(self.key.clone()),
            any_host_name: self.insecure,
            alpn: self.tls_alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect(),
            version_min: match self.tls_version {
                Some(VersionArgument::V13) => TlsVersion::V13,
                Some(VersionArgument::V12) | None => TlsVersion::V12,
            },
            ciphers,
            ciphers_tls13,
            key_log: self.tls_keylog.clone(),
        })
    }
}

/// Those of the files, or without files whom this machine trusts.
pub(crate) fn roots(cafile: Option<PathBuf>, capath: Option<PathBuf>) -> ServerRoots {
    match (cafile, capath) {
        (None, None) => ServerRoots::System,
        (cafile, capath) => ServerRoots::Files { cafile, capath },
    }
}

/// A list of cipher suites as that of TLS 1.2 and that of TLS 1.3. A name that leads nowhere is refused: a list that means
/// less than it says is no protection.
pub(crate) fn suites(list: &str) -> Result<(Option<String>, Option<String>), Failure> {
    let names = list.split([':', ',', ' ']).filter(|name| !name.is_empty());
    let (tls13, tls12): (Vec<&str>, Vec<&str>) =
        names.partition(|name| name.starts_with("TLS_") && !name.contains("_WITH_"));
    let lists = [(tls12.join(":"), false), (tls13.join(":"), true)];
    let unknown: Vec<String> = lists.iter().flat_map(|(list, is_tls13)| unknown_ciphers(list, *is_tls13)).collect();
    if !unknown.is_empty() {
        return Err(Failure::new(format!(
            "--ciphers: {} is not spoken here; those of TLS 1.2 are ECDHE-*-AES*-GCM-* and ECDHE-*-CHACHA20-POLY1305, \
             those of TLS 1.3 TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256 and TLS_CHACHA20_POLY1305_SHA256",
            unknown.join(", ")
        )));
    }
    let [tls12, tls13] = lists.map(|(list, _)| Some(list).filter(|list| !list.is_empty()));
    Ok((tls12, tls13))
}

/// The URL of `--proxy`.
fn proxy(text: &str) -> Result<ProxyServer, String> {
    let url = Url::parse(text)?;
    let credentials =
        url.user_name.map(|user_name| Credentials { user_name, password: url.password.unwrap_or_default() });
    let (kind, port) = match url.scheme.as_str() {
        "socks5h" => (Proxy::Socks5 { credentials }, 1080),
        "http" => (Proxy::Http { credentials }, 8080),
        _ => return Err("it begins with socks5h:// or http://".to_owned()),
    };
    if !matches!(url.path.as_str(), "" | "/") {
        return Err("behind the port of a proxy comes nothing".to_owned());
    }
    Ok(ProxyServer { host: url.host, port: url.port.unwrap_or(port), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_suites_is_two() {
        let lists = |tls12: Option<&str>, tls13: Option<&str>| Ok((tls12.map(str::to_owned), tls13.map(str::to_owned)));
        assert_eq!(suites("HIGH:!aNULL"), lists(Some("HIGH:!aNULL"), None));
        assert_eq!(suites("TLS_AES_128_GCM_SHA256"), lists(None, Some("TLS_AES_128_GCM_SHA256")));
        assert_eq!(
            suites("ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384"),
            lists(Some("ECDHE-RSA-AES256-GCM-SHA384"), Some("TLS_AES_256_GCM_SHA384"))
        );
        assert!(suites("HIHG").is_err() && suites("TLS_AES_128_CCM_SHA256").is_err());
    }

    #[test]
    fn proxies_are_of_two_kinds() {
        let found = proxy("socks5h://u:p@h").expect("a proxy");
        let credentials = Some(Credentials { user_name: "u".to_owned(), password: "p".to_owned() });
        assert_eq!(found, ProxyServer { host: "h".to_owned(), port: 1080, kind: Proxy::Socks5 { credentials } });
        let kind = Proxy::Http { credentials: None };
        assert_eq!(proxy("http://h:3128/"), Ok(ProxyServer { host: "h".to_owned(), port: 3128, kind }));
        for url in ["socks5://h", "https://h", "http://h/path", "h"] {
            assert!(proxy(url).is_err(), "{url}");
        }
    }
}
