//! A chat on a terminal: what is typed is said in a room, what others say is printed.
//!
//! `cargo run -p taut-client --example chat -- ana lobby http://localhost:8080`, in two terminals, while `taut` runs in a third.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;

use taut_client::{Body, Client, Event, Join, Options, Publish};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "ana".into());
    let room = args.next().unwrap_or_else(|| "lobby".into());
    let url = args
        .next()
        .unwrap_or_else(|| "http://localhost:8080".into());
    let options = Options {
        name: Some(name),
        ..Options::default()
    };
    let (client, mut events) = Client::connect_with(&url, options).await?;
    client.join(Join::room(&room).rewind(10).presence()).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => say(&client, &room, &line).await,
                None => break,
            },
            event = events.next() => match event {
                Some(event) => show(event),
                None => break,
            },
        }
    }
    client.close().await;
    Ok(())
}

async fn say(client: &Client, room: &str, line: &str) {
    // Without waiting for the answer, so that what others say is shown meanwhile.
    let text = match client.begin_publish(Publish::to(room, line)).await {
        Ok(ack) => {
            tokio::spawn(async move {
                if let Err(error) = ack.wait().await {
                    eprintln!("! not said: {error}");
                }
            });
            return;
        }
        Err(error) => error,
    };
    eprintln!("! not said: {text}");
}

fn show(event: Event) {
    match event {
        Event::Message(message) => match message.body {
            // What others wrote could hold terminal escapes.
            Body::Text(text) => {
                let text: String = text.chars().filter(|c| !c.is_control()).collect();
                println!("{}: {text}", message.from);
            }
            Body::Json(json) => println!("{}: {json}", message.from),
            Body::Binary(bytes) => println!("{}: <{} bytes>", message.from, bytes.len()),
            Body::Args(args) => println!("{}: {}", message.from, args.to_json()),
        },
        Event::Presence { joined, left, .. } => {
            for member in joined {
                println!("* {} joined", member.name);
            }
            for member in left {
                println!("* {} left", member.name);
            }
        }
        Event::Gap { .. } => println!("* something was said that is lost"),
        Event::Disconnected { error, .. } => println!("* {error}"),
        Event::Reconnected => println!("* connected again"),
        _ => {}
    }
}
