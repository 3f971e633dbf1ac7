//! The task behind a client: one connection at a time, and the way back after it has broken.
//!
//! Invariants:
//! - A publish is sent a second time only where the server recognises it by its id; every other request is sent at most once, and answered
//!   with why when its connection ends. Nothing is sent after its caller was told that it will not be.
//! - Rooms are joined again, from where their readers stand, before anything else is asked on a new connection; then comes what waited, in order.
//! - Callers are heard at all times, also between two connections (see [`crate::intake`]).
//! - While the reader of events is behind, nothing is decoded unless an answer is awaited (see [`crate::outlet`]).

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::carrier::Carrier;
use crate::connect::connect;
use crate::error::{Error, Retry};
use crate::exchange::{Exchange, Rooms};
use crate::intake::{Intake, closed};
use crate::message::Event;
use crate::native;
use crate::options::Options;
use crate::outbox::Command;
use crate::outlet::Outlet;
use crate::random::Random;
use crate::url::Url;

/// The time that a goodbye may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// The time after which a connection counts as one that holds, so that the pauses begin anew.
const HELD: Duration = Duration::from_secs(10);

/// The task's state.
pub(crate) struct Session {
    pub(crate) url: Url,
    pub(crate) options: Options,
    pub(crate) random: Random,
    pub(crate) intake: Intake,
    /// Where the reason of the end is left, for calls that come later.
    pub(crate) ended: watch::Sender<Option<Error>>,
    pub(crate) outlet: Outlet,
    pub(crate) exchange: Exchange,
    pub(crate) rooms: Rooms,
    /// Attempts to come back since a connection last held.
    pub(crate) attempt: u32,
}

impl Session {
    /// Serves connections until the client is closed, dropped, or must not come back.
    pub(crate) async fn run(mut self, mut carrier: Carrier) {
        let reason = loop {
            let began = Instant::now();
            let error = self.serve(&mut carrier).await;
            if began.elapsed() >= HELD {
                self.attempt = 0;
            }
            self.exchange
                .fail(&error, &mut self.intake.outbox, &self.options);
            if error == Error::Closed {
                self.say_goodbye(&mut carrier).await;
                break error;
            }
            // The answer to a close frame or a violation, where it can still leave.
            let _ = carrier.flush();
            drop(carrier);
            carrier = match self.come_back(error).await {
                Ok(carrier) => carrier,
                Err(error) => break error,
            };
        };
        self.intake.outbox.end(&reason);
        self.ended.send_replace(Some(reason));
    }

    /// Drives one connection until it ends, and says why it did.
    async fn serve(&mut self, carrier: &mut Carrier) -> Error {
        let mut unit = Vec::new();
        if let Some(token) = &self.options.token {
            native::encode_auth(token.as_str(), &mut unit);
            if let Err(error) = carrier.send(&unit, &mut self.random) {
                return error;
            }
        }
        for (room, membership) in &self.rooms {
            unit.clear();
            self.exchange.ask_again(room, membership, &mut unit);
            if let Err(error) = carrier.send(&unit, &mut self.random) {
                return error;
            }
        }
        let mut heard = Heartbeat::new(&self.options);
        loop {
            match self.turn(carrier, &mut heard, &mut unit).await {
                Ok(()) => {}
                Err(error) => return error,
            }
        }
    }

    /// Understands what has arrived, writes what is to be written, then waits for whatever comes first.
    async fn turn(
        &mut self,
        carrier: &mut Carrier,
        heartbeat: &mut Heartbeat,
        unit: &mut Vec<u8>,
    ) -> Result<(), Error> {
        while self.wants_input(carrier) {
            let Some(incoming) = carrier.next(&mut self.random, native::decode)? else {
                break;
            };
            self.exchange
                .receive(incoming?, &mut self.rooms, &mut self.outlet)?;
        }
        while self.takes_requests(carrier)
            && let Some(command) = self.intake.outbox.pop()
        {
            self.ask(command, carrier, unit)?;
        }
        carrier.flush()?;
        let wants_input = self.wants_input(carrier);
        let wants_commands = self.takes_requests(carrier);
        let nobody_asks = self.intake.nobody_asks();
        let check_at = self.exchange.check_at();
        if !wants_input {
            // Silence is ours while we do not listen.
            heartbeat.heard();
        }
        tokio::select! {
            () = closed(&mut self.intake.closing) => return Err(Error::Closed),
            progress = carrier.progress(wants_input) => {
                if progress? {
                    heartbeat.heard();
                }
            }
            () = self.outlet.space(), if self.outlet.waits_for_space() => self.outlet.tell_missing(),
            () = self.outlet.gone(), if nobody_asks => {
                return Err(Error::Closed);
            }
            command = self.intake.commands.recv(), if wants_commands && !nobody_asks => {
                if let Some(command) = command {
                    self.ask(command, carrier, unit)?;
                }
            }
            () = sleep_until(heartbeat.at), if wants_input => {
                if heartbeat.is_asked {
                    return Err(Error::Lost { text: "the server gave no sign of life".into() });
                }
                unit.clear();
                self.exchange.ping(unit);
                carrier.send(unit, &mut self.random)?;
                heartbeat.asked();
            }
            () = sleep_until(check_at.unwrap_or_else(Instant::now)), if check_at.is_some() => {
                self.exchange.expire();
            }
        }
        Ok(())
    }

    /// Sends a request, unless its caller has given up while it waited for a connection: asked again, it would happen twice.
    fn ask(
        &mut self,
        command: Command,
        carrier: &mut Carrier,
        unit: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if command.until <= Instant::now() {
            command.give_up();
            return Ok(());
        }
        unit.clear();
        self.exchange.ask(command, &self.options, unit);
        carrier.send(unit, &mut self.random)
    }

    fn takes_requests(&self, carrier: &Carrier) -> bool {
        self.exchange.has_space() && !carrier.is_full()
    }

    fn wants_input(&self, carrier: &Carrier) -> bool {
        !carrier.is_full() && (self.outlet.has_space() || self.exchange.is_awaited())
    }

    /// Connects again, after pauses, for as long as that can help. The error is the reason to give up.
    async fn come_back(&mut self, mut error: Error) -> Result<Carrier, Error> {
        loop {
            if error.retry() == Retry::Never || !self.options.reconnect {
                return self.give_up(error).await;
            }
            if self.outlet.is_gone() && self.intake.nobody_asks() {
                return Err(Error::Closed);
            }
            let pause =
                self.options
                    .backoff
                    .pause(self.attempt, asked_ms(&error), self.random.draw());
            self.attempt = self.attempt.saturating_add(1);
            let disconnected = Event::Disconnected {
                error,
                retry_ms: Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
            };
            self.announce(disconnected).await?;
            self.intake.meanwhile(sleep(pause)).await?;
            let attempt = connect(&self.url, &self.options);
            error = match self.intake.meanwhile(attempt).await? {
                Ok(carrier) => {
                    self.announce(Event::Reconnected).await?;
                    return Ok(carrier);
                }
                Err(error) => error,
            };
        }
    }

    async fn give_up(&mut self, error: Error) -> Result<Carrier, Error> {
        self.intake.outbox.end(&error);
        let last = Event::Disconnected {
            error: error.clone(),
            retry_ms: None,
        };
        self.announce(last).await?;
        Err(error)
    }

    /// Tells the reader what must not be lost, however long it takes to read it.
    async fn announce(&mut self, event: Event) -> Result<(), Error> {
        self.intake.meanwhile(self.outlet.event_surely(event)).await
    }

    async fn say_goodbye(&mut self, carrier: &mut Carrier) {
        if carrier.send_close(&mut self.random).is_err() {
            return;
        }
        let flushed = async {
            while carrier.flush().is_ok() && !carrier.is_flushed() {
                if carrier.progress(false).await.is_err() {
                    return;
                }
            }
            carrier.shut_down().await;
        };
        // A goodbye that does not leave in time is one that the server can do without.
        let _ = timeout(GOODBYE, flushed).await;
    }
}

/// The pause that the server itself asked for.
fn asked_ms(error: &Error) -> Option<u64> {
    match error {
        Error::Bye { retry_ms, .. } | Error::Refused { retry_ms, .. } => *retry_ms,
        _ => None,
    }
}

/// When the server was last heard, and whether it was asked for a sign of life since.
struct Heartbeat {
    at: Instant,
    is_asked: bool,
    quiet: Duration,
    pong: Duration,
}

impl Heartbeat {
    fn new(options: &Options) -> Self {
        let quiet = Duration::from_millis(options.quiet_ms_max);
        Self {
            at: Instant::now() + quiet,
            is_asked: false,
            quiet,
            pong: Duration::from_millis(options.pong_ms_max),
        }
    }

    fn heard(&mut self) {
        self.at = Instant::now() + self.quiet;
        self.is_asked = false;
    }

    fn asked(&mut self) {
        self.at = Instant::now() + self.pong;
        self.is_asked = true;
    }
}
