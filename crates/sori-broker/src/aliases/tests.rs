//! Topic aliases: every one that is allowed, and none beyond.

use alloc::format;

use super::*;
use crate::looks;

// covers: [MQTT-3.3.2-12]
#[test]
fn mqtt5_3_3_2_12_every_alias_a_client_may_set_is_found_again() {
    let mut aliases = AliasesIn::default();
    for alias in [5, 1, 9, 65_535] {
        assert_eq!(aliases.find(alias), None);
        aliases.set(alias, &format!("t/{alias}"));
    }
    for alias in [5, 1, 9, 65_535] {
        assert_eq!(aliases.find(alias).as_deref(), Some(&*format!("t/{alias}")));
    }
    aliases.set(5, "other");
    assert_eq!(aliases.find(5).as_deref(), Some("other"));
    assert_eq!(aliases.find(0), None);
    assert_eq!(aliases.find(2), None);
}

// covers: [MQTT-3.3.2-11] [MQTT-3.1.2-26] [MQTT-3.1.2-27]
#[test]
fn mqtt5_3_1_2_26_aliases_towards_a_client_end_at_its_maximum() {
    let mut aliases = AliasesOut::new(2);
    // Asked for, but not sent: not set.
    assert_eq!(aliases.find("a"), Some(Alias::Set(1)));
    assert_eq!(aliases.find("b"), Some(Alias::Set(1)));
    aliases.sent(Alias::Set(1), "a");
    assert_eq!(aliases.find("a"), Some(Alias::Use(1)));
    aliases.sent(Alias::Use(1), "a");
    assert_eq!(aliases.find("b"), Some(Alias::Set(2)));
    aliases.sent(Alias::Set(2), "b");
    assert_eq!((aliases.find("a"), aliases.find("b")), (Some(Alias::Use(1)), Some(Alias::Use(2))));
    assert_eq!(aliases.find("c"), None);
    assert_eq!(AliasesOut::new(0).find("a"), None);
}

/// However many aliases there are, a topic is found at once.
#[test]
fn a_topic_is_found_among_very_many_aliases() {
    let mut aliases = AliasesOut::new(2_000);
    let topic = |number: u16| format!("t/{number}");
    for number in 1..=2_000 {
        assert_eq!(aliases.find(&topic(number)), Some(Alias::Set(number)));
        aliases.sent(Alias::Set(number), &topic(number));
    }
    let looks = looks::during(|| {
        for number in 1..=2_000 {
            assert_eq!(aliases.find(&topic(number)), Some(Alias::Use(number)));
        }
        assert_eq!(aliases.find("other"), None);
    });
    assert!(looks < 3_000, "{looks} looks for 2,001 topics");
}
