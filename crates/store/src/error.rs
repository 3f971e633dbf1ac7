//! SQLite's errors in the hub's words.

use rusqlite::ffi::{self, ErrorCode};
use taut_hub::StoreError;

/// What the hub is told.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { text: words(error) }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Failed {
            text: "another program holds the file locked".to_owned(),
        },
        _ => StoreError::Failed { text: words(error) },
    }
}

/// Whether a connection that said this must be opened anew: what it holds of the file may no longer be what is there.
pub(crate) fn taints(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

/// SQLite's own words, with its extended code where that tells more (`disk I/O error` alone says nothing).
pub(crate) fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(failure, text) => {
            let name = ffi::code_to_str(failure.extended_code);
            match text {
                Some(text) if !name.contains(text.as_str()) => format!("{text} ({name})"),
                _ => name.to_owned(),
            }
        }
        other => other.to_string(),
    }
}

/// What the hub is told of a file's own error.
pub(crate) fn of_io(error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
            StoreError::ReadOnly
        }
        _ => StoreError::Failed {
            text: error.to_string(),
        },
    }
}
