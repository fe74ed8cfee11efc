//! sori-client, rumqttc and mqtt5 side by side: messages per second of processor time, and how long a receipt takes.
//!
//! ```text
//! cargo run --release --manifest-path bench/clients/Cargo.toml -- URL [MESSAGES] [BYTES] [ROUNDS]
//! ```
//!
//! The broker runs elsewhere; nothing of it is in the figures. Each measurement is a process of its own, this program started again,
//! so that no client pays for another one's threads or memory. Every client runs in a runtime with one thread, speaks MQTT 5.0, and
//! does the same:
//!
//! - `publish-0`, `publish-1`: publishes all messages with that QoS, as many at a time as it can, until all are done. With QoS 1 a
//!   message is done with its PUBACK; with QoS 0 a last message with QoS 1 says that all before it have left.
//! - `receive`: subscribes with QoS 0, and takes all messages that another process of sori-client publishes meanwhile.
//! - `receipt`: publishes with QoS 1, one after the other, and notes how long each PUBACK takes.

mod measuring;
mod mqtt5_client;
mod rumqttc_client;
mod sori;

use std::process::{Command, Stdio};

use measuring::{Figures, Work};

/// Messages that other clients have in flight or in their channel at most, as with ours by default towards a broker that allows it.
const IN_FLIGHT: u16 = 1_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CLIENTS: [&str; 3] = ["sori", "rumqttc", "mqtt5"];
const TASKS: [&str; 4] = ["publish-0", "publish-1", "receive", "receipt"];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["one", client, task, url, messages, bytes] => {
            let work = Work::new(url, messages.parse()?, bytes.parse()?)?;
            let figures = one(client, task, work)?;
            println!("{figures}");
            Ok(())
        }
        ["feed", url, messages, bytes] => {
            let work = Work::new(url, messages.parse()?, bytes.parse()?)?;
            run(async move { sori::feed(&work).await })
        }
        [url, ref rest @ ..] if rest.len() <= 3 => {
            let number = |at: usize, default: u64| rest.get(at).map_or(Ok(default), |text| text.parse::<u64>());
            all(url, number(0, 100_000)?, number(1, 64)?, number(2, 3)?)
        }
        _ => Err("usage: sori-bench-clients URL [MESSAGES] [BYTES] [ROUNDS]".into()),
    }
}

fn all(url: &str, messages: u64, bytes: u64, rounds: u64) -> Result<(), Failure> {
    println!("{messages} messages of {bytes} bytes, the best of {rounds} rounds");
    println!("{:<10} {:<8} {:>16} {:>14} {:>12}", "task", "client", "messages/cpu s", "messages/s", "p50 receipt");
    for task in TASKS {
        // A receipt at a time takes long.
        let messages = if task == "receipt" { messages.min(5_000) } else { messages };
        for client in CLIENTS {
            let mut best: Option<Figures> = None;
            // The rounds of the clients could take turns, but then a table would come only at the end.
            for _ in 0..rounds.max(1) {
                let figures = in_a_process(client, task, url, messages, bytes)?;
                best = Some(best.map_or(figures, |best| best.better(figures)));
            }
            let Some(best) = best else { continue };
            println!("{task:<10} {client:<8} {}", best.row());
        }
    }
    Ok(())
}

/// This program once more, for one measurement.
fn in_a_process(client: &str, task: &str, url: &str, messages: u64, bytes: u64) -> Result<Figures, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["one", client, task, url, &messages.to_string(), &bytes.to_string()]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{client}, {task}: {}", output.status).into());
    }
    String::from_utf8(output.stdout)?.trim().parse()
}

fn one(client: &str, task: &str, work: Work) -> Result<Figures, Failure> {
    match (client, task) {
        ("sori", "publish-0") => run(async move { sori::publish(&work, 0).await }),
        ("sori", "publish-1") => run(async move { sori::publish(&work, 1).await }),
        ("sori", "receive") => run(async move { sori::receive(&work).await }),
        ("sori", "receipt") => run(async move { sori::receipt(&work).await }),
        ("rumqttc", "publish-0") => run(async move { rumqttc_client::publish(&work, 0).await }),
        ("rumqttc", "publish-1") => run(async move { rumqttc_client::publish(&work, 1).await }),
        ("rumqttc", "receive") => run(async move { rumqttc_client::receive(&work).await }),
        ("rumqttc", "receipt") => run(async move { rumqttc_client::receipt(&work).await }),
        ("mqtt5", "publish-0") => run(async move { mqtt5_client::publish(&work, 0).await }),
        ("mqtt5", "publish-1") => run(async move { mqtt5_client::publish(&work, 1).await }),
        ("mqtt5", "receive") => run(async move { mqtt5_client::receive(&work).await }),
        ("mqtt5", "receipt") => run(async move { mqtt5_client::receipt(&work).await }),
        _ => Err(format!("no client {client} or no task {task}").into()),
    }
}

/// In a task of the runtime, as most of a program is: what `block_on` itself runs gets its turn only after a look at the sockets.
fn run<T: Send + 'static>(future: impl Future<Output = Result<T, Failure>> + Send + 'static) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::spawn(future).await? })
}
