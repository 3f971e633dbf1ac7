//! How many connections the open-file limit leaves room for.

/// File descriptors kept for everything that is no connection; of few a quarter.
const RESERVED_FILES: usize = 64;
/// One in so many of those is for somebody who is turned away and told why.
const FILES_PER_SEAT: usize = 4;

/// How many sockets the acceptor may take: fewer than Conns may be where the open-file limit leaves less, so that it never has to find out by failing.
pub(crate) fn sockets_max(conns_max_asked: usize) -> usize {
    let possible = conns_max(0, false);
    if conns_max_asked > possible && conns_max_asked < usize::MAX {
        tracing::warn!(
            "limits.conns_max is {conns_max_asked}, and the open-file limit leaves {possible} connections; raise it (`ulimit -n`)"
        );
    }
    conns_max_asked.min(possible)
}

/// How many Conns may be open: as configured, or what the open-file limit leaves. Where files are served, each Conn may need a second one.
pub(crate) fn conns_max(asked: usize, serves_files: bool) -> usize {
    if asked > 0 {
        return asked;
    }
    match open_files_max() {
        usize::MAX => usize::MAX,
        files => {
            let left = files - reserved_files(files);
            (if serves_files { left / 2 } else { left }).max(1)
        }
    }
}

/// How many of those who are turned away are told so at once: there are descriptors kept for them.
pub(super) fn seats() -> usize {
    reserved_files(open_files_max()) / FILES_PER_SEAT
}

/// How many files may be open.
fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

/// How many of them are no connection's.
fn reserved_files(files: usize) -> usize {
    RESERVED_FILES.min(files / 4)
}
