//! The manual and the summary of `--help`, both written from the table of options.

use std::fmt::Write as _;

use super::option::{Entry, Reload, Scope, Standing, Structure, Takes};
use super::options::{self, THEMES};

/// `docs/configuration.md`, whole.
pub fn markdown() -> String {
    let mut text = format!("{HEADING}\n{}", introduction());
    for theme in THEMES {
        let _ = write!(text, "\n## {}\n\n", theme.title);
        if !theme.entries.iter().any(is_later) {
            text.push_str(
                "| option | in `sori.toml` | value | default | belongs to | a change counts | meaning |\n\
                 |---|---|---|---|---|---|---|\n",
            );
            for entry in theme.entries {
                row(&mut text, entry);
            }
        } else {
            text.push_str(LATER);
            for entry in theme.entries {
                later_row(&mut text, entry);
            }
        }
    }
    text
}

/// What stands before the options.
pub(super) fn introduction() -> String {
    INTRODUCTION.replace("EXAMPLE\n", EXAMPLE_TOML)
}

/// One line for each option that works.
pub fn summary() -> String {
    let mut text = String::new();
    for entry in options::all().filter(|entry| entry.standing == Standing::Works) {
        let default = if entry.default.is_empty() { String::new() } else { format!(" (default {})", entry.default) };
        let _ = writeln!(text, "  {:<30} {}{default}", entry.word(), value(entry));
    }
    text
}

pub(super) fn is_later(entry: &Entry) -> bool {
    matches!(entry.standing, Standing::Later { .. })
}

fn row(text: &mut String, entry: &Entry) {
    let in_code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let toml = in_code(if has_path_of_its_own(entry) { entry.toml } else { "" });
    let (words, value, default, meaning) = (words(entry), value(entry), in_code(entry.default), meaning(entry));
    let (scope, reload) = (scope(entry.scope), reload(entry.reload));
    let _ = writeln!(text, "| {words} | {toml} | {value} | {default} | {scope} | {reload} | {meaning} |");
}

fn later_row(text: &mut String, entry: &Entry) {
    let _ = writeln!(text, "| {} | {} |", words(entry), meaning(entry));
}

/// In a `sori.toml` it is not called as in a `mosquitto.conf`.
pub(super) fn has_path_of_its_own(entry: &Entry) -> bool {
    !entry.toml.is_empty() && entry.toml != entry.word()
}

/// What it does, or why it is not here.
pub(super) fn meaning(entry: &Entry) -> String {
    match entry.standing {
        Standing::Works => entry.help.to_owned(),
        Standing::Mapped(instead) if entry.help.is_empty() => format!("accepted, but not needed: {instead}"),
        Standing::Mapped(instead) => format!("{} Accepted, but not needed: {instead}.", entry.help),
        Standing::Later { needs, unless: Some(value) } => format!("needs {needs}; `{value}` is accepted"),
        Standing::Later { needs, unless: None } => format!("needs {needs}"),
        Standing::Never(instead) => format!("will not come: {instead}"),
    }
}

fn words(entry: &Entry) -> String {
    entry.words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn value(entry: &Entry) -> String {
    match entry.takes {
        Takes::Flag(_) => "true or false".to_owned(),
        Takes::Number { least, most, .. } => match (least == i64::from(i32::MIN), most >= i64::from(i32::MAX)) {
            (true, true) => "number".to_owned(),
            (true, false) => format!("number up to {most}"),
            (false, true) => format!("number from {least}"),
            (false, false) => format!("number, {least} to {most}"),
        },
        Takes::Text { longest, .. } if longest < 65_535 => format!("text, up to {longest} bytes"),
        Takes::Text { .. } => "text".to_owned(),
        Takes::Word { form, .. } => form.to_owned(),
        Takes::Structure(Structure::Listener) => "port and address, or 0 and path".to_owned(),
        Takes::Structure(Structure::Port) => "number, 1 to 65535".to_owned(),
        Takes::Structure(Structure::BindAddress) => "address".to_owned(),
        Takes::Structure(Structure::IncludeDir) => "directory".to_owned(),
        Takes::Structure(Structure::PerListenerSettings) => "true or false".to_owned(),
        Takes::Structure(Structure::Connection | Structure::Plugin) => "name".to_owned(),
        Takes::Anything => "not read".to_owned(),
    }
}

pub(super) fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "file",
        Scope::Security => "file, or listener",
        Scope::Listener => "listener",
        Scope::ListenerLine => "listener, below its line",
        Scope::Bridge => "bridge",
        Scope::Plugin => "plugin",
    }
}

pub(super) fn reload(reload: Reload) -> &'static str {
    match reload {
        Reload::Yes => "at reload",
        Reload::NewConnections => "for new connections",
        Reload::Restart => "at restart",
    }
}

pub(super) const LATER: &str = "\
A file that uses one of these does not start, and the line says so: a broker that ignored `plugin` could be open.

| option | why |
|---|---|
";

const HEADING: &str = "\
# Configuration

<!-- Written from the table of options in crates/sori-server/src/config/options; do not edit. Write it anew with
     SORI_WRITE_MANUAL=1 cargo test -p sori-server --test it manual -->
";

const INTRODUCTION: &str = "\
The broker reads a `mosquitto.conf`, or a `sori.toml` with the same options. The name tells which it is: `.toml` at its end.

```
sori serve -c mosquitto.conf             # start
sori check -c mosquitto.conf             # would it start, and do what is meant? 0: yes, 3: no; --json for programs
sori reload -c mosquitto.conf            # have the running broker read it again; 0: applied, 3: refused, and why
sori reload -c mosquitto.conf --dry-run  # what that would change
sori config show -c mosquitto.conf       # the value of every option, and the line it comes from; --json for programs
sori config convert mosquitto.conf -o sori.toml  # the same settings in the other form; back likewise
```

## mosquitto.conf

A line is a word and a value with blanks between them; `#` at its start makes it a comment. Flags are `true`, `false`,
`1` or `0`. Numbers are written as in C: `0x10` is 16, and `010` is 8. A text is the rest of the line, so a comment
behind it would be part of it. The options below a `listener` line belong to that listener, up to the next one. A word
that is not known, or a value that is not allowed, refuses the start: all mistakes of all files are shown at once, each
with its file, line and column, and what to do, together with what is wrong with the files that they name. The exit
status is 3 then, and nothing has been opened. It is 1 when all lines are right and only a file or a directory of the
machine cannot be used. A text that is given twice is a mistake too; of a flag or a number the last value counts.

`sori check` reads everything that a start would read, and looks closer: whether ports are free and no two listeners want
the same, whether what is to be written can be, whether secrets are for the broker only, whether a rule can ever match.
Started by root, it looks with the eyes of the user that the broker becomes. Ports of a broker that runs with the same
file are as they should be. `--test-config` does the same and takes every port that is in use for a warning.

A reload (SIGHUP or `sori reload`) takes over everything or nothing. All files are read and all new sockets opened first;
with any mistake the broker goes on as it was, and the log has every reason. Listeners come and go without a word to the
clients of the others. A connection ends only when what let it in is gone. Files with rules are also read again when
they change on disk, a second or two later; a file that is half written or broken leaves the old rules in force. The log
says which settings have changed, and which of them wait for a restart.

Without a file, or in a file without `listener`, `port` and `bind_address`, only clients on this machine can connect: on
port 1883, or on the ports of `-p`, and without user name unless `allow_anonymous` is false.

The defaults below are Mosquitto's, and hold for a `mosquitto.conf`, for `-p`, and under the name `mosquitto`. Started without
any of these or with a `sori.toml`, `persistence` is on, in `$XDG_DATA_HOME/sori` or `~/.local/share/sori` (root:
`/var/lib/sori`), queues are bounded in bytes as well (`max_queued_bytes` 16 MiB, `max_inflight_bytes` 4 MiB),
`strict_receive_maximum` and `reason_strings` are on, and topics may have any number of levels. `sori config show` tells what
holds.

## sori.toml

```toml
EXAMPLE
```

The column \"in `sori.toml`\" has the path of an option where it is not simply its word. `log.types` stands as `types`
below `[log]`, or as `log.types` above all tables. Options that begin with `listener.` stand in a `[[listener]]` table:
`listener.max_qos` as `max_qos`, and `listener.tls.certfile` as `tls.certfile`, or as `certfile` below `[listener.tls]`.
A `[[listener]]` table has `port` and perhaps `address`, or `path` for a Unix socket. What a `mosquitto.conf` says of
the listener of `port`, or above its first listener, stands in `[default_listener]`. With `per_listener_settings =
true`, options that belong to \"file, or listener\" stand in the tables of listeners. Options of which several lines count
(`log_dest`, `log_type`, `websockets_origin`) are arrays. `include_dir` reads the files of a directory that end in
`.toml`.
";

/// A whole `sori.toml`, for the manual and the front page.
pub const EXAMPLE_TOML: &str = "\
max_keepalive = 600
allow_anonymous = true

[log]
types = [\"error\", \"warning\", \"notice\"]

[[listener]]
port = 1883

[[listener]]
path = \"/run/sori/mqtt.sock\"
max_connections = 100
";

#[cfg(test)]
mod tests {
    use super::super::{Defaults, read_contents};
    use super::*;

    #[test]
    fn the_example_is_good() {
        let read = read_contents("sori.toml".as_ref(), EXAMPLE_TOML.as_bytes(), Defaults::Native).expect("is good");
        assert_eq!((read.remarks.len(), read.config.listeners.len()), (0, 2));
        assert!(markdown().contains(EXAMPLE_TOML));
    }
}
