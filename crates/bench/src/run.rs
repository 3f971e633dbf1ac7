//! What `taut bench` does, from its arguments to what it prints.

use std::io::{self, Write};

use serde_json::Value;

use crate::args::{BenchArgs, RunArgs, Scenario};
use crate::failure::{Failure, Kind};
use crate::floor;
use crate::interrupt;
use crate::limits;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{self, Cell, Report, Row};
use crate::scenario::{Round, Scene, Terms};
use crate::subject::Subject;

/// Measures, and prints a report to stdout.
///
/// # Errors
/// A [`Failure`], also when something was measured but not everything arrived as it must; the report is out then.
pub fn run(args: &BenchArgs) -> Result<(), Failure> {
    if let Scenario::Floor(args) = &args.scenario
        && let (Some(port), Some(what)) = (args.serve, args.what)
    {
        limits::raise_files();
        let members = args.members.first().copied().unwrap_or(1);
        return floor::serve(what, port, members);
    }
    interrupt::watch()?;
    let run = args.scenario.run();
    let report = play(&Plan::read(&args.scenario)?, run)?;
    if let Some(path) = &run.html {
        std::fs::write(path, report::html(&report))
            .map_err(|error| Failure::from(error).about(path.display()))?;
    }
    let text = if run.json {
        format!("{:#}\n", report::json(&report))
    } else {
        report::table(&report)
    };
    io::stdout().write_all(text.as_bytes())?;
    let faulty = report.faulty();
    if faulty.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Failure,
        format!("not everything arrived: {}", faulty.join("; ")),
    ))
}

/// Measures, and gives what `--json` prints.
///
/// # Errors
/// A [`Failure`] when nothing could be measured. What did not arrive is in the report.
pub fn measure(args: &BenchArgs) -> Result<Value, Failure> {
    let report = play(&Plan::read(&args.scenario)?, args.scenario.run())?;
    Ok(report::json(&report))
}

/// All rounds of all scenes, the subjects in turn.
fn play(plan: &Plan, run: &RunArgs) -> Result<Report, Failure> {
    let mut progress = Progress::new();
    let mut cells = Vec::new();
    for (scene, floors) in &plan.scenes {
        let mut subjects = plan.subjects.clone();
        subjects.extend(floors.iter().copied().map(Subject::floor));
        let mut rows: Vec<Row> = subjects.iter().map(Row::new).collect();
        for number in 1..=run.rounds {
            for (subject, row) in subjects.iter().zip(&mut rows) {
                let what = format!("{}, round {number}, {}", scene.title(), subject.name);
                row.rounds
                    .push(round(*scene, subject, &plan.terms, &mut progress, what)?);
            }
        }
        cells.push(Cell {
            scene: *scene,
            rows,
        });
    }
    Ok(Report {
        command: command_line(),
        payload_bytes: plan.terms.form.bytes(),
        cells,
    })
}

fn round(
    scene: Scene,
    subject: &Subject,
    terms: &Terms,
    progress: &mut Progress,
    what: String,
) -> Result<Round, Failure> {
    progress.begin(what.clone());
    let round = scene.play(subject, terms, progress);
    progress.end();
    // Ctrl-C reaches the server, too, and its end is no news then.
    interrupt::check()?;
    round.map_err(|failure| failure.about(what))
}

impl Row {
    fn new(subject: &Subject) -> Self {
        Self {
            name: subject.name.clone(),
            door: subject.door.name(),
            is_floor: subject.is_floor(),
            rounds: Vec::new(),
        }
    }
}

/// The command line as one would type it.
fn command_line() -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    let words = std::env::args().map(|word| {
        if !word.is_empty() && word.bytes().all(plain) {
            return word;
        }
        format!("'{}'", word.replace('\'', "'\\''"))
    });
    words.collect::<Vec<_>>().join(" ")
}
