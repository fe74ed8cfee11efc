//! Listeners with TLS, and who their clients are.

use super::broker::{Broker, command, free_port, wait_until};
use super::certificates::Ca;
use super::client::{Client, Received, hello};
use nix::sys::signal::Signal;
use rcgen::{DnType, ExtendedKeyUsagePurpose, date_time_ymd};
use sori_mqtt::{Connect, QoS, Version};
use sori_net::tls::ServerRoots;
use sori_net::{TlsClient, TlsClientOptions, Transport};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The lines of a listener with TLS; the broker's first listener stays plain.
fn listener(ca: &Ca, port: u16, more: &str) -> String {
    let (certfile, keyfile) = ca.server();
    format!("listener {port} 127.0.0.1\ncertfile {}\nkeyfile {}\n{more}\n", certfile.display(), keyfile.display())
}

/// A listener for clients with certificates.
fn mutual(ca: &Ca, port: u16, more: &str) -> String {
    listener(ca, port, &format!("require_certificate true\ncafile {}\n{more}", ca.path("ca.pem").display()))
}

fn client(ca: &Ca, certificate: Option<(PathBuf, PathBuf)>) -> TlsClient {
    let roots = ServerRoots::Files { cafile: Some(ca.path("ca.pem")), capath: None };
    TlsClient::load(&TlsClientOptions { roots, certificate, ..TlsClientOptions::default() }).expect("good files")
}

fn transport(tls: &TlsClient) -> Transport {
    Transport::plain().tls_client(tls, "localhost").expect("a name")
}

fn open(port: u16, tls: &TlsClient) -> Result<Client, String> {
    Client::open_by(port, transport(tls))
}

#[track_caller]
fn connect(port: u16, tls: &TlsClient, id: &str) -> Client {
    let mut client = open(port, tls).expect("a handshake");
    assert_eq!(client.hello(&hello(id)), 0);
    client
}

#[test]
fn messages_of_every_size_come_through_both_ways() {
    let (ca, port) = (Ca::new(), free_port());
    let broker = Broker::start(&listener(&ca, port, ""));
    let tls = client(&ca, None);
    let (mut a, mut b) = (connect(port, &tls, "a"), Client::connect(broker.port, "b"));
    a.subscribe("to/a", QoS::AtLeastOnce);
    b.subscribe("to/b", QoS::AtLeastOnce);
    for size in [0, 1, 100, 16_000, 16_384, 70_000, 1_000_000] {
        let payload: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[0]).collect();
        a.publish("to/b", &payload, QoS::AtMostOnce, 0);
        assert_eq!(b.message(), ("to/b".to_owned(), payload.clone()));
        b.publish("to/a", &payload, QoS::AtMostOnce, 0);
        assert_eq!(a.message(), ("to/a".to_owned(), payload));
    }
    drop(a);
    broker.wait_for_log("Client a [127.0.0.1:");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_session_that_lives_on_another_thread_is_resumed() {
    let (ca, port) = (Ca::new(), free_port());
    let broker = Broker::start(&format!("threads 4\n{}", listener(&ca, port, "")));
    let tls = client(&ca, None);
    let mut publisher = Client::connect(broker.port, "publisher");
    for round in 0..12u8 {
        let mut device = open(port, &tls).expect("a handshake");
        let mut properties = sori_mqtt::PropertyBuffer::new();
        properties.push(sori_mqtt::Property::SessionExpiryInterval(1000));
        let again = Connect { clean_start: false, properties: properties.as_properties(), ..hello("device") };
        assert_eq!(device.hello(&again), 0);
        if round == 0 {
            device.subscribe("t", QoS::AtLeastOnce);
        }
        publisher.publish("t", &[round], QoS::AtMostOnce, 0);
        assert_eq!(device.message(), ("t".to_owned(), vec![round]));
    }
}

#[test]
fn who_is_not_read_gets_all_in_the_end() {
    let (ca, port) = (Ca::new(), free_port());
    let broker = Broker::start(&listener(&ca, port, "max_queued_messages 0"));
    let tls = client(&ca, None);
    let mut slow = connect(port, &tls, "slow");
    slow.subscribe("t", QoS::AtLeastOnce);
    let mut publisher = Client::connect(broker.port, "publisher");
    let payload = vec![7; 50_000];
    for number in 1..=200u16 {
        publisher.publish("t", &payload, QoS::AtLeastOnce, number);
        assert!(matches!(publisher.receive(), Received::Ack(..)));
    }
    for _ in 0..200 {
        match slow.receive() {
            Received::Message { payload: got, packet_id: Some(packet_id), .. } => {
                assert!(got == payload);
                slow.acknowledge(sori_mqtt::PacketType::PubAck, packet_id);
            }
            other => unreachable!("{other:?}"),
        }
    }
}

#[test]
fn use_identity_as_username() {
    let (ca, port) = (Ca::new(), free_port());
    let options = "listener_allow_anonymous false\nuse_identity_as_username true";
    let broker = Broker::start(&mutual(&ca, port, options));
    let device = client(&ca, Some(ca.client("device-7")));
    let mut named = open(port, &device).expect("a handshake");
    // What it says of itself does not count.
    let lie = Connect { user_name: Some("admin"), password: Some(b"x"), ..hello("a") };
    assert_eq!(named.hello(&lie), 0);
    broker.wait_for_log(", u'device-7')");
    let nameless = ca.issue("nameless", |params| {
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::OrganizationName, "Acme");
    });
    let mut nameless = open(port, &client(&ca, Some(nameless))).expect("a handshake");
    // Mosquitto's codes.
    assert_eq!(nameless.hello(&hello("b")), 0x86);
    let without = open(port, &client(&ca, None)).map(|mut without| without.receive());
    assert!(matches!(without, Err(_) | Ok(Received::End)), "{without:?}");
    broker.wait_for_log("disconnected: peer sent no certificates");
}

#[test]
fn use_subject_as_username_and_as_client_identifier() {
    let (ca, port) = (Ca::new(), free_port());
    let options = "use_subject_as_username true\nuse_username_as_clientid true";
    let broker = Broker::start(&mutual(&ca, port, options));
    let certificate = ca.issue("x", |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Acme, \"Inc\"");
        params.distinguished_name.push(DnType::CountryName, "DE");
    });
    let mut named = open(port, &client(&ca, Some(certificate))).expect("a handshake");
    assert_eq!(named.hello(&hello("ignored")), 0);
    broker.wait_for_log(r#"as C=DE,O=Acme\, \"Inc\",CN=x (p5, c1, k0, u'C=DE,O=Acme\, \"Inc\",CN=x')"#);
}

#[test]
fn crl_and_dates_of_clients() {
    let ca = Ca::new();
    let (with_list, any_date) = (free_port(), free_port());
    let crl = ca.revoke(&["bad"], 4000);
    let options = [
        mutual(&ca, with_list, &format!("crlfile {}", crl.display())),
        mutual(&ca, any_date, "disable_client_cert_date_checks true"),
    ];
    let broker = Broker::start(&options.concat());
    let good = client(&ca, Some(ca.client("good")));
    connect(with_list, &good, "good").expect_alive();
    let refused = |port: u16, certificate: (PathBuf, PathBuf), why: &str| {
        // TLS 1.3: a client learns after its own handshake that it was refused.
        let outcome = open(port, &client(&ca, Some(certificate))).map(|mut client| client.receive());
        assert!(matches!(outcome, Err(_) | Ok(Received::End)), "{outcome:?}");
        broker.wait_for_log(why);
    };
    refused(with_list, ca.client("bad"), "Revoked");
    let old = || {
        ca.issue("old", |params| {
            params.not_after = date_time_ymd(2001, 1, 1);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    };
    refused(with_list, old(), "xpired");
    connect(any_date, &client(&ca, Some(old())), "old").expect_alive();
}

#[test]
fn handshakes_that_go_on_for_ever_are_ended_in_time() {
    let (ca, port) = (Ca::new(), free_port());
    let broker = Broker::start(&format!("connect_timeout 1\n{}", listener(&ca, port, "")));
    let mut silent = Client::open(port);
    assert_eq!(silent.receive(), Received::End);
    broker.wait_for_log("disconnected: ");
    let mut half = Client::open(port);
    half.send(&[22, 3, 1, 2, 0, 1]);
    assert_eq!(half.receive(), Received::End);
    assert_eq!(
        broker.open_files(),
        {
            drop((silent, half));
            broker.open_files()
        },
        "nothing is left of them"
    );
}

#[test]
fn who_speaks_plain_mqtt_is_told_so_in_the_log() {
    let (ca, port) = (Ca::new(), free_port());
    let broker = Broker::start(&listener(&ca, port, ""));
    let mut plain = Client::open(port);
    plain.say(|out| hello("a").encode(out));
    broker.wait_for_log("disconnected: received corrupt message of type InvalidContentType");
    drop(plain);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_reload_takes_new_certificates_for_new_connections() {
    let (ca, other, port) = (Ca::new(), Ca::new(), free_port());
    let broker = Broker::start(&listener(&ca, port, ""));
    let (old, new) = (client(&ca, None), client(&other, None));
    let mut stays = connect(port, &old, "stays");
    assert!(open(port, &new).is_err(), "another CA");

    // A file that is half written changes nothing.
    let lines = listener(&other, port, "");
    let certificate = other.path("server.pem");
    let whole = std::fs::read_to_string(&certificate).expect("a file");
    std::fs::write(&certificate, &whole[..whole.len() / 2]).expect("a file");
    broker.rewrite(&lines);
    broker.signal(nix::libc::SIGHUP);
    broker.wait_for_log("The configuration was not changed.");
    assert!(broker.log().contains("Unable to load server certificate"), "{}", broker.log());
    connect(port, &old, "still");

    std::fs::write(&certificate, whole).expect("a file");
    broker.signal(nix::libc::SIGHUP);
    wait_until("the new certificate counts", || open(port, &new).is_ok());
    assert!(open(port, &old).is_err());
    stays.expect_alive();
}

#[test]
fn certificates_that_change_on_disk_are_taken_up_without_a_signal() {
    let (ca, other, port) = (Ca::new(), Ca::new(), free_port());
    let broker = Broker::start(&listener(&ca, port, ""));
    let (old, new) = (client(&ca, None), client(&other, None));
    let mut stays = connect(port, &old, "stays");
    let (certificate, key) = other.server();
    std::fs::copy(&certificate, ca.path("server.pem")).expect("can be written");
    // The key does not fit until it is replaced too.
    broker.wait_for_log("is not the key of the first certificate");
    connect(port, &old, "still").expect_alive();
    std::fs::copy(&key, ca.path("server.key")).expect("can be written");
    wait_until("the new certificate counts", || open(port, &new).is_ok());
    assert!(open(port, &old).is_err());
    stays.expect_alive();
}

#[test]
fn a_check_tells_of_keys_of_others_and_of_certificates_that_are_nearly_over() {
    let (ca, port) = (Ca::new(), free_port());
    let file = ca.path("broker.conf");
    let check = |pem: &Path, key: &Path, more: &str| {
        let (pem, key) = (pem.display(), key.display());
        let lines = format!("listener {port} 127.0.0.1\nallow_anonymous true\ncertfile {pem}\nkeyfile {key}\n{more}\n");
        std::fs::write(&file, lines).expect("can be written");
        let remarks = sori_server::check(std::slice::from_ref(&file), &[]);
        remarks.iter().map(ToString::to_string).collect::<Vec<String>>().join("\n")
    };
    let (pem, key) = ca.server();
    let good = check(&pem, &key, "");
    assert!(!good.contains("ertificate") && !good.contains("Error"), "{good}");

    let (_, key_of_other) = ca.client("other");
    let said = check(&pem, &key_of_other, "");
    assert!(said.contains("broker.conf:4:9: Error: ") && said.contains("is not the key of"), "{said}");

    let lasts = |name: &str, from: SystemTime, days: u64| {
        let since = from.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        ca.issue(name, |params| {
            params.not_before = date_time_ymd(1970, 1, 1) + since;
            params.not_after = params.not_before + Duration::from_secs(days * 24 * 60 * 60);
        })
    };
    let (long_ago, now) = (SystemTime::UNIX_EPOCH, SystemTime::now());
    let half_a_day = Duration::from_secs(12 * 60 * 60);
    for ((pem, key), expected) in [
        (lasts("soon", now - half_a_day, 21), "soon.pem expires in 20 days, on 20"),
        (lasts("over", long_ago, 365), "over.pem has expired on 1971-01-01."),
        (lasts("later", now + half_a_day, 365), "later.pem is not valid before 20"),
    ] {
        let said = check(&pem, &key, "");
        assert!(said.contains("broker.conf:1: Warning: The certificate in "), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    // The CA of the clients counts where they must show certificates.
    let (over, _) = lasts("over", long_ago, 365);
    let both = ca.path("both.pem");
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("is text");
    std::fs::write(&both, read(ca.path("ca.pem")) + &read(over)).expect("can be written");
    let cafile = format!("cafile {}", both.display());
    assert!(!check(&pem, &key, &cafile).contains("expired"));
    let said = check(&pem, &key, &format!("{cafile}\nrequire_certificate true"));
    assert!(said.contains("Warning: Certificate 2 of 2 in ") && said.contains("has expired on 1971-01-01."), "{said}");
}

/// As many a configuration of Mosquitto has it: the CA in between stands in `cafile`, and clients show no certificates.
#[test]
fn a_lonely_certificate_is_completed_by_cafile() {
    let (ca, between, port) = (Ca::new(), Ca::new(), free_port());
    between.become_intermediate_of(&ca);
    let lines = listener(&between, port, &format!("cafile {}", between.path("ca.pem").display()));
    let _broker = Broker::start(&lines);
    connect(port, &client(&ca, None), "a").expect_alive();
}

#[test]
fn secrets_are_logged_when_the_command_line_asks_for_it() {
    let (ca, port) = (Ca::new(), free_port());
    let (file, keys) = (ca.path("broker.conf"), ca.path("keys.log"));
    std::fs::write(&file, listener(&ca, port, "listener_allow_anonymous true")).expect("a file");
    let arguments = ["-c", file.to_str().expect("is text"), "--tls-keylog", keys.to_str().expect("is text")];
    let mut broker = command(&arguments).spawn().expect("starts");
    let tls = client(&ca, None);
    wait_until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    connect(port, &tls, "a").expect_alive();
    assert!(std::fs::read_to_string(&keys).expect("a file").contains("SERVER_TRAFFIC_SECRET_0 "));
    broker.kill().expect("it runs");
    broker.wait().expect("it ends");
}

/// The bar is 20 KiB; what a connection costs without TLS comes on top of what is asserted here, as it is in it.
#[test]
fn an_idle_connection_costs_less_than_twenty_kibibytes() {
    const COUNT: usize = 300;
    let (ca, port) = (Ca::new(), free_port());
    let broker = Broker::start(&mutual(&ca, port, ""));
    let tls = client(&ca, Some(ca.client("device")));
    // Buffers that are kept for all are there before it is measured.
    let warm: Vec<Client> = (0..50).map(|number| connect(port, &tls, &format!("warm{number}"))).collect();
    let before = broker.resident_bytes();
    let clients: Vec<Client> = (0..COUNT).map(|number| connect(port, &tls, &format!("c{number}"))).collect();
    let each = (broker.resident_bytes() - before) / i64::try_from(COUNT).expect("it is small");
    assert!(each < 20 * 1024, "{each} bytes");
    drop((warm, clients));
}

/// What is wrong with one file, or with a line, hides nothing of the others.
#[test]
fn all_that_is_wrong_with_one_listener_is_told_in_one_run() {
    let ca = Ca::new();
    let file = ca.path("broker.conf");
    let lines = "certfile c\nkeyfile k\ncafile ca\ncrlfile l\ntls_version tlsv1.1\n";
    std::fs::write(&file, format!("listener {} 127.0.0.1\n{lines}", free_port())).expect("a file");
    let remarks = sori_server::check(std::slice::from_ref(&file), &[]);
    let said: Vec<String> = remarks.iter().filter(|remark| remark.is_error()).map(ToString::to_string).collect();
    for (line, option) in [(2, "certfile"), (3, "keyfile"), (4, "cafile"), (5, "crlfile"), (6, "tls_version")] {
        assert!(
            said.iter().any(|text| text.contains(&format!("broker.conf:{line}:")) && text.contains(option)),
            "{said:?}"
        );
    }
    assert_eq!(said.len(), 5, "{said:?}");
}

/// A CA that is replaced by another one under its name, or half of it, in a directory.
#[test]
fn files_of_capath_that_change_are_taken_over_when_they_are_good() {
    let ca = Ca::new();
    let broker = Broker::start("");
    std::fs::create_dir(ca.path("cas")).expect("a directory");
    let whole = std::fs::read(ca.path("ca.pem")).expect("a file");
    std::fs::write(ca.path("cas/a"), &whole).expect("a file");
    let (certfile, keyfile) = ca.server();
    let lines =
        format!("certfile {}\nkeyfile {}\ncapath {}", certfile.display(), keyfile.display(), ca.path("cas").display());
    broker.rewrite(&lines);
    broker.signal(Signal::SIGHUP as i32);
    broker.wait_for_log("The configuration was reloaded");
    std::fs::write(ca.path("cas/a"), &whole[..whole.len() / 2]).expect("a file");
    broker.wait_for_log("cas/a changed on disk, reading anew.");
    broker.wait_for_log("Check capath: it is not a good PEM file");
    broker.wait_for_log("The configuration was not changed.");
    std::fs::write(ca.path("cas/a"), [&whole[..], b"\n"].concat()).expect("a file");
    wait_until("it is good again", || broker.log().matches("The configuration was reloaded").count() == 2);
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_a_reason() {
    let (ca, port) = (Ca::new(), free_port());
    let (certfile, keyfile) = ca.server();
    let (_, other_key) = ca.client("other");
    let file = ca.path("broker.conf");
    let start = |lines: String| {
        std::fs::write(&file, format!("listener {port} 127.0.0.1\n{lines}\n")).expect("a file");
        let output = command(&["-c", file.to_str().expect("is text")]).output().expect("starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let good = format!("certfile {}\nkeyfile {}\n", certfile.display(), keyfile.display());
    for (lines, code, text) in [
        // What Mosquitto's tests look for: 3 is for lines that cannot be right, 1 for files that cannot be used.
        (format!("certfile {}", certfile.display()), 3, "Both certfile and keyfile must be provided"),
        (format!("cafile {}", certfile.display()), 3, "cafile specified without certfile and keyfile"),
        (good.replace("server.pem", "missing"), 1, "Unable to load server certificate"),
        (good.replace("server.key", "server.pem"), 1, "Unable to load server key file"),
        (format!("certfile {}\nkeyfile {}", certfile.display(), other_key.display()), 1, "is not the key of"),
        (format!("{good}tls_version tlsv9"), 1, "Unsupported tls_version \"tlsv9\"."),
        (format!("{good}tls_version tlsv1.1"), 1, "tls_version tlsv1.2"),
        (format!("{good}ciphers nothing"), 1, "none of them is spoken"),
        (format!("{good}require_certificate true"), 1, "require_certificate needs cafile or capath"),
        (format!("{good}crlfile missing"), 1, "Check crlfile"),
    ] {
        let (status, log) = start(lines.clone());
        assert_eq!((status, log.contains(text)), (Some(code), true), "{lines}\n{log}");
    }
}

#[test]
fn versions_before_mqtt_5_get_mosquittos_code_without_a_name() {
    let (ca, port) = (Ca::new(), free_port());
    let broker = Broker::start(&mutual(&ca, port, "use_identity_as_username true"));
    let nameless = ca.issue("nameless", |params| params.distinguished_name.push(DnType::CommonName, ""));
    let mut nameless = open(port, &client(&ca, Some(nameless))).expect("a handshake");
    assert_eq!(nameless.hello(&Connect { version: Version::V311, ..hello("a") }), 0x86);
    assert_eq!(nameless.receive_within(Duration::from_secs(20)), Some(Received::End));
    drop(broker);
}

#[test]
fn a_stop_says_good_bye_by_tls_too() {
    let (ca, port) = (Ca::new(), free_port());
    let mut broker = Broker::start(&listener(&ca, port, ""));
    let mut a = connect(port, &client(&ca, None), "a");
    assert_eq!(broker.end(Signal::SIGTERM), Some(0));
    assert_eq!(a.receive(), Received::Disconnect(0x8B));
    assert_eq!(a.receive(), Received::End);
}
