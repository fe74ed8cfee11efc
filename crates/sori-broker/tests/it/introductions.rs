//! Listeners that find out by themselves who a client is and where it comes from.

use std::sync::Arc;

use sori_broker::{
    Effect, Event, Introduction, ListenerSettings, OpenAccess, PlainSpace, Settings, Shard, ShardId, Time,
};

/// A CONNECT of MQTT 5.0 with client identifier "a", user name "liar" and password "x".
const CONNECT: &[u8] = b"\x10\x17\0\x04MQTT\x05\xC2\0\x00\0\0\x01a\0\x04liar\0\x01x";

/// What a client that was introduced like this is told, and what the broker tells of it.
fn connect(listener: &ListenerSettings, introduction: Introduction) -> (Vec<u8>, Event) {
    #[expect(clippy::arc_with_non_send_sync, reason = "a shard takes an `Arc`, also where there is one thread")]
    let (settings, space) = (Arc::new(Settings::default()), Arc::new(PlainSpace::default()));
    let mut shard = Shard::new(ShardId(0), 1, settings, space, Arc::new(OpenAccess), 42, Time(0));
    let connection = shard.open(Time(1), Arc::new(listener.clone()), "10.0.0.1:5");
    shard.introduce(connection, introduction);
    shard.receive(Time(2), connection, CONNECT);
    let answer = shard.output(connection).collect::<Vec<_>>().concat();
    loop {
        match shard.next_effect() {
            Some(Effect::Event(event)) => return (answer, event),
            Some(_) => {}
            None => unreachable!("a CONNECT is told of"),
        }
    }
}

fn named(name: Option<&str>) -> Introduction {
    Introduction { user_name: name.map(Box::from), ..Introduction::default() }
}

fn naming() -> ListenerSettings {
    ListenerSettings { names_its_clients: true, allow_anonymous: false, ..ListenerSettings::default() }
}

#[test]
fn the_name_that_is_proven_takes_the_place_of_the_one_that_is_said() {
    let (answer, event) = connect(&naming(), named(Some("device")));
    assert_eq!(answer[3], 0);
    assert!(matches!(event, Event::Connected { user_name: Some(name), .. } if &*name == "device"));
    let by_name = ListenerSettings { use_username_as_client_id: true, ..naming() };
    let (_, event) = connect(&by_name, named(Some("device")));
    assert!(matches!(event, Event::Connected { client_id, .. } if &*client_id == "device"));
}

#[test]
fn who_is_not_introduced_by_name_is_refused_where_names_are_proven() {
    let anonymous = ListenerSettings { allow_anonymous: true, ..naming() };
    for listener in [naming(), anonymous] {
        let (answer, event) = connect(&listener, named(None));
        assert_eq!(answer[3], 0x86);
        assert!(matches!(event, Event::Refused { .. }));
    }
}

#[test]
fn a_name_does_not_count_where_clients_say_it_themselves() {
    let (answer, event) = connect(&ListenerSettings::default(), named(Some("device")));
    assert_eq!(answer[3], 0);
    assert!(matches!(event, Event::Connected { user_name: Some(name), .. } if &*name == "liar"));
}

#[test]
fn an_address_takes_the_place_of_the_connections_own() {
    let introduction = Introduction { address: Some("192.0.2.5:6275".into()), user_name: None };
    let (_, event) = connect(&ListenerSettings::default(), introduction);
    assert!(matches!(event, Event::Connected { address, .. } if &*address == "192.0.2.5:6275"));
}
