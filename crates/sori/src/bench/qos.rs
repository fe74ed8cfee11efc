//! `sori bench qos`: its options, and how the counts are shown.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::{Args, value_parser};
use serde::Serialize;

use super::qos_run::{self, Plan};
use super::tally::Tally;
use crate::failure::Failure;

const HELP: &str = "\
It starts a broker of its own, with a directory for temporary files that is removed in the end, and publishes
numbered messages on three topics side by side, with QoS 0, 1 and 2, to subscribers of its own whose sessions
outlive their connections. While the broker is away publishing goes on.

received counts all that came: sent - lost + duplicated. reordered counts messages that came for the first time
after a later one. QoS 0 is never acknowledged. The file of --csv has a line for each arrival, and one without a
time for each message that never came: qos, number, and seconds since the start when it was sent and received.

Exit status:
  0 QoS 1 lost nothing, and QoS 2 neither lost nor doubled anything
  1 it did, or something failed; 2 wrong usage, 130 interrupted";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Messages of each QoS
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = value_parser!(u32).range(1..=10_000_000))]
    messages: u32,
    /// Messages of each QoS in a second
    #[arg(long, value_name = "NUMBER", default_value = "10", value_parser = rate)]
    rate: f64,
    /// Stop the broker and start it again when so much has been published
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    restart_at: Option<f64>,
    /// Stop it with kill -9
    #[arg(long, requires = "restart_at")]
    kill: bool,
    /// Write when each message was sent and received
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.01..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "a number from 0.01 to 1000000".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|part| (0.0..100.0).contains(part));
    number.ok_or_else(|| "a part of the messages, as in 50%".to_owned())
}

#[derive(Serialize)]
struct Report<'a> {
    messages: u32,
    rate: f64,
    /// Percent; null without a restart.
    restart_at: Option<f64>,
    kill: bool,
    qos: &'a [Tally],
}

pub(super) fn run(arguments: &Arguments, interrupted: &AtomicBool) -> Result<(), Failure> {
    if !arguments.json {
        let seconds = f64::from(arguments.messages) / arguments.rate;
        eprintln!("sori: publishing for {seconds:.0} s; Ctrl-C ends it");
    }
    let courses = qos_run::run(&arguments.plan(), interrupted)?;
    if let Some(path) = &arguments.csv {
        let mut csv = "qos,number,sent,received\n".to_owned();
        courses.iter().for_each(|course| course.csv(&mut csv));
        fs::write(path, csv).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    let tallies: Vec<Tally> = courses.iter().map(super::tally::Course::tally).collect();
    if arguments.json {
        let Arguments { messages, rate, restart_at, kill, .. } = *arguments;
        let report = Report { messages, rate, restart_at, kill, qos: &tallies };
        let text = serde_json::to_string(&report).map_err(|error| Failure::new(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{}{EXPLANATION}", table(arguments, &tallies));
    }
    let broken: Vec<String> = tallies.iter().filter_map(Tally::broken_promise).collect();
    if broken.is_empty() { Ok(()) } else { Err(Failure::new(broken.join("; "))) }
}

impl Arguments {
    fn plan(&self) -> Plan {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a number that fits")]
        let restart_before = self.restart_at.map(|percent| (f64::from(self.messages) * percent / 100.0) as u32);
        Plan { messages: self.messages, rate: self.rate, restart_before, kill: self.kill }
    }
}

fn table(arguments: &Arguments, tallies: &[Tally]) -> String {
    let broker = match (arguments.restart_at, arguments.kill) {
        (None, _) => String::new(),
        (Some(percent), false) => format!("; the broker was stopped and started again at {percent} %"),
        (Some(percent), true) => format!("; the broker was killed and started again at {percent} %"),
    };
    let mut table = format!(
        "{} messages of each QoS, {} per second{broker}\n\n\
         QoS       sent  acknowledged  received      lost  duplicated  reordered\n",
        arguments.messages, arguments.rate
    );
    for Tally { qos, sent, acknowledged, received, lost, duplicated, reordered } in tallies {
        let acknowledged = if *qos == 0 { "-".to_owned() } else { acknowledged.to_string() };
        table.push_str(&format!(
            "{qos:<3} {sent:>10}  {acknowledged:>12}  {received:>8}  {lost:>8}  {duplicated:>10}  {reordered:>9}\n"
        ));
    }
    table
}

/// What each QoS is for.
const EXPLANATION: &str = "
QoS 0, at most once: sent and forgotten. What is on its way when a connection breaks is gone.
  For readings that come again soon anyway: a temperature every ten seconds.
QoS 1, at least once: kept and sent again until the other side has said that it is there, so it may come twice.
  For what must arrive and does no harm twice: alarms, states, switching a lamp on. The right choice most of the time.
QoS 2, exactly once: both sides also remember which messages they have had, for twice as many packets.
  For what must not happen twice: a payment, a dose, \"one step further\".
Between publisher and broker, and between broker and subscriber, each has its own QoS; the lower one counts.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_given_in_percent() {
        assert_eq!((percent("50%"), percent("12.5")), (Ok(50.0), Ok(12.5)));
        for text in ["100%", "-1", "half", "", "%", "nan"] {
            assert!(percent(text).is_err(), "{text}");
        }
        for text in ["0", "inf", "nan", "x"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_restart_comes_before_the_right_message() {
        let arguments =
            |messages, restart_at| Arguments { messages, rate: 10.0, restart_at, kill: false, csv: None, json: false };
        assert_eq!(arguments(100, Some(50.0)).plan().restart_before, Some(50));
        assert_eq!(arguments(3, Some(99.9)).plan().restart_before, Some(2));
        assert_eq!(arguments(100, None).plan().restart_before, None);
    }

    #[test]
    fn the_columns_of_the_table_stand_below_their_names() {
        let arguments =
            Arguments { messages: 2, rate: 1.0, restart_at: Some(50.0), kill: true, csv: None, json: false };
        let tally = Tally { qos: 0, sent: 2, acknowledged: 0, received: 1, lost: 1, duplicated: 0, reordered: 0 };
        let expected = "2 messages of each QoS, 1 per second; the broker was killed and started again at 50 %\n\n\
                        QoS       sent  acknowledged  received      lost  duplicated  reordered\n\
                        0            2             -         1         1           0          0\n";
        assert_eq!(table(&arguments, &[tally]), expected);
    }
}
