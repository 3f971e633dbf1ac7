//! Single values of an object: strings, whole numbers, switches, references.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::request::REFERENCE_BYTES_MAX;

/// A value that is not `null`.
pub(super) fn present(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| value.get() != "null")
}

/// A string with its escapes undone; borrowed where there are none.
///
/// # Errors
/// A sentence about `field`, also for an escaped lone surrogate, which UTF-8 cannot hold.
pub(super) fn string<'a>(field: &str, value: &'a RawValue) -> Result<Cow<'a, str>, String> {
    let json = value.get();
    let Some(inner) = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Err(format!("\"{field}\" must be a string"));
    };
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    match serde_json::from_str::<String>(json) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => Err(format!(
            "\"{field}\" holds half of a surrogate pair, which no text can hold"
        )),
    }
}

/// A whole number from 0 up. What is above `u32` is as good as the largest, since every use of it is bounded anyway.
///
/// # Errors
/// A sentence about `field`.
pub(super) fn count(field: &str, value: &RawValue) -> Result<u32, String> {
    let digits = value.get();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("\"{field}\" must be a whole number, 0 or more"));
    }
    Ok(digits.parse().unwrap_or(u32::MAX))
}

/// The same for milliseconds and times.
///
/// # Errors
/// A sentence about `field`.
pub(super) fn wide_count(field: &str, value: &RawValue) -> Result<u64, String> {
    let digits = value.get();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("\"{field}\" must be a whole number, 0 or more"));
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

/// `true` or `false`.
///
/// # Errors
/// A sentence about `field`.
pub(super) fn switch(field: &str, value: &RawValue) -> Result<bool, String> {
    match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("\"{field}\" must be true or false")),
    }
}

/// A `ref`: a number or a string, short.
///
/// # Errors
/// A sentence.
pub(super) fn reference(value: &RawValue) -> Result<&RawValue, String> {
    let json = value.get();
    if !json.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()) {
        return Err("\"ref\" must be a number or a string".to_owned());
    }
    if json.len() > REFERENCE_BYTES_MAX {
        return Err(format!(
            "\"ref\" has {} bytes, at most {REFERENCE_BYTES_MAX} are kept",
            json.len()
        ));
    }
    Ok(value)
}
