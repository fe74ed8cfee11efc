//! Many clients in one thread: what they have to say is written in as few pieces as it fits in, and every message is acknowledged.
//!
//! It is to cost less than the broker that it measures. So packets are written from templates, and of what comes only that is
//! looked at which somebody asks for; loss and order are what `sori-bench crash` is for.

mod exchange;
mod member;
mod packets;

use std::io;
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use sori_mqtt::{QoS, Version};

pub(super) use exchange::{Exchange, Pace, Plan};
use member::Member;
pub(super) use member::News;
pub(super) use packets::Template;

/// Clients of one broker. Each is known by its number: who came first is 0.
pub(super) struct Crowd {
    port: u16,
    version: Version,
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    /// What is read at once.
    buffer: Vec<u8>,
}

/// So many wait for CONNACK at the same time.
const CONNECTING_MAX: usize = 200;
/// SUBSCRIBE packets without SUBACK, of each client.
const SUBSCRIBING_MAX: usize = 10;
const READ_BYTES: usize = 256 * 1024;
const EVENTS_MAX: usize = 1024;
/// Nobody has heard anything for so long: the broker has stopped.
const PATIENCE: Duration = Duration::from_secs(10);
/// The wake-up of [`Crowd::waker`].
const WAKE: Token = Token(usize::MAX);

impl Crowd {
    pub(super) fn new(port: u16, version: Version) -> io::Result<Crowd> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(EVENTS_MAX));
        Ok(Crowd { port, version, poll, events, members: Vec::new(), buffer: vec![0; READ_BYTES] })
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Ends [`hear`](Self::hear) from another thread.
    fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKE)
    }

    /// So many more clients connect, with sessions that are kept or not.
    pub(super) fn connect(
        &mut self,
        count: usize,
        is_kept: bool,
        name: impl Fn(usize) -> String,
    ) -> io::Result<Range<usize>> {
        self.connect_and_hear(count, is_kept, name, |_, _| ())
    }

    /// The same, for whoever wants to know what they hear until the last of them has its CONNACK.
    pub(super) fn connect_and_hear(
        &mut self,
        count: usize,
        is_kept: bool,
        name: impl Fn(usize) -> String,
        mut listen: impl FnMut(usize, &News<'_>),
    ) -> io::Result<Range<usize>> {
        let first = self.members.len();
        let (mut begun, mut done, mut last) = (0, 0, Instant::now());
        while done < count {
            while begun < count && begun - done < CONNECTING_MAX {
                self.begin(&name(begun), is_kept)?;
                begun += 1;
            }
            self.hear_some(&mut last, &mut |number, news| {
                done += usize::from(matches!(news, News::Connected));
                listen(number - first, &news);
            })?;
        }
        Ok(first..first + count)
    }

    fn begin(&mut self, client_id: &str, is_kept: bool) -> io::Result<()> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let (token, interest) = (Token(self.members.len()), Interest::READABLE | Interest::WRITABLE);
        self.poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), token, interest)?;
        let mut member = Member::new(stream, self.version);
        packets::connect(&mut member.output, self.version, client_id, is_kept);
        member.flush()?;
        self.members.push(member);
        Ok(())
    }

    /// Each of these clients subscribes to `count` filters, `in_packet` of them in each SUBSCRIBE.
    pub(super) fn subscribe(
        &mut self,
        who: Range<usize>,
        count: usize,
        in_packet: usize,
        qos: QoS,
        filter: impl Fn(usize, usize) -> String,
    ) -> io::Result<()> {
        let packets = count.div_ceil(in_packet);
        let (mut asked, mut granted) = (vec![0; who.len()], vec![0; who.len()]);
        let (mut missing, mut last) = (who.len() * packets, Instant::now());
        let mut due: Vec<usize> = who.clone().collect();
        while missing > 0 {
            for number in due.drain(..) {
                let (at, member) = (number - who.start, &mut self.members[number]);
                while asked[at] < packets && asked[at] - granted[at] < SUBSCRIBING_MAX {
                    let from = asked[at] * in_packet;
                    let filters: Vec<String> =
                        (from..(from + in_packet).min(count)).map(|nth| filter(at, nth)).collect();
                    let packet_id = member.next_packet_id();
                    packets::subscribe(&mut member.output, self.version, packet_id, &filters, qos)?;
                    asked[at] += 1;
                }
                member.flush()?;
            }
            self.hear_some(&mut last, &mut |number, news| {
                if let News::Subscribed = news {
                    missing -= 1;
                    granted[number - who.start] += 1;
                    due.push(number);
                }
            })?;
        }
        Ok(())
    }

    /// This client subscribes, and nobody waits for SUBACK.
    pub(super) fn ask(&mut self, who: usize, filter: &str, qos: QoS) -> io::Result<()> {
        let member = &mut self.members[who];
        let packet_id = member.next_packet_id();
        packets::subscribe(&mut member.output, self.version, packet_id, &[filter.to_owned()], qos)?;
        member.flush()
    }

    /// These clients disconnect, and are forgotten; they must be the last that have come.
    pub(super) fn leave(&mut self, who: &Range<usize>) -> io::Result<()> {
        assert_eq!(who.end, self.members.len(), "the others would have other numbers");
        self.members.drain(who.start..).try_for_each(Member::leave)
    }

    /// What the broker says to whom, until the time is over or something has been heard.
    fn hear(&mut self, at_most: Duration, listen: &mut impl FnMut(usize, News<'_>)) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(at_most)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let number = event.token().0;
            // Who has left, or the wake-up.
            let Some(member) = self.members.get_mut(number) else { continue };
            member.hear(&mut self.buffer, &mut |news| listen(number, news))?;
            member.flush()?;
        }
        Ok(())
    }

    /// The same; gives whether the broker still speaks. `last` is when it did.
    pub(super) fn hear_more(
        &mut self,
        last: &mut Instant,
        listen: &mut impl FnMut(usize, News<'_>),
    ) -> io::Result<bool> {
        let mut is_any = false;
        self.hear(Duration::from_millis(100), &mut |number, news| {
            is_any = true;
            listen(number, news);
        })?;
        if is_any {
            *last = Instant::now();
        }
        Ok(last.elapsed() < PATIENCE)
    }

    /// The same, for whoever cannot go on without it.
    fn hear_some(&mut self, last: &mut Instant, listen: &mut impl FnMut(usize, News<'_>)) -> io::Result<()> {
        match self.hear_more(last, listen)? {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::TimedOut, "the broker has stopped answering")),
        }
    }
}
