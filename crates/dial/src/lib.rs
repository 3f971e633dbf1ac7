//! From a URL to an open socket, and the story of how it got there.
//!
//! ```no_run
//! use taut_dial::{Opening, Settings, Untold, Url, open, open_websocket};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let url: Url = "wss://echo.example/chat".parse()?;
//! let mut opened = open(&url, &Settings::default(), &Untold).await?;
//! let (agreed, rest) = open_websocket(&mut opened.stream, &url, &Opening::default(), &Untold).await?;
//! # let _ = (agreed, rest);
//! # Ok(())
//! # }
//! ```
//!
//! Invariants that a reader could break:
//! - Everything is cancel-safe: a future that is dropped leaves no socket, task or half-open attempt behind.
//! - One clock runs over everything that [`open()`] does, and whoever runs out of time is told what was under way.
//! - Not one byte that the peer sent is lost: what came behind a proxy's answer stays in the stream, what came behind a handshake is returned.
//! - Every text of a [`DialError`] can be shown on a terminal: what peers said is escaped in it. In a [`Scene`] it is as it came.
//! - No password is in a text, a scene or a `Debug`.
//!
//! Bounds: 16 addresses of a name, 16 KiB of an answer's head, 4 KiB of a refusal's body, 16 MiB of a certificate file.
//!
//! Absent on purpose: proxies from the environment and proxies behind TLS; client-side session resumption, since every call makes its own
//! configuration; revocation lists; QUIC; anything after the socket is open.

mod error;
mod open;
mod proxy;
mod race;
mod resolve;
mod settings;
mod socket;
mod story;
mod stream;
mod telling;
mod tls;
mod url;
mod websocket;

pub use error::{DialError, TlsFault};
pub use open::{open, open_datagrams};
pub use settings::{Family, Proxy, ProxyKind, Settings, Tls};
pub use story::{Scene, Source, Story, Untold};
pub use stream::{Opened, Stream};
pub use taut_wire::ws::handshake::Agreed;
pub use telling::broken;
pub use tls::{Certificate, Watched};
pub use url::{PORT_HERE, Scheme, Url, UrlError};
pub use websocket::{Opening, open_websocket};
