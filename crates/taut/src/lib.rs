//! One server, every socket: a browser, `curl`, `nc` and a program in any language stand in the same rooms.
//!
//! This crate is the facade of the parts, for programs that embed them; the program `taut` is built from the same.
//!
//! | module | what |
//! |---|---|
//! | [`server`] | sockets, cores, timers: a whole server as a value |
//! | [`client`] | the async client library |
//! | [`hub`] | rooms, positions, history and presence without sockets or clocks |
//! | [`wire`] | the protocols as sans-IO codecs, for both roles |
//!
//! # A server in your program
//!
//! ```
//! use taut::server::{Config, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config {
//!     listeners: vec!["127.0.0.1:0".parse()?],
//!     ..Config::default()
//! };
//! let server = Server::bind(config)?;
//! let (address, stopper) = (server.addresses()[0], server.stopper());
//! let serving = std::thread::spawn(move || server.run());
//!
//! // … whoever connects to `address` by any protocol is served …
//! # assert!(address.ip().is_loopback());
//!
//! stopper.stop();
//! match serving.join() {
//!     Ok(result) => result?,
//!     Err(_) => eprintln!("the server panicked"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A client in your program
//!
//! ```no_run
//! use taut::client::{Client, Event, Publish};
//!
//! # async fn example() -> Result<(), taut::client::Error> {
//! let (client, mut events) = Client::connect("http://localhost:8080").await?;
//! client.join("lobby").await?;
//! client.publish(Publish::to("lobby", "hello")).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{}: {:?}", message.from, message.body);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub use taut_client as client;
pub use taut_hub as hub;
pub use taut_server as server;
pub use taut_wire as wire;
