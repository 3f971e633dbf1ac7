//! From the path of a request to names below the folder.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where things lie that a site tells about itself (RFC 8615): the one hidden name that may be seen, and only at the top.
const WELL_KNOWN: &[u8] = b".well-known";

/// A request's path as names, each one a plain name: not empty, not `.` or `..`, without slash, backslash and NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    names: Vec<Vec<u8>>,
    /// The path ended in a slash: a folder is meant.
    pub(crate) is_folder: bool,
}

/// Why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// It does not begin with a slash, or a `%` is not followed by two hexadecimal digits: a 400.
    Unreadable,
    /// No file is, or may be seen, there: a 404.
    Missing,
}

impl Place {
    /// Decodes each segment once; what a second decoding would make of it is nobody's business here, so `%252e` is a file named `%2e`.
    pub(crate) fn parse(path: &str, hidden: bool) -> Result<Self, NoPlace> {
        let path = path.strip_prefix('/').ok_or(NoPlace::Unreadable)?;
        if path.is_empty() {
            return Ok(Self {
                names: Vec::new(),
                is_folder: true,
            });
        }
        let (path, is_folder) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        let names: Vec<Vec<u8>> = path.split('/').map(decode).collect::<Result<_, _>>()?;
        let is_missing = names.iter().enumerate().any(|(index, name)| {
            let may_be_hidden = hidden || (index == 0 && name == WELL_KNOWN);
            !is_plain(name) || (is_hidden(name) && !may_be_hidden)
        });
        if is_missing {
            return Err(NoPlace::Missing);
        }
        Ok(Self { names, is_folder })
    }

    /// Below the folder; empty for the folder itself.
    pub(crate) fn relative(&self) -> PathBuf {
        self.names
            .iter()
            .map(|name| OsStr::from_bytes(name))
            .collect()
    }

    /// The path of this folder, encoded anew, with a slash at both ends; never two in a row, which would name another host.
    pub(crate) fn folder_path(&self) -> String {
        let mut path = "/".to_owned();
        for name in &self.names {
            encode(&mut path, name);
            path.push('/');
        }
        path
    }

    /// For people and logs: control characters escaped, bytes that are not UTF-8 replaced.
    pub(crate) fn shown(&self) -> String {
        let mut shown = "/".to_owned();
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                shown.push('/');
            }
            shown += &show(name);
        }
        shown
    }

    /// Whether it is the folder that is served, which has nothing above it.
    pub(crate) fn is_top(&self) -> bool {
        self.names.is_empty()
    }
}

/// Whether a name begins with a dot.
pub(crate) fn is_hidden(name: &[u8]) -> bool {
    name.first() == Some(&b'.')
}

/// Whether a name can stand in a path that [`Place::parse`] takes.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    let is_dots = matches!(name, b"" | b"." | b"..");
    !is_dots && !name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0))
}

/// A name with what would disturb a terminal or a page escaped.
pub(crate) fn show(name: &[u8]) -> String {
    let mut shown = String::new();
    for character in String::from_utf8_lossy(name).chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// `name`, a neighbour of `path` with `suffix` added to its name: `app.js` and `app.js.br`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    PathBuf::from(beside)
}

/// Appends a name, percent-encoded but for unreserved characters (RFC 3986 §2.3).
pub(crate) fn encode(out: &mut String, name: &[u8]) {
    for byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            // A String takes all that is written to it.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, NoPlace> {
    let mut name = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        name.push(match byte {
            b'%' => hexadecimal(rest.next())? << 4 | hexadecimal(rest.next())?,
            byte => byte,
        });
    }
    Ok(name)
}

fn hexadecimal(digit: Option<u8>) -> Result<u8, NoPlace> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(NoPlace::Unreadable),
    }
}
