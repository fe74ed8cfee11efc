//! Letting connections in.

use crate::access::place_number;
use crate::admission::{Places, Refusal};
use crate::carrier::Carrier;
use crate::config::ListenerConfig;
use crate::door::Door;
use crate::http::{self, Arrival, Mailbox, Site};
use crate::inbox::{Inbox, Letter};
use crate::knock::{Ear, Knock, knock};
use crate::log::{Log, lines};
use crate::opening::{IS_NO_DELAY_INHERITED, Listening, OpenSocket};
use crate::roster::Roster;
use crate::socket::{Admittance, Stream};
use mio::{Token, Waker};
use sori_broker::{ListenerSettings, VersionSet};
use sori_mqtt::{QoS, Version};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long nothing is accepted after the machine had no room for another connection.
const PAUSE: Duration = Duration::from_millis(200);
/// Connections accepted from one listener before the others have their turn.
const ACCEPTS_MAX: usize = 256;
/// How often a closed door is looked at.
const DOOR_WAIT: Duration = Duration::from_millis(1);

struct Listener {
    socket: Arc<OpenSocket>,
    /// The number of its listener in the roster.
    number: u32,
    settings: Arc<ListenerSettings>,
    /// What stands between MQTT and its connections.
    carrier: Option<Arc<Carrier>>,
    /// What it has for visitors, if it speaks HTTP and no MQTT.
    site: Option<Arc<Site>>,
    is_ready: bool,
}

/// A connection that was accepted.
struct Accepted {
    /// The socket that it came by.
    socket: Token,
    stream: Stream,
    address: Option<IpAddr>,
    peer: String,
}

/// The workers as the thread of the listeners knows them.
pub(crate) struct Workers {
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) ears: Vec<Arc<Ear>>,
    /// How they wake that thread.
    pub(crate) waker: Arc<Waker>,
}

/// All listening sockets, and whom they hand new connections to: the workers, in turn, or the thread of HTTP.
pub(crate) struct Listeners {
    listeners: Vec<Listener>,
    workers: Workers,
    http: Mailbox,
    places: Arc<Places>,
    log: Log,
    connection_messages: bool,
    next_worker: usize,
    paused_until: Option<Instant>,
    door: Door,
    /// The door was closed when it was looked at last.
    is_shut: bool,
    /// Those who were accepted and are not let in yet.
    at_door: Vec<Accepted>,
    /// Workers have not heard yet what came before those at the door.
    knock: Option<Weak<Knock>>,
    /// Connections wait, and the log says so.
    is_short: bool,
}

impl Listeners {
    pub(crate) fn new(
        roster: &Roster,
        connection_messages: bool,
        workers: Workers,
        http: Mailbox,
        places: Arc<Places>,
        door: Door,
        log: Log,
    ) -> Listeners {
        Listeners {
            listeners: listeners(roster),
            workers,
            http,
            places,
            log,
            connection_messages,
            next_worker: 0,
            paused_until: None,
            door,
            is_shut: false,
            at_door: Vec::new(),
            knock: None,
            is_short: false,
        }
    }

    /// From now on these sockets are listened to, with these settings. Others close unless somebody else knows them.
    pub(crate) fn switch(&mut self, roster: &Roster, connection_messages: bool) {
        self.listeners = listeners(roster);
        self.connection_messages = connection_messages;
    }

    pub(crate) fn note_ready(&mut self, token: Token) {
        // A socket that is new to the poll may be reported before it is listed here.
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.socket.token == token) {
            listener.is_ready = true;
        }
    }

    /// How long until connections that wait may be accepted or let in; `None` when none is known to wait, or when workers
    /// will tell.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let is_ready = self.listeners.iter().any(|listener| listener.is_ready);
        if self.is_knocking() || (self.at_door.is_empty() && !is_ready) {
            return None;
        }
        if self.is_shut {
            return Some(DOOR_WAIT);
        }
        let pause = self.paused_until.filter(|_| self.at_door.is_empty());
        Some(pause.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now())))
    }

    /// Accept what waits, and let it in as soon as what came before it is done: a configuration that was to be taken over,
    /// and what other connections have brought.
    pub(crate) fn accept_ready(&mut self) {
        if self.is_knocking() {
            return;
        }
        let now = Instant::now();
        self.is_shut = self.door.is_closed();
        if self.is_shut {
            return;
        }
        if self.at_door.is_empty() {
            self.accept_all(now);
            if self.at_door.is_empty() {
                return;
            }
            // Whoever was accepted has connected before this look: a signal sent earlier is seen now.
            self.is_shut = self.door.is_closed();
            if self.is_shut {
                return;
            }
        }
        let Workers { ears, inboxes, waker } = &self.workers;
        self.knock.get_or_insert_with(|| knock(ears, inboxes, waker));
        if self.is_knocking() {
            return;
        }
        self.knock = None;
        for accepted in std::mem::take(&mut self.at_door) {
            self.let_in(now, accepted);
        }
    }

    fn is_knocking(&self) -> bool {
        self.knock.as_ref().is_some_and(|knock| knock.strong_count() > 0)
    }

    fn accept_all(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| until > now) {
            return;
        }
        self.paused_until = None;
        for number in 0..self.listeners.len() {
            for _ in 0..ACCEPTS_MAX {
                if !self.listeners[number].is_ready || !self.accept_one(number, now) {
                    break;
                }
            }
        }
    }

    /// Accept one connection; gives whether there may be more.
    fn accept_one(&mut self, number: usize, now: Instant) -> bool {
        let listener = &mut self.listeners[number];
        let accepted = match &listener.socket.listening {
            Listening::Tcp(socket) => socket.accept().map(|(stream, from)| {
                // Small packets leave at once.
                if !IS_NO_DELAY_INHERITED {
                    // It can only fail on a connection that is gone already.
                    let _ = stream.set_nodelay(true);
                }
                let address = from.ip().to_canonical();
                (Stream::Tcp(stream), Some(address), SocketAddr::new(address, from.port()).to_string())
            }),
            Listening::Unix(socket) => {
                socket.accept().map(|(stream, _)| (Stream::Unix(stream), None, String::from("unix socket")))
            }
        };
        match accepted {
            Ok((stream, address, peer)) => {
                self.at_door.push(Accepted { socket: listener.socket.token, stream, address, peer });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                listener.is_ready = false;
                self.is_short = false;
                return false;
            }
            // The peer gave up while it waited.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                // No file descriptor or no memory is left: others may close some. It is told once until all that
                // waited have come in.
                if !std::mem::replace(&mut self.is_short, true) {
                    self.log.error(format_args!("Unable to accept new connection: {error}."));
                }
                self.paused_until = Some(now + PAUSE);
                return false;
            }
        }
        true
    }

    fn let_in(&mut self, now: Instant, accepted: Accepted) {
        let Accepted { socket, stream, address, peer } = accepted;
        // The listener may have gone while it waited.
        let Some(listener) = self.listeners.iter().find(|listener| listener.socket.token == socket) else { return };
        // All of a proxy's clients together are not one that is loud.
        let is_proxy = listener.carrier.as_ref().is_some_and(|carrier| carrier.is_behind_proxy());
        let (from, address) = (address, address.filter(|_| !is_proxy));
        match self.places.enter(listener.number, address, now) {
            Ok(()) => {}
            Err(refusal) => {
                let who = address.map_or_else(|| peer.clone(), |address| address.to_string());
                match refusal {
                    Refusal::TooMany => self.log.notice(format_args!("{}", lines::too_many_connections(&who))),
                    Refusal::TooFast => self.log.notice(format_args!("{}", lines::connection_rate_exceeded(&who))),
                }
                return;
            }
        }
        // A page that shows figures connects every second.
        if self.connection_messages && listener.site.is_none() {
            self.log.notice(format_args!("{}", lines::new_connection(&peer, listener.settings.port)));
        }
        let admittance = Admittance { places: Arc::clone(&self.places), listener: listener.number, address };
        let stream = match &listener.carrier {
            None => stream,
            Some(carrier) => match carrier.carry(stream, from) {
                Ok(stream) => stream,
                Err(error) => return self.log.error(format_args!("Unable to accept {peer}: {error}.")),
            },
        };
        if let Some(site) = &listener.site {
            let Some(seat) = self.http.seat() else {
                let open = http::VISITORS_MAX;
                let text = format_args!("Client connection from {peer} denied: {open} connections of HTTP are open.");
                return self.log.notice(text);
            };
            let (listener, site) = (Arc::clone(&listener.settings), Arc::clone(site));
            let arrival = Arrival { stream, listener, site, address: peer, admittance, seat };
            return self.http.post(http::Order::Accepted(Box::new(arrival)));
        }
        let letter = Letter::Accepted(stream, Arc::clone(&listener.settings), peer.into(), Some(admittance));
        self.workers.inboxes[self.next_worker].post(letter);
        self.next_worker = (self.next_worker + 1) % self.workers.inboxes.len();
    }
}

/// One for each socket. Somebody may wait at each of them.
fn listeners(roster: &Roster) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for listed in &roster.listeners {
        let (number, settings) = (listed.number, Arc::new(listener_settings(&listed.config)));
        for socket in &listed.sockets {
            let (socket, settings) = (Arc::clone(socket), Arc::clone(&settings));
            let (carrier, site) = (listed.carrier.clone(), listed.site.clone());
            listeners.push(Listener { socket, number, settings, carrier, site, is_ready: true });
        }
    }
    listeners
}

/// What the broker wants to know of a listener.
pub(crate) fn listener_settings(listener: &ListenerConfig) -> ListenerSettings {
    let mut versions = VersionSet::NONE;
    for (taken, version) in [
        (listener.versions.v31, Version::V31),
        (listener.versions.v311, Version::V311),
        (listener.versions.v5, Version::V5),
    ] {
        if taken {
            versions = versions.with(version);
        }
    }
    ListenerSettings {
        port: listener.port(),
        allow_anonymous: listener.allow_anonymous,
        allow_zero_length_client_id: listener.allow_zero_length_clientid,
        versions,
        qos_max: QoS::from_u8(listener.max_qos).unwrap_or(QoS::ExactlyOnce),
        topic_alias_max: listener.max_topic_alias,
        topic_alias_max_broker: listener.max_topic_alias_broker,
        auto_id_prefix: listener.auto_id_prefix.clone(),
        mount_point: listener.mount_point.as_deref().map(Arc::from),
        use_username_as_client_id: listener.use_username_as_clientid,
        place: place_number(&listener.bind, listener.socket_domain),
        names_its_clients: listener.transport.names_its_clients(),
        identity: None,
    }
}
