//! Lines: the plainest carrier. A unit is what stands before an LF, or before CRLF.
//!
//! Invariants that a reader could break:
//!
//! - Nothing is copied: a line borrows the input, and the caller keeps the unfinished rest (at most
//!   [`Splitter::line_bytes_max`] bytes and a CR).
//! - Whether a line is too long does not depend on how the bytes were cut.
//! - With [`Splitter::split_from`] every byte is looked at once, however slowly a line comes.
//!
//! Absent on purpose: CR alone as a line end, and any opinion on what a line says, UTF-8 included.

use memchr::memchr;

use crate::Violation;

/// Cuts lines off the front of what has arrived. A value without state: one serves every connection with the same limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splitter {
    /// Bytes of the longest line, its line end not counted.
    pub line_bytes_max: usize,
}

impl Splitter {
    /// The first line of `input` without its line end, and how many bytes it took with it. `None`: more bytes are needed.
    ///
    /// # Errors
    /// A violation as soon as the line is too long, whether its end has come or not.
    pub fn split<'a>(&self, input: &'a [u8]) -> Result<Option<(&'a [u8], usize)>, Violation> {
        self.split_from(input, 0)
    }

    /// The same, when the first `searched` bytes are known to hold no line end: what the call that gave `None` was shown.
    ///
    /// # Errors
    /// As [`Splitter::split`].
    pub fn split_from<'a>(
        &self,
        input: &'a [u8],
        searched: usize,
    ) -> Result<Option<(&'a [u8], usize)>, Violation> {
        let searched = searched.min(input.len());
        let Some(found) = memchr(b'\n', &input[searched..]) else {
            // A CR may still prove to be half of a line end.
            self.check(without_cr(input))?;
            return Ok(None);
        };
        let end = searched + found;
        let line = without_cr(&input[..end]);
        self.check(line)?;
        Ok(Some((line, end + 1)))
    }

    /// The last line, which the end of the stream ends; `None` when there is nothing left.
    ///
    /// # Errors
    /// A violation when it is too long.
    pub fn end<'a>(&self, rest: &'a [u8]) -> Result<Option<&'a [u8]>, Violation> {
        let line = without_cr(rest);
        self.check(line)?;
        Ok((!rest.is_empty()).then_some(line))
    }

    fn check(&self, line: &[u8]) -> Result<(), Violation> {
        if line.len() <= self.line_bytes_max {
            return Ok(());
        }
        Err(Violation::new(
            "PROTOCOL.md, Lines",
            format!("a line is longer than {} bytes", self.line_bytes_max),
        ))
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
