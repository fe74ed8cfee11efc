//! Opening a store: finds where replay starts, checks everything that is needed, and cuts off what was never durable.
//!
//! The end of the log may be torn: a write was under way when the power went. Nothing that was promised stands there, so it is cut
//! off. Whether something was promised is told by what comes later: each frame says up to which one all was durable when it was
//! written. Damage to that is never passed over.

use crate::checkpoint::{End, Needed};
use crate::disk::Disk;
use crate::error::{OpenError, Refusal};
use crate::frame::{Frame, Frames, Home, Kind};
use crate::liveness::Liveness;
use crate::log::{self, Log, Trouble};
use crate::options::Options;
use crate::place::place;
use crate::relocations::{self, Relocations};
use crate::segment::{self, Checkpoint, HEADER_BYTES, Header, HeaderError};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// What the program does with the records of a frame: the place of the first byte, and the bytes. An error ends the opening.
pub type Replay<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Refusal> + 'a;

/// An open store.
pub(crate) struct Opened {
    pub(crate) log: Log,
    pub(crate) relocations: Relocations,
    pub(crate) liveness: Liveness,
}

/// Opens a store, or makes one.
pub(crate) fn open(disk: &Arc<dyn Disk>, options: &Options, replay: &mut Replay<'_>) -> Result<Opened, OpenError> {
    let mut survey = Survey::new(&**disk)?;
    let Some(tail) = survey.find_tail()? else {
        survey.remove_leftovers()?;
        return create(disk, options);
    };
    survey
        .replay(&tail, replay)
        .and_then(|()| survey.check_older(options.verify_bytes_max))
        .map_err(|error| tail.blame(error))?;
    survey.mend(&tail)?;
    let end = log::End {
        store_id: survey.store_id,
        segments: std::mem::take(&mut survey.segments),
        sequence: survey.sequence,
        checkpoint: survey.end.checkpoint,
    };
    let log = Log::resume(Arc::clone(disk), options.segment_bytes, end);
    let liveness =
        Liveness { live_bytes: survey.end.live_bytes, bytes_written: survey.bytes_since_end, ..Liveness::default() };
    Ok(Opened { log, relocations: survey.relocations, liveness })
}

/// Checks a store as it is checked when it is opened, without its records and without changing it. Returns where its log ends.
pub(crate) fn check(disk: &dyn Disk) -> Result<Option<(u32, u64)>, OpenError> {
    let mut survey = Survey::new(disk)?;
    let Some(tail) = survey.find_tail()? else { return Ok(None) };
    survey
        .replay(&tail, &mut |_, _| Ok(()))
        .and_then(|()| survey.check_older(u64::MAX))
        .map_err(|error| tail.blame(error))?;
    Ok(Some((tail.segment, tail.end)))
}

fn create(disk: &Arc<dyn Disk>, options: &Options) -> Result<Opened, OpenError> {
    let end =
        log::End { store_id: options.store_id, segments: BTreeMap::new(), sequence: 1, checkpoint: Checkpoint::NONE };
    let mut log = Log::resume(Arc::clone(disk), options.segment_bytes, end);
    match log.prepare() {
        Ok(()) => Ok(Opened { log, relocations: Relocations::default(), liveness: Liveness::default() }),
        Err(Trouble::Full) => Err(io_error("begin the store", io::Error::from(io::ErrorKind::StorageFull))),
        Err(Trouble::Failed(text)) => Err(io_error("begin the store", io::Error::other(text))),
    }
}

/// What is found out about a store while it is opened.
struct Survey<'a> {
    disk: &'a dyn Disk,
    /// All segments that have a file and are needed, with their lengths.
    segments: BTreeMap<u32, u64>,
    store_id: u64,
    /// The last complete checkpoint.
    end: End,
    /// Of the frame after the last one.
    sequence: u64,
    relocations: Relocations,
    /// Bytes written after the last checkpoint was complete.
    bytes_since_end: u64,
    /// Files of segments that nobody needs.
    leftovers: Vec<String>,
}

/// The last segment of the log.
struct Tail {
    segment: u32,
    file: Vec<u8>,
    /// Where its last whole frame ends.
    end: u64,
    /// Up to here it is known to be durable.
    durable_end: u64,
}

impl Tail {
    /// If a file is missing and the end of the log is torn, then the torn frame may be the one that said that the file is not
    /// needed any more: it was durable, and is what is really damaged.
    fn blame(&self, error: OpenError) -> OpenError {
        match error {
            OpenError::Damaged { file, text, .. } if text == MISSING && self.end < self.file.len() as u64 => {
                damaged(self.segment, self.end, &format!("a frame is damaged, and without it {file} is missing"))
            }
            error => error,
        }
    }
}

impl<'a> Survey<'a> {
    fn new(disk: &'a dyn Disk) -> Result<Survey<'a>, OpenError> {
        let mut segments = BTreeMap::new();
        for number in segment::numbers(disk).map_err(|error| io_error("read the directory", error))? {
            let file = segment::name(number);
            segments.insert(number, disk.length(&file).map_err(|error| io_error(&format!("read {file}"), error))?);
        }
        Ok(Survey {
            disk,
            segments,
            store_id: 0,
            end: End { checkpoint: Checkpoint::NONE, live_bytes: 0, needed: BTreeMap::new() },
            sequence: 1,
            relocations: Relocations::default(),
            bytes_since_end: 0,
            leftovers: Vec::new(),
        })
    }

    /// The last segment, and from it the last complete checkpoint: its header tells the one that was known when it began, and its
    /// frames those that came since. `None`: there is no store yet.
    fn find_tail(&mut self) -> Result<Option<Tail>, OpenError> {
        let Some((&number, &bytes)) = self.segments.last_key_value() else { return Ok(None) };
        let file = self.read(number)?;
        if bytes <= HEADER_BYTES && Header::decode(&file) == Err(HeaderError::Damaged) {
            // The power went while it was begun: nothing has ever stood in it.
            self.segments.remove(&number);
            self.leftovers.push(segment::name(number));
            return self.find_tail();
        }
        let header = self.header(number, &file)?;
        self.store_id = header.store_id;
        self.end.checkpoint = header.checkpoint;
        let mut frames = Frames::new(self.home(number), &file, HEADER_BYTES, header.sequence);
        let (mut ends, mut synced_upto) = (Vec::new(), 0);
        for frame in &mut frames {
            if frame.kind == Kind::CheckpointEnd {
                self.end.checkpoint = self.decode_end(number, &frame)?.checkpoint;
            }
            if frame.kind != Kind::Lost {
                synced_upto = frame.synced_upto;
            }
            ends.push((frame.next_sequence() - 1, frame.end()));
        }
        // Only what was durable is worth more than a clean end.
        if frames.after_damage().any(|later| later.synced_upto >= frames.sequence) {
            return Err(damaged(number, frames.at, "a frame that was durable is damaged"));
        }
        let end = frames.at;
        let durable = ends.iter().rev().find(|(sequence, _)| *sequence <= synced_upto);
        let durable_end = durable.map_or(0, |(_, end)| *end);
        Ok(Some(Tail { segment: number, file, end, durable_end }))
    }

    /// Reads the log from the last complete checkpoint on.
    fn replay(&mut self, tail: &Tail, replay: &mut Replay<'_>) -> Result<(), OpenError> {
        let checkpoint = self.end.checkpoint;
        let mut has_end = checkpoint.number == 0;
        for number in checkpoint.first..=tail.segment {
            let whole;
            let file = if number == tail.segment {
                tail.file.get(..tail.end as usize).unwrap_or_default()
            } else {
                whole = self.read(number)?;
                &whole
            };
            let header = self.header(number, file)?;
            if number == checkpoint.first {
                self.sequence = header.sequence;
            } else if self.sequence != header.sequence {
                let previous = self.segments.get(&(number - 1)).copied().unwrap_or(0);
                return Err(damaged(number - 1, previous, "the end of the segment is missing"));
            }
            let mut frames = Frames::new(self.home(number), file, HEADER_BYTES, header.sequence);
            for frame in &mut frames {
                has_end |= self.take_frame(number, &frame, replay)?;
            }
            if !frames.is_at_end() {
                return Err(damaged(number, frames.at, "a frame is damaged"));
            }
            self.sequence = frames.sequence;
        }
        if has_end { Ok(()) } else { Err(damaged(tail.segment, tail.end, "the end of a checkpoint is missing")) }
    }

    /// True: it says that the checkpoint is complete from which replay started.
    fn take_frame(&mut self, number: u32, frame: &Frame<'_>, replay: &mut Replay<'_>) -> Result<bool, OpenError> {
        self.bytes_since_end += frame.end() - frame.at();
        match frame.kind {
            Kind::Records => {
                replay(place(number, frame.payload_at), frame.payload).map_err(|refusal| OpenError::Records {
                    file: segment::name(number),
                    offset: frame.at(),
                    refusal,
                })?;
            }
            Kind::CheckpointEnd => {
                let end = self.decode_end(number, frame)?;
                if end.checkpoint != self.end.checkpoint {
                    return Err(damaged(number, frame.at(), "the end of another checkpoint stands there"));
                }
                self.end = end;
                self.bytes_since_end = 0;
                return Ok(true);
            }
            Kind::Moved => {
                let moved = relocations::decode(place(number, frame.payload_at), frame.payload)
                    .ok_or_else(|| damaged(number, frame.at(), "a table of moved blobs makes no sense"))?;
                self.relocations.add(self.end.checkpoint.number, &moved);
            }
            Kind::Removed => {
                for segment in removed_segments(frame.payload) {
                    self.end.needed.remove(&segment);
                }
            }
            Kind::Synced | Kind::Lost => {}
        }
        Ok(false)
    }

    /// Segments before the checkpoint: those that are needed must be there and whole, the others go. The newest are looked at
    /// byte by byte, up to a limit.
    fn check_older(&mut self, verify_bytes_max: u64) -> Result<(), OpenError> {
        let older: Vec<u32> = self.segments.range(..self.end.checkpoint.first).map(|(number, _)| *number).collect();
        for number in older.into_iter().filter(|number| !self.end.needed.contains_key(number)) {
            self.segments.remove(&number);
            self.leftovers.push(segment::name(number));
        }
        let mut verify_bytes = verify_bytes_max;
        for (number, needed) in self.end.needed.iter().rev() {
            self.check_length(*number, needed)?;
            if needed.bytes <= verify_bytes {
                verify_bytes -= needed.bytes;
                self.check_frames(*number)?;
            }
        }
        Ok(())
    }

    fn check_length(&self, number: u32, needed: &Needed) -> Result<(), OpenError> {
        match self.segments.get(&number) {
            None => Err(damaged(number, 0, MISSING)),
            Some(bytes) if bytes != &needed.bytes => {
                let text = format!("the file has {bytes} bytes and not {}", needed.bytes);
                Err(damaged(number, *bytes.min(&needed.bytes), &text))
            }
            Some(_) => Ok(()),
        }
    }

    fn check_frames(&self, number: u32) -> Result<(), OpenError> {
        let file = self.read(number)?;
        let header = self.header(number, &file)?;
        let mut frames = Frames::new(self.home(number), &file, HEADER_BYTES, header.sequence);
        frames.by_ref().for_each(drop);
        if frames.is_at_end() { Ok(()) } else { Err(damaged(number, frames.at, "a frame is damaged")) }
    }

    /// Cuts off the torn end, makes durable what is kept, and only then deletes what nobody needs: what says that it is not needed
    /// may have been in the memory of the operating system only.
    ///
    /// A sync may have failed before, and then the operating system may show what it never stored and take the next sync for done.
    /// So what is not known to be durable is written once more. Earlier segments are durable: none is begun before that.
    fn mend(&mut self, tail: &Tail) -> Result<(), OpenError> {
        let file = segment::name(tail.segment);
        let failed = |what: &str| {
            let what = format!("{what} {file}");
            move |error| io_error(&what, error)
        };
        if tail.end < tail.file.len() as u64 {
            self.disk.truncate(&file, tail.end).map_err(failed("cut off"))?;
        }
        self.segments.insert(tail.segment, tail.end);
        if let Some(doubtful) = tail.file.get(tail.durable_end as usize..tail.end as usize) {
            self.disk.overwrite(&file, tail.durable_end, doubtful).map_err(failed("write once more"))?;
        }
        self.disk.sync(&file).map_err(failed("sync"))?;
        self.disk.sync_directory().map_err(|error| io_error("sync the directory", error))?;
        self.remove_leftovers()
    }

    fn remove_leftovers(&mut self) -> Result<(), OpenError> {
        for file in self.leftovers.drain(..) {
            self.disk.remove(&file).map_err(|error| io_error(&format!("delete {file}"), error))?;
        }
        Ok(())
    }

    fn read(&self, number: u32) -> Result<Vec<u8>, OpenError> {
        let file = segment::name(number);
        match segment::read_whole(self.disk, &file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged(number, 0, MISSING)),
            read => read.map_err(|error| io_error(&format!("read {file}"), error)),
        }
    }

    fn header(&self, number: u32, file: &[u8]) -> Result<Header, OpenError> {
        let header = Header::decode(file).map_err(|error| match error {
            HeaderError::Newer(version) => OpenError::Newer { file: segment::name(number), version },
            HeaderError::Damaged => damaged(number, 0, "the header is damaged"),
        })?;
        if header.segment != number || self.store_id != 0 && header.store_id != self.store_id {
            return Err(damaged(number, 0, "it belongs to another store or segment"));
        }
        Ok(header)
    }

    fn decode_end(&self, number: u32, frame: &Frame<'_>) -> Result<End, OpenError> {
        let end = End::decode(frame.payload).filter(|end| end.checkpoint.first <= number);
        end.ok_or_else(|| damaged(number, frame.at(), "the end of a checkpoint makes no sense"))
    }

    fn home(&self, segment: u32) -> Home {
        Home { store_id: self.store_id, segment }
    }
}

/// The segments that a [`Kind::Removed`] frame names.
pub(crate) fn removed_segments(payload: &[u8]) -> impl Iterator<Item = u32> {
    payload.chunks_exact(4).filter_map(|bytes| crate::bytes::u32_at(bytes, 0))
}

fn damaged(number: u32, offset: u64, text: &str) -> OpenError {
    OpenError::Damaged { file: segment::name(number), offset, text: text.to_owned() }
}

pub(crate) fn io_error(what: &str, error: io::Error) -> OpenError {
    OpenError::Io { what: what.to_owned(), error }
}

pub(crate) const MISSING: &str = "the file is missing";
