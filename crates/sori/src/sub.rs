//! `sori sub`: subscribe and print what comes.

use std::io::{self, BufWriter, Stdout, Write};
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use sori_mqtt::client_session::{Event, ReasonCodes};
use sori_mqtt::{Properties, Publish, SubscribeOptions, TopicFilter};

use crate::client::{Client, Wake};
use crate::connection::{ConnectionArguments, qos};
use crate::failure::{Failure, status};

const EXAMPLES: &str = "\
Examples:
  sori sub -t '#' -v                         everything, with topics
  sori sub -t kitchen/+/temperature          one level of names
  sori sub -t status -C 1 -W 5               one message, or exit status 27 after 5 seconds
  sori sub -t orders -q 1 -c -i worker       nothing is missed while this is not running
  sori sub -t '$SYS/broker/version' -C 1     ask a broker what it is

Exit status:
  0 success, 1 error, 2 wrong usage, 7 connection lost, 27 -W elapsed,
  or the reason code (0x80 and above) of a refused connection";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Topic filter to subscribe to; may be given several times
    #[arg(short, long = "topic", value_name = "FILTER", required = true)]
    topics: Vec<String>,
    /// The highest QoS to receive with
    #[arg(short, long, default_value_t = 0, value_parser = value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Print the topic before each message
    #[arg(short, long)]
    verbose: bool,
    /// Exit after this many messages
    #[arg(short = 'C', value_name = "COUNT", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Exit with status 27 after this many seconds
    #[arg(short = 'W', value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    wait: Option<u32>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let filters = arguments.filters()?;
    let until = arguments.wait.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
    let mut client = Client::connect(&arguments.connection)?;
    let mut subscriber = Subscriber::new(arguments);
    loop {
        let end = match client.wait(until)? {
            Wake::Interrupted => Some(Ok(())),
            Wake::TimedOut => Some(Err(Failure::quiet(status::TIMED_OUT))),
            Wake::Events | Wake::Line(_) => {
                client.events(|event| subscriber.handle(&event))?;
                subscriber.end()
            }
        };
        if let Some(end) = end {
            client.disconnect();
            return end;
        }
        if core::mem::take(&mut subscriber.connected) {
            client.session.subscribe(&filters, Properties::EMPTY)?;
        }
    }
}

impl Arguments {
    fn filters(&self) -> Result<Vec<(TopicFilter<'_>, SubscribeOptions)>, Failure> {
        let options = SubscribeOptions { qos: qos(self.qos), ..SubscribeOptions::default() };
        let filter = |text| match TopicFilter::new(text) {
            Ok(filter) => Ok((filter, options)),
            Err(error) => Err(Failure::new(format!("cannot subscribe to \"{text}\": {error}"))),
        };
        self.topics.iter().map(|topic| filter(topic.as_str())).collect()
    }
}

struct Subscriber<'a> {
    arguments: &'a Arguments,
    printer: Printer,
    /// How many messages are still to come.
    left: Option<u64>,
    /// The connection has just been accepted.
    connected: bool,
    end: Option<Result<(), Failure>>,
}

impl<'a> Subscriber<'a> {
    fn new(arguments: &'a Arguments) -> Self {
        let printer = Printer { out: BufWriter::new(io::stdout()), verbose: arguments.verbose };
        Self { arguments, printer, left: arguments.count, connected: false, end: None }
    }

    fn handle(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        match event {
            Event::Connected { .. } => self.connected = true,
            Event::Subscribed { reason_codes, properties, .. } => {
                self.note_refusals(*reason_codes, properties.reason_string());
            }
            Event::Message(message) if self.end.is_none() => self.message(message),
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, message: &Publish<'_>) {
        if let Err(error) = self.printer.print(message) {
            return self.output_ended(&error);
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 {
                self.end = Some(Ok(()));
            }
        }
    }

    /// Whether to stop, after what was printed has been written.
    fn end(&mut self) -> Option<Result<(), Failure>> {
        if let Err(error) = self.printer.out.flush() {
            self.output_ended(&error);
        }
        self.end.take()
    }

    /// `sori sub | head`: nobody reads any more, and that is no error.
    fn output_ended(&mut self, error: &io::Error) {
        let is_closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        let failure = || Failure::new(format!("cannot write to standard output: {error}"));
        self.end = Some(if is_closed_pipe { Ok(()) } else { Err(failure()) });
    }

    /// One refused filter is worth a word, all of them are the end.
    fn note_refusals(&mut self, reason_codes: ReasonCodes<'_>, reason_string: Option<&str>) {
        let more = reason_string.map_or(String::new(), |text| format!(" ({text})"));
        let refused: Vec<String> = self
            .arguments
            .topics
            .iter()
            .zip(reason_codes.iter())
            .filter(|(_, reason_code)| reason_code.is_error())
            .map(|(topic, reason_code)| {
                format!("the broker refused the subscription to \"{topic}\": {}{more}", reason_code.text())
            })
            .collect();
        if refused.len() == self.arguments.topics.len() {
            self.end = Some(Err(Failure::new(refused.join("\nsori: "))));
        } else {
            refused.iter().for_each(|refusal| eprintln!("sori: {refusal}"));
        }
    }
}

/// Writes messages as Mosquitto's client does.
struct Printer {
    out: BufWriter<Stdout>,
    verbose: bool,
}

impl Printer {
    fn print(&mut self, message: &Publish<'_>) -> io::Result<()> {
        write_message(&mut self.out, message, self.verbose)
    }
}

/// `payload`, or `topic payload`. An empty payload is `(null)` beside its topic, and nothing without it.
fn write_message(out: &mut impl Write, message: &Publish<'_>, verbose: bool) -> io::Result<()> {
    if verbose {
        write!(out, "{} ", message.topic)?;
    } else if message.payload.is_empty() {
        return Ok(());
    }
    out.write_all(if message.payload.is_empty() { b"(null)" } else { message.payload })?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use sori_mqtt::QoS;

    use super::*;

    #[test]
    fn messages_look_as_mosquitto_prints_them() {
        let check = |payload: &[u8], verbose, expected: &[u8]| {
            let (qos, properties) = (QoS::AtMostOnce, Properties::EMPTY);
            let message =
                Publish { dup: false, qos, retain: false, topic: "a/b", packet_id: None, properties, payload };
            let mut out = Vec::new();
            write_message(&mut out, &message, verbose).expect("memory");
            assert_eq!(out, expected);
        };
        check(b"hi", false, b"hi\n");
        check(b"hi", true, b"a/b hi\n");
        check(b"", false, b"");
        check(b"", true, b"a/b (null)\n");
        check(b"\xFF\0", true, b"a/b \xFF\0\n");
    }
}
