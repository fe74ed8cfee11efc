//! What is put into mail comes out of it.

use super::*;
use crate::matches::MatchBuilder;
use alloc::string::ToString;

#[test]
fn each_message_has_its_own_topic() {
    let set = Arc::new(MatchBuilder::new(1).finish());
    let mut mail = Mail::default();
    for topic in ["a/b", "a/b", "a/c", "b"] {
        let run = Run {
            topic,
            packets: b"\x30\x05\0\x01tx",
            count: 1,
            payload_bytes: 1,
            is_v5: false,
            publisher: SessionRef::NOBODY,
        };
        mail.push_run(&run, &set);
    }
    let topics = mail.iter().map(|item| match item {
        MailItem::Message(message, ..) => message.topic.to_string(),
        MailItem::Run(run, _) => run.topic.to_string(),
    });
    assert_eq!(topics.collect::<Vec<_>>(), ["a/b", "a/b", "a/c", "b"]);
}
