//! Lines out of a stream whose writers do not always end them.

use std::time::Duration;

use memchr::memchr;

/// How long the beginning of a line waits for its end: data counts with or without a newline.
pub(super) const STANDSTILL: Duration = Duration::from_millis(50);
/// Bytes of a line at most; a longer one is cut there.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Cuts a stream into lines that keep their line ends.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    unfinished: Vec<u8>,
}

impl Cutter {
    /// Takes the next piece, and gives each line that is whole with it.
    pub(super) fn cut(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut rest = piece;
        while !rest.is_empty() {
            let space = LINE_BYTES_MAX - self.unfinished.len();
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (part, after) = rest.split_at(end.min(space));
            self.unfinished.extend_from_slice(part);
            if part.last() == Some(&b'\n') || self.unfinished.len() == LINE_BYTES_MAX {
                lines.push(std::mem::take(&mut self.unfinished));
            }
            rest = after;
        }
        lines
    }

    /// Whether a line has begun.
    pub(super) fn is_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// The line that has begun, as it stands.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.unfinished);
        (!line.is_empty()).then_some(line)
    }
}

/// A line without its LF or CRLF.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::{Cutter, LINE_BYTES_MAX, without_end};

    #[test]
    fn lines_do_not_depend_on_how_they_are_cut() {
        let text = b"one\r\n\ntwo\nthr";
        for size in 1..=text.len() {
            let mut cutter = Cutter::default();
            let mut lines: Vec<Vec<u8>> = text
                .chunks(size)
                .flat_map(|piece| cutter.cut(piece))
                .collect();
            assert!(cutter.is_unfinished());
            lines.extend(cutter.finish());
            assert_eq!(lines, [&b"one\r\n"[..], b"\n", b"two\n", b"thr"]);
        }
        assert_eq!(without_end(b"one\r\n"), b"one");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut cutter = Cutter::default();
        let lines = cutter.cut(&vec![b'x'; 2 * LINE_BYTES_MAX + 1]);
        assert_eq!(lines.len(), 2);
        assert_eq!(cutter.finish().map(|line| line.len()), Some(1));
    }
}
