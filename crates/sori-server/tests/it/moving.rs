//! A persistent session whose client comes back by every shard, while messages flow.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::client_session::{ClientSession, ConnectOptions, Event};
use sori_mqtt::{PINGREQ, Properties, QoS, SubscribeOptions, TopicFilter};

use super::broker::Broker;
use super::client::{Client, Received};

const RECONNECTS: usize = 200;
const MESSAGES: u32 = 4000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that keeps the standard and whose network is lost again and again.
struct Mover {
    session: ClientSession,
    port: u16,
    /// The numbers that came, by QoS.
    received: [Vec<u32>; 2],
    is_subscribed: bool,
}

impl Mover {
    fn new(port: u16) -> Mover {
        let options = ConnectOptions {
            client_id: "mover".to_owned(),
            clean_start: false,
            session_expiry_interval: 1000,
            keep_alive: 0,
            ..ConnectOptions::default()
        };
        Mover {
            session: ClientSession::new(options).expect("is legal"),
            port,
            received: [Vec::new(), Vec::new()],
            is_subscribed: false,
        }
    }

    fn total(&self) -> usize {
        self.received.iter().map(Vec::len).sum()
    }

    /// Connects, and takes messages until `is_enough`; then the network is lost in the middle of something.
    fn visit(&mut self, answers: bool, mut is_enough: impl FnMut(&Mover) -> bool) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        self.session.connect(Duration::ZERO).expect("no connection");
        let mut buffer = [0; 2000];
        let mut asks = false;
        while !is_enough(self) {
            stream.write_all(self.session.output()).expect("is open");
            self.session.written(usize::MAX);
            let count = stream.read(&mut buffer).expect("something in time");
            assert!(count > 0, "the broker does not close");
            self.session.receive(Duration::ZERO, &buffer[..count]);
            while let Some(event) = self.session.poll_event().expect("a conforming broker") {
                match event {
                    Event::Message(publish) => {
                        let number = u32::from_be_bytes(publish.payload.try_into().expect("a number"));
                        let list = usize::from(publish.qos == QoS::ExactlyOnce);
                        if publish.qos == QoS::ExactlyOnce || !self.received[list].contains(&number) {
                            self.received[list].push(number);
                        } else {
                            assert!(publish.dup, "a QoS 1 message that comes again says so");
                        }
                    }
                    Event::Subscribed { .. } => self.is_subscribed = true,
                    _ => {}
                }
            }
            if self.session.is_connected() && !asks && !self.is_subscribed {
                asks = true;
                let filter = TopicFilter::new("data").expect("is legal");
                let options = SubscribeOptions { qos: QoS::ExactlyOnce, ..SubscribeOptions::default() };
                self.session.subscribe(&[(filter, options)], Properties::EMPTY).expect("is connected");
            }
        }
        if answers {
            let output = self.session.output().to_vec();
            // A part of the last answers, cut anywhere.
            let _ = stream.write_all(&output[..output.len() - output.len() / 3]);
        }
        self.session.connection_lost();
    }
}

/// Numbers from 0 on, at QoS 1 and 2 in turn.
fn publish_numbers(port: u16) {
    let mut client = Client::connect(port, "publisher");
    for number in 0..MESSAGES {
        let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        client.publish("data", &number.to_be_bytes(), qos, 1);
        match client.receive() {
            Received::Ack(sori_mqtt::PacketType::PubAck, _) => {}
            Received::Ack(_, packet_id) => {
                client.acknowledge(sori_mqtt::PacketType::PubRel, packet_id);
                assert!(matches!(client.receive(), Received::Ack(sori_mqtt::PacketType::PubComp, _)));
            }
            other => unreachable!("{other:?}"),
        }
    }
}

#[test]
fn a_session_keeps_its_flow_exactly_while_its_client_moves() {
    let broker = Broker::start("threads 4\nmax_queued_messages 0\nconnection_messages false");
    let port = broker.port;
    let mut mover = Mover::new(port);
    mover.visit(true, |mover| mover.is_subscribed);
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| publish_numbers(port));
        // Others connect meanwhile, so that the mover is given to a shard that nobody can foresee.
        scope.spawn(|| {
            for number in 0..RECONNECTS {
                let mut other = Client::connect(port, &format!("other {}", number % 7));
                other.send(&PINGREQ);
            }
        });
        for round in 0..RECONNECTS {
            let until = mover.total() + 1 + round * 7 % 23;
            mover.visit(round % 3 > 0, |mover| mover.total() >= until.min(MESSAGES as usize / 2));
        }
        let all = |mover: &Mover| mover.received.iter().all(|list| list.last() >= Some(&(MESSAGES - 2)));
        mover.visit(true, all);
    });
    eprintln!("{RECONNECTS} reconnects with {MESSAGES} messages took {:?}", began.elapsed());
    assert_eq!(mover.received[0], (0..MESSAGES).step_by(2).collect::<Vec<u32>>(), "QoS 1: all, in order");
    assert_eq!(mover.received[1], (1..MESSAGES).step_by(2).collect::<Vec<u32>>(), "QoS 2: each once, in order");
}
