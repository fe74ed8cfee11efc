#[test]
fn dump() {
    let data = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mosquitto"));
    for name in ["v3-1.4.15.db", "v4-1.5.9.db", "v5-1.6.15.db", "v6-2.0.22.db", "v6-2.1.2.db", "stopped.sqlite3", "crashed.sqlite3"] {
        println!("=== {name}\n{:#?}", super::read(&data.join(name), &std::env::temp_dir()));
    }
}
