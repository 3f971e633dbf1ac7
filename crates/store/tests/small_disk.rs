//! A disk that is really full: a file system of two megabytes, mounted in a namespace of the test's own.
//!
//! Where the system allows no such namespace there is nothing to test on, and the test says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use taut_hub::{Epoch, Store, StoreError};
use taut_store::suite::{append, room, tail};
use taut_store::{OpenError, Settings, SqliteStore, check};

const DISK: &str = "TAUT_TEST_DISK";

/// Runs the named test of this file again with a small disk mounted at the directory in [`DISK`].
fn on_a_small_disk(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=2m tmpfs \"$TAUT_TEST_DISK\"";
    let run = |script: &str| {
        Command::new("unshare")
            .args(["-rm", "sh", "-c", script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(DISK, dir.path())
            .status()
    };
    if !run(mount).is_ok_and(|status| status.success()) {
        eprintln!("no small disk can be mounted here; nothing was tested");
        return;
    }
    let status = run(&format!("{mount} && exec \"$@\"")).unwrap();
    assert!(status.success());
}

/// Appends to each of three rooms in turn until the store refuses; gives its words.
fn fill(store: &mut SqliteStore, heads: &mut [u64; 3]) -> StoreError {
    for turn in (0..3).cycle() {
        let name = room(&format!("r{turn}"));
        let mut batch = append(&name, heads[turn], 40);
        batch.sync = turn == 2;
        match store.commit(&[batch])[0].clone() {
            Ok(()) => heads[turn] += 40,
            Err(error) => return error,
        }
    }
    unreachable!("the turns never end")
}

fn assert_kept(store: &mut SqliteStore, heads: [u64; 3]) {
    for (number, head) in heads.into_iter().enumerate() {
        let kept = store.open(&room(&format!("r{number}")), tail()).unwrap();
        let kept = kept.unwrap();
        assert_eq!((kept.head, kept.tail.len() as u64), (head, head));
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = std::env::var_os(DISK) else {
        return on_a_small_disk("a_full_disk_refuses_and_recovers");
    };
    let disk = Path::new(&disk);
    let filler = disk.join("filler");
    fs::write(&filler, vec![1; 900 << 10]).unwrap();
    let dir = disk.join("data");
    let settings = || Settings::new(&dir, Epoch(1));
    let mut store = SqliteStore::open(settings()).unwrap();
    let mut heads = [0; 3];
    assert_eq!(fill(&mut store, &mut heads), StoreError::Full);
    for _ in 0..5 {
        assert_eq!(fill(&mut store, &mut heads), StoreError::Full);
        assert_kept(&mut store, heads);
    }
    // Nobody restarts it: it works as soon as there is room.
    fs::remove_file(&filler).unwrap();
    let before = heads;
    assert_eq!(fill(&mut store, &mut heads), StoreError::Full);
    let [before, after] = [before, heads].map(|heads| heads.iter().sum::<u64>());
    assert!(after > before + 500, "{before} {after}");
    assert_kept(&mut store, heads);
    drop(store);

    match SqliteStore::open(settings()) {
        Ok(mut store) => assert_kept(&mut store, heads),
        Err(error) => assert!(matches!(error, OpenError::Full { .. }), "{error}"),
    }
    assert_eq!(check(&dir).unwrap(), []);
}
