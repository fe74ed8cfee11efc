//! Each letter, each layout, and what is wrong with a format.

use jiff::civil::date;
use jiff::tz::{Offset, TimeZone};
use sori_mqtt::{Property, PropertyBuffer, QoS};

use super::*;

fn arrival() -> Arrival {
    let zone = TimeZone::fixed(Offset::constant(1));
    Arrival::at(date(2026, 1, 31).at(12, 5, 9, 123_456_789).to_zoned(zone).expect("a time"))
}

fn message(payload: &[u8]) -> Message {
    let (qos, properties) = (QoS::AtLeastOnce, PropertyBuffer::new());
    Message { topic: "a/b".into(), payload: payload.into(), qos, retain: true, packet_id: 7, properties }
}

fn with_properties() -> Message {
    let mut message = message(b"message");
    for property in [
        Property::PayloadFormatIndicator(true),
        Property::UserProperty("n", "1"),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("re/ply"),
        Property::CorrelationData(b"c0"),
        Property::UserProperty("n", "2"),
        Property::MessageExpiryInterval(3600),
        Property::SubscriptionIdentifier(56),
        Property::TopicAlias(3),
    ] {
        message.properties.push(property);
    }
    message
}

/// The lossy text of a message in a format, and the complaint.
fn written(format: &str, message: &Message) -> (String, Option<String>) {
    let mut out = Vec::new();
    let complaint = Format::new(format).expect(format).write(message, &arrival(), &mut out);
    (String::from_utf8_lossy(&out).into_owned(), complaint)
}

fn check(format: &str, message: &Message, expected: &str) {
    assert_eq!(written(format, message), (expected.to_owned(), None), "{format}");
}

#[test]
fn each_conversion_writes_its_field() {
    let message = with_properties();
    for (format, expected) in [
        ("%t|%p|%l|%q|%r|%m", "a/b|message|7|1|1|7"),
        ("%x %X %b", "6d657373616765 6D657373616765 bWVzc2FnZQ=="),
        ("%A %C %D %E %F %P %R %S", "3 text/plain c0 3600 1 n:1 n:2 re/ply 56"),
        ("%I %U", "2026-01-31T12:05:09+0100 1769857509.123456789"),
        ("%% @@ \\\\", "% @ \\"),
        ("@%", "%"),
        ("\\a\\e\\n\\r\\t\\v\\0", "\x07\x1B\n\r\t\x0B\0"),
        ("é", "é"),
    ] {
        check(format, &message, expected);
    }
}

#[test]
fn every_letter_of_the_table_is_read() {
    for entry in CONVERSIONS {
        assert!(Format::new(&format!("%{}", entry.letter)).is_ok(), "{}", entry.letter);
        let same = CONVERSIONS.iter().filter(|other| other.letter == entry.letter).count();
        assert_eq!(same, 1, "{}", entry.letter);
    }
}

#[test]
fn what_is_missing_is_blank_where_mosquitto_has_blanks() {
    for letter in "ACEFS".chars() {
        check(&format!("[%3{letter}]"), &message(b""), "[   ]");
    }
    check("[%02A]", &message(b""), "[00]");
    for letter in "DPR".chars() {
        check(&format!("[%3{letter}]"), &message(b""), "[]");
    }
}

#[test]
fn fields_have_a_width_a_precision_and_a_side() {
    let message = with_properties();
    for (format, expected) in [
        ("%02l|%2l|%-2l|", "07| 7|7 |"),
        ("%5t|%-5t|%.2t|%4.2t|%-4.2t|", "  a/b|a/b  |a/|  a/|a/  |"),
        ("%9p|%-9p|%09p|%3p|", "  message|message  |00message|mes|"),
        ("%18x|%-18x|", "    6d657373616765|6d657373616765    |"),
        ("%.1x", "6 d 6 5 7 3 7 3 6 1 6 7 6 5"),
        ("%.2x|%.2:x|%.4-X", "6d 65 73 73 61 67 65|6d:65:73:73:61:67:65|6D65-7373-6167-65"),
    ] {
        check(format, &message, expected);
    }
}

#[test]
fn numbers_come_from_the_bytes_of_the_payload() {
    let double = message(&3.518_281_828_f64.to_ne_bytes());
    for (format, expected) in
        [("%d", "3.518282"), ("%.3d", "3.518"), ("%8.3d|%-8.3d|%08.3d", "   3.518|3.518   |0003.518")]
    {
        check(format, &double, expected);
    }
    check("%.3f", &message(&(-0.707_f32).to_ne_bytes()), "-0.707");
    check("%08.2f", &message(&(-0.5_f32).to_ne_bytes()), "-0000.50");
    check("%05f|%f", &message(&f32::INFINITY.to_ne_bytes()), "  inf|inf");
    let (text, complaint) = written("[%d]", &message(b"1234567"));
    assert_eq!(text, "[]");
    assert!(complaint.expect("one").contains("7 bytes"));
}

#[test]
fn times_are_what_strftime_makes_of_them() {
    check("@H:@M:@S.@N @z", &message(b""), "12:05:09.123456789 +0100");
    check("@a @b @e @Y|@j|@s|@D|@F|@T", &message(b""), "Sat Jan 31 2026|031|1769857509|01/31/26|2026-01-31|12:05:09");
    check("@c|@x|@X", &message(b""), "Sat Jan 31 12:05:09 2026|01/31/26|12:05:09");
    check("@Q@1@é", &message(b""), "%Q%1%é");
}

#[test]
fn json_has_mosquitto_s_keys_in_mosquitto_s_order() {
    let expected = r#"{"tst":"2026-01-31T12:05:09.123456+0100","topic":"a/b","qos":1,"retain":true,"payloadlen":7,"mid":7,"properties":{"payload-format-indicator":1,"user-properties":[{"n":"1"},{"n":"2"}],"content-type":"text/plain","response-topic":"re/ply","correlation-data":"c0","message-expiry-interval":3600,"subscription-identifier":56,"topic-alias":3},"payload":"message"}"#;
    check("%j", &with_properties(), expected);
    let mut plain = message(b"");
    (plain.qos, plain.retain) = (QoS::AtMostOnce, false);
    let expected = r#"{"tst":"2026-01-31T12:05:09.123456+0100","topic":"a/b","qos":0,"retain":false,"payloadlen":0,"payload":null}"#;
    check("%j", &plain, expected);
    check("%J", &plain, expected);
}

#[test]
fn json_text_is_escaped_and_nothing_else_is_changed() {
    let text = |payload: &[u8]| {
        let (text, _) = written("%j", &message(payload));
        text.rsplit_once("\"payload\":").expect("a payload").1.trim_end_matches('}').to_owned()
    };
    assert_eq!(text("a\"b\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}é".as_bytes()), "\"a\\\"b\\\\/\\b\\f\\n\\r\\t\\u0001\u{7f}é\"");
    // A byte of zero does not end the payload.
    assert_eq!(text(b"a\0b"), "\"a\\u0000b\"");
}

#[test]
fn a_payload_that_is_no_text_can_be_legal_json() {
    let (text, _) = written("%B", &message(b"\xFF\x00"));
    assert!(text.ends_with(r#""payload_base64":"/wA="}"#), "{text}");
    let (text, _) = written("%B", &message(b"hi"));
    assert!(text.ends_with(r#""payload":"hi"}"#), "{text}");
}

#[test]
fn a_payload_of_json_is_written_anew() {
    let payload = r#" {"a":[1,2.5,{"b":1e3,"c":[]}],"d":{},"e":12345678901234567890,"a":null,"s":"\u00e9\u0001"} "#;
    let (text, _) = written("%J", &message(payload.as_bytes()));
    let expected =
        r#""payload":{"a":[1,2.5,{"b":1000,"c":[]}],"d":{},"e":1.2345678901234567e+19,"a":null,"s":"é\u0001"}}"#;
    assert!(text.ends_with(expected), "{text}");
    let (text, complaint) = written("[%J]", &message(b"{"));
    assert_eq!(text, "[]");
    assert!(complaint.expect("one").starts_with("Message payload is not valid JSON on topic a/b."));
}

#[test]
fn pretty_json_is_laid_out_as_mosquitto_does() {
    let message = message(br#"{"a":[1,{"b":2}],"d":{}}"#);
    let mut out = Vec::new();
    let format = Format::new("%J").expect("legal").with_pretty(true);
    assert_eq!(format.write(&message, &arrival(), &mut out), None);
    let expected = "{\n\t\"tst\":\t\"2026-01-31T12:05:09.123456+0100\",\n\t\"topic\":\t\"a/b\",\n\t\"qos\":\t1,\n\t\"retain\":\ttrue,\n\
                    \t\"payloadlen\":\t24,\n\t\"mid\":\t7,\n\t\"payload\":\t{\n\t\t\"a\":\t[1, {\n\t\t\t\t\"b\":\t2\n\t\t\t}],\n\
                    \t\t\"d\":\t{\n\t\t}\n\t}\n}";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn a_wrong_format_says_what_is_wrong() {
    for format in ["%", "%0", "%-", "%1", "%.", "%.1", "@", "%2.3:"] {
        assert_eq!(Format::new(format), Err(FormatError::IncompleteSpecifier), "{format}");
    }
    assert_eq!(Format::new("%Z"), Err(FormatError::InvalidSpecifier('Z')));
    assert_eq!(Format::new("%0-5p"), Err(FormatError::InvalidSpecifier('5')));
    assert_eq!(Format::new("\\"), Err(FormatError::IncompleteEscape));
    assert_eq!(Format::new("\\Z"), Err(FormatError::InvalidEscape('Z')));
    assert_eq!(Format::new("%65536p"), Err(FormatError::TooWide));
    assert_eq!(Format::new("%.99999999999999999999p"), Err(FormatError::TooWide));
}
