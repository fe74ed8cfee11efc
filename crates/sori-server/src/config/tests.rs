//! What a file says, and what comes of it.

use std::path::Path;

use proptest::prelude::*;

use super::draft::{ListenerDraft, MadeBy, Place};
use super::option::{Entry, Scope, Standing, Structure, Takes};
use super::parse::Reader;
use super::*;

mod plugins;

fn source(ports: &[u16]) -> Source<'_> {
    Source { files: &[], ports, defaults: Defaults::Mosquitto, persistence_location: None }
}

/// Reads a file with these contents.
fn read_bytes(contents: &[u8], ports: &[u16]) -> (Config, Vec<Remark>) {
    let mut reader = Reader::new(Defaults::Mosquitto);
    reader.read_bytes(Path::new("a.conf"), contents, true);
    let (draft, settings, mut remarks) = reader.finish();
    let config = finish::resolve(draft, &settings, &source(ports), &mut remarks);
    (config, remarks)
}

fn of(remarks: &[Remark], severity: Severity) -> Vec<String> {
    remarks.iter().filter(|remark| remark.severity == severity).map(Remark::to_string).collect()
}

/// Reads a file without any error.
#[track_caller]
fn good(contents: &str) -> Config {
    let (config, remarks) = read_bytes(contents.as_bytes(), &[]);
    assert_eq!(of(&remarks, Severity::Error), [""; 0], "{contents}");
    config
}

/// Reads a file with exactly these errors, of which only the texts before the hints are compared.
#[track_caller]
fn bad(contents: &str, errors: &[&str]) {
    let (_, remarks) = read_bytes(contents.as_bytes(), &[]);
    let found: Vec<String> = remarks
        .iter()
        .filter(|remark| remark.severity == Severity::Error)
        .map(|remark| format!("{}: {}", remark.at.as_ref().map_or(0, |at| at.line), remark.text))
        .collect();
    assert_eq!(found, errors, "{contents}");
}

#[track_caller]
fn warned(contents: &str, part: &str) {
    let (_, remarks) = read_bytes(contents.as_bytes(), &[]);
    let said = of(&remarks, Severity::Warning);
    assert!(said.iter().any(|warning| warning.contains(part)), "{contents}: {said:?}");
}

#[track_caller]
fn silent(contents: &str) {
    let (_, remarks) = read_bytes(contents.as_bytes(), &[]);
    assert_eq!(remarks, [], "{contents}");
}

fn only_listener(contents: &str) -> ListenerConfig {
    let config = good(contents);
    assert_eq!(config.listeners.len(), 1, "{contents}");
    config.listeners[0].clone()
}

fn tcp(host: Option<&str>, port: u16) -> Bind {
    Bind::Tcp { host: host.map(str::to_owned), port }
}

// Grammar

#[test]
fn blanks_tabs_line_ends_and_comments() {
    silent("# comment\n\n   \n\t\n  # comment after blanks\n");
    for line in [
        "max_keepalive 7",
        "max_keepalive  7  ",
        "max_keepalive\t7",
        "  max_keepalive \t 7",
        "max_keepalive 7\r",
        "max_keepalive 7 # a comment",
        "max_keepalive 7 #a comment",
        "max_keepalive 0x7",
        "max_keepalive 07",
        "max_keepalive +7",
    ] {
        assert_eq!(good(line).max_keepalive, NonZeroU16::new(7), "{line}");
        silent(line);
    }
    assert_eq!(good("user a").user.as_deref(), Some("a"), "the last line needs no end");
    assert_eq!(good("user  mqtt broker \r\n").user.as_deref(), Some("mqtt broker"));
}

#[test]
fn numbers_are_those_of_c() {
    for (text, number) in [("20", 20), ("0x14", 20), ("0X14", 20), ("024", 20), ("2147483647", 2_147_483_647)] {
        assert_eq!(good(&format!("max_packet_size {text}")).max_packet_size, number);
    }
    for text in ["x", "1x", "0x", "08", "1.5", "--1", "1e3", "\u{0661}", "true", "100M"] {
        bad(&format!("sys_interval {text}"), &["1: 'sys_interval' value not a number."]);
    }
    for text in ["2147483648", "-2147483649", "99999999999999999999", "0xffffffffffffffffff"] {
        bad(&format!("sys_interval {text}"), &["1: 'sys_interval' value out of range."]);
    }
}

#[test]
fn flags_are_written_in_four_ways() {
    for (text, value) in [("true", true), ("1", true), ("false", false), ("0", false)] {
        assert_eq!(good(&format!("queue_qos0_messages {text}")).queue_qos0_messages, value);
    }
    for text in ["True", "yes", "on", "2", "-1", "falst"] {
        bad(&format!("retain_available {text}"), &[&format!("1: Invalid 'retain_available' value ({text}).")]);
    }
}

#[test]
fn a_comment_after_a_text_is_part_of_it_and_warned_of() {
    assert_eq!(good("user a # b").user.as_deref(), Some("a # b"));
    warned("user a # b", "a comment after a text value is part of it");
    silent("user a#b");
    warned("max_keepalive 7 seconds", "'seconds' after the value is ignored");
}

#[test]
fn files_in_other_encodings_are_named() {
    let utf16: Vec<u8> = "\u{FEFF}listener 1883\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, part) in [
        (utf16.as_slice(), "UTF-16"),
        (&utf16[2..], "UTF-16"),
        (b"\xEF\xBB\xBFlistener 1883\n", "byte order mark"),
        (b"\xFE\xFF\0l", "UTF-16"),
    ] {
        let (_, remarks) = read_bytes(bytes, &[]);
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].severity == Severity::Error && remarks[0].text.contains(part), "{:?}", remarks[0]);
    }
    let malformed = "Malformed UTF-8 in configuration.";
    for line in [
        &b"user caf\xE9"[..],
        b"user a\0b",
        b"user a\x07b",
        b"user a\tb",
        "user \u{FFFE}".as_bytes(),
        b"listener 0 /run/caf\xE9",
        b"listener 1883 a\x07b",
    ] {
        let (_, remarks) = read_bytes(line, &[]);
        assert_eq!(remarks.len(), 1, "{line:?}");
        assert_eq!(remarks[0].text, malformed);
    }
    let (config, remarks) = read_bytes(b"# caf\xE9\nmax_keepalive 7 # caf\xE9\n", &[]);
    assert_eq!((config.max_keepalive, remarks), (NonZeroU16::new(7), Vec::new()), "a comment may hold anything");
}

#[test]
fn all_errors_of_a_run_are_reported_with_their_lines() {
    bad(
        "allow_anonymus true\nuser\nmax_qos 3\nlistener 1884\nmax_topic_alias -1\nretain_available maybe\n",
        &[
            "1: Unknown configuration variable 'allow_anonymus'.",
            "2: Empty 'user' value in configuration.",
            "3: 'max_qos' must be between 0 and 2 inclusive.",
            "5: Invalid 'max_topic_alias' value in configuration.",
            "6: Invalid 'retain_available' value (maybe).",
        ],
    );
    let (_, remarks) = read_bytes(b"allow_anonymus true", &[]);
    let text =
        "a.conf:1:1: Error: Unknown configuration variable 'allow_anonymus'. Hint: did you mean 'allow_anonymous'?";
    assert_eq!(remarks[0].to_string(), text);
}

/// The texts that Mosquitto's own tests look for.
#[test]
fn errors_have_mosquittos_words() {
    for (contents, error) in [
        ("unknown_option unknown", "1: Unknown configuration variable 'unknown_option'."),
        ("user ", "1: Empty 'user' value in configuration."),
        ("pid_file /tmp/pid\npid_file /tmp/pid", "2: Duplicate 'pid_file' value in configuration."),
        ("memory_limit", "1: Empty 'memory_limit' value in configuration."),
        ("memory_limit -1", "1: Invalid 'memory_limit' value (-1)."),
        (
            "accept_protocol_versions 3",
            "1: The 'accept_protocol_versions' option requires a listener to be defined first.",
        ),
        ("listener 1\naccept_protocol_versions", "2: Empty 'accept_protocol_versions' value in configuration."),
        ("allow_anonymous", "1: Empty 'allow_anonymous' value in configuration."),
        ("autosave_interval", "1: Empty 'autosave_interval' value in configuration."),
        ("autosave_interval string", "1: 'autosave_interval' value not a number."),
        ("listener", "1: Empty 'listener port' value in configuration."),
        ("listener 100000", "1: Invalid 'port' value (100000)."),
        ("listener 0", "1: A listener with port 0 must provide a Unix socket path."),
        ("mount_point test/", "1: The 'mount_point' option requires a listener to be defined first."),
        (
            "listener 1\nmount_point test/+/",
            "2: Invalid 'mount_point' value (test/+/). Does it contain a wildcard character?",
        ),
        ("listener 1\nprotocol", "2: Empty 'protocol' value in configuration."),
        ("listener 1\nprotocol test", "2: Invalid 'protocol' value (test)."),
        (
            "plugin_opt_inval string",
            "1: The 'plugin_opt_inval' option requires plugin/global_plugin/plugin_load to be defined first.",
        ),
        ("bridge_alpn a", "1: The 'bridge_alpn' option requires a bridge to be defined first."),
        ("topic a", "1: The 'topic' option requires a bridge to be defined first."),
        ("connection", "1: Empty 'connection' value in configuration."),
        ("max_inflight_messages 65536", "1: 'max_inflight_messages' must be <= 65535."),
        ("max_packet_size 19", "1: 'max_packet_size' must be >= 20."),
        ("message_size_limit 556000000", "1: Invalid 'message_size_limit' value (556000000)."),
        ("max_keepalive 65536", "1: Invalid 'max_keepalive' value (65536)."),
        ("sys_interval -1", "1: Invalid 'sys_interval' value (-1)."),
        ("websockets_headers_size -1", "1: Packet buffer size must be between 0 and 65535 inclusive."),
        ("log_dest", "1: Empty 'log_dest' value in configuration."),
        ("log_dest file", "1: Empty \"log_dest file\" value in configuration."),
        ("log_dest file a\nlog_dest file b", "2: Duplicate \"log_dest file\" value."),
        ("log_dest paper", "1: Invalid 'log_dest' value (paper)."),
        ("log_type loud", "1: Invalid 'log_type' value (loud)."),
        ("log_facility 8", "1: Invalid 'log_facility' value (8)."),
        ("port 0", "1: Invalid 'port' value (0)."),
        ("socket_domain ipv5", "1: Invalid 'socket_domain' value 'ipv5' in configuration."),
        ("persistent_client_expiration 5", "1: Invalid 'persistent_client_expiration' duration in configuration."),
        (
            "allow_anonymous true\nper_listener_settings true",
            "2: per_listener_settings must be set before any other security settings.",
        ),
        (
            "per_listener_settings true\nallow_anonymous true",
            "2: The 'allow_anonymous' option requires a listener to be defined first.",
        ),
    ] {
        bad(contents, &[error]);
    }
    let long = format!("listener 1\nlistener_auto_id_prefix {}", "a".repeat(51));
    bad(&long, &["2: 'listener_auto_id_prefix' length must be <= 50."]);
    // The plugin itself is refused too.
    let plugin = "1: The plugin 'a.so' cannot be loaded: sori runs no shared objects.";
    bad("plugin a.so\nplugin_opt_ string", &[plugin, "2: Invalid 'plugin_opt_' config option."]);
    bad("plugin a.so\nplugin_opt_test", &[plugin, "2: Empty 'test' value in configuration."]);
}

#[test]
fn a_second_value_is_an_error_for_texts_and_a_warning_for_the_rest() {
    assert_eq!(good("user a\nuser b").user.as_deref(), Some("b"), "Mosquitto takes the later one here");
    warned("user a\nuser b", "The 'user' option was set to a before (a.conf:1); now b counts.");
    assert_eq!(good("max_keepalive 5\nmax_keepalive 6").max_keepalive, NonZeroU16::new(6));
    warned("max_keepalive 5\nmax_keepalive 6", "was set to 5 before");
    warned("max_qos 1\nmaximum_qos 0", "was set to 1 before");
    silent("max_keepalive 5\nmax_keepalive 5");
    silent("listener 1\nmax_qos 1\nlistener 2\nmax_qos 2\n");
    good("listener 1\nlistener_auto_id_prefix a\nlistener 2\nlistener_auto_id_prefix b\n");
}

// Listeners

#[test]
fn without_a_listener_only_this_machine_can_connect() {
    for contents in ["", "max_keepalive 5\n"] {
        let config = good(contents);
        assert!(config.local_only);
        let binds: Vec<_> = config.listeners.iter().map(|listener| listener.bind.clone()).collect();
        assert_eq!(binds, [tcp(Some("127.0.0.1"), 1883), tcp(Some("::1"), 1883)]);
        assert!(config.listeners.iter().all(|listener| listener.allow_anonymous));
        assert_eq!(config.listeners.iter().map(|listener| listener.required).collect::<Vec<_>>(), [true, false]);
    }
    assert!(good("allow_anonymous false").listeners.iter().all(|listener| !listener.allow_anonymous));
}

#[test]
fn ports_of_the_command_line_count_without_a_listener_only() {
    let (config, _) = read_bytes(b"", &[2000, 2001]);
    let ports: Vec<_> = config.listeners.iter().map(|listener| listener.bind.clone()).collect();
    let v6 = |port| tcp(Some("::1"), port);
    let v4 = |port| tcp(Some("127.0.0.1"), port);
    assert_eq!(ports, [v4(2000), v6(2000), v4(2001), v6(2001)]);
    for contents in ["listener 3000", "port 3000"] {
        let (config, _) = read_bytes(contents.as_bytes(), &[2000]);
        assert_eq!(config.listeners.len(), 1);
        assert_eq!(config.listeners[0].bind, tcp(None, 3000));
        assert!(!config.local_only && !config.listeners[0].allow_anonymous);
    }
}

#[test]
fn listener_options_without_a_listener_hold_in_local_only_mode() {
    let config = good("max_connections 5\nsocket_domain ipv4\n");
    assert!(config.local_only);
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].max_connections, NonZeroU32::new(5));
    assert_eq!(good("socket_domain ipv6").listeners[0].bind, tcp(Some("::1"), 1883));
    assert!(good("socket_domain ipv6").listeners[0].required);
}

#[test]
fn a_listener_line_has_a_port_and_perhaps_an_address_or_a_path() {
    for (line, bind) in [
        ("listener 1883", tcp(None, 1883)),
        ("listener 1883 # all", tcp(None, 1883)),
        ("listener 65535 ::1", tcp(Some("::1"), 65_535)),
        ("listener 1 example.org # one", tcp(Some("example.org"), 1)),
        ("listener 0 /run/mqtt.sock", Bind::Unix("/run/mqtt.sock".into())),
    ] {
        assert_eq!(only_listener(line).bind, bind, "{line}");
        silent(line);
    }
    bad("listener -1", &["1: Invalid 'port' value (-1)."]);
    bad("listener 65536", &["1: Invalid 'port' value (65536)."]);
    bad("listener x", &["1: 'listener port' value not a number."]);
}

#[test]
fn port_and_bind_address_make_one_default_listener() {
    let listener = only_listener("bind_address 127.0.0.1\nport 2000\nmax_qos 1\n");
    assert_eq!((listener.bind, listener.max_qos), (tcp(Some("127.0.0.1"), 2000), 1));
    assert_eq!(only_listener("bind_address ::1").bind, tcp(Some("::1"), 1883));
    assert_eq!(only_listener("max_qos 1\nport 2000").max_qos, 1, "an option above it belongs to it");
    assert_eq!(only_listener("port 2000\nport 2001").bind, tcp(None, 2001));
    warned("port 2000\nport 2001", "was set to 2000 before");
    let duplicate = "2: Duplicate 'default listener bind_address' value in configuration.";
    bad("bind_address a\nbind_address b", &[duplicate]);
    assert_eq!(good("port 2000\nlistener 3000").listeners.len(), 2);
}

#[test]
fn an_option_above_the_first_listener_opens_port_1883_but_not_silently() {
    let contents = "max_connections 5\nlistener 9001\n";
    let config = good(contents);
    assert_eq!(config.listeners[0].bind, tcp(None, 1883));
    assert_eq!(config.listeners[0].max_connections, NonZeroU32::new(5));
    assert_eq!(config.listeners[1].max_connections, None);
    assert!(!config.local_only);
    warned(contents, "'max_connections' option stands above every listener and opens one more on port 1883");
    bad("max_connections 5\nlistener 1883\n", &["2: There is already a listener on port 1883 (a.conf:1)."]);
}

#[test]
fn two_listeners_at_one_place_are_an_error() {
    for contents in ["listener 1\nlistener 1", "listener 1 a\nlistener 1 a", "listener 0 /a\nlistener 0 /a"] {
        assert_eq!(of(&read_bytes(contents.as_bytes(), &[]).1, Severity::Error).len(), 1, "{contents}");
    }
    good("listener 1\nsocket_domain ipv4\nlistener 1\nsocket_domain ipv6\n");
    good("listener 1 127.0.0.1\nlistener 1 127.0.0.2\n");
    good("listener 0 /a\nlistener 0 /b\n");
}

#[test]
fn listener_options_reach_their_listener_and_no_other() {
    let config = good(
        "listener 1\nmax_qos 1\nmax_topic_alias 0\nmax_topic_alias_broker 65535\nmount_point a/\n\
         use_username_as_clientid true\nlistener_allow_anonymous true\nlistener_auto_id_prefix x-\n\
         max_connections 3\naccept_protocol_versions 4, 5 # not 3\nprotocol mqtt\nlistener 2\n",
    );
    assert_eq!(config.listeners.len(), 2);
    let (first, second) = (&config.listeners[0], &config.listeners[1]);
    assert_eq!((first.max_qos, first.max_topic_alias, first.max_topic_alias_broker), (1, 0, 65_535));
    assert_eq!((first.mount_point.as_deref(), first.auto_id_prefix.as_str()), (Some("a/"), "x-"));
    assert!(first.use_username_as_clientid && first.allow_anonymous);
    assert_eq!(first.max_connections, NonZeroU32::new(3));
    assert_eq!(first.versions, ProtocolVersions { v31: false, v311: true, v5: true });
    assert_eq!((second.max_qos, second.max_topic_alias, second.max_topic_alias_broker), (2, 10, 10));
    assert_eq!((second.mount_point.as_deref(), second.auto_id_prefix.as_str()), (None, "auto-"));
    assert!(!second.use_username_as_clientid && !second.allow_anonymous);
    assert_eq!((second.max_connections, second.versions), (None, ProtocolVersions::ALL));
    warned("listener 1\naccept_protocol_versions 6", "no client can connect");
}

#[test]
fn security_options_belong_to_the_file_or_to_each_listener() {
    let shared =
        good("listener 1\nallow_anonymous true\nauto_id_prefix p\nlistener 2\nlistener_allow_anonymous false\n");
    assert_eq!(shared.listeners.iter().map(|l| l.allow_anonymous).collect::<Vec<_>>(), [true, false]);
    assert!(shared.listeners.iter().all(|listener| listener.auto_id_prefix == "p"));
    let own = good(
        "per_listener_settings true\nlistener 1\nallow_anonymous true\nauto_id_prefix p\nlistener 2\n\
         allow_zero_length_clientid false\n",
    );
    assert_eq!(own.listeners.iter().map(|l| l.allow_anonymous).collect::<Vec<_>>(), [true, false]);
    assert_eq!(own.listeners.iter().map(|l| l.allow_zero_length_clientid).collect::<Vec<_>>(), [true, false]);
    assert_eq!(own.listeners.iter().map(|l| l.auto_id_prefix.as_str()).collect::<Vec<_>>(), ["p", "auto-"]);
}

// Values

#[test]
fn values_at_their_limits() {
    for limit in ["0", "-1", "-2147483648"] {
        let config = good(&format!(
            "global_max_clients {limit}\nglobal_max_connections {limit}\nmax_inflight_bytes {limit}\n\
             max_queued_bytes {limit}\nmax_queued_messages {limit}\nmax_inflight_messages {limit}\n\
             listener 1\nmax_connections {limit}\n"
        ));
        assert_eq!((config.global_max_clients, config.global_max_connections), (None, None));
        assert_eq!((config.max_inflight_bytes, config.max_queued_bytes), (None, None));
        assert_eq!((config.max_queued_messages, config.max_inflight_messages), (None, None));
        assert_eq!(config.listeners[0].max_connections, None);
    }
    assert_eq!(good("max_inflight_messages 65534").max_inflight_messages, NonZeroU16::new(65_534));
    assert_eq!(good("max_inflight_messages 65535").max_inflight_messages, None);
    assert_eq!(good("max_queued_messages 2147483647").max_queued_messages, NonZeroU32::new(2_147_483_647));
    assert_eq!(good("sys_interval 0").sys_interval, None);
    assert_eq!(good("sys_interval 65535").sys_interval, NonZeroU16::new(65_535));
    assert_eq!(good("max_packet_size 20").max_packet_size, 20);
    assert_eq!(good("message_size_limit 268435455").message_size_limit, NonZeroU32::new(268_435_455));
    assert_eq!(good("memory_limit 9223372036854775807").memory_limit, NonZeroU64::new(i64::MAX as u64));
    bad("memory_limit 9223372036854775808", &["1: 'memory_limit' value out of range."]);
    assert_eq!(good("memory_limit 0").memory_limit, None);
    assert_eq!(good("threads 0").threads, None);
    bad("threads 1025", &["1: Invalid 'threads' value (1025)."]);
    bad("connect_timeout 0", &["1: Invalid 'connect_timeout' value (0)."]);
    assert_eq!(good("connect_timeout 3600").connect_timeout, Duration::from_secs(3600));
}

#[test]
fn expirations_have_units() {
    for (text, seconds) in
        [("1s", 1), ("1h", 3600), ("2d", 172_800), ("1w", 604_800), ("1m", 2_592_000), ("1y", 31_536_000)]
    {
        let config = good(&format!("persistent_client_expiration {text}"));
        assert_eq!(config.persistent_client_expiration, Some(Duration::from_secs(seconds)));
    }
    good("persistent_client_expiration 4294967295y");
    for text in ["0s", "-1s", "s", "1", "1x", "1.5h", "4294967296s", "é"] {
        bad(
            &format!("persistent_client_expiration {text}"),
            &["1: Invalid 'persistent_client_expiration' duration in configuration."],
        );
    }
}

#[test]
fn log_options_add_up() {
    use crate::log::{Destinations, Facility, Kind, Kinds};
    let log =
        good("log_dest file /var/log/a b.log\nlog_dest topic\nlog_dest syslog\nlog_type error\nlog_type debug\n").log;
    let expected =
        Destinations { file: Some("/var/log/a b.log".into()), topic: true, syslog: true, ..Destinations::none() };
    assert_eq!(log.destinations, expected);
    assert_eq!(log.kinds, Kinds::NONE.with(Kind::Error).with(Kind::Debug));
    assert_eq!(good("log_dest stdout\nlog_dest none\n").log.destinations, Destinations::none());
    assert_eq!(good("log_type all\nlog_type none\nlog_type notice").log.kinds, Kinds::NONE.with(Kind::Notice));
    assert_eq!(good("log_type all").log.kinds, Kinds::ALL);
    assert_eq!(good("log_facility 7").log.facility, Facility::Local(7));
    assert!(good("").log.destinations.stderr && good("").log.kinds == Kinds::DEFAULT);
    warned("listener 1\nprotocol websockets\nhttp_dir /srv", "http_dir means nothing without `protocol http_api`");
    silent("listener 1\nprotocol http_api\nhttp_dir /srv");
    warned("log_dest dlt", "no log destination 'dlt'");
}

#[test]
fn what_is_not_in_this_version_is_refused_by_name() {
    for entry in options::all() {
        let Standing::Later { unless, .. } = entry.standing else { continue };
        if entry.scope == Scope::Bridge {
            continue;
        }
        for word in entry.words {
            let value = match entry.takes {
                Takes::Flag(_) => "true",
                _ => "1",
            };
            let refusal = format!("2: The '{word}' option is not available in this version");
            let (_, remarks) = read_bytes(format!("listener 1\n{word} {value}").as_bytes(), &[]);
            let errors: Vec<_> = remarks.iter().filter(|remark| remark.severity == Severity::Error).collect();
            assert_eq!(errors.len(), 1, "{word}");
            assert!(format!("2: {}", errors[0].text).starts_with(&refusal), "{word}: {:?}", errors[0]);
            if let Some(harmless) = unless {
                good(&format!("listener 1\n{word} {harmless}"));
                good(&format!("listener 1\n{word} 0"));
            }
        }
    }
    bad("listener 1\nprotocol http", &["2: Invalid 'protocol' value (http)."]);
    bad("http_dir /tmp", &["1: The 'http_dir' option requires a listener to be defined first."]);
    let (_, remarks) = read_bytes(b"enable_control_api true", &[]);
    let hint = remarks.first().and_then(|remark| remark.hint.as_deref()).unwrap_or_default();
    assert!(hint.contains("/api/v1/listeners"), "{remarks:?}");
    let connection = "1: The 'connection' option is not available in this version: it needs bridges.";
    bad("connection a\nbridge_psk", &[connection, "2: Empty 'bridge_psk' value in configuration."]);
    let bridge = "1: The 'connection' option is not available in this version: it needs bridges.";
    bad("connection a\naddress b\ntopic # both\nmax_keepalive 5\n", &[bridge]);
}

#[test]
fn what_is_not_needed_is_told_once() {
    let (_, remarks) = read_bytes(b"set_tcp_nodelay true\nset_tcp_nodelay true\nretry_interval whatever\n", &[]);
    let notices = of(&remarks, Severity::Notice);
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert_eq!(notices[0], "a.conf:1:17: The 'set_tcp_nodelay' option is not needed: TCP_NODELAY is always set.");
}

#[test]
fn persistence_is_off_in_a_file_that_does_not_ask_for_it_and_on_without_a_file() {
    assert!(!good("listener 1000").persistence);
    let config = good("persistence true\npersistence_location /var/lib/mosquitto/\npersistence_file my.db");
    assert!(config.persistence && config.durability == Durability::Always);
    assert_eq!(config.persistence_location.as_deref(), Some(Path::new("/var/lib/mosquitto/")));
    assert_eq!(config.persistence_file.as_deref(), Some("my.db"));
    assert!(good("retained_persistence true").persistence);
    silent("persistence false");
    let from_environment = Source { persistence_location: Some("/data".into()), ..source(&[]) };
    let loaded = load(&from_environment).expect("is good");
    assert_eq!(loaded.config.persistence_location.as_deref(), Some(Path::new("/data")));
    let native = load(&Source { defaults: Defaults::Native, ..source(&[]) }).expect("is good").config;
    assert!(native.persistence && native.persistence_file.is_none());
}

#[test]
fn durability_has_three_forms() {
    for (value, durability) in [
        ("always", Durability::Always),
        ("never", Durability::Never),
        ("interval 1", Durability::Interval(Duration::from_millis(1))),
        ("interval 20 # as fast as the old disk", Durability::Interval(Duration::from_millis(20))),
        ("interval \t 3600000", Durability::Interval(Duration::from_secs(3600))),
    ] {
        assert_eq!(good(&format!("durability {value}")).durability, durability);
    }
    for (value, text) in [
        ("sometimes", "Invalid 'durability' value (sometimes)."),
        ("always 5", "Invalid 'durability' value (always 5)."),
        ("interval", "The 'durability' interval lacks its milliseconds."),
        ("interval 0", "Invalid 'durability' interval (0): it must be 1 to 3600000 milliseconds."),
        ("interval 5 6", "Invalid 'durability' value (interval 5 6)."),
        ("interval 3600001", "Invalid 'durability' interval (3600001): it must be 1 to 3600000 milliseconds."),
    ] {
        bad(&format!("durability {value}"), &[&format!("1: {text}")]);
    }
    let slash = "1: Invalid 'persistence_file' value (a/b): it must be a name without '/'.";
    bad("persistence_file a/b", &[slash]);
}

// Files as they are found

#[test]
fn usual_files_start() {
    // Debian's layout, without its include_dir.
    let config = good(
        "# Place your local configuration in /etc/mosquitto/conf.d/\n\npid_file /run/mosquitto/mosquitto.pid\n\n\
         persistence true\npersistence_location /var/lib/mosquitto/\n\nlog_dest file /var/log/mosquitto/mosquitto.log\n",
    );
    assert!(config.local_only);
    // What the add-on of Home Assistant writes, without its plugin.
    let config = good(
        "user root\nlog_dest stdout\nlog_timestamp_format %Y-%m-%d %H:%M:%S\npersistence true\n\
         persistence_location /data/\nmax_queued_messages 8192\nlistener 1883\nallow_anonymous true\n",
    );
    assert_eq!(config.log.timestamp_format.as_deref(), Some("%Y-%m-%d %H:%M:%S"));
    assert!(config.listeners[0].allow_anonymous);
}

#[test]
fn include_dir_reads_in_order_and_only_from_the_main_file() {
    let directory = std::env::temp_dir().join(format!("sori-include-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("can be made");
    let write = |name: &str, contents: &str| std::fs::write(directory.join(name), contents).expect("can be written");
    write("b.conf", "user b\nmax_qos 9\n");
    write("A.conf", "listener 2000\nuser a\n");
    write("c.conf", "include_dir /tmp\n");
    write("not-read.txt", "nonsense\n");
    write(".conf", "nonsense\n");
    let contents = format!("listener 1000\ninclude_dir {}\nmax_qos 1\n", directory.display());
    let (config, remarks) = read_bytes(contents.as_bytes(), &[]);
    let missing = format!("include_dir {}", directory.join("missing").display());
    std::fs::remove_dir_all(&directory).expect("is there");

    let binds: Vec<_> = config.listeners.iter().map(|listener| listener.bind.clone()).collect();
    assert_eq!(&binds[..2], [tcp(None, 1000), tcp(None, 2000)]);
    assert_eq!(config.listeners[0].max_qos, 1, "the main file goes on with its own listener");
    assert_eq!(config.user.as_deref(), Some("b"));
    let errors = of(&remarks, Severity::Error);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("b.conf:2:9: Error: 'max_qos' must be between 0 and 2 inclusive."), "{}", errors[0]);
    let only_main = "c.conf:1:13: Error: The include_dir option is only valid in the main configuration file.";
    assert!(errors[1].contains(only_main), "{}", errors[1]);
    assert!(of(&read_bytes(missing.as_bytes(), &[]).1, Severity::Error)[0].contains("Unable to open include_dir"));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    for (path, text) in [
        ("/does/not/exist.conf", "Error: Unable to open config file '/does/not/exist.conf'."),
        ("/tmp", "Error: Config file '/tmp' is a directory."),
        ("/does/not/exist.toml", "Error: Unable to open config file '/does/not/exist.toml'."),
        ("/dev/zero", "Error: Config file '/dev/zero' is larger than 16777216 bytes."),
    ] {
        let remarks = load(&Source { files: &[PathBuf::from(path)], ..source(&[]) }).expect_err("cannot be read");
        assert!(remarks[0].to_string().starts_with(text), "{}", remarks[0]);
    }
}

// TLS with keys

#[test]
fn keys_belong_to_all_listeners_or_to_the_one_above() {
    let of = |contents: &str| {
        let listeners = good(contents).listeners;
        let file = |listener: &ListenerConfig| Some(listener.keys.as_ref()?.file().display().to_string());
        listeners.iter().map(file).collect::<Vec<Option<String>>>()
    };
    assert_eq!(of("psk_file /a\nlistener 1\npsk_hint x\nlistener 2\n"), [Some("/a".into()), Some("/a".into())]);
    let own = "per_listener_settings true\nlistener 1\npsk_hint x\npsk_file /a\nlistener 2\n";
    assert_eq!(of(own), [Some("/a".into()), None]);
    silent("psk_file /a\nlistener 1\npsk_hint x\nlistener 2\n");
    silent("psk_file /a\nlistener 1\npsk_hint x\nuse_identity_as_username true\nciphers PSK-AES128-CBC-SHA\n");
}

#[test]
fn keys_and_certificates_do_not_go_together_and_neither_is_asked_for_in_vain() {
    let both = "Cannot use both certificate and psk encryption in a single listener.";
    for more in ["certfile a\nkeyfile b", "cafile a", "capath a"] {
        bad(&format!("psk_file /a\nlistener 1\npsk_hint x\n{more}\n"), &[&format!("3: {both}")]);
        let elsewhere = format!("psk_file /a\nlistener 1\npsk_hint x\nlistener 2\ncertfile a\nkeyfile b\n{more}\n");
        good(&elsewhere);
    }
    warned("listener 1\npsk_hint x\n", "psk_hint without psk_file: no client can connect.");
    warned("psk_file /a\nlistener 1\n", "psk_file means nothing without psk_hint.");
    let subject = "psk_file /a\nlistener 1\npsk_hint x\nuse_subject_as_username true\n";
    warned(subject, "clients with keys have none: no client can connect.");
    warned("psk_file /a\nlistener 1\npsk_hint x\nrequire_certificate true\n", "require_certificate means nothing");
    bad(&format!("listener 1\npsk_hint {}\n", "x".repeat(257)), &["2: 'psk_hint' length must be <= 256."]);
}

// The table

/// A file with one listener, to which a line with this option may be added.
fn file_for(entry: &Entry) -> String {
    // Most options of TLS want a certificate beside them.
    let certificate = if entry.toml.starts_with("listener.tls.") { "certfile a\nkeyfile b\n" } else { "" };
    format!("listener 1000\n{certificate}")
}

/// Applies one line to the settings of that file.
fn with_line(entry: &Entry, value: &str) -> Config {
    good(&format!("{}{} {value}\n", file_for(entry), entry.word()))
}

#[test]
fn every_word_stands_once_and_is_found() {
    let words: Vec<_> = options::all().flat_map(|entry| entry.words).collect();
    for (index, word) in words.iter().enumerate() {
        assert!(!words[..index].contains(word), "{word} stands twice");
        let example = word.replace('*', "test");
        let found = options::find(&example).expect("is found");
        assert!(found.words.contains(word), "{word}");
    }
    let paths: Vec<_> = options::all().map(|entry| entry.toml).filter(|path| !path.is_empty()).collect();
    for (index, path) in paths.iter().enumerate() {
        assert!(!paths[..index].contains(path), "{path} stands twice");
        assert!(path.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c)), "{path}");
    }
    for theme in options::THEMES.iter().filter(|theme| theme.entries.iter().all(|entry| !entry.help.is_empty())) {
        assert!(theme.entries.is_sorted_by_key(Entry::word), "{} is not in order", theme.title);
    }
}

#[test]
fn every_default_in_the_table_is_the_default() {
    for entry in options::all().filter(|entry| !entry.default.is_empty()) {
        let untouched = good(&file_for(entry));
        assert_eq!(with_line(entry, entry.default), untouched, "{}", entry.word());
    }
}

/// An option that is read and then forgotten would be found here.
#[test]
fn every_option_that_works_changes_something() {
    for entry in options::all().filter(|entry| entry.standing == Standing::Works) {
        if entry.scope == Scope::Plugin {
            // It changes something below a plugin only.
            continue;
        }
        let untouched = good(&file_for(entry));
        let value = match entry.takes {
            Takes::Flag(_) if entry.default == "true" => "false".to_owned(),
            Takes::Flag(_) => "true".to_owned(),
            Takes::Number { most: 2, .. } => "1".to_owned(),
            Takes::Number { .. } => "7".to_owned(),
            Takes::Text { .. } => "x".to_owned(),
            Takes::Word { sample, .. } => sample.to_owned(),
            Takes::Structure(_) | Takes::Anything => continue,
        };
        let value = if entry.word() == "max_packet_size" { "77".to_owned() } else { value };
        let value = if entry.word() == "websockets_trusted_proxy" { "10.0.0.0/8".to_owned() } else { value };
        assert_ne!(with_line(entry, &value), untouched, "{}", entry.word());
    }
}

#[test]
fn numbers_outside_their_range_are_refused_and_never_reach_an_effect() {
    for entry in options::all() {
        let Takes::Number { least, most, set, .. } = entry.takes else { continue };
        if matches!(entry.standing, Standing::Later { .. }) {
            continue;
        }
        for outside in [i128::from(least) - 1, i128::from(most) + 1] {
            let (_, remarks) = read_bytes(format!("listener 1000\n{} {outside}\n", entry.word()).as_bytes(), &[]);
            assert_eq!(of(&remarks, Severity::Error).len(), 1, "{} {outside}", entry.word());
        }
        // An effect itself stands any number.
        for number in [i64::MIN, -1, 0, 1, i64::from(u16::MAX), i64::from(u32::MAX), i64::MAX] {
            let mut draft = draft::Draft::new(Defaults::Mosquitto);
            let mut listener = ListenerDraft::default_listener(None, MadeBy::DefaultLine);
            let warnings = &mut Vec::new();
            set(&mut Place { draft: &mut draft, listener: &mut listener, warnings }, number);
        }
    }
}

// Anything

/// A line of known words with values that are often wrong.
pub(super) fn any_line() -> impl Strategy<Value = String> {
    let words: Vec<&'static str> = options::all()
        .filter(|entry| !matches!(entry.takes, Takes::Structure(Structure::IncludeDir)))
        .flat_map(|entry| entry.words.iter().copied())
        .collect();
    let values = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        Just("true".to_owned()),
        Just("none".to_owned()),
        Just("file x".to_owned()),
        Just(String::new()),
        ".*",
    ];
    (proptest::sample::select(words), "[ \t]{0,3}", values)
        .prop_map(|(word, blanks, value)| word.to_owned() + &blanks + &value)
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        // Another directory must not be read because of it.
        prop_assume!(!bytes.windows(11).any(|window| window == b"include_dir"));
        read_bytes(&bytes, &[]);
    }

    #[test]
    fn any_lines_are_read_without_panic(lines in proptest::collection::vec(any_line(), 0..20)) {
        let contents = lines.join("\n");
        let (config, remarks) = read_bytes(contents.as_bytes(), &[]);
        prop_assert!(!config.listeners.is_empty());
        for remark in remarks {
            prop_assert!(remark.severity != Severity::Error || remark.at.is_some());
        }
    }

    #[test]
    fn a_number_that_is_written_is_read(number in any::<i32>(), radix in 0..3) {
        let sign = if number < 0 { "-" } else { "" };
        let size = i64::from(number).abs();
        let text = match radix {
            0 => format!("{number}"),
            1 => format!("{sign}{size:#x}"),
            _ => format!("{sign}0{size:o}"),
        };
        prop_assert_eq!(value::number(&text), Ok(i64::from(number)));
    }
}
