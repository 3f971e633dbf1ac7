//! What a command prints: data on stdout, notes on stderr, in the order in which they were said.
//!
//! A thread of its own writes, so that a stdout that blocks stops neither pings nor other clients, only whoever has something to print.
//!
//! Invariants that a reader could break:
//!
//! - Data and notes keep their order, and data is flushed as soon as nothing more waits to be printed.
//! - At most 1 MiB waits; whoever has more to print waits for space, which slows down the peer that sent it.
//! - While a line is being edited nothing is written past the editor, or the line would be torn.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustyline::ExternalPrinter;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::{Code, Ended};

/// Bytes that wait to be printed, at most.
const WAITING_BYTES_MAX: u32 = 1 << 20;
/// Bytes that are written at once.
const WRITE_BYTES_MAX: usize = 64 << 10;
/// How long a line without its end is held back while a line is being edited; its end often comes in the next piece.
const UNFINISHED_MS: u64 = 50;
/// The editor prints on its own thread and does not say when it has.
const EDITOR_PRINTS_MS: u64 = 30;

/// Where a command prints; its clones print in the same place.
#[derive(Debug, Clone)]
pub struct Screen {
    queue: Sender<Print>,
    space: Arc<Semaphore>,
    /// Why stdout takes no more, once it does not.
    gone: watch::Receiver<Option<Gone>>,
}

/// Stdout takes no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot write to stdout: {text}")]
pub struct Gone {
    /// Whoever read has seen enough, which is no failure of ours.
    pub is_closed: bool,
    /// What the system said.
    pub text: String,
}

impl From<Gone> for Ended {
    fn from(gone: Gone) -> Self {
        let text = if gone.is_closed {
            String::new()
        } else {
            gone.to_string()
        };
        Self::new(Code::Failure, text)
    }
}

enum Print {
    Data(Vec<u8>),
    Note(String),
    Flush(oneshot::Sender<()>),
}

impl Screen {
    /// The process's own stdout and stderr, while nobody edits a line.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn plain() -> io::Result<Self> {
        let out = Out {
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            is_shared: is_same_terminal(),
            is_torn: false,
        };
        Self::start(Paper::Plain(out))
    }

    /// Anything else that takes bytes.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn to(
        stdout: impl Write + Send + 'static,
        stderr: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let out = Out {
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            is_shared: false,
            is_torn: false,
        };
        Self::start(Paper::Plain(out))
    }

    /// A terminal on which a line is being edited. `notes` says whether stderr is that terminal as well.
    pub(crate) fn edited(
        printer: impl ExternalPrinter + Send + 'static,
        notes: bool,
    ) -> io::Result<Self> {
        Self::start(Paper::Edited(Edited {
            printer: Box::new(printer),
            notes,
            unfinished: Vec::new(),
        }))
    }

    fn start(paper: Paper) -> io::Result<Self> {
        let (queue, receiver) = channel();
        let space = Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize));
        let (gone_sender, gone) = watch::channel(None);
        let screen = Self {
            queue,
            space: space.clone(),
            gone,
        };
        std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                if let Err(error) = write_all(paper, &receiver, &space) {
                    gone_sender.send_replace(Some(Gone {
                        is_closed: error.kind() == io::ErrorKind::BrokenPipe,
                        text: error.to_string(),
                    }));
                }
                space.close();
            })?;
        Ok(screen)
    }

    /// Prints `bytes`, as they are, on stdout.
    ///
    /// # Errors
    /// When stdout takes no more.
    pub async fn data(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.print(bytes.len(), Print::Data(bytes)).await
    }

    /// Prints a line on stderr; `text` has no line end, and what a peer said in it has been escaped.
    ///
    /// # Errors
    /// When stdout takes no more; stderr may be closed.
    pub async fn note(&self, text: impl Into<String>) -> Result<(), Gone> {
        let text = text.into();
        self.print(text.len(), Print::Note(text)).await
    }

    /// Waits until all that was printed before is out.
    ///
    /// # Errors
    /// When stdout takes no more.
    pub async fn flush(&self) -> Result<(), Gone> {
        let (sender, done) = oneshot::channel();
        self.print(1, Print::Flush(sender)).await?;
        done.await.map_err(|_| self.reason())
    }

    /// Waits until stdout takes no more, which ends most commands.
    pub async fn gone(&self) -> Gone {
        let mut gone = self.gone.clone();
        let _ = gone.wait_for(Option::is_some).await;
        self.reason()
    }

    async fn print(&self, bytes: usize, print: Print) -> Result<(), Gone> {
        let permits = u32::try_from(bytes)
            .map_or(WAITING_BYTES_MAX, |bytes| bytes.clamp(1, WAITING_BYTES_MAX));
        let permit = self
            .space
            .acquire_many(permits)
            .await
            .map_err(|_| self.reason())?;
        self.queue.send(print).map_err(|_| self.reason())?;
        permit.forget();
        Ok(())
    }

    fn reason(&self) -> Gone {
        self.gone.borrow().clone().unwrap_or(Gone {
            is_closed: true,
            text: "it is closed".to_owned(),
        })
    }
}

/// What is written on.
enum Paper {
    Plain(Out),
    Edited(Edited),
}

/// The screen's thread, until everybody who prints is gone.
fn write_all(mut paper: Paper, queue: &Receiver<Print>, space: &Semaphore) -> io::Result<()> {
    let mut data = Vec::new();
    loop {
        let next = match queue.try_recv() {
            Ok(next) => next,
            Err(_) => {
                paper.data(&mut data)?;
                match paper.wait(queue)? {
                    Some(next) => next,
                    None => return paper.end(),
                }
            }
        };
        match next {
            Print::Data(bytes) => {
                give_back(space, bytes.len());
                data.extend_from_slice(&bytes);
                if data.len() >= WRITE_BYTES_MAX {
                    paper.data(&mut data)?;
                }
            }
            Print::Note(text) => {
                give_back(space, text.len());
                paper.data(&mut data)?;
                paper.note(&text)?;
            }
            Print::Flush(done) => {
                give_back(space, 1);
                paper.data(&mut data)?;
                paper.settle()?;
                let _ = done.send(());
            }
        }
    }
}

fn give_back(space: &Semaphore, bytes: usize) {
    space.add_permits(bytes.clamp(1, WAITING_BYTES_MAX as usize));
}

impl Paper {
    fn data(&mut self, data: &mut Vec<u8>) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        match self {
            Self::Plain(out) => out.data(data)?,
            Self::Edited(edited) => edited.data(data)?,
        }
        data.clear();
        Ok(())
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.note(text),
            Self::Edited(edited) => edited.note(text),
        }
    }

    /// The next thing to print; `None` when nobody is left who could.
    fn wait(&mut self, queue: &Receiver<Print>) -> io::Result<Option<Print>> {
        if let Self::Edited(edited) = self
            && !edited.unfinished.is_empty()
        {
            match queue.recv_timeout(Duration::from_millis(UNFINISHED_MS)) {
                Ok(next) => return Ok(Some(next)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => edited.finish()?,
            }
        }
        Ok(queue.recv().ok())
    }

    fn settle(&mut self) -> io::Result<()> {
        if let Self::Edited(edited) = self {
            edited.finish()?;
            std::thread::sleep(Duration::from_millis(EDITOR_PRINTS_MS));
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Edited(edited) => edited.finish(),
        }
    }
}

/// Two streams of bytes.
struct Out {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    /// Whether both are one terminal, so that a note must not begin in the middle of a line of data.
    is_shared: bool,
    is_torn: bool,
}

impl Out {
    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        self.stdout.write_all(data)?;
        self.stdout.flush()?;
        self.is_torn = self.is_shared && data.last() != Some(&b'\n');
        Ok(())
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        if std::mem::take(&mut self.is_torn) {
            self.stdout.write_all(b"\n")?;
            self.stdout.flush()?;
        }
        // Where stderr is closed nobody wants notes.
        let _ = self.stderr.write_all(format!("{text}\n").as_bytes());
        let _ = self.stderr.flush();
        Ok(())
    }
}

fn is_same_terminal() -> bool {
    use std::io::IsTerminal as _;
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// A terminal whose last line belongs to an editor.
struct Edited {
    printer: Box<dyn ExternalPrinter + Send>,
    notes: bool,
    /// A line whose end has not come.
    unfinished: Vec<u8>,
}

impl Edited {
    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        self.unfinished.extend_from_slice(data);
        let end = match self.unfinished.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if self.unfinished.len() >= WRITE_BYTES_MAX => self.unfinished.len(),
            None => return Ok(()),
        };
        let rest = self.unfinished.split_off(end);
        let lines = std::mem::replace(&mut self.unfinished, rest);
        self.print(&lines)
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.finish()?;
        if self.notes {
            return self.print(format!("{text}\n").as_bytes());
        }
        let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
        Ok(())
    }

    /// Gives a line without an end one, since the edited line comes below it.
    fn finish(&mut self) -> io::Result<()> {
        if self.unfinished.is_empty() {
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.unfinished);
        line.push(b'\n');
        self.print(&line)
    }

    fn print(&mut self, lines: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(lines).into_owned();
        if self.printer.print(text).is_ok() {
            return Ok(());
        }
        // The editor has ended, and with it what would be torn.
        let mut stdout = io::stdout();
        stdout.write_all(lines)?;
        stdout.flush()
    }
}
