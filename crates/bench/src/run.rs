//! From the command line to measurements, and from those to a report.

use std::io::{self, Write};
use std::time::Duration;

use crate::args::{
    BenchArgs, ChurnArgs, EchoArgs, FanoutArgs, FloorArgs, IdleArgs, MessageArgs, RoomsArgs,
    RunArgs, Scenario, SubjectArgs,
};
use crate::dialect::Template;
use crate::failure::{Failure, Kind};
use crate::floor;
use crate::limits;
use crate::load::Pace;
use crate::payload::Form;
use crate::process::Process;
use crate::progress::Progress;
use crate::report::{self, Cell, Report, Row};
use crate::scenario::{Scene, Terms};
use crate::subject::{Floor, How, Pins, Subject};
use crate::target::Target;

/// Does what `taut bench` was asked for.
///
/// # Errors
/// A [`Failure`], also when something was measured but not everything arrived as it must; the report is out then.
pub fn run(args: &BenchArgs) -> Result<(), Failure> {
    match &args.scenario {
        Scenario::Fanout(args) => fanout(args),
        Scenario::Echo(args) => echo(args),
        Scenario::Rooms(args) => rooms(args),
        Scenario::Idle(args) => idle(args),
        Scenario::Churn(args) => churn(args),
        Scenario::Floor(args) => bare(args),
    }
}

fn fanout(args: &FanoutArgs) -> Result<(), Failure> {
    let terms = Terms::read(&args.subject, &args.message)?;
    let scenes = matrix(
        &args.members,
        &paces(&args.window, &args.rate),
        |members, pace| Scene::Fanout { members, pace },
    );
    let plan = scenes.into_iter().map(|scene| {
        let floors = match scene {
            // With one message in flight nothing else is ever pending: both floors do the same.
            Scene::Fanout {
                pace: Pace::Window(1),
                ..
            } => vec![Floor::Each],
            _ => vec![Floor::Joined, Floor::Each],
        };
        (scene, floors)
    });
    measure(plan.collect(), &args.subject, &terms, &args.run)
}

fn echo(args: &EchoArgs) -> Result<(), Failure> {
    if args.subject.door == crate::dialect::Door::Sse {
        return Err(Failure::usage(
            "nobody can speak on an event stream, so there is no echo",
        ));
    }
    let terms = Terms::read(&args.subject, &args.message)?;
    let scenes = matrix(
        &args.members,
        &paces(&args.window, &args.rate),
        |members, pace| Scene::Echo { members, pace },
    );
    let plan = scenes.into_iter().map(|scene| (scene, vec![Floor::Echo]));
    measure(plan.collect(), &args.subject, &terms, &args.run)
}

fn rooms(args: &RoomsArgs) -> Result<(), Failure> {
    if args.subject.door == crate::dialect::Door::Sse {
        return Err(Failure::usage(
            "nobody can speak on an event stream, so no member can publish",
        ));
    }
    let of = args.of as usize;
    if let Some(members) = args.members.iter().find(|members| **members < of) {
        return Err(Failure::usage(format!(
            "--members {members}: a room has {of}"
        )));
    }
    let terms = Terms::read(&args.subject, &args.message)?;
    let scenes = matrix(
        &args.members,
        &paces(&args.window, &args.rate),
        |members, pace| Scene::Rooms { members, of, pace },
    );
    measure(
        scenes
            .into_iter()
            .map(|scene| (scene, Vec::new()))
            .collect(),
        &args.subject,
        &terms,
        &args.run,
    )
}

fn idle(args: &IdleArgs) -> Result<(), Failure> {
    let terms = Terms::silent(&args.subject, args.seconds)?;
    let scenes = args
        .members
        .iter()
        .map(|members| Scene::Idle { members: *members });
    let plan = scenes.map(|scene| (scene, vec![Floor::Idle]));
    measure(plan.collect(), &args.subject, &terms, &args.run)
}

fn churn(args: &ChurnArgs) -> Result<(), Failure> {
    let terms = Terms::silent(&args.subject, args.seconds)?;
    let scenes = args
        .members
        .iter()
        .map(|members| Scene::Churn { members: *members });
    measure(
        scenes.map(|scene| (scene, Vec::new())).collect(),
        &args.subject,
        &terms,
        &args.run,
    )
}

/// `taut bench floor`: the bare program alone, or being it.
fn bare(args: &FloorArgs) -> Result<(), Failure> {
    if let (Some(port), Some(what)) = (args.serve, args.what) {
        limits::raise_files();
        let members = args.members.first().copied().unwrap_or(1);
        return floor::serve(what, port, members);
    }
    let terms = Terms::new(
        "floor".into(),
        Template::default(),
        &args.message,
        &args.pin,
    )?;
    let paces = paces(&args.window, &[]);
    let mut plan = Vec::new();
    let wanted = |floor: Floor| args.what.is_none_or(|what| what == floor);
    for members in &args.members {
        let members = *members;
        for pace in &paces {
            let pace = *pace;
            let floors = [Floor::Joined, Floor::Each]
                .into_iter()
                .filter(|floor| wanted(*floor));
            plan.push((Scene::Fanout { members, pace }, floors.collect()));
        }
        for pace in paces.iter().filter(|_| wanted(Floor::Echo)) {
            plan.push((
                Scene::Echo {
                    members,
                    pace: *pace,
                },
                vec![Floor::Echo],
            ));
        }
        if wanted(Floor::Idle) {
            plan.push((Scene::Idle { members }, vec![Floor::Idle]));
        }
    }
    plan.retain(|(_, floors): &(Scene, Vec<Floor>)| !floors.is_empty());
    check(&plan)?;
    finish(&play(plan, &[], true, &terms, &args.run)?, &args.run)
}

/// Measures every scene for every subject.
fn measure(
    plan: Vec<(Scene, Vec<Floor>)>,
    args: &SubjectArgs,
    terms: &Terms,
    run: &RunArgs,
) -> Result<(), Failure> {
    check(&plan)?;
    let echo = plan
        .iter()
        .any(|(scene, _)| matches!(scene, Scene::Echo { .. }));
    let subjects = subjects(args, echo)?;
    // A server elsewhere is not compared with this machine's limit.
    let has_floor = !args.no_floor && (args.url.is_none() || args.server_pid.is_some());
    finish(&play(plan, &subjects, has_floor, terms, run)?, run)
}

fn check(plan: &[(Scene, Vec<Floor>)]) -> Result<(), Failure> {
    let mut members = plan.iter().map(|(scene, _)| scene.conns());
    if members.any(|members| members == 0) {
        return Err(Failure::usage("--members 0: nobody would be there"));
    }
    let paces = plan.iter().filter_map(|(scene, _)| scene.pace());
    for pace in paces {
        match pace {
            Pace::Window(0) => return Err(Failure::usage("--window 0: nothing would be said")),
            Pace::Rate(rate) if !(rate.is_finite() && rate > 0.0) => {
                return Err(Failure::usage(format!(
                    "--rate {rate}: nothing would be said"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// All rounds of all scenes, the subjects in turn.
fn play(
    plan: Vec<(Scene, Vec<Floor>)>,
    subjects: &[Subject],
    has_floor: bool,
    terms: &Terms,
    run: &RunArgs,
) -> Result<Report, Failure> {
    let mut progress = Progress::new();
    let mut cells = Vec::new();
    for (scene, floors) in plan {
        let mut subjects = subjects.to_vec();
        if has_floor {
            subjects.extend(floors.into_iter().map(Subject::floor));
        }
        let mut rows: Vec<Row> = subjects.iter().map(Row::new).collect();
        for number in 1..=run.rounds {
            for (subject, row) in subjects.iter().zip(&mut rows) {
                let what = format!("{}, round {number}, {}", scene.title(), subject.name);
                progress.begin(what.clone());
                let round = scene.play(subject, terms, &mut progress);
                progress.end();
                row.rounds
                    .push(round.map_err(|failure| failure.about(what))?);
            }
        }
        cells.push(Cell { scene, rows });
    }
    Ok(Report {
        command: std::env::args().collect::<Vec<_>>().join(" "),
        payload_bytes: terms.form.bytes(),
        cells,
    })
}

fn finish(report: &Report, run: &RunArgs) -> Result<(), Failure> {
    if let Some(path) = &run.html {
        std::fs::write(path, report::html(report))
            .map_err(|error| Failure::from(error).about(path.display()))?;
    }
    let text = if run.json {
        format!("{:#}\n", report::json(report))
    } else {
        report::table(report)
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

/// The server first, then those it is compared with.
fn subjects(args: &SubjectArgs, echo: bool) -> Result<Vec<Subject>, Failure> {
    let process = args.server_pid.map(Process::find).transpose()?;
    let (name, how) = match (&args.url, &args.start) {
        (Some(url), _) => (url.clone(), How::Running(Target::parse(url)?, process)),
        (None, Some(command)) if command.contains("{port}") => {
            (command.clone(), How::Command(command.clone()))
        }
        (None, Some(command)) => {
            return Err(Failure::usage(format!(
                "--start {command:?}: there is no {{port}} in it"
            )));
        }
        (None, None) => ("taut".to_owned(), How::Taut { echo }),
    };
    let first = Subject {
        name,
        door: args.door,
        how,
    };
    let others = args
        .against
        .iter()
        .map(|text| Subject::parse(text, args.door));
    std::iter::once(Ok(first)).chain(others).collect()
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

impl Terms {
    fn read(subject: &SubjectArgs, message: &MessageArgs) -> Result<Self, Failure> {
        let room = match &subject.room {
            Some(room) => room.clone(),
            None => format!("bench-{:08x}", random()?),
        };
        Self::new(room, subject.template.template(), message, &subject.pin)
    }

    /// For scenes in which nothing is said.
    fn silent(subject: &SubjectArgs, seconds: f64) -> Result<Self, Failure> {
        let message = MessageArgs {
            bytes: 128,
            seconds,
            warm_up: 0.3,
            patience: 5.0,
        };
        Self::read(subject, &message)
    }

    fn new(
        room: String,
        template: Template,
        message: &MessageArgs,
        pin: &str,
    ) -> Result<Self, Failure> {
        Ok(Self {
            room,
            template,
            form: Form::new(random()?, message.bytes)?,
            time: seconds(message.seconds)?,
            warm_up: seconds(message.warm_up)?,
            patience: seconds(message.patience)?,
            pins: pins(pin)?,
        })
    }
}

fn seconds(seconds: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| Failure::usage(format!("{seconds} seconds: {error}")))
}

fn pins(text: &str) -> Result<Pins, Failure> {
    let wrong = || {
        Failure::usage(format!(
            "--pin {text}: write two cores, such as 1,0, or none"
        ))
    };
    if text == "none" {
        return Ok(Pins {
            server: None,
            generator: None,
        });
    }
    let (server, generator) = text.split_once(',').ok_or_else(wrong)?;
    Ok(Pins {
        server: Some(server.parse().map_err(|_| wrong())?),
        generator: Some(generator.parse().map_err(|_| wrong())?),
    })
}

fn random() -> Result<u32, Failure> {
    getrandom::u32().map_err(|error| Failure::new(Kind::Failure, error))
}

fn paces(windows: &[usize], rates: &[f64]) -> Vec<Pace> {
    if rates.is_empty() {
        return windows.iter().map(|window| Pace::Window(*window)).collect();
    }
    rates.iter().map(|rate| Pace::Rate(*rate)).collect()
}

fn matrix(members: &[usize], paces: &[Pace], scene: impl Fn(usize, Pace) -> Scene) -> Vec<Scene> {
    let scene = &scene;
    let scenes = members
        .iter()
        .flat_map(|members| paces.iter().map(move |pace| scene(*members, *pace)));
    scenes.collect()
}
