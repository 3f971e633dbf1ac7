//! The program that is measured: started, pinned to a core, read through `/proc`, ended with this value.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Failure;

/// The core of the program that is measured, and that of the generator.
const CORES: [usize; 2] = [1, 0];
/// Time that a program may take until it listens.
const START_MS_MAX: u64 = 10_000;

/// See the [module](self).
pub(crate) struct Child {
    process: std::process::Child,
    address: SocketAddr,
}

/// CPU time that a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    /// All of it in nanoseconds, from the scheduler's own clock.
    total_ns: u64,
    /// In ticks of 10 ms. The kernel samples how the total divides, so this says the shares, not the sum.
    user_ticks: u64,
    system_ticks: u64,
}

impl Cpu {
    /// User and system time since `earlier`, in nanoseconds.
    pub(crate) fn since(self, earlier: Self) -> (f64, f64) {
        let total_ns = (self.total_ns - earlier.total_ns) as f64;
        let user = (self.user_ticks - earlier.user_ticks) as f64;
        let system = (self.system_ticks - earlier.system_ticks) as f64;
        let share = user / (user + system).max(1.0);
        (total_ns * share, total_ns * (1.0 - share))
    }
}

impl Child {
    /// Starts `program` with the arguments that `arguments` makes of a free port, and waits until it listens.
    pub(crate) fn start(
        program: &Path,
        arguments: impl FnOnce(u16) -> Vec<String>,
    ) -> Result<Self, Failure> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        // A child inherits the affinity of its parent: so it is set without a hook between fork and exec.
        pin(CORES[0])?;
        let process = Command::new(program)
            .args(arguments(address.port()))
            .env_clear()
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        pin(CORES[1])?;
        let mut child = Self { process, address };
        child.wait_until_it_listens()?;
        Ok(child)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the program ended at once: {status}").into());
            }
            if begun.elapsed() > Duration::from_millis(START_MS_MAX) {
                return Err("the program does not listen".into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<Cpu, Failure> {
        let own = format!("/proc/{}", self.process.id());
        let mut total_ns = 0;
        for task in fs::read_dir(format!("{own}/task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let ran_ns = text.split(' ').next().unwrap_or_default();
            total_ns += ran_ns.parse::<u64>()?;
        }
        let stat = fs::read_to_string(format!("{own}/stat"))?;
        // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field behind it.
        let (_, fields) = stat.rsplit_once(") ").ok_or("an odd stat line")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |index: usize| -> Result<u64, Failure> {
            Ok(fields.get(index).ok_or("a short stat line")?.parse()?)
        };
        Ok(Cpu {
            total_ns,
            user_ticks: ticks(11)?,
            system_ticks: ticks(12)?,
        })
    }

    /// Resident bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib << 10)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Keeps this thread, and what it starts, on one core.
fn pin(core: usize) -> Result<(), Failure> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    match rustix::thread::sched_setaffinity(None, &cores) {
        // There is no such core, or this process may not use it: then the scheduler decides.
        Err(rustix::io::Errno::INVAL) => Ok(()),
        other => Ok(other?),
    }
}
