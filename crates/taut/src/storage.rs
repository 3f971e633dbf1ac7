//! Where rooms are kept: the folder that `--data` names, or one per listen address under the user's state directory.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use taut_hub::{Epoch, Store};
use taut_server::{Endpoint, Listen};
use taut_store::{OpenError, Settings, SqliteStore};

use crate::failure::{Code, Failure};
use crate::settings::values::{Storage, Values};

/// The file of the key that sessions are sealed with.
const SEAL_KEY: &str = "seal.key";

/// The store, and the line that says where it is.
pub(crate) struct Opened {
    pub(crate) store: Option<Box<dyn Store>>,
    pub(crate) line: String,
    /// The folder, where there is one.
    pub(crate) dir: Option<PathBuf>,
    /// What sessions are sealed with, so that a server that starts again on the folder knows them; `None`: each start makes its own.
    pub(crate) seal_key: Option<[u8; 32]>,
}

/// Opens the store that the settings ask for.
pub(crate) fn open(values: &Values) -> Result<Opened, Failure> {
    let storage = &values.storage;
    if storage.memory {
        return Ok(in_memory("as `memory` asks"));
    }
    let dir = if !storage.data.is_empty() {
        PathBuf::from(&storage.data)
    } else {
        let Some(name) = name_of(&values.config.listeners) else {
            return Ok(in_memory(
                "since no address is fixed; name a folder with --data",
            ));
        };
        match state_dir() {
            Some(state) => state.join("taut").join(name),
            None => {
                return Err(Failure::usage(
                    "there is no place to keep rooms: neither XDG_STATE_HOME nor HOME is set; name a folder with --data DIR, or keep them in memory with --memory",
                ));
            }
        }
    };
    let store = open_store(storage, &dir)?;
    Ok(Opened {
        line: format!("Rooms are kept in {}", dir.display()),
        seal_key: Some(seal_key(&dir)?),
        store: Some(Box::new(store)),
        dir: Some(dir),
    })
}

fn in_memory(why: &str) -> Opened {
    Opened {
        store: None,
        line: format!("Rooms are in memory and end with the server, {why}"),
        seal_key: None,
        dir: None,
    }
}

fn open_store(storage: &Storage, dir: &Path) -> Result<SqliteStore, Failure> {
    let mut seed = [0; 4];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(Code::Failure, format!("no random numbers: {error}")))?;
    // Epoch 0 is nobody's.
    let epoch = Epoch(u32::from_le_bytes(seed).max(1));
    SqliteStore::open(Settings {
        disk_bytes_max: storage.disk_bytes_max,
        rooms_max: storage.rooms_max,
        ..Settings::new(dir, epoch)
    })
    .map_err(|error| Failure::new(Code::Failure, refused(storage, &error)))
}

/// The key of the folder's seal, made at the first start. Whoever can read it can take up other people's sessions, so nobody else may.
fn seal_key(dir: &Path) -> Result<[u8; 32], Failure> {
    let path = dir.join(SEAL_KEY);
    let failed = |what: &str| {
        let text = format!(
            "{}: {what}; remove the file, then clients of earlier runs begin new sessions",
            path.display()
        );
        Failure::new(Code::Failure, text)
    };
    match std::fs::read(&path) {
        Ok(bytes) => {
            return bytes
                .try_into()
                .map_err(|_| failed("this is no key of 32 bytes"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(&error.to_string())),
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| failed(&error.to_string()))?;
    write_secret(&path, &key).map_err(|error| failed(&error.to_string()))?;
    Ok(key)
}

/// Writes a file that nobody else may read: whole or not at all, also when the machine stops in between.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// Who starts a second server on the default folder has it on the same address.
fn refused(storage: &Storage, error: &OpenError) -> String {
    match error {
        OpenError::Locked { pid, .. } if storage.data.is_empty() => {
            let by = pid.map_or(String::new(), |pid| format!(" (process {pid})"));
            format!(
                "another server runs on this address{by}; stop that one, or choose another port, for example `--listen 127.0.0.1:8081`"
            )
        }
        error => format!("cannot keep rooms: {error}"),
    }
}

/// A folder's name for the first address that is the same at the next start.
fn name_of(listeners: &[Listen]) -> Option<String> {
    listeners.iter().find_map(|listen| {
        let fixed = match &listen.endpoint {
            Endpoint::Tcp(at) | Endpoint::Udp(at) => (at.port != 0).then(|| at.to_string()),
            Endpoint::Unix { path, .. } => Some(path.to_string_lossy().into_owned()),
        };
        fixed.map(|address| folder_name(&address))
    })
}

/// The address with everything that is no plain part of a file's name replaced.
fn folder_name(address: &str) -> String {
    let name: String = address
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => c,
            _ => '_',
        })
        .collect();
    name.trim_start_matches(['.', '_']).to_owned()
}

/// The XDG base directory for state; a relative one is to be ignored, as its specification says.
fn state_dir() -> Option<PathBuf> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    std::env::var_os("XDG_STATE_HOME")
        .and_then(absolute)
        .or_else(|| {
            std::env::var_os("HOME")
                .and_then(absolute)
                .map(|home| home.join(".local/state"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_a_folder_of_its_own() {
        assert_eq!(folder_name("127.0.0.1:8080"), "127.0.0.1_8080");
        assert_eq!(
            folder_name("[::1]:8080"),
            "__1__8080".trim_start_matches('_')
        );
        assert_eq!(folder_name("/run/taut/sock"), "run_taut_sock");
        assert_eq!(folder_name("../evil"), "evil".to_owned());
    }
}
