//! The tasks with rumqttc, whose event loop the program polls itself.

use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

use crate::measuring::{Figures, Watch, Work};
use crate::{Failure, IN_FLIGHT};

async fn connect(work: &Work) -> Result<(AsyncClient, EventLoop), Failure> {
    let mut options = MqttOptions::new(format!("rumqttc-{}", std::process::id()), &work.host, work.port);
    options.set_keep_alive(Duration::from_secs(60));
    options.set_outgoing_inflight_upper_limit(IN_FLIGHT);
    let (client, mut events) = AsyncClient::new(options, IN_FLIGHT.into());
    until(&mut events, |packet| matches!(packet, Packet::ConnAck(_)), 1).await?;
    Ok((client, events))
}

/// Polls until so many packets of a kind have come in.
async fn until(events: &mut EventLoop, is_wanted: impl Fn(&Packet) -> bool, count: u64) -> Result<(), Failure> {
    let mut seen = 0;
    while seen < count {
        if let Event::Incoming(packet) = events.poll().await?
            && is_wanted(&packet)
        {
            seen += 1;
        }
    }
    Ok(())
}

pub(crate) async fn publish(work: &Work, qos: u8) -> Result<Figures, Failure> {
    let (client, mut events) = connect(work).await?;
    let watch = Watch::start()?;
    let qos = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    let (topic, payload, messages) = (work.topic.clone(), work.payload.clone(), work.messages);
    let publisher = tokio::spawn(async move {
        for _ in 0..messages {
            client.publish(topic.as_str(), qos, false, payload.clone()).await?;
        }
        if qos == QoS::AtMostOnce {
            client.publish(topic.as_str(), QoS::AtLeastOnce, false, payload).await?;
        }
        // Without any handle the event loop would end.
        Ok::<_, rumqttc::v5::ClientError>(client)
    });
    let acknowledgements = if qos == QoS::AtMostOnce { 1 } else { work.messages };
    until(&mut events, |packet| matches!(packet, Packet::PubAck(_)), acknowledgements).await?;
    let figures = watch.stop(work.messages, Vec::new())?;
    publisher.await??;
    Ok(figures)
}

pub(crate) async fn receive(work: &Work) -> Result<Figures, Failure> {
    let (client, mut events) = connect(work).await?;
    client.subscribe(work.topic.as_str(), QoS::AtMostOnce).await?;
    until(&mut events, |packet| matches!(packet, Packet::SubAck(_)), 1).await?;
    let _feeder = work.feed()?;
    let is_message = |packet: &Packet| matches!(packet, Packet::Publish(_));
    until(&mut events, is_message, 1).await?;
    let watch = Watch::start()?;
    until(&mut events, is_message, work.messages - 1).await?;
    watch.stop(work.messages, Vec::new())
}

pub(crate) async fn receipt(work: &Work) -> Result<Figures, Failure> {
    let (client, mut events) = connect(work).await?;
    let watch = Watch::start()?;
    let mut receipts = Vec::new();
    for _ in 0..work.messages {
        let began = Instant::now();
        client.publish(work.topic.as_str(), QoS::AtLeastOnce, false, work.payload.clone()).await?;
        until(&mut events, |packet| matches!(packet, Packet::PubAck(_)), 1).await?;
        receipts.push(began.elapsed());
    }
    watch.stop(work.messages, receipts)
}
