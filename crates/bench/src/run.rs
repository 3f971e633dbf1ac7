//! What `taut bench` does, from its arguments to what it prints.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use crate::args::{Action, BenchArgs, ReportArgs, RunArgs, Scenario};
use crate::failure::{Failure, Kind};
use crate::floor;
use crate::interrupt;
use crate::limits;
use crate::machine::Machine;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{self, Cell, Report, Row};
use crate::scenario::{Round, Scene, Terms};
use crate::subject::Subject;

/// Measures, and prints a report to stdout; or prints one that was kept.
///
/// # Errors
/// A [`Failure`], also when something was measured but not everything arrived as it must; the report is out then.
pub fn run(args: &BenchArgs) -> Result<(), Failure> {
    let scenario = match &args.action {
        Action::Measure(scenario) => scenario.as_ref(),
        Action::Report(args) => return show(args),
    };
    if let Scenario::Floor(args) = scenario
        && let (Some(port), Some(what)) = (args.serve, args.what)
    {
        limits::raise_files();
        let members = args.members.first().copied().unwrap_or(1);
        return floor::serve(what, port, members);
    }
    interrupt::watch()?;
    let run = scenario.run();
    let report = play(&Plan::read(scenario)?, run)?;
    if let Some(path) = &run.html {
        write(path, &report::html(std::slice::from_ref(&report)))?;
    }
    let text = if run.json {
        let text = serde_json::to_string_pretty(&report);
        text.map_err(|error| Failure::new(Kind::Failure, error))? + "\n"
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
/// A [`Failure`] when nothing could be measured, or there is only something to show. What did not arrive is in the report.
pub fn measure(args: &BenchArgs) -> Result<Value, Failure> {
    let Action::Measure(scenario) = &args.action else {
        return Err(Failure::usage("a report measures nothing"));
    };
    let report = play(&Plan::read(scenario)?, scenario.run())?;
    serde_json::to_value(&report).map_err(|error| Failure::new(Kind::Failure, error))
}

/// What was kept, as tables and plots.
fn show(args: &ReportArgs) -> Result<(), Failure> {
    let reports: Vec<Report> = args
        .files
        .iter()
        .map(|path| read(path))
        .collect::<Result<_, _>>()?;
    if let Some(path) = &args.html {
        write(path, &report::html(&reports))?;
    }
    if let Some(path) = &args.svg {
        write(path, &report::sheet(&reports))?;
    }
    let tables: Vec<String> = reports.iter().map(report::table).collect();
    io::stdout().write_all(tables.join("\n").as_bytes())?;
    Ok(())
}

fn read(path: &Path) -> Result<Report, Failure> {
    let text = fs::read(path).map_err(|error| Failure::usage(error).about(path.display()))?;
    serde_json::from_slice(&text).map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display()))
            .hint("a file holds what `taut bench … --json` printed")
    })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::from(error).about(path.display()))
}

/// All rounds of all scenes, the subjects in turn.
fn play(plan: &Plan, run: &RunArgs) -> Result<Report, Failure> {
    let machine = Machine::look();
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
    let bytes = plan.terms.form.bytes();
    Ok(Report::new(command_line(), machine, bytes, &cells))
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
