use std::sync::Arc;

/// Bytes of a display name. Enough for any name, short enough to stand before every message.
pub const DISPLAY_NAME_BYTES_MAX: usize = 64;

/// Why a display name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DisplayNameError {
    /// Nothing but white space.
    #[error("a name needs at least one character, for example `ana`")]
    Empty,
    /// Over [`DISPLAY_NAME_BYTES_MAX`].
    #[error("a name has at most {DISPLAY_NAME_BYTES_MAX} bytes; choose a shorter one")]
    TooLong,
    /// Control characters, line ends or the signs that a terminal line is made of.
    #[error("a name has no control characters and no `:` or `|`; for example `ana`")]
    Character,
}

/// Checks the name that a peer gives itself.
///
/// `:` and `|` are refused because the text door writes `ana: hi` and `ana| more`, and nobody should be able to speak for another.
///
/// # Errors
/// Says which rule was broken.
pub fn display_name(given: &str) -> Result<Arc<str>, DisplayNameError> {
    let name = given.trim();
    if name.is_empty() {
        return Err(DisplayNameError::Empty);
    }
    if name.len() > DISPLAY_NAME_BYTES_MAX {
        return Err(DisplayNameError::TooLong);
    }
    if name
        .chars()
        .any(|c| c.is_control() || matches!(c, ':' | '|' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    {
        return Err(DisplayNameError::Character);
    }
    Ok(name.into())
}
