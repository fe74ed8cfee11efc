//! A client whose will has a long delay, and who always comes back in time: nobody may ever see its will.

use super::{Role, Scene};
use crate::crash::book::{Book, Micros};
use crate::crash::line::{Line, Seen, Way};

pub(in crate::crash) struct WillKeeper {
    next_at: Micros,
}

impl WillKeeper {
    pub(in crate::crash) fn new() -> WillKeeper {
        WillKeeper { next_at: 0 }
    }
}

impl Role for WillKeeper {
    fn see(&mut self, _seen: Seen, _scene: &mut Scene<'_>) {}

    fn act(&mut self, scene: &mut Scene<'_>) {
        let now = scene.book.now;
        if now < self.next_at || scene.book.is_draining {
            scene.line.wants_connection |= scene.book.is_draining;
            return;
        }
        self.next_at = now + scene.random.range(0, 300_000);
        if !scene.line.has_socket() {
            scene.line.wants_connection = true;
        } else if scene.line.is_connected() {
            match scene.random.range(0, 3) {
                0 => scene.line.take_over(scene.book, scene.registry),
                1 => scene.line.leave(scene.book, Way::Drop),
                _ => {}
            }
        }
    }

    fn is_done(&self, line: &Line, _book: &Book) -> bool {
        line.is_connected()
    }
}
