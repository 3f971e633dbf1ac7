//! Where settings live once they are read.

use taut_server::{Config, FilesConfig};

use super::auth::AuthValues;

/// Everything that can be set, but rooms (see [`super::rooms`]).
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) files: Folder,
    pub(crate) storage: Storage,
    pub(crate) auth: AuthValues,
    pub(crate) tls: super::tls::Tls,
    pub(crate) metrics: Metrics,
}

/// Where `/metrics` is; nowhere where no address is named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) listen: String,
    pub(crate) key_file: String,
}

/// Where rooms are kept.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    /// The folder; empty for the default one.
    pub(crate) data: String,
    pub(crate) memory: bool,
    pub(crate) disk_bytes_max: u64,
    pub(crate) rooms_max: u32,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data: String::new(),
            memory: false,
            disk_bytes_max: 4 << 30,
            rooms_max: 1_000_000,
        }
    }
}

/// The folder that is served; its path is empty for none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folder {
    pub(crate) path: String,
    pub(crate) listing: bool,
}

impl Folder {
    /// As the server is told.
    pub(crate) fn config(&self) -> Option<FilesConfig> {
        (!self.path.is_empty()).then(|| FilesConfig {
            root: self.path.clone().into(),
            listing: self.listing,
        })
    }
}

/// How the server logs.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: "text".into(),
        }
    }
}
