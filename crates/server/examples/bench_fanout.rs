//! What a delivery costs the server in CPU time, beside a bare program that writes the same bytes, and what an idle Conn costs in memory.
//!
//! ```text
//! cargo build --release && cargo build --release -p taut-server --examples
//! target/release/examples/bench_fanout [--server target/release/taut] [--rounds 5] [--seconds 2] [--members 1000,10000]
//!                                      [--window 16,1] [--idle 10000] [--only taut] [--json FILE]
//! ```
//!
//! `taut serve --cores 1` and `bench_floor` run in turn, each as a process of its own on one core, while this program publishes and
//! verifies on the other: 128-byte text messages from one WebSocket to N others in one room. The figure is the measured process's CPU
//! time from one moment of rest to the next, divided by the deliveries; wall time plays no part. The sum is the scheduler's own; how it
//! divides into user and system time is sampled by the kernel at its tick, so a round's split is good to a few per cent of the sum.
//! `--rounds 0` measures memory only. It is not `taut bench` (which is to come).

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "bench/child.rs"]
mod child;
#[allow(dead_code)]
#[path = "bench/frame.rs"]
mod frame;
#[path = "bench/generator.rs"]
mod generator;
#[path = "bench/report.rs"]
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use child::Child;
use generator::Generator;
use report::{Round, Scenario};
use serde_json::{Value, json};

pub(crate) type Failure = Box<dyn Error>;

/// Publishing before each measurement, so that buffers have their size and code is warm.
const WARM_UP: Duration = Duration::from_millis(300);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Taut,
    /// The same with rooms that are kept (`durability = "crash"`).
    Kept,
    /// The floor that writes all that is pending with one call a member.
    Joined,
    /// The floor that writes message by message.
    Each,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Taut => "taut serve --cores 1 --memory",
            Self::Kept => "taut serve --cores 1 --data",
            Self::Joined => "floor, all pending at once",
            Self::Each => "floor, one by one",
        }
    }
}

struct Options {
    server: PathBuf,
    floor: PathBuf,
    rounds: usize,
    seconds: f64,
    members: Vec<usize>,
    windows: Vec<usize>,
    /// Members of the idle measurement; 0 leaves it out.
    idle: usize,
    only_taut: bool,
    json: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let target = own.ancestors().nth(2).ok_or("where is this program?")?;
        let mut options = Self {
            server: target.join("taut"),
            floor: own.with_file_name("bench_floor"),
            rounds: 5,
            seconds: 2.0,
            members: vec![1_000, 10_000],
            windows: vec![16, 1],
            idle: 10_000,
            only_taut: false,
            json: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--server" => options.server = std::path::absolute(value)?,
                "--floor" => options.floor = std::path::absolute(value)?,
                "--rounds" => options.rounds = value.parse()?,
                "--seconds" => options.seconds = value.parse()?,
                "--members" => options.members = numbers(&value)?,
                "--window" => options.windows = numbers(&value)?,
                "--idle" => options.idle = value.parse()?,
                "--only" if value == "taut" => options.only_taut = true,
                "--json" => options.json = Some(value.into()),
                _ => {
                    return Err(
                        format!("{name} {value}: unknown; the source says what there is").into(),
                    );
                }
            }
        }
        Ok(options)
    }

    fn start(&self, subject: Subject, members: usize) -> Result<Child, Failure> {
        let floor = |how: &str| {
            let how = how.to_owned();
            Child::start(&self.floor, move |port| {
                vec![port.to_string(), members.to_string(), how]
            })
        };
        match subject {
            Subject::Joined => floor("joined"),
            Subject::Each => floor("each"),
            Subject::Taut => Child::start(&self.server, |port| serve(port, "--memory=true")),
            Subject::Kept => {
                let data = std::env::temp_dir().join(format!("taut-fanout-{}", std::process::id()));
                // Each round begins with an empty store.
                if data.exists() {
                    std::fs::remove_dir_all(&data)?;
                }
                let data = format!("--data={}", data.display());
                Child::start(&self.server, move |port| serve(port, &data))
            }
        }
    }

    /// One round: a fresh process, fresh members.
    fn round(&self, subject: Subject, members: usize, window: usize) -> Result<Round, Failure> {
        let child = self.start(subject, members)?;
        let mut generator = Generator::connect(child.address(), members, window)?;
        generator.run(WARM_UP)?;
        let (cpu, segments) = (child.cpu()?, generator.segments()?);
        let messages = generator.run(Duration::from_secs_f64(self.seconds))?;
        let (user_ns, system_ns) = child.cpu()?.since(cpu);
        let segments = generator.segments()? - segments;
        let deliveries = messages * members as u64;
        Ok(Round {
            deliveries,
            user_us: user_ns / 1e3 / deliveries as f64,
            system_us: system_ns / 1e3 / deliveries as f64,
            batch: deliveries as f64 / segments as f64,
        })
    }

    /// All rounds of one scenario, the subjects in turn.
    fn scenario(&self, members: usize, window: usize) -> Result<Scenario, Failure> {
        let subjects: &[Subject] = match window {
            _ if self.only_taut => &[Subject::Taut, Subject::Kept],
            // With one message in flight nothing else is ever pending: both floors do the same.
            1 => &[Subject::Taut, Subject::Kept, Subject::Each],
            _ => &[Subject::Taut, Subject::Kept, Subject::Joined, Subject::Each],
        };
        let mut scenario = Scenario {
            members,
            window,
            subjects: subjects
                .iter()
                .map(|subject| (*subject, Vec::new()))
                .collect(),
        };
        for number in 0..self.rounds {
            for (subject, rounds) in &mut scenario.subjects {
                let round = self.round(*subject, members, window).map_err(|error| {
                    format!(
                        "{}, {members} members, {window} in flight: {error}",
                        subject.name()
                    )
                })?;
                eprintln!(
                    "{members} members, {window} in flight, round {}: {} {round:.3?}",
                    number + 1,
                    subject.name()
                );
                rounds.push(round);
            }
        }
        Ok(scenario)
    }

    /// Resident bytes per idle plain WebSocket, all in one room.
    fn idle(&self) -> Result<u64, Failure> {
        let child = self.start(Subject::Taut, self.idle)?;
        // One of each comes first, so that what the server needs once is not counted.
        let mut first = Generator::connect(child.address(), 1, 1)?;
        first.run(Duration::from_millis(10))?;
        drop(first);
        sleep(Duration::from_millis(500));
        let before = child.resident_bytes()?;
        let members = Generator::connect(child.address(), self.idle - 1, 1)?;
        sleep(Duration::from_secs(1));
        let after = child.resident_bytes()?;
        drop(members);
        Ok(after.saturating_sub(before) / self.idle as u64)
    }
}

/// The heartbeat is put off, because members here take nothing but messages; no round lasts as long as its default.
fn serve(port: u16, storage: &str) -> Vec<String> {
    let listen = format!("127.0.0.1:{port}");
    let arguments = [
        "serve",
        storage,
        "--cores",
        "1",
        "--limits-ping-ms",
        "1h",
        "--log-level",
        "warn",
        "--listen",
        &listen,
    ];
    arguments.map(str::to_owned).to_vec()
}

fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let mut scenarios = Vec::new();
    let members = if options.rounds > 0 {
        &options.members[..]
    } else {
        &[]
    };
    for members in members {
        for window in &options.windows {
            scenarios.push(options.scenario(*members, *window)?);
        }
    }
    if !scenarios.is_empty() {
        Scenario::print_head();
    }
    scenarios.iter().for_each(Scenario::print);
    let mut report = json!({
        "payload_bytes": frame::PAYLOAD_BYTES,
        "rounds": options.rounds,
        "seconds_per_round": options.seconds,
        "fanout": scenarios.iter().map(Scenario::json).collect::<Vec<Value>>(),
    });
    if options.idle > 1 {
        let bytes = options.idle()?;
        println!(
            "\n{} idle WebSockets: {bytes} resident bytes each",
            options.idle
        );
        report["idle"] = json!({"conns": options.idle, "resident_bytes_per_conn": bytes});
    }
    match &options.json {
        Some(path) => std::fs::write(path, format!("{report:#}\n"))?,
        None => println!("\n{report:#}"),
    }
    Ok(())
}

fn numbers(list: &str) -> Result<Vec<usize>, Failure> {
    list.split(',').map(|item| Ok(item.parse()?)).collect()
}
