//! `sori-bench compare`, with the broker of this build and a few messages: every scenario has all its figures.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sori_bench::broker::{Broker, BrokerOptions};
use sori_bench::measure::compare::{Options, Peer, Row, SCENARIOS, Scenario, Told, run};

/// A broker that a scenario can start and end as often as it likes.
fn peer(name: &str) -> Peer {
    // Not one that the system gives to outgoing connections: a client that knocks before the broker is there could meet itself.
    static SEED: AtomicU64 = AtomicU64::new(61);
    let broker = Broker::new(&BrokerOptions::default(), SEED.fetch_add(1, Ordering::Relaxed));
    let port = broker.expect("a free port").port;
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compare-{port}.conf"));
    let own = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../sori-bench/peers/sori.conf"));
    let own = own.expect("the configuration of docs/performance.md").replace("21100", &port.to_string());
    fs::write(&config, own).expect("a configuration");
    let command = format!("{} serve -c {}", env!("CARGO_BIN_EXE_sori"), config.display());
    Peer { name: name.to_owned(), port, command }
}

#[test]
fn every_scenario_has_a_figure_for_each_phase_and_loses_nothing() {
    for is_v5 in [false, true] {
        let options = Options { peers: vec![peer("sori")], runs: 1, is_v5, scale: 0.002 };
        for scenario in &SCENARIOS {
            let rows = measured(scenario, &options);
            assert_eq!(rows.len(), scenario.phases().len(), "{}", scenario.name);
            for row in rows {
                assert!(row.cpu_us >= 0.0 && row.per_second > 0.0 && row.lost == 0, "{row:?}");
            }
        }
    }
}

#[test]
fn brokers_are_compared_with_the_first() {
    let options = Options { peers: vec![peer("a"), peer("b")], runs: 2, is_v5: false, scale: 0.01 };
    let rows = measured(&SCENARIOS[0], &options);
    let brokers: Vec<&str> = rows.iter().map(|row| row.broker.as_str()).collect();
    assert_eq!(brokers, ["a", "b"]);
    assert_eq!((rows[0].ratio, rows[1].ratio), (1.0, rows[1].cpu_us / rows[0].cpu_us));
}

#[test]
fn a_broker_that_does_not_start_is_told_with_its_last_words() {
    let broken =
        Peer { command: format!("{} serve -c {{dir}}/missing.conf", env!("CARGO_BIN_EXE_sori")), ..peer("broken") };
    let options = Options { peers: vec![broken], runs: 1, is_v5: false, scale: 0.002 };
    let mut failed = Vec::new();
    let rows = run(&SCENARIOS[0], &options, &mut |told| failed.extend(error(&told)));
    assert!(rows.is_err());
    assert!(
        failed.iter().any(|error| error.contains("the broker ended") && error.contains("missing.conf")),
        "{failed:?}"
    );
}

fn measured(scenario: &Scenario, options: &Options) -> Vec<Row> {
    let mut failed = Vec::new();
    let rows = run(scenario, options, &mut |told| failed.extend(error(&told)));
    assert!(failed.is_empty(), "{}: {failed:?}", scenario.name);
    rows.expect("something is measured")
}

fn error(told: &Told<'_>) -> Option<String> {
    if let Told::Failed { error, .. } = told { Some(error.to_string()) } else { None }
}
