//! What is broken on purpose, to show that the rules see it.
//!
//! The broker and its store are those of production, and know nothing of it: it is done to them from outside, where the simulated
//! disk, the network and the start are. `docs/simulator.md` says what sees what.

/// One thing that is broken on purpose.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Sabotage {
    /// The disk says of one sync of a file in eight that it is done, and has done nothing.
    Sync,
    /// The client gets one PUBREC while the broker still holds it back for the disk, and in the same moment the power fails.
    PubRec,
    /// At a start one frame of records in eight is read twice.
    Record,
}

impl Sabotage {
    /// Each with its name on the command line.
    pub const ALL: [(&str, Sabotage); 3] =
        [("sync", Sabotage::Sync), ("pubrec", Sabotage::PubRec), ("record", Sabotage::Record)];

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Sabotage> {
        Sabotage::ALL.iter().find(|(known, _)| *known == name).map(|(_, sabotage)| *sabotage)
    }
}

/// One in so many is broken.
pub(crate) const ONE_IN: u64 = 8;
