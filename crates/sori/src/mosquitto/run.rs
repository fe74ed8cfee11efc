//! From [`Options`] to work, and from its end to an exit status.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use sori_client::Reconnect;
use sori_mqtt::SubscribeOptions;

use super::answer::Answer;
use super::options::{Options, PayloadFrom};
use super::{Program, parse, transport, usage};
use crate::failure::Failure;
use crate::settings::{Connection, Form, Output, Payload, PublishOrder, RequestOrder, SubscribeOrder, TraceStyle};
use crate::voice::Voice;
use crate::{publishing, requesting, subscribing};

/// Mosquitto's clients answer every question about themselves with this, too.
const USAGE_STATUS: u8 = 1;
/// So many bytes a payload can have in MQTT.
const PAYLOAD_MAX: usize = 268_435_455;

/// As often Mosquitto's clients try to connect again.
const RECONNECT: Duration = Duration::from_secs(1);

/// The whole program.
pub(super) fn run(program: Program, arguments: &[OsString]) -> u8 {
    match parse::parse(program, arguments, |name| std::env::var_os(name)) {
        Err(Answer::Help) => print!("{}", usage::usage(program)),
        Err(Answer::Version) => println!("{}", usage::version(program)),
        Err(Answer::Wrong(complaint)) => eprintln!("{}", complaint.shown(program.name())),
        Ok(options) => return work(options),
    }
    USAGE_STATUS
}

fn work(mut options: Options) -> u8 {
    let publishes = options.program == Program::Pub;
    let voice = Voice::Mosquitto { quiet: options.quiet, debug: options.debug, publishes };
    let payload = match options.payload.take().map(payload).transpose() {
        Ok(payload) => payload,
        Err(lines) => {
            if !options.quiet {
                eprintln!("{lines}");
            }
            return USAGE_STATUS;
        }
    };
    // Lines may come for days; a message by itself is better told to be lost.
    let reconnects = matches!(payload, Some(Payload::Lines));
    let result = match options.program {
        Program::Sub => {
            let host = options.host.clone();
            connection(&mut options).and_then(|connection| {
                subscribing::subscribe(&connection, &subscribe_order(options, host.as_deref()), voice)
            })
        }
        Program::Pub => match (options.topics.pop(), payload) {
            (Some(topic), Some(payload)) => connection(&mut options).and_then(|connection| {
                let connection = Connection { reconnect: reconnect(reconnects), ..connection };
                publishing::publish(&connection, &publish_order(&options, topic, payload), voice)
            }),
            _ => {
                eprintln!("Error: Both topic and message must be supplied.");
                print!("{}", usage::usage(Program::Pub));
                return USAGE_STATUS;
            }
        },
        Program::Rr => match (options.topics.pop(), payload, options.response_topic.take()) {
            (Some(topic), Some(payload), Some(response_topic)) => connection(&mut options).and_then(|connection| {
                let request = publish_order(&options, topic, payload);
                requesting::request(&connection, &request_order(options, request, response_topic), voice)
            }),
            _ => {
                eprintln!("Error: All of topic, message, and response topic must be supplied.");
                eprintln!("\nUse 'mosquitto_rr --help' to see usage.");
                return USAGE_STATUS;
            }
        },
    };
    voice.end(&result)
}

/// The payload, or the lines that say why there is none.
fn payload(from: PayloadFrom) -> Result<Payload, String> {
    let bytes = match from {
        PayloadFrom::StdinLines => return Ok(Payload::Lines),
        PayloadFrom::Nothing => Vec::new(),
        PayloadFrom::Text(text) => text,
        PayloadFrom::File(path) => read_file(&path)?,
        PayloadFrom::StdinWhole => read_stdin()?,
    };
    if bytes.len() > PAYLOAD_MAX {
        return Err(format!("Error: Message length must be less than {PAYLOAD_MAX} bytes."));
    }
    Ok(Payload::Bytes(bytes))
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        let name = path.display();
        format!(
            "Error: Unable to read file \"{name}\": {}.\nError loading input file \"{name}\".",
            without_number(&error)
        )
    })
}

fn read_stdin() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    match io::stdin().lock().take(PAYLOAD_MAX as u64 + 1).read_to_end(&mut bytes) {
        Ok(0) => Err("Error: Zero length input.\nError loading input from stdin.".to_owned()),
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("Error loading input from stdin. ({error})")),
    }
}

/// "No such file or directory" without " (os error 2)".
fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// The connection, as far as the flags about it go together.
fn connection(options: &mut Options) -> Result<Connection, Failure> {
    if options.id.as_deref() == Some("") {
        // One that the broker chooses is asked for by saying nothing.
        return Err(Failure::new(match options.program {
            Program::Pub => "Invalid id.",
            Program::Sub | Program::Rr => "Invalid id and/or clean_session.",
        }));
    }
    let (way, warning) = transport::way(options)?;
    for warning in options.warning.take().into_iter().chain(warning).filter(|_| !options.quiet) {
        eprintln!("{warning}");
    }
    let mut connection = core::mem::take(&mut options.connection);
    connection.version = options.version;
    connection.will = options.will.options();
    connection.client_id = match (options.id.take(), options.id_prefix.take()) {
        (Some(id), _) => id,
        (None, Some(prefix)) => format!("{prefix}{}", std::process::id()),
        // MQTT 3.1 has no identifiers that the broker assigns.
        (None, None) if options.version == sori_mqtt::Version::V31 => format!("mosq-{}", std::process::id()),
        (None, None) => String::new(),
    };
    connection.endpoint = transport::endpoint(options);
    connection.way = way;
    connection.trace = options.debug.then_some(TraceStyle::Mosquitto);
    // With fewer in flight than are wanted, the broker keeps the rest for the next one.
    if let Some(count) = options.count.and_then(|count| u16::try_from(count).ok()).filter(|count| *count < 20) {
        connection.receive_maximum.get_or_insert(count);
    }
    connection.reconnect = reconnect(options.program == Program::Sub);
    Ok(connection)
}

fn reconnect(is_wanted: bool) -> Reconnect {
    if is_wanted { Reconnect::default().min(RECONNECT).max(RECONNECT) } else { Reconnect::never() }
}

fn publish_order(options: &Options, topic: String, payload: Payload) -> PublishOrder {
    PublishOrder {
        topic,
        payload,
        qos: options.qos,
        retain: options.retain,
        properties: if options.version.is_v5() { options.publish_properties.clone() } else { Default::default() },
        repeat: options.repeat,
        repeat_delay: options.repeat_delay,
    }
}

fn subscribe_options(options: &Options) -> SubscribeOptions {
    SubscribeOptions {
        qos: options.qos,
        retain_as_published: options.retain_as_published,
        retain_handling: options.retain_handling,
        ..SubscribeOptions::default()
    }
}

fn output(options: &mut Options) -> Output {
    let form = match options.format.take() {
        Some(format) => Form::Format(format.with_pretty(options.pretty)),
        None if options.verbose => Form::Verbose,
        None => Form::Payload,
    };
    Output { form, no_newline: options.no_newline, watch: None }
}

fn subscribe_order(mut options: Options, host: Option<&str>) -> SubscribeOrder {
    let watch = options.watch && !options.message_rate;
    let output = output(&mut options);
    SubscribeOrder {
        options: subscribe_options(&options),
        filters: options.topics,
        unsubscribe: options.unsubscribe,
        properties: options.subscribe_properties,
        unsubscribe_properties: options.unsubscribe_properties,
        filter_out: options.filter_out,
        skip_retained: options.skip_retained,
        retained_only: options.retained_only,
        remove_retained: options.remove_retained,
        per_mille: options.per_mille.filter(|per_mille| *per_mille < 1000),
        message_rate: options.message_rate,
        count: options.count,
        wait: options.wait,
        exit_after_subscribing: options.exit_after_subscribing,
        output: Output { watch: watch.then(|| host.unwrap_or("localhost").to_owned()), ..output },
    }
}

fn request_order(mut options: Options, request: PublishOrder, response_topic: String) -> RequestOrder {
    RequestOrder {
        request,
        response_topic,
        options: subscribe_options(&options),
        skip_retained: options.skip_retained,
        wait: options.wait,
        latency: options.latency,
        output: output(&mut options),
        subscribe_properties: options.subscribe_properties,
    }
}
