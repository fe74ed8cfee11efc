//! The running broker: listeners, worker threads and the signals that rule them.

use crate::access::ConfiguredAccess;
use crate::admission::{Limits, Places};
use crate::board::Board;
use crate::config::Config;
use crate::door::{Closed, Door};
use crate::figures::Figures;
use crate::heap::HeapWatch;
use crate::http::{self, HTTP_SHARD, Http, Mailbox};
use crate::inbox::{Inbox, Letter, NewSettings};
use crate::knock::Ear;
use crate::listeners::{Listeners, Workers};
use crate::local_client::{LocalClient, LocalError};
use crate::log::{Kind, Log};
use crate::machine::Machine;
use crate::passwords::checking::Checking;
use crate::publisher::Publisher;
use crate::roster::Roster;
use crate::space::LockedSpace;
use crate::startup::RunError;
use crate::store::portion::{self, Portion};
use crate::store::running::Store;
use crate::wait::wait;
use crate::way_in::WayIn;
use crate::worker::{Beginning, Clock, WAKE, Worker};
use mio::{Events, Poll, Registry, Token, Waker};
use sori_broker::{Access, Identity, OpenAccess, SessionView, Settings, Shard, ShardId, Space, Totals};
use sori_mqtt::client_session::ConnectOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running broker.
///
/// ```
/// use sori_server::config::{Config, Defaults, Source, load};
/// use sori_broker::Identity;
/// use sori_mqtt::client_session::ConnectOptions;
/// use sori_server::{Server, log::Log, machine::Machine};
/// use std::time::Duration;
///
/// let source = Source { files: &[], ports: &[], defaults: Defaults::Native, persistence_location: None };
/// let mut config = load(&source).expect("the defaults are valid").config;
/// config.listeners.clear(); // this broker is for its own program only
/// config.persistence = false; // and forgets everything with it
/// let server = Server::start(config, Log::silent(), Machine::read()).expect("nothing can be in the way");
/// let client = server.attach("the example", Identity::default(), ConnectOptions::default()).expect("is let in");
/// client.close(Duration::from_secs(1)).expect("nothing waits");
/// server.stop();
/// ```
pub struct Server {
    inboxes: Vec<Arc<Inbox>>,
    workers: Vec<JoinHandle<()>>,
    acceptor: Option<(Sender<Order>, Arc<Waker>, JoinHandle<()>)>,
    space: Arc<LockedSpace>,
    places: Arc<Places>,
    /// The listeners and their sockets, which the thread that accepts connections has too.
    roster: Roster,
    /// Tells that thread who waits.
    registry: Registry,
    board: Arc<Board>,
    /// Closed while the configuration changes.
    door: Door,
    /// The rules behind those of the configuration.
    access: Arc<dyn Access + Send + Sync>,
    checking: Arc<Checking>,
    figures: Arc<Figures>,
    http: Http,
    log: Log,
    machine: Machine,
    store: Option<Store>,
    /// It ends with the server.
    _heap: HeapWatch,
}

/// For the thread that accepts connections.
enum Order {
    /// Other listeners, whether connections are logged, and who waits until nothing comes by the old ones any more.
    Switch(Box<Roster>, bool, Sender<()>),
    Stop,
}

impl Server {
    /// Open all listeners and start the worker threads.
    ///
    /// # Errors
    /// A listener cannot be opened, or the system refuses a thread or a poll. Nothing is left running then.
    pub fn start(config: Config, log: Log, machine: Machine) -> Result<Server, RunError> {
        Server::start_with(config, log, machine, Arc::new(OpenAccess))
    }

    /// The same with rules of one's own about who comes in and who may do what. What the configuration says about that
    /// holds too.
    ///
    /// # Errors
    /// As those of [`Server::start`].
    pub fn start_with(
        config: Config,
        log: Log,
        machine: Machine,
        access: Arc<dyn Access + Send + Sync>,
    ) -> Result<Server, RunError> {
        Server::start_behind(Door::default(), config, log, machine, access)
    }

    /// The same behind a door that others close, too.
    pub(crate) fn start_behind(
        door: Door,
        config: Config,
        log: Log,
        machine: Machine,
        access: Arc<dyn Access + Send + Sync>,
    ) -> Result<Server, RunError> {
        let shards = u16::try_from(machine.threads(&config)).unwrap_or(u16::MAX);
        let board = Arc::new(Board::new(shards));
        let acceptor_poll = Poll::new()?;
        let registry = acceptor_poll.registry().try_clone()?;
        let polls = (0..shards).map(|_| Poll::new()).collect::<Result<Vec<Poll>, _>>()?;
        let (mut inboxes, mut ears) = (Vec::new(), Vec::new());
        for poll in &polls {
            inboxes.push(Arc::new(Inbox::new(Waker::new(poll.registry(), WAKE)?)));
            ears.push(Arc::new(Ear::new(poll)?));
        }
        let roster = Roster::inherited().prepare(&config, &registry, &log).map_err(RunError::all)?;
        let places = Arc::new(Places::new(Limits::of(&config, roster.limits())));
        // Who connects from now on waits until everything that was kept is there again.
        let (store, space, portions, clock) = match config.persistence {
            true => {
                let (store, recovered, clock) = Store::open(&config, inboxes.clone(), &log)?;
                let space = LockedSpace::new(shards).with_places(store.places());
                let portions = portion::portions(recovered, store.reader(), shards, &space.memory(ShardId(0)));
                (Some(store), space, portions, clock)
            }
            false => {
                let portions = (0..shards).map(|_| Portion::default()).collect();
                (None, LockedSpace::new(shards), portions, Clock::start())
            }
        };
        let (workers, acceptor, space) = (Vec::new(), None, Arc::new(space));
        let http = Http::new()?;
        let checking = Arc::new(checking(&machine, &inboxes, http.mailbox(), &log));
        let gauges = store.as_ref().map(|store| Arc::clone(store.gauges()));
        let figures = Figures::new(Arc::clone(&space), gauges, Arc::clone(&checking), Arc::clone(&board), clock);
        let heap = {
            let space = Arc::clone(&space);
            HeapWatch::start(move || space.memory_used())?
        };
        let mut server = Server {
            _heap: heap,
            inboxes,
            workers,
            acceptor,
            space,
            places,
            roster,
            registry,
            board,
            door,
            access,
            checking,
            figures: Arc::new(figures),
            http,
            log,
            machine,
            store,
        };
        // What has been started ends with `server`, if this fails.
        server.start_workers(&config, clock, polls, &ears, portions)?;
        if server.roster.has_sites() {
            server.start_http(&config)?;
        }
        server.start_acceptor(acceptor_poll, ears, config.connection_messages)?;
        Ok(server)
    }

    /// Start the workers. Each makes the sessions of its portion again, and none begins before all have done so: a will
    /// that is due may have subscribers anywhere.
    fn start_workers(
        &mut self,
        config: &Config,
        clock: Clock,
        polls: Vec<Poll>,
        ears: &[Arc<Ear>],
        portions: Vec<Portion>,
    ) -> Result<(), RunError> {
        let settings = Arc::new(settings(config, &self.machine, &self.log, self.store.is_some()));
        let access = self.access(config);
        let numbers = Arc::new(self.roster.numbers());
        let shards = self.inboxes.len() as u16;
        let (ready, restored) = channel();
        let mut waiting = Vec::new();
        for (((number, poll), ear), portion) in (0..shards).zip(polls).zip(ears).zip(portions) {
            let (id, ear) = (ShardId(number), Arc::clone(ear));
            let (space, board, inboxes) = (Arc::clone(&self.space), Arc::clone(&self.board), self.inboxes.clone());
            let (settings, access, log) = (Arc::clone(&settings), Arc::clone(&access), self.log.clone());
            let (connection_messages, numbers) = (config.connection_messages, Arc::clone(&numbers));
            let publisher = (number == 0).then(|| {
                let lines = self.log.topic_lines().clone();
                Publisher::new(Arc::clone(&self.figures), config.sys_interval, lines)
            });
            let keeper = self.store.as_ref().map(|store| store.keeper(id));
            let (go, may_go) = channel();
            let (begun, has_begun) = channel();
            let ready = ready.clone();
            let begin = move || {
                let seed = RandomState::new().hash_one(number);
                let space: Arc<dyn Space> = space;
                let mut shard = Shard::new(id, shards, settings, space, access, seed, clock.now());
                portion.begin(id, &mut shard);
                let mut worker = Worker::new(Beginning {
                    shard,
                    id,
                    poll,
                    inboxes,
                    ear,
                    board,
                    clock,
                    log,
                    connection_messages,
                    numbers,
                    publisher,
                    keeper,
                });
                worker.hand_in_records();
                // None of these fails unless the start as a whole has failed.
                let _ = begun.send(());
                let _ = ready.send(worker.restore(portion));
                drop(ready);
                // Without them it is slower to answer, and that is all.
                let _ = sori_system::ask_for_short_slices();
                if may_go.recv().is_ok() {
                    worker.run();
                }
            };
            waiting.push(go);
            let thread = std::thread::Builder::new().name(format!("shard {number}")).spawn(begin)?;
            self.workers.push(thread);
            // The records of the first are to be the first of all. That a thread has ended shows below.
            let _ = has_begun.recv();
        }
        drop(ready);
        let all: Vec<Totals> = restored.iter().collect();
        if all.len() < waiting.len() {
            return Err(RunError::new("A worker thread has ended before its time."));
        }
        if let Some(store) = &self.store {
            store.tell_opened(&all, &self.space, &self.log);
        }
        for go in waiting {
            // A worker that has ended has said why.
            let _ = go.send(());
        }
        let first = Arc::clone(&self.inboxes[0]);
        self.log.topic_lines().wake_with(move || first.post(Letter::LogLines));
        Ok(())
    }

    /// Starts the thread that visitors of listeners with HTTP are at, unless it runs.
    fn start_http(&mut self, config: &Config) -> Result<(), RunError> {
        let rules = http::Rules::of(config, self.access(config));
        Ok(self.http.start(rules, Arc::clone(&self.figures), self.log.clone())?)
    }

    fn start_acceptor(&mut self, poll: Poll, ears: Vec<Arc<Ear>>, connection_messages: bool) -> Result<(), RunError> {
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let workers = Workers { inboxes: self.inboxes.clone(), ears, waker: Arc::clone(&waker) };
        let places = Arc::clone(&self.places);
        let listeners = Listeners::new(
            &self.roster,
            connection_messages,
            workers,
            self.http.mailbox(),
            places,
            self.door.clone(),
            self.log.clone(),
        );
        let (sender, orders) = channel();
        let (door, log) = (self.door.clone(), self.log.clone());
        let thread = std::thread::Builder::new().name(String::from("listeners")).spawn(move || {
            if let Err(error) = door.hear() {
                log.error(format_args!("Error: The listeners do not hear signals: {error}."));
            }
            accept_connections(poll, listeners, &orders, &log);
        })?;
        self.acceptor = Some((sender, waker, thread));
        Ok(())
    }

    /// A client inside this program, which is let in as `identity` without a login and from then on is treated like
    /// any other. `name` stands in log lines where others have their address. Keep Alive and version of the options
    /// are of no account.
    ///
    /// # Errors
    /// The options are not legal, or the broker does not let it in.
    pub fn attach(&self, name: &str, identity: Identity, options: ConnectOptions) -> Result<LocalClient, LocalError> {
        LocalClient::connect(self.way_in(name, identity).connect(), options)
    }

    /// A way into the broker for clients inside this program, who are let in as `identity` without a login. `name` stands
    /// in log lines where others have their address. With the feature `client` it is what
    /// `sori_client::Options::over` takes.
    #[must_use]
    pub fn way_in(&self, name: &str, identity: Identity) -> WayIn {
        let worker = RandomState::new().hash_one(name) as usize % self.inboxes.len();
        WayIn::new(name, identity, Arc::clone(&self.inboxes[worker]))
    }

    /// The counters of all shards, at most a second old.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.board.totals()
    }

    /// All sessions, connected or not.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        let (sender, views) = channel();
        for inbox in &self.inboxes {
            let sender = sender.clone();
            // It fails when nobody waits for the answer any more.
            inbox.post(Letter::Show(Box::new(move |shard| drop(sender.send(shard.sessions())))));
        }
        drop(sender);
        views.into_iter().flatten().collect()
    }

    /// Bring everything to disk that is not there yet, and write the store anew in as little room as it needs. It happens
    /// beside what else goes on; the log tells when it is done.
    pub fn write_store_anew(&self) {
        match &self.store {
            Some(store) => store.write_anew(),
            None => self.log.notice(format_args!("There is nothing to save: persistence is off.")),
        }
    }

    /// Who comes from now on waits to be let in, as long as what is returned lives.
    pub(crate) fn close_door(&self) -> Closed {
        self.door.close()
    }

    /// Use another configuration from now on, as far as it can change while the broker runs. Listeners that are new
    /// listen when this returns; those that are no more do not, and their connections end soon after. Others notice
    /// nothing.
    ///
    /// # Errors
    /// All sockets that cannot be opened. Then nothing has changed.
    pub fn reload(&mut self, config: &Config) -> Result<(), Vec<RunError>> {
        let roster = self.roster.prepare(config, &self.registry, &self.log)?;
        if roster.has_sites() {
            self.start_http(config).map_err(|error| vec![error])?;
        }
        // From here on nothing can fail.
        self.places.set_limits(Limits::of(config, roster.limits()));
        let (switched, has_switched) = channel();
        self.order(Order::Switch(Box::new(roster.clone()), config.connection_messages, switched));
        // Whoever came by a listener that goes is in an inbox before the workers hear that it has gone. It fails when the
        // other thread has ended, and then nobody comes.
        let _ = has_switched.recv();
        self.roster = roster;
        self.wait_for_turns();
        self.reconfigure(config);
        Ok(())
    }

    /// Until each worker has ended the turn that it is in. What a client was acknowledged before has then reached the shards of
    /// its recipients, and comes under the rules of before.
    pub(crate) fn wait_for_turns(&self) {
        let (sender, ended) = channel::<()>();
        for inbox in &self.inboxes {
            let sender = sender.clone();
            // That it is dropped is the answer.
            inbox.post(Letter::Show(Box::new(move |_| drop(sender))));
        }
        drop(sender);
        while ended.recv().is_ok() {}
    }

    fn reconfigure(&self, config: &Config) {
        let new = NewSettings {
            numbers: Arc::new(self.roster.numbers()),
            settings: Arc::new(settings(config, &self.machine, &self.log, self.store.is_some())),
            access: self.access(config),
            connection_messages: config.connection_messages,
            sys_interval: config.sys_interval,
        };
        self.http.reconfigure(http::Rules::of(config, Arc::clone(&new.access)));
        for inbox in &self.inboxes {
            inbox.post(Letter::Reconfigure(Box::new(new.clone())));
        }
    }

    /// The store, if there is one.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// All rules that hold with this configuration.
    fn access(&self, config: &Config) -> Arc<dyn Access + Send + Sync> {
        let (inner, checking) = (Arc::clone(&self.access), Arc::clone(&self.checking));
        Arc::new(ConfiguredAccess::new(config, inner, checking, self.log.clone()))
    }

    fn order(&self, order: Order) {
        if let Some((orders, waker, _)) = &self.acceptor {
            // Either may fail only when the thread has ended already.
            let _ = orders.send(order);
            let _ = waker.wake();
        }
    }

    /// Say good-bye to all clients and stop. Returns when everything has ended.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some((_, _, thread)) = self.acceptor.take() {
            // A panic of the thread has been told by the panic message.
            let _ = thread.join();
        }
        self.http.stop();
        for inbox in &self.inboxes {
            inbox.post(Letter::Stop);
        }
        for worker in self.workers.drain(..) {
            // Likewise.
            let _ = worker.join();
        }
        if let Some(store) = self.store.take() {
            store.close();
        }
    }
}

/// The check of passwords, whose answers go to the shards that wait for them, or to HTTP.
fn checking(machine: &Machine, inboxes: &[Arc<Inbox>], http: Mailbox, log: &Log) -> Checking {
    let inboxes = inboxes.to_vec();
    let answer = move |shard: ShardId, connection, verdict| {
        if shard == HTTP_SHARD {
            return http.post(http::Order::Resolved(connection, verdict));
        }
        if let Some(inbox) = inboxes.get(usize::from(shard.0)) {
            inbox.post(Letter::Resolved(connection, verdict));
        }
    };
    Checking::new(machine.processors, Box::new(answer), log.clone())
}

fn accept_connections(mut poll: Poll, mut listeners: Listeners, orders: &Receiver<Order>, log: &Log) {
    let mut events = Events::with_capacity(64);
    loop {
        match wait(&mut poll, &mut events, listeners.patience()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                log.error(format_args!("Error in poll: {error}."));
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        for event in &events {
            let token: Token = event.token();
            listeners.note_ready(token);
        }
        for order in orders.try_iter() {
            match order {
                Order::Switch(roster, connection_messages, switched) => {
                    listeners.switch(&roster, connection_messages);
                    // It fails when nobody waits any more.
                    let _ = switched.send(());
                }
                Order::Stop => return,
            }
        }
        listeners.accept_ready();
    }
}

/// The broker's settings from the configuration.
fn settings(config: &Config, machine: &Machine, log: &Log, keeps_records: bool) -> Settings {
    Settings {
        allow_duplicate_messages: config.allow_duplicate_messages,
        client_id_prefix: config.clientid_prefix.clone(),
        connect_timeout_millis: u64::try_from(config.connect_timeout.as_millis()).unwrap_or(u64::MAX),
        inflight_messages_max: config.max_inflight_messages.map_or(0, NonZeroU16::get),
        inflight_bytes_max: config.max_inflight_bytes.map_or(0, NonZeroU64::get),
        queued_messages_max: config.max_queued_messages.map_or(0, |n| u64::from(n.get())),
        queued_bytes_max: config.max_queued_bytes.map_or(0, NonZeroU64::get),
        memory_limit: machine.memory_limit(config),
        queue_full: config.queue_full,
        packet_size_max: config.max_packet_size,
        keep_alive_max: config.max_keepalive.map_or(0, NonZeroU16::get),
        message_size_limit: config.message_size_limit.map_or(0, NonZeroU32::get),
        persistent_client_expiration: config.persistent_client_expiration.map(|d| d.as_secs()),
        queue_qos0_messages: config.queue_qos0_messages,
        check_retain_source: config.check_retain_source,
        retain_available: config.retain_available,
        upgrade_outgoing_qos: config.upgrade_outgoing_qos,
        topic_levels_max: config.max_topic_levels.map_or(0, NonZeroU32::get),
        reason_strings: config.reason_strings,
        response_information: config.response_information.clone(),
        strict_receive_maximum: config.strict_receive_maximum,
        clients_max: config.global_max_clients.map(|n| u64::from(n.get())),
        keeps_records,
        report_denied: log.enabled(Kind::Debug),
        report_subscriptions: log.enabled(Kind::Subscribe) || log.enabled(Kind::Unsubscribe),
    }
}
