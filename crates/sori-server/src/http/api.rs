//! What stands below `/api/v1/`: the three answers that Mosquitto gives.

use super::answer::{Answer, NOT_FOUND};
use crate::config::{Bind, Config, ListenerConfig, Protocol};
use crate::figures::Figures;
use serde_json::{Map, Value, json};

const BELOW: &str = "/api/";

/// Whether a path belongs here; as in Mosquitto, however it is written.
pub(super) fn has(path: &str) -> bool {
    path.get(..BELOW.len()).is_some_and(|start| start.eq_ignore_ascii_case(BELOW))
}

pub(super) fn answer(path: &str, figures: &Figures, listeners: &str) -> Answer {
    match path {
        "/api/v1/version" => Answer::text(crate::VERSION.to_owned()),
        "/api/v1/listeners" => Answer::json(listeners.to_owned()),
        "/api/v1/systree" => Answer::json(systree(&figures.numbers())),
        _ => Answer::refusal(NOT_FOUND),
    }
}

fn systree(numbers: &[(&'static str, u64)]) -> String {
    let tree: Map<String, Value> =
        numbers.iter().map(|(topic, number)| ((*topic).to_owned(), Value::from(*number))).collect();
    Value::Object(tree).to_string()
}

/// All listeners in the order of the configuration.
pub(super) fn listeners(config: &Config) -> String {
    let listeners: Vec<Value> = config.listeners.iter().map(listener).collect();
    json!({ "listeners": listeners }).to_string()
}

fn listener(listener: &ListenerConfig) -> Value {
    let mut fields = Map::new();
    match &listener.bind {
        Bind::Tcp { port, .. } => fields.insert("port".to_owned(), Value::from(*port)),
        Bind::Unix(path) => fields.insert("path".to_owned(), Value::from(path.to_string_lossy())),
    };
    let transport = &listener.transport;
    let protocol = match transport.protocol {
        Protocol::Mqtt => "mqtt",
        Protocol::WebSockets => "websockets",
        Protocol::HttpApi => "httpapi",
    };
    fields.insert("protocol".to_owned(), Value::from(protocol));
    for (name, is_so) in [
        ("tls", transport.speaks_tls()),
        ("mtls", transport.require_certificate),
        ("allow_anonymous", listener.allow_anonymous),
    ] {
        fields.insert(name.to_owned(), Value::from(is_so));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Defaults, read_contents};
    use std::path::Path;

    #[test]
    fn listeners_are_told_as_mosquitto_tells_them() {
        let lines = b"allow_anonymous false\nlistener 1883\nlistener 0 /run/a\"b\nprotocol websockets\n\
            listener 9883\nprotocol http_api\nlistener_allow_anonymous true\ncertfile c\nkeyfile k\ncafile a\nrequire_certificate true\n\
            listener 8884\npsk_hint h\n";
        let loaded = read_contents(Path::new("a.conf"), lines, Defaults::Mosquitto).expect("is good");
        let told: Value = serde_json::from_str(&listeners(&loaded.config)).expect("is JSON");
        let expected = json!({ "listeners": [
            { "port": 1883, "protocol": "mqtt", "tls": false, "mtls": false, "allow_anonymous": false },
            { "path": "/run/a\"b", "protocol": "websockets", "tls": false, "mtls": false, "allow_anonymous": false },
            { "port": 9883, "protocol": "httpapi", "tls": true, "mtls": true, "allow_anonymous": true },
            { "port": 8884, "protocol": "mqtt", "tls": true, "mtls": false, "allow_anonymous": false },
        ] });
        assert_eq!(told, expected);
    }

    #[test]
    fn paths_of_the_api_are_known_in_any_case() {
        assert!(has("/api/v1/version") && has("/API/") && !has("/api") && !has("/a\u{fc}\u{fc}") && !has("/apis/"));
    }
}
