//! Unix sockets: a file that must not outlive its server, and must not be taken from a living one.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use crate::{Code, Ended};

/// Connections that the kernel keeps for us until we take them.
const BACKLOG: i32 = 1_024;

/// The file of a bound socket. It is removed when this goes, unless another server has put its own there by then.
#[derive(Debug)]
pub(super) struct UnixFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        let is_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if is_ours {
            // Whoever starts next replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds `path`, replacing a file to which nobody listens. A path that begins with `@` is an abstract name, without a file.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, Option<UnixFile>), Ended> {
    let abstract_name = path.to_str().and_then(|path| path.strip_prefix('@'));
    let name = match abstract_name {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => {
            make_way(path)?;
            SockAddr::unix(path)
        }
    };
    let listener = name
        .and_then(|name| listen(&name))
        .map_err(|error| explain(path, &error))?;
    let file = match abstract_name {
        Some(_) => None,
        None => Some(own(path).map_err(|error| explain(path, &error))?),
    };
    Ok((listener, file))
}

fn listen(name: &SockAddr) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(name)?;
    socket.listen(BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// Removes a socket's file to which nobody listens. Anything else that stands there is left alone.
fn make_way(path: &Path) -> Result<(), Ended> {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(Ended::new(
            Code::Failure,
            format!(
                "cannot listen on unix:{}: a file stands there that is no socket",
                path.display()
            ),
        )
        .hint("name a path where nothing is; it is not overwritten"));
    }
    match ask(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // A full backlog means somebody too.
        Ok(()) => return Err(taken(path)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(taken(path)),
        Err(error) => return Err(explain(path, &error)),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(explain(path, &error)),
        _ => Ok(()),
    }
}

fn ask(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

fn own(path: &Path) -> io::Result<UnixFile> {
    let found = std::fs::symlink_metadata(path)?;
    Ok(UnixFile {
        path: path.to_path_buf(),
        device: found.dev(),
        inode: found.ino(),
    })
}

fn taken(path: &Path) -> Ended {
    Ended::new(
        Code::Failure,
        format!(
            "cannot listen on unix:{}: another program listens there already",
            path.display()
        ),
    )
    .hint("end it, or name another path")
}

fn explain(path: &Path, error: &io::Error) -> Ended {
    let listen = format!("cannot listen on unix:{}", path.display());
    match error.kind() {
        io::ErrorKind::AddrInUse => taken(path),
        io::ErrorKind::NotFound => Ended::new(
            Code::Failure,
            format!("{listen}: the folder does not exist"),
        ),
        io::ErrorKind::PermissionDenied => Ended::new(
            Code::Failure,
            format!("{listen}: you may not make a file there"),
        )
        .hint("name a path in a folder of yours, for example unix:/tmp/taut.sock"),
        _ => Ended::new(Code::Failure, format!("{listen}: {error}")),
    }
}
