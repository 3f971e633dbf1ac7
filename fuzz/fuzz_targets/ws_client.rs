//! Whatever a server sends: the same events and the same violation however the bytes are cut.

#![no_main]

#[path = "ws_streams.rs"]
mod ws_streams;

use libfuzzer_sys::fuzz_target;
use taut_wire::ws::Role;

fuzz_target!(|data: &[u8]| ws_streams::check(Role::Client, data));
