//! Publishes in bursts, and resends what was not acknowledged, as its session does by itself.

use super::{Role, Scene};
use crate::crash::book::{Book, Kind, Micros};
use crate::crash::line::{Line, Seen, Way};

/// So many messages are unacknowledged at most.
const UNFINISHED_MAX: usize = 24;

pub(in crate::crash) struct Publisher {
    streams: Vec<u16>,
    next_at: Micros,
    back_at: Micros,
    /// Milliseconds between bursts, at most.
    pause_max: u64,
}

impl Publisher {
    pub(in crate::crash) fn new(streams: Vec<u16>, pause_max: u64) -> Publisher {
        Publisher { streams, next_at: 0, back_at: 0, pause_max }
    }

    fn publish(&mut self, scene: &mut Scene<'_>) {
        let burst = scene.random.range(1, 10);
        for _ in 0..burst {
            if scene.line.unfinished() >= UNFINISHED_MAX {
                return;
            }
            let stream = self.streams[scene.random.range(0, self.streams.len() as u64 - 1) as usize];
            let kind = scene.book.streams[usize::from(stream)].kind;
            let is_removal = kind == Kind::Retained && scene.random.chance(20);
            let size = match scene.random.range(0, 99) {
                0 => 40_000,
                1..=9 => 3_000,
                10..=49 => 200,
                _ => 16,
            };
            scene.line.publish(scene.book, stream, is_removal, size);
        }
    }
}

impl Role for Publisher {
    fn see(&mut self, _seen: Seen, _scene: &mut Scene<'_>) {}

    fn act(&mut self, scene: &mut Scene<'_>) {
        let now = scene.book.now;
        if !scene.line.wants_connection && (now >= self.back_at || scene.book.is_draining) {
            scene.line.wants_connection = true;
        }
        if scene.book.is_draining || now < self.next_at {
            return;
        }
        self.next_at = now + scene.random.range(0, self.pause_max * 1000);
        if !scene.line.is_connected() {
            return;
        }
        self.publish(scene);
        match scene.random.range(0, 9_999) {
            0..=19 => scene.line.take_over(scene.book, scene.registry),
            20..=39 => {
                scene.line.leave(scene.book, Way::Drop);
                self.back_at = now + scene.random.range(0, 50_000);
            }
            _ => {}
        }
    }

    fn is_done(&self, line: &Line, _book: &Book) -> bool {
        line.is_connected() && line.unfinished() == 0
    }
}
