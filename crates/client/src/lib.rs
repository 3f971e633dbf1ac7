//! Taut's client: join rooms, publish, hear what is said, and come back by itself when the connection breaks.
//!
//! A program that chats (whole, with a terminal, in `examples/chat.rs`):
//!
//! ```no_run
//! use taut_client::{Body, Client, Event, Publish};
//!
//! # async fn example() -> Result<(), taut_client::Error> {
//! let (client, mut events) = Client::connect("http://localhost:8080").await?;
//! client.join("lobby").await?;
//! client.publish(Publish::to("lobby", "hello")).await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => match message.body {
//!             Body::Text(text) => println!("{}: {text}", message.from),
//!             Body::Json(json) => println!("{}: {json}", message.from),
//!             Body::Binary(bytes) => println!("{}: <{} bytes>", message.from, bytes.len()),
//!             Body::Args(args) => println!("{}: {}", message.from, args.to_json()),
//!         },
//!         Event::Gap { room, .. } => eprintln!("something is missing in {room}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A program that measures, and follows what others measure, through restarts of the server and bad networks (whole, in
//! `examples/sensors.rs`):
//!
//! ```no_run
//! use std::time::Duration;
//! use taut_client::{Client, Error, Event, Join, Options, Publish, Retry, Tls};
//!
//! # async fn example() -> Result<(), Error> {
//! let options = Options {
//!     // With a name, what was under way when a connection broke is sent again, and the server takes it once.
//!     name: Some("station-1".into()),
//!     // What is measured while the server is away waits here.
//!     offline_messages_max: 3_600,
//!     offline_ms_max: 3_600_000,
//!     tls: Tls { authorities: vec!["ours.pem".into()], ..Tls::default() },
//!     ..Options::default()
//! };
//! let (client, mut events) = Client::connect_with("wss://rooms.example", options).await?;
//! client.join(Join::room("sensors").rewind(100)).await?;
//! tokio::spawn(async move {
//!     while let Some(event) = events.next().await {
//!         match event {
//!             Event::Message(message) => println!("{:?}: {:?}", message.key, message.body),
//!             Event::Gap { after, at, .. } => eprintln!("missing: after {after:?} up to {at}"),
//!             Event::Disconnected { error, .. } => eprintln!("{error}"),
//!             _ => {}
//!         }
//!     }
//! });
//! loop {
//!     let publish = Publish::to("sensors", "21.5").key("station-1/inside");
//!     let ack = client.begin_publish(publish).await?;
//!     tokio::spawn(async move {
//!         if let Err(error) = ack.wait().await {
//!             let again = error.retry() != Retry::Never;
//!             eprintln!("a measurement is lost: {error}; trying again could help: {again}");
//!         }
//!     });
//!     tokio::time::sleep(Duration::from_secs(1)).await;
//! }
//! # }
//! ```
//!
//! It speaks the native protocol (PROTOCOL.md) over a WebSocket with the subprotocol `taut` (`http://`, `https://`, `ws://`, `wss://`), or in
//! lines over TCP, TLS and Unix sockets (`tcp://`, `tls://`, `unix:`), and through proxies: see [`Url`] and [`Options`].
//!
//! # When the connection breaks
//!
//! - Rooms are joined again where their readers stand; what could not be recovered is said by [`Event::Gap`].
//! - A publish with a name is sent again under its id until it is answered, so it happens once, however often the connection breaks. The server
//!   remembers ids for five minutes and for one run of its own: a publish that cannot be repeated safely any more is answered with
//!   [`Error::NoAnswer`], and one that a server took just before it crashed is published again to the one that follows.
//! - A publish without a name is answered with [`Error::Lost`] if it was under way, for nobody knows whether it happened; as is any other request.
//! - What is asked meanwhile waits, up to the bounds in [`Options`]; beyond them it is refused with [`Error::Full`].
//! - [`Error::retry`] says of every error whether the same may succeed later.
//!
//! # Invariants that a reader could break
//!
//! - A message is never lost without an [`Event::Gap`] (those of the lane `latest` may be), across reconnects and when nobody reads [`Events`] for a while.
//! - A request gets exactly one answer: the server's, or an [`Error`] that says whether to try again.
//! - Every queue is bounded: 64 commands; 1,024 requests and 4 MiB of publishes under way; 1,000 requests and 1 MiB of publishes that wait for a
//!   connection ([`Options`]); 1,024 events; 256 KiB (and one unit) of output; one unit of input.
//!
//! Absent on purpose: keeping what waits on a disk; repeating the first attempt to connect, since a wrong address must show; datagrams; and any
//! other protocol: whoever has a Socket.IO or MQTT client keeps using it.

mod carrier;
mod client;
mod connect;
mod error;
mod exchange;
mod intake;
mod lines;
mod membership;
mod message;
mod native;
mod options;
mod outbox;
mod outlet;
mod random;
mod request;
mod session;
mod under_way;
mod url;
mod websocket;

pub use client::{Ack, Client, Said};
pub use error::{Error, Retry};
pub use message::{
    Arguments, Body, Event, Joined, Latest, Message, Page, Position, Present, Published, Roster,
    Stamp, State,
};
pub use options::{Backoff, Options, Token};
pub use outlet::Events;
pub use request::{Expect, History, Join, Publish, Start};
pub use taut_dial::{PORT_HERE, Proxy, Tls};
pub use url::{Scheme, Url, UrlError};
