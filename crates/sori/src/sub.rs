//! `sori sub`: subscribe and print what comes.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use sori_mqtt::{Property, PropertyBuffer, RetainHandling, SubscribeOptions, TopicFilter};

use crate::connection::{ConnectionArguments, qos};
use crate::display::{DisplayArguments, FORMATS};
use crate::failure::Failure;
use crate::settings::SubscribeOrder;
use crate::voice::Voice;
use crate::{subscribing, tree};

const EXAMPLES: &str = "\
Examples:
  sori sub -t '#' -v                         everything, with topics
  sori sub -t '#' --tree                     everything, as a tree of topics that lives
  sori sub -t kitchen/+/temperature          one level of names
  sori sub -t '#' -T '$SYS/#' -F json        everything but this, as JSON
  sori sub -t status -C 1 -W 5               one message, or exit status 27 after 5 seconds
  sori sub -t orders -q 1 -c -i worker       nothing is missed while this is not running
  sori sub -t '$SYS/broker/version' -C 1     ask a broker what it is
  sori sub -t 'old/#' --retained-only --remove-retained -v   clean up

Exit status:
  0 success, 1 error, 2 wrong usage, 7 connection lost, 27 -W elapsed,
  or the reason code (0x80 and above) of a refused connection";

#[derive(Args, Debug)]
#[command(after_help = format!("{FORMATS}\n\n{EXAMPLES}"))]
pub(crate) struct Arguments {
    /// Topic filter to subscribe to; may be given several times
    #[arg(short, long = "topic", value_name = "FILTER", required_unless_present = "unsubscribe")]
    topics: Vec<String>,
    /// Do not show messages on these topics; may be given several times
    #[arg(short = 'T', long, value_name = "FILTER")]
    filter_out: Vec<String>,
    /// Unsubscribe a kept session from this; may be given several times
    #[arg(short = 'U', long, value_name = "FILTER")]
    unsubscribe: Vec<String>,
    /// The highest QoS to receive with
    #[arg(short, long, default_value_t = 0, value_parser = value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Exit after this many messages
    #[arg(short = 'C', long, value_name = "COUNT", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Exit with status 27 after this many seconds
    #[arg(short = 'W', long = "timeout", value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    wait: Option<u32>,
    /// Exit as soon as the broker has answered the subscription
    #[arg(short = 'E', long)]
    exit_after_subscribing: bool,
    /// Do not show retained messages
    #[arg(short = 'R', long, conflicts_with = "retained_only")]
    skip_retained: bool,
    /// Show retained messages, and exit with the first other one
    #[arg(long)]
    retained_only: bool,
    /// Remove the retained messages that are shown from the broker; -T spares some
    #[arg(long)]
    remove_retained: bool,
    /// Let the retain flag come as it was sent (MQTT 5)
    #[arg(long)]
    retain_as_published: bool,
    /// When retained messages come (MQTT 5)
    #[arg(long, value_enum, value_name = "WHEN")]
    retain_handling: Option<WhenRetained>,
    /// Do not receive what this client itself publishes (MQTT 5)
    #[arg(long)]
    no_local: bool,
    /// A number that comes with each message of this subscription (MQTT 5)
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=268_435_455))]
    subscription_id: Option<u32>,
    /// Show a live tree of topics instead of messages
    #[arg(long, conflicts_with_all = ["watch", "message_rate", "format", "verbose"], help_heading = "Output")]
    tree: bool,
    /// Let each topic keep a line of the terminal to itself
    #[arg(short, long, conflicts_with = "message_rate", help_heading = "Output")]
    watch: bool,
    /// Show only how many messages come in each second
    #[arg(long, help_heading = "Output")]
    message_rate: bool,
    /// Show only so many of a hundred messages, chosen by chance
    #[arg(long, value_name = "PERCENT", value_parser = per_mille, help_heading = "Output")]
    random_filter: Option<u16>,
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum WhenRetained {
    /// With every subscription
    Always,
    /// With a subscription that is new
    New,
    /// Not at all
    Never,
}

fn per_mille(text: &str) -> Result<u16, String> {
    let percent = text.parse::<f64>().ok().filter(|percent| (0.1..=100.0).contains(percent));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 1000 by the line above")]
    let per_mille = percent.map(|percent| (percent * 10.0) as u16);
    per_mille.ok_or_else(|| "a number from 0.1 to 100".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let order = arguments.order()?;
    let connection = arguments.connection.connection()?;
    if arguments.tree {
        return tree::show(&connection, &order);
    }
    subscribing::subscribe(&connection, &order, Voice::Sori)
}

impl Arguments {
    fn order(&self) -> Result<SubscribeOrder, Failure> {
        for text in self.topics.iter().chain(&self.filter_out).chain(&self.unsubscribe) {
            TopicFilter::new(text).map_err(|error| Failure::new(format!("cannot subscribe to \"{text}\": {error}")))?;
        }
        self.connection.needs_version_5("--retain-as-published", self.retain_as_published)?;
        self.connection.needs_version_5("--retain-handling", self.retain_handling.is_some())?;
        self.connection.needs_version_5("--no-local", self.no_local)?;
        self.connection.needs_version_5("--subscription-id", self.subscription_id.is_some())?;
        let mut properties = PropertyBuffer::new();
        if let Some(number) = self.subscription_id {
            properties.push(Property::SubscriptionIdentifier(number));
        }
        let mut output = self.display.output();
        output.watch = self.watch.then(|| self.connection.broker());
        Ok(SubscribeOrder {
            filters: self.topics.clone(),
            unsubscribe: self.unsubscribe.clone(),
            options: SubscribeOptions {
                qos: qos(self.qos),
                no_local: self.no_local,
                retain_as_published: self.retain_as_published,
                retain_handling: match self.retain_handling {
                    // The broker need not send what would not be shown.
                    None if self.skip_retained => RetainHandling::DoNotSend,
                    None | Some(WhenRetained::Always) => RetainHandling::SendAlways,
                    Some(WhenRetained::New) => RetainHandling::SendIfNew,
                    Some(WhenRetained::Never) => RetainHandling::DoNotSend,
                },
            },
            properties,
            filter_out: self.filter_out.clone(),
            skip_retained: self.skip_retained,
            retained_only: self.retained_only,
            remove_retained: self.remove_retained,
            per_mille: self.random_filter.filter(|per_mille| *per_mille < 1000),
            message_rate: self.message_rate,
            count: self.count,
            wait: self.wait.map(|seconds| Duration::from_secs(seconds.into())),
            exit_after_subscribing: self.exit_after_subscribing,
            output,
            ..SubscribeOrder::default()
        })
    }
}
