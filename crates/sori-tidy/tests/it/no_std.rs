//! The crates that decide compile without `std`: see `no-std-check/src/lib.rs` for how that is shown.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

#[test]
fn levels_zero_and_one_need_no_std() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let check = here.join("no-std-check");
    // The same versions as everywhere else, which are on this machine already, so nothing is fetched.
    fs::copy(here.join("../../Cargo.lock"), check.join("Cargo.lock")).expect("Cargo.lock can be copied");
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--offline", "--quiet", "--manifest-path"])
        .arg(check.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-std"))
        // What the outer cargo was told is not meant for this build.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("cargo starts");
    assert!(built.status.success(), "\n{}", String::from_utf8_lossy(&built.stderr));
}
