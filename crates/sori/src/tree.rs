//! `sori sub --tree`: the topics as a tree that lives in the terminal.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use terminal_size::{Height, Width, terminal_size};

use crate::failure::Failure;
use crate::message::Message;
use crate::printer::OutputEnd;
use crate::settings::{Connection, SubscribeOrder};
use crate::subscribing::{Show, subscribe_with};
use crate::voice::Voice;

/// So many levels of topics are kept; messages on others are counted only.
const NODES_MAX: usize = 20_000;
/// So much of a payload is kept.
const PREVIEW_CHARACTERS_MAX: usize = 200;
/// The screen is drawn no more often, however many messages come.
const FRAME: Duration = Duration::from_millis(200);
/// Where nobody looks at a terminal.
const PLAIN_WIDTH: usize = 120;

/// Shows the tree until it is enough. Without a terminal it is written once, at the end.
pub(crate) fn show(connection: &Connection, order: &SubscribeOrder) -> Result<(), Failure> {
    subscribe_with(connection, order, Voice::Sori, &mut Screen::new())
}

/// One level of topics.
#[derive(Default)]
struct Node {
    children: BTreeMap<String, Node>,
    messages: u64,
    /// The last payload, and whether it was retained.
    latest: Option<(String, bool)>,
}

/// All topics.
#[derive(Default)]
struct Tree {
    root: Node,
    nodes: usize,
    messages: u64,
    /// Messages on topics for which there was no room.
    elsewhere: u64,
}

impl Tree {
    fn add(&mut self, message: &Message) {
        self.messages += 1;
        let mut node = &mut self.root;
        for level in message.topic.split('/') {
            if !node.children.contains_key(level) {
                if self.nodes >= NODES_MAX {
                    self.elsewhere += 1;
                    return;
                }
                self.nodes += 1;
            }
            node = node.children.entry(level.to_owned()).or_default();
        }
        node.messages += 1;
        node.latest = Some((preview(&message.payload), message.retain));
    }

    /// At most `rows` lines, each at most `columns` wide.
    fn lines(&self, rows: usize, columns: usize) -> Vec<String> {
        let mut lines = Vec::new();
        branches(&self.root, "", &mut lines);
        let mut head = format!("{} messages on {} topics", self.messages, count(&self.root));
        if self.elsewhere > 0 {
            head.push_str(&format!("; no room for the topics of {} more", self.elsewhere));
        }
        let hidden = (lines.len() + 1).saturating_sub(rows);
        if hidden > 0 {
            // The line that says so takes a row, too.
            lines.truncate(rows.saturating_sub(2));
            lines.push(format!("... {} more lines", hidden + 1));
        }
        lines.insert(0, head);
        lines.iter().map(|line| cut(line, columns)).collect()
    }
}

/// The lines of everything below a node. Levels that lead to one place only share a line.
fn branches(node: &Node, indent: &str, lines: &mut Vec<String>) {
    let last = node.children.len().saturating_sub(1);
    for (index, (name, child)) in node.children.iter().enumerate() {
        let (mut path, mut end) = (label(name).to_owned(), child);
        while end.latest.is_none() && end.children.len() == 1 {
            let Some((next_name, next)) = end.children.first_key_value() else { break };
            path = format!("{path}/{}", label(next_name));
            end = next;
        }
        let (corner, bar) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(format!("{indent}{corner}{path}{}", value(end)));
        branches(end, &format!("{indent}{bar}"), lines);
    }
}

/// An empty level is one, too.
fn label(name: &str) -> &str {
    if name.is_empty() { "\"\"" } else { name }
}

fn value(node: &Node) -> String {
    let Some((payload, retained)) = &node.latest else { return String::new() };
    let retained = if *retained { ", retained" } else { "" };
    format!(" = {payload}  ({}{retained})", node.messages)
}

fn count(node: &Node) -> usize {
    usize::from(node.latest.is_some()) + node.children.values().map(count).sum::<usize>()
}

/// The beginning of a payload in one line; what is no text in hexadecimal.
fn preview(payload: &[u8]) -> String {
    let start = payload.get(..4 * PREVIEW_CHARACTERS_MAX).unwrap_or(payload);
    let text = match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        // A character may be cut in the middle.
        Err(error) if error.error_len().is_none() && start.len() < payload.len() => {
            start.get(..error.valid_up_to()).and_then(|start| std::str::from_utf8(start).ok())
        }
        Err(_) => None,
    };
    let line = match text {
        Some("") => "(empty)".to_owned(),
        Some(text) => text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect(),
        None => payload.iter().take(32).map(|byte| format!("{byte:02x}")).collect(),
    };
    cut(&line, PREVIEW_CHARACTERS_MAX)
}

fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

/// The tree on a terminal, drawn now and then.
struct Screen {
    tree: Tree,
    is_terminal: bool,
    /// There is something that was not drawn.
    changed: bool,
    draw_at: Instant,
}

impl Screen {
    fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { tree: Tree::default(), is_terminal, changed: true, draw_at: Instant::now() }
    }

    fn draw(&mut self) -> Result<(), OutputEnd> {
        let (rows, columns) = match terminal_size() {
            Some((Width(columns), Height(rows))) => (usize::from(rows), usize::from(columns)),
            None => (24, 80),
        };
        // From the upper left corner; each line and then the rest of the screen is cleared behind what is written.
        let mut text = "\x1B[H".to_owned();
        for line in self.tree.lines(rows.saturating_sub(1), columns) {
            text.push_str(&line);
            text.push_str("\x1B[K\n");
        }
        text.push_str("\x1B[J");
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        self.changed = false;
        self.draw_at = Instant::now() + FRAME;
        Ok(())
    }
}

impl Show for Screen {
    fn message(&mut self, message: &Message) -> Result<(), OutputEnd> {
        self.tree.add(message);
        self.changed = true;
        // Under a steady stream nothing is ever idle.
        if self.is_terminal && Instant::now() >= self.draw_at { self.draw() } else { Ok(()) }
    }

    fn idle(&mut self) -> Result<(), OutputEnd> {
        if self.is_terminal && self.changed && Instant::now() >= self.draw_at { self.draw() } else { Ok(()) }
    }

    fn wake_at(&self) -> Option<Instant> {
        (self.is_terminal && self.changed).then_some(self.draw_at)
    }

    fn end(&mut self) -> Result<(), OutputEnd> {
        if self.is_terminal {
            return self.draw();
        }
        let text = self.tree.lines(usize::MAX, PLAIN_WIDTH).join("\n") + "\n";
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use sori_mqtt::{PropertyBuffer, QoS};

    use super::*;

    fn message(topic: &str, payload: &[u8], retain: bool) -> Message {
        let (qos, properties) = (QoS::AtMostOnce, PropertyBuffer::new());
        Message { topic: topic.into(), payload: payload.into(), qos, retain, packet_id: 0, properties }
    }

    #[test]
    fn a_tree_joins_levels_that_do_not_branch() {
        let mut tree = Tree::default();
        for (topic, payload, retain) in [
            ("house/kitchen/oven/temperature", &b"180"[..], false),
            ("house/kitchen/oven/temperature", b"181", false),
            ("house/kitchen/light", b"on", true),
            ("/empty", b"\xFF\x00", false),
        ] {
            tree.add(&message(topic, payload, retain));
        }
        let expected = [
            "4 messages on 3 topics",
            "├─ \"\"/empty = ff00  (1)",
            "└─ house/kitchen",
            "   ├─ light = on  (1, retained)",
            "   └─ oven/temperature = 181  (2)",
        ];
        assert_eq!(tree.lines(99, 99), expected);
        assert_eq!(
            tree.lines(4, 20),
            ["4 messages on 3 topi…", "├─ \"\"/empty = ff00 …", "└─ house/kitchen", "... 2 more lines"]
                .map(|line| cut(line, 20))
        );
    }

    #[test]
    fn a_tree_has_a_bound() {
        let mut tree = Tree::default();
        for number in 0..NODES_MAX + 5 {
            tree.add(&message(&number.to_string(), b"", false));
        }
        assert_eq!((tree.nodes, tree.elsewhere), (NODES_MAX, 5));
        assert!(tree.lines(3, 200)[0].ends_with("no room for the topics of 5 more"));
    }

    #[test]
    fn a_payload_is_shown_in_one_line() {
        assert_eq!(preview(b"a\nb"), "a b");
        assert_eq!(preview(b""), "(empty)");
        let long = "ä".repeat(1000);
        assert_eq!(preview(long.as_bytes()).chars().count(), PREVIEW_CHARACTERS_MAX);
        assert_eq!(preview(&[0xC3; 1000]), "c3".repeat(32));
    }
}
