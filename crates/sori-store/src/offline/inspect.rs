//! Looks at every byte of a store, and goes on behind what is damaged.

use super::Progress;
use super::verify::{Finding, Severity};
use crate::blob;
use crate::checkpoint::{End, Needed};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::frame::{Frame, Frames, Home, Kind};
use crate::open::{MISSING, Replay, io_error, removed_segments};
use crate::place;
use crate::relocations;
use crate::segment::{self, Checkpoint, HEADER_BYTES, Header, HeaderError};
use std::collections::{BTreeMap, BTreeSet};

/// All that is known about a store.
pub(super) struct Inspected {
    pub(super) store_id: u64,
    pub(super) segments: BTreeMap<u32, Segment>,
    /// Where replay starts.
    pub(super) checkpoint: Checkpoint,
    /// What the frame says that completed it, if that is whole.
    pub(super) end: Option<End>,
    pub(super) removed: BTreeSet<u32>,
    pub(super) findings: Vec<Finding>,
    /// Records that cannot be read, by their segments: nobody reads those from before the checkpoint.
    refused: Vec<(u32, Finding)>,
}

/// What is known about one segment.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) bytes: u64,
    /// What its header says, or would have to say; `None`: nothing of the file tells.
    pub(super) header: Option<Header>,
    pub(super) is_header_damaged: bool,
    /// Damaged frames with whole ones behind them.
    pub(super) holes: Vec<Hole>,
    /// Where the last whole frame ends.
    pub(super) end: u64,
    /// The sequence number of the frame that would follow.
    pub(super) next_sequence: u64,
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) from: u64,
    pub(super) to: u64,
    /// The first frame that is lost.
    pub(super) sequence: u64,
    /// The one that follows the lost ones.
    pub(super) next_sequence: u64,
}

impl Inspected {
    /// Looks at all of a store. An error means that it could not be looked at, not that it is damaged.
    pub(super) fn new(
        disk: &dyn Disk,
        understand: &mut Replay<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Inspected, OpenError> {
        let numbers = segment::numbers(disk).map_err(|error| io_error("read the directory", error))?;
        let mut inspected = Inspected {
            store_id: 0,
            segments: BTreeMap::new(),
            checkpoint: Checkpoint::NONE,
            end: None,
            removed: BTreeSet::new(),
            findings: Vec::new(),
            refused: Vec::new(),
        };
        inspected.find_store(disk, &numbers)?;
        let mut bytes_total = 0;
        for number in &numbers {
            let file = segment::name(*number);
            bytes_total += disk.length(&file).map_err(|error| io_error(&format!("read {file}"), error))?;
        }
        let mut bytes_done = 0;
        for number in &numbers {
            let file = segment::name(*number);
            let bytes = segment::read_whole(disk, &file).map_err(|error| io_error(&format!("read {file}"), error))?;
            inspected.look_at(*number, &bytes, numbers.last() == Some(number), understand);
            bytes_done += bytes.len() as u64;
            progress(Progress { bytes_done, bytes_total });
        }
        inspected.compare();
        Ok(inspected)
    }

    pub(super) fn tail(&self) -> Option<u32> {
        self.segments.last_key_value().map(|(number, _)| *number)
    }

    pub(super) fn home(&self, segment: u32) -> Home {
        Home { store_id: self.store_id, segment }
    }

    /// The store's name, from the newest header that is whole: without it no frame can be told from other bytes.
    fn find_store(&mut self, disk: &dyn Disk, numbers: &[u32]) -> Result<(), OpenError> {
        for number in numbers.iter().rev() {
            let file = segment::name(*number);
            let mut bytes = vec![0; HEADER_BYTES as usize];
            let got = disk.read(&file, 0, &mut bytes).map_err(|error| io_error(&format!("read {file}"), error))?;
            bytes.truncate(got);
            match Header::decode_either(&bytes) {
                Ok(header) => {
                    self.store_id = header.store_id;
                    return Ok(());
                }
                Err(HeaderError::Newer(version)) => return Err(OpenError::Newer { file, version }),
                Err(HeaderError::Damaged) => {}
            }
        }
        Ok(())
    }

    fn look_at(&mut self, number: u32, file: &[u8], is_last: bool, understand: &mut Replay<'_>) {
        let mut segment = Segment { bytes: file.len() as u64, end: HEADER_BYTES, ..Segment::default() };
        segment.is_header_damaged = Header::decode(file).is_err();
        let is_just_begun = is_last && segment.bytes <= HEADER_BYTES && segment.is_header_damaged;
        segment.header = if is_just_begun { None } else { self.header(number, file) };
        match segment.header {
            Some(header) => {
                if header.checkpoint.number > self.checkpoint.number {
                    (self.checkpoint, self.end) = (header.checkpoint, None);
                }
                if segment.is_header_damaged {
                    self.find(number, 0, "the header is damaged", Severity::Damage);
                }
                self.look_at_frames(number, file, is_last, &mut segment, understand);
            }
            None if is_just_begun => {
                self.find(number, 0, "the segment was just begun; it will be deleted", Severity::Note);
            }
            None => self.find(number, 0, "nothing in this file can be read", Severity::Damage),
        }
        self.segments.insert(number, segment);
    }

    /// What the header says; if it is gone, the rest of the store and the first frame tell.
    fn header(&self, number: u32, file: &[u8]) -> Option<Header> {
        let is_ours = |header: &Header| header.segment == number && header.store_id == self.store_id;
        if let Some(header) = Header::decode_either(file).ok().filter(is_ours) {
            return Some(header);
        }
        let first = Frame::parse(self.home(number), file, HEADER_BYTES as usize).map(|first| first.sequence.max(1));
        let later = || Frames::new(self.home(number), file, HEADER_BYTES, 0).after_damage().next();
        // If the first frame is damaged as well, at least one is lost.
        let sequence = first.or_else(|| later().map(|later| (later.sequence - 1).max(1)))?;
        Some(Header { store_id: self.store_id, segment: number, sequence, checkpoint: Checkpoint::NONE })
    }

    fn look_at_frames(
        &mut self,
        number: u32,
        file: &[u8],
        is_last: bool,
        segment: &mut Segment,
        understand: &mut Replay<'_>,
    ) {
        let sequence = segment.header.map_or(0, |header| header.sequence);
        let mut frames = Frames::new(self.home(number), file, HEADER_BYTES, sequence);
        loop {
            for frame in &mut frames {
                self.look_into(number, &frame, understand);
            }
            (segment.end, segment.next_sequence) = (frames.at, frames.sequence);
            if frames.is_at_end() {
                return;
            }
            if is_last && file.get(frames.at as usize..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0)) {
                // Room for what comes next, which a broker keeps while it runs.
                return;
            }
            let is_torn = is_last && !frames.after_damage().any(|later| later.synced_upto >= frames.sequence);
            let next = frames.after_damage().next();
            match next {
                _ if is_torn => {
                    let bytes = (file.len() as u64).saturating_sub(frames.at);
                    let text = format!("the end is torn: {bytes} bytes that never were durable will be cut off");
                    return self.find(number, frames.at, &text, Severity::Note);
                }
                None => {
                    let text = format!("damaged up to the end of the file, which is at {}", file.len());
                    return self.find(number, frames.at, &text, Severity::Damage);
                }
                Some(next) => {
                    let hole = Hole {
                        from: frames.at,
                        to: next.at(),
                        sequence: frames.sequence,
                        next_sequence: next.sequence,
                    };
                    segment.holes.push(hole);
                    let lost = hole.next_sequence - hole.sequence;
                    let text = format!("damaged up to offset {}: {lost} frames cannot be read", hole.to);
                    self.find(number, hole.from, &text, Severity::Damage);
                    frames = Frames::new(self.home(number), file, hole.to, hole.next_sequence);
                }
            }
        }
    }

    fn look_into(&mut self, number: u32, frame: &Frame<'_>, understand: &mut Replay<'_>) {
        match frame.kind {
            Kind::CheckpointEnd => match End::decode(frame.payload) {
                Some(end) if end.checkpoint.number >= self.checkpoint.number && end.checkpoint.first <= number => {
                    self.checkpoint = end.checkpoint;
                    self.end = Some(end);
                    self.removed.clear();
                }
                Some(_) => {}
                None => self.find(number, frame.at(), "the end of a checkpoint makes no sense", Severity::Damage),
            },
            Kind::Moved => self.look_at_moved(number, frame),
            Kind::Removed => self.removed.extend(removed_segments(frame.payload)),
            Kind::Lost => {
                let lost = frame.next_sequence() - frame.sequence;
                self.find(
                    number,
                    frame.at(),
                    &format!("{lost} frames were lost when the store was repaired"),
                    Severity::Note,
                );
            }
            Kind::Records => {
                let place = place::place(number, frame.payload_at);
                if let Err(refusal) = understand(place, frame.payload) {
                    let severity = if refusal.is_newer { Severity::Newer } else { Severity::Damage };
                    self.refused.push((number, finding(number, frame.at(), &refusal.text, severity)));
                }
            }
            Kind::Synced => {}
        }
    }

    fn look_at_moved(&mut self, number: u32, frame: &Frame<'_>) {
        let base = place::place(number, frame.payload_at);
        let Some(moved) = relocations::decode(base, frame.payload) else {
            return self.find(number, frame.at(), "a table of moved blobs makes no sense", Severity::Damage);
        };
        for (_, at) in moved {
            if !blob::is_whole(frame.payload, (at - base) as usize) {
                self.find(number, place::offset(at).into(), "a moved blob is damaged", Severity::Damage);
            }
        }
    }

    /// What one segment says about others.
    fn compare(&mut self) {
        let mut findings = self.gaps();
        findings.extend(self.wrong_lengths());
        let first = self.checkpoint.first;
        findings.extend(self.refused.extract_if(.., |(number, _)| *number >= first).map(|(_, finding)| finding));
        let leftovers: Vec<u32> = self.segments.keys().copied().filter(|number| self.is_leftover(*number)).collect();
        for number in leftovers {
            // Whatever is wrong with it, nobody looks at it again.
            let file = segment::name(number);
            self.findings.retain(|finding| finding.file != file);
            findings.push(finding(number, 0, "nobody needs this segment; it will be deleted", Severity::Note));
        }
        self.findings.extend(findings);
    }

    /// Where the log, which should go on from the checkpoint to the end, does not.
    fn gaps(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let Some((tail, last)) = self.segments.last_key_value() else { return findings };
        let mut expected = self.checkpoint.first;
        let mut previous: Option<(u32, &Segment)> = None;
        for (number, segment) in self.segments.range(expected..) {
            if expected < *number {
                let text = format!("{} files are missing from this one on", number - expected);
                findings.push(finding(expected, 0, &text, Severity::Damage));
            } else if let (Some((before, previous)), Some(header)) = (previous, segment.header)
                && previous.header.is_some()
                && previous.end == previous.bytes
                && previous.next_sequence != header.sequence
            {
                findings.push(finding(before, previous.end, "the end of the segment is missing", Severity::Damage));
            }
            expected = number + 1;
            previous = Some((*number, segment));
        }
        if self.end.is_none() && self.checkpoint.number > 0 {
            findings.push(finding(*tail, last.end, "the end of a checkpoint is missing", Severity::Damage));
        }
        findings
    }

    /// Segments before the checkpoint that are not as its end says.
    fn wrong_lengths(&self) -> Vec<Finding> {
        let needed = self.end.iter().flat_map(|end| &end.needed).filter(|(number, _)| !self.removed.contains(number));
        let wrong = |(number, needed): (&u32, &Needed)| match self.segments.get(number).map(|segment| segment.bytes) {
            None => Some(finding(*number, 0, MISSING, Severity::Damage)),
            Some(bytes) if bytes != needed.bytes => {
                let text = format!("the file has {bytes} bytes and not {}", needed.bytes);
                Some(finding(*number, bytes.min(needed.bytes), &text, Severity::Damage))
            }
            Some(_) => None,
        };
        needed.filter_map(wrong).collect()
    }

    /// A segment from before the checkpoint that is not needed any more.
    pub(super) fn is_leftover(&self, number: u32) -> bool {
        let is_needed = |end: &End| end.needed.contains_key(&number) && !self.removed.contains(&number);
        number < self.checkpoint.first && self.end.as_ref().is_some_and(|end| !is_needed(end))
    }

    fn find(&mut self, number: u32, offset: u64, text: &str, severity: Severity) {
        self.findings.push(finding(number, offset, text, severity));
    }
}

fn finding(number: u32, offset: u64, text: &str, severity: Severity) -> Finding {
    Finding { file: segment::name(number), offset, text: text.to_owned(), severity }
}
