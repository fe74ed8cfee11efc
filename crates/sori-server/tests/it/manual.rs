//! `docs/configuration.md` says what the table of options says.

use std::path::Path;

#[test]
fn manual_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = sori_server::config::manual::markdown();
    if std::env::var_os("SORI_WRITE_MANUAL").is_some() {
        std::fs::write(&path, &text).expect("can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/configuration.md is stale: SORI_WRITE_MANUAL=1 cargo test -p sori-server --test it manual"
    );
}

#[test]
fn the_manual_names_every_option() {
    let text = sori_server::config::manual::markdown();
    for entry in sori_server::config::options::all() {
        for word in entry.words {
            assert!(text.contains(&format!("`{word}`")), "{word}");
        }
    }
}

#[test]
fn the_manual_says_why_an_option_is_refused() {
    let text = sori_server::config::manual::markdown();
    assert!(text.contains("\n| `connection` | needs bridges |\n"));
    assert!(text.contains("\n| `enable_control_api` | needs the control topics; `false` is accepted |\n"));
    assert!(text.contains("\n| `tls_engine` | will not come: use a key file |\n"));
}
