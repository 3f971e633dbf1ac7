//! Where a server listens: addresses as configured, and the sockets bound to them.

mod address;
mod bind;
mod judge;
mod unix;

pub use address::{
    Address, Bound, Endpoint, HostPort, Listen, ListenError, Speaks, UNIX_MODE_DEFAULT, is_loopback,
};
pub(crate) use bind::{Acceptable, Listener, asks, bind_all, bind_metrics, is_decided};
pub(crate) use judge::judge;
