//! What goes into a committer and what comes out.

use crate::error::ReadError;

/// What one writer hands over at once: indivisible, and opaque but for where blobs begin.
#[derive(Debug, Default)]
pub struct Piece {
    /// Which writer: below the number given to [`crate::Committer::open`].
    pub writer: u16,
    /// The writer's own number, given back when this piece and all before it are durable.
    pub upto: u64,
    /// Somebody waits: it is committed at once. Otherwise it rides along with others, at most 100 ms later.
    pub is_awaited: bool,
    /// The records, at most 1 GiB. May be empty: such a fence is durable when all that was submitted before it is.
    pub bytes: Vec<u8>,
    /// Offsets in `bytes` at which a blob begins: its length and its CRC-32, both `u32` little-endian, then its bytes. The store
    /// fills in the CRC.
    pub blobs: Vec<u32>,
    /// Offsets in `bytes` at which a place is named, `u64` little-endian: the blob there is alive. The store writes where the blob is
    /// now. Whoever names it may have learned its place before it was moved, and replay knows only moves that stand in the log
    /// behind the beginning of the last checkpoint.
    pub references: Vec<u32>,
    /// By how many bytes this makes longer, or shorter, what a checkpoint has to repeat, by estimate: so much is held in reserve.
    pub growth: i64,
    /// How many of `bytes` repeat something for a checkpoint.
    pub repeated: u32,
    /// How far the writer is with a checkpoint.
    pub step: Option<Step>,
}

/// How far a writer is with the checkpoint of the given number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All its state has been submitted, up to and with the piece that says so.
    Walked(u64),
    /// It has heard of everything that others sent before they had walked.
    Passed(u64),
}

/// What the writers are to do for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointOrder {
    /// Submit all state, little by little, then [`Step::Walked`].
    Begin,
    /// All have walked: answer with [`Step::Passed`] when what was under way between writers has arrived.
    Pass,
}

/// Whether the store can promise anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It can.
    #[default]
    Ok,
    /// There is no room: new work is to be refused. What is submitted nevertheless goes into the reserve. Beyond that, a size limit
    /// gives way; on a disk without room it waits until there is some.
    Full,
    /// A write or a sync failed: nothing is durable any more until the store has been opened again.
    Failed {
        /// What failed, for the log.
        text: String,
    },
}

/// What the program has to tell, and whom.
#[derive(Debug)]
pub enum Outcome {
    /// A piece is durable, and so is all that its writer submitted before it.
    Durable {
        /// Who submitted it.
        writer: u16,
        /// [`Piece::upto`].
        upto: u64,
        /// Where the first byte of the piece stands. Together with an offset in `blobs`: the place of a blob.
        place: u64,
        /// [`Piece::blobs`].
        blobs: Vec<u32>,
        /// The memory of [`Piece::bytes`], empty, to be used again.
        spare: Vec<u8>,
    },
    /// For all writers.
    Checkpoint {
        /// To be named in the [`Step`].
        number: u64,
        /// What to do.
        order: CheckpointOrder,
    },
    /// For all writers and the log. Told once per change.
    State(State),
    /// For the log: old segments went.
    Cleaned {
        /// How many.
        segments: u32,
        /// How many bytes they had.
        bytes: u64,
        /// How many bytes of live blobs have been copied out of them.
        bytes_moved: u64,
    },
    /// For the log: a blob that is alive could not be read while its segment was to be emptied. The segment stays as it is.
    Unreadable(ReadError),
}
