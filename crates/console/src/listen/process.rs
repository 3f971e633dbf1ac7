//! Processes that serve clients (`--exec`).
//!
//! Invariants that a reader could break:
//!
//! - A process never outlives its client, nor the server: each has a process group of its own, which is killed with what it started.
//! - At most [`PROCESSES_MAX`] live at once; whoever comes then is told off.
//! - stderr is the server's own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Processes at once.
const PROCESSES_MAX: usize = 256;

/// Every process that lives. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Processes {
    space: Arc<Semaphore>,
    groups: Arc<Groups>,
}

#[derive(Debug, Default)]
struct Groups(Mutex<BTreeSet<i32>>);

impl Groups {
    fn change(&self, change: impl FnOnce(&mut BTreeSet<i32>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Kills every process when the command ends, however it does: tasks may not get to it before the program is gone.
#[derive(Debug)]
pub(super) struct KillAll(Arc<Groups>);

impl Drop for KillAll {
    fn drop(&mut self) {
        self.0.change(|groups| {
            for group in std::mem::take(groups) {
                kill(group);
            }
        });
    }
}

fn kill(group: i32) {
    // One that is gone already is fine.
    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
}

impl Processes {
    pub(super) fn new() -> Self {
        Self {
            space: Arc::new(Semaphore::new(PROCESSES_MAX)),
            groups: Arc::default(),
        }
    }

    pub(super) fn kill_all(&self) -> KillAll {
        KillAll(self.groups.clone())
    }

    /// Starts `command` in a shell, with `environment` added to ours.
    ///
    /// # Errors
    /// Why it cannot be started, for people.
    pub(super) fn start(
        &self,
        command: &str,
        environment: impl IntoIterator<Item = (String, OsString)>,
    ) -> Result<Process, String> {
        let permit = self.space.clone().try_acquire_owned().map_err(|_| {
            format!("{PROCESSES_MAX} processes live already, which is the most at once")
        })?;
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|error| format!("cannot start `{command}`: {error}"))?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .unwrap_or_default();
        if group > 0 {
            self.groups.change(|groups| {
                groups.insert(group);
            });
        }
        Ok(Process {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            group,
            groups: self.groups.clone(),
            _permit: permit,
        })
    }
}

/// A process that serves one client. Dropping it kills it and what it started.
#[derive(Debug)]
pub(super) struct Process {
    /// Where it reads; taken by whoever writes there.
    pub(super) stdin: Option<ChildStdin>,
    /// Where it writes; taken by whoever reads there.
    pub(super) stdout: Option<ChildStdout>,
    child: Child,
    group: i32,
    groups: Arc<Groups>,
    _permit: OwnedSemaphorePermit,
}

impl Process {
    /// Waits until it ends; gives what was wrong with that, if anything was.
    pub(super) async fn ended(&mut self) -> Result<(), String> {
        match self.child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the command ended with {status}")),
            Err(error) => Err(cannot_wait(&error)),
        }
    }
}

fn cannot_wait(error: &io::Error) -> String {
    format!("nobody knows how the command ended: {error}")
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.group > 0 {
            kill(self.group);
            self.groups.change(|groups| {
                groups.remove(&self.group);
            });
        }
    }
}
