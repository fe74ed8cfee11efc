//! Lines of plugins are the options that they stand for, or refuse the start.

use super::*;

const PASSWORDS: &str = "/usr/lib/mosquitto_password_file.so";
const ACL: &str = "plugins/acl-file/mosquitto_acl_file.so";
const SQLITE: &str = "mosquitto_persist_sqlite.so";

/// With a plugin it is the same as with the options.
#[track_caller]
fn same(with: &str, without: &str) {
    let placeless = |contents| {
        let mut config = good(contents);
        config.listeners.iter_mut().for_each(|listener| listener.declared_at = None);
        config
    };
    assert_eq!(placeless(with), placeless(without), "{with}");
    silent(with);
}

#[test]
fn a_plugin_that_is_built_in_is_its_options() {
    let options = "listener 1\npassword_file /p w\nacl_file /a\n";
    for word in ["plugin", "auth_plugin", "global_plugin"] {
        for opt in ["plugin_opt", "auth_opt"] {
            same(
                &format!("listener 1\n{word} {PASSWORDS}\n{opt}_password_file /p w\n{word} {ACL}\n{opt}_acl_file /a\n"),
                options,
            );
        }
    }
    same(
        &format!(
            "per_listener_settings true\nlistener 1\nplugin {PASSWORDS}\nplugin_opt_password_file /p\nlistener 2\n"
        ),
        "per_listener_settings true\nlistener 1\npassword_file /p\nlistener 2\n",
    );
    // Both ways at once, as files have it that are for two versions of Mosquitto.
    for both in [
        format!("listener 1\npassword_file /p\nplugin {PASSWORDS}\nplugin_opt_password_file /p\n"),
        format!("listener 1\nplugin {PASSWORDS}\nplugin_opt_password_file /p\npassword_file /p\n"),
    ] {
        same(&both, "listener 1\npassword_file /p\n");
    }
    // Whose the option is, its plugin says.
    same(
        &format!(
            "per_listener_settings true\nlistener 1\nplugin {PASSWORDS}\nlistener 2\nplugin_opt_password_file /p\n"
        ),
        "per_listener_settings true\nlistener 1\npassword_file /p\nlistener 2\n",
    );
}

#[test]
fn a_loaded_plugin_is_for_those_who_use_it() {
    let load = format!(
        "plugin_load pw {PASSWORDS}\nplugin_opt_password_file /p\nplugin_load acl {ACL}\nplugin_opt_acl_file /a\n"
    );
    same(
        &format!(
            "per_listener_settings true\n{load}listener 1\nplugin_use pw\nlistener 2\nplugin_use acl\nplugin_use pw\nlistener 3\n"
        ),
        "per_listener_settings true\nlistener 1\npassword_file /p\nlistener 2\nacl_file /a\npassword_file /p\nlistener 3\n",
    );
    bad(
        &format!("plugin_load pw {PASSWORDS}\nplugin_opt_password_file /p\nlistener 1\nplugin_use pw\n"),
        &["4: The plugin 'pw' is for this listener only, and the others would have no rules of it."],
    );
    bad(
        &format!("per_listener_settings true\n{load}listener 1\nplugin_use pw\nplugin_use other\n"),
        &["8: There is no plugin 'other'.", "4: No listener uses the plugin 'acl'."],
    );
    bad(
        &format!(
            "per_listener_settings true\nplugin_load pw {PASSWORDS}\nlistener 1\nplugin_use pw\nplugin_opt_password_file /p\n"
        ),
        &[
            "5: The 'plugin_opt_password_file' option stands below a 'plugin_use' of its plugin.",
            &format!("2: The plugin '{PASSWORDS}' has no file."),
        ],
    );
    bad("plugin_load pw\n", &["1: The 'plugin_load' line names no object."]);
    let twice = format!("plugin_load db {SQLITE}\nplugin_load db {SQLITE}\n");
    bad(&twice, &["2: There is already a plugin 'db'."]);
}

#[test]
fn the_store_takes_the_place_of_sqlite() {
    same(&format!("plugin {SQLITE}\n"), "persistence true\n");
    same(&format!("plugin {SQLITE}\nplugin_opt_sync full\n"), "persistence true\n");
    same(&format!("plugin_load db {SQLITE}\nplugin_opt_sync off\n"), "persistence true\ndurability never\n");
    same(
        &format!("plugin {SQLITE}\nplugin_opt_db_file /none/mosquitto.sqlite3\n"),
        "persistence true\npersistence_location /none\n",
    );
    same(
        &format!("plugin {SQLITE}\nplugin_opt_db_file /none/a.db\npersistence_location /data\n"),
        "persistence true\npersistence_location /data\n",
    );
    let database = std::env::temp_dir().join(format!("sori-plugin-{}.db", std::process::id()));
    std::fs::write(&database, "").expect("can be written");
    let config = good(&format!("plugin {SQLITE}\nplugin_opt_db_file {}\n", database.display()));
    std::fs::remove_file(&database).expect("is there");
    assert_eq!(config.import_sqlite.as_ref(), Some(&database));
    assert_eq!(config.persistence_location.as_deref(), database.parent());

    let (_, remarks) = read_bytes(format!("plugin {SQLITE}\nplugin_opt_flush_period 5\n").as_bytes(), &[]);
    assert_eq!(
        of(&remarks, Severity::Notice),
        ["a.conf:2:25: The 'plugin_opt_flush_period' option is not needed: what is acknowledged is on disk already."]
    );
    let loud = "2: Invalid 'plugin_opt_sync' value (loud): it is extra, full, normal or off.";
    bad(&format!("plugin {SQLITE}\nplugin_opt_sync loud\n"), &[loud]);
}

/// A broker that left out what decides who comes in would be open.
#[test]
fn any_other_plugin_refuses_the_start_and_tells_the_way() {
    for (path, hint) in [
        ("/usr/lib/mosquitto_dynamic_security.so", "password_file"),
        ("mosquitto_sparkplug_aware.so", "Sparkplug's clients work"),
        ("/etc/mosquitto/go-auth.so", "`sori passwd`"),
        ("/opt/mine.so", "docs/access.md"),
        ("/opt/my_mosquitto_acl_file.so", "mosquitto_password_file, mosquitto_acl_file"),
        (".so", "docs/access.md"),
        ("/", "docs/access.md"),
    ] {
        let text =
            format!("plugin {path}\nplugin_opt_whatever x\nauth_opt_more b c\nauth_plugin_deny_special_chars false\n");
        bad(&text, &[&format!("1: The plugin '{path}' cannot be loaded: sori runs no shared objects.")]);
        let (_, remarks) = read_bytes(text.as_bytes(), &[]);
        assert!(remarks[0].hint.as_ref().is_some_and(|found| found.contains(hint)), "{path}: {:?}", remarks[0]);
    }
    // A loaded one is refused once, however often it is used.
    bad(
        "plugin_load x /opt/mine.so\nlistener 1\nplugin_use x\n",
        &["1: The plugin '/opt/mine.so' cannot be loaded: sori runs no shared objects."],
    );
}

#[test]
fn what_does_not_fit_below_a_plugin_is_named() {
    bad(&format!("plugin {PASSWORDS}\n"), &[&format!("1: The plugin '{PASSWORDS}' has no file.")]);
    bad(
        &format!("plugin {PASSWORDS}\nplugin_opt_pasword_file /p\n"),
        &[
            &format!("2: The plugin '{PASSWORDS}' has no option 'pasword_file'."),
            &format!("1: The plugin '{PASSWORDS}' has no file."),
        ],
    );
    bad(
        "plugin_opt_a b\n",
        &["1: The 'plugin_opt_a' option requires plugin/global_plugin/plugin_load to be defined first."],
    );
    // The value is one of the option that it stands for.
    bad(&format!("plugin {PASSWORDS}\nplugin_opt_password_file /\u{7}\n"), &["2: Malformed UTF-8 in configuration."]);
    let two = format!("acl_file /a\nplugin {ACL}\nplugin_opt_acl_file /b\n");
    bad(&two, &["3: There is already 'acl_file /a' (a.conf:1)."]);
    let two = format!("plugin {PASSWORDS}\nplugin_opt_password_file /a\npassword_file /b\n");
    bad(&two, &["3: Duplicate 'password_file' value in configuration."]);
    bad("password_file /a\npassword_file /a\n", &["2: Duplicate 'password_file' value in configuration."]);
    let global = format!("per_listener_settings true\nglobal_plugin {ACL}\nplugin_opt_acl_file /b\n");
    bad(&global, &[&format!("2: With per_listener_settings the plugin '{ACL}' cannot be for all listeners at once.")]);
    let homeless = format!("per_listener_settings true\nplugin {ACL}\nplugin_opt_acl_file /b\n");
    bad(&homeless, &["2: The 'plugin' option requires a listener to be defined first."]);
}

#[test]
fn wildcards_in_names_are_refused_where_patterns_are() {
    let directory = std::env::temp_dir().join(format!("sori-plugin-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("can be made");
    let (acl, conf) = (directory.join("acl"), directory.join("a.conf"));
    let errors = |rules: &str, flag: &str| {
        std::fs::write(&acl, rules).expect("can be written");
        let lines =
            format!("plugin {ACL}\nplugin_opt_acl_file {}\nauth_plugin_deny_special_chars {flag}\n", acl.display());
        std::fs::write(&conf, lines).expect("can be written");
        match load(&Source { files: std::slice::from_ref(&conf), ..source(&[]) }) {
            Ok(_) => Vec::new(),
            Err(remarks) => of(&remarks, Severity::Error),
        }
    };
    assert_eq!(errors("topic a\n", "false"), [""; 0]);
    assert_eq!(errors("pattern read own/%u/#\n", "true"), [""; 0]);
    let found = errors("pattern read own/%u/#\n", "false");
    std::fs::remove_dir_all(&directory).expect("is there");
    assert!(
        found.len() == 1 && found[0].contains("a.conf:3: Error: 'auth_plugin_deny_special_chars false'"),
        "{found:?}"
    );
}
