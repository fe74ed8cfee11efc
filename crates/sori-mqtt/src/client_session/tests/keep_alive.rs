//! Pings and time-outs.

use super::*;

impl Client {
    /// Time passes, up to the next deadline.
    fn wait(&mut self) -> Result<Duration, ConnectionError> {
        let before = self.now;
        self.now = self.session.deadline().expect("a deadline");
        self.session.handle_timeout(self.now)?;
        Ok(self.now - before)
    }
}

const PINGRESP: [u8; 2] = crate::PINGRESP;

#[test]
// covers: [MQTT311-3.1.2-23]
fn mqtt5_3_1_2_20_pingreq_when_nothing_else_was_sent() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        assert_eq!(client.wait(), Ok(Duration::from_secs(60)));
        assert_eq!(client.sent(), ["PINGREQ"]);
        client.feed_bytes(&PINGRESP);
        client.now += Duration::from_secs(50);
        client.incoming(1, 1, "t");
        assert_eq!(client.sent(), ["PUBACK 1 0x00"]);
        assert_eq!(client.wait(), Ok(Duration::from_secs(60)), "the PUBACK was something");
        assert_eq!(client.sent(), ["PINGREQ"]);
    }
}

#[test]
// covers: [MQTT-3.2.2-21]
fn mqtt5_3_1_2_21_the_server_s_keep_alive_holds() {
    let mut client = Client::connected(options(Version::V5), &[Property::ServerKeepAlive(7)]);
    assert_eq!(client.wait(), Ok(Duration::from_secs(7)));
    let mut silent = Client::connected(options(Version::V5), &[Property::ServerKeepAlive(0)]);
    assert_eq!(silent.session.deadline(), None);
    silent.now *= 2;
    assert_eq!(silent.session.handle_timeout(silent.now), Ok(()));
    assert_eq!(silent.sent(), [""; 0]);
}

#[test]
fn a_server_that_does_not_answer_pings_is_given_up() {
    let mut client = Client::connected(options(Version::V5), &[]);
    client.wait().expect("PINGREQ");
    let error = ConnectionError::Timeout(PacketType::PingResp);
    assert_eq!(client.wait(), Err(error));
    assert!(!client.session.is_open());
    assert_eq!(client.sent(), ["PINGREQ"]);
}

#[test]
fn something_is_sent_within_keep_alive_also_while_an_answer_is_missing() {
    let slow = ConnectOptions { keep_alive: 4, ..options(Version::V5) };
    let mut client = Client::connected(slow, &[]);
    for _ in 0..3 {
        assert_eq!(client.wait(), Ok(Duration::from_secs(4)));
        assert_eq!(client.sent(), ["PINGREQ"]);
    }
    assert!(client.wait().is_err(), "ten seconds after the first");
}

#[test]
fn a_busy_server_may_answer_late() {
    let mut client = Client::connected(options(Version::V5), &[]);
    client.wait().expect("PINGREQ");
    client.now += Duration::from_secs(9);
    client.incoming(0, 0, "t");
    client.now += Duration::from_secs(9);
    assert_eq!(client.session.handle_timeout(client.now), Ok(()));
    client.feed_bytes(&PINGRESP);
    assert!(client.session.is_open());
}

#[test]
fn a_server_that_does_not_answer_connect_is_given_up() {
    for version in VERSIONS {
        let mut client = Client::new(options(version));
        client.session.connect(client.now).expect("idle");
        client.feed_bytes(&[0x20]);
        assert_eq!(client.wait(), Err(ConnectionError::Timeout(PacketType::ConnAck)));
        assert!(!client.session.is_open());
    }
}
