//! From the command line to a plan: what is measured, of whom, how often.

use std::time::Duration;

use crate::args::{
    ChurnArgs, EchoArgs, FanoutArgs, FloorArgs, IdleArgs, MessageArgs, RoomsArgs, Scenario,
    SubjectArgs,
};
use crate::dialect::{Dialect, Door, Template};
use crate::failure::{Failure, Kind};
use crate::pace::Pace;
use crate::payload::Form;
use crate::process::Process;
use crate::scenario::{Scene, Terms};
use crate::subject::{Floor, How, Pins, Subject};
use crate::target::Target;

/// What one command measures.
pub(crate) struct Plan {
    /// Each with the bare programs that belong beside it.
    pub(crate) scenes: Vec<(Scene, Vec<Floor>)>,
    /// The first is the one that others are compared with.
    pub(crate) subjects: Vec<Subject>,
    pub(crate) terms: Terms,
}

impl Plan {
    /// What the command line asks for.
    pub(crate) fn read(scenario: &Scenario) -> Result<Self, Failure> {
        let plan = match scenario {
            Scenario::Fanout(args) => fanout(args),
            Scenario::Echo(args) => echo(args),
            Scenario::Rooms(args) => rooms(args),
            Scenario::Idle(args) => idle(args),
            Scenario::Churn(args) => churn(args),
            Scenario::Floor(args) => floor(args),
        }?;
        plan.scenes
            .iter()
            .try_for_each(|(scene, _)| check(*scene))?;
        Ok(plan)
    }

    fn new(
        scenes: impl IntoIterator<Item = (Scene, Vec<Floor>)>,
        args: &SubjectArgs,
        terms: Terms,
    ) -> Result<Self, Failure> {
        let mut scenes: Vec<_> = scenes.into_iter().collect();
        let echo = scenes
            .iter()
            .any(|(scene, _)| matches!(scene, Scene::Echo { .. }));
        // A server elsewhere is not compared with this machine's limit.
        if args.no_floor || (args.url.is_some() && args.server_pid.is_none()) {
            scenes.iter_mut().for_each(|(_, floors)| floors.clear());
        }
        let subjects = subjects(args, echo)?;
        for subject in &subjects {
            // What is wrong with a template is said before anything starts.
            Dialect::member(subject.door, &terms.room, &terms.template)?;
        }
        Ok(Self {
            scenes,
            subjects,
            terms,
        })
    }
}

fn fanout(args: &FanoutArgs) -> Result<Plan, Failure> {
    let terms = Terms::read(&args.subject, &args.message)?;
    let scenes = matrix(
        &args.members,
        &paces(&args.window, &args.rate),
        |members, pace| {
            let floors = match pace {
                // With one message in flight nothing else is ever pending: both do the same.
                Pace::Window(1) => vec![Floor::Each],
                _ => vec![Floor::Joined, Floor::Each],
            };
            (Scene::Fanout { members, pace }, floors)
        },
    );
    Plan::new(scenes, &args.subject, terms)
}

fn echo(args: &EchoArgs) -> Result<Plan, Failure> {
    if args.subject.door == Door::Sse {
        return Err(Failure::usage(
            "nobody can speak on an event stream, so there is no echo",
        ));
    }
    let terms = Terms::read(&args.subject, &args.message)?;
    let scenes = matrix(
        &args.members,
        &paces(&args.window, &args.rate),
        |members, pace| (Scene::Echo { members, pace }, vec![Floor::Echo]),
    );
    Plan::new(scenes, &args.subject, terms)
}

fn rooms(args: &RoomsArgs) -> Result<Plan, Failure> {
    if args.subject.door == Door::Sse {
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
        |members, pace| (Scene::Rooms { members, of, pace }, Vec::new()),
    );
    Plan::new(scenes, &args.subject, terms)
}

fn idle(args: &IdleArgs) -> Result<Plan, Failure> {
    let terms = Terms::silent(&args.subject, args.seconds, 0.0)?;
    let scenes = args
        .members
        .iter()
        .map(|members| (Scene::Idle { members: *members }, vec![Floor::Idle]));
    Plan::new(scenes, &args.subject, terms)
}

fn churn(args: &ChurnArgs) -> Result<Plan, Failure> {
    let terms = Terms::silent(&args.subject, args.seconds, args.warm_up)?;
    let scenes = args
        .members
        .iter()
        .map(|members| (Scene::Churn { members: *members }, vec![Floor::Churn]));
    Plan::new(scenes, &args.subject, terms)
}

/// The bare program and nobody else.
fn floor(args: &FloorArgs) -> Result<Plan, Failure> {
    let terms = Terms::new(
        "floor".into(),
        Template::default(),
        &args.message,
        &args.pin,
    )?;
    let wanted = |floors: &[Floor]| -> Vec<Floor> {
        let wanted = |floor: &&Floor| args.what.is_none_or(|what| what == **floor);
        floors.iter().filter(wanted).copied().collect()
    };
    let mut scenes = Vec::new();
    for members in args.members.iter().copied() {
        for pace in paces(&args.window, &[]) {
            scenes.push((
                Scene::Fanout { members, pace },
                wanted(&[Floor::Joined, Floor::Each]),
            ));
            scenes.push((Scene::Echo { members, pace }, wanted(&[Floor::Echo])));
        }
        scenes.push((Scene::Idle { members }, wanted(&[Floor::Idle])));
        scenes.push((Scene::Churn { members }, wanted(&[Floor::Churn])));
    }
    scenes.retain(|(_, floors)| !floors.is_empty());
    Ok(Plan {
        scenes,
        subjects: Vec::new(),
        terms,
    })
}

fn check(scene: Scene) -> Result<(), Failure> {
    if scene.conns() == 0 {
        return Err(Failure::usage("--members 0: nobody would be there"));
    }
    match scene.pace() {
        Some(Pace::Window(0)) => Err(Failure::usage("--window 0: nothing would be said")),
        Some(Pace::Rate(rate)) if !(rate.is_finite() && rate > 0.0) => Err(Failure::usage(
            format!("--rate {rate}: nothing would be said"),
        )),
        _ => Ok(()),
    }
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

impl Terms {
    fn read(subject: &SubjectArgs, message: &MessageArgs) -> Result<Self, Failure> {
        let room = match &subject.room {
            Some(room) => room.clone(),
            None => format!("bench-{:08x}", random()?),
        };
        Self::new(room, subject.template.template(), message, &subject.pin)
    }

    /// For scenes in which nothing is said.
    fn silent(subject: &SubjectArgs, seconds: f64, warm_up: f64) -> Result<Self, Failure> {
        let message = MessageArgs {
            bytes: 128,
            seconds,
            warm_up,
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

/// A scene for every number of members and every pace.
fn matrix<S>(members: &[usize], paces: &[Pace], scene: impl Fn(usize, Pace) -> S) -> Vec<S> {
    let scene = &scene;
    let scenes = members
        .iter()
        .flat_map(|members| paces.iter().map(move |pace| scene(*members, *pace)));
    scenes.collect()
}
