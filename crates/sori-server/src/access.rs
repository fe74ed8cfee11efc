//! Who may come in and who may what, as the configuration says it: `allow_anonymous`, `password_file` and `acl_file`, for
//! the whole broker or, after `per_listener_settings true`, for each listener.
//!
//! A listener has a number that follows from where it listens ([`place_number`]) and stays the same over restarts. With
//! rules of their own it is the [realm](Identity::realm) of the clients that come by it, which is kept with their sessions:
//! a session whose client is away is under the rules of the listener by which the client was last there. A realm that no
//! listener has any more has no rules, and what has no rules may nothing.

use crate::acl::{Client, Decision, News, Rules, Told};
use crate::config::{Bind, Config, ListenerConfig, SocketDomain};
use crate::listeners::listener_settings;
use crate::log::{Kind, Log};
use crate::passwords::Users;
use crate::passwords::checking::{Checking, Login as PasswordLogin};
use sha2::{Digest, Sha256};
use sori_broker::{Access, Action, Exchange, Identity, ListenerSettings, Login, Step, Verdict};
use sori_mqtt::ReasonCode;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// [`Identity::credential`] of who was let in by an AUTH exchange. Those of passwords are larger than 15.
const EXCHANGED: u64 = 1;
/// [`Identity::credential`] of who was let in because of its certificate or its key, whose user name needs no password.
pub(crate) const CERTIFIED: u64 = 2;

/// The rules that hold together for the clients of a listener.
#[derive(Clone, Default)]
struct Book {
    users: Option<Arc<Users>>,
    acl: Option<Arc<Rules>>,
}

struct Listener {
    settings: ListenerSettings,
    book: Book,
}

/// The rules of a configuration, in front of those that the program has of its own.
pub(crate) struct ConfiguredAccess {
    /// What holds for all listeners, unless each has its own.
    common: Book,
    is_per_listener: bool,
    /// By the listeners' numbers.
    listeners: HashMap<u32, Listener>,
    inner: Arc<dyn Access + Send + Sync>,
    checking: Arc<Checking>,
    /// How long a connection may wait for its answer.
    patience: Duration,
    told: Told,
    log: Log,
}

/// The number of the listener at this place. It follows from the place alone, so that it is the same after a restart.
pub(crate) fn place_number(bind: &Bind, domain: SocketDomain) -> u32 {
    let text = match bind {
        Bind::Tcp { host, port } => format!("tcp {} {port} {domain:?}", host.as_deref().unwrap_or("*")),
        Bind::Unix(path) => format!("unix {}", path.display()),
    };
    let [a, b, c, d, ..] = Sha256::digest(text).0;
    // 0 stands for the whole broker.
    u32::from_le_bytes([a, b, c, d]).max(1)
}

impl ConfiguredAccess {
    pub(crate) fn new(
        config: &Config,
        inner: Arc<dyn Access + Send + Sync>,
        checking: Arc<Checking>,
        log: Log,
    ) -> ConfiguredAccess {
        let common = Book { users: config.users.clone(), acl: config.acl.clone() };
        let of_listener = |listener: &ListenerConfig| {
            let book = match config.per_listener_settings {
                true => Book { users: listener.users.clone(), acl: listener.acl.clone() },
                false => common.clone(),
            };
            let settings = listener_settings(listener);
            (settings.place, Listener { settings, book })
        };
        let listeners = config.listeners.iter().map(of_listener).collect();
        let is_per_listener = config.per_listener_settings;
        let (patience, told) = (config.connect_timeout, Told::new());
        ConfiguredAccess { common, is_per_listener, listeners, inner, checking, patience, told, log }
    }

    /// The rules for who comes by this listener.
    fn book_of(&self, place: u32) -> Option<&Book> {
        match self.listeners.get(&place) {
            Some(listener) => Some(&listener.book),
            None => (!self.is_per_listener).then_some(&self.common),
        }
    }

    /// The rules of a realm.
    fn book_in(&self, realm: u32) -> Option<&Book> {
        if self.is_per_listener {
            self.listeners.get(&realm).map(|listener| &listener.book)
        } else {
            Some(&self.common)
        }
    }

    fn realm(&self, place: u32) -> u32 {
        if self.is_per_listener { place } else { 0 }
    }

    #[cold]
    fn tell(&self, client_id: &str, action: Action, topic: &str, reason: std::fmt::Arguments<'_>) {
        let what = match action {
            Action::Publish => "publish to",
            Action::Receive => "be sent",
            Action::Subscribe => "subscribe to",
            Action::Unsubscribe => "unsubscribe from",
        };
        let kind = match self.told.note(client_id, action, topic, Instant::now()) {
            News::Tell { left_out } => {
                if left_out > 0 {
                    self.log.notice(format_args!("{left_out} more refusals were not logged."));
                }
                // Who subscribes to more than it may be sent often knows that.
                if action == Action::Receive { Kind::Information } else { Kind::Notice }
            }
            // Debug lines tell of each message that is denied.
            News::Known if action == Action::Publish => return,
            News::Known | News::TooMany => Kind::Debug,
        };
        if self.log.enabled(kind) {
            self.log.write(kind, format_args!("Client {client_id} may not {what} '{topic}': {reason}."));
        }
    }
}

impl Access for ConfiguredAccess {
    fn login(&self, login: &Login<'_>) -> Verdict {
        let Some(book) = self.book_of(login.place) else { return Verdict::Refuse(ReasonCode::NotAuthorized) };
        let realm = self.realm(login.place);
        if login.is_proven {
            let user_name = login.user_name.map(Box::from);
            let identity = Identity { user_name, is_internal: false, realm, credential: CERTIFIED };
            return Verdict::Accept(Arc::new(identity));
        }
        // A name without a character is none, as Mosquitto sees it.
        let login = &Login { user_name: login.user_name.filter(|name| !name.is_empty()), ..*login };
        let (Some(user_name), Some(users)) = (login.user_name, &book.users) else {
            return match self.inner.login(login) {
                Verdict::Accept(identity) => Verdict::Accept(in_realm(identity, realm)),
                other => other,
            };
        };
        // An empty password is none, also where a line of the file was made of one; Mosquitto sees it so, too.
        let Some(password) = login.password.filter(|password| !password.is_empty()) else {
            return Verdict::Refuse(ReasonCode::NotAuthorized);
        };
        self.checking.begin(PasswordLogin {
            users: Arc::clone(users),
            user_name: user_name.into(),
            password: password.into(),
            address: login.address,
            client_id: login.client_id,
            realm,
            patience: self.patience,
            answer_to: login.answer_to,
        })
    }

    fn exchange(&self, method: &str, login: &Login<'_>) -> Option<Box<dyn Exchange>> {
        let inner = self.inner.exchange(method, login)?;
        Some(Box::new(RealmExchange { inner, realm: self.realm(login.place) }))
    }

    fn may(&self, identity: &Identity, client_id: &str, action: Action, topic: &str) -> bool {
        if identity.is_internal {
            return true;
        }
        let Some(book) = self.book_in(identity.realm) else {
            self.tell(client_id, action, topic, format_args!("no listener has the rules that it was under"));
            return false;
        };
        if let Some(rules) = &book.acl {
            let client = Client { client_id, user_name: identity.user_name.as_deref() };
            let decision: Decision = rules.decide(client, action, topic);
            if !decision.is_allowed() {
                self.tell(client_id, action, topic, format_args!("{}", rules.reason(decision)));
                return false;
            }
        }
        let may = self.inner.may(identity, client_id, action, topic);
        if !may {
            self.tell(client_id, action, topic, format_args!("the program does not allow it"));
        }
        may
    }

    fn still_admits(&self, identity: &Identity, listener: &ListenerSettings) -> bool {
        if identity.is_internal || identity.credential == CERTIFIED {
            return true;
        }
        // The listener itself may have other settings now, or be gone.
        let settings = self.listeners.get(&listener.place).map_or(listener, |listener| &listener.settings);
        let Some(book) = self.book_of(listener.place) else { return false };
        match (&identity.user_name, &book.users) {
            (Some(_), _) if identity.credential == EXCHANGED => self.inner.still_admits(identity, settings),
            (Some(name), Some(users)) => {
                users.find(name).is_some_and(|user| user.hashed.fingerprint() == identity.credential)
            }
            _ => self.inner.still_admits(identity, settings),
        }
    }

    fn is_unrestricted(&self) -> bool {
        let mut books = self.listeners.values().map(|listener| &listener.book).chain([&self.common]);
        books.all(|book| book.acl.is_none()) && self.inner.is_unrestricted()
    }

    fn is_steady(&self) -> bool {
        self.inner.is_steady()
    }
}

/// The same client, under the rules of this realm.
fn in_realm(identity: Arc<Identity>, realm: u32) -> Arc<Identity> {
    if identity.realm == realm || identity.is_internal {
        return identity;
    }
    Arc::new(Identity { realm, ..(*identity).clone() })
}

/// An exchange that lets clients in under the rules of a realm.
struct RealmExchange {
    inner: Box<dyn Exchange>,
    realm: u32,
}

impl Exchange for RealmExchange {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        match self.inner.step(data) {
            Step::Done(identity, data) => {
                let identity = Identity { realm: self.realm, credential: EXCHANGED, ..(*identity).clone() };
                Step::Done(Arc::new(identity), data)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Defaults;
    use crate::passwords::{Hashed, Scheme};
    use sori_broker::{ConnectionId, OpenAccess, ShardId};
    use sori_mqtt::Version;
    use std::path::Path;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    fn rules(text: &str) -> Option<Arc<Rules>> {
        Rules::parse(Path::new("/etc/acl"), text.as_bytes(), &mut Vec::new()).map(Arc::new)
    }

    /// Users of whom each has its own name as password.
    fn users(names: &[&str]) -> Option<Arc<Users>> {
        let line = |name: &&str| {
            // "nobody" has an empty password.
            let password = if *name == "nobody" { "" } else { *name };
            let hashed = Hashed::of_password(Scheme::Pbkdf2 { iterations: 1 }, password.as_bytes());
            format!("{name}:{}\n", hashed.expect("random numbers"))
        };
        let text: String = names.iter().map(line).collect();
        Users::parse(Path::new("/etc/users"), text.as_bytes(), &mut Vec::new()).map(Arc::new)
    }

    /// Two listeners, on ports 1 and 2, which let in anybody.
    fn config() -> Config {
        let ports = [1, 2];
        let (files, persistence_location) = (&[], None);
        let source =
            crate::config::Source { files, ports: &ports, defaults: Defaults::Mosquitto, persistence_location };
        let mut config = crate::config::load(&source).expect("needs no file").config;
        config.listeners.retain(|listener| listener.required);
        config
    }

    struct Gate {
        access: ConfiguredAccess,
        answers: Receiver<Verdict>,
        config: Config,
    }

    impl Gate {
        fn new(config: Config) -> Gate {
            Gate::before(config, Arc::new(OpenAccess))
        }

        fn before(config: Config, inner: Arc<dyn Access + Send + Sync>) -> Gate {
            let (sender, answers) = channel();
            let sender = Mutex::new(sender);
            // Nobody waits any more when the test is over.
            let answer = move |_, _, verdict| drop(sender.lock().expect("nobody panics").send(verdict));
            let checking = Arc::new(Checking::new(2, Box::new(answer), Log::silent()));
            let access = ConfiguredAccess::new(&config, inner, checking, Log::silent());
            Gate { access, answers, config }
        }

        fn settings(&self, listener: usize) -> ListenerSettings {
            listener_settings(&self.config.listeners[listener])
        }

        /// Who comes in by this listener with these words.
        fn login(&self, listener: usize, user_name: Option<&str>, password: Option<&str>) -> Option<Arc<Identity>> {
            let settings = self.settings(listener);
            let verdict = self.access.login(&Login {
                client_id: "client",
                user_name,
                password: password.map(str::as_bytes),
                is_proven: settings.names_its_clients,
                allow_anonymous: settings.allow_anonymous,
                version: Version::V5,
                address: "192.0.2.1:1000",
                place: settings.place,
                answer_to: (ShardId(0), ConnectionId::NONE),
            });
            match verdict {
                Verdict::Later => match self.answers.recv() {
                    Ok(Verdict::Accept(identity)) => Some(identity),
                    _ => None,
                },
                Verdict::Accept(identity) => Some(identity),
                Verdict::Refuse(code) => {
                    assert_eq!(code, ReasonCode::NotAuthorized);
                    None
                }
            }
        }

        fn may(&self, identity: &Identity, topic: &str) -> bool {
            self.access.may(identity, "client", Action::Publish, topic)
        }
    }

    #[test]
    fn without_a_password_file_a_name_proves_nothing() {
        let gate = Gate::new(config());
        assert!(gate.login(0, None, None).is_some() && gate.login(0, Some("ann"), None).is_some());
        let mut closed = config();
        closed.listeners[0].allow_anonymous = false;
        let gate = Gate::new(closed);
        assert_eq!(gate.login(0, None, None), None);
        assert_eq!(gate.login(0, Some("ann"), Some("ann")), None);
        assert!(gate.login(1, Some("ann"), Some("ann")).is_some());
    }

    /// As with Mosquitto: some devices always send a user name, and leave it empty when they have none.
    #[test]
    fn an_empty_name_is_none() {
        let mut config = config();
        config.listeners[0].users = users(&["ann"]);
        config.listeners[1].allow_anonymous = false;
        let gate = Gate::new(Config { per_listener_settings: true, ..config });
        for password in [None, Some(""), Some("x")] {
            let anonymous = gate.login(0, Some(""), password).expect("anonymous clients may come in");
            assert_eq!(anonymous.user_name, None);
            assert_eq!(gate.login(1, Some(""), password), None);
        }
        assert_eq!(gate.login(0, Some("ann"), Some("x")), None);
    }

    #[test]
    fn a_name_that_the_listener_has_proven_needs_no_password_and_outlives_a_reload() {
        let mut config = Config { per_listener_settings: true, ..config() };
        config.listeners[0].allow_anonymous = false;
        config.listeners[0].users = users(&["ann"]);
        config.listeners[0].transport.certfile = Some("/etc/server.pem".into());
        config.listeners[0].transport.use_identity_as_username = true;
        let gate = Gate::new(config);
        let settings = gate.settings(0);
        let bob = gate.login(0, Some("bob"), None).expect("its certificate says so");
        assert_eq!((bob.user_name.as_deref(), bob.realm), (Some("bob"), settings.place));
        assert!(gate.access.still_admits(&bob, &settings));
    }

    #[test]
    fn with_a_password_file_a_name_needs_its_password_whoever_may_be_anonymous() {
        let gate = Gate::new(Config { users: users(&["ann", "nobody"]), ..config() });
        assert_eq!(gate.login(0, Some("nobody"), Some("")), None, "an empty password is none");
        let ann = gate.login(0, Some("ann"), Some("ann")).expect("is right");
        assert_eq!((ann.user_name.as_deref(), ann.realm), (Some("ann"), 0));
        for (name, password) in [("ann", Some("x")), ("ann", Some("")), ("ann", None), ("bob", Some("ann"))] {
            assert_eq!(gate.login(0, Some(name), password), None, "{name} {password:?}");
        }
        assert!(gate.login(0, None, None).is_some(), "allow_anonymous is true");
    }

    #[test]
    fn each_listener_has_its_own_rules_2018_20145() {
        let mut config = Config { per_listener_settings: true, ..config() };
        (config.listeners[0].users, config.listeners[0].acl) = (users(&["ann"]), rules("user ann\ntopic a\n"));
        config.listeners[1].acl = rules("topic b\n");
        let gate = Gate::new(config.clone());
        assert!(!gate.access.is_unrestricted());
        let ann = gate.login(0, Some("ann"), Some("ann")).expect("is right");
        assert_eq!(gate.login(0, Some("bob"), None), None);
        let (bob, nobody) = (gate.login(1, Some("bob"), None), gate.login(1, None, None));
        let (bob, nobody) = (bob.expect("needs none"), nobody.expect("may be anonymous"));
        assert!(gate.may(&ann, "a") && !gate.may(&ann, "b"));
        assert!(!gate.may(&bob, "a") && !gate.may(&bob, "b"), "a user that the file does not name");
        assert!(!gate.may(&nobody, "a") && gate.may(&nobody, "b"));
        assert_ne!(ann.realm, bob.realm);
        // A session that was kept under rules which are gone, or from before listeners had their own.
        for realm in [0, 77] {
            assert!(!gate.may(&Identity { realm, ..Identity::default() }, "b"));
        }
        // Once all listeners share their rules, these are for every session.
        let shared = Gate::new(Config { per_listener_settings: false, acl: rules("user ann\ntopic b\n"), ..config });
        assert!(shared.may(&ann, "b") && !shared.may(&ann, "a") && !shared.may(&nobody, "b"));
    }

    #[test]
    fn numbers_of_listeners_follow_from_their_places() {
        let tcp = |host: Option<&str>, port| Bind::Tcp { host: host.map(str::to_owned), port };
        let all = [
            place_number(&tcp(None, 1883), SocketDomain::Both),
            place_number(&tcp(None, 1884), SocketDomain::Both),
            place_number(&tcp(Some("127.0.0.1"), 1883), SocketDomain::Both),
            place_number(&tcp(None, 1883), SocketDomain::Ipv4),
            place_number(&Bind::Unix("/run/mqtt".into()), SocketDomain::Both),
        ];
        // They are in stores: should they change, sessions would be without rules.
        assert_eq!(all, NUMBERS);
    }

    const NUMBERS: [u32; 5] = [1_268_336_481, 2_754_155_090, 2_288_446_095, 2_949_406_111, 2_692_013_027];

    #[test]
    fn parts_of_the_program_may_do_everything_and_what_the_rules_behind_deny_stays_denied() {
        struct Nothing;
        impl Access for Nothing {
            fn login(&self, login: &Login<'_>) -> Verdict {
                OpenAccess.login(login)
            }
            fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
                None
            }
            fn may(&self, _: &Identity, _: &str, _: Action, _: &str) -> bool {
                false
            }
        }
        let config = Config { acl: rules("topic a\n"), ..config() };
        let (anonymous, part) = (Identity::default(), Identity { is_internal: true, ..Identity::default() });
        let gate = Gate::new(config.clone());
        assert!(gate.may(&anonymous, "a") && !gate.may(&anonymous, "b"));
        assert!(gate.may(&part, "b"));
        assert!(!Gate::before(config, Arc::new(Nothing)).may(&anonymous, "a"));
        assert!(Gate::new(self::config()).access.is_unrestricted());
    }

    #[test]
    fn a_reload_ends_what_let_somebody_in() {
        let gate = Gate::new(Config { users: users(&["ann", "bob"]), ..config() });
        let login = |name: &str| gate.login(0, Some(name), Some(name)).expect("is right");
        let (ann, bob, nobody) = (login("ann"), login("bob"), gate.login(0, None, None).expect("may be anonymous"));
        let still = |config: &Config, identity: &Identity| {
            let gate = Gate::new(config.clone());
            gate.access.still_admits(identity, &gate.settings(0))
        };
        // The same lines, and one more.
        let users_now = gate.config.users.clone();
        let same = Config { users: users_now.clone(), ..config() };
        assert!(still(&same, &ann) && still(&same, &bob) && still(&same, &nobody));
        // Another password for one of them; the other one is gone.
        let other = Config { users: users(&["ann"]), ..config() };
        assert!(!still(&other, &ann) && !still(&other, &bob) && still(&other, &nobody));
        // Nobody may be anonymous, and the same without a file.
        let mut closed = Config { users: users_now, ..config() };
        closed.listeners[0].allow_anonymous = false;
        assert!(still(&closed, &ann) && !still(&closed, &nobody));
        closed.users = None;
        assert!(!still(&closed, &ann));
        // A name that was said when no password was asked for proves nothing once one is.
        let unproven = Gate::new(config()).login(0, Some("ann"), None).expect("needs none");
        assert!(still(&config(), &unproven) && !still(&same, &unproven));
        // Certificates and parts of the program need no line.
        let certified = Identity { credential: CERTIFIED, user_name: Some("x".into()), ..Identity::default() };
        assert!(still(&closed, &certified));
        assert!(still(&closed, &Identity { is_internal: true, ..Identity::default() }));
    }
}
