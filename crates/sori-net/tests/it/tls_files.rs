//! Files that cannot be used say which and why.

use crate::certificates::Ca;
use sori_net::tls::{ClientCertificates, ServerRoots};
use sori_net::{ListenerTls, LoadError, TlsClient, TlsClientOptions, TlsServerOptions};

fn options(ca: &Ca) -> TlsServerOptions {
    let (certfile, keyfile) = ca.server();
    TlsServerOptions { certfile, keyfile, ..TlsServerOptions::default() }
}

#[track_caller]
fn refused(options: &TlsServerOptions, file: &str, reason: &str) {
    let LoadError { path, reason: told } = ListenerTls::load(options).expect_err("it cannot be used");
    let path = path.map(|path| path.display().to_string()).unwrap_or_default();
    assert!(path.ends_with(file) && told.contains(reason), "{path}: {told}");
}

#[test]
fn certificate_and_key_are_checked() {
    let ca = Ca::new();
    let good = options(&ca);
    ListenerTls::load(&good).expect("good files");
    let with_key = |name: &str| TlsServerOptions { keyfile: ca.path(name), ..good.clone() };
    let with_certificate = |name: &str| TlsServerOptions { certfile: ca.path(name), ..good.clone() };
    refused(&with_key("missing"), "missing", "cannot be read");
    refused(&with_certificate("missing"), "missing", "cannot be read");
    refused(&with_key("server.pem"), "server.pem", "holds no private key");
    refused(&with_certificate("server.key"), "server.key", "holds no certificate");
    ca.client("other");
    refused(&with_key("other.key"), "other.key", "is not the key of the first certificate");
    std::fs::write(
        ca.path("pass.key"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .expect("a file");
    refused(&with_key("pass.key"), "pass.key", "openssl pkey -in");
}

#[test]
fn half_written_files_are_refused() {
    let ca = Ca::new();
    let good = options(&ca);
    let text = std::fs::read_to_string(&good.certfile).expect("a file");
    std::fs::write(&good.certfile, &text[..text.len() / 2]).expect("a file");
    refused(&good, "server.pem", "");
    std::fs::write(&good.certfile, "").expect("a file");
    refused(&good, "server.pem", "holds no certificate");
    std::fs::write(&good.certfile, text).expect("a file");
    ListenerTls::load(&good).expect("whole again");
    let key = std::fs::read_to_string(&good.keyfile).expect("a file");
    std::fs::write(&good.keyfile, key.replace("-----END PRIVATE KEY-----", "")).expect("a file");
    refused(&good, "server.key", "is not a good PEM file");
}

#[test]
fn cas_and_lists_are_checked() {
    let ca = Ca::new();
    let good = options(&ca);
    let with = |cafile: Option<&str>, capath: Option<&str>, crlfile: Option<&str>| TlsServerOptions {
        cafile: cafile.map(|name| ca.path(name)),
        capath: capath.map(|name| ca.path(name)),
        client_certificates: ClientCertificates::Required {
            crlfile: crlfile.map(|name| ca.path(name)),
            any_date: false,
        },
        ..good.clone()
    };
    ListenerTls::load(&with(Some("ca.pem"), None, None)).expect("good files");
    refused(&with(Some("missing"), None, None), "missing", "cannot be read");
    refused(&with(Some("server.key"), None, None), "server.key", "holds no certificate");
    refused(&with(Some("ca.pem"), None, Some("server.pem")), "server.pem", "holds no certificate revocation list");
    std::fs::create_dir(ca.path("cas")).expect("a directory");
    refused(&with(None, Some("cas"), None), "cas", "holds no file with a certificate");
    std::fs::write(ca.path("cas/README"), "no certificate").expect("a file");
    std::fs::copy(ca.path("ca.pem"), ca.path("cas/any name.txt")).expect("a copy");
    ListenerTls::load(&with(None, Some("cas"), None)).expect("names need not be hashes");
    let whole = std::fs::read(ca.path("ca.pem")).expect("a file");
    std::fs::write(ca.path("cas/half"), &whole[..whole.len() / 2]).expect("a file");
    refused(&with(None, Some("cas"), None), "half", "is not a good PEM file");
    refused(&with(None, Some("missing"), None), "missing", "cannot be read");
}

#[test]
fn lists_of_ciphers_without_any_are_refused() {
    let ca = Ca::new();
    let ciphers = TlsServerOptions { ciphers: Some("AES128-SHA".into()), ..options(&ca) };
    refused(&ciphers, "", "none of them is spoken");
    let ciphers = TlsServerOptions { ciphers_tls13: Some("NONE".into()), ..options(&ca) };
    refused(&ciphers, "", "none of them is spoken");
}

#[test]
fn a_client_says_which_file_is_wrong() {
    let ca = Ca::new();
    let roots = ServerRoots::Files { cafile: Some(ca.path("missing")), capath: None };
    let error = TlsClient::load(&TlsClientOptions { roots, ..TlsClientOptions::default() }).expect_err("no such file");
    assert!(error.to_string().contains("missing: cannot be read"), "{error}");
}
