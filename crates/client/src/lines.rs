//! The plain carrier: one JSON text a line.

use std::borrow::Cow;

use crate::carrier::Step;
use crate::error::Error;

/// Tells lines apart.
pub(crate) struct Lines {
    line_bytes_max: usize,
    /// Bytes of the unfinished line that are known to hold no line end, so that none is looked at twice.
    searched: usize,
}

impl Lines {
    /// Lines of at most `line_bytes_max` bytes.
    pub(crate) fn new(line_bytes_max: usize) -> Self {
        Self {
            line_bytes_max,
            searched: 0,
        }
    }

    /// Takes the first line of `input`. What follows the last line end at the end of the input is half a unit, and nobody's.
    pub(crate) fn step<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Error> {
        let from = self.searched.min(input.len());
        let end = input[from..].iter().position(|byte| *byte == b'\n');
        let line_bytes = end.map_or(input.len(), |end| from + end);
        if line_bytes > self.line_bytes_max {
            return Err(Error::Violation(format!(
                "a line is longer than {} bytes",
                self.line_bytes_max
            )));
        }
        self.searched = if end.is_some() { 0 } else { input.len() };
        let line = input[..line_bytes].trim_ascii();
        let is_unit = end.is_some() && !line.is_empty();
        Ok(Step {
            consumed: end.map_or(0, |_| line_bytes + 1),
            unit: is_unit.then_some(Cow::Borrowed(line)),
        })
    }
}
