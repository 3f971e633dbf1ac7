//! How many sockets this process, and the server's, may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;
use crate::process::Process;

/// Files that are open besides the sockets to the server.
const SPARE_FILES: u64 = 32;

/// Raises the limit on open files as far as allowed; what is then allowed.
pub(crate) fn raise_files() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // Where that is not allowed, what there is has to do.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Says no where `conns` connections are more than either side may open.
pub(crate) fn check_files(conns: usize, server: Option<Process>) -> Result<(), Failure> {
    let needed = conns as u64 + SPARE_FILES;
    let own = raise_files();
    if needed > own {
        return Err(Failure::usage(format!(
            "{conns} connections need {needed} open files, and this process may have {own}"
        ))
        .hint("the limit is the system's (`ulimit -Hn`); ask for fewer --members, or run the generator several times at once"));
    }
    match server.and_then(Process::files_max) {
        Some(files) if conns as u64 > files => Err(Failure::usage(format!(
            "{conns} connections are more than the {files} files that the server may open"
        ))
        .hint("start the server behind `ulimit -n`, or ask for fewer --members")),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_files_are_refused_with_both_numbers() {
        assert!(check_files(1, None).is_ok());
        let files = raise_files();
        let failure = check_files(usize::try_from(files).unwrap(), None).unwrap_err();
        assert!(failure.text.contains(&files.to_string()), "{failure}");
    }
}
