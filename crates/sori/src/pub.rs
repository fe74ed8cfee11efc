//! `sori pub`: publish one message, or one per line.

use std::time::Duration;

use clap::{ArgGroup, Args, value_parser};

use crate::connection::{ConnectionArguments, qos};
use crate::failure::Failure;
use crate::payload::{PayloadArguments, PropertyArguments};
use crate::publishing;
use crate::settings::{Payload, PublishOrder};
use crate::voice::Voice;

const EXAMPLES: &str = "\
Examples:
  sori pub -t kitchen/light -m on              one message
  sori pub -t kitchen/light -m on -r -q 1      retained, and acknowledged by the broker
  sori pub -t kitchen/light -n -r              remove the retained message
  sori pub -t firmware -f image.bin -q 2       a file
  tail -f app.log | sori pub -t log -l         one message per line
  sori pub -t tick -m hi --repeat 60 --repeat-delay 1
  sori pub -t reading -m '{\"t\":21.5}' --content-type application/json --expiry 60

Exit status:
  0 success, 1 error, 2 wrong usage, 7 connection lost, 130 interrupted,
  or the reason code (0x80 and above) of a refused connection";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("payload").required(true).multiple(false))]
pub(crate) struct Arguments {
    /// Topic to publish to
    #[arg(short, long)]
    topic: String,
    #[command(flatten)]
    payload: PayloadArguments,
    /// Send each line of standard input
    #[arg(short = 'l', long, group = "payload")]
    stdin_line: bool,
    /// 0: at most once, 1: at least once, 2: exactly once
    #[arg(short, long, default_value_t = 0, value_parser = value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Let the broker keep the message for later subscribers
    #[arg(short, long)]
    retain: bool,
    /// Send the message so many times
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = value_parser!(u32).range(1..), conflicts_with = "stdin_line")]
    repeat: u32,
    /// Seconds between them
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    repeat_delay: Duration,
    #[command(flatten)]
    properties: PropertyArguments,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Seconds, with a point where one likes.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a number of seconds, as in 0.5".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let payload = if arguments.stdin_line { Payload::Lines } else { Payload::Bytes(arguments.payload.bytes()?) };
    let order = PublishOrder {
        topic: arguments.topic.clone(),
        payload,
        qos: qos(arguments.qos),
        retain: arguments.retain,
        properties: arguments.properties.properties(&arguments.connection)?,
        repeat: arguments.repeat,
        repeat_delay: arguments.repeat_delay,
    };
    publishing::publish(&arguments.connection.connection()?, &order, Voice::Sori)
}
