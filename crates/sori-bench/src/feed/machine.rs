//! All workers of a broker in one thread, one after the other: deterministic, for counting.

use std::io;
use std::sync::Arc;

use sori_broker::{Access, ListenerSettings, OpenAccess, Settings};

use super::Counting;
use super::client::Tally;
use super::held_index::HeldIndex;
use super::worker::{ClientNumber, Worker, Workers};
use crate::acl::FileAccess;

/// What a client may have in flight.
const IN_FLIGHT_MAX: u16 = 100;

/// A whole broker in one thread.
pub struct Machine {
    workers: Vec<Worker>,
}

/// A client, and the shard where it is.
pub type Place = (u16, ClientNumber);

impl Machine {
    /// A broker with so many shards, whose clients may have a hundred messages in flight.
    ///
    /// # Errors
    /// The machine has no poll for us.
    pub fn new(shards: u16) -> io::Result<Machine> {
        Machine::with(shards, Settings::default(), Arc::new(OpenAccess))
    }

    /// A broker whose `acl_file` has a line for each of these filters, which everybody may use.
    ///
    /// # Errors
    /// The machine has no poll for us.
    pub fn with_rules(shards: u16, filters: &[String]) -> io::Result<Machine> {
        Machine::with(shards, Settings::default(), Arc::new(FileAccess::new(filters)))
    }

    /// The same, whose clients are below this mount point.
    ///
    /// # Errors
    /// The machine has no poll for us.
    pub fn mounted(shards: u16, mount_point: &str) -> io::Result<Machine> {
        let listener = ListenerSettings { mount_point: Some(Arc::from(mount_point)), ..ListenerSettings::default() };
        let mut machine = Machine::new(shards)?;
        machine.workers.iter_mut().for_each(|worker| worker.listen(listener.clone()));
        Ok(machine)
    }

    /// The same, whose records are durable at once.
    ///
    /// # Errors
    /// The machine has no poll for us.
    pub fn recording(shards: u16) -> io::Result<Machine> {
        let settings = Settings { keeps_records: true, ..Settings::default() };
        Machine::with(shards, settings, Arc::new(OpenAccess))
    }

    /// The same, and the index that its shards change.
    ///
    /// # Errors
    /// The machine has no poll for us.
    pub fn with_held_index(shards: u16) -> io::Result<(Machine, Arc<HeldIndex>)> {
        let index = Arc::new(HeldIndex::new(shards));
        let space = Arc::<HeldIndex>::clone(&index);
        Ok((Machine::of(&Workers::in_space(shards, with_limits(Settings::default()), space)?), index))
    }

    fn with(shards: u16, settings: Settings, access: Arc<dyn Access + Send + Sync>) -> io::Result<Machine> {
        Ok(Machine::of(&Workers::with_access(shards, with_limits(settings), access)?))
    }

    fn of(workers: &Workers) -> Machine {
        Machine { workers: (0..workers.shards()).map(|number| workers.worker(number)).collect() }
    }

    /// From now on.
    pub fn count(&mut self, counting: Counting) {
        for worker in &mut self.workers {
            worker.count(counting);
        }
    }

    /// A client connects to this shard.
    pub fn open(&mut self, shard: u16, first_words: &[u8]) -> Place {
        let client = self.workers[usize::from(shard)].open(first_words);
        self.settle();
        (shard, client)
    }

    /// A client says something, and nothing follows yet.
    pub fn hand_over(&mut self, client: Place, bytes: &[u8]) {
        self.workers[usize::from(client.0)].say(client.1, bytes);
    }

    /// A client says something, and everything that follows from it happens.
    pub fn say(&mut self, client: Place, bytes: &[u8]) {
        self.workers[usize::from(client.0)].say(client.1, bytes);
        self.settle();
    }

    /// What a client has seen so far.
    #[must_use]
    pub fn tally(&self, client: Place) -> Tally {
        self.workers[usize::from(client.0)].tally(client.1)
    }

    /// Turn after turn, until nothing is left to be done.
    pub fn settle(&mut self) {
        loop {
            let mut is_any = false;
            for worker in &mut self.workers {
                is_any |= worker.turn();
            }
            if !is_any {
                return;
            }
        }
    }
}

fn with_limits(settings: Settings) -> Settings {
    Settings { inflight_messages_max: IN_FLIGHT_MAX, queued_messages_max: 0, ..settings }
}
