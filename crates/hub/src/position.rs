//! Positions: where a reader stands in a room, as one opaque string outside.

use std::fmt;
use std::str::FromStr;

/// Which numbering of a room an offset belongs to: a server that lost its memory begins a new one.
///
/// [`Epoch`] 0 is never used by a shard, so that [`Position::UNKNOWN`] is foreign everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// A place between two messages of a room: everything up to `offset` is behind it.
///
/// Written as `k3f9a2-17`: the epoch in base 36, a hyphen, the offset in decimal. Those characters need no escaping in a URL, an
/// MQTT property, an HTTP header or an SSE `id`. Nobody outside may take it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The numbering.
    pub epoch: Epoch,
    /// The number of the last message before this place; 0 before the first.
    pub offset: u64,
}

impl Position {
    /// A position that no room knows: what a door hands in for a string that is no position, so that the reader is told of
    /// the gap like any other who comes back too late.
    pub const UNKNOWN: Position = Position {
        epoch: Epoch(0),
        offset: 0,
    };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        // An epoch has at most 7 digits, an offset 20. In one go, since positions are on the way of every delivery.
        let mut text = [b'-'; 28];
        let mut start = text.len();
        let mut digits = |mut rest: u64, base: u64| {
            loop {
                start -= 1;
                let digit = usize::try_from(rest % base).unwrap_or(0);
                text[start] = DIGITS[digit];
                rest /= base;
                if rest == 0 {
                    break;
                }
            }
            start -= 1;
        };
        digits(self.offset, 10);
        digits(u64::from(self.epoch.0), 36);
        f.write_str(std::str::from_utf8(&text[start + 1..]).map_err(|_| fmt::Error)?)
    }
}

/// The string is not a position as [`Position`] writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no position; hand back a position as the server gave it, unchanged")]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    /// Accepts exactly what [`Position`] writes, so that one place has one spelling.
    fn from_str(text: &str) -> Result<Position, PositionError> {
        let (epoch, offset) = text.split_once('-').ok_or(PositionError)?;
        Ok(Position {
            epoch: Epoch(u32::try_from(number(epoch, 36)?).map_err(|_| PositionError)?),
            offset: number(offset, 10)?,
        })
    }
}

fn number(digits: &str, radix: u64) -> Result<u64, PositionError> {
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return Err(PositionError);
    }
    digits.bytes().try_fold(0u64, |sum, byte| {
        let digit = match byte {
            b'0'..=b'9' => u64::from(byte - b'0'),
            b'a'..=b'z' => u64::from(byte - b'a') + 10,
            _ => return Err(PositionError),
        };
        if digit >= radix {
            return Err(PositionError);
        }
        sum.checked_mul(radix)
            .and_then(|sum| sum.checked_add(digit))
            .ok_or(PositionError)
    })
}
