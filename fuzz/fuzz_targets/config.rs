//! Whatever a configuration file holds, reading it ends with settings, or with errors that have a place and say something.
//! What was read can be written in both forms and says the same again.
//!
//! The first byte chooses the form: even for a `mosquitto.conf`, odd for a `sori.toml`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_server::config::{Config, Defaults, Loaded, convert, read_contents};
use std::path::{Path, PathBuf};

fuzz_target!(|data: &[u8]| {
    let Some((form, contents)) = data.split_first() else { return };
    // Other files must not be read because of what a fuzzer writes.
    if contents.windows(11).any(|window| window == b"include_dir") {
        return;
    }
    let (name, defaults) = match form % 2 {
        0 => ("a.conf", Defaults::Mosquitto),
        _ => ("a.toml", Defaults::Native),
    };
    match read_contents(Path::new(name), contents, defaults) {
        Ok(loaded) => convert_both_ways(&loaded),
        Err(remarks) => {
            assert!(remarks.iter().any(|remark| remark.is_error()));
            for remark in remarks {
                assert!(!remark.text.is_empty() && !remark.to_string().contains('\n'), "{remark}");
            }
        }
    }
});

fn convert_both_ways(loaded: &Loaded) {
    let toml = convert::to_toml(loaded);
    let from_toml = read_contents(Path::new("a.toml"), toml.as_bytes(), Defaults::Native);
    let from_toml = from_toml.unwrap_or_else(|remarks| panic!("{toml}\n{remarks:?}"));
    assert_eq!(plain(&from_toml.config), plain(&loaded.config), "{toml}");
    let conf = convert::to_conf(&from_toml);
    let from_conf = read_contents(Path::new("a.conf"), conf.as_bytes(), Defaults::Mosquitto);
    let from_conf = from_conf.unwrap_or_else(|remarks| panic!("{conf}\n{remarks:?}"));
    let (mut back, mut before) = (plain(&from_conf.config), plain(&loaded.config));
    if before.persistence_file.is_none() {
        // A mosquitto.conf cannot say that there is no such file.
        back.persistence_file = None;
    }
    // It cannot keep the place of a listener that no line opens: that stands above all others.
    for config in [&mut back, &mut before] {
        config.listeners.sort_by_key(|listener| format!("{listener:?}"));
    }
    assert_eq!(back, before, "{conf}");
}

/// Without what says where it was read.
fn plain(config: &Config) -> Config {
    let mut config = config.clone();
    config.files.clear();
    for listener in &mut config.listeners {
        listener.declared_at = None;
    }
    if !config.persistence {
        config.persistence_file = None;
    }
    // Nothing said in a mosquitto.conf is the directory in which the broker is started.
    let here = || Some(PathBuf::from("."));
    config.persistence_location = config.persistence_location.or_else(here).filter(|_| config.persistence);
    config
}
