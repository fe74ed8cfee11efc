//! TLS between both ends.

use crate::certificates::Ca;
use crate::pair::{Pair, carry};
use base64ct::{Base64, Encoding};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sori_net::tls::{ClientCertificates, ServerRoots, TlsVersion};
use sori_net::{ErrorKind, ListenerTls, TlsClient, TlsClientOptions, TlsServerOptions, Transport};
use std::path::{Path, PathBuf};

fn server_options(ca: &Ca) -> TlsServerOptions {
    let (certfile, keyfile) = ca.server();
    TlsServerOptions { certfile, keyfile, ..TlsServerOptions::default() }
}

fn client_options(ca: &Ca) -> TlsClientOptions {
    let roots = ServerRoots::Files { cafile: Some(ca.path("ca.pem")), capath: None };
    TlsClientOptions { roots, ..TlsClientOptions::default() }
}

fn required(ca: &Ca, crlfile: Option<PathBuf>, any_date: bool) -> TlsServerOptions {
    let client_certificates = ClientCertificates::Required { crlfile, any_date };
    TlsServerOptions { cafile: Some(ca.path("ca.pem")), client_certificates, ..server_options(ca) }
}

fn pair(client: &TlsClient, server: &ListenerTls, host: &str) -> Pair {
    Pair::new(
        Transport::plain().tls_client(client, host).expect("a name"),
        Transport::plain().tls_server(server).expect("a server"),
    )
}

fn connect(client: &TlsClientOptions, server: &TlsServerOptions) -> Pair {
    pair(&TlsClient::load(client).expect("good files"), &ListenerTls::load(server).expect("good files"), "localhost")
}

/// What the side that looks at the certificate says.
fn refusal(client: &TlsClientOptions, server: &TlsServerOptions) -> (ErrorKind, String) {
    let error = connect(client, server).settle().expect_err("it is refused");
    (error.kind(), error.to_string())
}

#[test]
fn both_versions_carry_bytes_however_they_are_cut() {
    let ca = Ca::new();
    for (least, client_ciphers, version) in
        [(TlsVersion::V13, None, "TLSv1.3"), (TlsVersion::V12, Some("TLS_AES_128_GCM_SHA256"), "TLSv1.3")]
    {
        for piece in [1, 2, 3, 7, 100, 1400, usize::MAX] {
            let options = TlsServerOptions { version_min: least, ..required(&ca, None, false) };
            let client = TlsClientOptions {
                certificate: Some(ca.client("device")),
                ciphers_tls13: client_ciphers.map(str::to_owned),
                ..client_options(&ca)
            };
            let mut pair = connect(&client, &options);
            pair.piece = piece;
            pair.settle().expect("a handshake");
            pair.assert_talks();
            let facts = pair.server.peer().tls.clone().expect("it is encrypted");
            assert_eq!(&*facts.version, version);
            let names = facts.certificate.expect("a certificate was shown");
            assert_eq!(names.common_name.as_deref(), Some("device"));
            assert_eq!(names.subject.as_deref(), Some("CN=device"));
        }
    }
}

#[test]
fn tls_1_2_is_spoken_where_it_is_not_forbidden() {
    let ca = Ca::new();
    let old = rustls_1_2(&ca);
    let server = ListenerTls::load(&server_options(&ca)).expect("good files");
    let mut both = pair(&old, &server, "localhost");
    both.piece = 1;
    both.settle().expect("a handshake");
    both.assert_talks();
    assert_eq!(both.server.peer().tls.as_ref().map(|tls| &*tls.version), Some("TLSv1.2"));
    let only = TlsServerOptions { version_min: TlsVersion::V13, ..server_options(&ca) };
    let server = ListenerTls::load(&only).expect("good files");
    let error = pair(&old, &server, "localhost").settle().expect_err("tls_version tlsv1.3");
    assert_eq!(error.kind(), ErrorKind::Tls);
}

/// A client that speaks TLS 1.2 only.
fn rustls_1_2(ca: &Ca) -> TlsClient {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca.path("ca.pem")).expect("a certificate")).expect("a CA");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("it is there")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsClient::from_rustls(std::sync::Arc::new(config))
}

#[test]
fn require_certificate_refuses_who_has_none_or_one_of_others() {
    let (ca, other) = (Ca::new(), Ca::new());
    let server = required(&ca, None, false);
    let (kind, text) = refusal(&client_options(&ca), &server);
    assert_eq!((kind, text.as_str()), (ErrorKind::Certificate, "peer sent no certificates"));
    let stranger = TlsClientOptions { certificate: Some(other.client("device")), ..client_options(&ca) };
    assert_eq!(refusal(&stranger, &server).0, ErrorKind::Certificate);
}

#[test]
fn a_client_that_is_refused_is_told_why() {
    let ca = Ca::new();
    let mut pair = connect(&client_options(&ca), &required(&ca, None, false));
    pair.settle().expect_err("it has no certificate");
    let told = carry(&mut pair.server, &mut pair.client, &mut pair.client_got, usize::MAX).expect_err("an alert");
    assert_eq!(told.kind(), ErrorKind::Certificate, "{told}");
}

#[test]
fn crlfile_refuses_who_is_revoked() {
    let ca = Ca::new();
    let server = required(&ca, Some(ca.revoke(&["bad"], 4000)), false);
    let with = |name: &str| TlsClientOptions { certificate: Some(ca.client(name)), ..client_options(&ca) };
    connect(&with("good"), &server).settle().expect("it is not revoked");
    assert!(refusal(&with("bad"), &server).1.contains("Revoked"));
    let outdated = required(&ca, Some(ca.revoke(&[], 2025)), false);
    assert_eq!(refusal(&with("good"), &outdated).0, ErrorKind::Certificate, "an old list may miss the newest");
}

#[test]
fn disable_client_cert_date_checks_takes_any_date_and_nothing_else() {
    let (ca, other) = (Ca::new(), Ca::new());
    let old = |ca: &Ca| ca.issue("old", |params| params.not_after = date_time_ymd(2001, 1, 1));
    let future = ca.issue("future", |params| params.not_before = date_time_ymd(3999, 1, 1));
    for certificate in [old(&ca), future] {
        let client = TlsClientOptions { certificate: Some(certificate), ..client_options(&ca) };
        assert_eq!(refusal(&client, &required(&ca, None, false)).0, ErrorKind::Certificate);
        let mut pair = connect(&client, &required(&ca, None, true));
        pair.settle().expect("dates are not looked at");
        pair.assert_talks();
    }
    let stranger = TlsClientOptions { certificate: Some(old(&other)), ..client_options(&ca) };
    assert_eq!(refusal(&stranger, &required(&ca, None, true)).0, ErrorKind::Certificate);
}

#[test]
fn a_client_takes_only_the_right_server() {
    let (ca, other) = (Ca::new(), Ca::new());
    assert_eq!(refusal(&client_options(&other), &server_options(&ca)).0, ErrorKind::Certificate);
    let client = TlsClient::load(&client_options(&ca)).expect("good files");
    let server = ListenerTls::load(&server_options(&ca)).expect("good files");
    let error = pair(&client, &server, "example.org").settle().expect_err("it has another name");
    assert_eq!(error.kind(), ErrorKind::Certificate);

    let any_name = TlsClientOptions { any_host_name: true, ..client_options(&ca) };
    let any_name = TlsClient::load(&any_name).expect("good files");
    pair(&any_name, &server, "example.org").settle().expect("names are not looked at");
    let strange = TlsClient::load(&TlsClientOptions { any_host_name: true, ..client_options(&other) });
    let strange = strange.expect("good files");
    pair(&strange, &server, "example.org").settle().expect_err("it is of another CA all the same");

    let anybody = TlsClientOptions { roots: ServerRoots::Anybody, ..TlsClientOptions::default() };
    connect(&anybody, &server_options(&ca)).settle().expect("everything is taken");
}

/// OpenSSL does it, and so Mosquitto: its users have the CA in between in `cafile` and not in `certfile`.
#[test]
fn cafile_completes_the_chain_of_a_lonely_certificate() {
    let (ca, between) = (Ca::new(), Ca::new());
    between.become_intermediate_of(&ca);
    let lonely = server_options(&between);
    assert_eq!(refusal(&client_options(&ca), &lonely).0, ErrorKind::Certificate, "nobody knows who signed it");
    let all = [ca.path("ca.pem"), between.path("ca.pem")].map(|path| std::fs::read_to_string(path).expect("a file"));
    let cafile = Some(between.path("all.pem"));
    std::fs::write(between.path("all.pem"), all.concat()).expect("a file");
    let completed = TlsServerOptions { cafile, ..lonely };
    connect(&client_options(&ca), &completed).settle().expect("the chain is whole");
}

#[test]
fn a_server_without_alternative_names_counts_by_its_common_name() {
    let ca = Ca::new();
    let (certfile, keyfile) = ca.issue("localhost", |_| {});
    let server = TlsServerOptions { certfile, keyfile, ..TlsServerOptions::default() };
    connect(&client_options(&ca), &server).settle().expect("the Common Name is the host's");
    let (certfile, keyfile) = ca.issue("elsewhere", |_| {});
    let server = TlsServerOptions { certfile, keyfile, ..TlsServerOptions::default() };
    assert_eq!(refusal(&client_options(&ca), &server).0, ErrorKind::Certificate);
}

#[test]
fn a_servers_own_certificate_may_stand_in_the_file_of_cas() {
    let ca = Ca::new();
    let own = |name: &str, host: &str| {
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, host);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        ca.write(name, &certificate.pem(), &key)
    };
    let (certfile, keyfile) = own("own", "localhost");
    let server = TlsServerOptions { certfile: certfile.clone(), keyfile, ..TlsServerOptions::default() };
    let trusting = |cafile: PathBuf| {
        let roots = ServerRoots::Files { cafile: Some(cafile), capath: None };
        TlsClientOptions { roots, ..TlsClientOptions::default() }
    };
    connect(&trusting(certfile), &server).settle().expect("this very certificate is trusted");
    let (another, _) = own("another", "localhost");
    assert_eq!(refusal(&trusting(another), &server).0, ErrorKind::Certificate);
}

#[test]
fn a_session_is_resumed_and_not_after_the_rules_were_exchanged() {
    let ca = Ca::new();
    let options = TlsClientOptions { certificate: Some(ca.client("device")), ..client_options(&ca) };
    let client = TlsClient::load(&options).expect("good files");
    let server_options = required(&ca, None, false);
    let server = ListenerTls::load(&server_options).expect("good files");
    let bytes = |client: &TlsClient| {
        let mut pair = pair(client, &server, "localhost");
        pair.settle().expect("a handshake");
        pair.assert_talks();
        let names = pair.server.peer().tls.as_ref().and_then(|tls| tls.certificate.clone());
        assert_eq!(names.and_then(|names| names.common_name).as_deref(), Some("device"), "resumed or not");
        pair.server_bytes
    };
    let (first, second) = (bytes(&client), bytes(&client));
    assert!(second + 300 < first, "no certificate is sent: {first}, {second}");
    let same = TlsServerOptions { client_certificates: server_options.client_certificates.clone(), ..server_options };
    server.swap(ListenerTls::load(&same).expect("good files"));
    assert!(bytes(&client) + 100 > first, "a whole handshake again");
}

#[test]
fn close_says_close_notify_and_an_end_without_it_is_told() {
    let ca = Ca::new();
    let mut pair = connect(&client_options(&ca), &server_options(&ca));
    pair.settle().expect("a handshake");
    assert_eq!(pair.server.receive_end().map_err(|error| error.kind()), Err(ErrorKind::Truncated));
    pair.client.close();
    assert_eq!(pair.client.send(b"too late"), 0);
    pair.settle().expect("a good-bye");
    assert!(pair.server.is_ended() && !pair.client.is_ended());
    assert_eq!(pair.server.receive_end(), Ok(()));
    let half_open = connect(&client_options(&ca), &server_options(&ca)).server.receive_end();
    assert_eq!(half_open.map_err(|error| error.kind()), Err(ErrorKind::Truncated));
}

/// ActiveMQ 2026-39304: memory by TLS 1.3 KeyUpdate.
#[test]
fn key_updates_without_end_cost_no_memory() {
    use rustls::client::UnbufferedClientConnection;
    use rustls::unbuffered::ConnectionState;
    let ca = Ca::new();
    let tls = ListenerTls::load(&server_options(&ca)).expect("good files");
    let mut server = Transport::plain().tls_server(&tls).expect("a server");
    let config = {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca.path("ca.pem")).expect("a certificate")).expect("a CA");
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        builder.expect("versions").with_root_certificates(roots).with_no_client_auth()
    };
    let name = "localhost".try_into().expect("a name");
    let mut client = UnbufferedClientConnection::new(config.into(), name).expect("a client");
    let (mut incoming, mut plain) = (Vec::new(), Vec::new());
    let mut updates = 0;
    let mut most = 0;
    while updates < 20_000 {
        let status = client.process_tls_records(&mut incoming);
        let discard = status.discard;
        let mut waits = false;
        match status.state.expect("a good connection") {
            ConnectionState::EncodeTlsData(mut data) => {
                let mut wire = vec![0; 4096];
                let count = data.encode(&mut wire).expect("there is room");
                server.receive(&mut wire[..count], &mut plain).expect("legal");
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::WriteTraffic(mut traffic) => {
                // The key update is sent in front of the next bytes.
                let mut wire = vec![0; 200];
                let count = traffic.encrypt(b"x", &mut wire).expect("there is room");
                server.receive(&mut wire[..count], &mut plain).expect("legal");
                traffic.refresh_traffic_keys().expect("TLS 1.3");
                updates += 1;
            }
            ConnectionState::ReadTraffic(_) => unreachable!("the server says nothing"),
            _ => waits = true,
        }
        incoming.drain(..discard);
        if waits {
            incoming.extend_from_slice(server.output());
            server.sent(server.output().len());
        }
        most = most.max(server.output().len());
    }
    assert_eq!(plain.len(), updates, "everything came through");
    // The client never reads what the server answers.
    assert!(most < 64 * 1024, "{most} bytes wait for a peer that does not read");
}

#[test]
fn a_handshake_without_end_is_given_up() {
    let ca = Ca::new();
    let tls = ListenerTls::load(&server_options(&ca)).expect("good files");
    let mut server = Transport::plain().tls_server(&tls).expect("a server");
    // A ClientHello of 60,000 bytes in records of one byte.
    let mut sent = 0usize;
    let mut message = vec![1, 0, 0xEA, 0x60];
    message.resize(60_004, 0);
    let ended = message.iter().find_map(|byte| {
        sent += 6;
        server.receive(&mut [22, 3, 1, 0, 1, *byte], &mut Vec::new()).err()
    });
    assert!(ended.is_some() && sent < 100_000, "given up after {sent} bytes");
}

#[test]
fn secrets_are_logged_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let ca = Ca::new();
    let path = ca.path("keys.log");
    let server = TlsServerOptions { key_log: Some(path.clone()), ..server_options(&ca) };
    connect(&client_options(&ca), &server).settle().expect("a handshake");
    let text = std::fs::read_to_string(&path).expect("it was written");
    assert!(text.contains("CLIENT_TRAFFIC_SECRET_0 ") && text.lines().all(|line| line.split(' ').count() == 3));
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn bytes_that_are_no_tls_are_refused_at_once() {
    let ca = Ca::new();
    let tls = ListenerTls::load(&server_options(&ca)).expect("good files");
    let mut server = Transport::plain().tls_server(&tls).expect("a server");
    let mut connect = *b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a";
    let error = server.receive(&mut connect, &mut Vec::new()).expect_err("it is MQTT");
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(!server.output().is_empty(), "an alert says so");
    server.close();
    let again = server.receive(&mut connect, &mut Vec::new()).expect_err("it stays refused");
    assert_eq!(again.to_string(), "this connection has failed before");
}

/// The same certificate without its version and its extensions; the signature does not fit any more. `openssl x509 -req` makes
/// such certificates when it is told of no extensions.
fn make_version_1(file: &Path) {
    let old = CertificateDer::from_pem_file(file).expect("a certificate");
    let parts = parts(contents(&old));
    let kept = self::parts(contents(parts[0])).into_iter().filter(|field| !matches!(field[0], 0xA0 | 0xA3));
    let new = sequence(&[&sequence(&kept.collect::<Vec<_>>().concat())[..], parts[1], parts[2]].concat());
    let text = Base64::encode_string(&new);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    std::fs::write(file, pem).expect("a file");
}

/// How long the tag and the length of an element are, and its contents.
fn lengths(der: &[u8]) -> (usize, usize) {
    match der[1] {
        0x81 => (3, der[2].into()),
        0x82 => (4, u16::from_be_bytes([der[2], der[3]]).into()),
        short => (2, short.into()),
    }
}

fn contents(der: &[u8]) -> &[u8] {
    &der[lengths(der).0..]
}

fn parts(mut der: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while !der.is_empty() {
        let (head, contents) = lengths(der);
        let (part, rest) = der.split_at(head + contents);
        parts.push(part);
        der = rest;
    }
    parts
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).expect("it is short").to_be_bytes();
    // As short as can be, which DER wants.
    let head: &[u8] = match (high, low) {
        (0, 0..0x80) => &[0x30, low],
        (0, _) => &[0x30, 0x81, low],
        _ => &[0x30, 0x82, high, low],
    };
    [head, contents].concat()
}

#[test]
fn a_certificate_of_version_1_serves_with_its_own_key_only() {
    let ca = Ca::new();
    let server = server_options(&ca);
    make_version_1(&server.certfile);
    let loaded = ListenerTls::load(&server).expect("it serves");
    // Our own client looks at names, of which this one has none that count.
    let mut pair = pair(&TlsClient::load(&client_options(&ca)).expect("good files"), &loaded, "localhost");
    assert_eq!(pair.settle().expect_err("it is not trusted").kind(), ErrorKind::Certificate);
    let (_, keyfile) = ca.client("other");
    let error = ListenerTls::load(&TlsServerOptions { keyfile, ..server }).expect_err("another key");
    assert!(error.reason.contains("is not the key of the first certificate"), "{error}");
}

#[test]
fn clients_with_certificates_of_version_1_are_told_what_to_do() {
    let ca = Ca::new();
    let (certificate, key) = ca.client("device");
    make_version_1(&certificate);
    let client = TlsClientOptions { certificate: Some((certificate, key)), ..client_options(&ca) };
    let (kind, text) = refusal(&client, &required(&ca, None, false));
    assert_eq!(kind, ErrorKind::Certificate);
    let parts =
        ["it is of X.509 version 1", "sign it again as version 3", "sori certs client NAME", "x509 -req -extfile"];
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}
