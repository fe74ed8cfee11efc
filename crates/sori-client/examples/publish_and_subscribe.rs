//! Publishes and subscribes at once, asynchronously: `MQTT_URL=mqtt://host cargo run --example publish_and_subscribe`

use sori_client::{Client, Error, Publish, Subscription};

async fn publish(client: &Client) -> Result<(), Error> {
    for number in 1..=10 {
        // Waiting for the receipt here never keeps the messages from coming.
        client.publish(Publish::new("numbers", number.to_string())).await?;
    }
    Ok(())
}

async fn add(mut numbers: Subscription) -> u32 {
    let mut sum = 0;
    for _ in 1..=10 {
        let Some(message) = numbers.next().await else { break };
        sum += message.text().ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    }
    sum
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let client = Client::connect(url).await?;
    let numbers = client.subscribe("numbers").await?;
    let (published, sum) = tokio::join!(publish(&client), add(numbers));
    published?;
    println!("the sum is {sum}");
    client.close().await
}
