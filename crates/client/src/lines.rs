//! The plain carrier: one JSON text a line.

use std::borrow::Cow;

use taut_wire::lines::Splitter;

use crate::carrier::Step;
use crate::error::Error;

/// Tells lines apart.
pub(crate) struct Lines {
    splitter: Splitter,
    /// Bytes of the unfinished line that are known to hold no line end, so that none is looked at twice.
    searched: usize,
}

impl Lines {
    /// Lines of at most `line_bytes_max` bytes.
    pub(crate) fn new(line_bytes_max: usize) -> Self {
        Self {
            splitter: Splitter { line_bytes_max },
            searched: 0,
        }
    }

    /// Takes the first line of `input`; an empty one is no unit. What follows the last line end when the server hangs up is half a
    /// unit, and passed over.
    pub(crate) fn step<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Error> {
        let split = self
            .splitter
            .split_from(input, self.searched)
            .map_err(|violation| Error::Violation(violation.to_string()))?;
        let Some((line, consumed)) = split else {
            self.searched = input.len();
            return Ok(Step {
                consumed: 0,
                unit: None,
            });
        };
        self.searched = 0;
        Ok(Step {
            consumed,
            unit: (!line.is_empty()).then_some(Cow::Borrowed(line)),
        })
    }
}
