//! The way from shard to shard alone, with nothing before it but the look who gets a message, and no delivery behind it.

use std::io;

use sori_broker::Settings;
use sori_mqtt::QoS;

use super::{Prepared, Step};
use crate::feed::{self, Workers};

/// Messages of one turn, which go together.
const MESSAGES: usize = 100;
const TOPIC: &str = "sensors/1/temperature";

pub(super) const STEPS: [Step; 1] = [Step::new(
    "mail",
    "a message put into mail, which is posted, taken out and given back, and not delivered",
    mailing,
)];

fn mailing() -> io::Result<Prepared> {
    let workers = Workers::new(2, Settings::default())?;
    let (mut here, mut there) = (workers.worker(0), workers.worker(1));
    let subscriber = there.open(&feed::connect("subscriber"));
    there.say(subscriber, &feed::subscribe(&[TOPIC], QoS::AtMostOnce));
    while there.turn() {}
    Ok(Prepared::new(MESSAGES as u64, move |counting| {
        here.count(counting);
        there.count(counting);
        for _ in 0..MESSAGES {
            here.publish(TOPIC, &[b'.'; 64]);
        }
        here.post_mail();
        assert_eq!(there.throw_mail_away(), MESSAGES, "every message is on its way");
    }))
}
