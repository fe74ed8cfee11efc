//! Messages to functions by their topics: `MQTT_URL=mqtt://host cargo run --example router --features router`

use serde::Deserialize;
use sori_client::router::{Json, Name, Router, Text};
use sori_client::{Client, Error};

#[derive(Deserialize)]
struct Reading {
    celsius: f64,
}

async fn temperature(Name(room): Name, Json(reading): Json<Reading>) {
    println!("{room}: {} °C", reading.celsius);
}

async fn status(Name(id): Name<u32>, Text(status): Text) {
    println!("device {id} is {status}");
}

fn log(Name(path): Name, Text(line): Text) -> std::io::Result<()> {
    let file = format!("{}.log", path.replace('/', "-"));
    std::fs::write(std::env::temp_dir().join(file), line)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let url = std::env::var("MQTT_URL").unwrap_or("mqtt://localhost".into());
    let client = Client::connect(url).await?;
    Router::new()
        .route("sensors/{room}/temperature", temperature)
        .route("devices/{id}/status", status)
        .route_blocking("logs/{path..}", log)
        .on_failure(|failure| println!("failed: {failure}"))
        .run(&client)
        .await
}
