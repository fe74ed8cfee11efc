//! The way to the broker: TLS, WebSocket and proxies, against sori's own listeners.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rcgen::{DnType, SanType};

use crate::broker::unused_port;
use crate::clients::{Links, end};
use crate::serve::{Directory, Running};
use crate::srv::NameServer;
use crate::{result, sori};

/// A private CA and what it has signed, in a directory of its own.
struct Ca {
    directory: Directory,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new(test: &str) -> Ca {
        let directory = Directory::new(test);
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        let key = KeyPair::generate().expect("a key");
        directory.file("ca.pem", &params.self_signed(&key).expect("a CA").pem());
        Ca { directory, issuer: Issuer::new(params, key) }
    }

    /// Writes `NAME.pem` and `NAME.key`; the name is also that of the host.
    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("a name"))];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.directory.file(&format!("{name}.pem"), &certificate.pem());
        self.directory.file(&format!("{name}.key"), &key.serialize_pem());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.0.join(name)
    }
}

/// A broker with listeners for TLS, for client certificates, for WebSocket, for both, and none.
struct Listeners {
    ca: Ca,
    tls: u16,
    mutual: u16,
    ws: u16,
    wss: u16,
    plain: u16,
    _running: Running,
}

impl Listeners {
    fn new(test: &str) -> Listeners {
        let ca = Ca::new(test);
        ca.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        ca.issue("device", ExtendedKeyUsagePurpose::ClientAuth);
        let [tls, mutual, ws, wss, plain] = [(); 5].map(|()| unused_port());
        let folder = ca.directory.0.display().to_string();
        let certificate = format!("certfile {folder}/localhost.pem\nkeyfile {folder}/localhost.key\n");
        let config = format!(
            "per_listener_settings true\n\
             listener {tls} localhost\nallow_anonymous true\n{certificate}\
             listener {mutual} localhost\nallow_anonymous true\n{certificate}\
             cafile {folder}/ca.pem\nrequire_certificate true\nuse_identity_as_username true\n\
             listener {ws} localhost\nallow_anonymous true\nprotocol websockets\n\
             listener {wss} localhost\nallow_anonymous true\nprotocol websockets\n{certificate}\
             listener {plain} localhost\nallow_anonymous true\n"
        );
        let config = ca.directory.file("listeners.conf", &config);
        let running = Running::start(sori(&format!("serve -v -c {config}"), 0), " running\n");
        Listeners { ca, tls, mutual, ws, wss, plain, _running: running }
    }

    /// The words with ports and files filled in.
    fn filled(&self, words: &str) -> String {
        let mut words = words.replace("{ca}", &self.ca.path("ca.pem").display().to_string());
        words = words.replace("{dir}", &self.ca.directory.0.display().to_string());
        for (name, port) in [
            ("{tls}", self.tls),
            ("{mutual}", self.mutual),
            ("{ws}", self.ws),
            ("{wss}", self.wss),
            ("{plain}", self.plain),
        ] {
            words = words.replace(name, &port.to_string());
        }
        words
    }

    /// A retained message goes there by the one client and comes back to the other.
    fn round_trip(&self, links: &Links, words: &str) {
        let words = self.filled(words);
        for names in [["mosquitto_pub", "mosquitto_sub"], ["pub", "sub"]] {
            let run = |name: &str, more: &str| match name.starts_with("mosq") {
                true => end(links.start(&format!("{name} {words} {more}"), 0)),
                false => result(&sori(&format!("{name} {words} {more}"), 0).output().expect("starts")),
            };
            let sent = run(names[0], "-t way -m here -r -q 1");
            assert_eq!(sent, (0, String::new(), String::new()), "{words}");
            assert_eq!(run(names[1], "-t way -C 1 -W 60"), (0, "here\n".to_owned(), String::new()), "{words}");
        }
    }

    fn mosquitto(&self, links: &Links, words: &str) -> (i32, String, String) {
        end(links.start(&self.filled(words), 0))
    }
}

#[test]
fn tls_with_an_own_ca_and_client_certificates() {
    let (links, broker) = (Links::new("tls"), Listeners::new("way-tls"));
    broker.round_trip(&links, "-h localhost -p {tls} --cafile {ca}");
    broker.round_trip(&links, "-h localhost -p {tls} --capath {dir} --tls-version tlsv1.3 --ciphers HIGH");
    broker.round_trip(&links, "-h localhost -p {mutual} --cafile {ca} --cert {dir}/device.pem --key {dir}/device.key");
    broker.round_trip(&links, "-h localhost -p {tls} --cafile {ca} --tls-alpn mqtt --tls-keylog {dir}/secrets");
    let secrets = std::fs::read_to_string(broker.ca.path("secrets")).expect("was written");
    assert!(secrets.contains("CLIENT_TRAFFIC_SECRET_0 "), "{secrets}");
}

#[test]
fn the_broker_must_be_who_it_says() {
    let (links, broker) = (Links::new("who"), Listeners::new("way-who"));
    let other = Ca::new("way-other");
    let to = "mosquitto_pub -t a -m b -p {tls}";
    let (status, _, err) =
        broker.mosquitto(&links, &format!("{to} -h localhost --cafile {}", other.path("ca.pem").display()));
    assert_eq!(status, 8, "{err}");
    assert!(err.starts_with("Error: A TLS error occurred. (") && err.contains("--cafile"), "{err}");
    // Its certificate has another name.
    let (status, _, err) = broker.mosquitto(&links, &format!("{to} -h 127.0.0.1 --cafile {{ca}}"));
    assert_eq!(status, 8, "{err}");
    let found = broker.mosquitto(&links, &format!("{to} -h 127.0.0.1 --cafile {{ca}} --insecure"));
    assert_eq!(found, (0, String::new(), String::new()));
    // A listener without TLS, a broker that wants a certificate, and TLS that was not asked for.
    let (status, _, err) = broker.mosquitto(&links, "mosquitto_pub -t a -m b -h localhost -p {plain} --cafile {ca}");
    assert_ne!(status, 0);
    assert!(err.contains("TLS"), "{err}");
    let (status, _, err) = broker.mosquitto(&links, "mosquitto_pub -t a -m b -h localhost -p {mutual} --cafile {ca}");
    assert_ne!(status, 0);
    assert!(err.contains("TLS"), "{err}");
    let (status, _, err) = broker.mosquitto(&links, "mosquitto_pub -t a -m b -h localhost -p {tls}");
    assert_eq!(status, 8);
    assert!(err.contains("speaks TLS"), "{err}");
}

#[test]
fn web_sockets_with_and_without_tls() {
    let (links, broker) = (Links::new("ws"), Listeners::new("way-ws"));
    for words in ["-h localhost -p {ws} --ws", "-h localhost -p {wss} --ws --cafile {ca}"] {
        let sent = broker.mosquitto(&links, &format!("mosquitto_pub {words} -t way -m here -r -q 1"));
        assert_eq!(sent, (0, String::new(), String::new()), "{words}");
        let found = broker.mosquitto(&links, &format!("mosquitto_sub {words} -t way -C 1 -W 60"));
        assert_eq!(found, (0, "here\n".to_owned(), String::new()), "{words}");
    }
    for (url, more) in [("ws://localhost:{ws}/mqtt", ""), ("wss://localhost:{wss}/mqtt", " --cafile {ca}")] {
        let words = broker.filled(&format!("-L {url}{more}"));
        let sent = result(&sori(&format!("pub {words} -t way -m there -r -q 1"), 0).output().expect("starts"));
        assert_eq!(sent, (0, String::new(), String::new()), "{words}");
        let found = result(&sori(&format!("sub {words} -t way -C 1 -W 60"), 0).output().expect("starts"));
        assert_eq!(found, (0, "there\n".to_owned(), String::new()), "{words}");
    }
    let (status, _, err) = broker.mosquitto(&links, "mosquitto_pub -t a -m b -h localhost -p {plain} --ws");
    assert_ne!(status, 0, "{err}");
}

#[test]
fn what_cannot_be_kept_is_refused_before_anything_is_sent() {
    let links = Links::new("refused");
    for (words, text) in [
        ("--psk 0x --psk-identity me", "TLS-PSK"),
        ("-p 8883 --tls-engine pkcs11", "engine"),
        ("--cafile /missing", "File not found"),
        ("-p 8883 --ciphers RC4-MD5", "not spoken"),
    ] {
        // A connection would be complained about in other words.
        let (status, _, err) = end(links.start(&format!("mosquitto_pub -h 127.0.0.1 -t a -m b {words}"), 0));
        assert_eq!(status, 1, "{words}: {err}");
        assert!(err.starts_with("Error: ") && err.contains(text), "{words}: {err}");
    }
}

#[test]
fn a_broker_is_measured_over_every_way() {
    let broker = Listeners::new("way-bench");
    for words in [
        "connections mqtts://localhost:{tls} --cafile {ca} --count 3 --seconds 0",
        "connections mqtts://localhost:{mutual} --cafile {ca} --cert {dir}/device.pem --key {dir}/device.key --count 2 --seconds 0",
        "connections wss://localhost:{wss} --cafile {ca} --count 2 --seconds 0",
        "latency mqtts://localhost:{tls} --cafile {ca} --seconds 1 --rate 20",
        "throughput mqtts://127.0.0.1:{tls} --cafile {ca} --insecure --seconds 1",
    ] {
        let words = broker.filled(&format!("bench {words} --json"));
        let (status, out, err) = result(&sori(&words, 0).output().expect("starts"));
        assert_eq!((status, err.as_str()), (0, ""), "{words}: {out}");
    }
    for (words, part) in [
        ("connections mqtts://localhost:{tls} --count 1", "--cafile"),
        ("latency mqtt://localhost:{plain} --cafile {ca}", "write mqtts://"),
    ] {
        let words = broker.filled(&format!("bench {words}"));
        let (status, _, err) = result(&sori(&words, 0).output().expect("starts"));
        assert!(status == 1 && err.contains(part), "{words}: {err}");
    }
}

/// A proxy that speaks just enough of SOCKS5 for one client with a password. RFC 1928, RFC 1929
fn socks5_proxy() -> (u16, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let proxy = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let mut methods = [0; 4];
        client.read_exact(&mut methods).expect("methods");
        client.write_all(&[5, 2]).expect("taken");
        let mut login = [0; 5];
        client.read_exact(&mut login).expect("a login");
        assert_eq!(login, *b"\x01\x01u\x01p");
        client.write_all(&[1, 0]).expect("taken");
        let mut request = vec![0; 5];
        client.read_exact(&mut request).expect("a request");
        let length = usize::from(request[4]);
        request.resize(5 + length + 2, 0);
        client.read_exact(&mut request[5..]).expect("a request");
        let target = u16::from_be_bytes([request[5 + length], request[6 + length]]);
        let mut broker = TcpStream::connect(("localhost", target)).expect("the broker");
        client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).expect("taken");
        let (mut up, mut down) = (client.try_clone().expect("a clone"), broker.try_clone().expect("a clone"));
        let upwards = thread::spawn(move || drop(std::io::copy(&mut up, &mut broker)));
        // The end of a connection that was cut off is an end, too.
        let _ = std::io::copy(&mut down, &mut client);
        drop(client);
        drop(upwards);
        request[5..5 + length].to_vec()
    });
    (port, proxy)
}

/// Somebody who waits for the first bytes of one client and then hangs up: with `resets` by a reset, which the system sends
/// for bytes that nobody has read.
fn who_hangs_up(resets: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        client.peek(&mut [0]).expect("bytes");
        if !resets {
            client.shutdown(Shutdown::Write).expect("an open connection");
            let _ = client.read_to_end(&mut Vec::new());
        }
    });
    port
}

#[test]
fn who_hangs_up_in_a_handshake_has_lost_the_connection() {
    let links = Links::new("hangs-up");
    for resets in [false, true] {
        for words in ["--ws", "--tls-use-os-certs"] {
            let port = who_hangs_up(resets);
            let (status, _, err) =
                end(links.start(&format!("mosquitto_pub -h 127.0.0.1 -p {port} {words} -t a -m b"), 0));
            assert!(status == 7 && err.contains("listener for this kind"), "{words} {resets}: {status} {err}");
        }
        let port = who_hangs_up(resets);
        let words = format!("mosquitto_pub -h broker.test --proxy socks5h://127.0.0.1:{port} -t a -m b");
        let (status, _, err) = end(links.start(&words, 0));
        assert!(status == 16 && err.contains("the proxy closed the connection"), "{resets}: {status} {err}");
    }
    let (status, _, err) = end(links.start("mosquitto_pub -h broker.test --proxy socks5h://me@127.0.0.1 -t a -m b", 0));
    assert!(status == 1 && err.starts_with("Error: Invalid proxy: SOCKS5 wants a password"), "{status} {err}");
}

#[test]
fn a_socks5_proxy_looks_the_name_up() {
    let (links, broker) = (Links::new("proxy"), Listeners::new("way-proxy"));
    for words in ["-p {plain}", "-p {tls} --cafile {ca}"] {
        let (port, proxy) = socks5_proxy();
        let words = format!("mosquitto_pub -h localhost {words} --proxy socks5h://u:p@127.0.0.1:{port} -t a -m b -q 1");
        assert_eq!(broker.mosquitto(&links, &words), (0, String::new(), String::new()), "{words}");
        assert_eq!(proxy.join().expect("no failure"), b"localhost");
    }
}

#[test]
fn a_server_that_the_dns_names_must_have_the_certificate_of_the_domain() {
    let broker = Listeners::new("way-srv");
    let send = |domain: &'static str| {
        let name = if domain == "localhost" { "_secure-mqtt._tcp.localhost" } else { "_secure-mqtt._tcp.example.test" };
        let dns = NameServer::new(name, vec![(0, 0, broker.tls, "127.0.0.1")], false);
        let words = broker.filled(&format!("pub -S -h {domain} --cafile {{ca}} -t way -m here -q 1"));
        let outcome = result(&dns.sori(&words).output().expect("starts"));
        assert_eq!(dns.asked().0, name);
        outcome
    };
    assert_eq!(send("localhost"), (0, String::new(), String::new()));
    let (status, _, err) = send("example.test");
    assert_ne!(status, 0);
    assert!(err.contains("certificate not valid for name \"example.test\""), "{err}");
}
