//! What is measured: a server that runs already, or one that is started for each round, pinned to a core of its own.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::dialect::Door;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::process::{Cpu, Process, Spent};
use crate::target::Target;

/// Time that a program may take until it listens.
const START: Duration = Duration::from_secs(20);

/// What the bare program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Floor {
    /// Writes message by message
    Each,
    /// Writes everything that is pending at once
    Joined,
    /// Sends back what comes
    Echo,
    /// Only holds the sockets
    Idle,
    /// Lets in, and answers the close
    Churn,
}

impl Floor {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Joined => "joined",
            Self::Echo => "echo",
            Self::Idle => "idle",
            Self::Churn => "churn",
        }
    }
}

/// How a subject comes to run.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// It runs already; its process, where it is known.
    Running(Target, Option<Process>),
    /// A shell command that listens on `{port}`.
    Command(String),
    /// `taut serve` of this very program; every room sends its messages to their sender too, where that is asked.
    Taut { echo: bool },
    /// The bare program.
    Floor(Floor),
}

/// One program in the comparison.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) door: Door,
    pub(crate) how: How,
}

impl Subject {
    /// Reads `NAME=COMMAND` or `NAME@DOOR=COMMAND`.
    pub(crate) fn parse(text: &str, door: Door) -> Result<Self, Failure> {
        let wrong = || {
            Failure::usage(format!(
                "{text:?}: write NAME=COMMAND or NAME@DOOR=COMMAND, with {{port}} in the command"
            ))
        };
        let (name, command) = text.split_once('=').ok_or_else(wrong)?;
        if name.is_empty() || !command.contains("{port}") {
            return Err(wrong());
        }
        let (name, door) = match name.rsplit_once('@') {
            Some((name, word)) => {
                let door = <Door as clap::ValueEnum>::from_str(word, false);
                (name, door.map_err(|_| wrong())?)
            }
            None => (name, door),
        };
        Ok(Self {
            name: name.to_owned(),
            door,
            how: How::Command(command.to_owned()),
        })
    }

    /// The bare program.
    pub(crate) fn floor(floor: Floor) -> Self {
        let name = match floor {
            Floor::Each => "floor, one write each",
            Floor::Joined => "floor, all pending at once",
            Floor::Echo | Floor::Idle | Floor::Churn => "floor",
        };
        Self {
            name: name.into(),
            door: Door::Ws,
            how: How::Floor(floor),
        }
    }

    pub(crate) fn is_floor(&self) -> bool {
        matches!(self.how, How::Floor(_))
    }
}

/// The cores that started servers and the generator run on, where the user does not say otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pins {
    pub(crate) server: Option<usize>,
    pub(crate) generator: Option<usize>,
}

/// A subject that runs; one that was started ends with this value.
pub(crate) struct Running {
    child: Option<Child>,
    /// A folder of its own.
    dir: Option<PathBuf>,
    pub(crate) target: Target,
    pub(crate) process: Option<Process>,
}

impl Running {
    /// Sees to it that `subject` runs; the bare program is told how many `members` will come.
    pub(crate) fn start(subject: &Subject, members: usize, pins: Pins) -> Result<Self, Failure> {
        let port = free_port()?;
        let mut dir = None;
        let mut command = match &subject.how {
            How::Running(target, process) => {
                pin(pins.generator)?;
                return Ok(Self {
                    child: None,
                    dir: None,
                    target: target.clone(),
                    process: *process,
                });
            }
            How::Command(command) => {
                let mut shell = Command::new("/bin/sh");
                // The shell becomes the server, so that its process is the one that is looked at.
                let command = command.replace("{port}", &port.to_string());
                let command = if command.contains("{dir}") {
                    let path = dir.insert(make_dir(port)?);
                    command.replace("{dir}", &path.to_string_lossy())
                } else {
                    command
                };
                shell.args(["-c", &format!("exec {command}")]);
                shell
            }
            How::Taut { echo } => serve(port, dir.insert(make_dir(port)?), *echo)?,
            How::Floor(floor) => {
                let mut own = Command::new(std::env::current_exe()?);
                let (port, members) = (port.to_string(), members.to_string());
                own.args([
                    "bench",
                    "floor",
                    floor.word(),
                    "--serve",
                    &port,
                    "--members",
                    &members,
                ]);
                own
            }
        };
        ends_with_us(&mut command);
        // A child inherits the affinity of its parent.
        pin(pins.server)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        pin(pins.generator)?;
        let child = child.map_err(|error| Failure::from(error).about(&subject.name))?;
        let mut running = Self {
            process: Some(Process::known(child.id())),
            child: Some(child),
            dir,
            target: Target::local(port),
        };
        running
            .wait_until_it_listens()
            .map_err(|failure| failure.about(&subject.name))?;
        Ok(running)
    }

    /// CPU time of the server so far, where its process is known.
    pub(crate) fn cpu(&self) -> Result<Option<Cpu>, Failure> {
        self.process.map(Process::cpu).transpose()
    }

    /// CPU time since then.
    pub(crate) fn spent_since(&self, earlier: Option<Cpu>) -> Result<Option<Spent>, Failure> {
        let now = self.cpu()?;
        Ok(now.zip(earlier).map(|(now, earlier)| now.since(earlier)))
    }

    /// Resident bytes of the server, where its process is known.
    pub(crate) fn resident_bytes(&self) -> Result<Option<u64>, Failure> {
        self.process.map(Process::resident_bytes).transpose()
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        while TcpStream::connect(self.target.address).is_err() {
            interrupt::check()?;
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                let text = format!("the program ended at once: {status}");
                return Err(Failure::new(Kind::Unreachable, text));
            }
            if begun.elapsed() > START {
                return Err(Failure::new(Kind::Silent, "the program does not listen"));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// Whatever ends this program, a server that it started must not stay behind.
#[allow(unsafe_code)]
fn ends_with_us(command: &mut Command) {
    let hook = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: the hook makes one system call and allocates nothing, which is allowed between fork and exec.
    unsafe { command.pre_exec(hook) };
}

/// One core, rooms in memory; the rest is as it comes.
fn serve(port: u16, dir: &Path, echo: bool) -> Result<Command, Failure> {
    // A file of its own, so that no `taut.toml` nearby has a say.
    let settings = dir.join("taut.toml");
    let text = if echo {
        "[[rooms]]\nmatch = \"**\"\necho = true\n"
    } else {
        ""
    };
    std::fs::write(&settings, text)?;
    let mut own = Command::new(std::env::current_exe()?);
    own.args([
        "serve",
        "--memory=true",
        "--cores",
        "1",
        "--log-level",
        "warn",
    ]);
    own.args(["--listen", &format!("127.0.0.1:{port}")]);
    own.arg("--config").arg(settings);
    // Settings of the user's own server are not for this one.
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("TAUT_")) {
        own.env_remove(name);
    }
    Ok(own)
}

/// An empty folder, which goes with the server.
fn make_dir(port: u16) -> Result<PathBuf, Failure> {
    let name = format!("taut-bench-{}-{port}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).map_err(|error| Failure::from(error).about(path.display()))?;
    Ok(path)
}

fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Keeps this thread, and what it starts, on one core.
fn pin(core: Option<usize>) -> Result<(), Failure> {
    let Some(core) = core else {
        return Ok(());
    };
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    match rustix::thread::sched_setaffinity(None, &cores) {
        // There is no such core, or this process may not use it: then the scheduler decides.
        Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_name_its_door() {
        let subject = Subject::parse("npm@socketio=node x.mjs {port}", Door::Ws).unwrap();
        assert_eq!(
            (subject.name.as_str(), subject.door),
            ("npm", Door::Socketio)
        );
        let subject = Subject::parse("mine=./server {port}", Door::Tcp).unwrap();
        assert_eq!((subject.name.as_str(), subject.door), ("mine", Door::Tcp));
        for wrong in ["./server {port}", "mine=./server", "x@y=./server {port}"] {
            assert!(Subject::parse(wrong, Door::Ws).is_err(), "{wrong}");
        }
    }
}
