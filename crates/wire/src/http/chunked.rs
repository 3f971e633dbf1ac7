use super::Violation;
use super::body::{BodyStep, take, too_large};
use super::head::{is_field_byte, is_token_byte};

const CHUNK: &str = "RFC 9112 §7.1";
const EXTENSION: &str = "RFC 9112 §7.1.1";
const TRAILER: &str = "RFC 9112 §7.1.2";

/// Hexadecimal digits of a chunk size: as many as 64 bits have.
const SIZE_DIGITS_MAX: u8 = 16;
/// Bytes of all extensions and trailers of one body. Nothing reads them; unbounded they would be a way to send for ever.
const IGNORED_BYTES_MAX: u32 = 8 << 10;

/// The chunked transfer coding (RFC 9112 §7.1), strict: no white space, extensions of tokens and quoted strings only.
#[derive(Debug, Clone)]
pub(super) struct Chunked {
    place: Place,
    /// Bytes that the body may still have.
    left: u64,
    /// Bytes of extensions and trailers so far.
    ignored: u32,
}

/// Where in the grammar the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size { size: u64, digits: u8 },
    Extension { size: u64, part: Extension },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Line,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    NameBegin,
    Name,
    ValueBegin,
    Value,
    Quoted,
    Escaped,
    Unquoted,
}

impl Chunked {
    pub(super) fn new(body_bytes_max: u64) -> Self {
        Self {
            place: Place::Size { size: 0, digits: 0 },
            left: body_bytes_max,
            ignored: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    pub(super) fn decode<'a>(&mut self, input: &'a [u8]) -> Result<BodyStep<'a>, Violation> {
        let mut consumed = 0;
        while let Some(&byte) = input.get(consumed) {
            match &mut self.place {
                Place::Done => break,
                Place::Data { left } => {
                    let data = take(left, &input[consumed..]);
                    if *left == 0 {
                        self.place = Place::DataCr;
                    }
                    return Ok(BodyStep {
                        consumed: consumed + data.len(),
                        data,
                        done: false,
                    });
                }
                place => self.place = next(*place, byte, &mut self.left, &mut self.ignored)?,
            }
            consumed += 1;
        }
        Ok(BodyStep {
            consumed,
            data: &[],
            done: self.is_done(),
        })
    }
}

/// The place after `byte`, which is not data.
fn next(
    place: Place,
    byte: u8,
    body_left: &mut u64,
    ignored: &mut u32,
) -> Result<Place, Violation> {
    Ok(match (place, byte) {
        (Place::Size { size, digits }, _) => size_byte(size, digits, byte)?,
        (Place::Extension { size, part }, _) => {
            ignore(ignored)?;
            extension_byte(size, part, byte)?
        }
        (Place::SizeEnd { size: 0 }, b'\n') => Place::Line,
        (Place::SizeEnd { size }, b'\n') => {
            *body_left = body_left.checked_sub(size).ok_or_else(too_large)?;
            Place::Data { left: size }
        }
        (Place::DataCr, b'\r') => Place::DataLf,
        (Place::DataLf, b'\n') => Place::Size { size: 0, digits: 0 },
        (Place::DataCr | Place::DataLf, _) => {
            return Err(Violation::bad(
                CHUNK,
                "a chunk is longer than its size says",
            ));
        }
        (Place::Line, b'\r') => Place::LastLf,
        (Place::LastLf, b'\n') => Place::Done,
        (Place::Line | Place::TrailerName | Place::TrailerValue | Place::TrailerEnd, _) => {
            ignore(ignored)?;
            trailer_byte(place, byte)?
        }
        (Place::SizeEnd { .. } | Place::LastLf, _) => {
            return Err(Violation::bad(CHUNK, "a chunk's line has a CR without LF"));
        }
        // Both are taken by the caller before.
        (Place::Data { .. } | Place::Done, _) => place,
    })
}

fn size_byte(size: u64, digits: u8, byte: u8) -> Result<Place, Violation> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        if digits == SIZE_DIGITS_MAX {
            return Err(Violation::bad(
                CHUNK,
                "a chunk size has more than 16 digits",
            ));
        }
        return Ok(Place::Size {
            size: size << 4 | u64::from(digit),
            digits: digits + 1,
        });
    }
    match byte {
        _ if digits == 0 => Err(Violation::bad(CHUNK, "a chunk has no size")),
        b'\r' => Ok(Place::SizeEnd { size }),
        b';' => Ok(Place::Extension {
            size,
            part: Extension::NameBegin,
        }),
        b' ' | b'\t' => Err(Violation::bad(CHUNK, "white space follows a chunk size")),
        b'\n' => Err(Violation::bad(CHUNK, "a chunk size ends in LF without CR")),
        _ => Err(Violation::bad(CHUNK, "a chunk size is not hexadecimal")),
    }
}

/// `;name`, `;name=token` or `;name="quoted"`, and again.
fn extension_byte(size: u64, part: Extension, byte: u8) -> Result<Place, Violation> {
    use Extension::{Escaped, Name, NameBegin, Quoted, Unquoted, Value, ValueBegin};
    let part = match (part, byte) {
        (Name | Value | Unquoted, b'\r') => return Ok(Place::SizeEnd { size }),
        (Name | Value | Unquoted, b';') => NameBegin,
        (Name, b'=') => ValueBegin,
        (NameBegin | Name, _) if is_token_byte(byte) => Name,
        (ValueBegin, b'"') => Quoted,
        (ValueBegin | Value, _) if is_token_byte(byte) => Value,
        (Quoted, b'"') => Unquoted,
        (Quoted, b'\\') => Escaped,
        (Quoted | Escaped, _) if is_field_byte(byte) => Quoted,
        _ => {
            return Err(Violation::bad(
                EXTENSION,
                "a chunk extension is not `;name` or `;name=value`",
            ));
        }
    };
    Ok(Place::Extension { size, part })
}

/// A trailer field, as strict as a header field.
fn trailer_byte(place: Place, byte: u8) -> Result<Place, Violation> {
    match (place, byte) {
        (Place::TrailerName, b':') => Ok(Place::TrailerValue),
        (Place::Line | Place::TrailerName, _) if is_token_byte(byte) => Ok(Place::TrailerName),
        (Place::TrailerValue, b'\r') => Ok(Place::TrailerEnd),
        (Place::TrailerValue, _) if is_field_byte(byte) => Ok(Place::TrailerValue),
        (Place::TrailerEnd, b'\n') => Ok(Place::Line),
        _ => Err(Violation::bad(TRAILER, "a trailer is not a header field")),
    }
}

fn ignore(ignored: &mut u32) -> Result<(), Violation> {
    *ignored += 1;
    if *ignored > IGNORED_BYTES_MAX {
        return Err(Violation::new(
            431,
            EXTENSION,
            "the body's chunk extensions and trailers are too long",
        ));
    }
    Ok(())
}
