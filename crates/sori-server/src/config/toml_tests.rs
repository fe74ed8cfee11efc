//! What a `sori.toml` says, and that both forms say the same.

use std::path::Path;

use proptest::prelude::*;

use super::convert::{to_conf, to_toml};
use super::option::{Entry, Scope, Standing, Takes};
use super::setting::adds_up;
use super::*;

fn toml(text: &str) -> Result<Loaded, Vec<String>> {
    let read = read_contents(Path::new("a.toml"), text.as_bytes(), Defaults::Native);
    read.map_err(|remarks| remarks.iter().map(ToString::to_string).collect())
}

/// What was read of this text, where there is nothing wrong with it.
#[track_caller]
fn must<E: std::fmt::Debug>(read: Result<Loaded, E>, text: &str) -> Loaded {
    let wrong = read.as_ref().err().map(|error| format!("{text}:\n{error:#?}"));
    assert_eq!(wrong, None);
    read.expect("there is nothing wrong")
}

#[track_caller]
fn conf(text: &str) -> Loaded {
    must(read_contents(Path::new("a.conf"), text.as_bytes(), Defaults::Mosquitto), text)
}

#[track_caller]
fn good(text: &str) -> Config {
    must(toml(text), text).config
}

/// All that is said about a text, where each begins with its place.
#[track_caller]
fn bad(text: &str, expected: &[&str]) {
    let errors = toml(text).expect_err("has mistakes");
    assert_eq!(errors.len(), expected.len(), "{text}: {errors:#?}");
    for (error, expected) in errors.iter().zip(expected) {
        let expected = format!("a.toml:{expected}");
        assert!(error.starts_with(&expected), "{text}:\n{error}\n{expected}");
    }
}

/// As far as the two forms can be compared: they are in other files, on other lines.
fn without_origin(config: &Config) -> Config {
    let mut config = config.clone();
    config.files.clear();
    if !config.persistence {
        // Then the name of the file is of no account, and the forms have different ones.
        config.persistence_file = None;
    }
    // Nothing said in a `mosquitto.conf` is the directory in which the broker is started.
    let here = || Some(PathBuf::from("."));
    config.persistence_location = config.persistence_location.or_else(here).filter(|_| config.persistence);
    for listener in &mut config.listeners {
        listener.declared_at = None;
    }
    config
}

#[test]
fn an_empty_file_is_sori_s_own_defaults() {
    let config = good("");
    assert!(config.persistence && config.strict_receive_maximum && config.local_only);
    assert_eq!(config.persistence_file, None);
}

#[test]
fn options_stand_at_their_paths() {
    let config = good(
        "max_keepalive = 0x3C  # a minute\n\
         clientid_prefixes = 'dev #1'\n\
         log.types = [\"error\", \"notice\"]\n\
         [persistence]\nenabled = false\nlocation = \"/data\"\n\
         [[listener]]\nport = 1883\naddress = \"::1\"\nmax_qos = 1\nallow_anonymous = true\n\
         [[listener]]\npath = \"/run/mqtt\"\naccept_protocol_versions = 5\n",
    );
    assert_eq!(config.max_keepalive.map(u16::from), Some(60));
    assert_eq!(config.clientid_prefix, "dev #1");
    assert_eq!((config.persistence, config.persistence_location), (false, Some("/data".into())));
    assert_eq!(config.listeners.len(), 2);
    let (first, second) = (&config.listeners[0], &config.listeners[1]);
    assert_eq!(first.bind, Bind::Tcp { host: Some("::1".to_owned()), port: 1883 });
    assert_eq!((first.max_qos, first.allow_anonymous), (1, true));
    assert_eq!(second.bind, Bind::Unix("/run/mqtt".into()));
    assert_eq!((second.max_qos, second.allow_anonymous, second.versions.v311), (2, false, false));
    let lines = [first, second].map(|listener| listener.declared_at.as_ref().map(|at| at.line));
    assert_eq!(lines, [Some(7), Some(12)]);
}

#[test]
fn groups_of_a_listener_are_tables_or_stand_before_a_dot() {
    let as_table = "[[listener]]\nport = 8883\n[listener.tls]\ncertfile = \"/c\"\nkeyfile = \"/k\"\n\
                    [listener.websockets]\norigins = [\"https://a\", \"https://b\"]\n";
    let with_dots = "[[listener]]\nport = 8883\ntls.certfile = \"/c\"\ntls.keyfile = \"/k\"\n\
                     websockets.origins = [\"https://a\", \"https://b\"]\n";
    let config = good(as_table);
    assert_eq!(config.listeners[0].transport.websockets_origins, ["https://a", "https://b"]);
    assert_eq!(config.listeners[0].transport.certfile, Some("/c".into()));
    assert_eq!(without_origin(&config), without_origin(&good(with_dots)));
}

#[test]
fn the_default_listener_has_a_table() {
    let config = good("[default_listener]\nmax_qos = 0\nport = 1884\nbind_address = \"127.0.0.1\"\n");
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].bind, Bind::Tcp { host: Some("127.0.0.1".to_owned()), port: 1884 });
    assert_eq!(config.listeners[0].max_qos, 0);
    assert!(good("[default_listener]\nmax_qos = 0\n").local_only);
}

#[test]
fn security_belongs_to_listeners_when_it_is_said_wherever() {
    let text = "[[listener]]\nport = 1\nauto_id_prefix = \"a\"\nallow_zero_length_clientid = false\n\
                [[listener]]\nport = 2\n";
    let config = good(&format!("per_listener_settings = true\n{text}"));
    assert!(!config.listeners[0].allow_zero_length_clientid && config.listeners[1].allow_zero_length_clientid);
    bad(
        text,
        &[
            "4:1: Error: Unknown configuration variable 'allow_zero_length_clientid'. Hint: it holds for the whole broker",
        ],
    );
    bad(
        "allow_anonymous = true\nper_listener_settings = true",
        &["1:1: Error: The 'allow_anonymous' option requires a listener to be defined first."],
    );
}

#[test]
fn mistakes_have_their_place_and_advice() {
    for (text, expected) in [
        (
            "max_keepaliv = 1",
            "1:1: Error: Unknown configuration variable 'max_keepaliv'. Hint: did you mean 'max_keepalive'?",
        ),
        (
            "\n[log]\n  typ = \"all\"",
            "3:3: Error: Unknown configuration variable 'log.typ'. Hint: did you mean 'log.types'?",
        ),
        (
            "log_dest = \"stdout\"",
            "1:1: Error: Unknown configuration variable 'log_dest'. Hint: in a TOML file it is 'log.destinations'.",
        ),
        (
            "persistence = true",
            "1:1: Error: Unknown configuration variable 'persistence'. Hint: in a TOML file it is 'persistence.enabled'.",
        ),
        (
            "max_qos = 1",
            "1:1: Error: Unknown configuration variable 'max_qos'. Hint: it belongs into the table of a [[listener]]",
        ),
        (
            "[[listener]]\nport = 1\nmax_keepalive = 1",
            "3:1: Error: Unknown configuration variable 'max_keepalive'. Hint: it holds for the whole broker: move",
        ),
        (
            "[[listener]]\nport = 1\nmaxqos = 1",
            "3:1: Error: Unknown configuration variable 'maxqos'. Hint: did you mean 'max_qos'?",
        ),
        (
            "[[listener]]\nport = 1\n[listener.tls]\ncertfil = \"a\"",
            "4:1: Error: Unknown configuration variable 'tls.certfil'. Hint: did you mean 'tls.certfile'?",
        ),
        (
            "[[listener]]\nport = 1\ncertfile = \"a\"",
            "3:1: Error: Unknown configuration variable 'certfile'. Hint: in a TOML file it is 'tls.certfile'.",
        ),
        (
            "max_keepalive = \"60\"",
            "1:17: Error: Invalid 'max_keepalive' value: a text where there must be a whole number.",
        ),
        ("max_keepalive = 65536", "1:17: Error: Invalid 'max_keepalive' value (65536). Hint: it must be from"),
        ("max_keepalive = 99999999999999999999", "1:17: Error: 'max_keepalive' value out of range."),
        ("max_keepalive = 1.5", "1:17: Error: Invalid 'max_keepalive' value: a number with a fraction where"),
        ("ß = 1", "1:1: Error: This is not TOML: "),
        (
            "[log]\ntypes = [\"all\", \"eror\"]",
            "2:17: Error: Invalid 'log_type' value (eror). Hint: did you mean 'error'?",
        ),
        ("[log]\ntypes = []", "2:9: Error: Invalid 'log.types' value: an empty array where there must be a text"),
        ("user = [\"a\"]", "1:8: Error: Invalid 'user' value: an array where there must be a text in quotation marks."),
        ("user = \" a\"", "1:8: Error: Invalid 'user' value: it begins or ends with a blank."),
        (
            "retry_interval = \"1\\nallow_anonymous true\"",
            "1:18: Error: Invalid 'retry_interval' value: it has a line break",
        ),
        ("user = \"a\\nb\"", "1:8: Error: Invalid 'user' value: it has a line break or another control character."),
        ("user = \"\"", "1:8: Error: Empty 'user' value in configuration."),
        (
            "allow_anonymous = 1",
            "1:19: Error: Invalid 'allow_anonymous' value: a number where there must be true or false.",
        ),
        (
            "listener = 1883",
            "1:1: Error: Invalid 'listener' value: a number where there must be a table. Hint: write [[listener]]",
        ),
        ("[[listener]]\nmax_qos = 1", "1:1: Error: A listener lacks its place."),
        ("[[listener]]\nport = 0", "2:8: Error: A listener lacks its place."),
        ("[[listener]]\nport = 65536", "2:8: Error: Invalid 'port' value (65536)."),
        ("[[listener]]\nport = 1\npath = \"a\"", "2:8: Error: A listener lacks its place."),
        ("[[listener]]\npath = \"a b\"", "2:8: Error: Invalid 'path' value: it must be one word without blanks."),
        ("[[listener]]\nport = 1\naddress = \"#\"", "2:8: Error: Invalid 'address' value: it must be one word"),
        (
            "[[connection]]\naddress = \"a\"",
            "1:3: Error: The 'connection' option is not available in this version: it needs bridges.",
        ),
        (
            "plugin = \"/a.so\"",
            "1:1: Error: The 'plugin' option is not one of a TOML file. Hint: write what the plugin",
        ),
        (
            "keepalive_interval = 5",
            "1:1: Error: The 'keepalive_interval' option requires a bridge to be defined first.",
        ),
        ("max_keepalive = 1\nmax_keepalive = 2", "2:1: Error: This is not TOML: duplicate key"),
        ("\n\nmax_keepalive 60\nallow_anonymous true", "3:15: Error: This is not TOML: "),
    ] {
        bad(text, &[expected]);
    }
    bad("a = 1\nb = 2\n[[listener]]\nport = 1\nmax_qos = 3", &["1:1", "2:1", "5:11"]);
    let advice = toml("listener 1883\nallow_anonymous true").expect_err("is no TOML");
    assert!(advice.len() == 1 && advice[0].contains("a line of a mosquitto.conf"), "{advice:?}");
    good("dhparamfile = \"a\"");
}

#[test]
fn other_encodings_are_named() {
    let bom: &[u8] = b"\xEF\xBB\xBFmax_keepalive = 1";
    let utf16: &[u8] = b"\xFF\xFEm\0";
    let latin1: &[u8] = b"# f\xFCr\n";
    for (bytes, expected) in [
        (bom, "a.toml:1: Error: The file starts with a byte order mark"),
        (utf16, "a.toml:1: Error: The file is UTF-16."),
        (latin1, "a.toml:1:4: Error: Malformed UTF-8 in configuration."),
    ] {
        let errors = read_contents(Path::new("a.toml"), bytes, Defaults::Native).expect_err("is refused");
        assert!(errors.len() == 1 && errors[0].to_string().starts_with(expected), "{errors:?}");
    }
}

#[test]
fn depth_has_a_bound() {
    for text in ["[".repeat(100_000), "a.".repeat(100_000), format!("a = {}", "[".repeat(100_000))] {
        assert!(toml(&text).is_err());
    }
}

#[test]
fn an_include_dir_of_a_toml_file_has_toml_files() {
    let directory = std::env::temp_dir().join(format!("sori-include-toml-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("can be made");
    for (name, text) in [
        ("b.toml", "max_keepalive = 1\n"),
        ("A.toml", "max_keepalive = 2\n[[listener]]\nport = 7\n"),
        ("c.conf", "max_keepalive 3\n"),
        (".toml", "max_keepalive = 4\n"),
    ] {
        std::fs::write(directory.join(name), text).expect("can be written");
    }
    let main = format!("include_dir = {:?}\n[[listener]]\nport = 8\n", directory.display().to_string());
    let config = good(&main);
    assert_eq!(config.max_keepalive.map(u16::from), Some(1));
    assert_eq!(config.listeners.len(), 2);
    // What is written as one file says the same.
    let written = to_toml(&toml(&main).expect("is good"));
    assert!(!written.contains("include_dir"), "{written}");
    assert_eq!(without_origin(&good(&written)), without_origin(&config));
    std::fs::remove_dir_all(&directory).expect("can be removed");
}

/// A value that is not the default, where the table knows one.
fn example(entry: &Entry) -> String {
    match entry.takes {
        Takes::Flag(_) if entry.default == "true" => "false".to_owned(),
        Takes::Flag(_) => "1".to_owned(),
        Takes::Number { least, most: 2, .. } => (least + 1).to_string(),
        Takes::Number { least: 0..=9, most, .. } if most > 20 => "0x11".to_owned(),
        Takes::Number { most, .. } => most.to_string(),
        Takes::Text { .. } => "/x \"y\" \\z".to_owned(),
        Takes::Word { sample, .. } => sample.to_owned(),
        Takes::Structure(_) | Takes::Anything => "1".to_owned(),
    }
}

/// There and back again through both forms.
#[track_caller]
fn round_trip(loaded: &Loaded) {
    let written = to_toml(loaded);
    let from_toml = must(toml(&written), &written);
    assert_eq!(without_origin(&from_toml.config), without_origin(&loaded.config), "{written}");
    // What has to be read first stands first then.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&to_toml(&from_toml)), sorted(&written));
    let back = conf(&to_conf(&from_toml));
    let mut expected = without_origin(&loaded.config);
    if expected.persistence && expected.persistence_file.is_none() {
        // A `mosquitto.conf` cannot say that there is no such file.
        expected.persistence_file.clone_from(&back.config.persistence_file);
    }
    assert_eq!(without_origin(&back.config), expected, "{}", to_conf(&from_toml));
}

#[test]
fn every_option_survives_both_conversions() {
    let mut count = 0;
    for entry in options::all().filter(|entry| !entry.toml.is_empty() && entry.standing != Standing::Works) {
        assert!(matches!(entry.standing, Standing::Mapped(_)), "{}", entry.word());
    }
    for entry in options::all().filter(|entry| !entry.toml.is_empty()) {
        let word = entry.word();
        let value = match word {
            "include_dir" => continue,
            "persistence_file" => "x y.db".to_owned(),
            "per_listener_settings" | "persistence" => "true".to_owned(),
            "websockets_trusted_proxy" => "10.0.0.0/8".to_owned(),
            "tls_version" => "tlsv1.3".to_owned(),
            _ => example(entry),
        };
        let lines = if adds_up(entry) { format!("{word} {value}\n").repeat(2) } else { format!("{word} {value}\n") };
        let has_listener = matches!(entry.scope, Scope::Listener | Scope::ListenerLine | Scope::Security);
        let before = match entry.toml.split_once('.') {
            Some(("persistence", "enabled")) => "",
            Some(("persistence", _)) => "persistence true\n",
            Some(("listener", path)) if path.starts_with("tls.") => "certfile a\nkeyfile b\n",
            _ => "",
        };
        // Later lines of a text are refused, so that what stands above must be another option.
        let before: String =
            before.lines().filter(|line| !line.starts_with(word)).map(|line| format!("{line}\n")).collect();
        if has_listener {
            round_trip(&conf(&format!("listener 1000\n{before}{lines}listener 0 /run/x\n")));
        }
        if entry.scope == Scope::Security {
            let text = format!("per_listener_settings true\nlistener 1000\nlistener 1001 ::1\n{lines}");
            round_trip(&conf(&text));
        }
        if !has_listener || entry.scope == Scope::Listener {
            round_trip(&conf(&format!("{before}{lines}")));
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn listeners_keep_their_order_and_kind() {
    for text in [
        "",
        "port 1884\nbind_address ::1\nmax_qos 1\nlistener 5\nmax_qos 0\n",
        "listener 5\nmax_qos 0\nport 1884\nmax_qos 1\nlistener 6\n",
        "max_qos 1\nlistener 5\n",
        "max_qos 1\n",
        "persistence true\n",
        "pid_file /a #b\nauto_id_prefix 0x1\n",
        "persistence true\npersistence_file a.db\npersistence_location /a b\n",
        "log_dest none\nlog_dest file /a b\nlog_type all\n",
    ] {
        round_trip(&conf(text));
    }
    for text in [
        "[[listener]]\nport = 5\n[default_listener]\nport = 6\n[[listener]]\nport = 7\n",
        "max_queued_bytes = 0\n[persistence]\nfile = \"a.db\"\n",
        "[persistence]\nenabled = false\n",
    ] {
        let loaded = toml(text).expect("is good");
        let order = |loaded: &Loaded| loaded.config.listeners.iter().map(ListenerConfig::port).collect::<Vec<_>>();
        assert_eq!(order(&toml(&to_toml(&loaded)).expect("is good")), order(&loaded));
        round_trip(&loaded);
    }
}

/// A line of TOML with a known path, or something like it.
fn any_toml_line() -> impl Strategy<Value = String> {
    let paths: Vec<&'static str> =
        options::all().map(|entry| entry.toml).filter(|path| *path != "include_dir").collect();
    let values = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        Just("true".to_owned()),
        Just("\"none\"".to_owned()),
        Just("[\"all\", \"debug\"]".to_owned()),
        Just("{ a = 1 }".to_owned()),
        ".{0,9}".prop_map(|text| format!("{text:?}")),
        ".{0,9}",
    ];
    let key = (proptest::sample::select(paths), values)
        .prop_map(|(path, value)| format!("{} = {value}", path.strip_prefix("listener.").unwrap_or(path)));
    prop_oneof![
        6 => key,
        1 => Just("[[listener]]\nport = 7".to_owned()),
        1 => Just("[default_listener]".to_owned()),
        1 => Just("[log]".to_owned()),
        1 => ".{0,20}",
    ]
}

proptest! {
    #[test]
    fn any_toml_is_read_without_panic(lines in proptest::collection::vec(any_toml_line(), 0..12)) {
        let text = lines.join("\n");
        // Another directory must not be read because of it.
        prop_assume!(!text.contains("include_dir"));
        match read_contents(Path::new("a.toml"), text.as_bytes(), Defaults::Native) {
            Ok(loaded) => {
                prop_assert!(toml(&to_toml(&loaded)).is_ok(), "{}", to_toml(&loaded));
            }
            Err(remarks) => {
                let has_place = |remark: &Remark| !remark.is_error() || remark.at.is_some();
                prop_assert!(remarks.iter().all(has_place), "{remarks:?}");
            }
        }
    }

    #[test]
    fn whatever_lines_are_good_survive_both_conversions(
        lines in proptest::collection::vec(tests::any_line(), 0..20),
    ) {
        let is_good = |text: &str| read_contents(Path::new("a.conf"), text.as_bytes(), Defaults::Mosquitto).is_ok();
        let mut text = "listener 1000\n".to_owned();
        for line in lines {
            let longer = format!("{text}{line}\n");
            if is_good(&longer) {
                text = longer;
            }
        }
        round_trip(&conf(&text));
    }
}
