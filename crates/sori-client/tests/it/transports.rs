//! TLS, WebSockets and proxies on the way to real brokers; what is said when a certificate is not good.

use std::time::Duration;

use sori_client::{CertificateFault, Client, Error, Options, Publish, QoS, Subscribe, Tls, Version, blocking};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::brokers::{Kind, for_tests, options, soon};
use super::certificates::{Ca, Certificate};
use super::place::{Place, Way};

fn refusal(place: &Place, tls: Tls) -> Error {
    blocking::Client::connect(options(&place.url(Way::Tls)).tls(tls)).map(|_| ()).expect_err("is not trusted")
}

/// Small messages and large ones, more than sockets hold, both ways at once.
async fn messages_come_through(options: Options, size_max: usize) {
    let client = soon("connecting", Client::connect(options)).await.expect("is let in");
    let subscribe = Subscribe::new("t/#").qos(QoS::ExactlyOnce);
    let mut messages = soon("subscribing", client.subscribe(subscribe)).await.expect("granted");
    let sizes = [0, 1, 125, 126, 16_384, 70_000, 1_500_000].into_iter().filter(|size| *size <= size_max);
    let payloads = || sizes.clone().map(|size: usize| vec![size.to_le_bytes()[0] | 1; size]);
    let publish = async {
        for payload in payloads() {
            client.publish(Publish::new("t/x", payload).qos(QoS::ExactlyOnce)).await.expect("taken");
        }
    };
    let take = async {
        for payload in payloads() {
            assert!(messages.next().await.expect("there is one").payload() == payload, "{}", payload.len());
        }
    };
    soon("all messages", async { tokio::join!(publish, take) }).await;
    soon("closing", client.close()).await.expect("nothing waits");
}

#[tokio::test]
async fn messages_come_through_every_way() {
    for kind in Kind::ALL {
        let Some(place) = Place::start(kind, Certificate::Good) else { continue };
        for version in [Version::V311, Version::V5] {
            for way in Way::ALL {
                messages_come_through(place.options(way, version), place.size_max(way)).await;
            }
        }
    }
}

#[tokio::test]
async fn every_way_is_found_again_after_a_crash_of_the_broker() {
    let mut place = Place::sori(Certificate::Good);
    let mut clients = Vec::new();
    for way in Way::ALL.map(|way| place.options(way, Version::V5)) {
        clients.push(soon("connecting", Client::connect(way)).await.expect("is let in"));
    }
    place.broker.kill_and_restart();
    for client in clients {
        let publish = Publish::new("t", "after").qos(QoS::ExactlyOnce);
        soon("a receipt", client.publish(publish)).await.expect("taken");
    }
}

#[test]
fn a_certificate_that_is_not_good_is_told_by_what_is_wrong_with_it() {
    let stranger = Ca::new();
    for (certificate, fault, part) in [
        (Certificate::Expired, CertificateFault::Expired, "has expired"),
        (Certificate::OtherName, CertificateFault::OtherName, "is for another name"),
        (Certificate::Good, CertificateFault::NotTrusted, "Tls::ca_file"),
    ] {
        let place = Place::sori(certificate);
        let tls = if certificate == Certificate::Good { Tls::new().ca_file(stranger.file()) } else { place.trusting() };
        let error = refusal(&place, tls);
        assert!(matches!(&error, Error::Certificate(_, found, _) if *found == fault), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.is_retryable());
        // Who wants it in spite of that says so by name.
        let client = blocking::Client::connect(options(&place.url(Way::Tls)).tls(Tls::new().insecure_any_server()));
        client.expect("any server will do").close().expect("nothing waits");
    }
    let place = Place::sori(Certificate::OtherName);
    let client =
        blocking::Client::connect(options(&place.url(Way::Tls)).tls(place.trusting().insecure_any_host_name()));
    client.expect("any name will do").close().expect("nothing waits");
}

#[test]
fn the_authorities_of_this_machine_do_not_know_the_test() {
    let place = Place::sori(Certificate::Good);
    let error = refusal(&place, Tls::new());
    // A machine without any list of authorities says so instead.
    let is_told = matches!(&error, Error::Certificate(_, CertificateFault::NotTrusted, _) | Error::TlsFiles(_));
    assert!(is_told, "{error:?}");
}

#[test]
fn a_client_shows_its_certificate_where_one_is_wanted() {
    for kind in Kind::ALL {
        let Some(place) = Place::start_with(kind, Certificate::Good, true) else { continue };
        let (certificate, key) = place.ca.client();
        let tls = place.trusting().client_certificate(&certificate, &key).alpn("mqtt").only_tls_1_3();
        let client = blocking::Client::connect(options(&place.url(Way::Tls)).tls(tls)).expect("is let in");
        client.publish(("t", "")).expect("taken");
        // In TLS 1.3 the server's refusal comes after the handshake, while CONNECT is on its way. FlashMQ answers the CONNECT.
        let error = refusal(&place, place.trusting());
        let is_told = matches!(
            &error,
            Error::Certificate(_, CertificateFault::Refused, _)
                | Error::ClosedEarly(_)
                | Error::Lost(_)
                | Error::Refused(..)
        );
        assert!(is_told, "{error:?}");
        let stranger = Ca::new().client();
        let missing = place.trusting().client_certificate(stranger.0, stranger.1);
        let error = refusal(&place, missing);
        assert!(matches!(&error, Error::TlsFiles(text) if text.contains("cannot be read")), "{error:?}");
    }
}

#[test]
fn options_for_tls_are_not_silently_unused() {
    let error = blocking::Client::start(options("mqtt://localhost").tls(Tls::new())).map(|_| ()).expect_err("no TLS");
    assert!(error.to_string().contains("write mqtts://"), "{error}");
    let error = Options::new("mqtt://localhost")
        .and_then(|options| options.proxy("ftp://x"))
        .map(|_| ())
        .expect_err("no proxy");
    assert!(error.to_string().contains("socks5:// or http://"), "{error}");
}

#[test]
fn a_listener_of_another_kind_is_told() {
    let place = Place::sori(Certificate::Good);
    let plain = place.broker.port;
    for url in [
        format!("ws://localhost:{plain}"),
        format!("mqtts://localhost:{plain}"),
        format!("wss://localhost:{}", place.tls),
        format!("mqtt://localhost:{}", place.tls),
        format!("mqtt://localhost:{}", place.websocket),
    ] {
        let secure = url.contains("s://") && !url.starts_with("ws://");
        let options = if secure { options(&url).tls(place.trusting()) } else { options(&url) };
        let error = blocking::Client::connect(options).map(|_| ()).expect_err(&url);
        let is_told = matches!(
            &error,
            Error::Handshake(..)
                | Error::WebSocket(..)
                | Error::ClosedEarly(_)
                | Error::NotMqtt(..)
                | Error::Unreachable(..)
                | Error::Lost(_)
        );
        assert!(is_told, "{url}: {error:?}");
    }
}

/// What a test's proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProxyKind {
    Http,
    HttpRefuses,
    Socks5,
}

/// A proxy for as many connections as come.
async fn proxy(kind: ProxyKind) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("has an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(kind, client));
        }
    });
    port
}

async fn relay(kind: ProxyKind, mut client: TcpStream) -> Option<()> {
    let target = if kind == ProxyKind::Socks5 {
        // RFC 1928: a greeting, user name and password (RFC 1929), a request by name.
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting).await.ok()?;
        let mut methods = vec![0; greeting[1].into()];
        client.read_exact(&mut methods).await.ok()?;
        assert!(methods.contains(&2), "offers a password");
        client.write_all(&[5, 2]).await.ok()?;
        let mut credentials = [0; 12];
        client.read_exact(&mut credentials).await.ok()?;
        assert_eq!(&credentials, b"\x01\x04user\x05p@ss!");
        client.write_all(&[1, 0]).await.ok()?;
        let mut request = [0; 5];
        client.read_exact(&mut request).await.ok()?;
        assert_eq!(request[..4], [5, 1, 0, 3]);
        let mut name = vec![0; request[4].into()];
        client.read_exact(&mut name).await.ok()?;
        let port = client.read_u16().await.ok()?;
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
        format!("{}:{port}", String::from_utf8(name).ok()?)
    } else {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?;
        if kind == ProxyKind::HttpRefuses {
            client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.ok()?;
            return None;
        }
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
        head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned()
    };
    let mut server = TcpStream::connect(target).await.ok()?;
    copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}

#[tokio::test]
async fn proxies_open_the_way() {
    let place = Place::sori(Certificate::Good);
    let (http, socks5, refusing) =
        (proxy(ProxyKind::Http).await, proxy(ProxyKind::Socks5).await, proxy(ProxyKind::HttpRefuses).await);
    for url in [format!("http://127.0.0.1:{http}"), format!("socks5://user:p%40ss!@127.0.0.1:{socks5}")] {
        let plain = options(&format!("mqtt://localhost:{}", place.broker.port));
        let others = [Way::Tls, Way::WebSocket, Way::SecureWebSocket].map(|way| place.options(way, Version::V5));
        for way in others.into_iter().chain([plain]) {
            messages_come_through(way.proxy(&url).expect("a URL"), usize::MAX).await;
        }
    }
    let way = options(&place.url(Way::Tls)).tls(place.trusting()).proxy(&format!("http://127.0.0.1:{refusing}"));
    let refused = soon("an answer", Client::connect(way.expect("a URL"))).await.map(|_| ()).expect_err("is refused");
    assert!(matches!(refused, Error::Proxy(..)), "{refused:?}");
    assert!(refused.to_string().contains("wants a user name and a password"), "{refused}");
    let gone = options("mqtt://localhost").proxy("socks5://127.0.0.1:1").expect("a URL");
    let error = soon("an answer", Client::connect(gone)).await.map(|_| ()).expect_err("nobody is there");
    assert!(matches!(&error, Error::Unreachable(address, _) if address == "127.0.0.1:1"), "{error:?}");
}

#[tokio::test]
async fn a_server_is_named_by_the_parts_of_a_url_as_well() {
    let place = Place::sori(Certificate::Good);
    let tcp = |port| for_tests(Options::tcp("localhost", port));
    for way in [
        tcp(place.broker.port).no_delay(false),
        tcp(place.tls).tls(place.trusting()),
        tcp(place.websocket).websocket("/mqtt"),
        tcp(place.secure_websocket).websocket("/mqtt").tls(place.trusting()),
    ] {
        assert!(way.server().starts_with("localhost:"), "{}", way.server());
        messages_come_through(way, usize::MAX).await;
    }
}

/// Its certificate is one for localhost, and the path is no name.
#[tokio::test]
async fn tls_and_web_sockets_also_go_over_a_unix_socket() {
    let place = Place::sori(Certificate::Good);
    for (port, is_websocket) in [(place.tls, false), (place.secure_websocket, true)] {
        let path = place.ca.file().with_file_name(format!("{port}.socket"));
        let listener = UnixListener::bind(&path).expect("a socket");
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.expect("a client");
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("the broker");
            // A connection that is cut off in the end is an end, too.
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
        let way = for_tests(Options::unix(&path)).tls(place.trusting());
        messages_come_through(if is_websocket { way.websocket("/mqtt") } else { way }, usize::MAX).await;
    }
}

#[test]
fn no_proxy_leads_to_a_unix_socket() {
    let way = Options::unix("/run/mqtt.sock").proxy("socks5://localhost").expect("a URL");
    let error = blocking::Client::connect(way).map(|_| ()).expect_err("is refused");
    assert!(error.to_string().contains("no proxy leads there"), "{error}");
}

#[tokio::test]
async fn a_connection_comes_from_the_address_that_was_chosen() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("has an address").port();
    let from = |address: &str| for_tests(Options::tcp("127.0.0.1", port)).local_address(address);
    let client = Client::start(from("127.0.0.2")).expect("begins");
    let (_, peer) = soon("a connection", listener.accept()).await.expect("is there");
    assert_eq!(peer.ip().to_string(), "127.0.0.2");
    drop(client);
    let error = soon("an answer", Client::connect(from("::1"))).await.map(|_| ()).expect_err("another family");
    assert!(matches!(&error, Error::Unreachable(..)) && error.to_string().contains("another family"), "{error}");
}

/// A server that accepts connections and says nothing during the handshake is given up in time.
#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("has an address").port();
    for url in [format!("mqtts://localhost:{port}"), format!("ws://localhost:{port}")] {
        let mut options = options(&url).connect_timeout(Duration::from_millis(50));
        if url.starts_with("mqtts") {
            options = options.tls(Tls::new().insecure_any_server());
        }
        let error = soon("an answer", Client::connect(options)).await.map(|_| ()).expect_err("nobody answers");
        assert!(matches!(error, Error::TimedOut(..)), "{error:?}");
    }
}
