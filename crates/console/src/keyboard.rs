//! Stdin as an async source: what a person types, or what a pipe brings.
//!
//! Invariants that a reader could break:
//!
//! - Reading happens on a thread of its own behind a bounded channel: a peer that takes nothing slows stdin down, and memory stays bounded.
//! - A last line without its line end counts as a line.
//! - However the command ends, the terminal is left as it was found: a line may be half edited when the peer closes.
//! - History is for lines that a person typed at an editor; a line that begins with a space is not kept.
//!
//! Absent on purpose: an editor where stdout is no terminal. It would write its prompt into the data.

use std::io::{self, BufRead, BufReader, IsTerminal as _, Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::termios::{self, SetArg, Termios};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use tokio::sync::mpsc;

use crate::screen::Screen;

/// Lines or chunks that wait for whoever sends them.
const WAITING_MAX: usize = 16;
/// Bytes of a chunk at most.
const CHUNK_BYTES_MAX: usize = 64 << 10;
/// Bytes of a line at most: as much as the largest message that a peer of ours takes by default.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// Lines that are remembered.
const HISTORY_LINES_MAX: usize = 1_000;

/// How stdin is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Each line, without its line end (LF or CRLF), is one piece of data.
    Lines,
    /// The bytes as they come. A line that is typed at an editor keeps its line end.
    Chunks,
}

/// What came from stdin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A line or a chunk.
    Data(Vec<u8>),
    /// Stdin ended: Ctrl-D, or the end of the file.
    End,
    /// Ctrl-C while a line was being edited.
    Interrupted,
    /// Stdin cannot be read, and why.
    Failed(String),
}

/// Stdin. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Keyboard {
    receiver: mpsc::Receiver<Typed>,
    terminal: Option<Terminal>,
}

impl Keyboard {
    /// Begins to read stdin: with an editor where stdin and stdout are a terminal, else as it comes.
    ///
    /// The [`Screen`] is the one to print on: it knows about the line that is being edited.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn open(unit: Unit, prompt: &'static str) -> io::Result<(Self, Screen)> {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            // A terminal that cannot be edited on, such as TERM=dumb, is read like a pipe.
            if let Some(opened) = Self::edit(unit, prompt)? {
                return Ok(opened);
            }
        }
        Ok((Self::read(unit, io::stdin())?, Screen::plain()?))
    }

    /// Begins to read anything else that gives bytes.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn read(unit: Unit, source: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        spawn(move || {
            let last = match unit {
                Unit::Chunks => read_chunks(source, &sender),
                Unit::Lines => read_lines(source, &sender),
            };
            let _ = sender.blocking_send(match last {
                Ok(()) => Typed::End,
                Err(error) => Typed::Failed(format!("cannot read stdin: {error}")),
            });
        })?;
        Ok(Self {
            receiver,
            terminal: None,
        })
    }

    /// A keyboard at which nobody sits.
    #[must_use]
    pub fn none() -> Self {
        let (_, receiver) = mpsc::channel(1);
        Self {
            receiver,
            terminal: None,
        }
    }

    /// Whether a person edits lines at a terminal.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.terminal.is_some()
    }

    /// What comes next. After [`Typed::End`], [`Typed::Interrupted`] and [`Typed::Failed`] nothing does, and this waits for ever, as suits a
    /// `select!`. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Typed {
        match self.receiver.recv().await {
            Some(typed) => typed,
            None => std::future::pending().await,
        }
    }

    fn edit(unit: Unit, prompt: &'static str) -> io::Result<Option<(Self, Screen)>> {
        let config = Config::builder()
            .history_ignore_space(true)
            .max_history_size(HISTORY_LINES_MAX)
            .map(rustyline::config::Builder::build);
        let Ok(config) = config else { return Ok(None) };
        let Ok(mut editor) = Editor::<(), FileHistory>::with_config(config) else {
            return Ok(None);
        };
        let Ok(printer) = editor.create_external_printer() else {
            return Ok(None);
        };
        let Some(terminal) = Terminal::note() else {
            return Ok(None);
        };
        let screen = Screen::edited(printer, io::stderr().is_terminal())?;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let is_editing = terminal.is_editing.clone();
        spawn(move || {
            let last = edit_lines(&mut editor, unit, prompt, &sender, &is_editing);
            // Whoever prints through the editor has to notice that it is gone.
            drop(editor);
            let _ = sender.blocking_send(last);
        })?;
        let keyboard = Self {
            receiver,
            terminal: Some(terminal),
        };
        Ok(Some((keyboard, screen)))
    }
}

fn spawn(read: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name("keyboard".to_owned())
        .spawn(read)
        .map(drop)
}

/// Reads until the end; an `Ok` too when nobody listens any more.
fn read_chunks(mut source: impl Read, sender: &mpsc::Sender<Typed>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if sender
            .blocking_send(Typed::Data(buffer[..count].to_vec()))
            .is_err()
        {
            return Ok(());
        }
    }
}

fn read_lines(source: impl Read, sender: &mpsc::Sender<Typed>) -> io::Result<()> {
    let mut source = BufReader::with_capacity(CHUNK_BYTES_MAX, source);
    // The line, its CRLF, and one byte to tell that it is too long.
    let bytes_max = LINE_BYTES_MAX as u64 + 3;
    loop {
        let mut line = Vec::new();
        if source
            .by_ref()
            .take(bytes_max)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        if line.len() > LINE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line is longer than {LINE_BYTES_MAX} bytes"),
            ));
        }
        if sender.blocking_send(Typed::Data(line)).is_err() {
            return Ok(());
        }
    }
}

/// Lets a person edit line after line; gives why there are no more.
fn edit_lines(
    editor: &mut Editor<(), FileHistory>,
    unit: Unit,
    prompt: &str,
    sender: &mpsc::Sender<Typed>,
    is_editing: &AtomicBool,
) -> Typed {
    let history = history_path();
    if let Some(path) = &history {
        // No history is no reason not to type.
        let _ = editor.load_history(path);
    }
    loop {
        is_editing.store(true, Ordering::SeqCst);
        let read = editor.readline(prompt);
        is_editing.store(false, Ordering::SeqCst);
        let mut line = match read {
            Ok(line) => line,
            Err(ReadlineError::Eof) => return Typed::End,
            Err(ReadlineError::Interrupted) => return Typed::Interrupted,
            Err(error) => return Typed::Failed(format!("cannot read the terminal: {error}")),
        };
        if editor.add_history_entry(line.as_str()).unwrap_or(false)
            && let Some(path) = &history
        {
            let _ = editor.append_history(path);
        }
        if unit == Unit::Chunks {
            line.push('\n');
        }
        if sender
            .blocking_send(Typed::Data(line.into_bytes()))
            .is_err()
        {
            return Typed::End;
        }
    }
}

/// `$XDG_STATE_HOME/taut/history`, or the same below `~/.local/state`; `None` where there is no such place.
fn history_path() -> Option<PathBuf> {
    let state = match std::env::var_os("XDG_STATE_HOME").map(PathBuf::from) {
        // The specification has relative paths ignored.
        Some(path) if path.is_absolute() => path,
        _ => PathBuf::from(std::env::var_os("HOME")?).join(".local/state"),
    };
    let folder = state.join("taut");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

/// How the terminal was before the editor had it.
#[derive(Debug)]
struct Terminal {
    modes: Termios,
    is_editing: Arc<AtomicBool>,
}

impl Terminal {
    fn note() -> Option<Self> {
        Some(Self {
            modes: termios::tcgetattr(io::stdin()).ok()?,
            is_editing: Arc::new(AtomicBool::new(false)),
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.is_editing.load(Ordering::SeqCst) {
            return;
        }
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.modes);
        // Ends bracketed paste, and clears the prompt that nobody will answer.
        let _ = io::stdout().write_all(b"\x1b[?2004l\r\x1b[K");
        let _ = io::stdout().flush();
    }
}
