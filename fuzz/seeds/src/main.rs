//! Writes the first inputs of the fuzz targets into `fuzz/corpus`: one legal packet of each kind and version, some
//! conversations and configurations; and the words of configurations into `fuzz/config.dict`. Run it in `fuzz/` with
//! `cargo run -p sori-fuzz-seeds`; it writes the same files every time.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use sori_mqtt::{
    Ack, Auth, ConnAck, Connect, Direction, Disconnect, Packet, PacketId, Properties, Property, PropertyBuffer,
    Publish, QoS, ReasonCode, SubAck, Subscribe, SubscribeOptions, TopicFilter, UnsubAck, Unsubscribe, Version, Will,
};
use sori_server::config::option::Entry;
use sori_server::config::options;

fn main() -> io::Result<()> {
    for version in [Version::V31, Version::V311, Version::V5] {
        for direction in [Direction::ToServer, Direction::ToClient] {
            for (name, bytes) in packets(version, direction) {
                let mut input = vec![choice(version, direction)];
                input.extend(bytes);
                write("decode", &name, &input)?;
            }
        }
        for (name, steps) in conversations(version) {
            write("client_session", &name, &steps)?;
        }
        for (name, steps) in audiences(version) {
            write("broker", &name, &steps)?;
        }
    }
    for (target, name, text) in FILES {
        write(target, name, text.as_bytes())?;
    }
    for (name, text) in CONFIGURATIONS {
        // The first byte chooses the form.
        let form = u8::from(name.ends_with(".toml"));
        write("config", name, &[&[form], text.as_bytes()].concat())?;
    }
    for (target, name, bytes) in PREAMBLES {
        write(target, name, bytes)?;
    }
    for (name, bytes) in DNS_ANSWERS {
        write("srv_answer", name, bytes)?;
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.dict"), dictionary())
}

/// The words of both forms, which a fuzzer would have to guess.
fn dictionary() -> String {
    let of_entry = |entry: &'static Entry| entry.words.iter().copied().chain(entry.toml.split('.'));
    let words: BTreeSet<&str> = options::all().flat_map(of_entry).chain(VALUES.iter().copied()).collect();
    let words = words.into_iter().map(|word| word.trim_end_matches('*')).filter(|word| !word.is_empty());
    words.map(|word| format!("\"{word}\"\n")).collect()
}

/// What stands behind or around options.
const VALUES: &[&str] = &[
    "[[listener]]",
    "[default_listener]",
    "[log]",
    "[persistence]",
    "true",
    "all",
    "mqtt",
    "websockets",
    "127.0.0.1",
    "::1",
    "/run/mqtt",
    "\\\\u0000",
    "\\xEF\\xBF\\xBD",
];

/// Files beside the configuration.
const FILES: &[(&str, &str, &str)] = &[
    ("acl", "anonymous", "topic read news/#\ntopic deny news/secret\n\0c1\0\0news/today"),
    ("acl", "users", "user ann\ntopic readwrite a/+/b\nuser bob b\ntopic write #\n\0c1\0bob b\0a/x/b"),
    ("acl", "patterns", "pattern home/%u/%c/#\npattern deny home/%u/lock\n# x\n\0c1\0ann\0home/ann/c1/x"),
    ("acl", "wildcards", "pattern read $SYS/%c\ntopic $SYS/#\n\0#\0+\0$SYS/x"),
    (
        "password_file",
        "sha512",
        "test:$6$njERlZMi/7DzNB9E$iiavfuXvUm8iyDZArTy7smTxh07GXXOrOsqxfW6gkOYVXHGk+W+i/8d3xDxrMwEPygEBhoA8A/gjQC0N2M4Lkw==\n",
    ),
    (
        "password_file",
        "pbkdf2",
        "# x\npw1:$7$101$yRgxlSZGFeXmHId3$03Md5bF2FoR9aeoeAi5JWRUBRtZvE7N5dSHzUzg7oEvf3+AVhbmwm/et/uZd2y16QQgmY20w49LBrIjMsYQc8A==\n",
    ),
    (
        "password_file",
        "argon2id",
        "a:$argon2id$v=19$m=256,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$j7h518w5Nw+jSKSOMgHX1Ar0n7Z5iW13Ky/BgClT6vA\n",
    ),
    ("psk_file", "keys", "# x\nidentity:00ff10\n other : AB \nidentity:00\n"),
    ("scram", "proof", "n,,n=user,r=abc\0c=biws,r=\u{1},p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ("scram", "names", "y,a=a=2Cb,n=a=2Cb,r=abc,x=y\0c=eSxhPWE9MkNiLA==,r=\u{1},x=y,p=AAAA"),
    ("url", "server", "\0mqtts://user:p%40ss@[::1]:8883/"),
    ("url", "websocket", "\0ws://host/path?query"),
    ("url", "unix", "\0unix:///run/mqtt"),
    ("url", "proxy", "\u{1}socks5h://user:password@proxy:1080"),
];

/// Configurations in both forms.
const CONFIGURATIONS: [(&str, &str); 4] = [
    (
        "listeners.conf",
        "per_listener_settings true\nlistener 1883 ::1\nallow_anonymous true\nmax_qos 1\nlistener 0 /run/mqtt\n",
    ),
    ("default.conf", "port 1884\nbind_address 127.0.0.1\nlog_dest file /a b\nlog_type all\nmax_keepalive 0x10\n"),
    (
        "listeners.toml",
        "max_keepalive = 60\n[log]\ntypes = [\"all\"]\n[[listener]]\nport = 1883\n[[listener]]\npath = \"/run/mqtt\"\n",
    ),
    ("default.toml", "[default_listener]\nport = 1884\nmax_qos = 1\n[persistence]\nenabled = false\n"),
];

/// What connections begin with. The first two bytes are choices of the target.
const PREAMBLES: &[(&str, &str, &[u8])] = &[
    (
        "websocket",
        "request",
        b"\0\x07GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Forwarded-For: ::1, 10.0.0.1\r\n\
          Origin: https://a.example\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n\x82\x82\0\0\0\0\xC0\0",
    ),
    (
        "websocket",
        "answer",
        b"\x01\x07HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \
          s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
    ),
    ("websocket", "frames_of_client", b"\x02\x03\x02\x81\x01\x02\x03\x04\xC1\x89\x80\0\0\0\0\x80\x81\0\0\0\0\0\x88\x82\0\0\0\0\x03\xE8"),
    ("websocket", "frames_of_server", b"\x03\x03\x82\x7E\0\x01\xD0\x89\x01x\x8A\0\x82\x7F\0\0\0\0\0\0\0\x01\0\x88\x02\x03\xE8"),
    ("proxy_protocol", "v1", b"\0\x05PROXY TCP4 192.0.2.1 198.51.100.2 51000 1883\r\n\xC0\0"),
    ("proxy_protocol", "v1_tcp6", b"\0\x05PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"),
    ("proxy_protocol", "v1_unknown", b"\0\x05PROXY UNKNOWN whatever\r\n"),
    ("proxy_protocol", "v2", b"\x01\x05\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02\x01\xC6\x33\x64\x02\xC7\x38\x07\x5B\xC0\0"),
    (
        "proxy_protocol",
        "v2_tls",
        b"\x07\x05\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x18\xC0\0\x02\x01\xC6\x33\x64\x02\xC7\x38\x07\x5B\
          \x20\0\x09\x07\0\0\0\0\x22\0\x01n",
    ),
    ("proxy_protocol", "v2_local", b"\x01\x05\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
    ("proxy_client", "http", b"\0\x09HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n\x20\x02\0\0"),
    ("proxy_client", "http_refuses", b"\x02\x09HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
    ("proxy_client", "socks5", b"\x01\x03\x05\0\x05\0\0\x01\x7F\0\0\x01\x07\x5B\x20\x02\0\0"),
    ("proxy_client", "socks5_credentials", b"\x03\x03\x05\x02\x01\0\x05\0\0\x03\x01h\0\0"),
];

/// What name servers say. The first byte chooses the form.
const DNS_ANSWERS: &[(&str, &[u8])] = &[
    (
        "whole",
        b"\0\0\x07\x81\x80\0\x01\0\x02\0\0\0\0\x05_mqtt\x04_tcp\x07example\x03org\0\0\x21\0\x01\
          \xC0\x0C\0\x21\0\x01\0\0\0\x3C\0\x15\0\x0A\0\x05\x07\x5B\x01a\x07example\x03org\0\
          \xC0\x0C\0\x21\0\x01\0\0\0\x3C\0\x0A\0\x14\0\0\x07\x5B\x01b\xC0\x17",
    ),
    (
        "alias",
        b"\x01\x81\x80\0\x02\0\0\0\x01\xC0\x0C\0\x05\0\x01\0\0\0\x3C\0\x04\x01b\xC0\x0C\
          \xC0\x34\0\x21\0\x01\0\0\0\x3C\0\x0A\0\0\0\0\x22\xB3\x01a\xC0\x17\0\0\x29\x10\0\0\0\0\0\0\0",
    ),
    ("root", b"\x01\x81\x80\0\x01\0\0\0\0\xC0\x0C\0\x21\0\x01\0\0\0\x3C\0\x07\0\0\0\0\0\0\0"),
    ("endless", b"\x01\x81\x80\0\x01\0\0\0\0\xC0\x0C\0\x21\0\x01\0\0\0\x3C\0\x0A\0\0\0\0\x07\x5B\x01a\xC0\x3A"),
    ("cut", b"\x01\x83\x80\0\0\0\0\0\0"),
    ("unknown", b"\x01\x81\x83\0\0\0\0\0\0"),
    ("failed", b"\x01\x81\x82\0\0\0\0\0\0"),
];

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

/// The first byte of an input, as the targets read it.
fn choice(version: Version, direction: Direction) -> u8 {
    version.level() - 3 + if direction == Direction::ToClient { 3 } else { 0 }
}

fn packets(version: Version, direction: Direction) -> Vec<(String, Vec<u8>)> {
    let text = buffer(&[Property::ReasonString("why"), Property::UserProperty("name", "value")]);
    let message = buffer(&[
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(60),
        Property::TopicAlias(1),
        Property::ResponseTopic("answer"),
        Property::CorrelationData(b"7"),
        Property::ContentType("text"),
        Property::UserProperty("name", "value"),
    ]);
    let (text, message) = (text.as_properties(), message.as_properties());
    let publish = |qos, properties, topic| Publish {
        dup: qos != QoS::AtMostOnce,
        qos,
        retain: true,
        topic,
        packet_id: (qos != QoS::AtMostOnce).then_some(PacketId::FIRST),
        properties,
        payload: b"payload",
    };
    let mut packets = vec![
        Packet::Publish(publish(QoS::AtMostOnce, Properties::EMPTY, "a/b")),
        Packet::Publish(publish(QoS::ExactlyOnce, message, "a/b")),
        Packet::PubAck(ack(Properties::EMPTY)),
        Packet::PubRec(ack(text)),
        Packet::PubRel(ack(Properties::EMPTY)),
        Packet::PubComp(ack(Properties::EMPTY)),
    ];
    let filters = [
        (
            TopicFilter::new("a/+/#").expect("legal"),
            SubscribeOptions { qos: QoS::ExactlyOnce, ..SubscribeOptions::default() },
        ),
        (TopicFilter::new("$share/group/t").expect("legal"), SubscribeOptions::default()),
    ];
    let names = [filters[0].0, filters[1].0];
    let subscribe = buffer(&[Property::SubscriptionIdentifier(300)]);
    let method = buffer(&[Property::AuthenticationMethod("M"), Property::AuthenticationData(b"data")]);
    let will = buffer(&[Property::WillDelayInterval(5), Property::ContentType("text")]);
    let connect = buffer(&[Property::SessionExpiryInterval(60), Property::ReceiveMaximum(10)]);
    let connack = buffer(&[
        Property::ReceiveMaximum(2),
        Property::MaximumQoS(QoS::AtLeastOnce),
        Property::TopicAliasMaximum(3),
        Property::MaximumPacketSize(40),
        Property::ServerKeepAlive(9),
    ]);
    let codes = [1, 0x80];
    match direction {
        Direction::ToServer => packets.extend([
            Packet::Connect(Connect {
                version,
                bridge: false,
                clean_start: true,
                keep_alive: 60,
                client_id: "client",
                will: Some(Will {
                    topic: "will",
                    payload: b"gone",
                    qos: QoS::AtLeastOnce,
                    retain: true,
                    properties: of(version, &will),
                }),
                user_name: Some("user"),
                password: Some(b"password"),
                properties: of(version, &connect),
            }),
            Packet::Subscribe(Subscribe::new(PacketId::FIRST, of(version, &subscribe), &filters)),
            Packet::Unsubscribe(Unsubscribe::new(PacketId::FIRST, Properties::EMPTY, &names)),
            Packet::PingReq,
        ]),
        Direction::ToClient => packets.extend([
            Packet::ConnAck(ConnAck {
                session_present: true,
                reason_code: ReasonCode::Success,
                properties: of(version, &connack),
            }),
            Packet::SubAck(SubAck { packet_id: PacketId::FIRST, properties: Properties::EMPTY, reason_codes: &codes }),
            Packet::UnsubAck(UnsubAck {
                packet_id: PacketId::FIRST,
                properties: Properties::EMPTY,
                reason_codes: if version.is_v5() { &[0, 0x11] } else { &[] },
            }),
            Packet::PingResp,
        ]),
    }
    if version.is_v5() || direction == Direction::ToServer {
        packets
            .push(Packet::Disconnect(Disconnect { reason_code: ReasonCode::Success, properties: Properties::EMPTY }));
    }
    if version.is_v5() {
        let reason_code = ReasonCode::ContinueAuthentication;
        packets.push(Packet::Auth(Auth { reason_code, properties: method.as_properties() }));
    }
    let side = if direction == Direction::ToServer { "client" } else { "server" };
    let mut files = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        let mut bytes = Vec::new();
        packet.encode(version, &mut bytes);
        let name = packet.packet_type().name().to_lowercase();
        files.push((format!("mqtt{}-{side}-{number:02}-{name}", version.level()), bytes));
    }
    files
}

/// Steps of the `client_session` target.
fn conversations(version: Version) -> Vec<(String, Vec<u8>)> {
    let server = packets(version, Direction::ToClient);
    let packet = |kind: &str| {
        let (_, bytes) = server.iter().find(|(name, _)| name.ends_with(kind)).expect("a packet of this kind");
        bytes.clone()
    };
    let says = |bytes: &[u8]| {
        let mut step = vec![u8::try_from(bytes.len() - 1).expect("short")];
        step.extend_from_slice(bytes);
        step
    };
    let accept: &[u8] = if version.is_v5() { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
    let begin = |flags: u8| [vec![version.level() - 3, flags], says(accept)].concat();
    let name = |text: &str| format!("mqtt{}-{text}", version.level());
    vec![
        (name("publish"), [begin(1), vec![0xC0, 0xC1, 0xC2], says(&[0x40, 2, 0, 1]), says(&[0x50, 2, 0, 2])].concat()),
        (name("receive"), [begin(1), says(&packet("publish")), says(&packet("pubrel"))].concat()),
        (name("subscribe"), [begin(1), vec![0xE0, 0xE4], says(&packet("suback")), says(&packet("pingresp"))].concat()),
        (name("resume"), [begin(6), vec![0xC1, 0xC2, 0xC1, 0xFC], says(&packet("connack")), vec![0xF7, 0xF8]].concat()),
    ]
}

/// Steps of the `broker` target: the first client says one packet, and the second one hears of it.
fn audiences(version: Version) -> Vec<(String, Vec<u8>)> {
    let says = |client: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len() - 1).expect("short");
        [&[client, length], bytes].concat()
    };
    let opens = |client: u8| client | 42 << 2;
    let packets = packets(version, Direction::ToServer);
    let (_, subscribe) = packets.iter().find(|(name, _)| name.ends_with("-subscribe")).expect("there is one");
    let all = packets.iter().map(|(name, bytes)| {
        let begin = [vec![version.level() - 3, opens(0), opens(1)], says(1, subscribe)].concat();
        (name.clone(), [begin, says(0, bytes), vec![1 | 52 << 2, 60 << 2, opens(1)]].concat())
    });
    all.collect()
}

fn ack(properties: Properties<'_>) -> Ack<'_> {
    Ack { properties, ..Ack::success(PacketId::FIRST) }
}

fn buffer(properties: &[Property<'_>]) -> PropertyBuffer {
    let mut buffer = PropertyBuffer::new();
    for property in properties {
        buffer.push(*property);
    }
    buffer
}

fn of(version: Version, properties: &PropertyBuffer) -> Properties<'_> {
    if version.is_v5() { properties.as_properties() } else { Properties::EMPTY }
}
