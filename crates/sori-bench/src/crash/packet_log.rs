//! The last packets of one client, small enough to keep for all of them.

use std::collections::VecDeque;
use std::fmt::Write;

use super::book::{Book, Micros};

const LINES_MAX: usize = 40_000;

#[derive(Debug, Default)]
pub(super) struct PacketLog {
    lines: VecDeque<Line>,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    at: Micros,
    kills: u32,
    what: What,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Remark(&'static str),
    /// To the broker, or from it; its kind and packet identifier.
    Packet {
        to_broker: bool,
        kind: &'static str,
        packet_id: u16,
        code: u8,
    },
    Publish {
        to_broker: bool,
        packet_id: u16,
        qos: u8,
        dup: bool,
        retain: bool,
        key: Option<(u16, u32)>,
    },
}

impl PacketLog {
    pub(super) fn add(&mut self, book: &Book, what: What) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { at: book.now, kills: book.kills, what });
    }

    pub(super) fn text(&self, book: &Book) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let _ = write!(text, "{:12.6} kill {:<4} ", line.at as f64 / 1e6, line.kills);
            let arrow = |to_broker| if to_broker { ">" } else { "          <" };
            let _ = match line.what {
                What::Remark(remark) => writeln!(text, "-- {remark}"),
                What::Packet { to_broker, kind, packet_id, code } => {
                    writeln!(text, "{} {kind} id={packet_id} code={code:#04x}", arrow(to_broker))
                }
                What::Publish { to_broker, packet_id, qos, dup, retain, key } => {
                    let name = key.map_or_else(String::new, |(stream, number)| book.name(usize::from(stream), number));
                    let dup = if dup { " dup" } else { "" };
                    let retain = if retain { " retain" } else { "" };
                    writeln!(text, "{} PUBLISH id={packet_id} q{qos}{dup}{retain} {name}", arrow(to_broker))
                }
            };
        }
        text
    }
}
