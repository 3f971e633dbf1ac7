//! Messages to a crowd that is there: who publishes for whom, when, and what became of each message.
//!
//! A closed loop keeps so many messages of each source in flight: the next is published when the oldest has reached everybody. An open loop
//! publishes at a fixed rate, whatever the server does, and counts latency from the moment at which a message was due.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::crowd::{Crowd, News};
use crate::dialect::Dialect;
use crate::failure::{Failure, Kind};
use crate::payload::{Form, Label};
use crate::verify::{Judgement, Sequence, Tally};

/// Messages that an open loop has under way at most, of all sources; a server that is further behind does not keep up.
const FLIGHT_MAX: u64 = 1 << 18;
/// Silence behind the last message after which nothing more is expected.
const LINGER: Duration = Duration::from_millis(100);
/// The longest latency that is told apart, in nanoseconds.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// When messages are published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// So many of each source are in flight.
    Window(usize),
    /// So many a second, of all sources together, in turn.
    Rate(f64),
}

/// Who publishes, and to how many.
struct Source {
    publisher: usize,
    readers: usize,
    next: u64,
    /// The oldest message that not everybody has.
    oldest: u64,
    flight: VecDeque<Flight>,
}

struct Flight {
    due_ns: u64,
    /// Readers that have it, or will not get it.
    settled: usize,
}

/// What a connection is to the load.
#[derive(Debug, Clone, Default)]
struct Reader {
    source: u32,
    /// It publishes only; what it hears of its own is counted, and waited for by nobody.
    is_apart: bool,
    sequence: Sequence,
    /// Where in a unit the last payload was.
    payload_at: usize,
}

/// Who is in a crowd: connection by connection the source that it listens to, and each source's publisher.
pub(crate) struct Cast {
    /// The source of each connection; publishers that only publish are `None`.
    pub(crate) listens: Vec<Option<usize>>,
    /// The connection that publishes for each source.
    pub(crate) publishers: Vec<usize>,
    /// Whether publishers that listen get their own messages, so that they are waited for.
    pub(crate) hear_themselves: bool,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// What came back to publishers that nobody waits for.
    pub(crate) echoes: u64,
    /// Nanoseconds from when a message was due to its arrival, for each delivery.
    pub(crate) latency_ns: Histogram<u64>,
    pub(crate) time: Duration,
    /// How late the generator itself published at worst, in nanoseconds.
    pub(crate) late_ns_max: u64,
}

/// When messages are due at a fixed rate. All that are due within the time are published, however late that is noticed.
struct Clockwork {
    begun_ns: u64,
    interval_s: f64,
    done: u32,
    left: u32,
}

/// See the [module](self).
pub(crate) struct Load {
    form: Form,
    pace: Pace,
    /// Time without any delivery after which what is under way counts as lost.
    patience: Duration,
    sources: Vec<Source>,
    readers: Vec<Reader>,
    /// Sources that may publish, in a closed loop.
    ready: VecDeque<usize>,
    /// Whose turn it is, at a fixed rate.
    next_source: usize,
    begun: Instant,
    now_ns: u64,
    /// The connection for which the clock was looked at last.
    looked_for: usize,
    tally: Tally,
    echoes: u64,
    latency_ns: Histogram<u64>,
    under_way: u64,
    unit: Vec<u8>,
}

impl Load {
    pub(crate) fn new(
        cast: &Cast,
        form: Form,
        pace: Pace,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let source = |publisher: &usize| Source {
            publisher: *publisher,
            readers: 0,
            next: 0,
            oldest: 0,
            flight: VecDeque::new(),
        };
        let mut sources: Vec<Source> = cast.publishers.iter().map(source).collect();
        let mut readers = vec![Reader::default(); cast.listens.len()];
        for (reader, listens) in readers.iter_mut().zip(&cast.listens) {
            reader.source = u32::try_from(listens.unwrap_or(0)).map_err(Failure::usage)?;
            reader.is_apart = listens.is_none();
        }
        for (source, publisher) in cast.publishers.iter().enumerate() {
            readers[*publisher].source = u32::try_from(source).map_err(Failure::usage)?;
            readers[*publisher].is_apart |= !cast.hear_themselves;
        }
        for reader in readers.iter().filter(|reader| !reader.is_apart) {
            sources[reader.source as usize].readers += 1;
        }
        Ok(Self {
            form,
            pace,
            patience,
            ready: (0..sources.len()).collect(),
            next_source: 0,
            sources,
            readers,
            begun: Instant::now(),
            now_ns: 0,
            looked_for: usize::MAX,
            tally: Tally::default(),
            echoes: 0,
            latency_ns: histogram()?,
            under_way: 0,
            unit: Vec::new(),
        })
    }

    /// Publishes for so long, then waits until everything has arrived or nothing comes any more. `progress` hears of it as it goes.
    pub(crate) fn run(
        &mut self,
        crowd: &mut Crowd,
        time: Duration,
        progress: &mut dyn FnMut(&Tally),
    ) -> Result<Outcome, Failure> {
        let mut clockwork = Clockwork::new(self.pace, time);
        let begun_ns = self.look_at_clock();
        clockwork.begun_ns = begun_ns;
        let end_ns = begun_ns + nanoseconds(time);
        let (mut heard_ns, mut late_ns_max) = (begun_ns, 0);
        loop {
            self.look_at_clock();
            match self.pace {
                Pace::Window(window) if self.now_ns < end_ns => {
                    self.publish_ready(crowd, window)?;
                }
                Pace::Rate(_) if clockwork.left > 0 => {
                    let late_ns = self.publish_due(crowd, &mut clockwork)?;
                    late_ns_max = late_ns_max.max(late_ns);
                }
                _ if self.under_way == 0 => break,
                _ => {}
            }
            let delivered = self.tally.delivered + self.tally.duplicated;
            self.listen(crowd)?;
            if self.tally.delivered + self.tally.duplicated != delivered || self.under_way == 0 {
                heard_ns = self.now_ns;
                progress(&self.tally);
            } else if self.now_ns.saturating_sub(heard_ns) > nanoseconds(self.patience) {
                self.give_up();
                break;
            }
        }
        let time_ns = self.look_at_clock() - begun_ns;
        self.linger(crowd)?;
        Ok(Outcome {
            tally: std::mem::take(&mut self.tally),
            echoes: std::mem::take(&mut self.echoes),
            latency_ns: std::mem::replace(&mut self.latency_ns, histogram()?),
            time: Duration::from_nanos(time_ns),
            late_ns_max,
        })
    }

    /// Takes in what has come; says whether anything has.
    fn listen(&mut self, crowd: &mut Crowd) -> Result<bool, Failure> {
        let count = crowd.turn(&mut |index, news| match news {
            News::Heard(dialect, unit) => {
                // One look for all that one read brought.
                if std::mem::replace(&mut self.looked_for, index) != index {
                    self.look_at_clock();
                }
                self.hear(index, dialect, unit);
                Ok(())
            }
            News::Ended(gone) => Err(gone.into()),
        })?;
        Ok(count > 0)
    }

    /// Everything is there; but what comes twice, or where it does not belong, may still be under way.
    fn linger(&mut self, crowd: &mut Crowd) -> Result<(), Failure> {
        let mut heard_ns = self.now_ns;
        while self.look_at_clock().saturating_sub(heard_ns) < nanoseconds(LINGER) {
            if self.listen(crowd)? {
                heard_ns = self.now_ns;
            }
        }
        Ok(())
    }

    /// Publishes what the window allows, one call for each message, as independent publishers would.
    fn publish_ready(&mut self, crowd: &mut Crowd, window: usize) -> Result<(), Failure> {
        while let Some(source) = self.ready.pop_front() {
            while self.sources[source].flight.len() < window {
                let due_ns = self.look_at_clock();
                self.publish(crowd, source, due_ns)?;
            }
        }
        Ok(())
    }

    /// Publishes what is due by now; how late the latest of it is.
    fn publish_due(
        &mut self,
        crowd: &mut Crowd,
        clockwork: &mut Clockwork,
    ) -> Result<u64, Failure> {
        let mut late_ns = 0;
        while clockwork.left > 0 && clockwork.due_ns() <= self.now_ns {
            let source = self.next_source;
            self.next_source = (source + 1) % self.sources.len();
            if self.under_way >= FLIGHT_MAX {
                let text = format!(
                    "the server is {FLIGHT_MAX} messages behind: it does not keep up with this rate"
                );
                return Err(Failure::new(Kind::Failure, text).hint("ask for a lower --rate"));
            }
            let due_ns = clockwork.due_ns();
            late_ns = late_ns.max(self.now_ns - due_ns);
            self.publish(crowd, source, due_ns)?;
            clockwork.done += 1;
            clockwork.left -= 1;
        }
        Ok(late_ns)
    }

    fn publish(&mut self, crowd: &mut Crowd, source: usize, due_ns: u64) -> Result<(), Failure> {
        let Source {
            publisher,
            next,
            flight,
            ..
        } = &mut self.sources[source];
        let label = Label {
            source: u32::try_from(source).unwrap_or(u32::MAX),
            number: *next,
        };
        self.unit.clear();
        if let Some(conn) = crowd.conn(*publisher) {
            let (before, behind) = &conn.dialect().publish;
            self.unit.extend_from_slice(before);
            self.form.encode(&mut self.unit, label);
            self.unit.extend_from_slice(behind);
        }
        *next += 1;
        flight.push_back(Flight { due_ns, settled: 0 });
        self.under_way += 1;
        crowd.say(*publisher, &self.unit)
    }

    /// One unit that a connection got.
    fn hear(&mut self, index: usize, dialect: &Dialect, unit: &[u8]) {
        let Some(reader) = self.readers.get_mut(index) else {
            return;
        };
        let Some(at) = self.form.find(unit, reader.payload_at) else {
            return;
        };
        reader.payload_at = at;
        let label = self.form.decode(&unit[at..]);
        let label = label.filter(|_| dialect.expects(unit, at, &self.form));
        let published = |label: &Label| {
            let source = self.sources.get(label.source as usize);
            source.is_some_and(|source| label.number < source.next)
        };
        let Some(label) = label.filter(published) else {
            self.tally.changed += 1;
            return;
        };
        if reader.source != label.source {
            self.tally.strayed += 1;
        } else if reader.is_apart {
            self.echoes += 1;
        } else {
            let judgement = reader.sequence.judge(label.number, &mut self.tally);
            self.settle(label, judgement);
        }
    }

    /// Counts a reader that has a message, and those before it that will not come in order any more.
    fn settle(&mut self, label: Label, judgement: Judgement) {
        let source = &mut self.sources[label.source as usize];
        let at = |number: u64| usize::try_from(number.checked_sub(source.oldest)?).ok();
        let Some(place) = at(label.number) else {
            return;
        };
        if judgement != Judgement::Again
            && let Some(flight) = source.flight.get(place)
        {
            let latency_ns = self.now_ns.saturating_sub(flight.due_ns);
            self.latency_ns.saturating_record(latency_ns.max(1));
        }
        let first = match judgement {
            Judgement::InOrder => place,
            Judgement::Ahead { skipped } => at(label.number - skipped).unwrap_or(0),
            Judgement::Late | Judgement::Again => return,
        };
        for flight in source.flight.range_mut(first..=place) {
            flight.settled += 1;
        }
        let mut done = 0;
        while let Some(flight) = source.flight.front()
            && flight.settled >= source.readers
        {
            source.flight.pop_front();
            source.oldest += 1;
            done += 1;
        }
        self.under_way -= done;
        if done > 0 {
            self.ready.push_back(label.source as usize);
        }
    }

    /// Nothing comes any more: whatever is under way is lost.
    fn give_up(&mut self) {
        for reader in &mut self.readers {
            if !reader.is_apart {
                let source = &self.sources[reader.source as usize];
                reader.sequence.finish(source.next, &mut self.tally);
            }
        }
        for source in &mut self.sources {
            source.flight.clear();
            source.oldest = source.next;
        }
        self.under_way = 0;
        self.ready = (0..self.sources.len()).collect();
    }

    fn look_at_clock(&mut self) -> u64 {
        self.now_ns = nanoseconds(self.begun.elapsed());
        self.now_ns
    }
}

impl Clockwork {
    fn new(pace: Pace, time: Duration) -> Self {
        let rate = match pace {
            Pace::Window(_) => 0.0,
            Pace::Rate(rate) => rate,
        };
        let interval_s = 1.0 / rate;
        let due_s = |number: u32| f64::from(number) * interval_s;
        let mut left = 0;
        while left < u32::MAX && due_s(left) < time.as_secs_f64() {
            left += 1;
        }
        Self {
            begun_ns: 0,
            interval_s,
            done: 0,
            left,
        }
    }

    /// When the next message is due.
    fn due_ns(&self) -> u64 {
        let due_s = f64::from(self.done) * self.interval_s;
        self.begun_ns + nanoseconds(Duration::from_secs_f64(due_s))
    }
}

/// An empty histogram of latencies.
pub(crate) fn histogram() -> Result<Histogram<u64>, Failure> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
        .map_err(|error| Failure::new(Kind::Failure, error))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
