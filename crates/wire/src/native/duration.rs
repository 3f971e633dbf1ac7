//! Lengths of time as people write them: a number and a unit, `250ms`, `90s`, `10m`, `2h`, `7d`.

use std::fmt::Write as _;

/// The units, the largest first, and their milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a length of time, in milliseconds; `None` when it is none. What is longer than `u64` holds is as long as that, since every use of it is bounded anyway.
#[must_use]
pub fn decode_duration(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let count: u64 = digits.parse().unwrap_or(u64::MAX);
    Some(count.saturating_mul(*unit_ms))
}

/// Writes a length of time in the largest unit that holds it without a remainder.
#[must_use]
pub fn encode_duration(ms: u64) -> String {
    let whole = UNITS
        .iter()
        .find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(*unit_ms));
    let (unit, unit_ms) = whole.copied().unwrap_or(("ms", 1));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{}{unit}", ms / unit_ms);
    text
}
