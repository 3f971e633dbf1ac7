use std::collections::hash_map::RandomState;
use std::fs::{File, Metadata};
use std::hash::BuildHasher as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::answer::{Answer, Fault, Piece};
use crate::encoding::{self, Coding};
use crate::kind::content_type;
use crate::listing;
use crate::path::{NoPlace, Place, beside};
use crate::precondition::{Verdict, evaluate};
use crate::range::{Part, Ranges};
use crate::request::{Method, Request};
use crate::root::{Absent, Found, Root};
use crate::validator::Validators;

const METHODS: &str = "GET, HEAD, OPTIONS";

/// How a folder is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A folder without an index is answered with what is in it; else it is not there.
    pub listing: bool,
    /// The file that answers for its folder; empty for none.
    pub index: String,
    /// `app.js.br`, `app.js.zst` and `app.js.gz` answer for `app.js` where the client takes them. Whoever changes the one must renew the others.
    pub precompressed: bool,
    /// Names that begin with a dot are there too. Without it only `/.well-known/` is (RFC 8615). A link's target may be hidden: who made the link meant it.
    pub hidden: bool,
    /// The value of `Cache-Control` on files, if any. `no-cache` lets clients keep a file, but ask each time whether it is still the same one.
    pub cache_control: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listing: false,
            index: "index.html".to_owned(),
            precompressed: true,
            hidden: false,
            cache_control: Some("no-cache".to_owned()),
        }
    }
}

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something else than a folder has this name.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// As it was given.
        path: PathBuf,
    },
    /// It is not there, or may not be read.
    #[error("cannot open the folder {}: {error}", path.display())]
    Unopened {
        /// As it was given.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// An open folder. It stays this folder when something else gets its name, and may be used by several threads at once.
#[derive(Debug)]
pub struct Files {
    root: Root,
    settings: Settings,
    /// For what must not be foreseen: the line between the parts of a body.
    seed: RandomState,
}

/// A file to send, as it is or compressed.
struct Chosen {
    file: File,
    metadata: Metadata,
    coding: Option<Coding>,
    content_type: String,
}

impl Files {
    /// Opens the folder `root`.
    ///
    /// # Errors
    /// It is no folder, or cannot be opened.
    pub fn open(root: &Path, settings: Settings) -> Result<Self, OpenError> {
        let path = root.to_path_buf();
        match Root::open(root) {
            Ok(root) => Ok(Self {
                root,
                settings,
                seed: RandomState::new(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(OpenError::NotAFolder { path })
            }
            Err(error) => Err(OpenError::Unopened { path, error }),
        }
    }

    /// Opens files as on a system without `openat2`, for tests of that way.
    #[doc(hidden)]
    #[must_use]
    pub fn without_openat2(mut self) -> Self {
        self.root.unguard();
        self
    }

    /// Answers a request at the time `now_unix_s`, in seconds since 1970. It waits for the disk, and for nothing else.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>, now_unix_s: u64) -> Answer {
        let accept = request.conditions.accept.as_deref();
        let mut answer = match request.method {
            Method::Options => Answer::bare(204).with("Allow", METHODS),
            Method::Other => {
                let detail = "Files are only read: GET, HEAD and OPTIONS.";
                Answer::refusal(405, detail, "method-not-allowed", accept).with("Allow", METHODS)
            }
            Method::Get | Method::Head => match Place::parse(request.path, self.settings.hidden) {
                Ok(place) => self
                    .look_up(&place, request, now_unix_s)
                    .unwrap_or_else(|absent| self::absent(absent, &place, accept)),
                Err(NoPlace::Missing) => missing(accept),
                Err(NoPlace::Unreadable) => {
                    let detail = "The path must begin with a slash, and two hexadecimal digits must follow each percent sign.";
                    Answer::refusal(400, detail, "bad-path", accept)
                }
            },
        };
        if request.method == Method::Head {
            answer.body.clear();
        }
        answer
    }

    fn look_up(
        &self,
        place: &Place,
        request: &Request<'_>,
        now_unix_s: u64,
    ) -> Result<Answer, Absent> {
        let path = place.relative();
        match self.root.find(&path)? {
            Found::File(..) if place.is_folder => Err(Absent::Missing),
            Found::File(file, metadata) => {
                Ok(self.file(&path, file, metadata, request, now_unix_s))
            }
            Found::Folder(folder) => self.folder(place, &folder, request, now_unix_s),
        }
    }

    /// Its index, else a listing, else nothing; without the slash at the end a redirect to what there is.
    fn folder(
        &self,
        place: &Place,
        folder: &File,
        request: &Request<'_>,
        now_unix_s: u64,
    ) -> Result<Answer, Absent> {
        let path = place.relative().join(&self.settings.index);
        let index = match self.root.find(&path) {
            Ok(Found::File(file, metadata)) => Some((file, metadata)),
            Ok(Found::Folder(_)) | Err(Absent::Missing) => None,
            Err(absent) => return Err(absent),
        };
        if index.is_none() && !self.settings.listing {
            return Err(Absent::Missing);
        }
        if !place.is_folder {
            return Ok(redirect(place, request.query));
        }
        match index {
            Some((file, metadata)) => Ok(self.file(&path, file, metadata, request, now_unix_s)),
            None => {
                let accept = request.conditions.accept.as_deref();
                listing::answer(&self.root, place, folder, self.settings.hidden, accept)
            }
        }
    }

    fn file(
        &self,
        path: &Path,
        file: File,
        metadata: Metadata,
        request: &Request<'_>,
        now_unix_s: u64,
    ) -> Answer {
        let accept_encoding = request.conditions.accept_encoding.as_deref();
        let chosen = self.compressed(path, accept_encoding).unwrap_or(Chosen {
            file,
            metadata,
            coding: None,
            content_type: content_type(path),
        });
        let coding = chosen.coding.map(|coding| coding.name);
        let validators = Validators::of(&chosen.metadata, coding, now_unix_s);
        match evaluate(request.conditions, &validators) {
            Verdict::Send => self.send(chosen, &validators, request),
            Verdict::NotModified => self.describe(Answer::bare(304), &validators),
            Verdict::Failed => {
                let detail = "The file is not, or no longer, the one that the request is about.";
                let accept = request.conditions.accept.as_deref();
                Answer::refusal(412, detail, "precondition-failed", accept)
            }
        }
    }

    /// The file beside `path` that holds it compressed in the way that the client likes best.
    fn compressed(&self, path: &Path, accept_encoding: Option<&str>) -> Option<Chosen> {
        if !self.settings.precompressed {
            return None;
        }
        encoding::wanted(accept_encoding)
            .into_iter()
            .find_map(
                |coding| match self.root.find(&beside(path, coding.suffix)) {
                    Ok(Found::File(file, metadata)) => Some(Chosen {
                        file,
                        metadata,
                        coding: Some(coding),
                        content_type: content_type(path),
                    }),
                    _ => None,
                },
            )
    }

    /// The whole file or parts of it.
    fn send(&self, chosen: Chosen, validators: &Validators, request: &Request<'_>) -> Answer {
        let complete = chosen.metadata.len();
        let parts = match wanted_ranges(request, validators, complete) {
            Ranges::Whole => None,
            Ranges::Parts(parts) => Some(parts),
            Ranges::Unsatisfiable => {
                let detail =
                    format!("The file has {complete} bytes, and none of them was asked for.");
                let accept = request.conditions.accept.as_deref();
                return Answer::refusal(416, &detail, "range-not-satisfiable", accept)
                    .with("Content-Range", format!("bytes */{complete}"));
            }
        };
        let status = if parts.is_some() { 206 } else { 200 };
        let mut answer = self
            .describe(Answer::bare(status), validators)
            .with("Accept-Ranges", "bytes");
        if let Some(coding) = chosen.coding {
            answer = answer.with("Content-Encoding", coding.name);
        }
        let file = Arc::new(chosen.file);
        match parts.as_deref() {
            None => {
                answer = answer.with("Content-Type", chosen.content_type);
                answer.push(piece(&file, 0, complete));
            }
            Some([part]) => {
                answer = answer
                    .with("Content-Type", chosen.content_type)
                    .with("Content-Range", part.content_range(complete));
                answer.push(piece(&file, part.first, part.length()));
            }
            Some(parts) => {
                let boundary = self.boundary(&validators.etag, parts);
                answer = answer.with(
                    "Content-Type",
                    format!("multipart/byteranges; boundary={boundary}"),
                );
                push_parts(
                    &mut answer,
                    &file,
                    parts,
                    &boundary,
                    &chosen.content_type,
                    complete,
                );
            }
        }
        answer
    }

    /// What a 200, a 206 and a 304 say alike (RFC 9110 §15.4.5).
    fn describe(&self, answer: Answer, validators: &Validators) -> Answer {
        let mut answer = answer.with("ETag", validators.etag.clone());
        if let Some(last_modified) = validators.last_modified() {
            answer = answer.with("Last-Modified", last_modified);
        }
        if let Some(cache_control) = &self.settings.cache_control {
            answer = answer.with("Cache-Control", cache_control.clone());
        }
        if self.settings.precompressed {
            answer = answer.with("Vary", "Accept-Encoding");
        }
        answer
    }

    /// A line that no file holds but by an accident that nobody can bring about: it hangs on a secret of this process.
    fn boundary(&self, etag: &str, parts: &[Part]) -> String {
        let spans: Vec<(u64, u64)> = parts.iter().map(|part| (part.first, part.last)).collect();
        let high = self.seed.hash_one((etag, &spans, 0));
        let low = self.seed.hash_one((etag, &spans, 1));
        format!("{high:016x}{low:016x}")
    }
}

/// Ranges are for GET only (RFC 9110 §14.2), and with `If-Range` only where the client has the same file.
fn wanted_ranges(request: &Request<'_>, validators: &Validators, complete: u64) -> Ranges {
    let conditions = request.conditions;
    let is_wanted = request.method == Method::Get
        && conditions
            .if_range
            .as_deref()
            .is_none_or(|value| validators.matches_if_range(value));
    match conditions.range.as_deref() {
        Some(range) if is_wanted => Ranges::parse(range, complete),
        _ => Ranges::Whole,
    }
}

/// `multipart/byteranges` (RFC 9110 §14.6).
fn push_parts(
    answer: &mut Answer,
    file: &Arc<File>,
    parts: &[Part],
    boundary: &str,
    content_type: &str,
    complete: u64,
) {
    let mut line_end = "";
    for part in parts {
        let head = format!(
            "{line_end}--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {}\r\n\r\n",
            part.content_range(complete)
        );
        answer.push(Piece::Bytes(head.into_bytes()));
        answer.push(piece(file, part.first, part.length()));
        line_end = "\r\n";
    }
    answer.push(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into_bytes()));
}

fn piece(file: &Arc<File>, offset: u64, length: u64) -> Piece {
    Piece::File {
        file: Arc::clone(file),
        offset,
        length,
    }
}

/// To the same path with a slash. 301, since clients of HTTP/1.0 know no 308; for GET and HEAD both are the same.
fn redirect(place: &Place, query: Option<&str>) -> Answer {
    let mut location = place.folder_path();
    if let Some(query) = query {
        location.push('?');
        location.extend(query.chars().filter(char::is_ascii_graphic));
    }
    Answer::bare(301).with("Location", location)
}

fn absent(absent: Absent, place: &Place, accept: Option<&str>) -> Answer {
    let (mut answer, error) = match absent {
        Absent::Missing => return missing(accept),
        Absent::Forbidden(error) => (missing(accept), error),
        Absent::Failed(error) => {
            let detail = "The file cannot be read at the moment.";
            (
                Answer::refusal(500, detail, "file-unreadable", accept),
                error,
            )
        }
    };
    answer.fault = Some(Fault {
        path: place.shown(),
        error,
    });
    answer
}

fn missing(accept: Option<&str>) -> Answer {
    Answer::refusal(404, "No file is here.", "no-such-file", accept)
}
