//! `sori pub`: publish one message, or one per line.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use clap::{ArgGroup, Args, value_parser};
use sori_mqtt::client_session::{Event, Outcome, RequestError};
use sori_mqtt::{Properties, Publish, TopicName};

use crate::client::{Client, Input, Wake};
use crate::connection::{ConnectionArguments, qos};
use crate::failure::{Failure, status};

/// With `-l`: how many lines are on their way at a time.
const LINES_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  sori pub -t kitchen/light -m on              one message
  sori pub -t kitchen/light -m on -r -q 1      retained, and acknowledged by the broker
  sori pub -t kitchen/light -n -r              remove the retained message
  sori pub -t firmware -f image.bin -q 2       a file
  tail -f app.log | sori pub -t log -l         one message per line

Exit status:
  0 success, 1 error, 2 wrong usage, 7 connection lost, 130 interrupted,
  or the reason code (0x80 and above) of a refused connection";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("payload").required(true).multiple(false)
    .args(["message", "file", "stdin_line", "stdin_file", "null_message"]))]
pub(crate) struct Arguments {
    /// Topic to publish to
    #[arg(short, long)]
    topic: String,
    /// Send this text
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
    /// Send the contents of this file
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Send each line of standard input
    #[arg(short = 'l', long)]
    stdin_line: bool,
    /// Send all of standard input as one message
    #[arg(short = 's', long)]
    stdin_file: bool,
    /// Send an empty message
    #[arg(short, long)]
    null_message: bool,
    /// 0: at most once, 1: at least once, 2: exactly once
    #[arg(short, long, default_value_t = 0, value_parser = value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Let the broker keep the message for later subscribers
    #[arg(short, long)]
    retain: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    TopicName::new(&arguments.topic)
        .map_err(|error| Failure::new(format!("cannot publish to \"{}\": {error}", arguments.topic)))?;
    let payload = arguments.payload()?;
    let mut client = Client::connect(&arguments.connection)?;
    let mut publisher = Publisher { arguments, progress: Progress::default() };
    publisher.wait_for_connection(&mut client)?;
    match payload {
        Some(payload) => publisher.publish(&mut client, &payload)?,
        None => publisher.publish_lines(&mut client)?,
    }
    while publisher.progress.unfinished > 0 {
        publisher.step(&mut client)?;
    }
    client.disconnect();
    publisher.progress.refused.map_or(Ok(()), Err)
}

impl Arguments {
    /// The one message, or `None` where lines are read.
    fn payload(&self) -> Result<Option<Vec<u8>>, Failure> {
        if self.stdin_line {
            return Ok(None);
        }
        if let Some(text) = &self.message {
            return Ok(Some(text.clone().into_bytes()));
        }
        if let Some(path) = &self.file {
            let payload = std::fs::read(path);
            return payload
                .map(Some)
                .map_err(|error| Failure::new(format!("cannot read the file \"{}\": {error}", path.display())));
        }
        let mut payload = Vec::new();
        if self.stdin_file {
            io::stdin().read_to_end(&mut payload).map_err(|error| cannot_read_input(&error))?;
        }
        Ok(Some(payload))
    }
}

fn cannot_read_input(error: &io::Error) -> Failure {
    Failure::new(format!("cannot read standard input: {error}"))
}

struct Publisher<'a> {
    arguments: &'a Arguments,
    progress: Progress,
}

#[derive(Default)]
struct Progress {
    connected: bool,
    /// Messages handed to the session and not at their end.
    unfinished: usize,
    /// Messages at their end since somebody looked.
    finished: usize,
    /// The first message that the broker did not take.
    refused: Option<Failure>,
}

impl Publisher<'_> {
    fn wait_for_connection(&mut self, client: &mut Client) -> Result<(), Failure> {
        while !self.progress.connected {
            self.step(client)?;
        }
        Ok(())
    }

    fn publish(&mut self, client: &mut Client, payload: &[u8]) -> Result<(), Failure> {
        let publish = Publish {
            dup: false,
            qos: qos(self.arguments.qos),
            retain: self.arguments.retain,
            topic: &self.arguments.topic,
            packet_id: None,
            properties: Properties::EMPTY,
            payload,
        };
        client.session.publish(&publish).map_err(|error| {
            let size_max = client.session.server_limits().maximum_packet_size;
            let limit = if error == RequestError::TooLarge { format!(": {size_max} bytes") } else { String::new() };
            Failure::new(format!("cannot publish: {error}{limit}"))
        })?;
        self.progress.unfinished += 1;
        self.handle_events(client)
    }

    /// Publishes each line; only so many are read as the broker keeps up with.
    fn publish_lines(&mut self, client: &mut Client) -> Result<(), Failure> {
        let (permits, permitted) = sync_channel(LINES_MAX);
        for () in [(); LINES_MAX] {
            permits.send(()).map_err(|_| Failure::new("standard input is not read"))?;
        }
        let inputs = client.sender();
        thread::spawn(move || read_lines(&permitted, &inputs));
        loop {
            match client.wait(None)? {
                Wake::Line(None) => return Ok(()),
                Wake::Line(Some(line)) => self.publish(client, &line.map_err(|error| cannot_read_input(&error))?)?,
                other => self.handle(client, &other)?,
            }
            for _ in 0..core::mem::take(&mut self.progress.finished) {
                // Nobody takes permits any more once the input is at its end.
                let _ = permits.try_send(());
            }
        }
    }

    fn step(&mut self, client: &mut Client) -> Result<(), Failure> {
        let wake = client.wait(None)?;
        self.handle(client, &wake)
    }

    fn handle(&mut self, client: &mut Client, wake: &Wake) -> Result<(), Failure> {
        if matches!(wake, Wake::Interrupted) {
            client.disconnect();
            return Err(Failure::quiet(status::INTERRUPTED));
        }
        self.handle_events(client)
    }

    fn handle_events(&mut self, client: &mut Client) -> Result<(), Failure> {
        let Self { arguments, progress } = self;
        client.events(|event| {
            match event {
                Event::Connected { .. } => progress.connected = true,
                Event::Published { outcome, properties, .. } => {
                    progress.unfinished -= 1;
                    progress.finished += 1;
                    progress.note_refusal(&arguments.topic, outcome, properties.reason_string());
                }
                _ => {}
            }
            Ok(())
        })
    }
}

impl Progress {
    fn note_refusal(&mut self, topic: &str, outcome: Outcome, reason_string: Option<&str>) {
        let reason = match outcome {
            Outcome::Acknowledged(reason_code) if reason_code.is_error() => reason_code.text().to_owned(),
            Outcome::NotSent(error) => error.to_string(),
            Outcome::Dropped => "it was given up to make room".to_owned(),
            Outcome::SessionLost => "the session ended before it was acknowledged".to_owned(),
            Outcome::Sent | Outcome::Acknowledged(_) => return,
        };
        let more = reason_string.map_or(String::new(), |text| format!(" ({text})"));
        let failure = Failure::new(format!("the broker did not take the message for \"{topic}\": {reason}{more}"));
        self.refused.get_or_insert(failure);
    }
}

/// The thread that reads lines: one for each permit. A last line without a line break counts.
fn read_lines(permitted: &Receiver<()>, inputs: &SyncSender<Input>) {
    let mut stdin = io::stdin().lock();
    while permitted.recv().is_ok() {
        let mut line = Vec::new();
        let input = match stdin.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                Some(Ok(line))
            }
            Err(error) => Some(Err(error)),
        };
        let last = !matches!(input, Some(Ok(_)));
        if inputs.send(Input::Line(input)).is_err() || last {
            return;
        }
    }
}
