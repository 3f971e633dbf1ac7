//! What the codecs, the translator and the rooms do, for counting its instructions: `benches/record` runs this under callgrind.
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect=counts::counted --dump-after=counts::counted target/release/examples/counts
//! ```
//!
//! Each workload is prepared twice: once to warm up what is made on first use, once to be counted. Only what happens inside [`counted`] is
//! collected, and callgrind writes a dump whenever it returns. A line for each workload tells, in the order of the dumps, by how many units
//! its count is to be divided. No clock and no randomness: the same build counts the same, to the instruction.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

mod decode;
mod encode;
mod rooms;

/// What `taut bench` publishes by default.
pub(crate) const PAYLOAD_BYTES: usize = 128;

/// Text of so many bytes that is no JSON and needs no escaping, the same every time.
pub(crate) fn text(bytes: usize) -> String {
    let words = "the quick brown fox jumps over the lazy dog ";
    words.chars().cycle().take(bytes).collect()
}

/// One workload: `work` does `units` of it with what `prepare` has made.
pub(crate) fn workload<S>(
    what: &str,
    units: u32,
    prepare: impl Fn() -> S,
    mut work: impl FnMut(&mut S),
) {
    work(&mut prepare());
    let mut state = prepare();
    counted(&mut || work(&mut state));
    println!("{what}\t{units}");
}

/// What is collected.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

fn main() {
    decode::workloads();
    encode::workloads();
    rooms::workloads();
}
