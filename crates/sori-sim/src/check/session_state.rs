//! CONNACK says whether there was a session, and the standard says whether there had to be one.
//!
//! [MQTT-3.1.2-4] to [MQTT-3.1.2-6], [MQTT-3.1.2-23], [MQTT-3.2.2-2], [MQTT-3.2.2-3], [MQTT-4.1.0-1], [MQTT-4.1.0-2],
//! [MQTT311-3.1.2-4], [MQTT311-3.1.2-6], [MQTT311-3.2.2-1] to [MQTT311-3.2.2-3].

use sori_mqtt::Version;

use super::{Check, Findings};
use crate::facts::{Event, Facts, What};
use crate::seen::Seen;

pub(super) struct SessionState;

impl Check for SessionState {
    fn name(&self) -> &'static str {
        "session present"
    }

    fn see(&mut self, event: &Event, facts: &Facts, found: &mut Findings) {
        let What::Out(Seen::ConnAck(connack), _) = &event.what else { return };
        let link = facts.link(event.link);
        // MQTT 3.1 has no such flag: the byte is reserved.
        let expected = if link.version() == Version::V31 { Some(false) } else { link.present_expected };
        if connack.reason == 0 && expected.is_some_and(|expected| expected != connack.present) {
            found.report(format!(
                "CONNACK to {} (L{}) says session present = {}, but that is not so",
                link.client, event.link.0, connack.present
            ));
        }
    }
}
