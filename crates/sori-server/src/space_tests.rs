//! How the index is shared, with the locks that a broker has: the model checker has others, and no unit tests.

use crate::space::LockedSpace;
use crate::sync::{Mutex, yield_now};
use sori_broker::Space;

/// A thread that changes the index again and again had it again before another one had woken up, some hundred times.
#[test]
fn who_waits_for_the_index_has_it_before_the_next_change() {
    let space = LockedSpace::new(2);
    let order = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        space.write_index(&mut |_| {
            scope.spawn(|| space.read_index(&mut |_| order.lock().expect("nobody panics").push("read")));
            while !space.is_waited_for() {
                yield_now();
            }
        });
        space.write_index(&mut |_| order.lock().expect("nobody panics").push("changed"));
    });
    assert_eq!(order.into_inner().expect("nobody panics"), ["read", "changed"]);
}
