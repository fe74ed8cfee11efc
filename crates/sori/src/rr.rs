//! `sori rr`: send a request and show the response.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use clap::{ArgGroup, Args, value_parser};
use sori_mqtt::{Property, SubscribeOptions};

use crate::connection::{ConnectionArguments, qos};
use crate::display::{DisplayArguments, FORMATS};
use crate::failure::Failure;
use crate::payload::{PayloadArguments, PropertyArguments};
use crate::requesting;
use crate::settings::{Payload, PublishOrder, RequestOrder};
use crate::voice::Voice;

const EXAMPLES: &str = "\
A request is a message that says on which topic its sender waits for the answer (response topic), and by which mark it
will know it again (correlation data). This command subscribes to the response topic, sends the request with both, shows the first
answer that carries the same mark or none, and exits.

Examples:
  sori rr -t lamp/get -e answers/me -m state -W 5   ask, and wait at most 5 seconds
  sori rr -t clock/now -e answers/me -n --latency   how long does the answer take?

Exit status:
  0 success, 1 error, 2 wrong usage, 7 connection lost, 27 no answer in time, 130 interrupted,
  or the reason code (0x80 and above) of a refused connection";

#[derive(Args, Debug)]
#[command(after_help = format!("{FORMATS}\n\n{EXAMPLES}"))]
#[command(group = ArgGroup::new("payload").required(true).multiple(false))]
pub(crate) struct Arguments {
    /// Topic of the request
    #[arg(short, long)]
    topic: String,
    /// Topic on which the answer is expected
    #[arg(short = 'e', long, value_name = "TOPIC")]
    response_topic: String,
    #[command(flatten)]
    payload: PayloadArguments,
    /// QoS of the request, and the highest one of the answer
    #[arg(short, long, default_value_t = 0, value_parser = value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Exit with status 27 when no answer has come after this many seconds
    #[arg(short = 'W', long = "timeout", value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    wait: Option<u32>,
    /// A retained message is no answer
    #[arg(short = 'R', long)]
    skip_retained: bool,
    /// Say how long the answer took
    #[arg(long)]
    latency: bool,
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    properties: PropertyArguments,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut properties = arguments.properties.properties(&arguments.connection)?;
    if properties.as_properties().correlation_data().is_none() {
        let mark = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        properties.push(Property::CorrelationData(mark.as_bytes()));
    }
    let order = RequestOrder {
        request: PublishOrder {
            topic: arguments.topic.clone(),
            payload: Payload::Bytes(arguments.payload.bytes()?),
            qos: qos(arguments.qos),
            retain: false,
            properties,
            repeat: 1,
            repeat_delay: Duration::ZERO,
        },
        response_topic: arguments.response_topic.clone(),
        options: SubscribeOptions { qos: qos(arguments.qos), ..SubscribeOptions::default() },
        subscribe_properties: sori_mqtt::PropertyBuffer::new(),
        skip_retained: arguments.skip_retained,
        wait: arguments.wait.map(|seconds| Duration::from_secs(seconds.into())),
        latency: arguments.latency,
        output: arguments.display.output(),
    };
    requesting::request(&arguments.connection.connection()?, &order, Voice::Sori)
}
