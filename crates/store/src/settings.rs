//! Where a store lies, how much it may hold, and why it cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

use taut_hub::Epoch;

/// How long a publisher's id is kept, in milliseconds: five minutes, also when its message is gone.
pub const ID_WINDOW_MS: u64 = 5 * 60 * 1_000;

/// Where a store lies and how much it may hold.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory; made with mode 0700 where it is not there.
    pub dir: PathBuf,
    /// This run's own epoch, drawn at random: rooms that lost messages with the power go on under it.
    pub epoch: Epoch,
    /// How large the database may grow, in bytes. Near it the oldest messages of the rooms that have been silent longest go; at it
    /// appends are refused. The write-ahead log beside the database takes up to about 64 MiB more.
    pub disk_bytes_max: u64,
    /// How many rooms may be kept.
    pub rooms_max: u32,
    /// How long a publisher's id is kept, in milliseconds.
    pub id_window_ms: u64,
}

impl Settings {
    /// A store in `dir` with the default bounds: 4 GiB, a million rooms, ids for five minutes.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, epoch: Epoch) -> Self {
        Self {
            dir: dir.into(),
            epoch,
            disk_bytes_max: 4 << 30,
            rooms_max: 1_000_000,
            id_window_ms: ID_WINDOW_MS,
        }
    }
}

/// Why a store cannot be opened. Its display says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server has it.
    #[error("{} is in use by {}; stop that server, or give this one a directory of its own with --data", .dir.display(), owner(*.pid))]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, where it can be told.
        pid: Option<u32>,
    },
    /// Files cannot be made or written there.
    #[error("{} cannot be written: {text}; give the server's user the right to, or choose another directory with --data", .path.display())]
    NotWritable {
        /// What cannot.
        path: PathBuf,
        /// The system's words.
        text: String,
    },
    /// There is no room left on the disk.
    #[error("the disk that holds {} is full; free some space", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file is somebody else's.
    #[error("{} was not made by taut; move it away, or choose another directory with --data", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of the program made the file.
    #[error("{} was made by a newer taut (schema {version}, this one knows up to {newest}); run that version", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        version: u32,
        /// The newest one that this version knows.
        newest: u32,
    },
    /// SQLite cannot make sense of the file.
    #[error("{} is damaged: {text}; save what `sqlite3 {} .recover` still reads, and move it away", .path.display(), .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        text: String,
    },
    /// Anything else.
    #[error("{} cannot be opened: {text}", .path.display())]
    Failed {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        text: String,
    },
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another server".to_owned(),
        |pid| format!("another server (process {pid})"),
    )
}

impl OpenError {
    pub(crate) fn of_io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable {
                    path,
                    text: error.to_string(),
                }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Failed {
                path,
                text: error.to_string(),
            },
        }
    }
}
