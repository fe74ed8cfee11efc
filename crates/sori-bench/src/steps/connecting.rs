//! Clients that come and go.

use std::io;

use super::{Prepared, Step};
use crate::feed::{self, Machine};

pub(super) const STEPS: [Step; 1] =
    [Step::new("connect", "CONNECT of a session that ends with its DISCONNECT", connecting)];

fn connecting() -> io::Result<Prepared> {
    let mut machine = Machine::new(1)?;
    let (connect, disconnect) = (feed::connect("visitor"), feed::disconnect());
    Ok(Prepared::new(50, move |counting| {
        machine.count(counting);
        for _ in 0..50 {
            let visitor = machine.open(0, &connect);
            machine.say(visitor, &disconnect);
        }
    }))
}
