//! Servers that answer nonsense, slowly, wrongly or never: each ends in a typed error that says what to do.

use std::time::Duration;

use sori_client::{Client, Error, Options, Publish, QoS, ReasonCode, Reconnect, Subscribe, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::brokers::{options, soon};

/// A CONNACK that accepts, in MQTT 5.0 and in 3.1.1.
const WELCOME: [u8; 5] = [0x20, 3, 0, 0, 0];
const WELCOME_311: [u8; 4] = [0x20, 2, 0, 0];

/// A server: `serve` gets each connection, and its number.
async fn server<F>(mut serve: impl FnMut(TcpStream, usize) -> F + Send + 'static) -> Options
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("has an address").port();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, number));
            number += 1;
        }
    });
    options(&format!("mqtt://127.0.0.1:{port}")).reconnect(Reconnect::never()).version(Version::V5)
}

/// Reads one packet (a short one) and gives its bytes; nothing at the end.
async fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 2];
    if stream.read_exact(&mut bytes).await.is_err() {
        return Vec::new();
    }
    let mut body = vec![0; usize::from(bytes[1])];
    if stream.read_exact(&mut body).await.is_err() {
        return Vec::new();
    }
    bytes.extend(body);
    bytes
}

/// Says this after CONNECT, then waits for the client to go.
async fn saying(bytes: &'static [u8]) -> Options {
    server(move |mut stream, _| async move {
        packet(&mut stream).await;
        let _ = stream.write_all(bytes).await;
        while stream.read_u8().await.is_ok() {}
    })
    .await
}

async fn failure(options: Options) -> Error {
    soon("failing", Client::connect(options)).await.expect_err("cannot succeed")
}

/// The error, whether waiting helps, and what its text tells to do.
fn check(error: &Error, is_retryable: bool, part: &str) {
    assert_eq!(error.is_retryable(), is_retryable, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[tokio::test]
async fn nobody_is_there() {
    let error = failure(options("mqtt://127.0.0.1:1")).await;
    assert!(matches!(error, Error::Unreachable(..)), "{error:?}");
    check(&error, true, "nothing listens at 127.0.0.1:1: start the server");
    let error = failure(options("mqtt://no-such-host.invalid")).await;
    assert!(matches!(error, Error::Resolve(..)), "{error:?}");
    check(&error, true, "the name \"no-such-host.invalid\" cannot be resolved");
    let error = failure(options("unix:/no/such/socket")).await;
    check(&error, true, "/no/such/socket cannot be reached");
    let error = Client::connect("mqtt:/typo").await.expect_err("is no URL");
    check(&error, false, "write it as mqtt://host");
    let error = Client::connect(options("mqtt://127.0.0.1:1").clean_start(false)).await.expect_err("is not legal");
    check(&error, false, "client identifier");
}

#[tokio::test]
async fn what_does_not_speak_mqtt() {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let error = failure(saying(http).await).await;
    assert!(matches!(error, Error::NotMqtt(..)), "{error:?}");
    check(&error, false, "does not speak MQTT");
    let error = failure(saying(b"\x15\x03\x03\x00\x02\x02\x46").await).await;
    check(&error, false, "does not speak MQTT");
    let error = failure(saying(&[0xFF; 100]).await).await;
    check(&error, false, "does not speak MQTT");
    let error = failure(server(|stream, _| async move { drop(stream) }).await).await;
    check(&error, true, "closed the connection before it answered");
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let silent = saying(b"").await.connect_timeout(Duration::from_millis(50));
    let error = failure(silent).await;
    assert!(matches!(error, Error::TimedOut(..)), "{error:?}");
    check(&error, true, "sent no CONNACK");
    // Nor who sends a byte now and then and never comes to an end.
    let slow = server(|mut stream, _| async move {
        packet(&mut stream).await;
        for byte in [0x20, 0xFF, 0x7F] {
            let _ = stream.write_all(&[byte]).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while stream.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    check(&failure(slow.connect_timeout(Duration::from_millis(100))).await, true, "sent no CONNACK");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (code, is_retryable, part) in [
        (0x86, false, "bad user name or password; check the user name and the password"),
        (0x87, false, "not authorized"),
        (0x85, false, "choose another client identifier"),
        (0x8A, false, "banned"),
        (0x88, true, "server unavailable; try again later"),
        (0x97, true, "quota exceeded"),
    ] {
        let refusing = server(move |mut stream, _| async move {
            packet(&mut stream).await;
            let _ = stream.write_all(&[0x20, 3, 0, code, 0]).await;
        });
        let error = failure(refusing.await).await;
        assert_eq!(error.reason_code().map(ReasonCode::value), Some(code));
        check(&error, is_retryable, part);
    }
    let error = failure(saying(&[0x20, 2, 0, 4]).await.version(Version::V311)).await;
    check(&error, false, "check the user name and the password");
    let moved = saying(b"\x20\x0b\x00\x9d\x08\x1c\x00\x05other").await;
    check(&failure(moved).await, false, "server moved; connect to the server that it names: other");
}

#[tokio::test]
async fn a_server_that_knows_only_311_is_spoken_to_in_311() {
    // By the book, by closing, and by something that makes no sense in 5.0.
    for answer in [&[0x20, 2, 0, 1][..], &[], &[0x20, 2, 0, 0x84]] {
        let old = server(move |mut stream, _| async move {
            let connect = packet(&mut stream).await;
            if connect.get(8) != Some(&4) {
                let _ = stream.write_all(answer).await;
                return;
            }
            let _ = stream.write_all(&WELCOME_311).await;
            loop {
                match packet(&mut stream).await.as_slice() {
                    [] => return,
                    // PUBLISH with topic "t" and QoS 1.
                    [0x32, _, 0, 1, b't', high, low, ..] => {
                        let _ = stream.write_all(&[0x40, 2, *high, *low]).await;
                    }
                    _ => {}
                }
            }
        })
        .await;
        let any = options(&format!("mqtt://{}", address_of(&old)));
        let client = soon("connecting", Client::connect(any)).await.expect("is let in");
        assert!(matches!(client.state(), sori_client::State::Connected { version: Version::V311, .. }));
        soon("a receipt", client.publish(("t", "hello"))).await.expect("taken");
        soon("closing", client.close()).await.expect("nothing waits");
        // Who asked for 5.0 gets nothing else.
        failure(old).await;
    }
}

/// Where these options lead to, from their own words.
fn address_of(options: &Options) -> String {
    let text = format!("{options:?}");
    let from = text.find("endpoint: ").expect("is there") + "endpoint: ".len();
    text[from..].split(',').next().expect("is there").to_owned()
}

/// After a welcome: what the client says is answered by these bytes, whatever it is.
async fn answering(bytes: &'static [u8]) -> Client {
    let options = server(move |mut stream, _| async move {
        packet(&mut stream).await;
        let _ = stream.write_all(&WELCOME).await;
        packet(&mut stream).await;
        let _ = stream.write_all(bytes).await;
        while stream.read_u8().await.is_ok() {}
    })
    .await;
    soon("connecting", Client::connect(options)).await.expect("is let in")
}

#[tokio::test]
async fn wrong_answers_end_in_typed_errors() {
    for bytes in [
        // CVE-2024-10525: a SUBACK without reason codes; one with too many; one that is cut.
        &[0x90, 3, 0, 1, 0][..],
        &[0x90, 6, 0, 1, 0, 0, 0, 0],
        &[0x90, 1, 0],
        // Answers for something else, a second CONNACK, what only clients send, a length of five bytes.
        &[0x40, 2, 0, 1],
        &[0x20, 3, 0, 0, 0],
        &[0x10, 0],
        &[0x82, 0],
        &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        // A message with QoS 3, with a wildcard in its topic, with an alias that was never given.
        &[0x36, 5, 0, 1, b't', 0, 1],
        &[0x30, 4, 0, 1, b'#', 0],
        &[0x30, 6, 0, 0, 3, 0x23, 0, 1],
        // Garbage.
        &[0xFF; 64],
    ] {
        let client = answering(bytes).await;
        let error = soon("failing", client.subscribe("t")).await.err().expect("cannot succeed");
        assert!(matches!(&error, Error::Closed(Some(cause)) if matches!(**cause, Error::Violation(_))), "{error:?}");
        check(&error, false, "the server broke the protocol");
    }
    let client = answering(&[0x90, 4, 0, 1, 0, 0x87]).await;
    let error = soon("failing", client.subscribe("t")).await.err().expect("cannot succeed");
    check(&error, false, "refused the subscription to \"t\": not authorized");
    let client = answering(&[0x40, 4, 0, 1, 0x87, 0]).await;
    let error = soon("failing", client.publish(("t", ""))).await.expect_err("cannot succeed");
    check(&error, false, "refused the message: not authorized");
    let client = answering(&[0xE0, 2, 0x8E, 0]).await;
    let error = soon("failing", client.publish(("t", ""))).await.expect_err("cannot succeed");
    check(&error, false, "session taken over; another client");
    let client = answering(b"").await;
    let topic = soon("failing", client.publish(("a/+", ""))).await.expect_err("cannot succeed");
    check(&topic, false, "\"a/+\" holds a wildcard: messages go to one topic");
    let filter = soon("failing", client.subscribe("a/#/b")).await.err().expect("cannot succeed");
    check(&filter, false, "\"a/#/b\" is not legal");
}

#[tokio::test]
async fn what_the_server_does_not_take_is_not_sent() {
    // Maximum Packet Size 100, Maximum QoS 1, no retain, no wildcards.
    let limits: &[u8] = &[0x20, 14, 0, 0, 11, 0x27, 0, 0, 0, 100, 0x24, 1, 0x25, 0, 0x28, 0];
    let limited = saying(limits).await;
    let client = soon("connecting", Client::connect(limited)).await.expect("is let in");
    let error = soon("failing", client.publish(Publish::new("t", vec![0; 100]))).await.expect_err("is too large");
    assert!(matches!(error, Error::TooLarge(_, 100)), "{error:?}");
    check(&error, false, "the server takes 100");
    for publish in [Publish::new("t", "").qos(QoS::ExactlyOnce), Publish::new("t", "").retain(true)] {
        check(
            &soon("failing", client.publish(publish)).await.expect_err("is not supported"),
            false,
            "does not support",
        );
    }
    let error = soon("failing", client.subscribe("#")).await.err().expect("is not supported");
    check(&error, false, "does not support");
}

#[tokio::test]
async fn a_server_that_reads_nothing_costs_no_more_than_the_queue() {
    let deaf = server(|mut stream, _| async move {
        packet(&mut stream).await;
        let _ = stream.write_all(&WELCOME).await;
        std::future::pending::<()>().await;
    })
    .await;
    let options = deaf.queue_bytes_max(1 << 20, sori_client::WhenFull::Refuse).close_timeout(Duration::from_millis(50));
    let client = soon("connecting", Client::connect(options)).await.expect("is let in");
    let mut accepted = 0;
    let refused = loop {
        match client.try_publish(Publish::new("t", vec![0; 10_000]).qos(QoS::AtLeastOnce)) {
            Ok(delivery) => drop(delivery),
            Err(error) => break error,
        }
        accepted += 1;
        assert!(accepted < 1_000, "the bound holds");
        tokio::task::yield_now().await;
    };
    check(&refused, true, "publish slower");
    let error = soon("closing", client.close()).await.expect_err("nothing was delivered");
    assert!(matches!(error, Error::Undelivered(_)), "{error:?}");
    check(&error, true, "could not be delivered");
}

#[tokio::test]
async fn a_flood_that_nobody_takes_is_bounded_and_counted() {
    let flood = server(|mut stream, _| async move {
        packet(&mut stream).await;
        let _ = stream.write_all(&WELCOME).await;
        packet(&mut stream).await;
        let _ = stream.write_all(&[0x90, 4, 0, 1, 0, 0]).await;
        let mut message = vec![0x30, 0x84, 0x08, 0, 1, b't', 0];
        message.resize(message.len() + 1_024, 7);
        for _ in 0..5_000 {
            if stream.write_all(&message).await.is_err() {
                return;
            }
        }
        let _ = stream.write_all(&[0x30, 7, 0, 1, b't', 0, b'e', b'n', b'd']).await;
        while stream.read_u8().await.is_ok() {}
    })
    .await;
    let client = soon("connecting", Client::connect(flood.incoming_bytes_max(100_000))).await.expect("is let in");
    let subscribe = Subscribe::new("t").queue(usize::MAX, sori_client::Overflow::Wait);
    let mut stream = soon("subscribing", client.subscribe(subscribe)).await.expect("granted");
    // Something that waits for an answer, and keeps the connection being read.
    let request = client.request(("nobody", ""), Duration::from_millis(500));
    assert!(soon("an error", request).await.is_err());
    assert!(stream.dropped() > 0, "more than the bound came");
    let mut taken = 0;
    while soon("a message", stream.next()).await.is_some_and(|message| message.payload() != b"end") {
        taken += 1;
        if taken + stream.dropped() >= 5_000 {
            break;
        }
    }
    assert!(taken < 5_000);
}

#[tokio::test]
async fn random_bytes_never_panic_the_client() {
    for seed in 0..40_u64 {
        let mut state = seed;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let options = server(move |mut stream, _| {
            let bytes: Vec<u8> = (0..300).map(|_| random()).collect();
            async move {
                packet(&mut stream).await;
                let _ = stream.write_all(&WELCOME).await;
                packet(&mut stream).await;
                let _ = stream.write_all(&bytes).await;
            }
        })
        .await;
        let client = soon("connecting", Client::connect(options)).await.expect("is let in");
        assert!(soon("an end", client.publish(("t", ""))).await.is_err());
    }
}
