//! What a process costs, read from `/proc`: CPU time and memory.

use std::fs;

use crate::failure::Failure;

/// A process of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    id: u32,
}

/// CPU time that a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    /// All of it in nanoseconds, from the scheduler's own clock, of the threads that live.
    total_ns: u64,
    /// In ticks of 10 ms. The kernel samples how the total divides, so this says the shares, not the sum.
    user_ticks: u64,
    system_ticks: u64,
}

/// CPU time between two moments, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spent {
    pub(crate) user_ns: f64,
    pub(crate) system_ns: f64,
}

impl Cpu {
    pub(crate) fn since(self, earlier: Self) -> Spent {
        let total_ns = self.total_ns.saturating_sub(earlier.total_ns) as f64;
        let user = self.user_ticks.saturating_sub(earlier.user_ticks) as f64;
        let system = self.system_ticks.saturating_sub(earlier.system_ticks) as f64;
        let share = user / (user + system).max(1.0);
        Spent {
            user_ns: total_ns * share,
            system_ns: total_ns * (1.0 - share),
        }
    }
}

impl Process {
    /// The process with this id, which must exist and may be looked at.
    pub(crate) fn find(id: u32) -> Result<Self, Failure> {
        let process = Self { id };
        process.cpu()?;
        Ok(process)
    }

    /// The same without a look.
    pub(crate) fn known(id: u32) -> Self {
        Self { id }
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(self) -> Result<Cpu, Failure> {
        let mut total_ns = 0;
        let tasks = fs::read_dir(self.path("task")).map_err(|error| self.unreadable(&error))?;
        for task in tasks.flatten() {
            // A thread may end between the list and the look at it.
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let ran_ns = text.split(' ').next().unwrap_or_default();
            total_ns += ran_ns.parse::<u64>().unwrap_or(0);
        }
        let stat = self.read("stat")?;
        // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field behind it.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let mut ticks = fields.split(' ').skip(11).map(str::parse::<u64>);
        let (Some(Ok(user_ticks)), Some(Ok(system_ticks))) = (ticks.next(), ticks.next()) else {
            return Err(self.unreadable(&"its stat is odd"));
        };
        Ok(Cpu {
            total_ns,
            user_ticks,
            system_ticks,
        })
    }

    /// Resident bytes.
    pub(crate) fn resident_bytes(self) -> Result<u64, Failure> {
        let status = self.read("status")?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        match line {
            Some(kib) => Ok(kib << 10),
            None => Err(self.unreadable(&"its memory is not told")),
        }
    }

    /// Files that it may open at most, as far as that can be read.
    pub(crate) fn files_max(self) -> Option<u64> {
        let limits = self.read("limits").ok()?;
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn read(self, name: &str) -> Result<String, Failure> {
        fs::read_to_string(self.path(name)).map_err(|error| self.unreadable(&error))
    }

    fn path(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.id)
    }

    fn unreadable(self, why: &dyn std::fmt::Display) -> Failure {
        Failure::usage(format!(
            "the server's process {} cannot be read: {why}",
            self.id
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_process_tells_its_cpu_time_and_its_memory() {
        let own = Process::find(std::process::id()).unwrap();
        let before = own.cpu().unwrap();
        assert!(own.resident_bytes().unwrap() > 0);
        assert!(own.files_max().unwrap() > 0);
        let spent = own.cpu().unwrap().since(before);
        assert!(spent.user_ns >= 0.0 && spent.system_ns >= 0.0);
        assert!(Process::find(u32::MAX).is_err());
    }
}
