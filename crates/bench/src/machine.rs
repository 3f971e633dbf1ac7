//! The machine that something was measured on, as far as it says what it is.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// See the [module](self). What cannot be read is empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Machine {
    /// The model of its processor.
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// The version of its kernel, without what its builders add.
    pub(crate) kernel: String,
    /// The mean number of running tasks over the minute before.
    pub(crate) load: f64,
    /// When this was looked at, in seconds since 1970.
    pub(crate) unix_s: u64,
    /// The version of this program.
    pub(crate) taut: String,
}

impl Machine {
    /// As it is now.
    pub(crate) fn look() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| {
            let (name, model) = line.split_once(':')?;
            (name.trim() == "model name").then(|| model.trim().to_owned())
        });
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = loads.split(' ').next().and_then(|load| load.parse().ok());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            cpu: model.unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel
                .trim()
                .split('-')
                .next()
                .unwrap_or_default()
                .to_owned(),
            load: load.unwrap_or_default(),
            unix_s: since.map_or(0, |since| since.as_secs()),
            taut: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
