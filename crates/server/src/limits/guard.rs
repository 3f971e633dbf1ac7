//! The guards for all: memory, and the number of Conns. Above either nobody new is let in, while those who are here go on.
//!
//! The acceptor asks at each newcomer and looks at memory every [`LOOK`] at most, and at least once a second. A guard that has said no says yes again when things
//! are a little better, not at the first byte, and it is logged only when it changes its mind.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::health::Health;

/// Time between two looks at memory at the least.
const LOOK: Duration = Duration::from_millis(100);
/// The same at the most.
pub(crate) const LOOK_LATEST: Duration = Duration::from_secs(1);
/// Of the machine's memory, in percent, unless it is set how much.
const SHARE_PERCENT: u64 = 90;
/// Below so much of the limit the guard lets newcomers in again, in percent.
const WELL_PERCENT: u64 = 95;

/// What is read of `/proc/self/status`: more than stands before the line that matters.
const STATUS_BYTES: usize = 4_096;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Guard {
    /// How many Conns there may be. A reload changes it.
    conns_max: Arc<AtomicUsize>,
    memory: Option<Memory>,
    looked: Option<Instant>,
    is_crowded: bool,
    is_heavy: bool,
    health: Arc<Health>,
}

impl Guard {
    pub(crate) fn new(
        conns_max: Arc<AtomicUsize>,
        memory: Option<Memory>,
        health: Arc<Health>,
    ) -> Self {
        Self {
            conns_max,
            memory,
            looked: None,
            is_crowded: false,
            is_heavy: false,
            health,
        }
    }

    /// Whether one more may be let in where there are so many Conns.
    pub(crate) fn lets_in(&mut self, conns: usize) -> bool {
        self.look(conns);
        conns < self.conns_max() && !self.is_heavy
    }

    /// Whether memory is why nobody is let in.
    pub(crate) fn is_heavy(&self) -> bool {
        self.is_heavy
    }

    /// Looks at how things are, and says so where they have changed.
    pub(crate) fn look(&mut self, conns: usize) {
        let was = (self.is_crowded, self.is_heavy);
        self.is_crowded = above(self.is_crowded, conns as u64, self.conns_max() as u64);
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if let Some(memory) = self.memory.as_mut().filter(|_| is_due) {
            self.looked = Some(Instant::now());
            if let Some(bytes) = memory.resident_bytes() {
                self.is_heavy = above(self.is_heavy, bytes, memory.bytes_max());
            }
        }
        if was != (self.is_crowded, self.is_heavy) {
            self.tell();
        }
    }

    fn conns_max(&self) -> usize {
        self.conns_max.load(Ordering::Relaxed)
    }

    fn tell(&self) {
        let bytes_max = self.memory.as_ref().map_or(0, Memory::bytes_max);
        let why = match (self.is_crowded, self.is_heavy) {
            (_, true) => Some(format!(
                "the server uses as much memory as it may, {} MiB (limits.memory_bytes_max)",
                bytes_max >> 20
            )),
            (true, false) => Some(format!(
                "{} connections are open, as many as limits.conns_max or the open-file limit (`ulimit -n`) allow",
                self.conns_max()
            )),
            (false, false) => None,
        };
        match &why {
            Some(why) => tracing::warn!("nobody new is let in: {why}"),
            None => tracing::warn!("there is room again: newcomers are let in"),
        }
        self.health.full(why.map(Into::into), self.is_heavy);
    }
}

/// Whether a level is too high, which it stays until it is a little lower.
fn above(was: bool, level: u64, most: u64) -> bool {
    if was {
        let well = most / 100 * WELL_PERCENT + most % 100 * WELL_PERCENT / 100;
        // Of a limit of one, too, there is something below.
        level >= well.max(1)
    } else {
        level >= most
    }
}

/// How much memory the process has, and may have.
#[derive(Debug)]
pub(crate) struct Memory {
    /// `/proc/self/status`, kept open for when no file can be opened any more.
    status: File,
    /// A reload changes it.
    bytes_max: Arc<AtomicU64>,
}

impl Memory {
    /// Watches the process's memory against what [`Memory::most`] has said. `None` where the system does not tell.
    pub(crate) fn watch(bytes_max: Arc<AtomicU64>) -> Option<Self> {
        let status = File::open("/proc/self/status").inspect_err(|error| {
            tracing::debug!(
                %error,
                "this system does not say how much memory is used: nobody is turned away for want of it"
            );
        });
        Some(Self {
            status: status.ok()?,
            bytes_max,
        })
    }

    /// How many bytes there may be: as asked, or for 0 a share of what the machine, or the control group, has; no limit where the system does not tell.
    pub(crate) fn most(asked: u64) -> u64 {
        match asked {
            0 => machine_bytes().map_or(u64::MAX, |bytes| bytes / 100 * SHARE_PERCENT),
            asked => asked,
        }
    }

    fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Bytes that are resident now.
    fn resident_bytes(&mut self) -> Option<u64> {
        let mut text = [0; STATUS_BYTES];
        self.status.seek(SeekFrom::Start(0)).ok()?;
        let length = self.status.read(&mut text).ok()?;
        // The name of the program may be anything, so the whole need not be UTF-8.
        let mut lines = text.get(..length)?.split(|byte| *byte == b'\n');
        let line = lines.find_map(|line| line.strip_prefix(b"VmRSS:"))?;
        let kibibytes: u64 = std::str::from_utf8(line)
            .ok()?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()?;
        kibibytes.checked_mul(1_024)
    }
}

/// What the machine has, or the control group of this process, where that is less.
fn machine_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let of_group = std::fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|groups| group_bytes(Path::new("/sys/fs/cgroup"), &groups));
    let machine = kibibytes.saturating_mul(1_024);
    Some(of_group.map_or(machine, |of_group| of_group.min(machine)))
}

/// The least that a control group, or one that it is part of, allows: `memory.max` (version 2), or `memory.limit_in_bytes` (version 1). `max` is no number, and
/// no limit.
fn group_bytes(root: &Path, groups: &str) -> Option<u64> {
    let read =
        |path: PathBuf| -> Option<u64> { std::fs::read_to_string(path).ok()?.trim().parse().ok() };
    let mut least: Option<u64> = None;
    let mut lower = |bytes: Option<u64>| {
        least = [least, bytes].into_iter().flatten().min();
    };
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (root, name) = match kinds {
            "" => (root.to_owned(), "memory.max"),
            kinds if kinds.split(',').any(|kind| kind == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let inside = Path::new(path.trim_start_matches('/'));
        for group in inside.ancestors() {
            lower(read(root.join(group).join(name)));
        }
    }
    least
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_guard_says_no_at_its_limit_and_yes_a_little_below() {
        let health = Arc::new(Health::default());
        let mut guard = Guard::new(Arc::new(AtomicUsize::new(100)), None, Arc::clone(&health));
        assert!(guard.lets_in(99));
        assert!(health.fullness().is_none());
        assert!(!guard.lets_in(100));
        assert!(health.fullness().unwrap().contains("limits.conns_max"));
        // One may come in, and the server is not yet said to be well.
        assert!(guard.lets_in(99));
        assert!(health.fullness().is_some());
        assert!(guard.lets_in(94));
        assert!(health.fullness().is_none());
        let mut guard = Guard::new(Arc::new(AtomicUsize::new(1)), None, Arc::clone(&health));
        assert!(!guard.lets_in(1) && health.fullness().is_some());
        assert!(guard.lets_in(0) && health.fullness().is_none());
    }

    #[test]
    fn memory_is_watched() {
        let watch = |asked| Memory::watch(Arc::new(Memory::most(asked).into()));
        let mut memory = watch(1 << 40).unwrap();
        assert!(memory.resident_bytes().unwrap() > 100_000);
        assert!(Memory::most(0) > 1 << 20);
        let health = Arc::new(Health::default());
        let mut guard = Guard::new(
            Arc::new(AtomicUsize::new(100)),
            watch(4_096),
            Arc::clone(&health),
        );
        assert!(!guard.lets_in(0));
        assert!(health.fullness().unwrap().contains("memory"));
    }

    #[test]
    fn the_least_of_all_groups_counts() {
        let root = std::env::temp_dir().join(format!("taut-groups-{}", std::process::id()));
        let inner = root.join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.max"), "max\n").unwrap();
        std::fs::write(root.join("a/memory.max"), "1000\n").unwrap();
        assert_eq!(group_bytes(&root, "0::/a/b\n"), Some(1_000));
        assert_eq!(group_bytes(&root, "0::/elsewhere\n"), None);
        assert_eq!(group_bytes(&root, "nonsense"), None);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
