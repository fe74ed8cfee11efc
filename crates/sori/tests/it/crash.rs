//! kill -9 under load, a few times: nothing acknowledged is lost, QoS 2 exactly once, order, retained messages, wills
//! and sessions. The long form is `sori-bench crash`; docs/crash-testing.md describes both.

use std::time::Duration;

use sori_bench::broker::BrokerOptions;
use sori_bench::crash::{Options, run};

/// A failure leaves the packets of all clients; its message says where.
fn survives_kill_9(threads: u16, seed: u64) {
    let broker = BrokerOptions {
        command: Some(format!("{} serve -c {{config}}", env!("CARGO_BIN_EXE_sori"))),
        lines: vec![format!("threads {threads}"), "log_dest stderr".to_owned()],
        directory: None,
        has_socket: false,
    };
    let options = Options {
        broker,
        kills: 10,
        seed,
        scale: 1,
        calm: Duration::ZERO,
        uses_receive_maximum: true,
        is_verbose: false,
    };
    let report = run(&options).expect("the broker starts");
    assert!(report.is_good(), "with {threads} threads:\n{report}");
}

#[test]
fn what_is_acknowledged_survives_kill_9_with_one_thread() {
    survives_kill_9(1, 1);
}

#[test]
fn what_is_acknowledged_survives_kill_9_with_two_threads() {
    survives_kill_9(2, 2);
}
