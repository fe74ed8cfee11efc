//! Publishing as `sori pub` and `mosquitto_pub` do it: one message, a message several times, or one for each line.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::TopicName;

use crate::client::Client;
use crate::event::Event;
use crate::failure::{Cause, Failure};
use crate::inputs::Sender;
use crate::settings::{Connection, Payload, PublishOrder};
use crate::voice::Voice;

/// With lines: how many are on their way at a time.
const LINES_MAX: usize = 100;

/// Publishes, and returns when the broker has answered for everything.
pub(crate) fn publish(connection: &Connection, order: &PublishOrder, voice: Voice) -> Result<(), Failure> {
    TopicName::new(&order.topic)
        .map_err(|error| Failure::new(format!("cannot publish to \"{}\": {error}", order.topic)))?;
    let mut client = Client::connect(connection)?;
    let mut publisher = Publisher { order, voice, progress: Progress::default() };
    while !publisher.progress.connected {
        publisher.step(&mut client)?;
    }
    match &order.payload {
        Payload::Bytes(payload) => publisher.publish_repeatedly(&mut client, payload)?,
        Payload::Lines => publisher.publish_lines(&mut client)?,
    }
    publisher.finish(&mut client)?;
    client.disconnect();
    publisher.progress.refused.map_or(Ok(()), Err)
}

struct Publisher<'a> {
    order: &'a PublishOrder,
    voice: Voice,
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
    fn publish(&mut self, client: &mut Client, payload: &[u8]) -> Result<(), Failure> {
        let PublishOrder { topic, qos, retain, properties, .. } = self.order;
        let mut send = |retain| client.publish(topic, payload, (*qos, retain), properties.as_properties());
        match send(*retain) {
            Err(failure) if self.voice.leaves_retain_out(&failure) => send(false)?,
            result => result?,
        };
        self.progress.unfinished += 1;
        Ok(())
    }

    /// Each one is at its end before the wait for the next one begins.
    fn publish_repeatedly(&mut self, client: &mut Client, payload: &[u8]) -> Result<(), Failure> {
        for number in 1..=self.order.repeat.max(1) {
            self.publish(client, payload).map_err(|failure| {
                let failure = self.voice.not_sent(failure);
                client.disconnect();
                failure
            })?;
            self.finish(client)?;
            if number < self.order.repeat && self.order.repeat_delay > Duration::ZERO {
                self.pause(client, Instant::now() + self.order.repeat_delay)?;
            }
        }
        Ok(())
    }

    fn pause(&mut self, client: &mut Client, until: Instant) -> Result<(), Failure> {
        loop {
            match client.wait(Some(until))? {
                Event::TimedOut => return Ok(()),
                event => self.handle(client, event)?,
            }
        }
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
                Event::Line(None) => return Ok(()),
                Event::Line(Some(line)) => self.publish(client, &line.map_err(|error| cannot_read_input(&error))?)?,
                other => self.handle(client, other)?,
            }
            for _ in 0..core::mem::take(&mut self.progress.finished) {
                // Nobody takes permits any more once the input is at its end.
                let _ = permits.try_send(());
            }
        }
    }

    fn finish(&mut self, client: &mut Client) -> Result<(), Failure> {
        while self.progress.unfinished > 0 {
            self.step(client)?;
        }
        Ok(())
    }

    fn step(&mut self, client: &mut Client) -> Result<(), Failure> {
        let event = client.wait(None)?;
        self.handle(client, event)
    }

    fn handle(&mut self, client: &mut Client, event: Event) -> Result<(), Failure> {
        match event {
            Event::Connected => self.progress.connected = true,
            Event::Published { number, refusal } => {
                self.progress.unfinished = self.progress.unfinished.saturating_sub(1);
                self.progress.finished += 1;
                if let Some(refusal) = refusal
                    && let Err(failure) = self.voice.not_taken(&self.order.topic, number, &refusal)
                {
                    self.progress.refused.get_or_insert(failure);
                }
            }
            Event::Lost(failure) => self.voice.lost(&failure),
            Event::Interrupted(signal) => {
                client.disconnect();
                return Err(Failure::quiet(Cause::Interrupted(signal)));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Standard input has failed.
pub(crate) fn cannot_read_input(error: &io::Error) -> Failure {
    Failure::new(format!("cannot read standard input: {error}"))
}

/// The thread that reads lines: one for each permit. A last line without a line break counts.
fn read_lines(permitted: &Receiver<()>, inputs: &Sender) {
    let mut stdin = io::stdin().lock();
    while permitted.recv().is_ok() {
        let mut bytes = Vec::new();
        let line = match stdin.read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) => {
                if bytes.last() == Some(&b'\n') {
                    bytes.pop();
                }
                Some(Ok(bytes))
            }
            Err(error) => Some(Err(error)),
        };
        let is_last = !matches!(line, Some(Ok(_)));
        if !inputs.send(line) || is_last {
            return;
        }
    }
}
