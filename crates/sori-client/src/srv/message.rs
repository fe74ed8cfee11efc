//! The question for SRV records, and what an answer says. RFC 1035 section 4, RFC 2782

use std::io;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    /// A host; empty for the root, which means that there is none.
    pub(super) target: String,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// These records, or none: then there are none.
    Records(Vec<Record>),
    /// More than this kind of message holds: ask again by TCP.
    Truncated,
    /// The server cannot say.
    Failed(String),
}

/// The question for the SRV records of a name.
pub(super) fn question(id: u16, name: &str) -> io::Result<Vec<u8>> {
    let illegal = |_| io::Error::new(io::ErrorKind::InvalidInput, "no name can be as long as that");
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).map_err(illegal)?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::SRV), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(illegal)
}

/// Reads the answer to that question; `None` when these bytes are not it.
pub(super) fn answer(bytes: &[u8], id: u16, name: &str) -> Option<Answer> {
    let packet = Packet::parse(bytes).ok()?;
    let [question] = &packet.questions[..] else { return None };
    let is_mine = packet.id() == id
        && packet.has_flags(PacketFlag::RESPONSE)
        && question.qtype == QTYPE::TYPE(TYPE::SRV)
        && question.qname.to_string().eq_ignore_ascii_case(name);
    if !is_mine {
        return None;
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Some(Answer::Truncated);
    }
    Some(match packet.rcode() {
        RCODE::NoError => Answer::Records(packet.answers.iter().filter_map(record).collect()),
        RCODE::NameError => Answer::Records(Vec::new()),
        RCODE::ServerFailure => Answer::Failed("the name server failed".to_owned()),
        RCODE::Refused => Answer::Failed("the name server refuses to answer".to_owned()),
        other => Answer::Failed(format!("the name server answers {other:?}")),
    })
}

fn record(answer: &simple_dns::ResourceRecord<'_>) -> Option<Record> {
    // An alias (CNAME) may stand before it, so that it is the record of another name.
    let RData::SRV(srv) = &answer.rdata else { return None };
    let target = srv.target.to_string();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    target.bytes().all(is_host).then_some(Record { priority: srv.priority, weight: srv.weight, port: srv.port, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "_mqtt._tcp.example.org";

    /// An answer as RFC 1035 writes it: header, question, records whose names point to the question's.
    fn wire(id: u16, flags: u16, records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = [id, flags, 1, records.len() as u16, 0, 0].map(u16::to_be_bytes).concat();
        bytes.extend_from_slice(b"\x05_mqtt\x04_tcp\x07example\x03org\0\0\x21\0\x01");
        for data in records {
            bytes.extend_from_slice(b"\xC0\x0C\0\x21\0\x01\0\0\0\x3C");
            bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    const DATA: &[u8] = b"\0\x0A\0\x05\x07\x5B\x01a\x07example\x03org\0";

    fn expected() -> Record {
        Record { priority: 10, weight: 5, port: 1883, target: "a.example.org".to_owned() }
    }

    #[test]
    fn a_question_is_what_the_standard_says() {
        let bytes = question(0x1234, NAME).expect("is short");
        assert_eq!(bytes, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x05_mqtt\x04_tcp\x07example\x03org\0\0\x21\0\x01");
        assert!(question(1, &"a".repeat(64)).is_err());
    }

    #[test]
    fn records_are_read() {
        let good = wire(7, 0x8180, &[DATA]);
        assert_eq!(answer(&good, 7, NAME), Some(Answer::Records(vec![expected()])));
        assert_eq!(answer(&good, 7, "_MQTT._tcp.Example.ORG"), Some(Answer::Records(vec![expected()])));
        let none = b"\0\0\0\0\0\0\0".as_slice();
        let Some(Answer::Records(root)) = answer(&wire(7, 0x8180, &[none]), 7, NAME) else { unreachable!("is legal") };
        assert_eq!(root[0].target, "");
        assert_eq!(answer(&wire(7, 0x8183, &[]), 7, NAME), Some(Answer::Records(Vec::new())));
    }

    #[test]
    fn what_is_not_the_answer_is_not_taken_for_it() {
        assert_eq!(answer(&wire(8, 0x8180, &[DATA]), 7, NAME), None, "another number");
        assert_eq!(answer(&wire(7, 0x0100, &[DATA]), 7, NAME), None, "a question");
        assert_eq!(answer(&wire(7, 0x8180, &[DATA]), 7, "_mqtt._tcp.example.com"), None, "another name");
        assert_eq!(answer(&wire(7, 0x8380, &[]), 7, NAME), Some(Answer::Truncated));
        assert!(matches!(answer(&wire(7, 0x8182, &[]), 7, NAME), Some(Answer::Failed(_))));
        let odd = b"\0\x0A\0\x05\x07\x5B\x05a b/c\0".as_slice();
        assert_eq!(answer(&wire(7, 0x8180, &[odd, DATA]), 7, NAME), Some(Answer::Records(vec![expected()])));
    }

    #[test]
    fn no_damage_does_harm() {
        let good = wire(7, 0x8180, &[DATA, DATA]);
        for at in 0..good.len() {
            let _ = answer(&good[..at], 7, NAME);
            for value in [0, 1, 0x3F, 0xC0, 0xC1, 0xFF] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = answer(&bad, 7, NAME);
            }
        }
        // A name that points to itself has no end.
        let endless = [&wire(7, 0x8180, &[])[..12], b"\xC0\x0C\0\x21\0\x01"].concat();
        assert_eq!(answer(&endless, 7, NAME), None);
    }
}
