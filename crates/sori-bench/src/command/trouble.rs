//! `sori-bench trouble`.

use std::io;
use std::time::Duration;

use clap::Args;
use sori_bench::measure::trouble;

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
    /// Filters of a client that goes away
    #[arg(long, default_value_t = 100_000)]
    filters: usize,
    /// Clients that all get the same messages
    #[arg(long, default_value_t = 8_000)]
    crowd: usize,
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
        time: Duration::from_secs(arguments.seconds),
    })?;
    if !arguments.json {
        println!("{:38} {:>8} {:>8}  microseconds:", "", "seconds", "messages");
        println!("{:38} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "", "", "p50", "p99", "p99.9", "max");
    }
    for row in rows {
        let latencies = &row.latencies;
        let [p50, p99, p999, max] = [500, 990, 999, 1000].map(|per_mille| latencies.per_mille(per_mille));
        let (seconds, count) = (row.watched.as_secs_f64(), latencies.count());
        if arguments.json {
            println!(
                "{{\"trouble\":\"{}\",\"seconds\":{seconds:.3},\"messages\":{count},\"p50_us\":{p50},\"p99_us\":{p99},\
                 \"p999_us\":{p999},\"max_us\":{max}}}",
                row.trouble
            );
        } else {
            println!("{:38} {seconds:8.1} {count:8} {p50:8} {p99:8} {p999:8} {max:8}", row.trouble);
        }
    }
    Ok(true)
}
