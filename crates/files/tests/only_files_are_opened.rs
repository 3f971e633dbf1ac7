//! Whatever is no regular file or folder is not there, and opening it does not wait.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use site::{Site, get, listing, text};

#[test]
fn a_fifo_and_a_socket_are_not_there_and_nobody_waits() {
    let site = Site::with("a.txt", "a");
    mknodat(CWD, site.path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _listener = UnixListener::bind(site.path("socket")).unwrap();
    site.link("to-fifo", "fifo").link("zero", "/dev/zero");
    for files in site.open_both(&listing()) {
        for path in ["/fifo", "/to-fifo", "/socket", "/zero", "/fifo/"] {
            let answer = get(&files, path);
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.fault.is_none(), "{path}: {:?}", answer.fault);
        }
        let page = text(&get(&files, "/"));
        assert!(page.contains("a.txt") && !page.contains("fifo") && !page.contains("socket"));
    }
}

#[test]
fn a_fifo_is_no_folder_to_serve() {
    let site = Site::new();
    mknodat(CWD, site.path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert!(taut_files::Files::open(&site.path("fifo"), listing()).is_err());
}
