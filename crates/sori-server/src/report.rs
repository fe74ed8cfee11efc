//! The broker's events as Mosquitto's log lines.

use crate::log::{Kind, Log, lines};
use sori_broker::{Cause, Event};
use sori_mqtt::{PacketId, ReasonCode};

/// Write the line of an event, if its kind is wanted.
pub(crate) fn event(log: &Log, event: &Event, connection_messages: bool) {
    match event {
        Event::Connected { .. } | Event::Disconnected { .. } | Event::Refused { .. } => {
            if connection_messages {
                connection(log, event);
            }
        }
        Event::Subscribed { client_id, filter, qos } => {
            log.write(Kind::Subscribe, format_args!("{}", lines::subscribed(client_id, *qos as u8, filter)));
        }
        Event::Unsubscribed { client_id, filter } => {
            log.write(Kind::Unsubscribe, format_args!("{}", lines::unsubscribed(client_id, filter)));
        }
        Event::Denied { client_id, topic, dup, qos, retain, packet_id, payload_bytes, is_reserved } => {
            if *is_reserved {
                log.notice(format_args!("Client {client_id} may not publish to '{topic}'."));
            }
            let publish = lines::Publish {
                dup: *dup,
                qos: *qos as u8,
                retain: *retain,
                packet_id: packet_id.map_or(0, PacketId::value),
                topic,
                payload_bytes: *payload_bytes,
            };
            log.write(Kind::Debug, format_args!("{}", lines::denied_publish(client_id, publish)));
        }
        Event::Expired { client_id } => {
            log.notice(format_args!("{}", lines::expiring(client_id)));
        }
        Event::Damaged { client_id, count } => {
            log.error(format_args!(
                "{count} messages for client {client_id} cannot be read from the store and are lost."
            ));
        }
        Event::Dropping { client_id, text } => match text {
            None => log.notice(format_args!("{}", lines::dropping(client_id))),
            Some(text) => log.notice(format_args!("{} ({text})", lines::dropping(client_id))),
        },
    }
}

fn connection(log: &Log, event: &Event) {
    match event {
        Event::Connected { client_id, address, version, clean_start, keep_alive, user_name } => {
            let client = lines::Connected {
                peer: address,
                client_id,
                level: version.level(),
                clean: *clean_start,
                keep_alive: *keep_alive,
                user_name: user_name.as_deref(),
                bridge: false,
            };
            log.notice(format_args!("{}", lines::connected(client)));
        }
        Event::Disconnected { client_id, address, cause } => {
            if let Cause::Protocol(_, text) = cause {
                log.information(format_args!("{}", lines::protocol_error(client_id, text)));
            }
            log.notice(format_args!("{}", lines::disconnected(client_id, address, ended(cause))));
        }
        Event::Refused { address, client_id, reason_code, text } => {
            let who = client_id.as_deref().unwrap_or_else(|| host(address));
            match reason_code {
                code @ (ReasonCode::NotAuthorized | ReasonCode::BadUserNameOrPassword) => {
                    // The line below is Mosquitto's, to its end. Why stands in one of its own, where there is more to say.
                    if **text != *code.text() {
                        log.information(format_args!("Client {who} [{address}] was not let in: {text}."));
                    }
                    log.notice(format_args!("{}", lines::disconnected(who, address, lines::Ended::NotAuthorised)));
                }
                code @ ReasonCode::PacketTooLarge if **text == *code.text() => {
                    log.notice(format_args!("{}", lines::disconnected(who, address, lines::Ended::OversizePacket)));
                }
                // What is wrong with a packet begins with it.
                code if *code == ReasonCode::UnspecifiedError || text.starts_with(code.text()) => {
                    log.notice(format_args!("Client {who} [{address}] disconnected: {text}."));
                }
                code => log.notice(format_args!("Client {who} [{address}] disconnected: {text} ({}).", code.text())),
            }
        }
        _ => {}
    }
}

/// An address without its port.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn ended(cause: &Cause) -> lines::Ended<'_> {
    use lines::Ended;
    match cause {
        Cause::ByClient(_) => Ended::Normally,
        Cause::Network(text) if &**text == "connection closed by client" => Ended::ConnectionClosedByClient,
        Cause::Network(text) => Ended::SystemError(text),
        Cause::KeepAlive => Ended::ExceededTimeout,
        Cause::TakenOver => Ended::SessionTakenOver,
        Cause::Dismissed | Cause::Shutdown => Ended::AdministrativeAction,
        Cause::Protocol(reason_code, _) => match reason_code {
            ReasonCode::MalformedPacket => Ended::MalformedPacket,
            ReasonCode::PacketTooLarge => Ended::OversizePacket,
            ReasonCode::NotAuthorized => Ended::NotAuthorised,
            ReasonCode::ReceiveMaximumExceeded => Ended::ReceiveMaximumExceeded,
            ReasonCode::QuotaExceeded => Ended::QuotaExceeded,
            ReasonCode::TopicAliasInvalid => Ended::TopicAliasInvalid,
            ReasonCode::RetainNotSupported | ReasonCode::QoSNotSupported => Ended::UsedDisallowedFeature,
            _ => Ended::ProtocolError,
        },
    }
}
