//! A folder in a place of its own, and how to ask for what is in it.
#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use taut_files::{Answer, Conditions, Files, Method, Piece, Request, Settings};

/// 2026-11-21 00:00:00
pub(crate) const NOW: u64 = 1_795_219_200;
/// When every file was changed: `Sun, 06 Nov 1994 08:49:37 GMT`
pub(crate) const CHANGED: u64 = 784_111_777;
pub(crate) const CHANGED_DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// `outer/site`, so that there is something to get out to.
pub(crate) struct Site {
    pub(crate) outer: PathBuf,
}

impl Site {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("taut-files-{}-{count}", std::process::id());
        let outer = fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
        let _ = fs::remove_dir_all(&outer);
        fs::create_dir_all(outer.join("site")).unwrap();
        Self { outer }
    }

    /// A site with one file.
    pub(crate) fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        let site = Self::new();
        site.write(name, content);
        site
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.outer.join("site")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file below the site, with the folders that it needs.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.change_at(name, CHANGED)
    }

    /// Sets when a file was changed.
    pub(crate) fn change_at(&self, name: &str, unix_s: u64) -> &Self {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s);
        let file = fs::File::options()
            .write(true)
            .open(self.path(name))
            .unwrap();
        file.set_modified(time).unwrap();
        self
    }

    pub(crate) fn folder_at(&self, name: &str) -> &Self {
        fs::create_dir_all(self.path(name)).unwrap();
        self
    }

    pub(crate) fn link(&self, name: &str, target: impl AsRef<Path>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    pub(crate) fn open(&self) -> Files {
        self.open_with(Settings::default())
    }

    pub(crate) fn open_with(&self, settings: Settings) -> Files {
        Files::open(&self.folder(), settings).unwrap()
    }

    /// With and without the kernel's guard.
    pub(crate) fn open_both(&self, settings: &Settings) -> [Files; 2] {
        [
            self.open_with(settings.clone()),
            self.open_with(settings.clone()).without_openat2(),
        ]
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.outer);
    }
}

pub(crate) fn listing() -> Settings {
    Settings {
        listing: true,
        ..Settings::default()
    }
}

pub(crate) fn ask(files: &Files, method: Method, path: &str, conditions: &Conditions) -> Answer {
    let request = Request {
        method,
        path,
        query: None,
        conditions,
    };
    let answer = files.answer(&request, NOW);
    check(&answer, method);
    answer
}

pub(crate) fn get(files: &Files, path: &str) -> Answer {
    ask(files, Method::Get, path, &Conditions::default())
}

pub(crate) fn get_if(files: &Files, path: &str, conditions: &Conditions) -> Answer {
    ask(files, Method::Get, path, conditions)
}

/// What holds for every answer.
fn check(answer: &Answer, method: Method) {
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.field("content-length"), None);
    for (name, value) in &answer.fields {
        assert!(!value.chars().any(char::is_control), "{name}: {value:?}");
        let others = answer.fields.iter().filter(|(other, _)| other == name);
        assert_eq!(others.count(), 1, "{name} stands there once");
    }
    if method == Method::Head || matches!(answer.status, 204 | 301 | 304) {
        assert!(answer.body.is_empty());
    } else {
        assert_eq!(body(answer).len() as u64, answer.length);
    }
}

/// The whole body, read from where its pieces say.
pub(crate) fn body(answer: &Answer) -> Vec<u8> {
    let mut body = Vec::new();
    for piece in &answer.body {
        match piece {
            Piece::Bytes(bytes) => body.extend_from_slice(bytes),
            Piece::File {
                file,
                offset,
                length,
            } => {
                let mut bytes = vec![0; usize::try_from(*length).unwrap()];
                file.read_exact_at(&mut bytes, *offset).unwrap();
                body.extend_from_slice(&bytes);
            }
        }
    }
    body
}

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&body(answer)).into_owned()
}
