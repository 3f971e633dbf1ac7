//! What the system says of this process, under the names that Prometheus' own libraries give it. Linux tells it in `/proc`; elsewhere it is left out.

use std::fs;

use super::text::Page;

/// Adds what the system says.
pub(super) fn write(page: &mut Page) {
    if let Some([virtual_bytes, resident_bytes]) = memory() {
        page.gauge(
            "process_resident_memory_bytes",
            "Memory of this process that is in RAM.",
        )
        .sample(&[], resident_bytes);
        page.gauge(
            "process_virtual_memory_bytes",
            "Addresses that this process has mapped.",
        )
        .sample(&[], virtual_bytes);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder being read.
        let open = files.count().saturating_sub(1);
        page.gauge("process_open_fds", "File descriptors that are open.")
            .sample(&[], open);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(files) = limit.current {
        page.gauge("process_max_fds", "File descriptors that may be open.")
            .sample(&[], files);
    }
    if let Some(seconds) = start_s() {
        page.gauge(
            "process_start_time_seconds",
            "When this process began, in seconds of Unix time.",
        )
        .sample(&[], seconds);
    }
    if let Some(hundredths) = cpu_hundredths() {
        page.counter(
            "process_cpu_seconds_total",
            "Processor time that this process has had.",
        )
        .sample(
            &[],
            format_args!("{}.{:02}", hundredths / 100, hundredths % 100),
        );
    }
}

/// When the process began, in seconds of Unix time.
fn start_s() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    // The 22nd of all: hundredths of a second since the machine began.
    let hundredths: u64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    let machine_s: u64 = line.trim().parse().ok()?;
    Some(machine_s + hundredths / 100)
}

/// Bytes mapped, and bytes in RAM.
fn memory() -> Option<[u64; 2]> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    };
    Some([bytes("VmSize:")?, bytes("VmRSS:")?])
}

/// Processor time in hundredths of a second, which is what Linux counts in for programs (`USER_HZ`).
fn cpu_hundredths() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name may hold anything; behind its last bracket come fields that are numbers: state is the third of all, user and system time the 14th and 15th.
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let mut next = || times.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}
