//! The Socket.IO client library, as the npm package `socket.io-client` ships it: what stands at `/socket.io/NAME`.
//!
//! - The files are no part of the sources: `tools/socketio-client` fetches them, and whatever of them lies in `assets/socket.io/` when this is
//!   compiled is in the program. A server that was built without them says what to run ([`MISSING`]).
//! - That script makes this file newer, since Cargo does not notice a file that appears in a folder.

use std::borrow::Cow;
use std::fmt::Write as _;

use rust_embed::Embed;

/// Everything in the folder, of which only [`NAMES`] can be had.
#[derive(Embed)]
#[folder = "assets/socket.io"]
struct Embedded;

/// The names below `/socket.io/` that are the library's, whether or not it was built in. No other path there is a file.
pub(crate) const NAMES: [&str; 6] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
];

/// The detail of the 404 at one of [`NAMES`] where the library was not built in.
pub(crate) const MISSING: &str = "This server was built without the Socket.IO client library. To have it here, run `tools/socketio-client` in the sources and build again; \
     or load the npm package `socket.io-client` (4.x) from wherever your page comes from: it works with this server as it is.";

/// One file of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// The bytes, as they were published.
    pub(crate) bytes: &'static [u8],
    /// The value of `Content-Type`.
    pub(crate) content_type: &'static str,
    /// The value of `ETag`, with its quotes: strong, the digest of the bytes (RFC 9110, section 8.8.3).
    pub(crate) etag: String,
}

/// The file that stands at `/socket.io/NAME`; `None` where it is not the library's, or was not built in.
pub(crate) fn file(name: &str) -> Option<File> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let embedded = Embedded::get(name)?;
    // Always borrowed: the feature `debug-embed` has debug builds embed as well.
    let Cow::Borrowed(bytes) = embedded.data else {
        return None;
    };
    let mut etag = String::from("\"");
    for byte in &embedded.metadata.sha256_hash()[..16] {
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    let content_type = if name.ends_with(".map") {
        "application/json"
    } else {
        "text/javascript; charset=utf-8"
    };
    Some(File {
        bytes,
        content_type,
        etag,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_name_is_a_file_where_the_library_is_there_when_this_is_built() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/socket.io");
        let mut tags = Vec::new();
        for name in NAMES {
            let Some(file) = file(name) else {
                assert!(Embedded::get(name).is_none(), "{name}");
                continue;
            };
            // The folder may have changed since.
            if let Ok(bytes) = std::fs::read(format!("{folder}/{name}")) {
                assert_eq!(file.bytes, bytes, "{name}");
            }
            assert!(!file.bytes.is_empty());
            assert!(
                file.etag.len() == 34 && file.etag.starts_with('"') && file.etag.ends_with('"'),
                "{}",
                file.etag
            );
            assert_eq!(
                file.content_type.contains("javascript"),
                name.ends_with(".js")
            );
            tags.push(file.etag);
        }
        tags.sort();
        tags.dedup();
        let built_in = NAMES
            .iter()
            .filter(|name| Embedded::get(name).is_some())
            .count();
        assert_eq!(tags.len(), built_in);
    }

    #[test]
    fn nothing_else_in_the_folder_is_served() {
        for name in [
            "",
            "README.md",
            "integrity",
            "../page/index.html",
            "socket.io.msgpack.min.js",
            "SOCKET.IO.JS",
            "socket.io.js/",
        ] {
            assert_eq!(file(name), None, "{name}");
        }
    }

    #[test]
    fn what_one_is_told_to_run_is_there() {
        let script = MISSING.split('`').nth(1).unwrap();
        assert!(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../..")
                .join(script)
                .is_file(),
            "{script}"
        );
    }
}
