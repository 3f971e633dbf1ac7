//! Unix sockets: a file that must not outlive its server, and must not be taken from a living one.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Address;
use crate::error::StartError;

/// Connections the kernel may keep for us between two looks of the acceptor.
const BACKLOG: i32 = 4_096;
/// Before the file has its own mode, nobody but its owner may connect.
const MODE_AT_FIRST: u32 = 0o600;

/// The file of a bound Unix socket. It is removed when this goes, unless another server has put its own there by then.
#[derive(Debug)]
pub(crate) struct UnixFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        let own = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if own && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the Unix socket's file could not be removed");
        }
    }
}

/// Binds `path`, replacing a file that a dead server left there. A path that begins with `@` is an abstract name without a file.
pub(super) fn bind(
    path: &Path,
    mode: u32,
) -> Result<(mio::net::UnixListener, Option<UnixFile>), StartError> {
    let address = || Address::Unix(path.to_path_buf());
    let refused = |source| StartError::Listen {
        address: address(),
        source,
    };
    let abstract_name = path.to_str().and_then(|path| path.strip_prefix('@'));
    if abstract_name.is_none() {
        make_way(path)?;
    }
    let name = match abstract_name {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(path),
    };
    let bound = name.and_then(|name| listen(&name, abstract_name.is_none()));
    let listener = bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { address: address() },
        _ => refused(source),
    })?;
    let file = match abstract_name {
        Some(_) => None,
        None => Some(own(path, mode).map_err(refused)?),
    };
    let listener = UnixListener::from(listener);
    Ok((mio::net::UnixListener::from_std(listener), file))
}

fn listen(name: &SockAddr, has_file: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    if has_file {
        // The file takes the socket's mode, so that it is never open wider than it shall be.
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(MODE_AT_FIRST))?;
    }
    socket.bind(name)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Removes a socket's file to which nobody listens. Anything else that stands there is left alone.
fn make_way(path: &Path) -> Result<(), StartError> {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    let address = Address::Unix(path.to_path_buf());
    if !found.file_type().is_socket() {
        return Err(StartError::NoSocket { address });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Ok(_) => return Err(StartError::AddressInUse { address }),
        Err(source) => return Err(StartError::Listen { address, source }),
    }
    tracing::info!(%address, "replacing the file that a server left which is gone");
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| StartError::Listen { address, source }),
    }
}

fn own(path: &Path, mode: u32) -> io::Result<UnixFile> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    let found = std::fs::symlink_metadata(path)?;
    Ok(UnixFile {
        path: path.to_path_buf(),
        device: found.dev(),
        inode: found.ino(),
    })
}
