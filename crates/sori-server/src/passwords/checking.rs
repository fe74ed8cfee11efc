//! A login with a password, from the question to the answer: may it be checked now, the check in the pool, and the answer
//! to the shard that waits for it.

use super::backoff::{Backoff, Counts, Wait};
use super::pool::{Busy, Pool};
use super::recent::Recent;
use super::{User, Users};
use crate::log::Log;
use sori_broker::{ConnectionId, Identity, ShardId, Verdict};
use sori_mqtt::ReasonCode;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads that compute hashes at most: each check with Argon2 takes 46 MiB.
const THREADS_MAX: usize = 4;
/// Brings an answer to the shard of a connection.
pub(crate) type Answer = Box<dyn Fn(ShardId, ConnectionId, Verdict) + Send + Sync>;

/// A login that is to be checked.
pub(crate) struct Login<'a> {
    pub(crate) users: Arc<Users>,
    pub(crate) user_name: Box<str>,
    pub(crate) password: Box<[u8]>,
    /// Where it comes from, as log lines say it.
    pub(crate) address: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) realm: u32,
    /// A login that has waited so long has no connection any more.
    pub(crate) patience: Duration,
    pub(crate) answer_to: (ShardId, ConnectionId),
}

/// What checks passwords, and what it knows of failures. It outlives reloads.
pub(crate) struct Checking {
    pool: Pool,
    guesses: Arc<Guesses>,
}

/// What the threads of the pool need.
struct Guesses {
    backoff: Mutex<Backoff>,
    recent: Mutex<Recent>,
    answer: Answer,
    log: Log,
}

impl Checking {
    /// `processors`: how many the machine has. Half of them may be busy with passwords.
    pub(crate) fn new(processors: usize, answer: Answer, log: Log) -> Checking {
        let guesses = Guesses { backoff: Mutex::default(), recent: Mutex::new(Recent::new()), answer, log };
        Checking { pool: Pool::new((processors / 2).clamp(1, THREADS_MAX)), guesses: Arc::new(guesses) }
    }

    /// Begin a check. What is decided at once is the verdict; else the answer comes later.
    pub(crate) fn begin(&self, login: Login<'_>) -> Verdict {
        let now = Instant::now();
        let address = ip_of(login.address);
        if self.guesses.with(|backoff| backoff.must_wait(address, &login.user_name, now)) {
            return Verdict::Refuse(ReasonCode::NotAuthorized);
        }
        if let Some(user) = self.guesses.find_recent(&login, now) {
            return Verdict::Accept(Arc::new(identity(user, login.realm)));
        }
        let guesses = Arc::clone(&self.guesses);
        let Login { users, user_name, password, realm, patience, answer_to: (shard, connection), .. } = login;
        let check = move || {
            if now.elapsed() < patience {
                let verdict = guesses.check(&users, &user_name, &password, address, realm);
                (guesses.answer)(shard, connection, verdict);
            }
        };
        match self.pool.submit(Box::new(check)) {
            Ok(()) => Verdict::Later,
            Err(Busy) => {
                let client_id = login.client_id;
                self.guesses
                    .log
                    .warning(format_args!("Client {client_id} is refused: too many passwords wait to be checked."));
                Verdict::Refuse(ReasonCode::ServerBusy)
            }
        }
    }

    /// How often logins failed.
    pub(crate) fn counts(&self) -> Counts {
        self.guesses.with(|backoff| backoff.counts())
    }
}

impl Guesses {
    fn with<T>(&self, f: impl FnOnce(&mut Backoff) -> T) -> T {
        f(&mut self.backoff.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn check(&self, users: &Users, name: &str, password: &[u8], address: Option<IpAddr>, realm: u32) -> Verdict {
        let found = users.check(name, password);
        let now = Instant::now();
        let Some(user) = found else {
            if let Some(wait) = self.with(|backoff| backoff.failed(address, name, now)) {
                self.tell(name, address, wait);
            }
            return Verdict::Refuse(ReasonCode::NotAuthorized);
        };
        self.with(|backoff| backoff.succeeded(address, name, now));
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).note(&user.hashed, password, now);
        Verdict::Accept(Arc::new(identity(user, realm)))
    }

    /// The user, if this was its password a moment ago.
    fn find_recent<'a>(&self, login: &'a Login<'_>, now: Instant) -> Option<&'a User> {
        let user = login.users.find(&login.user_name)?;
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.knows(&user.hashed, &login.password, now).then_some(user)
    }

    fn tell(&self, name: &str, address: Option<IpAddr>, wait: Wait) {
        let Wait { failures, wait, is_address } = wait;
        let from = address.map_or_else(|| "a unix socket".to_owned(), |address| address.to_string());
        let who = if is_address {
            format!("All users from {from}")
        } else {
            format!("User '{}' from {from}", name.escape_debug())
        };
        let seconds = wait.as_secs();
        self.log.notice(format_args!("{who} must wait {seconds} s: {failures} logins have failed."));
    }
}

fn identity(user: &User, realm: u32) -> Identity {
    let credential = user.hashed.fingerprint();
    Identity { user_name: Some(user.name.clone()), is_internal: false, realm, credential }
}

/// The address of "192.0.2.1:1883" or "[2001:db8::1]:1883"; other connections have none.
fn ip_of(address: &str) -> Option<IpAddr> {
    address.parse::<SocketAddr>().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::{Hashed, Scheme};
    use std::path::Path;
    use std::sync::mpsc::{Receiver, channel};

    fn checking() -> (Checking, Receiver<Verdict>) {
        let (sender, answers) = channel();
        let sender = Mutex::new(sender);
        let answer = move |_, _, verdict| sender.lock().expect("nobody panics").send(verdict).expect("somebody waits");
        (Checking::new(2, Box::new(answer), Log::silent()), answers)
    }

    fn users() -> Arc<Users> {
        let hashed = Hashed::of_password(Scheme::Pbkdf2 { iterations: 1 }, b"right").expect("random numbers");
        let text = format!("ann:{hashed}\n");
        Arc::new(Users::parse(Path::new("users"), text.as_bytes(), &mut Vec::new()).expect("is good"))
    }

    fn login<'a>(users: &Arc<Users>, user_name: &str, password: &str) -> Login<'a> {
        Login {
            users: Arc::clone(users),
            user_name: user_name.into(),
            password: password.as_bytes().into(),
            address: "192.0.2.1:1000",
            client_id: "client",
            realm: 7,
            patience: Duration::from_secs(60),
            answer_to: (ShardId(0), ConnectionId::NONE),
        }
    }

    #[test]
    fn the_answer_comes_later() {
        let ((checking, answers), users) = (checking(), users());
        assert!(matches!(checking.begin(login(&users, "ann", "right")), Verdict::Later));
        let Ok(Verdict::Accept(identity)) = answers.recv() else { unreachable!("it is right") };
        assert_eq!((identity.user_name.as_deref(), identity.realm), (Some("ann"), 7));
        assert_eq!(identity.credential, users.entries()[0].hashed.fingerprint());
        for (name, password) in [("ann", "wrong"), ("bob", "right"), ("", "")] {
            assert!(matches!(checking.begin(login(&users, name, password)), Verdict::Later));
            assert!(matches!(answers.recv(), Ok(Verdict::Refuse(ReasonCode::NotAuthorized))));
        }
        assert_eq!(checking.counts().failures, 3);
        // Who was right is right again at once, for a while.
        assert!(matches!(checking.begin(login(&users, "ann", "right")), Verdict::Accept(again) if again == identity));
    }

    #[test]
    fn who_guesses_is_refused_without_a_check() {
        let ((checking, answers), users) = (checking(), users());
        for _ in 0..5 {
            assert!(matches!(checking.begin(login(&users, "bob", "wrong")), Verdict::Later));
            assert!(answers.recv().is_ok());
        }
        let verdict = checking.begin(login(&users, "bob", "wrong"));
        assert!(matches!(verdict, Verdict::Refuse(ReasonCode::NotAuthorized)), "as for a wrong password");
        assert_eq!(checking.counts().refused, 1);
        assert!(matches!(checking.begin(login(&users, "ann", "right")), Verdict::Later), "others need not wait");
    }

    #[test]
    fn addresses_are_those_of_log_lines() {
        assert_eq!(ip_of("192.0.2.1:1000"), "192.0.2.1".parse().ok());
        assert_eq!(ip_of("[2001:db8::1]:1000"), "2001:db8::1".parse().ok());
        assert_eq!((ip_of("unix socket"), ip_of("in-process x")), (None, None));
    }
}
