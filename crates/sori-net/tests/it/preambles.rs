//! What comes before everything else: headers of the PROXY protocol, and the way through proxies.

use sori_net::proxy::Credentials;
use sori_net::{Error, ErrorKind, Peer, Proxy, ProxyProtocol, Transport};

const V2: ProxyProtocol = ProxyProtocol::V2 { require_tls: false, require_certificate: false };
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Give a transport these bytes, cut at `cut`, and what follows them.
fn receive(rules: ProxyProtocol, header: &[u8], cut: usize) -> Result<Peer, Error> {
    let mut transport = Transport::plain().proxy_protocol(rules);
    assert!(!transport.is_open());
    let mut wire = [header, b"CONNECT"].concat();
    let (front, back) = wire.split_at_mut(cut);
    let mut got = Vec::new();
    transport.receive(front, &mut got)?;
    transport.receive(back, &mut got)?;
    assert!(transport.is_open());
    assert_eq!(got, b"CONNECT", "cut at {cut}");
    assert!(transport.output().is_empty());
    Ok(transport.peer().clone())
}

fn at_every_cut(rules: ProxyProtocol, header: &[u8]) -> Result<Peer, Error> {
    let whole = receive(rules, header, 0);
    for cut in 0..=header.len() {
        assert_eq!(receive(rules, header, cut), whole, "cut at {cut}");
    }
    whole
}

fn address(peer: Result<Peer, Error>) -> Result<String, ErrorKind> {
    peer.map(|peer| format!("{:?}", peer.address)).map_err(|error| error.kind())
}

fn v2(family: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).expect("short").to_be_bytes();
    [SIGNATURE, &[0x21, family], &length, contents].concat()
}

fn value(kind: u8, contents: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(contents.len()).expect("short").to_be_bytes(), contents].concat()
}

const IPV4: [u8; 12] = [192, 0, 2, 5, 127, 0, 0, 1, 0x18, 0x83, 7, 0x5B];

#[test]
fn version_1_lines() {
    for (line, source) in [
        ("PROXY TCP4 192.0.2.5 127.0.0.1 6275 1883\r\n", Ok("Some(Ip(192.0.2.5:6275))")),
        ("PROXY TCP6 2001:db8::1 ::1 6275 1883\r\n", Ok("Some(Ip([2001:db8::1]:6275))")),
        ("PROXY UNKNOWN\r\n", Ok("None")),
        ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", Ok("None")),
        ("PROXY TCP3 192.0.2.5 127.0.0.1 6275 1883\r\n", Err(())),
        ("PROXY TCP4 192.0.2.5 127.0.0.1 6275\r\n", Err(())),
        ("PROXY TCP4 192.0.2.5 127.0.0.1 6275 1883 1\r\n", Err(())),
        ("PROXY TCP4 192.0.2.5  127.0.0.1 6275 1883\r\n", Err(())),
        ("PROXY TCP4 192.0.2.256 127.0.0.1 6275 1883\r\n", Err(())),
        ("PROXY TCP4 2001:db8::1 ::1 6275 1883\r\n", Err(())),
        ("PROXY TCP4 192.0.2.5 127.0.0.1 0 1883\r\n", Err(())),
        ("PROXY TCP4 192.0.2.5 127.0.0.1 6275 65536\r\n", Err(())),
        ("PROXY TCP4 192.0.2.5 127.0.0.1 +6275 1883\r\n", Err(())),
        ("PROXY \r\n", Err(())),
        ("\r\n", Err(())),
    ] {
        let found = address(at_every_cut(ProxyProtocol::V1, line.as_bytes()));
        assert_eq!(found, source.map(str::to_owned).map_err(|()| ErrorKind::ProxyProtocol), "{line:?}");
    }
}

#[test]
fn version_1_without_end_is_given_up() {
    let mut transport = Transport::plain().proxy_protocol(ProxyProtocol::V1);
    let mut line = b"PROXY UNKNOWN ".to_vec();
    line.resize(106, b'x');
    transport.receive(&mut line, &mut Vec::new()).expect("it may end with the next byte");
    assert!(transport.receive(&mut [b'x'], &mut Vec::new()).is_err(), "107 bytes");
    let mut mqtt = Transport::plain().proxy_protocol(ProxyProtocol::V1);
    assert!(mqtt.receive(&mut [0x10], &mut Vec::new()).is_err(), "MQTT is refused at once");
}

#[test]
fn version_2_headers() {
    let mut ipv6 = [0; 36];
    ipv6[..2].copy_from_slice(&[0x20, 0x01]);
    ipv6[15] = 9;
    ipv6[32..34].copy_from_slice(&6275u16.to_be_bytes());
    let mut unix = [0; 216];
    unix[..5].copy_from_slice(b"/path");
    let ignored = value(0x04, b"nothing");
    for (header, source) in [
        (v2(0x11, &IPV4), Ok("Some(Ip(192.0.2.5:6275))")),
        (v2(0x11, &[&IPV4[..], &ignored].concat()), Ok("Some(Ip(192.0.2.5:6275))")),
        (v2(0x21, &ipv6), Ok("Some(Ip([2001::9]:6275))")),
        (v2(0x31, &unix), Ok("Some(Unix(\"/path\"))")),
        (v2(0x31, b"/path"), Ok("Some(Unix(\"/path\"))")),
        (v2(0x00, b""), Err(())),
        (v2(0x31, b""), Err(())),
        (v2(0x11, &IPV4[..11]), Err(())),
        (v2(0x21, &IPV4), Err(())),
        (v2(0x12, &IPV4), Err(())),
        (v2(0x11, &[&IPV4[..], &[4, 0]].concat()), Err(())),
        (v2(0x11, &[&IPV4[..], &[4, 0, 1]].concat()), Err(())),
        (v2(0x11, &[&IPV4[..], &value(0x20, &[0; 4])].concat()), Err(())),
        (v2(0x11, &[&IPV4[..], &value(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 9])].concat()), Err(())),
        ([SIGNATURE, &[0x31, 0x11, 0, 0]].concat(), Err(())),
        ([SIGNATURE, &[0x21, 0x11, 0xFF, 0xFF]].concat(), Err(())),
        (b"PROXY TCP4 192.0.2.5 127.0.0.1 6275 1883\r\n".to_vec(), Err(())),
    ] {
        let found = address(at_every_cut(V2, &header));
        assert_eq!(found, source.map(str::to_owned).map_err(|()| ErrorKind::ProxyProtocol), "{header:02x?}");
    }
}

#[test]
fn version_2_facts_of_tls() {
    let ssl = |client: u8, verify: u32| {
        let values = [value(0x21, b"TLSv1.3"), value(0x23, b"suite"), value(0x22, b"device")].concat();
        let contents = [&[client][..], &verify.to_be_bytes(), &values].concat();
        v2(0x11, &[&IPV4[..], &value(0x20, &contents)].concat())
    };
    let rules = |require_tls, require_certificate| ProxyProtocol::V2 { require_tls, require_certificate };
    let facts = at_every_cut(V2, &ssl(7, 0)).expect("legal").tls.expect("it came by TLS");
    assert_eq!((&*facts.version, &*facts.cipher), ("TLSv1.3", "suite"));
    assert_eq!(facts.certificate.and_then(|names| names.common_name).as_deref(), Some("device"));
    // The proxy tells what there is to tell, and that it was not TLS.
    for client in [0, 4] {
        assert_eq!(at_every_cut(V2, &ssl(client, 0)).expect("legal").tls, None);
        assert!(receive(rules(true, false), &ssl(client, 0), 0).is_err());
    }
    for (client, verify) in [(5, 1), (1, 0), (3, 0)] {
        let facts = at_every_cut(V2, &ssl(client, verify)).expect("legal").tls.expect("it came by TLS");
        assert_eq!(facts.certificate, None, "not verified in this session: {client} {verify}");
        assert!(receive(rules(true, true), &ssl(client, verify), 0).is_err());
    }
    assert!(receive(rules(true, true), &ssl(5, 0), 0).is_ok());
    assert!(receive(rules(true, false), &ssl(1, 1), 0).is_ok());
    let told = receive(rules(true, false), &v2(0x11, &IPV4), 0).expect_err("not by TLS");
    assert_eq!(told.to_string(), "client did not connect using TLS");
    assert_eq!(told.kind(), ErrorKind::ProxyRefused, "nothing is wrong with the header");
}

#[test]
fn version_2_of_a_proxy_that_speaks_for_nobody() {
    let header = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    assert_eq!(at_every_cut(V2, &header).expect_err("nobody is there").kind(), ErrorKind::ProxyRefused);
}

/// What a client says to a proxy that answers with these bytes, cut at every byte.
fn through(proxy: &Proxy, host: &str, answers: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let talk = |piece: usize| {
        let mut client = Transport::plain().through(proxy, host, 1883)?;
        let (mut said, mut got) = (Vec::new(), Vec::new());
        for answer in answers {
            said.extend_from_slice(client.output());
            client.sent(client.output().len());
            for piece in answer.to_vec().chunks_mut(piece) {
                client.receive(piece, &mut got)?;
            }
        }
        said.extend_from_slice(client.output());
        if client.is_open() {
            client.receive(&mut b"CONNACK".to_vec(), &mut got)?;
            assert_eq!(got, b"CONNACK");
        }
        Ok((said, client.is_open()))
    };
    let whole: Result<_, Error> = talk(usize::MAX);
    assert_eq!(talk(1), whole);
    assert_eq!(talk(3), whole);
    whole.map(|(said, is_open)| {
        assert!(is_open, "the way is free");
        said
    })
}

#[test]
fn a_proxy_that_hangs_up_is_not_taken_for_the_server() {
    let mut client = Transport::plain().through(&Proxy::Socks5 { credentials: None }, "h", 1883).expect("a proxy");
    assert_eq!(client.receive_end().map_err(|error| error.kind()), Err(ErrorKind::Proxy));
    let mut got = Vec::new();
    client.receive(&mut [5, 0], &mut got).expect("a method");
    assert_eq!(client.receive_end().map_err(|error| error.kind()), Err(ErrorKind::Proxy));
    client.receive(&mut [5, 0, 0, 1, 0, 0, 0, 0, 0, 0], &mut got).expect("the way is free");
    assert_eq!(client.receive_end(), Ok(()));
}

fn credentials(user_name: &str) -> Option<Credentials> {
    Some(Credentials { user_name: user_name.into(), password: "secret".into() })
}

#[test]
fn http_connect() {
    let plain = Proxy::Http { credentials: None };
    let fine = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
    let said = through(&plain, "broker.example", &[fine]).expect("fine");
    assert_eq!(said, b"CONNECT broker.example:1883 HTTP/1.1\r\nHost: broker.example:1883\r\n\r\n");
    let said = through(&plain, "2001:db8::1", &[fine]).expect("fine");
    assert!(said.starts_with(b"CONNECT [2001:db8::1]:1883 "));
    let said = through(&Proxy::Http { credentials: credentials("me") }, "h", &[fine]).expect("fine");
    assert!(String::from_utf8_lossy(&said).contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"));
    for answer in [&b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..], b"HTTP/1.1 502 Bad Gateway\r\n\r\n"] {
        let error = through(&plain, "h", &[answer]).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Proxy);
    }
    assert!(through(&plain, "h", &[b"SSH-2.0-x\r\n\r\n"]).is_err());
    assert!(through(&plain, "a\r\nb", &[]).is_err() && through(&plain, "", &[]).is_err());
    assert!(through(&Proxy::Http { credentials: credentials("a:b") }, "h", &[]).is_err());
}

#[test]
fn socks5() {
    let plain = Proxy::Socks5 { credentials: None };
    let fine = [5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
    let said = through(&plain, "broker.example", &[&[5, 0], &fine]).expect("fine");
    assert_eq!(said, b"\x05\x01\x00\x05\x01\x00\x03\x0ebroker.example\x07\x5b");
    let said = through(&plain, "192.0.2.5", &[&[5, 0], &[&[5, 0, 0, 3, 1, b'x', 0, 80][..]].concat()]).expect("fine");
    assert_eq!(said[3..], [5, 1, 0, 1, 192, 0, 2, 5, 7, 0x5B]);
    let mut ipv6 = vec![5, 0, 0, 4];
    ipv6.resize(22, 0);
    let said = through(&plain, "[2001:db8::1]", &[&[5, 0], &ipv6]).expect("fine");
    assert_eq!(said[3..8], [5, 1, 0, 4, 0x20]);
    let named = Proxy::Socks5 { credentials: credentials("me") };
    let said = through(&named, "h", &[&[5, 2], &[1, 0], &fine]).expect("fine");
    assert_eq!(said, b"\x05\x02\x00\x02\x01\x02me\x06secret\x05\x01\x00\x03\x01h\x07\x5b");
    through(&named, "h", &[&[5, 0], &fine]).expect("it need not ask");
    for answers in [
        &[&[5, 0xFF][..]][..],
        &[&[5, 2]],
        &[&[4, 0]],
        &[&[5, 0], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]],
        &[&[5, 0], &[5, 0, 0, 9, 0]],
        &[&[5, 1]],
    ] {
        let error = through(&plain, "h", answers).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Proxy, "{answers:?}");
    }
    assert!(through(&named, "h", &[&[5, 2], &[1, 1]]).is_err());
    assert!(through(&plain, &"a".repeat(256), &[]).is_err());
}

#[test]
fn tls_begins_only_when_the_proxy_has_opened_the_way() {
    use sori_net::tls::ServerRoots;
    use sori_net::{TlsClient, TlsClientOptions};
    let anybody = TlsClientOptions { roots: ServerRoots::Anybody, ..TlsClientOptions::default() };
    let tls = TlsClient::load(&anybody).expect("no files");
    let proxy = Proxy::Http { credentials: None };
    let client = Transport::plain().through(&proxy, "h", 8883).and_then(|client| client.tls_client(&tls, "h"));
    let mut client = client.expect("legal");
    assert!(client.output().starts_with(b"CONNECT ") && client.output().ends_with(b"\r\n\r\n"));
    client.sent(client.output().len());
    client.receive(&mut b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), &mut Vec::new()).expect("fine");
    assert_eq!(client.output().first(), Some(&22), "the ClientHello");
}
