//! `sori-bench trouble`.

use std::io;
use std::time::Duration;

use clap::Args;
use sori_bench::measure::trouble::{self, Row};

use super::BrokerArguments;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Pairs of clients that exchange a message each millisecond
    #[arg(long, default_value_t = 4)]
    pairs: usize,
    /// Retained messages, all delivered to one client
    #[arg(long, default_value_t = 1_000_000)]
    retained: usize,
    /// Filters of a client that goes away, and of a session that is kept
    #[arg(long, default_value_t = 100_000)]
    filters: usize,
    /// Clients that all get the same messages, and come by a listener that is taken away
    #[arg(long, default_value_t = 8_000)]
    crowd: usize,
    /// Messages for all of them in one write
    #[arg(long, default_value_t = 300)]
    burst: usize,
    /// Seconds of calm, and after what has no end to wait for
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Print one line of JSON for each trouble
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    let rows = trouble::run(&trouble::Options {
        broker: arguments.broker.options(),
        pairs: arguments.pairs,
        retained: arguments.retained,
        filters: arguments.filters,
        crowd: arguments.crowd,
        burst: arguments.burst,
        time: Duration::from_secs(arguments.seconds),
    })?;
    if arguments.json {
        rows.iter().for_each(print_json);
        return Ok(true);
    }
    println!("{:38} {:>8} {:>8}  microseconds:", "", "seconds", "messages");
    println!("{:38} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "", "", "p50", "p99", "p99.9", "max");
    rows.iter().for_each(print);
    Ok(true)
}

const PER_MILLE: [usize; 4] = [500, 990, 999, 1000];

fn print(row: &Row) {
    let latencies = &row.latencies;
    let [p50, p99, p999, max] = PER_MILLE.map(|per_mille| text(latencies.per_mille(per_mille), "-"));
    let (seconds, count) = (row.watched.as_secs_f64(), latencies.count());
    println!("{:38} {seconds:8.1} {count:8} {p50:>8} {p99:>8} {p999:>8} {max:>8}", row.trouble);
}

fn print_json(row: &Row) {
    let latencies = &row.latencies;
    let [p50, p99, p999, max] = PER_MILLE.map(|per_mille| text(latencies.per_mille(per_mille), "null"));
    let (seconds, count) = (row.watched.as_secs_f64(), latencies.count());
    println!(
        "{{\"trouble\":\"{}\",\"seconds\":{seconds:.3},\"messages\":{count},\"p50_us\":{p50},\"p99_us\":{p99},\
         \"p999_us\":{p999},\"max_us\":{max}}}",
        row.trouble
    );
}

/// Too few messages came to tell all of them.
fn text(value: Option<u64>, none: &str) -> String {
    value.map_or_else(|| none.to_owned(), |value| value.to_string())
}
