//! One run: load, kill, restart, again and again; then all that is left is delivered, and the rules are asked.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token, Waker};

use super::book::{Book, Micros};
use super::cast::{Actor, cast};
use super::check;
use super::killer::{Death, Life};
use super::report::Report;
use super::role::Scene;
use crate::broker::{Broker, BrokerOptions};
use crate::random::Random;

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerOptions,
    /// How many times it is killed.
    pub kills: u32,
    /// What the plan is made of.
    pub seed: u64,
    /// 1: about 45 clients.
    pub scale: usize,
    /// How long the load lasts when nobody is killed.
    pub calm: Duration,
    /// Whether some clients of MQTT 5 take only a few messages at a time.
    pub uses_receive_maximum: bool,
    /// Tells each kill.
    pub is_verbose: bool,
}

/// Nothing new for so long at the end: what is missing then will not come.
const PATIENCE: Micros = 8_000_000;
/// So long everything is left alone before the last kill: what was finished is then on the disk.
const SETTLES: Micros = 1_000_000;
/// After the last restart so much time is for what must not come.
const AFTERMATH: Micros = 1_500_000;
/// A broker that does not serve anybody within this time after its start is broken.
const START_MAX: Micros = 60_000_000;
/// The end takes no longer than this, even if something comes all the time.
const DRAIN_MAX: Micros = 90_000_000;
/// A broker that dies more often by itself is beyond a test.
const DEATHS_MAX: u32 = 5;
const WAKER: Token = Token(usize::MAX);

struct Run<'a> {
    options: &'a Options,
    broker: Broker,
    actors: Vec<Actor>,
    book: Book,
    random: Random,
    poll: Poll,
    waker: Arc<Waker>,
    began: Instant,
    life: Option<Life>,
    /// The packet of this running number is followed by a kill.
    kill_at_answer: Option<u64>,
    restart_at: Micros,
    kills_left: u32,
    deaths_by_itself: u32,
}

/// Runs it.
///
/// # Errors
/// The machine's: the broker cannot be started, a file cannot be written. A broker that breaks rules is no error here:
/// the report says so.
pub fn run(options: &Options) -> io::Result<Report> {
    let mut run = Run::new(options)?;
    let result = run.play();
    if let Some(life) = run.life.take() {
        life.end();
    }
    result?;
    check::at_the_end(&mut run.book);
    let report = Report::new(&run.book, options.seed);
    if !report.is_good() {
        run.keep_logs(&report)?;
    }
    Ok(report)
}

impl<'a> Run<'a> {
    fn new(options: &'a Options) -> io::Result<Run<'a>> {
        let broker = Broker::new(&options.broker, options.seed)?;
        let mut random = Random::new(options.seed);
        let mut book = Book { port: broker.port, ..Book::default() };
        let actors = cast(options.scale.max(1), options.uses_receive_maximum, &mut book, &mut random);
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Run {
            options,
            broker,
            actors,
            book,
            random,
            poll,
            waker,
            began: Instant::now(),
            life: None,
            kill_at_answer: None,
            restart_at: 0,
            kills_left: options.kills,
            deaths_by_itself: 0,
        })
    }

    fn play(&mut self) -> io::Result<()> {
        self.start_broker()?;
        let calm = self.options.calm.as_micros() as Micros;
        while self.kills_left > 0 || self.life.is_none() || (self.options.kills == 0 && self.book.now < calm) {
            self.turn()?;
        }
        self.book.is_draining = true;
        self.drain()?;
        if self.book.faults.total() == 0 {
            self.look_at_the_aftermath()?;
        }
        Ok(())
    }

    /// Until everything acknowledged has come, or nothing comes any more.
    fn drain(&mut self) -> io::Result<()> {
        let mut progress = (0, 0, 0);
        let began = self.book.now;
        let mut since = began;
        let mut complete_since = None;
        let mut looked_at = 0;
        loop {
            self.turn()?;
            if self.book.now < looked_at + 50_000 {
                continue;
            }
            looked_at = self.book.now;
            let counts = &self.book.counts;
            let now =
                (counts.received_first, counts.acknowledged[1] + counts.acknowledged[2], self.book.probes_done.min(4));
            if now != progress {
                (progress, since) = (now, self.book.now);
            }
            self.book.is_quiet = self.actors.iter().all(|actor| actor.line.unfinished() == 0);
            let is_complete = self.actors.iter().all(|actor| actor.role.is_done(&actor.line, &self.book))
                && check::missing_wills(&self.book) == 0
                && check::missing(&self.book, 1).is_empty();
            complete_since = if is_complete { complete_since.or(Some(self.book.now)) } else { None };
            if complete_since.is_some_and(|complete| self.book.now > complete.max(since) + SETTLES) {
                return Ok(());
            }
            if self.options.is_verbose {
                self.tell_what_is_left();
            }
            let is_hopeless = complete_since.is_none() && self.book.now > since + PATIENCE;
            if is_hopeless || self.book.now > began + DRAIN_MAX {
                self.complain_about_the_unfinished();
                return Ok(());
            }
        }
    }

    fn tell_what_is_left(&self) {
        let unfinished = self.actors.iter().filter(|actor| !actor.role.is_done(&actor.line, &self.book));
        let names: Vec<&str> = unfinished.map(|actor| actor.line.name.as_str()).collect();
        let (wills, messages) = (check::missing_wills(&self.book), check::missing(&self.book, 1000).len());
        let seconds = self.book.now as f64 / 1e6;
        eprintln!("{seconds:.3} s: {wills} wills and {messages} messages are to come, not ready: {names:?}");
    }

    fn complain_about_the_unfinished(&mut self) {
        for actor in &self.actors {
            if !actor.role.is_done(&actor.line, &self.book) {
                let (kills, line) = (self.book.kills, &actor.line);
                self.book.faults.add("stuck", kills, || {
                    let (connected, unfinished) = (line.is_connected(), line.unfinished());
                    format!("{}: connected {connected}, {unfinished} publishes without an answer", line.name)
                });
            }
        }
    }

    /// One more kill, when all is delivered: nothing may come again, and everybody's session is there.
    fn look_at_the_aftermath(&mut self) -> io::Result<()> {
        if self.options.kills == 0 {
            return Ok(());
        }
        self.book.is_settled = true;
        self.kills_left = 1;
        self.kill_at_answer = None;
        if let Some(life) = &self.life {
            life.kill_now();
        }
        while self.kills_left > 0 || self.life.is_none() {
            self.turn()?;
        }
        let until = self.book.now + PATIENCE;
        let is_back = |actor: &Actor| actor.line.is_connected() || !actor.line.wants_connection;
        while self.book.now < until && !self.actors.iter().all(is_back) {
            self.turn()?;
        }
        for line in self.actors.iter().filter(|actor| !is_back(actor)).map(|actor| &actor.line) {
            self.book.faults.add("stuck", self.book.kills, || format!("{} cannot connect", line.name));
        }
        let until = self.book.now + AFTERMATH;
        while self.book.now < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Waits a little for sockets and time, and lets everybody act.
    fn turn(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        match self.poll.poll(&mut events, Some(Duration::from_millis(1))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.book.now = self.began.elapsed().as_micros() as Micros;
        for event in &events {
            if let Some(actor) = self.actors.get_mut(event.token().0) {
                actor.line.receive(&mut self.book);
                self.book.now = self.began.elapsed().as_micros() as Micros;
            }
        }
        for actor in &mut self.actors {
            actor.turn(&mut self.book, &mut self.random, self.poll.registry());
        }
        self.look_after_the_broker()
    }

    fn look_after_the_broker(&mut self) -> io::Result<()> {
        if let Some(life) = &self.life {
            if self.kill_at_answer.is_some_and(|answer| self.book.answers >= answer) {
                self.kill_at_answer = None;
                life.kill_now();
            }
            if let Some(death) = life.death() {
                self.broker_died(&death);
            } else if self.book.served_at == 0 && self.book.now > self.last_start() + START_MAX {
                return Err(io::Error::other(format!("it serves nobody:\n{}", self.broker.last_words())));
            }
        } else if self.book.now >= self.restart_at {
            if self.deaths_by_itself > DEATHS_MAX {
                let words = self.broker.last_words();
                self.broker.keep_directory();
                return Err(io::Error::other(format!("it dies again and again:\n{words}")));
            }
            self.start_broker()?;
        }
        Ok(())
    }

    fn last_start(&self) -> Micros {
        self.book.restarted_at.last().copied().unwrap_or(0)
    }

    fn broker_died(&mut self, death: &Death) {
        let served_at = std::mem::take(&mut self.book.served_at);
        if served_at != 0 {
            self.book.restart_times.push(served_at - self.last_start());
        }
        self.deaths_by_itself += u32::from(matches!(death, Death::ByItself(_)));
        let at = match death {
            Death::Killed { at } => at.duration_since(self.began).as_micros() as Micros,
            Death::ByItself(status) => {
                let words = self.broker.last_words();
                self.book.faults.add("died by itself", self.book.kills, || format!("{status}, it said:\n{words}"));
                self.book.now
            }
        };
        self.book.kills += 1;
        self.kills_left = self.kills_left.saturating_sub(1);
        self.book.killed_at.push(at);
        self.book.broker_runs = false;
        self.life = None;
        self.restart_at = self.book.now + if self.random.chance(50) { 0 } else { self.random.range(0, 60_000) };
        if self.options.is_verbose {
            let served =
                if served_at == 0 { "nobody".to_owned() } else { format!("from {:.3} s", served_at as f64 / 1e6) };
            eprintln!("kill {} at {:.6} s; it served {served}", self.book.kills, at as f64 / 1e6);
        }
        for Actor { line, role } in &mut self.actors {
            let (book, random, registry) = (&mut self.book, &mut self.random, self.poll.registry());
            role.broker_died(&mut Scene { line, book, random, registry });
        }
    }

    fn start_broker(&mut self) -> io::Result<()> {
        let child = self.broker.start()?;
        if !self.book.killed_at.is_empty() {
            self.book.restarted_at.push(self.book.now);
        }
        self.book.broker_runs = true;
        let kill_after = (self.kills_left > 0 && !self.book.is_settled).then(|| self.plan_kill());
        self.life = Some(Life::begin(child, kill_after, &self.waker));
        Ok(())
    }

    /// In the middle of the start, right behind an answer, after a while, or after a long one.
    fn plan_kill(&mut self) -> Duration {
        self.kill_at_answer = None;
        let is_first = self.book.kills == 0;
        let micros = match self.random.range(0, 99) {
            _ if is_first => self.random.range(500_000, 900_000),
            0..=9 => self.random.range(0, 30_000),
            10..=29 => {
                self.kill_at_answer = Some(self.book.answers + self.random.range(1, 400));
                2_000_000
            }
            30..=34 => self.random.range(1_000_000, 2_500_000),
            _ => self.random.range(50_000, 500_000),
        };
        Duration::from_micros(micros)
    }

    /// Leaves all that helps to understand a failure.
    fn keep_logs(&mut self, report: &Report) -> io::Result<()> {
        self.broker.keep_directory();
        let directory = self.broker.directory().join("clients");
        fs::create_dir_all(&directory)?;
        for actor in &self.actors {
            fs::write(directory.join(format!("{}.log", actor.line.name)), actor.line.log.text(&self.book))?;
        }
        let mut text = format!("{report}\n{}\n", report.json());
        for (number, at) in self.book.killed_at.iter().enumerate() {
            let restarted = self.book.restarted_at.get(number).copied().unwrap_or(0);
            text.push_str(&format!(
                "kill {} at {:.6} s, restart at {:.6} s\n",
                number + 1,
                *at as f64 / 1e6,
                restarted as f64 / 1e6
            ));
        }
        fs::write(self.broker.directory().join("report.txt"), text)?;
        eprintln!("logs of all clients: {}", self.broker.directory().display());
        Ok(())
    }
}

impl Actor {
    fn turn(&mut self, book: &mut Book, random: &mut Random, registry: &Registry) {
        loop {
            let seen = std::mem::take(&mut self.line.seen);
            if seen.is_empty() {
                break;
            }
            for seen in seen {
                self.role.see(seen, &mut Scene { line: &mut self.line, book, random, registry });
            }
        }
        self.role.act(&mut Scene { line: &mut self.line, book, random, registry });
        self.line.tick(book, registry);
    }
}
