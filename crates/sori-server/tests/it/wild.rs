//! Configurations as people have them: the options that eighteen public repositories use, in the order and with the
//! oddities that they have there, without their comments, names and secrets. Each starts unchanged, or is refused with a
//! message that tells the way.

use std::path::Path;

use sori_server::config::{Defaults, ListenerConfig, Remark, read_contents};

/// What comes of a file.
enum Comes {
    /// It starts, and listens on these ports.
    Starts(&'static [u16]),
    /// It is refused: the lines with what is said about them.
    Refused(&'static [(usize, &'static str)]),
}
use Comes::{Refused, Starts};

/// What the file is for, its lines, and what comes of it.
const FILES: &[(&str, &str, Comes)] = &[
    (
        "the image of Docker, and a log beside it",
        "persistence true\npersistence_location /mosquitto/data/\n\nlistener 1883\n\nallow_anonymous true\n\n\
         log_dest file /mosquitto/log/mosquitto.log\nlog_dest stdout\n",
        Starts(&[1883]),
    ),
    (
        "passwords, and WebSocket for a dashboard",
        "persistence true\npersistence_location /mosquitto/data\nlog_dest file /mosquitto/log/mosquitto.log\n\n\
         listener 1883\nlistener 9001\nprotocol websockets\n\nallow_anonymous false\n\
         password_file /mosquitto/config/passwd\n",
        Starts(&[1883, 9001]),
    ),
    (
        "a comment behind a listener's address",
        "password_file /mosquitto/config/passwd\nallow_anonymous true\n\nlistener 1883 0.0.0.0 # MQTT protocol\n\
         listener 9001 0.0.0.0 # Websockets protocol\nprotocol websockets\n\npersistence_file mosquitto.db\n\
         log_type subscribe\nlog_type unsubscribe\nlog_type websockets\nlog_type error\n",
        Starts(&[1883, 9001]),
    ),
    (
        "WebSocket on IPv4 only",
        "listener 1883\nprotocol mqtt\n\nlistener 9001\nprotocol websockets\nsocket_domain ipv4\n\npersistence true\n\
         allow_anonymous true\n",
        Starts(&[1883, 9001]),
    ),
    (
        "both families of addresses, each on its line",
        "log_dest stdout\nlog_type error\nlog_type subscribe\nlistener 1883 0.0.0.0\nlistener 1883 ::\n\
         allow_anonymous false\npassword_file /mosquitto/config/passwords.txt\n",
        Starts(&[1883, 1883]),
    ),
    (
        "an old file, whose options Mosquitto has dropped",
        "retry_interval 20\nsys_interval 10\nstore_clean_interval 10\nuser mosquitto\nmax_inflight_messages 40\n\
         max_queued_messages 200\nqueue_qos0_messages false\nmessage_size_limit 0\nallow_zero_length_clientid true\n\
         persistent_client_expiration 3m\nallow_duplicate_messages false\nautosave_interval 60\n\
         autosave_on_changes false\npersistence true\npersistence_file mosquitto.db\nlog_dest stderr\nlog_type all\n\
         connection_messages true\nlog_timestamp true\n\nlistener 1883\n\nlistener 9883\nprotocol websockets\n",
        Starts(&[1883, 9883]),
    ),
    (
        "times as in ISO 8601",
        "listener 1883\nprotocol mqtt\nlistener 9001\nprotocol websockets\nlog_dest stdout\nlog_type information\n\
         connection_messages true\nlog_timestamp true\nlog_timestamp_format %Y-%m-%dT%H:%M:%S\nallow_anonymous true\n",
        Starts(&[1883, 9001]),
    ),
    (
        "the largest keep alive, and no limit of connections",
        "listener 1883\nprotocol mqtt\nlistener 9001\nprotocol websockets\nallow_anonymous true\npersistence true\n\
         max_connections -1\nmax_keepalive 65535\n",
        Starts(&[1883, 9001]),
    ),
    (
        "TLS with certificates of clients, and plain beside it",
        "max_inflight_messages 20\nmax_queued_messages 100\npersistent_client_expiration 14d\nlistener 1883\n\
         protocol mqtt\nallow_anonymous true\nlistener 8883\nprotocol mqtt\ncafile /mosquitto/certs/ca.crt\n\
         certfile /mosquitto/certs/server.crt\nkeyfile /mosquitto/certs/server.key\nrequire_certificate true\n\
         use_identity_as_username true\nlistener 9001\nprotocol websockets\n",
        Starts(&[1883, 8883, 9001]),
    ),
    (
        "TLS on the default listener",
        "port 8883 \ncertfile /mosquitto/certs/cert.pem\ncafile /mosquitto/certs/chain.pem\n\
         keyfile /mosquitto/certs/key.pem\n",
        Starts(&[8883]),
    ),
    (
        "the lowest version of TLS named",
        "listener 8883\nallow_anonymous false\ncafile /mosquitto/ca/ca.crt\ncertfile /mosquitto/certs/broker.crt\n\
         keyfile /mosquitto/certs/broker.key\nrequire_certificate true\ntls_version tlsv1.3\npersistence false\n",
        Starts(&[8883]),
    ),
    (
        "rules of each listener, for the back end of an application",
        "pid_file /run/mosquitto/mosquitto.backend.pid\nlog_dest file /var/log/mosquitto/mosquitto.backend.log\n\n\
         per_listener_settings true\nmax_queued_messages 10000\nset_tcp_nodelay true\n\nlistener 1883 0.0.0.0\n\
         protocol mqtt\nmax_qos 1\npersistence false\nretain_available false\npersistent_client_expiration 1h\n\
         allow_anonymous false\nacl_file /etc/mosquitto/conf.d/backend.acl\n\
         password_file /etc/mosquitto/conf.d/backend.users\n",
        Starts(&[1883]),
    ),
    (
        "another listener anonymous, by its own option",
        "listener 1883\nallow_anonymous false\npassword_file /mosquitto/config/passwd\nacl_file /mosquitto/config/acl\n\
         listener 9001 0.0.0.0\nprotocol websockets\nlistener_allow_anonymous false\nmax_queued_messages 200000\n",
        Starts(&[1883, 9001]),
    ),
    (
        "per_listener_settings at the end",
        "listener 1883\nallow_anonymous false\npassword_file /etc/mosquitto/passwd\nper_listener_settings true",
        Refused(&[(4, "Hint: 'allow_anonymous' is at a.conf:2; move per_listener_settings above it")]),
    ),
    (
        "users in a database",
        "allow_anonymous false\n\nlistener 1883\n\nauth_plugin /usr/lib/mosquitto/go-auth.so\nauth_opt_backends http\n\
         auth_opt_log_level debug\nauth_opt_http_host 127.0.0.1\nauth_opt_http_port 8000\n",
        Refused(&[(5, "Hint: users and rights in files are password_file")]),
    ),
    (
        "a bridge to another broker",
        "persistence true\nlog_dest stdout\n\nlistener 1883\nallow_anonymous true\n\nconnection uplink\n\
         address broker.example.org:1883\ntopic # out 0\ntopic # in 0\nremote_username uplink\nremote_password secret\n\
         try_private false\nstart_type automatic\nbridge_attempt_unsubscribe false\nnotifications false\n",
        Refused(&[(7, "Hint: until then, a client of both brokers can pass the messages on")]),
    ),
    (
        "an address for each listener, in the old way, and an option of bridges",
        "port 1883\nbind_address 127.0.0.1\n\nlistener 8883\nbind_address 0.0.0.0\n\ncafile /etc/mosquitto/certs/ca.crt\n\
         certfile /etc/mosquitto/certs/server.crt\nkeyfile /etc/mosquitto/certs/server.key\n\nkeepalive_interval 60\n\
         retained_persistence true\n",
        Refused(&[
            (5, "Hint: it is the address of the listener of `port`; another listener has its own in its line"),
            (11, "Hint: it belongs below the `connection` line of a bridge"),
        ]),
    ),
    (
        "the default listener, and the same port again",
        "persistence true\nlog_dest file /mosquitto/log/mosquitto.log\n\nport 1883\nlistener 9001\nprotocol websockets\n\
         allow_anonymous false\npassword_file /mosquitto/config/pwfile.conf\nlistener 1883\n",
        Refused(&[(9, "Hint: give each listener a port or an address of its own")]),
    ),
];

#[test]
fn files_of_public_repositories_start_or_are_told_the_way() {
    for (what, text, comes) in FILES {
        let read = read_contents(Path::new("a.conf"), text.as_bytes(), Defaults::Mosquitto);
        match comes {
            Starts(ports) => {
                let loaded = read.expect(what);
                let found: Vec<u16> = loaded.config.listeners.iter().map(ListenerConfig::port).collect();
                assert_eq!(found, *ports, "{what}");
            }
            Refused(expected) => {
                let remarks = read.expect_err(what);
                let errors: Vec<&Remark> = remarks.iter().filter(|remark| remark.is_error()).collect();
                assert_eq!(errors.len(), expected.len(), "{what}: {errors:#?}");
                for (error, (line, text)) in errors.iter().zip(*expected) {
                    assert_eq!(error.at.as_ref().map(|at| at.line), Some(*line), "{what}: {error}");
                    assert!(error.to_string().contains(text), "{what}: {error}");
                }
            }
        }
    }
}
