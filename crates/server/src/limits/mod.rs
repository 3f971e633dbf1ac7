//! How much one address, one user, one Conn, and all together may do: rates, places, and the guards that turn newcomers away before the machine suffers.
//!
//! An [`Account`](account::Account) is what is remembered of an address or of a user, over all cores; [`Accounts`](accounts::Accounts) is a table of them.
//! [`Rules`](rules::Rules) say what is allowed; a reload replaces them. A core has a [`Limiter`]: which Conn has which account,
//! and what the Conn itself has used up. A [`Guard`] looks at memory and at the number of Conns. Who is turned away is told so in its own words, where
//! [`Turned`] has a seat for it.
//!
//! Invariants:
//! - Who is not limited (no rate is set, or its address is exempt and its user has no limits) has no bill: nothing is kept for it and its messages cost one look.
//! - Every Conn that came from an address that counts holds one [`Place`](account::Place), from the acceptor to its end, through handshakes and hand-overs; a session
//!   without a socket has one of the address that opened it.
//! - Every Conn whose user is known holds one [`Share`](share::Share) of the user's account where users are limited, from the moment on that it is known. It comes
//!   with the bill, so it is given back with it; it stays with a session whose sockets come and go.
//! - What is refused is not charged.

mod account;
mod accounts;
mod bill;
mod config;
mod cost;
mod guard;
mod limiter;
mod network;
mod rules;
mod share;
mod shared;
mod turned;

pub use config::{AddressRates, ConnRates, PerSecond, RateLimits, UserRates};

pub(crate) use bill::Bill;
pub(crate) use cost::{Cost, Over};
pub(crate) use guard::{Guard, LOOK_LATEST, Memory};
pub(crate) use limiter::Limiter;
pub(crate) use shared::Limits;
pub(crate) use turned::{Seats, TURNED_MS, Turned, Why};
