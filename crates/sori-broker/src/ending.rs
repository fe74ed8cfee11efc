//! Connections that the broker ends of its own accord: what let them in is gone, or there is no room for something of theirs.
//!
//! Very many may have to go at one moment, and each takes its time: a record, a will, the last words. So they stand on a list,
//! from where some end in this input and the others in the turns that follow at once. Who stands there is not heard any more,
//! and is let in no more; it is still sent what comes for its session, as if its turn had come with everybody else's.

use crate::connection::{Connection, Phase};
use crate::event::Cause;
use crate::ids::ConnectionId;
use crate::session::Session;
use crate::shard::Shard;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::ReasonCode;

/// Why a connection is to end.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Ending {
    /// An operator has taken away what it came by.
    Dismissed,
    /// What let the client in has been taken back.
    Revoked,
    /// There is no room for something of the client's.
    NoRoom(&'static str),
}

impl Ending {
    /// What the client is told, and what people are.
    fn reason(self) -> (ReasonCode, Cause) {
        let (reason_code, text) = match self {
            Ending::Dismissed => return (ReasonCode::AdministrativeAction, Cause::Dismissed),
            Ending::Revoked => (ReasonCode::NotAuthorized, "what let this client in has been taken back"),
            Ending::NoRoom(text) => (ReasonCode::QuotaExceeded, text),
        };
        (reason_code, Cause::Protocol(reason_code, Box::from(text)))
    }
}

impl Shard {
    /// End a connection soon: the rest of this input is still heard. It may end by itself before, or be ended for something else.
    pub(crate) fn end_soon(&mut self, id: ConnectionId, ending: Ending) {
        if let Some(c) = self.connection(id)
            && !c.is_closing()
            && !core::mem::replace(&mut c.is_ending, true)
        {
            self.endings.push_back((id, ending));
        }
    }

    /// End so many of those on the list as this turn may.
    pub(crate) fn end_some(&mut self) {
        while self.budget.endings > 0
            && let Some((id, ending)) = self.endings.pop_front()
        {
            self.budget.endings -= 1;
            self.end_for(id, ending);
        }
    }

    /// End a connection now; who has not logged in yet is told nothing.
    pub(crate) fn end_for(&mut self, id: ConnectionId, ending: Ending) {
        if self.connection(id).is_some_and(|c| c.is_open()) {
            let (reason_code, cause) = ending.reason();
            self.end_connection(id, Some(reason_code), cause);
        } else {
            self.close(id);
        }
    }

    /// The rules have changed: who would not be let in by them has to go.
    pub(crate) fn end_revoked(&mut self) {
        let access = Arc::clone(&self.access);
        self.end_those(Ending::Revoked, |c, session| {
            c.listener.identity.is_none() && !access.still_admits(&session.identity, &c.listener)
        });
    }

    /// The store cannot write anything, and whatever these clients sent would wait for it as well.
    pub(crate) fn end_recorded(&mut self) {
        let ending = Ending::NoRoom("the store has no room, and too much waits for it");
        self.end_those(ending, |_, session| session.is_recorded);
    }

    fn end_those(&mut self, ending: Ending, is_to_go: impl Fn(&Connection, &Session) -> bool) {
        let open = self.connections.iter().map(|(_, _, c)| c).filter(|c| matches!(c.phase, Phase::Open));
        let to_go = open.filter(|c| {
            let session = self.sessions.get(c.session.slot, c.session.generation);
            session.is_some_and(|session| is_to_go(c, session))
        });
        for id in to_go.map(|c| c.id).collect::<Vec<ConnectionId>>() {
            self.end_soon(id, ending);
        }
    }
}
