//! The tasks with mqtt5, whose publish with QoS 1 waits for the PUBACK: many tasks publish at a time.

use std::sync::Arc;
use std::time::Instant;

use mqtt5::{MqttClient, QoS, SubscribeOptions};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::measuring::{Figures, Watch, Work};
use crate::{Failure, IN_FLIGHT};

async fn connect(work: &Work) -> Result<MqttClient, Failure> {
    let client = MqttClient::new(format!("mqtt5-{}", std::process::id()));
    client.connect(&work.url).await?;
    Ok(client)
}

pub(crate) async fn publish(work: &Work, qos: u8) -> Result<Figures, Failure> {
    let client = connect(work).await?;
    let watch = Watch::start()?;
    if qos == 0 {
        for _ in 0..work.messages {
            client.publish_qos(work.topic.as_str(), work.payload.clone(), QoS::AtMostOnce).await?;
        }
        client.publish_qos(work.topic.as_str(), work.payload.clone(), QoS::AtLeastOnce).await?;
    } else {
        // As many tasks as messages may be in flight, each with the next message as soon as its own is done.
        let left = Arc::new(Semaphore::new(usize::try_from(work.messages)?));
        let mut tasks = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (client, left) = (client.clone(), Arc::clone(&left));
            let (topic, payload) = (work.topic.clone(), work.payload.clone());
            tasks.spawn(async move {
                while let Ok(permit) = left.try_acquire() {
                    permit.forget();
                    client.publish_qos(topic.as_str(), payload.clone(), QoS::AtLeastOnce).await?;
                }
                Ok::<_, mqtt5::MqttError>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
    }
    watch.stop(work.messages, Vec::new())
}

pub(crate) async fn receive(work: &Work) -> Result<Figures, Failure> {
    let client = connect(work).await?;
    let (sender, mut messages) = mpsc::unbounded_channel();
    let options = SubscribeOptions { qos: QoS::AtMostOnce, ..SubscribeOptions::default() };
    let take = move |message: mqtt5::Message| drop(sender.send(message.payload.len()));
    client.subscribe_with_options(work.topic.as_str(), options, take).await?;
    let _feeder = work.feed()?;
    messages.recv().await.ok_or("the stream has ended")?;
    let watch = Watch::start()?;
    for _ in 1..work.messages {
        std::hint::black_box(messages.recv().await.ok_or("the stream has ended")?);
    }
    watch.stop(work.messages, Vec::new())
}

pub(crate) async fn receipt(work: &Work) -> Result<Figures, Failure> {
    let client = connect(work).await?;
    let watch = Watch::start()?;
    let mut receipts = Vec::new();
    for _ in 0..work.messages {
        let began = Instant::now();
        client.publish_qos(work.topic.as_str(), work.payload.clone(), QoS::AtLeastOnce).await?;
        receipts.push(began.elapsed());
    }
    watch.stop(work.messages, receipts)
}
