//! The handle of a connection to a server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::connect::connect;
use crate::error::Error;
use crate::exchange::{Exchange, Request, Rooms};
use crate::intake::Intake;
use crate::message::{Joined, Message, Page, Published, Roster, State};
use crate::native::Answer;
use crate::options::Options;
use crate::outbox::{Command, Outbox};
use crate::outlet::{Events, outlet};
use crate::random::Random;
use crate::request::{History, Join, Publish};
use crate::session::Session;
use crate::url::Url;

/// Commands that wait for the session at most; whoever asks next waits.
const COMMANDS_MAX: usize = 64;

/// A connection to a Taut server. Clones share it.
///
/// The connection comes back by itself (see [`Options::reconnect`]), joins its rooms again and goes on where each left off.
/// It ends with [`Client::close`], or when every clone and the [`Events`] are dropped.
///
/// Requests may be under way side by side, on one clone or many; the answers of the server come in its order.
/// While the connection is away they wait, publishes up to [`Options::offline_ms_max`], everything else up to [`Options::answer_ms_max`],
/// and not more of them than [`Options::offline_messages_max`] and [`Options::offline_bytes_max`] allow.
///
/// A publish with a name (its own or [`Options::name`]) is sent again when its connection breaks before the answer has come, under an id by
/// which the server recognises it; so it happens once, and its answer comes after the reconnect. One without a name is answered with
/// [`Error::Lost`] then.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    closing: Arc<watch::Sender<bool>>,
    ended: watch::Receiver<Option<Error>>,
    options: Arc<Options>,
    ids: Arc<Ids>,
}

impl Client {
    /// Connects to `url` (see [`Url`]) with the default [`Options`]. Must be called within a tokio runtime with IO and time.
    ///
    /// # Errors
    /// As [`Client::connect_with`].
    pub async fn connect(url: &str) -> Result<(Self, Events), Error> {
        Self::connect_with(url, Options::default()).await
    }

    /// Connects to `url`. The first attempt is not repeated, so that a wrong address shows at once.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Unreachable`], [`Error::Handshake`], [`Error::Untrusted`], [`Error::File`] or [`Error::NoRandomness`].
    pub async fn connect_with(url: &str, options: Options) -> Result<(Self, Events), Error> {
        let url: Url = url.parse()?;
        let mut random = Random::new();
        let ids = Ids::new(&mut random)?;
        let carrier = connect(&url, &options).await?;
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (closing, closing_receiver) = watch::channel(false);
        let (ended, ended_receiver) = watch::channel(None);
        let (outlet, events) = outlet();
        let client = Self {
            commands,
            closing: Arc::new(closing),
            ended: ended_receiver,
            options: Arc::new(options.clone()),
            ids: Arc::new(ids),
        };
        let session = Session {
            url,
            random,
            intake: Intake {
                commands: receiver,
                closing: closing_receiver,
                outbox: Outbox::new(&options),
            },
            options,
            ended,
            outlet,
            exchange: Exchange::default(),
            rooms: Rooms::new(),
            attempt: 0,
        };
        tokio::spawn(session.run(carrier));
        Ok((client, events))
    }

    /// Joins a room; its messages come as [`Event`](crate::Event)s. Joining a joined room changes its name and presence only.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, or why there is no answer.
    pub async fn join(&self, join: impl Into<Join>) -> Result<Joined, Error> {
        let mut join = join.into();
        if join.name.is_none() {
            join.name.clone_from(&self.options.name);
        }
        match self.ask(Request::Join(join)).await? {
            Answer::Joined(joined) => Ok(joined),
            other => Err(other.misplaced("join")),
        }
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, or why there is no answer.
    pub async fn leave(&self, room: &str) -> Result<(), Error> {
        match self.ask(Request::Leave(room.to_owned())).await? {
            Answer::Left => Ok(()),
            other => Err(other.misplaced("leave")),
        }
    }

    /// Publishes a message, a batch or a deletion and waits until the server has taken it, across reconnects. The room need not be joined.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, [`Error::Full`] while there is no connection, or why there is no answer.
    pub async fn publish(&self, publish: Publish) -> Result<Published, Error> {
        self.begin_publish(publish).await?.wait().await
    }

    /// Publishes a message without waiting for the answer, so that many may be under way. What is begun in order arrives in order.
    /// Waits only while too much is under way already. That too much waits for a connection is said by [`Ack::wait`], at once.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when nothing could be begun in time, [`Error::Unsendable`] where a batch holds anything but messages, or why the
    /// client has ended.
    pub async fn begin_publish(&self, mut publish: Publish) -> Result<Ack, Error> {
        publish.check()?;
        if publish.name.is_none() {
            publish.name.clone_from(&self.options.name);
        }
        // Only under a name does the server recognise an id that comes over another connection.
        if publish.id.is_none() && publish.name.is_some() && self.options.offline_messages_max > 0 {
            publish.id = Some(self.ids.next());
        }
        let offline_ms_max = self.options.offline_ms_max;
        let answer = self
            .begin(Request::Publish(publish), offline_ms_max)
            .await?;
        Ok(Ack {
            answer,
            client: self.clone(),
        })
    }

    /// Says something on the lane `latest` and waits until the server has said it: it gets no position and is kept nowhere, not even for who is in
    /// the room and slow. Of each [key](Publish::key), else of each event, the newest goes before the others. For cursors, ticks and the like. It
    /// is never sent a second time.
    ///
    /// # Errors
    /// [`Error::Unsendable`] where it is a batch or a deletion, or asks for what would have to be kept: an id, an expectation or a time to live;
    /// [`Error::Refused`] by the server, or why there is no answer.
    pub async fn say_latest(&self, publish: Publish) -> Result<(), Error> {
        self.begin_latest(publish).await?.wait().await
    }

    /// The same without waiting for the answer, so that many may be under way.
    ///
    /// # Errors
    /// As [`Client::say_latest`], but what only the answer says.
    pub async fn begin_latest(&self, publish: Publish) -> Result<Said, Error> {
        let mut publish = publish.on_latest()?;
        if publish.name.is_none() {
            publish.name.clone_from(&self.options.name);
        }
        let patience_ms = self.options.answer_ms_max;
        let answer = self.begin(Request::Publish(publish), patience_ms).await?;
        Ok(Said {
            answer,
            client: self.clone(),
        })
    }

    /// Reads a stretch of a room's history.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, or why there is no answer.
    pub async fn history(&self, history: History) -> Result<Page, Error> {
        match self.ask(Request::History(history)).await? {
            Answer::Page(page) => Ok(page),
            other => Err(other.misplaced("history")),
        }
    }

    /// Reads what is set in a room.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, or why there is no answer.
    pub async fn state(&self, room: &str) -> Result<State, Error> {
        match self.ask(Request::State(room.to_owned())).await? {
            Answer::State(state) => Ok(state),
            other => Err(other.misplaced("state")),
        }
    }

    /// Reads what is set under one key of a room: the message that set it, whose position is the key's version; `None` where nothing is.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, or why there is no answer.
    pub async fn get(&self, room: &str, key: &str) -> Result<Option<Message>, Error> {
        let request = Request::Get {
            room: room.to_owned(),
            key: key.to_owned(),
        };
        match self.ask(request).await {
            Ok(Answer::Got(message)) => Ok(Some(*message)),
            Ok(other) => Err(other.misplaced("get")),
            Err(Error::Refused { code, .. }) if code == "no-key" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks who is in a room.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, or why there is no answer.
    pub async fn who(&self, room: &str) -> Result<Roster, Error> {
        match self.ask(Request::Who(room.to_owned())).await? {
            Answer::Roster(roster) => Ok(roster),
            other => Err(other.misplaced("who")),
        }
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ping(&self) -> Result<(), Error> {
        match self.ask(Request::Ping).await? {
            Answer::Pong => Ok(()),
            other => Err(other.misplaced("ping")),
        }
    }

    /// Ends the connection and waits until the goodbye has left, at most a second. Requests under way get [`Error::Closed`].
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let mut ended = self.ended.clone();
        // An error means that the session is gone already.
        let _ = ended.wait_for(Option::is_some).await;
    }

    async fn ask(&self, request: Request) -> Result<Answer, Error> {
        let answer = self.begin(request, self.options.answer_ms_max).await?;
        match timeout(self.patience(), answer).await {
            Ok(answer) => self.heard(answer),
            Err(_) => Err(self.no_answer()),
        }
    }

    async fn begin(&self, request: Request, patience_ms: u64) -> Result<Answered, Error> {
        let (caller, answer) = oneshot::channel();
        let command = Command {
            request,
            caller,
            until: Instant::now() + Duration::from_millis(patience_ms),
            patience_ms,
            first_sent: None,
        };
        let sent = self.commands.send(command);
        match timeout(self.patience(), sent).await {
            Ok(Ok(())) => Ok(answer),
            Ok(Err(_)) => Err(self.reason()),
            Err(_) => Err(self.no_answer()),
        }
    }

    fn heard(
        &self,
        answer: Result<Result<Answer, Error>, oneshot::error::RecvError>,
    ) -> Result<Answer, Error> {
        // Without an answer the session has ended.
        answer.unwrap_or_else(|_| Err(self.reason()))
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.options.answer_ms_max)
    }

    fn no_answer(&self) -> Error {
        Error::NoAnswer {
            waited_ms: self.options.answer_ms_max,
        }
    }

    /// Why the session has ended.
    fn reason(&self) -> Error {
        self.ended.borrow().clone().unwrap_or(Error::Closed)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Ids for publishes that were given none.
struct Ids {
    /// What tells this client's from all others'.
    prefix: u64,
    last: AtomicU64,
}

impl Ids {
    fn new(random: &mut Random) -> Result<Self, Error> {
        Ok(Self {
            prefix: u64::from_ne_bytes(random.bytes()?),
            last: AtomicU64::new(0),
        })
    }

    fn next(&self) -> String {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{:016x}-{number}", self.prefix)
    }
}

type Answered = oneshot::Receiver<Result<Answer, Error>>;

/// A publish under way. Dropping it does not take the publish back.
pub struct Ack {
    answer: Answered,
    client: Client,
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").finish_non_exhaustive()
    }
}

/// Something under way on the lane `latest`.
pub struct Said {
    answer: Answered,
    client: Client,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Said").finish_non_exhaustive()
    }
}

impl Said {
    /// Waits until the server has said it, at most [`Options::answer_ms_max`] after it was sent, and as long where there is no connection to send it.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, or why there is no answer.
    pub async fn wait(self) -> Result<(), Error> {
        match self.client.heard(self.answer.await)? {
            Answer::Said => Ok(()),
            other => Err(other.misplaced("publish")),
        }
    }
}

impl Ack {
    /// Waits until the server has taken the message: at most [`Options::answer_ms_max`] after it was sent, and [`Options::offline_ms_max`]
    /// where there is no connection to send it.
    ///
    /// # Errors
    /// [`Error::Refused`] by the server, [`Error::Full`] while there is no connection, or why there is no answer.
    pub async fn wait(self) -> Result<Published, Error> {
        match self.client.heard(self.answer.await)? {
            Answer::Published(published) => Ok(published),
            other => Err(other.misplaced("publish")),
        }
    }
}
