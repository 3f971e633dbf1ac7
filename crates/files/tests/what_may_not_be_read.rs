//! A file that may not be read is answered as if it were not there, and noted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use rustix::thread::set_thread_uid;
use site::{Site, get, text};

#[test]
fn an_unreadable_file_is_a_404_with_a_fault_for_the_log() {
    let site = Site::with("open.txt", "open");
    site.write("closed.txt", "CLOSED");
    site.write("closed/a.txt", "CLOSED");
    let mode = |name: &str, mode| set_permissions(site.path(name), Permissions::from_mode(mode));
    mode("closed.txt", 0).unwrap();
    mode("closed", 0).unwrap();
    let files = site.open();
    // Root may read everything; on Linux a thread can be somebody else on its own.
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
            }
            let nothing = get(&files, "/nothing.txt");
            for path in ["/closed.txt", "/closed/a.txt"] {
                let answer = get(&files, path);
                assert_eq!(answer.status, 404, "{path}");
                assert_eq!(answer.fields, nothing.fields);
                assert_eq!(text(&answer), text(&nothing));
                let fault = answer.fault.unwrap().to_string();
                assert!(fault.starts_with(path), "{fault}");
                assert!(fault.contains("ermission denied"), "{fault}");
            }
            assert_eq!(text(&get(&files, "/open.txt")), "open");
        });
        asked.join().unwrap();
    });
    mode("closed", 0o700).unwrap();
}
