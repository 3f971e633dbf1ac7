//! Running: the threads of each part, and the order in which they end.

use std::sync::Arc;
use std::thread::JoinHandle;

use taut_hub::Store;

use super::Server;
use super::secrecy::Secrecy;
use crate::error::Fault;
use crate::files::{Desk, READERS};
use crate::hooks::{Hook, Hooks};
use crate::identity::Doorman;
use crate::keeper::Keeper;
use crate::metrics::Scrapes;
use crate::stop::Stopper;

impl Server {
    /// Serves until [`Stopper::stop`] is called and everybody has been told to come back.
    ///
    /// # Errors
    /// A [`Fault`] when a thread failed; the others are ended too.
    pub fn run(self) -> Result<(), Fault> {
        let stopper = self.stopper();
        // Where nobody has taken it, nobody reloads.
        drop(self.requests);
        let reading = self.desk.map(|desk| read(&desk, &stopper)).transpose()?;
        let asking = Some(ask(self.hooks, &stopper)?);
        let keeping = self
            .kept
            .map(|(keeper, store)| keep(keeper, store, &stopper));
        let keeping = keeping.transpose()?;
        let scraping = self.scrapes.map(|(scrapes, _)| scrape(scrapes, &stopper));
        let scraping = scraping.transpose()?;
        let mut threads = Vec::with_capacity(self.cores.len() + 1);
        let secrecy = self.secrecy.map(|it| secure(it, &mut threads, &stopper));
        let watching = secrecy.transpose()?;
        let fetching = fetch(&self.doorman, &stopper)?;
        let acceptor = self.acceptor;
        threads.push(spawn("acceptor".to_owned(), &stopper, move || {
            acceptor.run()
        })?);
        for core in self.cores {
            let name = format!("core-{}", core.id);
            threads.push(spawn(name, &stopper, move || core.run())?);
        }
        let served = join(threads);
        let served = served.and(end(watching));
        // Whoever watches a shutdown sees it to its end.
        let served = served.and(end(scraping));
        // Readers end when nobody is left to read for. Whoever cannot wait for a drain cannot wait for a disk either.
        let served = served.and(end(asking)).and(end(Some(fetching)));
        let readers = reading.map_or_else(Vec::new, Part::tell);
        // What was taken in is kept, also where nobody waits for the drain.
        let served = served.and(end(keeping));
        if self.stop.is_urgent() {
            return served;
        }
        served.and(join(readers))
    }
}

/// Threads beside the cores, and what tells them to end: said when the part is dropped, so also by a fault of another one.
struct Part {
    threads: Vec<Thread>,
    end: Option<Box<dyn FnOnce()>>,
}

impl Part {
    fn new(end: impl FnOnce() + 'static) -> Self {
        Self {
            threads: Vec::new(),
            end: Some(Box::new(end)),
        }
    }

    /// Tells its threads to end, and gives them back to be waited for.
    fn tell(mut self) -> Vec<Thread> {
        std::mem::take(&mut self.threads)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

/// Ends a part, where there is one.
fn end(part: Option<Part>) -> Result<(), Fault> {
    join(part.map_or_else(Vec::new, Part::tell))
}

/// Starts the threads that read files.
fn read(desk: &Arc<Desk>, stopper: &Stopper) -> Result<Part, Fault> {
    let closed = Arc::clone(desk);
    let mut part = Part::new(move || closed.close());
    for number in 0..READERS {
        let desk = Arc::clone(desk);
        let run = move || {
            desk.read();
            Ok(())
        };
        part.threads
            .push(spawn(format!("files-{number}"), stopper, run)?);
    }
    Ok(part)
}

/// Starts the threads that ask the application. Nobody waits for their end: they may be at a call that takes its time.
fn ask(hooks: Arc<Hooks>, stopper: &Stopper) -> Result<Part, Fault> {
    ask_for(&hooks, hooks.threads(), stopper)?;
    Ok(Part::new(move || hooks.close()))
}

/// Starts a thread for each webhook of a list. One ends when its webhook goes; only its panic stops the server.
pub(crate) fn ask_for(
    hooks: &Arc<Hooks>,
    threads: Vec<Arc<Hook>>,
    stopper: &Stopper,
) -> Result<(), Fault> {
    for (number, hook) in threads.into_iter().enumerate() {
        let (hooks, guard) = (Arc::clone(hooks), StopOnPanic(stopper.clone()));
        let run = move || {
            let _guard = guard;
            hooks.work(&hook);
        };
        let thread = std::thread::Builder::new().name(format!("taut-hook-{number}"));
        thread.spawn(run).map_err(|source| Fault::Poll {
            thread: format!("hook-{number}"),
            source,
        })?;
    }
    Ok(())
}

/// Starts the three threads of the keeper.
fn keep(keeper: Arc<Keeper>, store: Box<dyn Store>, stopper: &Stopper) -> Result<Part, Fault> {
    let no_reader = |error: taut_hub::StoreError| {
        stopper.stop();
        Fault::Store {
            text: error.to_string(),
        }
    };
    let reader = store.reader().map_err(no_reader)?;
    let syncer = store.reader().map_err(no_reader)?;
    let (writes, reads, syncs) = (
        Arc::clone(&keeper),
        Arc::clone(&keeper),
        Arc::clone(&keeper),
    );
    let mut part = Part::new(move || keeper.close());
    part.threads = vec![
        spawn("store-write".to_owned(), stopper, move || {
            writes.write(store);
            Ok(())
        })?,
        spawn("store-read".to_owned(), stopper, move || {
            reads.read(reader);
            Ok(())
        })?,
        spawn("store-sync".to_owned(), stopper, move || {
            syncs.sync(syncer);
            Ok(())
        })?,
    ];
    Ok(part)
}

/// Starts the thread that answers for `/metrics`.
fn scrape(scrapes: Scrapes, stopper: &Stopper) -> Result<Part, Fault> {
    let over = Arc::clone(&scrapes.over);
    let mut part = Part::new(move || over.end());
    let run = move || scrapes.run();
    part.threads
        .push(spawn("metrics".to_owned(), stopper, run)?);
    Ok(part)
}

/// Starts what shakes hands and speaks HTTP/2, among the `threads` that serve, and the watch over certificates.
fn secure(secrecy: Secrecy, threads: &mut Vec<Thread>, stopper: &Stopper) -> Result<Part, Fault> {
    for (number, shaker) in secrecy.shakers.into_iter().enumerate() {
        let name = format!("tls-{number}");
        threads.push(spawn(name, stopper, move || shaker.run())?);
    }
    #[cfg(feature = "http2")]
    for (number, front) in secrecy.fronts.1.into_iter().enumerate() {
        let name = format!("http2-{number}");
        threads.push(spawn(name, stopper, move || front.run())?);
    }
    let watch = secrecy.watch;
    let bell = watch.bell();
    let mut part = Part::new(move || bell.ring());
    let run = move || {
        watch.run();
        Ok(())
    };
    part.threads
        .push(spawn("tls-watch".to_owned(), stopper, run)?);
    Ok(part)
}

/// Starts the thread that fetches keys, where it is needed already.
fn fetch(doorman: &Arc<Doorman>, stopper: &Stopper) -> Result<Part, Fault> {
    if doorman.needs_thread() {
        fetch_keys(doorman, stopper)?;
    }
    let doorman = Arc::clone(doorman);
    Ok(Part::new(move || doorman.end()))
}

type Thread = (String, JoinHandle<Result<(), Fault>>);

/// Starts a thread that takes the whole server down with it: half a server helps nobody.
fn spawn(
    name: String,
    stopper: &Stopper,
    run: impl FnOnce() -> Result<(), Fault> + Send + 'static,
) -> Result<Thread, Fault> {
    let guard = StopWithMe(stopper.clone());
    let thread = std::thread::Builder::new()
        .name(format!("taut-{name}"))
        .spawn(move || {
            let _guard = guard;
            run()
        })
        .map_err(|source| {
            stopper.stop();
            Fault::Poll {
                thread: name.clone(),
                source,
            }
        })?;
    Ok((name, thread))
}

/// Waits for threads; the first fault counts.
fn join(threads: Vec<Thread>) -> Result<(), Fault> {
    let mut outcome = Ok(());
    for (name, thread) in threads {
        let ended = thread
            .join()
            .unwrap_or(Err(Fault::Panicked { thread: name }));
        outcome = outcome.and(ended);
    }
    outcome
}

/// Starts the thread that fetches keys. Nobody waits for its end: resolving a name may take any time.
pub(crate) fn fetch_keys(doorman: &Arc<Doorman>, stopper: &Stopper) -> Result<(), Fault> {
    let doorman = Arc::clone(doorman);
    let run = move || {
        doorman.fetch_keys();
        Ok(())
    };
    spawn("keys".to_owned(), stopper, run).map(drop)
}

/// Stops the server when its thread panics.
struct StopOnPanic(Stopper);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

/// Stops the server when its thread ends, also by a panic.
struct StopWithMe(Stopper);

impl Drop for StopWithMe {
    fn drop(&mut self) {
        if !self.0.0.is_stopping() {
            self.0.stop();
        }
    }
}
