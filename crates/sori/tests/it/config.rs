//! `sori config`, and the program with a `sori.toml`.

use super::broker::unused_port;
use super::serve::{Directory, Running};
use super::{result, sori};

fn run(words: &str) -> (i32, String, String) {
    result(&sori(words, 0).output().expect("starts"))
}

#[test]
fn a_converted_file_starts_a_broker_and_can_be_converted_back() {
    let (directory, port) = (Directory::new("config-convert"), unused_port());
    let text = format!("# mine\nlistener {port} 127.0.0.1\nallow_anonymous true\nlog_type all\n");
    let file = directory.file("a.conf", &text);
    let toml = directory.0.join("sori.toml").display().to_string();
    assert_eq!(run(&format!("config convert {file} -o {toml}")), (0, String::new(), String::new()));
    let (status, _, err) = run(&format!("config convert {file} -o {toml}"));
    assert!(status == 1 && err.contains("is there already"), "{err}");
    let (status, out, _) = run(&format!("check -c {toml}"));
    assert_eq!((status, out.as_str()), (0, "The configuration is good.\n"));
    let (status, _, err) = run(&format!("serve -c {toml} --test-config"));
    assert!(status == 0 && err.contains("file is OK."), "{err}");
    let (status, out, _) = run(&format!("config convert {toml}"));
    assert!(status == 0 && out.ends_with(&format!("\nlistener {port} 127.0.0.1\n")), "{out}");
    assert!(out.contains("\nallow_anonymous true\n") && out.contains("\nlog_type all\n"), "{out}");

    let running = Running::start(sori(&format!("serve -c {toml}"), 0), "running");
    assert!(running.said.contains(&format!("Config loaded from {toml}")), "{}", running.said);
    assert_eq!(running.end("TERM").0, Some(0));
}

#[test]
fn a_native_file_has_native_defaults_and_a_reload_reads_it_again() {
    let (directory, port) = (Directory::new("config-native"), unused_port());
    let location = directory.0.join("data").display().to_string();
    let pid_file = directory.0.join("pid").display().to_string();
    let text = |more: &str| {
        format!(
            "{more}\npid_file = \"{pid_file}\"\nallow_anonymous = true\n[persistence]\nlocation = \"{location}\"\n\
             [[listener]]\nport = {port}\naddress = \"127.0.0.1\"\n"
        )
    };
    let toml = directory.file("sori.toml", &text(""));
    let running = Running::start(sori(&format!("serve -c {toml}"), 0), "running");
    assert!(directory.0.join("data/sori.store").is_dir(), "{}", running.said);

    directory.file("sori.toml", &text("max_keepalive = 60"));
    let (status, out, err) = run(&format!("reload --dry-run -c {toml}"));
    assert!(status == 0 && out.contains("~ max_keepalive from 0 to 60"), "{out}{err}");
    assert!(out.contains("would change one setting"), "{out}");
    let (status, out, err) = run(&format!("reload -c {toml}"));
    assert!(status == 0 && out.contains("has reloaded"), "{out}{err}");
    directory.file("sori.toml", &text("max_keepalive = 65536"));
    let (status, out, _) = run(&format!("reload -c {toml}"));
    assert!(status == 3 && out.contains(&format!("{toml}:1:17: Error: Invalid 'max_keepalive' value")), "{out}");
    assert_eq!(running.end("TERM").0, Some(0));
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let directory = Directory::new("config-show");
    let file = directory.file("a.conf", "log_dest stdout\nlog_dest syslog\nlistener 1883 ::1\nmax_qos 1\n");
    let (status, out, _) = run(&format!("config show -c {file}"));
    let line = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    };
    assert_eq!(status, 0);
    assert_eq!(line(&out, "log_dest"), format!("log_dest stdout, syslog {file}:2"));
    assert_eq!(line(&out, "persistence"), "persistence false default");
    assert_eq!(line(&out, "listener"), format!("listener 1883 ::1 {file}:3"));
    assert_eq!(line(&out, "max_qos"), format!("max_qos 1 {file}:4"));
    assert_eq!(line(&out, "pid_file"), "pid_file (not set) default");

    let toml = directory.file("sori.toml", "[[listener]]\nport = 1883\nmax_qos = 1\n");
    let (_, out, _) = run(&format!("config show -c {toml}"));
    assert_eq!(line(&out, "persistence.enabled"), "persistence.enabled true default");
    assert_eq!(line(&out, "listener.max_qos"), format!("listener.max_qos 1 {toml}:3"));

    let (status, out, _) = run(&format!("config show --json -c {toml}"));
    let lines: Vec<serde_json::Value> = serde_json::from_str(&out).expect("is JSON");
    let qos = lines.iter().find(|line| line["option"] == "max_qos").expect("is there");
    let expected = serde_json::json!({
        "option": "max_qos", "toml": "listener.max_qos", "listener": "1883", "values": ["1"],
        "from": "file", "file": toml, "line": 3
    });
    assert_eq!((status, qos), (0, &expected));

    let bad = directory.file("bad.toml", "max_keepaliv = 1\n");
    for words in ["config show -c", "config convert"] {
        let (status, out, err) = run(&format!("{words} {bad}"));
        assert!(status == 3 && out.is_empty() && err.contains("did you mean 'max_keepalive'?"), "{words}: {err}");
    }
}
