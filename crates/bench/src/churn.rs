//! Clients that come, are let in, and go again: what opening and closing costs.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::crowd::{Crowd, News};
use crate::dialect::Dialect;
use crate::failure::{Failure, Kind};
use crate::load::histogram;
use crate::progress::Progress;
use crate::scenario::{Round, Terms};
use crate::subject::Running;
use crate::verify::Tally;

/// Time in which nobody comes or goes after which the server counts as silent.
const SILENCE: Duration = Duration::from_secs(10);

/// One round, with `members` clients at once.
pub(crate) fn churn(
    dialect: &Rc<Dialect>,
    running: &Running,
    members: usize,
    terms: &Terms,
    progress: &mut Progress,
) -> Result<Round, Failure> {
    let mut crowd = Crowd::new(&running.target)?;
    Turnstile::new(members)?.run(&mut crowd, dialect, terms.warm_up, progress)?;
    let mut door = Turnstile::new(members)?;
    let cpu = running.cpu()?;
    let begun = Instant::now();
    door.run(&mut crowd, dialect, terms.time, progress)?;
    let time = begun.elapsed();
    let spent = running.spent_since(cpu)?;
    let each_us = |ns: f64| ns / 1e3 / door.count.max(1) as f64;
    Ok(Round {
        count: door.count,
        tally: Tally::default(),
        time,
        latency_ns: Some(door.latency_ns),
        user_us: spent.map(|spent| each_us(spent.user_ns)),
        system_us: spent.map(|spent| each_us(spent.system_ns)),
        batch: None,
        conn_bytes: None,
        late_ns_max: 0,
    })
}

/// Places through which clients come and go.
struct Turnstile {
    /// When who is in each place began, and whether it has begun to leave.
    places: Vec<Option<(Instant, bool)>>,
    count: u64,
    latency_ns: Histogram<u64>,
}

impl Turnstile {
    fn new(places: usize) -> Result<Self, Failure> {
        Ok(Self {
            places: vec![None; places],
            count: 0,
            latency_ns: histogram()?,
        })
    }

    /// Lets clients through for so long, then waits until all are gone.
    fn run(
        &mut self,
        crowd: &mut Crowd,
        dialect: &Rc<Dialect>,
        time: Duration,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut heard = begun;
        loop {
            let comes = begun.elapsed() < time;
            if !comes && self.places.iter().all(Option::is_none) {
                return Ok(());
            }
            let before = self.count;
            for index in 0..self.places.len() {
                self.attend(crowd, dialect, index, comes)?;
            }
            let places = &mut self.places;
            let count = &mut self.count;
            crowd.turn(&mut |index, news| match news {
                News::Heard(..) => Ok(()),
                News::Ended(gone) => match places.get_mut(index).and_then(Option::take) {
                    // It was the one to begin.
                    Some((_, true)) => {
                        *count += 1;
                        Ok(())
                    }
                    _ => Err(gone.into()),
                },
            })?;
            if self.count != before {
                heard = Instant::now();
                progress.counted(self.count);
            } else if heard.elapsed() > SILENCE {
                let text = "for 10 seconds nobody was let in or out";
                return Err(Failure::new(Kind::Silent, text));
            }
        }
    }

    fn attend(
        &mut self,
        crowd: &mut Crowd,
        dialect: &Rc<Dialect>,
        index: usize,
        comes: bool,
    ) -> Result<(), Failure> {
        match &mut self.places[index] {
            None if comes => {
                self.places[index] = Some((Instant::now(), false));
                crowd.begin(index, dialect.clone())
            }
            Some((begun, leaves @ false)) => match crowd.conn(index) {
                Some(conn) if conn.is_ready() => {
                    let latency_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    self.latency_ns.saturating_record(latency_ns.max(1));
                    *leaves = true;
                    if !conn.close()? {
                        crowd.drop_conn(index);
                        self.places[index] = None;
                        self.count += 1;
                    }
                    Ok(())
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
