//! A client that goes on through losses of its connection, and tells of them:
//! `MQTT_URL=mqtt://host cargo run --example reconnecting`

use std::time::Duration;

use sori_client::{Client, Error, Options, Publish, Reconnect, State};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let reconnect = Reconnect::default().min(Duration::from_millis(500)).max(Duration::from_secs(30));
    // `start` waits for nothing: the server may come later than this program.
    let client = Client::start(Options::new(&url)?.reconnect(reconnect))?;
    let mut states = client.states();
    let publisher = client.clone();
    tokio::spawn(async move {
        for number in 0.. {
            // Without a connection this waits in a queue; nothing that was accepted is lost.
            if let Err(error) = publisher.publish(Publish::new("counter", number.to_string())).await {
                return println!("the end: {error}");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    while let Some(state) = states.next().await {
        match state {
            State::Connected { session_present, .. } => println!("connected; session present: {session_present}"),
            State::Disconnected { error, retry_in } => println!("{error}; again in {} ms", retry_in.as_millis()),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
