//! A client with very many subscriptions leaves: they go little by little, and nobody notices.

use sori_broker::Settings;

use super::lone::Lone;
use super::wire::{Version, publish, v311};

fn publish_of(topic: &str) -> Vec<u8> {
    publish(topic).encode(Version::V311)
}

// covers: [MQTT-4.1.0-2] [MQTT311-3.1.2-6]
#[test]
fn many_subscriptions_go_in_slices_and_reach_nobody_meanwhile() {
    let mut broker = Lone::new(Settings::default());
    let (many, all, publisher) = (broker.connect(v311("m")), broker.connect(v311("a")), broker.connect(v311("p")));
    for number in 0..3000 {
        broker.subscribe(many, &format!("f/{number}"), 0);
    }
    broker.subscribe(many, "$share/g/s", 0);
    broker.subscribe(all, "f/#", 0);
    broker.subscribe(all, "$share/g/s", 0);
    broker.leave(many);
    let (left, shared) = broker.subscriptions();
    assert!((2000..3000).contains(&left), "{left} are left after the first slice");
    assert_eq!(shared, 1, "shared ones go first");

    // The same client comes back at once, with a few of its old subscriptions.
    let again = broker.connect(v311("m"));
    for number in 2990..3000 {
        broker.subscribe(again, &format!("f/{number}"), 0);
    }
    let mut left = broker.subscriptions().0;
    let mut slices = 0;
    while broker.is_due() {
        for topic in ["f/5", "f/1500"] {
            assert_eq!(broker.publish(publisher, topic, &[all, again]), [publish_of(topic), vec![]]);
        }
        assert_eq!(broker.publish(publisher, "f/2995", &[all, again]), [publish_of("f/2995"), publish_of("f/2995")]);
        for _ in 0..2 {
            assert_eq!(broker.publish(publisher, "s", &[all]), [publish_of("s")]);
        }
        broker.tick();
        let now = broker.subscriptions().0;
        assert!(now < left && left - now <= 512, "{left} became {now} in one slice");
        (left, slices) = (now, slices + 1);
    }
    assert!(slices >= 4, "{slices} slices");
    assert_eq!(broker.subscriptions(), (12, 1));
    assert_eq!(broker.publish(publisher, "f/2995", &[again]), [publish_of("f/2995")]);
    for id in [again, all] {
        broker.leave(id);
    }
    assert_eq!(broker.subscriptions(), (0, 0));
}
