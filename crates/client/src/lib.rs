//! Taut's client: join rooms, publish, hear what is said, and come back by itself when the connection breaks.
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
//!         },
//!         Event::Gap { room, .. } => eprintln!("something is missing in {room}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It speaks the native protocol (PROTOCOL.md) over a WebSocket with the subprotocol `taut`, or over plain TCP lines.
//!
//! Invariants that a reader could break:
//! - A message is never lost without an [`Event::Gap`], across reconnects and when nobody reads [`Events`] for a while.
//! - A request is sent at most once; its answer is the server's or an [`Error`] that says whether to try again.
//! - Every queue is bounded: 64 commands, 1,024 requests under way, 1,024 events, 256 KiB (and one unit) of output, one unit of input.
//!
//! Absent on purpose: TLS and buffering while offline, which come later; and any other protocol: whoever has a Socket.IO or MQTT
//! client keeps using it.

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

pub use client::{Ack, Client};
pub use error::{Error, Retry};
pub use message::{Body, Event, Joined, Message, Page, Position, Present, Published, Roster};
pub use options::{Backoff, Options};
pub use outlet::Events;
pub use request::{History, Join, Publish, Start};
pub use taut_dial::{PORT_HERE, Proxy, Tls};
pub use url::{Scheme, Url, UrlError};
