//! Which crate may use which: the table of levels, against the manifests.
//!
//! A crate uses only what stands below it. The two lowest levels decide and never do I/O; they are `no_std` and have nearly
//! no dependency, and what they have is named here, so that one more is a decision and not an accident.

use crate::files;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use toml::Table;

/// What one crate of the workspace may use.
struct Allowed {
    krate: &'static str,
    ours: &'static [&'static str],
    /// `None`: any outside crate that has its line in `docs/dependencies.md`.
    outside: Option<&'static [&'static str]>,
}

const fn decisions(krate: &'static str, ours: &'static [&'static str], outside: &'static [&'static str]) -> Allowed {
    Allowed { krate, ours, outside: Some(outside) }
}

const fn with_io(krate: &'static str, ours: &'static [&'static str]) -> Allowed {
    Allowed { krate, ours, outside: None }
}

/// The picture of ARCHITECTURE.md as a table, from the bottom to the top.
const LEVELS: [Allowed; 17] = [
    // Level 0, standards: nothing, not even each other.
    decisions("sori-mqtt", &[], &[]),
    decisions("sori-coap", &[], &[]),
    decisions("sori-ota", &[], &[]),
    // Level 1, decisions.
    decisions("sori-broker", &["sori-mqtt"], &["hashbrown", "triomphe", "once_cell"]),
    // Level 2, I/O.
    with_io("sori-store", &[]),
    with_io("sori-dtls", &[]),
    with_io("sori-system", &[]),
    with_io("sori-net", &["sori-coap", "sori-dtls"]),
    with_io("sori-client", &["sori-net", "sori-mqtt", "sori-broker", "sori-coap", "sori-store"]),
    // Level 3, programs.
    with_io(
        "sori-server",
        &["sori-broker", "sori-mqtt", "sori-store", "sori-system", "sori-net", "sori-coap", "sori-client"],
    ),
    with_io("sori-fleet", &["sori-client", "sori-ota", "sori-net"]),
    with_io("sori-agent", &["sori-client", "sori-ota"]),
    // Level 4, the command line.
    with_io("sori", &EVERYTHING_BELOW_THE_COMMAND_LINE),
    // Beside it.
    with_io("sori-sim", &["sori-mqtt", "sori-broker", "sori-store", "sori-server"]),
    with_io("sori-model", &["sori-mqtt", "sori-broker", "sori-store"]),
    with_io("sori-bench", &EVERYTHING_BELOW_THE_COMMAND_LINE),
    with_io("sori-tidy", &[]),
];

const EVERYTHING_BELOW_THE_COMMAND_LINE: [&str; 12] = [
    "sori-mqtt",
    "sori-coap",
    "sori-ota",
    "sori-broker",
    "sori-store",
    "sori-dtls",
    "sori-system",
    "sori-net",
    "sori-client",
    "sori-server",
    "sori-fleet",
    "sori-agent",
];

/// Tests may also use these: the simulator is how the crates below it are tested, kill -9 how the program is, and a client
/// is tested against the broker.
const TESTS_MAY_USE: [(&str, &str); 4] =
    [("sori-broker", "sori-sim"), ("sori-server", "sori-sim"), ("sori-client", "sori-server"), ("sori", "sori-bench")];

/// The manifest of one member of the workspace, as far as the rules look at it.
struct Manifest {
    krate: String,
    dependencies: BTreeSet<String>,
    /// Used by tests only.
    dev_dependencies: BTreeSet<String>,
    lints: Table,
}

/// Every edge between crates of the workspace, and every outside crate at the two lowest levels, is in the table.
pub fn with_a_wrong_direction() -> io::Result<Vec<String>> {
    Ok(members()?.iter().flat_map(wrong_direction).collect())
}

/// The crates that may say `unsafe`, where they allow it: cargo knows no exception to the workspace's lints, so they have copies of them.
const WITH_UNSAFE: [&str; 2] = ["sori-dtls", "sori-system"];

/// Every crate takes the workspace's lints: `unsafe` is forbidden everywhere but in two crates, and other exceptions are made where
/// they are needed.
pub fn without_the_lints() -> io::Result<Vec<String>> {
    let root: Table = files::read("Cargo.toml")?.parse().map_err(io::Error::other)?;
    let workspace =
        table(&root, "workspace").and_then(|workspace| table(workspace, "lints")).cloned().unwrap_or_default();
    Ok(members()?.iter().filter_map(|manifest| wrong_lints(manifest, &workspace)).collect())
}

fn wrong_lints(manifest: &Manifest, workspace: &Table) -> Option<String> {
    let krate = &manifest.krate;
    if !WITH_UNSAFE.contains(&krate.as_str()) {
        let keeps_them = manifest.lints.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        return (!keeps_them).then(|| format!("{krate}: its Cargo.toml lacks `[lints] workspace = true`"));
    }
    let mut wanted = workspace.clone();
    if let Some(rust) = wanted.get_mut("rust").and_then(toml::Value::as_table_mut) {
        rust.insert("unsafe_code".to_owned(), "deny".into());
    }
    (manifest.lints != wanted)
        .then(|| format!("{krate}: its lints are not those of the workspace with `unsafe_code = \"deny\"`"))
}

/// Every outside crate has its line in `docs/dependencies.md`, and every line there a crate.
pub fn without_a_reason() -> io::Result<Vec<String>> {
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for manifest in members()? {
        for outside in manifest.dependencies.union(&manifest.dev_dependencies).filter(|name| !is_ours(name)) {
            used.entry(outside.clone()).or_insert_with(|| manifest.krate.clone());
        }
    }
    let document = files::read("docs/dependencies.md")?;
    let explained: BTreeSet<&str> = document.lines().filter_map(first_cell_in_backticks).collect();
    let missing = used.iter().filter(|(name, _)| !explained.contains(name.as_str()));
    let stale = explained.iter().filter(|name| !used.contains_key(**name));
    Ok(missing
        .map(|(name, by)| {
            format!("docs/dependencies.md: no line for `{name}`, which {by} uses: what it saves, what it costs")
        })
        .chain(stale.map(|name| format!("docs/dependencies.md: nobody uses `{name}`; drop its line")))
        .collect())
}

fn wrong_direction(manifest: &Manifest) -> Vec<String> {
    let krate = &manifest.krate;
    let Some(allowed) = LEVELS.iter().find(|allowed| allowed.krate == krate) else {
        return vec![format!(
            "{krate}: not in the table of levels in crates/sori-tidy/src/manifests.rs; which level is it on?"
        )];
    };
    let mut complaints = Vec::new();
    for used in &manifest.dependencies {
        let fine = if is_ours(used) {
            allowed.ours.contains(&used.as_str())
        } else {
            allowed.outside.is_none_or(|outside| outside.contains(&used.as_str()))
        };
        if !fine {
            complaints.push(format!("{krate} uses {used}, which the table of levels does not allow"));
        }
    }
    // A crate that names itself there switches on features of its own for its tests.
    for used in manifest.dev_dependencies.iter().filter(|used| is_ours(used) && *used != krate) {
        let in_tests = TESTS_MAY_USE.iter().any(|(tested, helper)| tested == krate && helper == used);
        if !in_tests && !allowed.ours.contains(&used.as_str()) {
            complaints.push(format!("the tests of {krate} use {used}, which the table of levels does not allow"));
        }
    }
    complaints
}

fn is_ours(name: &str) -> bool {
    name == "sori" || name.starts_with("sori-")
}

/// `hashbrown` of the line "| `hashbrown` | ...".
fn first_cell_in_backticks(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name)
}

fn members() -> io::Result<Vec<Manifest>> {
    let manifests = files::with_extension("crates", &["toml"])?;
    let of_members = manifests.iter().filter(|file| {
        // crates/<name>/Cargo.toml; deeper ones belong to test material.
        file.path.ends_with("/Cargo.toml") && file.path.matches('/').count() == 2
    });
    of_members
        .map(|file| parse(&file.text).map_err(|what| io::Error::other(format!("{}: {what}", file.path))))
        .collect()
}

fn parse(text: &str) -> Result<Manifest, String> {
    let manifest: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let krate =
        table(&manifest, "package").and_then(|package| package.get("name")?.as_str()).ok_or("no package.name")?;
    let lints = table(&manifest, "lints").cloned().unwrap_or_default();
    let mut dependencies = BTreeSet::new();
    let mut dev_dependencies = BTreeSet::new();
    let targets =
        table(&manifest, "target").into_iter().flat_map(|targets| targets.values()).filter_map(|t| t.as_table());
    for part in std::iter::once(&manifest).chain(targets) {
        dependencies.extend(names(part, "dependencies"));
        dependencies.extend(names(part, "build-dependencies"));
        dev_dependencies.extend(names(part, "dev-dependencies"));
    }
    Ok(Manifest { krate: krate.to_owned(), dependencies, dev_dependencies, lints })
}

fn table<'a>(from: &'a Table, key: &str) -> Option<&'a Table> {
    from.get(key)?.as_table()
}

/// The names of the crates in one section, with renames undone.
fn names<'a>(part: &'a Table, section: &str) -> impl Iterator<Item = String> + use<'a> {
    table(part, section).into_iter().flatten().map(|(key, value)| {
        let renamed = value.as_table().and_then(|value| value.get("package")?.as_str());
        renamed.unwrap_or(key).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(manifest: &str) -> Vec<String> {
        wrong_direction(&parse(manifest).expect("a manifest"))
    }

    #[test]
    fn edges_upwards_and_unnamed_outside_crates_are_seen() {
        let upwards = "[package]\nname = 'sori-mqtt'\n[dependencies]\nsori-broker.workspace = true";
        assert_eq!(complaints(upwards).len(), 1);
        let hidden = "[package]\nname = 'sori-broker'\n[target.'cfg(unix)'.dependencies]\nb = { package = 'sori-net' }\nlibc = '1'";
        assert_eq!(complaints(hidden).len(), 2);
        let in_tests = "[package]\nname = 'sori-mqtt'\n[dev-dependencies]\nsori-sim = '1'\nproptest = '1'";
        assert_eq!(complaints(in_tests).len(), 1);
        let fine = "[package]\nname = 'sori-server'\n[dependencies]\nsori-broker = '1'\nmio = '1'\n[dev-dependencies]\nsori-sim = '1'";
        assert_eq!(complaints(fine), Vec::<String>::new());
        assert_eq!(complaints("[package]\nname = 'sori-new'").len(), 1);
    }

    #[test]
    fn one_crate_only_has_lints_of_its_own_and_they_are_the_workspaces() {
        let workspace: Table = "rust.unsafe_code = 'forbid'\nclippy.todo = 'warn'".parse().expect("a table");
        let is_fine = |manifest: &str| wrong_lints(&parse(manifest).expect("a manifest"), &workspace).is_none();
        let (plain, dtls) = ("[package]\nname = 'sori-net'\n[lints]\n", "[package]\nname = 'sori-dtls'\n[lints]\n");
        assert!(is_fine(&format!("{plain}workspace = true")) && !is_fine(plain));
        assert!(!is_fine(&format!("{plain}rust.unsafe_code = 'deny'\nclippy.todo = 'warn'")));
        assert!(is_fine(&format!("{dtls}rust.unsafe_code = 'deny'\nclippy.todo = 'warn'")));
        for other in
            ["workspace = true", "rust.unsafe_code = 'allow'\nclippy.todo = 'warn'", "rust.unsafe_code = 'deny'"]
        {
            assert!(!is_fine(&format!("{dtls}{other}")), "{other}");
        }
    }

    #[test]
    fn the_table_itself_goes_downwards_only() {
        let position = |krate: &str| LEVELS.iter().position(|allowed| allowed.krate == krate);
        for allowed in &LEVELS {
            for used in allowed.ours {
                assert!(position(used) < position(allowed.krate), "{} uses {used}", allowed.krate);
                assert!(position(used).is_some(), "{used} has no level");
            }
        }
    }
}
