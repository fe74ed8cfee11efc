//! Logins whose answer comes later, because looking up a password takes its time.

use sori_broker::{
    Access, Action, Cause, ConnectionId, Exchange, Identity, ListenerSettings, Login, PlainSpace, Settings, Shard,
    ShardId, Time, Verdict,
};
use sori_mqtt::ReasonCode;
use std::sync::Arc;

struct Slow;

impl Access for Slow {
    fn login(&self, _: &Login<'_>) -> Verdict {
        Verdict::Later
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        None
    }

    fn may(&self, identity: &Identity, _: &str, _: Action, _: &str) -> bool {
        identity.user_name.is_some()
    }
}

/// Says later who comes in, and lets stay whom this is true of.
pub(super) struct Keeps<F>(pub(super) F);

impl<F: Fn(&Identity) -> bool + Send + Sync> Access for Keeps<F> {
    fn login(&self, _: &Login<'_>) -> Verdict {
        Verdict::Later
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        None
    }

    fn may(&self, _: &Identity, _: &str, _: Action, _: &str) -> bool {
        true
    }

    fn still_admits(&self, identity: &Identity, _: &ListenerSettings) -> bool {
        (self.0)(identity)
    }
}

/// Lets stay only who was let in by this.
fn admits(credential: u64) -> Arc<dyn Access> {
    Arc::new(Keeps(move |identity: &Identity| identity.credential == credential))
}

const NOW: Time = Time(1_000);
/// CONNECT of an MQTT 3.1.1 client, and PINGREQ right behind it.
const CONNECT_AND_PING: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a\xc0\0";

#[expect(clippy::arc_with_non_send_sync, reason = "the plain space is for one thread")]
fn waiting() -> (Shard, ConnectionId) {
    let (settings, space) = (Arc::new(Settings::default()), Arc::new(PlainSpace::default()));
    let mut shard = Shard::new(ShardId(0), 1, settings, space, Arc::new(Slow), 1, NOW);
    let connection = shard.open(NOW, Arc::new(ListenerSettings::default()), "127.0.0.1:1");
    shard.receive(NOW, connection, CONNECT_AND_PING);
    assert_eq!(shard.output(connection).collect::<Vec<_>>().concat(), b"", "nobody has answered the login");
    assert!(!shard.wants_input(connection), "what comes now has to wait as well");
    (shard, connection)
}

#[test]
fn an_accepted_client_goes_on_where_it_was() {
    let (mut shard, connection) = waiting();
    shard.receive(NOW, connection, b"\xc0\0");
    let identity = Identity { user_name: Some("late".into()), ..Identity::default() };
    shard.resolve(NOW, connection, Verdict::Accept(Arc::new(identity)));
    assert_eq!(
        shard.output(connection).collect::<Vec<_>>().concat(),
        b"\x20\x02\0\0\xd0\0\xd0\0",
        "CONNACK, and a PINGRESP for each PINGREQ"
    );
    assert!(shard.wants_input(connection));
}

#[test]
fn a_refused_client_is_told_and_nothing_more_is_heard() {
    let (mut shard, connection) = waiting();
    shard.resolve(NOW, connection, Verdict::Refuse(ReasonCode::NotAuthorized));
    assert_eq!(shard.output(connection).collect::<Vec<_>>().concat(), b"\x20\x02\0\x05");
    shard.resolve(NOW, connection, Verdict::Accept(Arc::new(Identity::default())));
    assert_eq!(shard.output(connection).collect::<Vec<_>>().concat(), b"\x20\x02\0\x05", "the first answer counts");
}

#[test]
fn an_answer_for_a_client_that_is_gone_changes_nothing() {
    let (mut shard, connection) = waiting();
    shard.closed(NOW, connection, Cause::Network("gone".into()));
    shard.resolve(NOW, connection, Verdict::Accept(Arc::new(Identity::default())));
    assert_eq!((shard.totals().sessions, shard.totals().connections), (0, 0));
}

#[test]
fn who_waits_too_long_for_an_answer_is_cut_off() {
    let (mut shard, connection) = waiting();
    shard.tick(NOW.plus_seconds(11));
    shard.resolve(NOW.plus_seconds(11), connection, Verdict::Accept(Arc::new(Identity::default())));
    assert_eq!(shard.totals().sessions, 0);
}

fn output(shard: &Shard, connection: ConnectionId) -> Vec<u8> {
    shard.output(connection).collect::<Vec<_>>().concat()
}

/// Let in by `credential`, where that still counts.
fn admitted(credential: u64) -> Verdict {
    Verdict::Accept(Arc::new(Identity { credential, ..Identity::default() }))
}

#[test]
fn who_was_let_in_by_what_is_gone_is_disconnected() {
    let (mut shard, connection) = waiting();
    shard.resolve(NOW, connection, admitted(1));
    assert_eq!(shard.totals().clients_connected, 1);
    shard.reconfigure(NOW, Arc::new(Settings::default()), admits(1));
    assert_eq!(shard.totals().clients_connected, 1, "its line is still there");
    shard.reconfigure(NOW, Arc::new(Settings::default()), admits(2));
    assert_eq!((shard.totals().clients_connected, shard.totals().sessions), (0, 0));
}

#[test]
fn an_answer_under_rules_that_are_gone_lets_nobody_in() {
    for (credential, answer) in [(1, &b"\x20\x02\0\x05"[..]), (2, b"\x20\x02\0\0\xd0\0")] {
        let (mut shard, connection) = waiting();
        // The password is being checked while the file changes.
        shard.reconfigure(NOW, Arc::new(Settings::default()), admits(2));
        shard.resolve(NOW, connection, admitted(credential));
        assert_eq!(output(&shard, connection), answer);
    }
}
