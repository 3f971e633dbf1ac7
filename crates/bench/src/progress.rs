//! What is going on, on a terminal and nowhere else.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::verify::Tally;

/// Time between two looks of it.
const EVERY: Duration = Duration::from_millis(200);
/// Calls between two looks at the clock.
const CALLS: u32 = 64;

/// See the [module](self). On anything but a terminal it says nothing.
pub(crate) struct Progress {
    shows: bool,
    what: String,
    begun: Instant,
    shown: Instant,
    calls: u32,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            shows: stderr().is_terminal(),
            what: String::new(),
            begun: Instant::now(),
            shown: Instant::now(),
            calls: 0,
        }
    }

    /// Something new begins.
    pub(crate) fn begin(&mut self, what: String) {
        self.what = what;
        self.begun = Instant::now();
        self.show("…");
    }

    pub(crate) fn gathered(&mut self, ready: usize) {
        self.begun = Instant::now();
        if self.is_due() {
            self.show(&format!("{ready} connected"));
        }
    }

    pub(crate) fn delivered(&mut self, tally: &Tally) {
        if !self.is_due() {
            return;
        }
        let rate = tally.delivered as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        let mut text = format!("{} delivered, {rate:.0}/s", tally.delivered);
        if !tally.is_clean() {
            let bad =
                tally.lost + tally.duplicated + tally.reordered + tally.strayed + tally.changed;
            text.push_str(&format!(", {bad} WRONG"));
        }
        self.show(&text);
    }

    pub(crate) fn counted(&mut self, count: u64) {
        if self.is_due() {
            self.show(&format!("{count} came and went"));
        }
    }

    /// Leaves the line empty.
    pub(crate) fn end(&self) {
        if self.shows {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }

    fn is_due(&mut self) -> bool {
        if !self.shows {
            return false;
        }
        self.calls += 1;
        if self.calls < CALLS && self.shown.elapsed() < EVERY {
            return false;
        }
        self.calls = 0;
        self.shown.elapsed() >= EVERY
    }

    fn show(&mut self, text: &str) {
        self.shown = Instant::now();
        if self.shows {
            // Where it cannot be shown, it need not be.
            let _ = write!(stderr(), "\r\x1b[K{}: {text}", self.what);
        }
    }
}
