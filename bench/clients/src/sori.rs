//! The tasks with sori-client.

use std::collections::VecDeque;
use std::time::Instant;

use sori_client::{Client, Options, Publish, QoS, Subscribe, Version};

use crate::measuring::{Figures, Watch, Work};
use crate::{Failure, IN_FLIGHT};

async fn connect(work: &Work) -> Result<Client, Failure> {
    Ok(Client::connect(Options::new(&work.url)?.version(Version::V5)).await?)
}

fn message(work: &Work, qos: QoS) -> Publish<'_> {
    Publish::new(work.topic.as_str(), &work.payload).qos(qos)
}

pub(crate) async fn publish(work: &Work, qos: u8) -> Result<Figures, Failure> {
    let client = connect(work).await?;
    let watch = Watch::start()?;
    if qos == 0 {
        for _ in 0..work.messages {
            drop(client.send(message(work, QoS::AtMostOnce)).await?);
        }
        client.publish(message(work, QoS::AtLeastOnce)).await?;
    } else {
        let mut deliveries = VecDeque::new();
        for _ in 0..work.messages {
            if deliveries.len() >= IN_FLIGHT.into()
                && let Some(oldest) = deliveries.pop_front()
            {
                oldest.await?;
            }
            deliveries.push_back(client.send(message(work, QoS::AtLeastOnce)).await?);
        }
        for delivery in deliveries {
            delivery.await?;
        }
    }
    watch.stop(work.messages, Vec::new())
}

pub(crate) async fn receive(work: &Work) -> Result<Figures, Failure> {
    let client = connect(work).await?;
    let mut messages = client.subscribe(Subscribe::new(work.topic.as_str()).qos(QoS::AtMostOnce)).await?;
    let _feeder = work.feed()?;
    messages.next().await.ok_or("the stream has ended")?;
    let watch = Watch::start()?;
    for _ in 1..work.messages {
        std::hint::black_box(messages.next().await.ok_or("the stream has ended")?.payload());
    }
    watch.stop(work.messages, Vec::new())
}

pub(crate) async fn receipt(work: &Work) -> Result<Figures, Failure> {
    let client = connect(work).await?;
    let watch = Watch::start()?;
    let mut receipts = Vec::new();
    for _ in 0..work.messages {
        let began = Instant::now();
        client.publish(message(work, QoS::AtLeastOnce)).await?;
        receipts.push(began.elapsed());
    }
    watch.stop(work.messages, receipts)
}

/// Publishes for another process. With QoS 1, so that the broker is never given more than it takes: what it drops would be waited for.
pub(crate) async fn feed(work: &Work) -> Result<(), Failure> {
    publish(work, 1).await.map(|_| ())
}
