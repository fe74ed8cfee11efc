//! The will of a client: kept with its session, published when the connection has ended the wrong way.

use crate::message::{MessageRef, Recorded, Wire};
use crate::session::{SessionKey, StoredWill};
use crate::shard::Shard;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use sori_mqtt::{Properties, Property, PropertyBuffer, Will};

impl Shard {
    /// [MQTT-3.1.2-7] [MQTT311-3.1.2-8]
    pub(crate) fn keep_will(&self, will: &Will<'_>, key: SessionKey, mount: Option<&str>) -> Box<StoredWill> {
        let mounted = mount.map(|mount| format!("{mount}{}", will.topic));
        let message = MessageRef {
            topic: mounted.as_deref().unwrap_or(will.topic),
            payload: will.payload,
            properties: lasting_properties(will.properties).as_properties().bytes(),
            qos: will.qos,
            // [MQTT-3.1.2-14] [MQTT-3.1.2-15] [MQTT311-3.1.2-16] [MQTT311-3.1.2-17]
            retain: will.retain,
            expires: Time::NEVER,
            publisher: self.session_ref(key),
            retained_version: 0,
            recorded: Recorded::default(),
            wire: Wire::default(),
        }
        .to_shared(&self.memory);
        Box::new(StoredWill {
            message,
            at: Time::NEVER,
            delay_seconds: will.properties.will_delay_interval().unwrap_or(0),
            expiry_seconds: will.properties.message_expiry_interval(),
        })
    }

    pub(crate) fn discard_will(&mut self, key: SessionKey) {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        if session.will.take().is_some() {
            self.recorder.note_will_gone(me, session);
        }
    }

    /// The will is taken out of the session before it is published: it is published once.
    /// [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT311-3.1.2-8] [MQTT311-3.1.2-10]
    pub(crate) fn publish_will(&mut self, key: SessionKey) {
        let (now, me) = (self.now, self.session_ref(key));
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        let Some(will) = session.will.take() else { return };
        self.recorder.note_will_gone(me, session);
        let waits = self.recorder.is_on() && session.is_recorded;
        let (identity, client_id) = (Arc::clone(&session.identity), Arc::clone(&session.client_id));
        let mut message = will.message.view();
        message.recorded = Recorded { waits, ..Recorded::default() };
        if let Some(seconds) = will.expiry_seconds {
            message.expires = now.plus_seconds(u64::from(seconds));
        }
        if self.may_publish(&identity, &client_id, message.topic) {
            self.accept_message(message, None);
        }
    }
}

/// The properties that belong to the message, in their order: not those of this hop. [MQTT-3.1.3-10] [MQTT-3.3.2-18]
pub(crate) fn lasting_properties(properties: Properties<'_>) -> PropertyBuffer {
    let mut lasting = PropertyBuffer::new();
    for property in properties.iter() {
        match property {
            Property::MessageExpiryInterval(_)
            | Property::WillDelayInterval(_)
            | Property::TopicAlias(_)
            | Property::SubscriptionIdentifier(_) => {}
            kept => {
                lasting.push(kept);
            }
        }
    }
    lasting
}
