//! Which listeners there are, and the change to others while the broker runs.
//!
//! A listener has a number, by which its connections are known to belong to it. In a new configuration it is the same
//! listener if it has a socket in common with the old one, whatever else has changed. The change is made in two steps:
//! [`Roster::prepare`] opens what is missing and changes nothing; [`Server`](crate::Server) then puts the new roster in
//! the place of the old one, which cannot fail any more. What the old one had and the new one has not closes with it.

use crate::carrier::Carrier;
use crate::config::{Config, ListenerConfig};
use crate::http::Site;
use crate::log::Log;
use crate::numbers::Numbers;
use crate::opening::{self, OpenSocket, SocketPlace};
use crate::process::systemd;
use crate::startup::RunError;
use mio::{Registry, Token};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// All listeners with their sockets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roster {
    pub(crate) listeners: Vec<Listed>,
    /// Sockets that were open at the start and wait for a listener.
    inherited: Vec<Arc<OpenSocket>>,
    /// The number of the next listener.
    next_number: u32,
    /// The token of the next socket.
    next_token: usize,
    /// It is larger for each configuration that follows another.
    version: u64,
}

/// One listener.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) number: u32,
    pub(crate) config: ListenerConfig,
    pub(crate) carrier: Option<Arc<Carrier>>,
    pub(crate) site: Option<Arc<Site>>,
    pub(crate) sockets: Vec<Arc<OpenSocket>>,
}

impl Roster {
    /// No listeners yet, and the sockets that systemd has opened for them.
    pub(crate) fn inherited() -> Roster {
        let mut roster = Roster::default();
        for (place, listening) in systemd::sockets() {
            let token = Token(roster.next_token);
            roster.next_token += 1;
            roster.inherited.push(Arc::new(OpenSocket { place, listening, token, is_inherited: true }));
        }
        roster
    }

    pub(crate) fn numbers(&self) -> Numbers {
        let keyring = |listed: &Listed| Some((listed.number, listed.config.keyring(self.version)?.keys));
        Numbers {
            there: self.listeners.iter().map(|listed| listed.number).collect(),
            below: self.next_number,
            keys: self.listeners.iter().filter_map(keyring).collect(),
            version: self.version,
        }
    }

    /// The limits of their connections, by their numbers.
    pub(crate) fn limits(&self) -> HashMap<u32, NonZeroU32> {
        let limit = |listed: &Listed| Some((listed.number, listed.config.max_connections?));
        self.listeners.iter().filter_map(limit).collect()
    }

    /// Is there one that speaks HTTP?
    pub(crate) fn has_sites(&self) -> bool {
        self.listeners.iter().any(|listed| listed.site.is_some())
    }

    fn sockets(&self) -> impl Iterator<Item = &Arc<OpenSocket>> {
        self.listeners.iter().flat_map(|listed| &listed.sockets).chain(&self.inherited)
    }

    fn socket_at(&self, place: &SocketPlace) -> Option<&Arc<OpenSocket>> {
        self.sockets().find(|socket| socket.place == *place)
    }

    /// The listeners of a new configuration, with everything open that they need. With an error nothing is open that was
    /// not, and all errors are told.
    pub(crate) fn prepare(&self, config: &Config, registry: &Registry, log: &Log) -> Result<Roster, Vec<RunError>> {
        let mut errors = Vec::new();
        let (mut wanted, mut carriers) = (Vec::new(), Vec::new());
        for listener in &config.listeners {
            match opening::places(listener) {
                Ok(places) => {
                    let at = listener.declared_at.as_ref();
                    let doubled = places.iter().filter(|place| is_wanted(place, &wanted)).map(doubled);
                    errors.extend(doubled.map(|error| error.from_line(at)));
                    wanted.push((listener, places));
                }
                Err(error) => errors.push(error.from_line(listener.declared_at.as_ref())),
            }
            let carrier = Carrier::load(listener, self.version + 1, config.tls_key_log.as_ref());
            match (carrier, Site::load(listener)) {
                (Ok(carrier), Ok(site)) => carriers.push((carrier, site)),
                (carrier, site) => {
                    let all = carrier.err().into_iter().chain(site.err()).map(RunError::new);
                    errors.extend(all.map(|error| error.from_line(listener.declared_at.as_ref())));
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let replaced: Vec<_> = self.sockets().filter(|socket| !is_wanted(&socket.place, &wanted)).cloned().collect();
        let mut new = Roster { listeners: Vec::new(), inherited: Vec::new(), version: self.version + 1, ..*self };
        for socket in self.inherited.iter().filter(|socket| !is_wanted(&socket.place, &wanted)) {
            log.warning(format_args!("No listener wants the socket at {} that systemd has opened.", socket.place));
        }
        share(&replaced, true);
        for ((listener, places), (carrier, site)) in wanted.iter().zip(carriers) {
            let sockets = self.open_sockets(listener, places, &replaced, &mut new.next_token, log, &mut errors);
            let number = self.number_of(places, &new.listeners).unwrap_or(new.next_number);
            new.next_number = new.next_number.max(number + 1);
            new.listeners.push(Listed { number, config: (*listener).clone(), carrier, site, sockets });
        }
        share(&replaced, false);
        let is_registered = |place: &SocketPlace| {
            self.listeners.iter().flat_map(|listed| &listed.sockets).any(|socket| socket.place == *place)
        };
        for socket in new.sockets().filter(|socket| !is_registered(&socket.place)) {
            // From here on nobody may share it; that it could not be said would be no harm while there is one owner.
            let _ = socket.share_port(false);
            errors.extend(socket.register(registry).err().map(RunError::from));
        }
        if errors.is_empty() { Ok(new) } else { Err(errors) }
    }

    /// The sockets of a listener: those that are open already and those that are opened now.
    fn open_sockets(
        &self,
        listener: &ListenerConfig,
        places: &[SocketPlace],
        replaced: &[Arc<OpenSocket>],
        next_token: &mut usize,
        log: &Log,
        errors: &mut Vec<RunError>,
    ) -> Vec<Arc<OpenSocket>> {
        let (mut sockets, errors_before) = (Vec::new(), errors.len());
        for place in places {
            if let Some(open) = self.socket_at(place) {
                sockets.push(Arc::clone(open));
                continue;
            }
            if self.sockets().any(|socket| socket.covers(place)) {
                continue;
            }
            let shares = replaced.iter().any(|socket| socket.place.is_in_the_way_of(place));
            match opening::open(listener, place, shares, log) {
                Ok(Some(listening)) => {
                    let token = Token(*next_token);
                    *next_token += 1;
                    sockets.push(Arc::new(OpenSocket { place: place.clone(), listening, token, is_inherited: false }));
                }
                Ok(None) => {}
                Err(error) => errors.push(error.from_line(listener.declared_at.as_ref())),
            }
        }
        if sockets.is_empty() && listener.required && errors.len() == errors_before {
            let port = listener.port();
            let error = RunError::new(format!("Unable to listen on port {port}: the machine has no such address."));
            errors.push(error.from_line(listener.declared_at.as_ref()));
        }
        sockets
    }

    /// The number of an old listener that has one of these places, unless another new listener is the same already.
    fn number_of(&self, places: &[SocketPlace], numbered: &[Listed]) -> Option<u32> {
        let is_same = |listed: &&Listed| listed.sockets.iter().any(|socket| places.contains(&socket.place));
        let is_free = |listed: &&Listed| !numbered.iter().any(|new| new.number == listed.number);
        self.listeners.iter().filter(is_same).find(is_free).map(|listed| listed.number)
    }
}

fn is_wanted(place: &SocketPlace, wanted: &[(&ListenerConfig, Vec<SocketPlace>)]) -> bool {
    wanted.iter().any(|(_, places)| places.contains(place))
}

fn doubled(place: &SocketPlace) -> RunError {
    RunError::new(format!("Address already in use: two listeners of the configuration are at {place}."))
}

/// Sockets that will be closed share their ports with those that take their places, so that nothing is closed before.
fn share(sockets: &[Arc<OpenSocket>], may: bool) {
    for socket in sockets {
        // Where it is not possible, the opening of the other socket tells.
        let _ = socket.share_port(may);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Defaults, Source, load};
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;

    /// The listeners of a file with these lines.
    fn config(name: &str, lines: &str) -> Config {
        let file: PathBuf = std::env::temp_dir().join(format!("sori-roster-{name}-{}", std::process::id()));
        std::fs::write(&file, lines).expect("can be written");
        let files = [file];
        let source = Source { files: &files, ports: &[], defaults: Defaults::Mosquitto, persistence_location: None };
        let loaded = load(&source).expect("is good");
        std::fs::remove_file(&files[0]).expect("is there");
        loaded.config
    }

    fn free_ports<const N: usize>() -> [u16; N] {
        let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("there are free ports"));
        held.map(|socket| socket.local_addr().expect("has one").port())
    }

    fn numbers(roster: &Roster) -> Vec<u32> {
        roster.listeners.iter().map(|listed| listed.number).collect()
    }

    fn answers(port: u16) -> bool {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    }

    #[test]
    fn what_stays_keeps_its_socket_and_its_number() {
        let poll = mio::Poll::new().expect("there are descriptors");
        let (registry, log) = (poll.registry(), Log::silent());
        let [a, b, c] = free_ports();
        let first = config("stays", &format!("listener {a} 127.0.0.1\nlistener {b} 127.0.0.1\n"));
        let first = Roster::default().prepare(&first, registry, &log).expect("is free");
        assert_eq!(numbers(&first), [0, 1]);
        let next = config("stays", &format!("listener {c} 127.0.0.1\nlistener {b} 127.0.0.1\nmax_qos 1\n"));
        let second = first.prepare(&next, registry, &log).expect("is free");
        assert_eq!(numbers(&second), [2, 1]);
        assert!(Arc::ptr_eq(&first.listeners[1].sockets[0], &second.listeners[1].sockets[0]));
        assert!(second.numbers().is_gone(0) && !second.numbers().is_gone(1) && !second.numbers().is_gone(7));
        assert!(answers(a) && answers(b) && answers(c), "nothing is closed while there are both");
        drop(first);
        assert!(!answers(a) && answers(b) && answers(c));
    }

    #[test]
    fn with_an_error_nothing_is_left_open() {
        let poll = mio::Poll::new().expect("there are descriptors");
        let (registry, log) = (poll.registry(), Log::silent());
        let [a, b] = free_ports();
        let first = config("error", &format!("listener {a} 127.0.0.1\n"));
        let first = Roster::default().prepare(&first, registry, &log).expect("is free");
        // RFC 5737: two addresses of nobody.
        let next = format!("listener {b} 127.0.0.1\nlistener {b} 203.0.113.77\nlistener {b} 198.51.100.77\n");
        let errors = first.prepare(&config("error", &next), registry, &log).expect_err("cannot be listened on");
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(answers(a) && !answers(b));
    }

    #[test]
    fn one_address_takes_the_place_of_all_without_a_gap() {
        let poll = mio::Poll::new().expect("there are descriptors");
        let (registry, log) = (poll.registry(), Log::silent());
        let [port] = free_ports();
        let all = config("all", &format!("listener {port}\nsocket_domain ipv4\n"));
        let one = config("all", &format!("listener {port} 127.0.0.1\n"));
        let first = Roster::default().prepare(&all, registry, &log).expect("is free");
        let second = first.prepare(&one, registry, &log).expect("shares the port for a moment");
        assert!(second.numbers().is_gone(0), "it is another listener");
        drop(first);
        assert!(answers(port));
        let third = second.prepare(&all, registry, &log).expect("and back");
        drop(second);
        assert!(answers(port));
        drop(third);
        assert!(!answers(port));
    }

    #[test]
    fn the_file_of_a_unix_socket_goes_with_the_last_owner() {
        let poll = mio::Poll::new().expect("there are descriptors");
        let (registry, log) = (poll.registry(), Log::silent());
        let path = std::env::temp_dir().join(format!("sori-roster-{}.sock", std::process::id()));
        let unix = config("unix", &format!("listener 0 {}\n", path.display()));
        let first = Roster::default().prepare(&unix, registry, &log).expect("can be opened");
        let second = first.prepare(&unix, registry, &log).expect("is open");
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
