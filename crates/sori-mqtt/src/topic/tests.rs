//! Tests of `topic`.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;

fn share_of(filter: &str) -> Result<(Option<&str>, &str), TopicError> {
    TopicFilter::new(filter).map(|filter| (filter.share(), filter.filter()))
}

// covers: [MQTT311-4.7.3-1]
#[test]
fn mqtt5_4_7_3_1_names_and_filters_have_at_least_one_character() {
    assert_eq!(TopicName::new(""), Err(TopicError::Empty));
    assert_eq!(TopicFilter::new(""), Err(TopicError::Empty));
    assert!(TopicName::new("/").is_ok() && TopicFilter::new("/").is_ok() && TopicName::new(" ").is_ok());
}

// covers: [MQTT311-4.7.3-2]
#[test]
fn mqtt5_4_7_3_2_names_and_filters_hold_no_u_0000() {
    for text in ["\0", "a\0", "a/b/c/d/e/f\0g", "ü\0", "+/\0"] {
        assert_eq!(TopicName::new(text), Err(TopicError::Nul));
        assert_eq!(TopicFilter::new(text), Err(TopicError::Nul));
    }
}

// covers: [MQTT311-4.7.3-3]
#[test]
fn mqtt5_4_7_3_3_names_and_filters_have_at_most_65535_bytes() {
    let mut text = "x".repeat(65_535);
    assert!(TopicName::new(&text).is_ok() && TopicFilter::new(&text).is_ok());
    text.push('x');
    assert_eq!(TopicName::new(&text), Err(TopicError::TooLong));
    assert_eq!(TopicFilter::new(&text), Err(TopicError::TooLong));
}

// covers: [MQTT311-4.7.3-4]
#[test]
fn mqtt5_4_7_3_4_nothing_is_normalised() {
    // Twice the same letter for a reader: once composed, once as two code points.
    let (composed, decomposed) = ("\u{E9}", "e\u{301}");
    let filter = TopicFilter::new(composed).expect("a filter");
    assert!(filter.matches(TopicName::new(composed).expect("a name")));
    assert!(!filter.matches(TopicName::new(decomposed).expect("a name")));
    assert!(!TopicFilter::new("A").expect("a filter").matches(TopicName::new("a").expect("a name")));
    assert!(!TopicFilter::new("a").expect("a filter").matches(TopicName::new(" a").expect("a name")));
}

// covers: [MQTT311-4.7.1-1]
#[test]
fn mqtt5_4_7_0_1_a_topic_name_holds_no_wildcard() {
    for name in ["#", "+", "a/+", "a/#", "a+", "#a", "aaaaaaaaaaaaaaa+", "ü+", "/+/"] {
        assert_eq!(TopicName::new(name), Err(TopicError::Wildcard), "{name}");
    }
}

// covers: [MQTT311-4.7.1-2]
#[test]
fn mqtt5_4_7_1_1_a_number_sign_is_alone_in_the_last_level() {
    for filter in ["#", "/#", "a/#", "+/#", "$SYS/#", "$share/g/#"] {
        assert!(TopicFilter::new(filter).is_ok(), "{filter}");
    }
    for filter in ["a#", "#/", "#/a", "a/#/b", "##", "a/b#", "#a", "+#", "$share/g/#/a"] {
        assert_eq!(TopicFilter::new(filter), Err(TopicError::WildcardPosition), "{filter}");
    }
}

// covers: [MQTT311-4.7.1-3]
#[test]
fn mqtt5_4_7_1_2_a_plus_sign_fills_a_whole_level() {
    for filter in ["+", "/+", "+/", "+/+", "a/+/b", "$share/g/+/a"] {
        assert!(TopicFilter::new(filter).is_ok(), "{filter}");
    }
    for filter in ["a+", "+a", "a/b+", "a/+b/c", "++", "+/a+"] {
        assert_eq!(TopicFilter::new(filter), Err(TopicError::WildcardPosition), "{filter}");
    }
}

#[test]
fn mqtt5_4_8_2_1_a_shared_filter_has_a_share_name_and_a_filter() {
    assert_eq!(share_of("$share/group/a/+"), Ok((Some("group"), "a/+")));
    assert_eq!(share_of("$share/g//"), Ok((Some("g"), "/")));
    assert_eq!(share_of("$share/g/$SYS/x"), Ok((Some("g"), "$SYS/x")));
    for filter in ["$share", "$share/", "$share//a", "$share/group", "$share/group/"] {
        assert_eq!(share_of(filter), Err(TopicError::Share), "{filter}");
    }
    for filter in ["$shared/group/a", "share/group/a", "/$share/group/a", "$SHARE/group/a"] {
        assert_eq!(share_of(filter), Ok((None, filter)));
    }
}

#[test]
fn mqtt5_4_8_2_2_a_share_name_holds_no_wildcard() {
    for filter in ["$share/+/a", "$share/#/a", "$share/g+/a", "$share/#g/a", "$share/#"] {
        assert_eq!(share_of(filter), Err(TopicError::Share), "{filter}");
    }
    assert_eq!(share_of("$share/$g ü/a"), Ok((Some("$g ü"), "a")));
}

#[test]
fn a_filter_is_kept_as_it_was_written() {
    let filter = TopicFilter::new("$share/group/a/#").expect("a filter");
    assert_eq!(filter.as_str(), "$share/group/a/#");
    assert_eq!(TopicName::new("a/b").map(TopicName::as_str), Ok("a/b"));
}

/// Levels of names and filters small enough to try all of them.
const LEVELS: [&str; 6] = ["", "a", "b", "+", "#", "$x"];

/// All texts of one to four levels.
fn texts() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut longest: Vec<String> = LEVELS.iter().map(|level| String::from(*level)).collect();
    for _ in 0..3 {
        let longer =
            longest.iter().flat_map(|text| LEVELS.iter().map(move |level| [text.as_str(), level].join("/"))).collect();
        all.append(&mut longest);
        longest = longer;
    }
    all.append(&mut longest);
    all
}

/// The rules of section 4.7, as slow as they are obvious.
fn obviously_matches(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) => true,
        (["+", filter @ ..], [_, name @ ..]) => obviously_matches(filter, name),
        ([level, filter @ ..], [other, name @ ..]) => level == other && obviously_matches(filter, name),
        (filter, name) => filter.is_empty() && name.is_empty(),
    }
}

fn obviously_a_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    !text.is_empty() && !levels[..levels.len() - 1].contains(&"#")
}

// covers: [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-3.3.2-3] [MQTT311-4.7.2-1] [MQTT311-3.3.2-3]
#[test]
fn mqtt5_4_7_2_1_matching_agrees_with_the_obvious_version_for_every_small_filter_and_name() {
    let texts = texts();
    assert_eq!(texts.len(), 6 + 36 + 216 + 1_296);
    let names: Vec<(TopicName, Vec<&str>)> = texts
        .iter()
        .filter_map(|text| {
            let name = TopicName::new(text);
            assert_eq!(name.is_ok(), !text.is_empty() && !text.contains(['+', '#']), "{text:?}");
            name.ok().map(|name| (name, text.split('/').collect()))
        })
        .collect();
    let mut matches = 0;
    for text in &texts {
        let filter = TopicFilter::new(text);
        assert_eq!(filter.is_ok(), obviously_a_filter(text), "{text:?}");
        let Ok(filter) = filter else { continue };
        let levels: Vec<&str> = text.split('/').collect();
        for (name, name_levels) in &names {
            let hidden = name.as_str().starts_with('$') && text.starts_with(['+', '#']);
            let expected = !hidden && obviously_matches(&levels, name_levels);
            assert_eq!(filter.matches(*name), expected, "{text:?} {:?}", name.as_str());
            matches += usize::from(expected);
        }
    }
    assert!(matches > names.len(), "the test sees matches and mismatches");
}

#[test]
fn a_shared_filter_matches_what_its_filter_matches() {
    let filter = TopicFilter::new("$share/group/a/+").expect("a filter");
    assert!(filter.matches(TopicName::new("a/b").expect("a name")));
    assert!(!filter.matches(TopicName::new("$share/group/a/b").expect("a name")));
    let all = TopicFilter::new("$share/group/#").expect("a filter");
    assert!(!all.matches(TopicName::new("$SYS/x").expect("a name")));
}

#[test]
fn the_longest_topics_match_in_one_pass_and_without_recursion() {
    let slashes = "/".repeat(65_535);
    let plusses = "+/".repeat(32_767);
    let name = TopicName::new(&slashes).expect("65,535 slashes are a name");
    assert!(TopicFilter::new(&slashes).expect("a filter").matches(name));
    assert!(!TopicFilter::new(&plusses).expect("a filter").matches(name));
    assert!(TopicFilter::new(&["/".repeat(65_534).as_str(), "#"].concat()).expect("a filter").matches(name));
    // Quadratic matching of these would take minutes instead of well under a second.
    let all_but_last = ["+/".repeat(32_767).as_str(), "a"].concat();
    let filter = TopicFilter::new(&all_but_last).expect("a filter");
    let name = "/".repeat(32_767);
    let name = TopicName::new(&name).expect("a name");
    for _ in 0..200 {
        assert!(!filter.matches(name));
    }
}
