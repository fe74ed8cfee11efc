//! From the flags about TLS, WebSocket and proxies to the way to the broker.
//!
//! Whether TLS is spoken is decided as Mosquitto's clients do it: `--cafile`, `--capath`, `--psk`, `--tls-use-os-certs` and port 8883 ask for it, and
//! `--no-tls` has the last word. What this program cannot do is said before anything is sent, and never left out in silence.

use super::options::{Options, Tls};
use crate::failure::Failure;
use crate::settings::{Endpoint, Way};
use crate::transport::{Wanted, psk};

/// The path that Mosquitto's clients ask for.
const WEB_SOCKET_PATH: &str = "/mqtt";
const TLS_PORT: u16 = 8883;

/// Where to connect.
pub(super) fn endpoint(options: &Options) -> Endpoint {
    let host = options.host.clone().unwrap_or_else(|| "localhost".to_owned());
    match (&options.unix, options.port) {
        (Some(path), _) => Endpoint::Unix(path.clone()),
        // The DNS says which port.
        _ if options.srv => Endpoint::Domain(host),
        // Without a port, the host is the path of a socket.
        (None, Some(0)) => Endpoint::Unix(host.into()),
        (None, Some(port)) => Endpoint::Tcp { host, port },
        (None, None) if names_its_peer(&options.tls) => Endpoint::Tcp { host, port: TLS_PORT },
        (None, None) => Endpoint::Tcp { host, port: 1883 },
    }
}

/// What lies between, and a warning about flags that then mean nothing.
pub(super) fn way(options: &Options) -> Result<(Way, Option<String>), Failure> {
    let tls = &options.tls;
    refuse_impossible(tls)?;
    let is_wanted = names_its_peer(tls) || tls.system_roots || options.port == Some(TLS_PORT);
    let speaks_tls = is_wanted && !tls.off;
    let way = Way {
        proxy: options.proxy.clone(),
        tls: speaks_tls.then(|| client_tls(tls)).transpose()?,
        web_socket: options.web_socket.then(|| WEB_SOCKET_PATH.to_owned()),
    };
    Ok((way, warning(tls, speaks_tls)))
}

fn warning(tls: &Tls, speaks_tls: bool) -> Option<String> {
    if speaks_tls {
        let is_idle = tls.psk.is_some() && (tls.certificate.is_some() || tls.insecure);
        return is_idle.then(|| "Warning: --cert, --key and --insecure mean nothing with --psk.".to_owned());
    }
    let idle = if tls.off { Vec::new() } else { flags_of_tls(tls) };
    (!idle.is_empty()).then(|| {
        format!(
            "Warning: {} without TLS: nothing is encrypted. --cafile, --capath, --psk, --tls-use-os-certs or -p 8883 ask for TLS.",
            idle.join(", ")
        )
    })
}

/// Whose certificates the broker may have, or the key that it must have.
const fn names_its_peer(tls: &Tls) -> bool {
    tls.ca_file.is_some() || tls.ca_path.is_some() || tls.psk.is_some()
}

fn refuse_impossible(tls: &Tls) -> Result<(), Failure> {
    if tls.off {
        return Ok(());
    }
    if let Some(engine) = &tls.engine {
        return Err(Failure::new(format!(
            "Problem setting TLS engine, is {engine} a valid engine? This program has none; use a key in a file (--key)."
        )));
    }
    match tls.key_form.as_deref() {
        None | Some("pem") => Ok(()),
        Some("engine") => Err(Failure::new("Problem setting key form: this program has no engines; use 'pem'.")),
        Some(_) => Err(Failure::new("Problem setting key form, it must be one of 'pem' or 'engine'.")),
    }
}

fn client_tls(tls: &Tls) -> Result<sori_client::Tls, Failure> {
    for path in [&tls.ca_file, &tls.ca_path, &tls.certificate, &tls.key].into_iter().flatten() {
        if !path.exists() {
            return Err(Failure::new(format!("Problem setting TLS options: File not found. ({})", path.display())));
        }
    }
    let only_tls_1_3 = match tls.version.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("tlsv1.2") => false,
        Some("tlsv1.3") => true,
        Some(other) => {
            return Err(Failure::new(format!(
                "Problem setting TLS options, check the options are valid. (--tls-version {other}: tlsv1.2 or tlsv1.3)"
            )));
        }
    };
    let shared = psk(tls.psk.as_deref(), tls.psk_identity.as_deref());
    let shared = shared.map_err(|text| Failure::new(format!("Problem setting TLS-PSK options: {text}")))?;
    // The machine's CAs and own ones together are not possible; own ones were named on purpose.
    let wanted = Wanted {
        cafile: tls.ca_file.clone(),
        capath: tls.ca_path.clone(),
        certificate: tls.certificate.clone().zip(tls.key.clone()).filter(|_| shared.is_none()),
        any_host_name: tls.insecure && shared.is_none(),
        psk: shared,
        only_tls_1_3,
        alpn: tls.alpn.clone(),
        ciphers: tls.ciphers.clone(),
        key_log: tls.key_log.clone(),
    };
    wanted.tls()
}

/// The flags that were given and that only TLS can keep.
fn flags_of_tls(tls: &Tls) -> Vec<&'static str> {
    let flags = [
        ("--cert", tls.certificate.is_some()),
        ("--key", tls.key.is_some()),
        ("--ciphers", tls.ciphers.is_some()),
        ("--tls-version", tls.version.is_some()),
        ("--tls-alpn", tls.alpn.is_some()),
        ("--tls-keylog", tls.key_log.is_some()),
        ("--psk-identity", tls.psk_identity.is_some()),
        ("--insecure", tls.insecure),
    ];
    flags.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::{Program, parse};
    use super::*;

    fn options(words: &str) -> Options {
        let words: Vec<OsString> = format!("-t a -n {words}").split_whitespace().map(OsString::from).collect();
        parse::parse(Program::Pub, &words, |_| None).map_err(|_| ()).expect("legal flags")
    }

    fn port(words: &str) -> u16 {
        match endpoint(&options(words)) {
            Endpoint::Tcp { port, .. } => port,
            Endpoint::Unix(_) | Endpoint::Domain(_) | Endpoint::Url(_) => 0,
        }
    }

    fn tls(words: &str) -> Option<sori_client::Tls> {
        way(&options(words)).expect("possible").0.tls
    }

    fn refusal(words: &str) -> String {
        way(&options(words)).map(|_| ()).expect_err("not possible").message
    }

    #[test]
    fn the_flags_that_ask_for_tls() {
        let file = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
        for words in ["-p 8883", "--tls-use-os-certs", "-L mqtts://h/t", "-L wss://h/t"] {
            assert_eq!(tls(words), Some(sori_client::Tls::new()), "{words}");
        }
        assert_eq!(tls(&format!("--cafile {file}")), Some(sori_client::Tls::new().ca_file(&file)));
        for words in ["", "-p 1884", "-L mqtt://h/t", "-L ws://h/t", "-p 8883 --no-tls", "--insecure"] {
            assert_eq!(tls(words), None, "{words}");
        }
        let with_key = sori_client::Tls::new().pre_shared_key("me", [0x0f]);
        assert_eq!(tls("--psk 0F --psk-identity me"), Some(with_key));
        assert_eq!((port("--psk 0f --psk-identity me"), tls("--psk 0f --psk-identity me --no-tls")), (8883, None));
        assert_eq!((port(""), port("--tls-use-os-certs"), port(&format!("--cafile {file}"))), (1883, 1883, 8883));
    }

    #[test]
    fn every_flag_of_tls_arrives() {
        let file = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
        let words = format!(
            "-p 8883 --cert {file} --key {file} --keyform pem --insecure --tls-version tlsv1.3 --tls-alpn mqtt \
             --ciphers HIGH:TLS_AES_128_GCM_SHA256 --tls-keylog /log"
        );
        let expected = sori_client::Tls::new()
            .client_certificate(&file, &file)
            .insecure_any_host_name()
            .only_tls_1_3()
            .alpn("mqtt")
            .ciphers("HIGH:TLS_AES_128_GCM_SHA256")
            .expect("suites")
            .key_log("/log");
        assert_eq!(tls(&words), Some(expected));
    }

    #[test]
    fn what_is_not_possible_is_refused() {
        assert!(refusal("--psk 0x --psk-identity me").contains("TLS-PSK options: --psk, character 2: a key has hex"));
        assert!(refusal("-p 8883 --tls-engine pkcs11").contains("engine"));
        assert!(refusal("-p 8883 --cert a --key b --keyform engine").contains("key form"));
        assert!(refusal("-p 8883 --tls-version tlsv1.1").contains("tlsv1.2 or tlsv1.3"));
        assert!(refusal("-p 8883 --ciphers RC4-MD5").contains("not spoken"));
        assert!(refusal("--cafile /missing/file").contains("File not found. (/missing/file)"));
    }

    #[test]
    fn flags_of_tls_without_tls_are_worth_a_warning() {
        let warning = |words: &str| way(&options(words)).expect("possible").1;
        assert!(
            warning("--insecure --tls-alpn x").is_some_and(|text| text.contains("--tls-alpn, --insecure without TLS"))
        );
        assert!(warning("--psk 00 --psk-identity x --insecure").is_some_and(|text| text.contains("with --psk")));
        assert!(warning("--psk-identity x").is_some_and(|text| text.contains("--psk-identity without TLS")));
        assert_eq!((warning(""), warning("-p 8883 --insecure"), warning("--insecure --no-tls")), (None, None, None));
    }

    #[test]
    fn web_sockets_and_proxies_arrive() {
        let (way, _) = way(&options("--ws --proxy socks5h://u:p@h:1")).expect("possible");
        assert_eq!(way.web_socket.as_deref(), Some("/mqtt"));
        assert_eq!(way.proxy, sori_client::Proxy::try_from("socks5h://u:p@h:1").ok());
    }
}
