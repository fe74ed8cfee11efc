//! Mends a damaged store: keeps what is before the damage, and what is whole behind it.
//!
//! Frames that are whole stay where they are, because others refer to the places of their blobs. What is damaged between them is
//! covered by a frame that says so. A copy of each file that is changed stays beside it.

use super::Progress;
use super::inspect::{Hole, Inspected, Segment};
use super::verify::{Finding, Severity};
use crate::checkpoint::{End, Needed};
use crate::disk::Disk;
use crate::error::{OpenError, Refusal};
use crate::frame::{self, FRAME_HEADER_BYTES, Frames, Kind};
use crate::open::io_error;
use crate::place;
use crate::segment::{self, Checkpoint, HEADER_BYTES, Header};
use std::collections::BTreeMap;
use std::io;

/// The one who understands the records, and so knows whether they still fit together.
pub trait Records {
    /// Starts anew: all frames come again.
    fn begin(&mut self);
    /// The next frame of records: where it stands, and its bytes. A frame that is refused is dropped from the store, but for one
    /// of a newer version: then the store is left to that.
    fn frame(&mut self, place: u64, bytes: &[u8]) -> Result<(), Refusal>;
}

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What was damaged, and so is lost.
    pub lost: Vec<Finding>,
    /// Copies of the files as they were.
    pub copies: Vec<String>,
}

/// Mends a store that nobody has open. Nothing is changed if nothing is damaged.
pub fn repair(
    disk: &dyn Disk,
    records: &mut dyn Records,
    progress: &mut dyn FnMut(Progress),
) -> Result<Repaired, OpenError> {
    let inspected = Inspected::new(disk, &mut |_, _| Ok(()), progress)?;
    let mut repair = Repair { disk, inspected, changed: BTreeMap::new(), repaired: Repaired::default() };
    let damage = repair.inspected.findings.iter().filter(|finding| finding.severity == Severity::Damage);
    repair.repaired.lost = damage.cloned().collect();
    repair.cover_damage()?;
    repair.drop_refused(records)?;
    if !repair.repaired.lost.is_empty() {
        repair.end_checkpoint()?;
        repair.write()?;
    }
    Ok(repair.repaired)
}

struct Repair<'a> {
    disk: &'a dyn Disk,
    inspected: Inspected,
    /// Files as they are to be.
    changed: BTreeMap<u32, Vec<u8>>,
    repaired: Repaired,
}

impl Repair<'_> {
    /// Makes whole files of damaged ones, each with the log going on in the next.
    fn cover_damage(&mut self) -> Result<(), OpenError> {
        let Some(tail) = self.inspected.tail() else { return Ok(()) };
        let all: Vec<u32> = self.inspected.segments.keys().copied().collect();
        let replayed = self.inspected.checkpoint.first..=tail;
        let mut numbers: Vec<u32> =
            all.into_iter().chain(replayed).filter(|n| !self.inspected.is_leftover(*n)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        // What a missing segment was to begin with is only known from the one before it.
        let mut sequence = None;
        for number in numbers {
            let is_replayed = number >= self.inspected.checkpoint.first;
            let next = self.next_sequence_known(number).filter(|_| is_replayed && number < tail);
            sequence = self.cover_segment(number, sequence.filter(|_| is_replayed), next, number == tail)?;
        }
        Ok(())
    }

    /// The sequence number with which the next segment begins that is known.
    fn next_sequence_known(&self, number: u32) -> Option<u64> {
        let mut later = self.inspected.segments.range(number + 1..);
        later.find_map(|(_, segment)| segment.header).map(|header| header.sequence)
    }

    /// Makes a segment whole, and says with which sequence number the next one begins.
    fn cover_segment(
        &mut self,
        number: u32,
        begins: Option<u64>,
        next: Option<u64>,
        is_tail: bool,
    ) -> Result<Option<u64>, OpenError> {
        let empty = Segment::default();
        let segment = self.inspected.segments.get(&number).unwrap_or(&empty);
        let header = segment.header.unwrap_or(Header {
            store_id: self.inspected.store_id,
            segment: number,
            sequence: begins.or(next).unwrap_or(1),
            // The end of the log names the checkpoint: see `end_checkpoint`.
            checkpoint: Checkpoint::NONE,
        });
        if is_tail && segment.header.is_none() && segment.bytes <= HEADER_BYTES {
            return Ok(None);
        }
        let is_known = segment.header.is_some();
        let end = if is_known { segment.end } else { HEADER_BYTES };
        let mut next_sequence = if is_known { segment.next_sequence } else { header.sequence };
        let is_cut = end < segment.bytes && !is_tail || !is_known;
        let gap = next.filter(|next| *next > next_sequence);
        if segment.is_header_damaged || !is_known || !segment.holes.is_empty() || is_cut || gap.is_some() {
            let holes = segment.holes.clone();
            let mut file = if is_known { self.read(number)? } else { Vec::new() };
            if !is_tail || !is_known {
                file.truncate(end as usize);
            }
            file.resize(file.len().max(HEADER_BYTES as usize), 0);
            file[..HEADER_BYTES as usize].copy_from_slice(&header.encode());
            holes.iter().for_each(|hole| self.cover(number, &mut file, hole));
            if let Some(next) = gap {
                let at = file.len() as u64;
                let hole =
                    Hole { from: at, to: at + FRAME_HEADER_BYTES as u64, sequence: next_sequence, next_sequence: next };
                file.resize(hole.to as usize, 0);
                self.cover(number, &mut file, &hole);
                next_sequence = next;
            }
            self.changed.insert(number, file);
        }
        Ok(Some(next_sequence))
    }

    /// Puts a frame where there is none.
    fn cover(&self, number: u32, file: &mut [u8], hole: &Hole) {
        let (from, to) = (hole.from as usize, hole.to as usize);
        let (home, last) = (self.inspected.home(number), hole.next_sequence - 1);
        let Some((header, payload)) =
            file.get_mut(from..to).and_then(|hole| hole.split_at_mut_checked(FRAME_HEADER_BYTES))
        else {
            return;
        };
        payload.fill(0);
        header.copy_from_slice(&frame::header(home, hole.from, Kind::Lost, hole.sequence, last, payload));
    }

    /// Drops frames that their owner does not take, until all that is left fits together.
    fn drop_refused(&mut self, records: &mut dyn Records) -> Result<(), OpenError> {
        loop {
            let refused = self.refused(records)?;
            if refused.is_empty() {
                return Ok(());
            }
            for (number, hole, refusal) in refused {
                if refusal.is_newer {
                    return Err(OpenError::Records { file: segment::name(number), offset: hole.from, refusal });
                }
                let mut file = self.read(number)?;
                self.cover(number, &mut file, &hole);
                self.changed.insert(number, file);
                let (file, offset) = (segment::name(number), hole.from);
                self.repaired.lost.push(Finding { file, offset, text: refusal.text, severity: Severity::Damage });
            }
        }
    }

    fn refused(&self, records: &mut dyn Records) -> Result<Vec<(u32, Hole, Refusal)>, OpenError> {
        records.begin();
        let mut refused = Vec::new();
        let Some(tail) = self.inspected.tail() else { return Ok(refused) };
        for number in self.inspected.checkpoint.first..=tail {
            let file = self.read(number)?;
            let Ok(header) = Header::decode(&file) else { continue };
            for frame in Frames::new(self.inspected.home(number), &file, HEADER_BYTES, header.sequence) {
                let place = place::place(number, frame.payload_at);
                if frame.kind == Kind::Records
                    && let Err(refusal) = records.frame(place, frame.payload)
                {
                    let (sequence, next_sequence) = (frame.sequence, frame.next_sequence());
                    refused.push((
                        number,
                        Hole { from: frame.at(), to: frame.end(), sequence, next_sequence },
                        refusal,
                    ));
                }
            }
        }
        Ok(refused)
    }

    /// Says at the end of the log which segments there are now.
    fn end_checkpoint(&mut self) -> Result<(), OpenError> {
        let checkpoint = self.inspected.checkpoint;
        let Some(tail) = self.inspected.tail() else { return Ok(()) };
        let mut needed = BTreeMap::new();
        for (number, segment) in self.inspected.segments.range(..checkpoint.first) {
            if !self.inspected.is_leftover(*number) {
                let bytes = self.changed.get(number).map_or(segment.bytes, |file| file.len() as u64);
                let known = self.inspected.end.as_ref().and_then(|end| end.needed.get(number));
                let live_bytes = known.map_or(bytes, |needed| needed.live_bytes.min(bytes));
                needed.insert(*number, Needed { bytes, live_bytes });
            }
        }
        let live_bytes = needed.values().map(|needed| needed.live_bytes).sum();
        let mut file = self.read(tail)?;
        let header = match Header::decode(&file) {
            Ok(header) => header,
            // It was just begun when the power went, or cannot be read at all.
            Err(_) => {
                let header = self.begin_again(tail)?;
                file = header.encode();
                header
            }
        };
        let mut frames = Frames::new(self.inspected.home(tail), &file, HEADER_BYTES, header.sequence);
        frames.by_ref().for_each(drop);
        let (at, sequence) = (frames.at, frames.sequence);
        file.truncate(at as usize);
        let mut payload = Vec::new();
        End { checkpoint, live_bytes, needed }.encode(&mut payload);
        let home = self.inspected.home(tail);
        file.extend_from_slice(&frame::header(home, at, Kind::CheckpointEnd, sequence, sequence - 1, &payload));
        file.extend_from_slice(&payload);
        self.changed.insert(tail, file);
        Ok(())
    }

    /// A header for a last segment that has none: it goes on where the one before it ends.
    fn begin_again(&self, tail: u32) -> Result<Header, OpenError> {
        let (inspected, changed) = (self.inspected.segments.range(..tail), self.changed.range(..tail));
        let previous = inspected.map(|(number, _)| *number).chain(changed.map(|(number, _)| *number)).max();
        let mut sequence = 1;
        if let Some(previous) = previous {
            let file = self.read(previous)?;
            if let Ok(header) = Header::decode(&file) {
                let mut frames = Frames::new(self.inspected.home(previous), &file, HEADER_BYTES, header.sequence);
                frames.by_ref().for_each(drop);
                sequence = frames.sequence;
            }
        }
        Ok(Header { store_id: self.inspected.store_id, segment: tail, sequence, checkpoint: Checkpoint::NONE })
    }

    /// A file as it is to be.
    fn read(&self, number: u32) -> Result<Vec<u8>, OpenError> {
        if let Some(file) = self.changed.get(&number) {
            return Ok(file.clone());
        }
        let file = segment::name(number);
        segment::read_whole(self.disk, &file).map_err(|error| io_error(&format!("read {file}"), error))
    }

    /// Writes all that has changed, the end of the log last: until then the store is still one that has to be repaired. A file is
    /// replaced only when its copy is safe.
    fn write(&mut self) -> Result<(), OpenError> {
        for (number, bytes) in std::mem::take(&mut self.changed) {
            let name = segment::name(number);
            let copied = self.replace(&name, &bytes).map_err(|error| io_error(&format!("repair {name}"), error))?;
            self.repaired.copies.extend(copied);
        }
        Ok(())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<Option<String>> {
        let names = self.disk.list()?;
        let is_there = |name: &str| names.iter().any(|other| other == name);
        let copy = is_there(name).then(|| free_name(name, is_there));
        if let Some(copy) = &copy {
            self.write_file(copy, &segment::read_whole(self.disk, name)?)?;
        }
        let new = format!("{name}.new");
        if is_there(&new) {
            self.disk.remove(&new)?;
        }
        self.write_file(&new, bytes)?;
        self.disk.sync_directory()?;
        self.disk.rename(&new, name)?;
        self.disk.sync_directory()?;
        Ok(copy)
    }

    fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk.create(name)?;
        self.disk.append(name, bytes)?;
        self.disk.sync(name)
    }
}

fn free_name(name: &str, is_there: impl Fn(&str) -> bool) -> String {
    let mut copy = format!("{name}.damaged");
    let mut count = 1;
    while is_there(&copy) {
        count += 1;
        copy = format!("{name}.damaged{count}");
    }
    copy
}
