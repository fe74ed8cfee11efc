//! What a file says, and what comes of it.

use super::filter::{self, Filter};
use super::{Client, Decision, Rules};
use crate::config::{Remark, Severity};
use proptest::prelude::*;
use sori_broker::Action;
use sori_mqtt::{TopicFilter, TopicName};
use std::path::Path;

const FILE: &str = "/etc/acl";

fn read(contents: &str) -> (Option<Rules>, Vec<Remark>) {
    let mut remarks = Vec::new();
    let rules = Rules::parse(Path::new(FILE), contents.as_bytes(), &mut remarks);
    (rules, remarks)
}

/// The rules of a file without an error.
#[track_caller]
fn good(contents: &str) -> Rules {
    let (rules, remarks) = read(contents);
    rules.unwrap_or_else(|| unreachable!("{remarks:?}"))
}

/// A file with exactly these errors.
#[track_caller]
fn bad(contents: &[u8], errors: &[&str]) {
    let mut remarks = Vec::new();
    let rules = Rules::parse(Path::new(FILE), contents, &mut remarks);
    let said = remarks.iter().filter(|remark| remark.severity == Severity::Error);
    let said: Vec<_> =
        said.map(|remark| format!("{}: {}", remark.at.as_ref().map_or(0, |at| at.line), remark.text)).collect();
    assert_eq!(said, errors);
    assert!(rules.is_none());
}

/// A file with exactly these warnings.
#[track_caller]
fn warned(contents: &str, warnings: &[&str]) {
    let (rules, remarks) = read(contents);
    assert_eq!(remarks.iter().map(|remark| remark.to_string()).collect::<Vec<_>>(), warnings);
    assert!(rules.is_some());
}

/// A client with this identifier and this user name; `""` is none.
fn client<'a>(client_id: &'a str, user_name: &'a str) -> Client<'a> {
    Client { client_id, user_name: Some(user_name).filter(|name| !name.is_empty()) }
}

/// What a client with this user name may do with a topic: `r`, `w`, `rw` or nothing.
fn rights(rules: &Rules, client: Client<'_>, topic: &str) -> String {
    let may = |action| rules.decide(client, action, topic).is_allowed();
    [(may(Action::Receive), "r"), (may(Action::Publish), "w")].iter().filter(|(may, _)| *may).map(|(_, c)| *c).collect()
}

#[track_caller]
fn check(contents: &str, cases: &[(Client<'_>, &str, &str)]) {
    let rules = good(contents);
    for (client, topic, expected) in cases {
        assert_eq!(rights(&rules, *client, topic), *expected, "{contents:?} {client:?} {topic}");
    }
}

// The grammar

#[test]
fn lines_have_a_word_a_right_and_a_filter() {
    let rules = "# a comment\n\n   \ntopic   read    a  \r\n  topic write b/+\ntopic readwrite c/#\ntopic d\ntopic read e f \
                 \nuser  some  body \t\ntopic  read g\n";
    let (anonymous, user) = (client("id", ""), client("id", "some  body"));
    check(
        rules,
        &[
            (anonymous, "a", "r"),
            (anonymous, "b/1", "w"),
            (anonymous, "c", "rw"),
            (anonymous, "d", "rw"),
            (anonymous, "e f", "r"),
            (anonymous, "g", ""),
            (user, "g", "r"),
            (user, "a", ""),
        ],
    );
}

#[test]
fn a_filter_without_a_right_may_look_like_one() {
    check("topic deny\n", &[(client("id", ""), "deny", "rw")]);
    warned(
        "topic deny\n",
        &["/etc/acl:1: Warning: 'deny' is the topic here, which may be read and written: no topic follows."],
    );
}

#[test]
fn all_errors_are_told_with_their_lines() {
    bad(
        b"topic\nuser\ntopic reed a\ntopics a\ntopic read a#\n\n # b\ntopic a/#/b\n\ttopic a\ntopic\tread\ta\npattern  \n\
          pattern +%c\ntopic read good\nuser \xE4\ntopic read a\0b",
        &[
            "1: Empty topic in acl_file.",
            "2: Missing username in acl_file.",
            "3: Invalid topic access type 'reed' in acl_file.",
            "4: Invalid line in acl_file: topics a.",
            "5: Invalid ACL topic 'a#' in acl_file.",
            "7: Invalid line in acl_file: # b.",
            "8: Invalid ACL topic 'a/#/b' in acl_file.",
            "9: Invalid line in acl_file: \\ttopic a.",
            "10: Invalid line in acl_file: topic\\tread\\ta.",
            "11: Empty topic in acl_file.",
            "12: Invalid ACL topic '+%c' in acl_file.",
            "14: Malformed UTF-8 in acl_file.",
            "15: Malformed UTF-8 in acl_file.",
        ],
    );
    bad(b"\xEF\xBB\xBFtopic a\n", &["1: The file starts with a byte order mark (BOM)."]);
    bad(
        format!("topic {}", "a".repeat(65_536)).as_bytes(),
        &[&format!("1: Invalid ACL topic '{}' in acl_file.", "a".repeat(65_536))],
    );
}

#[test]
fn what_does_not_mean_what_it_looks_like_is_warned_of() {
    warned("pattern read a\n", &["/etc/acl:1: Warning: ACL pattern 'a' does not contain '%c' or '%u'."]);
    warned(
        "topic read a/%u\n",
        &[
            "/etc/acl:1: Warning: '%c' and '%u' in 'a/%u' stand for themselves: they have a meaning after 'pattern' only.",
        ],
    );
    warned(
        "pattern read %u/x%c\n",
        &["/etc/acl:1: Warning: In '%u/x%c' not every '%c' or '%u' is a whole level; such a one stands for itself."],
    );
    warned(
        "topic read\ta\n",
        &["/etc/acl:1: Warning: 'read\\ta' matches nothing: only spaces separate words, and a TAB is part of one."],
    );
    warned("topic a\npattern %c/#\n", &[]);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    for (path, text) in [
        ("/does/not/exist", "Error: Unable to open acl_file \"/does/not/exist\"."),
        ("/tmp", "Error: The acl_file \"/tmp\" is not a file."),
        ("/dev/zero", "Error: The acl_file \"/dev/zero\" is not a file."),
    ] {
        let mut remarks = Vec::new();
        assert_eq!(Rules::read(Path::new(path), &mut remarks), None);
        assert!(remarks.len() == 1 && remarks[0].to_string().starts_with(text), "{remarks:?}");
    }
}

// What the lines mean

#[test]
fn an_empty_file_allows_nothing_2018_12550() {
    for contents in ["", "# only a comment\n\n", "user somebody\n"] {
        check(
            contents,
            &[(client("id", ""), "a", ""), (client("id", "somebody"), "a", ""), (client("id", "x"), "a", "")],
        );
    }
    check("pattern read %c\n", &[(client("id", ""), "id", "r"), (client("id", ""), "a", "")]);
    assert_eq!(rights(&Rules::none(Path::new(FILE)), client("id", ""), "a"), "");
}

#[test]
fn topics_belong_to_the_user_above_and_patterns_to_everybody() {
    let (anonymous, one, two) = (client("id", ""), client("id", "one"), client("id", "two"));
    check(
        "topic a\nuser one\ntopic b\npattern c/%c\nuser two\ntopic d\nuser one\ntopic e\n",
        &[
            (anonymous, "a", "rw"),
            (one, "a", ""),
            (one, "b", "rw"),
            (one, "e", "rw"),
            (two, "b", ""),
            (two, "d", "rw"),
            (two, "e", ""),
            (anonymous, "c/id", "rw"),
            (one, "c/id", "rw"),
            (client("id", "nobody"), "c/id", "rw"),
        ],
    );
}

#[test]
fn a_denial_counts_wherever_it_stands() {
    let me = client("id", "me");
    for lines in [["topic a/#", "topic deny a/b"], ["topic deny a/b", "topic a/#"]] {
        check(
            &format!("user me\n{}\n{}\n", lines[0], lines[1]),
            &[(me, "a/b", ""), (me, "a/c", "rw"), (me, "a/b/c", "rw")],
        );
    }
    check("user me\ntopic a/b\ntopic deny a/+\n", &[(me, "a/b", "")]);
    check("pattern %u/#\npattern deny +/secret\n", &[(me, "me/x", "rw"), (me, "me/secret", "")]);
    check("pattern deny %u/secret\npattern +/#\n", &[(me, "me/secret", ""), (me, "you/secret", "rw")]);
}

#[test]
fn the_lines_of_a_user_count_before_the_patterns() {
    let me = client("id", "me");
    check("user me\ntopic deny a/me\npattern a/%u\n", &[(me, "a/me", ""), (client("id", "you"), "a/you", "rw")]);
    check("user me\ntopic a/me\npattern deny a/%u\n", &[(me, "a/me", "rw"), (client("id", "you"), "a/you", "")]);
    // A line that grants something else does not decide.
    check("user me\ntopic read a/me\npattern write a/%u\n", &[(me, "a/me", "rw")]);
    check("user me\ntopic read a/me\npattern deny a/%u\n", &[(me, "a/me", "r")]);
}

#[test]
fn lines_for_the_same_topic_add_up() {
    let me = client("id", "");
    check("topic read a\ntopic write a\ntopic read b/+\ntopic write b/+\n", &[(me, "a", "rw"), (me, "b/c", "rw")]);
    check("topic read a\ntopic write +\n", &[(me, "a", "rw"), (me, "b", "w")]);
}

#[test]
fn patterns_stand_for_whole_levels() {
    let me = client("id", "me");
    check(
        "pattern %c/%u/%c\npattern x%c/%u%u\npattern /%u/+/#\n",
        &[
            (me, "id/me/id", "rw"),
            (me, "id/me/me", ""),
            (me, "id/mex/id", ""),
            (me, "id/m/id", ""),
            (me, "xid/meme", ""),
            (me, "x%c/%u%u", "rw"),
            (client("id", ""), "x%c/%u%u", ""),
            (me, "/me/a", "rw"),
            (me, "/me", ""),
            (me, "/you/a", ""),
            (client("id", ""), "//a", ""),
        ],
    );
    // In `topic` lines they are names.
    check("user me\ntopic a/%u\n", &[(me, "a/me", ""), (me, "a/%u", "rw")]);
}

#[test]
fn a_pattern_with_a_user_is_no_rule_for_those_without_one() {
    let anonymous = client("id", "");
    check("pattern deny +/%u/#\npattern %c/#\n", &[(anonymous, "id/a", "rw"), (client("id", "a"), "id/a", "")]);
    let rules = good("pattern read %u/#\n");
    let empty = Client { client_id: "id", user_name: Some("") };
    assert_eq!(rights(&rules, empty, "/a"), "", "an empty name stands for no level");
}

#[test]
fn names_with_wildcards_match_no_pattern_2017_7650() {
    let contents = "topic own\nuser #\ntopic own\nuser +\ntopic own\npattern read data/%c/%u\npattern read all/#\n";
    let rules = good(contents);
    for (client_id, user_name) in
        [("#", "me"), ("+", "me"), ("id", "#"), ("id", "+"), ("id", "a+b"), ("a#", ""), ("+", "")]
    {
        let client = client(client_id, user_name);
        for topic in ["data/#/me", "data/id/+", "data/a/b", "data/+/me", "all/x", "all"] {
            assert_eq!(rules.decide(client, Action::Receive, topic), Decision::UnfitName, "{client:?} {topic}");
        }
    }
    // Their own lines are for them all the same.
    check(contents, &[(client("id", "#"), "own", "rw"), (client("+", ""), "own", "rw")]);
    // Without patterns there is nothing to be afraid of.
    assert_eq!(good("topic a\n").decide(client("#", ""), Action::Receive, "b"), Decision::NotGranted);
    // A name with a slash is no level.
    check("pattern data/%u/#\n", &[(client("id", "a/b"), "data/a/b", ""), (client("id", "a/b"), "data/a/b/c", "")]);
}

#[test]
fn what_begins_with_a_dollar_needs_a_filter_that_does() {
    let (me, odd) = (client("id", "me"), client("$SYS", "$SYS"));
    check("user me\ntopic #\ntopic +/x\n", &[(me, "$SYS/x", ""), (me, "a", "rw")]);
    check("user me\ntopic read $SYS/#\n", &[(me, "$SYS/x", "r"), (me, "SYS/x", "")]);
    check("pattern %u/#\n", &[(odd, "$SYS/x", "")]);
    check("pattern write $SYS/broker/connection/%c/state\n", &[(me, "$SYS/broker/connection/id/state", "w")]);
}

#[test]
fn everybody_may_subscribe_and_unsubscribe() {
    let rules = good("");
    for action in [Action::Subscribe, Action::Unsubscribe] {
        assert_eq!(rules.decide(client("id", ""), action, "#"), Decision::NotChecked);
    }
}

#[test]
fn the_line_that_decides_is_known() {
    let rules = good("topic a\ntopic b/+\ntopic deny b/c\n\npattern read %c\npattern deny x/#\n");
    let me = client("id", "");
    for (topic, decision, reason) in [
        ("a", Decision::Granted(1), "granted by /etc/acl:1"),
        ("b/d", Decision::Granted(2), "granted by /etc/acl:2"),
        ("b/c", Decision::Denied(3), "denied by /etc/acl:3"),
        ("id", Decision::NotGranted, "no line of /etc/acl grants it"),
        ("x", Decision::Denied(6), "denied by /etc/acl:6"),
    ] {
        let found = rules.decide(me, Action::Publish, topic);
        assert_eq!((found, rules.reason(found).as_str()), (decision, reason), "{topic}");
    }
    assert_eq!(rules.decide(me, Action::Receive, "id"), Decision::Granted(5));
}

// Matching

/// All words of up to `levels` of these levels.
fn words(levels: usize, names: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut last = all.clone();
    for _ in 1..levels {
        last = last.iter().flat_map(|word| names.iter().map(move |name| format!("{word}/{name}"))).collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// Whatever the broker matches is matched here, and nothing else.
#[test]
fn filters_match_what_subscriptions_match() {
    let nobody = client("id", "");
    let topics = words(4, &["a", "b", "", "$x"]);
    for text in words(3, &["a", "+", "#", "", "$x"]) {
        let whole = TopicFilter::new(&text).ok();
        assert_eq!(filter::is_legal(&text), whole.is_some(), "{text:?}");
        let Some(whole) = whole else { continue };
        let filter = Filter::new(&text, false);
        for topic in topics.iter().filter(|topic| !topic.is_empty()) {
            let name = TopicName::new(topic).expect("is legal");
            assert_eq!(filter.matches(topic, nobody), whole.matches(name), "{text:?} {topic:?}");
        }
    }
}

/// A line of a file and what it says.
fn any_line() -> impl Strategy<Value = (bool, &'static str, String)> {
    let word = prop_oneof![Just(""), Just("read "), Just("write "), Just("readwrite "), Just("deny ")];
    let level = prop_oneof![Just("a"), Just("b"), Just("+"), Just("%c"), Just("%u")];
    let filter = (proptest::collection::vec(level, 1..4), any::<bool>());
    let filter = filter.prop_map(|(levels, rest)| levels.join("/") + if rest { "/#" } else { "" });
    (any::<bool>(), word, filter)
}

/// The lines one after the other, as they are written.
fn decide_slowly(lines: &[(bool, &str, String)], client: Client<'_>, access: &str, topic: &str) -> bool {
    for patterns in [false, true] {
        let matching = |(is_pattern, _, text): &&(bool, &str, String)| {
            let is_for_user = text.contains("%u") && patterns;
            let put = |level: &str| match level {
                "%c" if patterns => client.client_id.to_owned(),
                "%u" if patterns => client.user_name.unwrap_or("nobody").to_owned(),
                other => other.to_owned(),
            };
            let text = text.split('/').map(put).collect::<Vec<_>>().join("/");
            let filter = TopicFilter::new(&text).expect("is legal");
            *is_pattern == patterns
                && !(is_for_user && client.user_name.is_none())
                && filter.matches(TopicName::new(topic).expect("is legal"))
        };
        if lines.iter().filter(matching).any(|(_, word, _)| *word == "deny ") {
            return false;
        }
        if lines.iter().filter(matching).any(|(_, word, _)| ["", "readwrite ", access].contains(word)) {
            return true;
        }
    }
    false
}

proptest! {
    #[test]
    fn random_files_mean_what_their_lines_say(
        lines in proptest::collection::vec(any_line(), 0..8),
        user_name in prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))],
    ) {
        let user = user_name.map(|name| format!("user {name}\n")).unwrap_or_default();
        let line = |(is_pattern, word, text): &(bool, &str, String)| {
            format!("{} {word}{text}\n", if *is_pattern { "pattern" } else { "topic" })
        };
        let rules = good(&(user + &lines.iter().map(line).collect::<String>()));
        let client = Client { client_id: "b", user_name };
        for topic in words(3, &["a", "b", "%u"]) {
            for (action, access) in [(Action::Receive, "read "), (Action::Publish, "write ")] {
                let expected = decide_slowly(&lines, client, access, &topic);
                prop_assert_eq!(rules.decide(client, action, &topic).is_allowed(), expected, "{}", topic);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Rules::parse(Path::new(FILE), &bytes, &mut Vec::new());
    }

    #[test]
    fn any_text_is_read_without_panic(text in "((topic|pattern|user|#|)[ \t]{0,2}(read|deny|)[ \t]{0,2}[a%uc+#/ é]{0,6}\r?\n){0,8}") {
        let mut remarks = Vec::new();
        let rules = Rules::parse(Path::new(FILE), text.as_bytes(), &mut remarks);
        prop_assert_eq!(rules.is_none(), remarks.iter().any(|remark| remark.severity == Severity::Error));
    }
}
