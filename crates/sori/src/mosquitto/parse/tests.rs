//! Command lines of Mosquitto's clients, right and wrong.

use std::time::Duration;

use sori_mqtt::{QoS, RetainHandling, Version};

use super::super::options::PayloadFrom;
use super::*;

fn words(text: &str) -> Vec<OsString> {
    text.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
}

fn options(program: Program, text: &str) -> Result<Options, Answer> {
    parse(program, &words(text), |_| None)
}

fn legal(found: Result<Options, Answer>) -> Options {
    found.unwrap_or_else(|answer| unreachable!("{answer:?}"))
}

/// The complaint about a command line.
fn complaint(program: Program, text: &str) -> String {
    match options(program, text) {
        Err(Answer::Wrong(complaint)) => complaint.text,
        Err(_) => "help".to_owned(),
        Ok(_) => String::new(),
    }
}

#[test]
fn every_flag_with_a_value_complains_when_it_is_last() {
    for program in [Program::Pub, Program::Sub, Program::Rr] {
        for flag in FLAGS.iter().filter(|flag| flag.belongs_to(program)) {
            for name in [flag.short, flag.long] {
                let expected = match flag.takes {
                    _ if name.is_empty() => continue,
                    Takes::Nothing(_) => continue,
                    Takes::Value { missing, .. } => format!("{} argument given but {missing}.", flag.name()),
                    Takes::Property => "--property argument given but not enough arguments specified.".to_owned(),
                    Takes::OptionsFile => "-o argument given but no options file specified.".to_owned(),
                };
                assert_eq!(complaint(program, name), expected, "{}", program.name());
            }
        }
    }
}

#[test]
fn a_flag_of_another_program_is_unknown() {
    for program in [Program::Pub, Program::Sub, Program::Rr] {
        for flag in FLAGS.iter().filter(|flag| !flag.belongs_to(program)) {
            for name in [flag.short, flag.long].into_iter().filter(|name| !name.is_empty()) {
                assert_eq!(complaint(program, name), format!("Unknown option '{name}'."), "{}", program.name());
            }
        }
        assert_eq!(complaint(program, "word"), "Unknown option 'word'.");
    }
}

#[test]
fn no_name_stands_for_two_flags() {
    for flag in FLAGS {
        for name in [flag.short, flag.long].into_iter().filter(|name| !name.is_empty()) {
            assert_eq!(FLAGS.iter().filter(|other| other.is_called(name)).count(), 1, "{name}");
        }
    }
}

#[test]
fn help_and_version_are_answers() {
    assert_eq!(options(Program::Sub, "--help").err(), Some(Answer::Help));
    assert_eq!(options(Program::Sub, "--version").err(), Some(Answer::Version));
    // What is wrong before it comes first.
    assert_eq!(complaint(Program::Sub, "-q 7 --help"), "Invalid QoS given: 7");
}

#[test]
fn wrong_values_are_refused_in_the_words_that_scripts_know() {
    for (text, expected) in [
        ("-k -1", "Invalid keepalive given, it must be between 5 and 65535 inclusive."),
        ("-k 65536", "Invalid keepalive given, it must be between 5 and 65535 inclusive."),
        ("-k 4", "Invalid keepalive given, it must be between 5 and 65535 inclusive."),
        ("-M 0", "Maximum inflight messages must be greater than 0."),
        ("-p -1", "Invalid port given: -1"),
        ("-p 65536", "Invalid port given: 65536"),
        ("-q -1", "Invalid QoS given: -1"),
        ("-q 3", "Invalid QoS given: 3"),
        ("-p one", "Invalid port given: one"),
        ("-q one", "Invalid QoS given: one"),
        ("-C 0", "Invalid message count \"0\"."),
        ("-C one", "Invalid message count \"one\"."),
        ("-W 0", "Invalid timeout \"0\"."),
        ("-W 0.5", "Invalid timeout \"0\"."),
        ("-V 0", "Invalid protocol version argument given."),
        ("-L invalid://", "Unsupported URL scheme."),
        ("-L mqtt://localhost", "Invalid URL for -L argument specified - topic missing."),
        ("-t ++", "Invalid subscription topic '++', are all '+' and '#' wildcards correct?"),
        ("-T ++", "Invalid filter topic '++', are all '+' and '#' wildcards correct?"),
        ("-U ++", "Invalid unsubscribe topic '++', are all '+' and '#' wildcards correct?"),
        ("--will-qos -1", "Invalid will QoS -1."),
        ("--will-qos 3", "Invalid will QoS 3."),
        ("--will-topic +", "Invalid will topic '+', does it contain '+' or '#'?"),
        ("-x A", "session-expiry-interval not a number."),
        ("-x -2", "session-expiry-interval out of range."),
        ("-x 4294967296", "session-expiry-interval out of range."),
        ("--retain-handling x", "Unknown value 'x' for --retain-handling."),
        ("--random-filter 0", "--random-filter chance must be between 0.1-100.0"),
        ("-F %Z", "Invalid format specifier 'Z'."),
        ("--proxy invalid://host", "Unsupported proxy protocol: invalid://host"),
        ("-D invalid receive-maximum 1", "Invalid command invalid given in --property argument."),
        ("-D connect invalid 1", "Invalid property name invalid given in --property argument."),
        ("-D connect receive-maximum", "--property argument given but not enough arguments specified."),
        ("-D connect user-property key", "--property argument given but not enough arguments specified."),
        (
            "-D connect will-delay-interval 1",
            "will-delay-interval property not allowed for connect in --property argument.",
        ),
        ("-D will response-topic a/#", "Invalid response-topic 'a/#', does it contain '+' or '#'?"),
        ("-D subscribe topic-alias 1", "topic-alias property not allowed for subscribe in --property argument."),
        (
            "-D auth authentication-method 1",
            "authentication-method property not supported for auth in --property argument.",
        ),
        ("-D puback reason-string 1", "reason-string property not supported for puback in --property argument."),
        (
            "-D connect request-problem-information 256",
            "Property value (256) out of range for property request-problem-information.",
        ),
        ("-D connect receive-maximum 0", "Property value (0) out of range for property receive-maximum."),
        ("-D connect receive-maximum 65536", "Property value (65536) out of range for property receive-maximum."),
        (
            "-D connect session-expiry-interval -1",
            "Property value (-1) out of range for property session-expiry-interval.",
        ),
        (
            "-D subscribe subscription-identifier 4294967296",
            "Property value (4294967296) out of range for property subscription-identifier.",
        ),
    ] {
        assert_eq!(complaint(Program::Sub, text), expected, "{text}");
    }
    for (text, expected) in [
        ("--repeat 0", "--repeat argument must be >0."),
        ("--repeat-delay -1", "--repeat-delay argument must be >=0.0."),
        ("-t topic/+", "Invalid publish topic 'topic/+', does it contain '+' or '#'?"),
        ("-m a -f b", "Only one type of message can be sent at once."),
        ("-l -s", "Only one type of message can be sent at once."),
    ] {
        assert_eq!(complaint(Program::Pub, text), expected, "{text}");
    }
    assert_eq!(complaint(Program::Rr, "-e a/+"), "Invalid response topic 'a/+', does it contain '+' or '#'?");
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (text, expected) in [
        ("-i a -I b", "-i and -I argument cannot be used together."),
        ("-I b -i a", "-i and -I argument cannot be used together."),
        ("--will-payload a", "Will payload given, but no will topic given."),
        ("--will-retain", "Will retain given, but no will topic given."),
        ("-V mqttv5 -x -1", "You must provide a client id if you are using an infinite session expiry interval."),
        ("-V mqttv311 -c", "You must provide a client id if you are using the -c option."),
        ("--cert f", "Both certfile and keyfile must be provided if one of them is set."),
        ("--key f", "Both certfile and keyfile must be provided if one of them is set."),
        ("--keyform f", "If keyform is set, keyfile must be also specified."),
        (
            "--tls-engine-kpass-sha1 f",
            "when using tls-engine-kpass-sha1, both tls-engine and keyform must also be provided.",
        ),
        ("--cafile f --psk k", "Only one of --psk or --cafile/--capath may be used at once."),
        ("--capath f --psk k", "Only one of --psk or --cafile/--capath may be used at once."),
        ("--psk k", "--psk-identity required if --psk used."),
    ] {
        assert_eq!(complaint(Program::Pub, text), expected, "{text}");
    }
    let nothing = "You must specify a topic to subscribe to (-t) or unsubscribe from (-U).";
    assert_eq!(complaint(Program::Sub, ""), nothing);
    assert_eq!(
        complaint(Program::Sub, "-t a -R --retained-only"),
        "Combining '-R' and '--retained-only' makes no sense."
    );
}

#[test]
fn flags_arrive_where_they_belong() {
    let text = "-h host -p 1 -i me -u user -P secret -k 5 -c -M 3 -q 2 -t a -t b/# -T c -U d -C 4 -W 5 -E -R -v -N \
                --retain-as-published --retain-handling new --random-filter 12.5 --remove-retained --pretty -d --quiet \
                --will-topic w --will-payload p --will-qos 1 --will-retain";
    let found = legal(options(Program::Sub, text));
    assert_eq!((found.host.as_deref(), found.port, found.id.as_deref()), (Some("host"), Some(1), Some("me")));
    assert_eq!(found.connection.user_name.as_deref(), Some("user"));
    assert_eq!(found.connection.password.as_deref(), Some(&b"secret"[..]));
    assert_eq!((found.connection.keep_alive, found.connection.in_flight_max), (5, 3));
    assert!(!found.connection.clean_start);
    assert_eq!((found.version, found.qos), (Version::V311, QoS::ExactlyOnce));
    assert_eq!(found.topics, ["a", "b/#"]);
    assert_eq!((found.filter_out, found.unsubscribe), (vec!["c".to_owned()], vec!["d".to_owned()]));
    assert_eq!((found.count, found.wait), (Some(4), Some(Duration::from_secs(5))));
    assert!(found.exit_after_subscribing && found.skip_retained && found.verbose && found.no_newline);
    assert!(found.retain_as_published && found.remove_retained && found.pretty && found.debug && found.quiet);
    assert_eq!((found.retain_handling, found.per_mille), (RetainHandling::SendIfNew, Some(125)));
    let will = found.will.options().expect("a will");
    assert_eq!(
        (will.topic.as_str(), will.payload.as_slice(), will.qos, will.retain),
        ("w", &b"p"[..], QoS::AtLeastOnce, true)
    );
}

#[test]
fn numbers_may_have_something_behind_them() {
    let found = legal(options(Program::Sub, "-t a -W 1.5 -C 3x -k 60s -q 1x -p 1884/tcp -M 5, --random-filter 12.5%"));
    assert_eq!((found.wait, found.count, found.port), (Some(Duration::from_secs(1)), Some(3), Some(1884)));
    assert_eq!((found.connection.keep_alive, found.connection.in_flight_max), (60, 5));
    assert_eq!((found.qos, found.per_mille), (QoS::AtLeastOnce, Some(125)));
    let found = legal(options(Program::Pub, "--repeat 2.5 --repeat-delay 0.5s -D publish message-expiry-interval 9s"));
    assert_eq!((found.repeat, found.repeat_delay), (2, Duration::from_millis(500)));
    assert_eq!(found.publish_properties.as_properties().message_expiry_interval(), Some(9));
    // Variables that are empty.
    let empty = ["-q", "", "--will-qos", "", "--repeat-delay", ""].map(OsString::from);
    assert_eq!(legal(parse(Program::Pub, &empty, |_| None)).qos, QoS::AtMostOnce);
    let port = ["-p", ""].map(OsString::from);
    assert!(parse(Program::Pub, &port, |_| None).is_err());
}

#[test]
fn publishing_has_the_last_topic_and_one_payload() {
    let found = legal(options(Program::Pub, "-t a -t b -m hi --repeat 3 --repeat-delay 0.25 -r -q 1"));
    assert_eq!(found.topics, ["b"]);
    assert_eq!(found.payload, Some(PayloadFrom::Text(b"hi".to_vec())));
    assert_eq!((found.repeat, found.repeat_delay, found.retain), (3, Duration::from_millis(250), true));
    // A payload may look like a flag, and be no UTF-8.
    use std::os::unix::ffi::OsStringExt;
    let arguments = [OsString::from("-m"), OsString::from_vec(b"-\xFF".to_vec())];
    let found = legal(parse(Program::Pub, &arguments, |_| None));
    assert_eq!(found.payload, Some(PayloadFrom::Text(b"-\xFF".to_vec())));
}

#[test]
fn a_property_switches_to_version_5() {
    let found = legal(options(
        Program::Pub,
        "-D publish content-type text -D publish user-property a b -D connect session-expiry-interval 9 -D will will-delay-interval 3 -D publish topic-alias 4 --will-topic w",
    ));
    assert_eq!(found.version, Version::V5);
    let properties = found.publish_properties.as_properties();
    assert_eq!(properties.content_type(), Some("text"));
    assert_eq!(properties.user_properties().collect::<Vec<_>>(), [("a", "b")]);
    assert_eq!(found.connection.session_expiry_interval, 9);
    assert_eq!(found.connection.topic_alias_outgoing_max, 1);
    assert_eq!(found.will.properties.as_properties().will_delay_interval(), Some(3));
    assert_eq!(legal(options(Program::Pub, "-x 7")).version, Version::V5);
    assert_eq!(legal(options(Program::Rr, "")).version, Version::V5);
}

#[test]
fn the_command_line_overrides_the_file() {
    let folder = std::env::temp_dir().join(format!("sori-options-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("mosquitto_pub"), "# mine\n-q 2 \n-t from file\r\n-P a b\n").expect("a file");
    let named = folder.join("named");
    std::fs::write(&named, "-q 1\n").expect("a file");
    let environment = |name: &str| (name == "XDG_CONFIG_HOME").then(|| folder.clone().into_os_string());
    let found = legal(parse(Program::Pub, &words("-t line"), environment));
    assert_eq!((found.qos, found.topics), (QoS::ExactlyOnce, vec!["line".to_owned()]));
    assert_eq!(found.connection.password.as_deref(), Some(&b"a b"[..]));
    // The one that is named replaces the other one.
    let arguments = words(&format!("-o {}", named.display()));
    let found = legal(parse(Program::Pub, &arguments, environment));
    assert_eq!((found.qos, found.topics.len()), (QoS::AtLeastOnce, 0));
    // One that is named and not there is worth a warning, and the other one is not read in its place.
    let missing = words(&format!("-o {} -t line", folder.join("missing").display()));
    let found = legal(parse(Program::Pub, &missing, environment));
    assert_eq!((found.qos, found.topics), (QoS::AtMostOnce, vec!["line".to_owned()]));
    assert!(found.warning.is_some_and(|text| text.contains("missing is not read: No such file")));
    assert_eq!(legal(parse(Program::Sub, &words("-t line"), environment)).warning, None);
    std::fs::remove_dir_all(&folder).expect("removed");
}
