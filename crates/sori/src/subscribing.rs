//! Subscribing as `sori sub` and `mosquitto_sub` do it: which messages are shown, and when it is enough.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use sori_mqtt::{Properties, QoS, TopicFilter, TopicName};

use crate::client::Client;
use crate::event::Event;
use crate::failure::{Cause, Failure};
use crate::message::Message;
use crate::printer::{OutputEnd, Printer};
use crate::settings::{Connection, SubscribeOrder};
use crate::voice::Voice;

/// Where the messages that are shown go.
pub(crate) trait Show {
    /// One message more. It need not be visible at once.
    fn message(&mut self, message: &Message) -> Result<(), OutputEnd>;

    /// Nothing more has come for the moment: everything becomes visible.
    fn idle(&mut self) -> Result<(), OutputEnd>;

    /// When [`idle`](Self::idle) is to be called although nothing happens.
    fn wake_at(&self) -> Option<Instant> {
        None
    }

    /// The last call.
    fn end(&mut self) -> Result<(), OutputEnd> {
        self.idle()
    }
}

/// Subscribes and shows what comes until it is enough, in the way that the order says.
pub(crate) fn subscribe(connection: &Connection, order: &SubscribeOrder, voice: Voice) -> Result<(), Failure> {
    if order.message_rate {
        return subscribe_with(connection, order, voice, &mut MessageRate::new());
    }
    match Printer::new(&order.output, voice, order.per_mille) {
        Ok(mut printer) => subscribe_with(connection, order, voice, &mut printer),
        Err(end) => end.result(),
    }
}

/// Subscribes and gives what comes to `show` until it is enough.
pub(crate) fn subscribe_with(
    connection: &Connection,
    order: &SubscribeOrder,
    voice: Voice,
    show: &mut dyn Show,
) -> Result<(), Failure> {
    let mut subscriber = Subscriber::new(order, voice, show)?;
    let mut client = Client::connect(connection)?;
    let until = order.wait.map(|wait| Instant::now() + wait);
    loop {
        let event = match client.poll()? {
            Some(event) => event,
            None => {
                if let Err(end) = subscriber.show.idle() {
                    client.disconnect();
                    return end.result();
                }
                client.wait([until, subscriber.show.wake_at()].into_iter().flatten().min())?
            }
        };
        if let Some(end) = subscriber.handle(&mut client, event, until)? {
            return subscriber.say_goodbye(&mut client, end);
        }
    }
}

struct Subscriber<'a> {
    order: &'a SubscribeOrder,
    voice: Voice,
    show: &'a mut dyn Show,
    filter_out: Vec<TopicFilter<'a>>,
    /// How many messages are still to come.
    left: Option<u64>,
    /// Requests that the broker has not answered.
    unanswered: usize,
    /// Retained messages that are being removed.
    removing: usize,
    /// It is enough, as soon as nothing is being removed any more.
    ending: bool,
}

/// Why it is enough.
#[derive(Debug)]
enum End {
    Done,
    TimedOut,
    Interrupted,
    Failed(Failure),
    Output(OutputEnd),
}

impl<'a> Subscriber<'a> {
    fn new(order: &'a SubscribeOrder, voice: Voice, show: &'a mut dyn Show) -> Result<Self, Failure> {
        let filter_out = order.filter_out.iter().map(|text| {
            TopicFilter::new(text).map_err(|error| Failure::new(format!("cannot leave \"{text}\" out: {error}")))
        });
        let filter_out = filter_out.collect::<Result<_, _>>()?;
        let (unanswered, removing, ending) = (0, 0, false);
        Ok(Self { order, voice, show, filter_out, left: order.count, unanswered, removing, ending })
    }

    fn handle(&mut self, client: &mut Client, event: Event, until: Option<Instant>) -> Result<Option<End>, Failure> {
        match event {
            Event::Connected => self.request(client)?,
            Event::Subscribed { number, reason_codes, reason_string } => {
                let filters = &self.order.filters;
                if let Err(failure) = self.voice.subscribed(filters, number, &reason_codes, reason_string.as_deref()) {
                    return Ok(Some(End::Failed(failure)));
                }
                return Ok(self.answered());
            }
            Event::Unsubscribed => return Ok(self.answered()),
            Event::Message(message) if !self.ending => {
                if let Err(end) = self.message(client, &message)? {
                    return Ok(Some(End::Output(end)));
                }
            }
            Event::Published { number, refusal } => {
                self.removing = self.removing.saturating_sub(1);
                if let Some(refusal) = refusal
                    && let Err(failure) = self.voice.not_taken("", number, &refusal)
                {
                    return Ok(Some(End::Failed(failure)));
                }
            }
            Event::Lost(failure) => self.voice.lost(&failure),
            Event::Interrupted(_) => return Ok(Some(End::Interrupted)),
            Event::TimedOut if until.is_some_and(|until| Instant::now() >= until) => return Ok(Some(End::TimedOut)),
            // It is the time to show something.
            Event::TimedOut | Event::Message(_) | Event::Line(_) => {}
        }
        Ok((self.ending && self.removing == 0).then_some(End::Done))
    }

    /// After each connection: the broker may have forgotten.
    fn request(&mut self, client: &mut Client) -> Result<(), Failure> {
        self.unanswered = 0;
        self.removing = 0;
        if !self.order.filters.is_empty() {
            client.subscribe(&self.order.filters, self.order.options, self.order.properties.as_properties())?;
            self.unanswered += 1;
        }
        for filter in &self.order.unsubscribe {
            let properties = self.order.unsubscribe_properties.as_properties();
            client.unsubscribe(std::slice::from_ref(filter), properties)?;
            self.unanswered += 1;
        }
        Ok(())
    }

    fn answered(&mut self) -> Option<End> {
        self.unanswered = self.unanswered.saturating_sub(1);
        (self.order.exit_after_subscribing && self.unanswered == 0).then_some(End::Done)
    }

    fn message(&mut self, client: &mut Client, message: &Message) -> Result<Result<(), OutputEnd>, Failure> {
        if self.order.retained_only && !message.retain {
            self.ending = true;
            return Ok(Ok(()));
        }
        if self.order.skip_retained && message.retain || self.is_left_out(message) {
            return Ok(Ok(()));
        }
        if self.order.remove_retained && message.retain {
            client.publish(&message.topic, b"", (QoS::AtLeastOnce, true), Properties::EMPTY)?;
            self.removing += 1;
        }
        if let Err(end) = self.show.message(message) {
            return Ok(Err(end));
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            self.ending |= *left == 0;
        }
        Ok(Ok(()))
    }

    fn is_left_out(&self, message: &Message) -> bool {
        let Ok(topic) = TopicName::new(&message.topic) else { return false };
        self.filter_out.iter().any(|filter| filter.matches(topic))
    }

    fn say_goodbye(&mut self, client: &mut Client, end: End) -> Result<(), Failure> {
        let shown = self.show.end().or_else(OutputEnd::result);
        match end {
            // Mosquitto's clients let the will be published here, and so does whoever watches them with one.
            End::TimedOut if matches!(self.voice, Voice::Mosquitto { .. }) => client.disconnect_with_will(),
            End::Interrupted if matches!(self.voice, Voice::Mosquitto { .. }) => client.disconnect_with_will(),
            _ => client.disconnect(),
        }
        shown?;
        match end {
            End::Done | End::Interrupted => Ok(()),
            End::TimedOut => Err(Failure::quiet(Cause::TimedOut)),
            End::Failed(failure) => Err(failure),
            End::Output(end) => end.result(),
        }
    }
}

/// Shows how many messages come in each second, and none of them.
struct MessageRate {
    messages: u64,
    second_ends: Instant,
}

const SECOND: Duration = Duration::from_secs(1);

impl MessageRate {
    fn new() -> Self {
        Self { messages: 0, second_ends: Instant::now() + SECOND }
    }
}

impl Show for MessageRate {
    fn message(&mut self, _: &Message) -> Result<(), OutputEnd> {
        self.messages += 1;
        Ok(())
    }

    fn idle(&mut self) -> Result<(), OutputEnd> {
        let now = Instant::now();
        if now < self.second_ends {
            return Ok(());
        }
        // A machine that was too busy does not catch up with lines that say 0.
        self.second_ends = (self.second_ends + SECOND).max(now);
        let mut out = io::stdout().lock();
        writeln!(out, "{} msgs/s", core::mem::take(&mut self.messages))?;
        Ok(out.flush()?)
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.second_ends)
    }

    fn end(&mut self) -> Result<(), OutputEnd> {
        Ok(())
    }
}
