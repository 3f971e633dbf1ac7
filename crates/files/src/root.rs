//! The folder, and opening what lies in it without a way out.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;

/// Opening never waits, hands nothing to child processes, and makes no terminal ours.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);
/// How often the kernel is asked again when something was renamed while it looked.
const RENAMES_MAX: usize = 8;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Root {
    folder: OwnedFd,
    /// Absolute and without links: what a link into the folder begins with.
    path: PathBuf,
    /// The kernel can keep a path beneath a folder (`openat2`, Linux 5.6, unless a sandbox forbids it).
    is_guarded: bool,
}

/// What was found: open, and known by what the open file itself says.
#[derive(Debug)]
pub(crate) enum Found {
    /// A regular file.
    File(File, Metadata),
    /// A folder.
    Folder(File),
}

/// Why nothing was found.
#[derive(Debug)]
pub(crate) enum Absent {
    /// Nothing is there, or nothing that may be seen: another kind of file, a way out, a circle of links.
    Missing,
    /// It is there and may not be read.
    Forbidden(io::Error),
    /// This side failed.
    Failed(io::Error),
}

impl Root {
    /// Opens a folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        // O_DIRECTORY: a FIFO would keep us waiting.
        let folder = open(&path, READ | OFlags::DIRECTORY, Mode::empty())?;
        let is_guarded = open_guarded(folder.as_fd(), Path::new(".")).is_ok();
        Ok(Self {
            folder,
            path,
            is_guarded,
        })
    }

    /// As on a system whose kernel has no `openat2`.
    pub(crate) fn unguard(&mut self) {
        self.is_guarded = false;
    }

    /// Opens what is at `relative`, a path of plain names or an empty one. Links are followed as long as they stay inside.
    pub(crate) fn find(&self, relative: &Path) -> Result<Found, Absent> {
        let file = File::from(self.open_inside(relative)?);
        let metadata = file.metadata().map_err(Absent::Failed)?;
        if metadata.is_file() {
            Ok(Found::File(file, metadata))
        } else if metadata.is_dir() {
            Ok(Found::Folder(file))
        } else {
            Err(Absent::Missing)
        }
    }

    fn open_inside(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        let relative = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            relative
        };
        if self.is_guarded {
            match open_guarded(self.folder.as_fd(), relative) {
                // A link that is absolute, or that leaves the folder and comes back: it may still end inside.
                Err(Errno::XDEV) => {}
                opened => return opened,
            }
        }
        let real = self.resolve(relative)?;
        let inside = real.strip_prefix(&self.path).map_err(|_| Errno::XDEV)?;
        // Whatever is renamed from now on, what is opened has no link in it and lies inside.
        open_plain(self.folder.as_fd(), inside)
    }

    /// The path without links. Each name must stay inside, not only the last: who asks must not learn what the folders above are called.
    fn resolve(&self, relative: &Path) -> Result<PathBuf, Errno> {
        let mut real = self.path.clone();
        for name in relative.components() {
            real.push(name);
            let metadata = fs::symlink_metadata(&real).map_err(|error| errno(&error))?;
            if metadata.is_symlink() {
                real = fs::canonicalize(&real).map_err(|error| errno(&error))?;
            }
            if !real.starts_with(&self.path) {
                return Err(Errno::XDEV);
            }
        }
        Ok(real)
    }
}

#[cfg(target_os = "linux")]
fn open_guarded(folder: BorrowedFd<'_>, relative: &Path) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut opened = Err(Errno::AGAIN);
    for _ in 0..RENAMES_MAX {
        opened = openat2(folder, relative, READ, Mode::empty(), beneath);
        if !matches!(opened, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    opened
}

#[cfg(not(target_os = "linux"))]
fn open_guarded(_: BorrowedFd<'_>, _: &Path) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Opens a path without links name by name, and refuses where a link stands after all.
fn open_plain(folder: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    const PASS: OFlags = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    const PASS: OFlags = OFlags::RDONLY;
    let pass = PASS | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;

    let mut held: Option<OwnedFd> = None;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else {
            return Err(Errno::XDEV);
        };
        let here = held.as_ref().map_or(folder, |held| held.as_fd());
        if components.peek().is_none() {
            return openat(here, name, READ | OFlags::NOFOLLOW, Mode::empty());
        }
        held = Some(openat(here, name, pass, Mode::empty())?);
    }
    openat(folder, ".", READ, Mode::empty())
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl From<Errno> for Absent {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::XDEV
            | Errno::INVAL
            // A Unix socket, a device without a driver.
            | Errno::NXIO
            | Errno::NODEV => Self::Missing,
            Errno::ACCESS | Errno::PERM => Self::Forbidden(errno.into()),
            _ => Self::Failed(errno.into()),
        }
    }
}
