//! The file of what was taken back: a line each, appended and synced, so that it survives a restart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taut_auth::{REVOCATIONS_MAX, Revocations};

use super::revoker::TOGETHER_MAX;

/// Lines that the file may have before it is written anew without those that say nothing any more.
const LINES_MAX: usize = 2 * REVOCATIONS_MAX;
/// Bytes of a file that is read at the start. A line has at most about 1,700: the id of a token may be 256 control characters, each of which JSON writes as six.
const FILE_BYTES_MAX: u64 = 1_700 * (LINES_MAX + TOGETHER_MAX) as u64;

/// The file of revocations cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct RecordError {
    path: PathBuf,
    source: Arc<io::Error>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    file: File,
    lines: usize,
    /// The last append failed, so the file may end in half a line.
    doubtful: bool,
}

impl Record {
    /// Reads the file and writes it anew, without what has expired. What is damaged is told, and kept beside it under another name.
    ///
    /// # Errors
    /// It cannot be read or written: starting without it would let people in again.
    pub(crate) fn open(path: PathBuf, now_s: u64) -> Result<(Self, Revocations), RecordError> {
        let failed = |source: io::Error| RecordError {
            path: path.clone(),
            source: source.into(),
        };
        let bytes = match fs::metadata(&path) {
            Ok(facts) if facts.len() > FILE_BYTES_MAX => {
                let text = format!("the file has more than {FILE_BYTES_MAX} bytes");
                return Err(failed(io::Error::other(text)));
            }
            Ok(_) => fs::read(&path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let (table, damage) = Revocations::decode(&bytes, now_s);
        if damage.broken > 0 || damage.dropped > 0 {
            let kept = path.with_extension("damaged");
            write_whole(&kept, &bytes).map_err(failed)?;
            tracing::error!(
                file = %path.display(), copy = %kept.display(), broken = damage.broken, dropped = damage.dropped,
                "revocations are damaged: who was revoked by those lines may come in again; revoke everything issued before now, or change the key"
            );
        } else if damage.torn {
            tracing::warn!(file = %path.display(), "the last revocation was not written whole and had not been acknowledged");
        }
        let file = write_whole(&path, table.encode().as_bytes()).map_err(failed)?;
        let record = Self {
            lines: table.len() + 1,
            path,
            file,
            doubtful: false,
        };
        Ok((record, table))
    }

    /// Appends lines and waits until they are on the disk. `all` is the whole table, for a file that has grown too long or is in doubt.
    pub(crate) fn append(
        &mut self,
        lines: &str,
        all: impl FnOnce() -> String,
    ) -> Result<(), RecordError> {
        let path = self.path.clone();
        let failed = |source: io::Error| RecordError {
            path,
            source: source.into(),
        };
        if self.doubtful || self.lines >= LINES_MAX {
            let all = all();
            self.file = write_whole(&self.path, all.as_bytes()).map_err(failed)?;
            self.lines = all.lines().count();
            self.doubtful = false;
            return Ok(());
        }
        self.doubtful = true;
        let written = self.file.write_all(lines.as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .map_err(failed)?;
        self.doubtful = false;
        self.lines += lines.lines().count();
        Ok(())
    }
}

/// Writes a file that nobody else may read, whole or not at all; gives it, open at its end.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Its line.
    fn token(id: &str, until_s: u64) -> String {
        Revocations::encode_line(&taut_auth::Revocation::Token { id: id.into() }, until_s)
    }

    #[test]
    fn what_is_acknowledged_is_there_after_a_restart_and_damage_is_kept_aside() {
        let folder = std::env::temp_dir().join(format!("taut-record-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("revoked");
        let (mut record, table) = Record::open(path.clone(), 100).unwrap();
        assert!(table.is_empty());
        record.append(&token("one", 500), String::new).unwrap();
        record.append(&token("two", 200), String::new).unwrap();
        drop(record);
        let (mut record, table) = Record::open(path.clone(), 300).unwrap();
        assert_eq!(table.len(), 1);
        record.append(&token("three", 500), String::new).unwrap();
        drop(record);
        let mut bytes = fs::read(&path).unwrap();
        let whole = bytes.clone();
        bytes.extend_from_slice(b"0bad");
        fs::write(&path, &bytes).unwrap();
        let (_, table) = Record::open(path.clone(), 300).unwrap();
        assert_eq!(table.len(), 2);
        assert_eq!(fs::read(&path).unwrap().len(), whole.len());
        bytes[12] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let (_, table) = Record::open(path.clone(), 300).unwrap();
        assert_eq!(table.len(), 1);
        assert_eq!(fs::read(folder.join("revoked.damaged")).unwrap(), bytes);
        fs::remove_dir_all(&folder).unwrap();
    }
}
