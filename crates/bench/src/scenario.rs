//! One round of each scenario against a subject that runs.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::churn::churn;
use crate::crowd::Crowd;
use crate::dialect::{Dialect, Template};
use crate::failure::Failure;
use crate::floor;
use crate::limits;
use crate::load::{Cast, Load, Outcome};
use crate::pace::Pace;
use crate::payload::Form;
use crate::progress::Progress;
use crate::subject::{Pins, Running, Subject};
use crate::verify::Tally;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scenario", rename_all = "lowercase")]
pub(crate) enum Scene {
    Fanout {
        members: usize,
        #[serde(flatten)]
        pace: Pace,
    },
    Echo {
        members: usize,
        #[serde(flatten)]
        pace: Pace,
    },
    Rooms {
        members: usize,
        #[serde(rename = "room_members")]
        of: usize,
        #[serde(flatten)]
        pace: Pace,
    },
    Idle {
        members: usize,
    },
    Churn {
        members: usize,
    },
}

/// What holds for every round.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The room, or what rooms' names begin with.
    pub(crate) room: String,
    pub(crate) template: Template,
    pub(crate) form: Form,
    pub(crate) time: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) patience: Duration,
    pub(crate) pins: Pins,
}

/// What one round came to.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    /// Deliveries, or connections that came and went; 0 where nothing was done.
    pub(crate) count: u64,
    pub(crate) tally: Tally,
    pub(crate) time: Duration,
    pub(crate) latency_ns: Option<Histogram<u64>>,
    /// CPU time of the server for one of them, in microseconds.
    pub(crate) user_us: Option<f64>,
    pub(crate) system_us: Option<f64>,
    /// Deliveries that the mean write of the server carried.
    pub(crate) batch: Option<f64>,
    /// Resident bytes of the server for each connection.
    pub(crate) conn_bytes: Option<f64>,
    /// How late the generator itself was at worst, with a fixed rate.
    pub(crate) late_ns_max: u64,
}

impl Scene {
    /// Runs one round: a fresh server, where it is ours to start, and fresh clients.
    pub(crate) fn play(
        self,
        subject: &Subject,
        terms: &Terms,
        progress: &mut Progress,
    ) -> Result<Round, Failure> {
        limits::check_files(self.conns() + 1, None)?;
        let running = Running::start(subject, self.conns(), terms.pins)?;
        limits::check_files(self.conns() + 1, running.process)?;
        match self {
            Self::Idle { members } => idle(subject, &running, members, terms, progress),
            Self::Churn { members } => churn(
                &member(subject, terms, None)?,
                &running,
                members,
                terms,
                progress,
            ),
            Self::Fanout { pace, .. } | Self::Echo { pace, .. } | Self::Rooms { pace, .. } => {
                let (dialects, cast) = self.cast(subject, terms)?;
                talk(&running, &dialects, &cast, pace, terms, progress)
            }
        }
    }

    /// When messages are published, where any are.
    pub(crate) fn pace(self) -> Option<Pace> {
        match self {
            Self::Fanout { pace, .. } | Self::Echo { pace, .. } | Self::Rooms { pace, .. } => {
                Some(pace)
            }
            Self::Idle { .. } | Self::Churn { .. } => None,
        }
    }

    /// Connections of members.
    pub(crate) fn conns(self) -> usize {
        match self {
            Self::Fanout { members, .. }
            | Self::Echo { members, .. }
            | Self::Idle { members }
            | Self::Churn { members } => members,
            Self::Rooms { members, of, .. } => members / of * of,
        }
    }

    /// Who comes, and what they are to each other.
    fn cast(self, subject: &Subject, terms: &Terms) -> Result<(Vec<Rc<Dialect>>, Cast), Failure> {
        let count = self.conns();
        match self {
            Self::Echo { .. } => {
                let rooms = (0..count).map(|number| member(subject, terms, Some(number)));
                let cast = Cast {
                    listens: (0..count).map(Some).collect(),
                    publishers: (0..count).collect(),
                    hear_themselves: true,
                };
                Ok((rooms.collect::<Result<_, _>>()?, cast))
            }
            Self::Rooms { of, .. } => {
                let mut dialects = Vec::with_capacity(count);
                for room in 0..count / of {
                    let dialect = member(subject, terms, Some(room))?;
                    dialects.extend(std::iter::repeat_n(dialect, of));
                }
                let cast = Cast {
                    listens: (0..count).map(|index| Some(index / of)).collect(),
                    publishers: (0..count).step_by(of).collect(),
                    hear_themselves: false,
                };
                Ok((dialects, cast))
            }
            Self::Fanout { .. } | Self::Idle { .. } | Self::Churn { .. } => {
                let mut dialects = vec![member(subject, terms, None)?; count];
                dialects.push(publisher(subject, terms)?);
                let mut listens = vec![Some(0); count];
                listens.push(None);
                let cast = Cast {
                    listens,
                    publishers: vec![count],
                    hear_themselves: false,
                };
                Ok((dialects, cast))
            }
        }
    }
}

/// How members of a room speak; of the room numbered so, where there are many.
fn member(subject: &Subject, terms: &Terms, room: Option<usize>) -> Result<Rc<Dialect>, Failure> {
    if subject.is_floor() {
        return Ok(Rc::new(Dialect::floor(floor::MEMBER_PATH)));
    }
    let name = match room {
        Some(number) => format!("{}-{number}", terms.room),
        None => terms.room.clone(),
    };
    Dialect::member(subject.door, &name, &terms.template).map(Rc::new)
}

fn publisher(subject: &Subject, terms: &Terms) -> Result<Rc<Dialect>, Failure> {
    if subject.is_floor() {
        return Ok(Rc::new(Dialect::floor(floor::PUBLISHER_PATH)));
    }
    Dialect::publisher(subject.door, &terms.room, &terms.template).map(Rc::new)
}

/// Messages: warm-up, then what is measured, from one moment of rest to the next.
fn talk(
    running: &Running,
    dialects: &[Rc<Dialect>],
    cast: &Cast,
    pace: Pace,
    terms: &Terms,
    progress: &mut Progress,
) -> Result<Round, Failure> {
    let mut crowd = Crowd::new(&running.target)?;
    crowd.gather(dialects, &mut |ready| progress.gathered(ready))?;
    let mut load = Load::new(cast, terms.form.clone(), pace, terms.patience)?;
    let warm = load.run(&mut crowd, terms.warm_up, &mut |_| {})?;
    let (cpu, segments) = (running.cpu()?, crowd.segments());
    let outcome = load.run(&mut crowd, terms.time, &mut |tally| {
        progress.delivered(tally);
    })?;
    let spent = running.spent_since(cpu)?;
    let segments = crowd.segments() - segments;
    let Outcome {
        mut tally,
        echoes,
        latency_ns,
        time,
        late_ns_max,
        ..
    } = outcome;
    let count = tally.delivered + tally.duplicated + echoes;
    let each_us = |ns: f64| ns / 1e3 / count.max(1) as f64;
    // What went wrong while warming up went wrong.
    tally.add(&Tally {
        delivered: 0,
        ..warm.tally
    });
    Ok(Round {
        count,
        tally,
        time,
        latency_ns: Some(latency_ns),
        user_us: spent.map(|spent| each_us(spent.user_ns)),
        system_us: spent.map(|spent| each_us(spent.system_ns)),
        batch: (segments > 0).then(|| count as f64 / segments as f64),
        conn_bytes: None,
        late_ns_max,
    })
}

/// Resident bytes for each of many who say nothing.
fn idle(
    subject: &Subject,
    running: &Running,
    members: usize,
    terms: &Terms,
    progress: &mut Progress,
) -> Result<Round, Failure> {
    let dialect = member(subject, terms, None)?;
    // Some come first, so that what the server needs once is not counted.
    let mut crowd = Crowd::new(&running.target)?;
    crowd.gather(&vec![dialect.clone(); members.min(10)], &mut |_| {})?;
    crowd.rest(terms.time)?;
    let before = running.resident_bytes()?;
    let begun = Instant::now();
    crowd.gather(&vec![dialect; members], &mut |ready| {
        progress.gathered(ready);
    })?;
    crowd.rest(terms.time)?;
    let after = running.resident_bytes()?;
    let conn_bytes = before
        .zip(after)
        .map(|(before, after)| after.saturating_sub(before) as f64 / members as f64);
    Ok(Round {
        count: 0,
        tally: Tally::default(),
        time: begun.elapsed(),
        latency_ns: None,
        user_us: None,
        system_us: None,
        batch: None,
        conn_bytes,
        late_ns_max: 0,
    })
}
