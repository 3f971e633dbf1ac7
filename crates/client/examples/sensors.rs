//! A station with two sensors: it publishes what they measure, and follows what other stations measure. It waits for a server that is not
//! there yet, comes back when the connection breaks, and keeps what is measured meanwhile, up to a bound.
//!
//! `cargo run -p taut-client --example sensors -- station-1 http://localhost:8080`. Stop and start the server, and nothing is missing.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Duration;

use taut_client::{Ack, Body, Client, Error, Event, Events, Join, Options, Publish, Retry};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let station = args.next().unwrap_or_else(|| "station-1".into());
    let url = args
        .next()
        .unwrap_or_else(|| "http://localhost:8080".into());
    let options = Options {
        // With a name, what was under way when a connection broke is sent again, and the server takes it once.
        name: Some(station.clone()),
        // Ten minutes of two measurements a second.
        offline_messages_max: 1_200,
        offline_ms_max: 600_000,
        ..Options::default()
    };
    let (client, events) = connect(&url, &options).await?;
    client.join(Join::room("sensors").rewind(100)).await?;
    tokio::spawn(follow(events));
    measure(&client, &station).await
}

/// The first connection is not repeated by the client itself: only the program knows whether it should wait.
async fn connect(url: &str, options: &Options) -> Result<(Client, Events), Error> {
    loop {
        let error = match Client::connect_with(url, options.clone()).await {
            Ok(connected) => return Ok(connected),
            Err(error) => error,
        };
        match error.retry() {
            Retry::Never => return Err(error),
            Retry::After(pause) => {
                eprintln!("{error}; trying again in {pause:?}");
                sleep(pause).await;
            }
        }
    }
}

async fn measure(client: &Client, station: &str) -> Result<(), Error> {
    let (acks, waiting) = mpsc::channel(2_000);
    tokio::spawn(report(waiting));
    let mut clock = interval(Duration::from_secs(1));
    for number in 0_u64.. {
        clock.tick().await;
        for sensor in ["inside", "outside"] {
            let celsius = 20 + number % 5;
            let body = Body::json(&format!(r#"{{"celsius":{celsius}}}"#))?;
            let publish = Publish::to("sensors", body)
                .event("measured")
                .key(format!("{station}/{sensor}"));
            let ack = client.begin_publish(publish).await?;
            // The bounds of the client are narrower, so there is space.
            let _ = acks.try_send(ack);
        }
    }
    Ok(())
}

/// Says what did not arrive: the buffer was full, or the server was away for too long.
async fn report(mut acks: mpsc::Receiver<Ack>) {
    while let Some(ack) = acks.recv().await {
        if let Err(error) = ack.wait().await {
            eprintln!("a measurement is lost: {error}");
        }
    }
}

async fn follow(mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            Event::Message(message) => {
                let sensor = message.key.as_deref().unwrap_or("a sensor without a name");
                if let Body::Json(json) = &message.body {
                    println!("{sensor:?}: {json}");
                }
            }
            Event::Gap { after, at, .. } => eprintln!("missing: after {after:?} up to {at}"),
            Event::Disconnected {
                error,
                retry_ms: Some(ms),
            } => eprintln!("{error}; coming back in {ms} ms"),
            Event::Disconnected { error, .. } => eprintln!("{error}"),
            Event::Reconnected => eprintln!("connected again"),
            _ => {}
        }
    }
}
