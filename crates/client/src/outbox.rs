//! Requests that wait for a connection, in the order in which they were begun.
//!
//! Overflow rule: while there is no connection, a request that finds `messages_max` waiting, or a publish that would make them more than
//! `bytes_max`, is refused at once with [`Error::Full`], which may be tried again. Publishes whose connection broke come back to the front
//! whatever the bounds say: the exchange has bounded them already.
//!
//! Invariant: what has waited too long is answered and never sent, so whoever publishes it again publishes it once.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::exchange::{Caller, Request, answer};
use crate::options::Options;
use crate::request::Publish;

/// How long after it was first sent a publish may be repeated. Servers remember ids for five minutes; the last of them is for the way.
const REPEAT_WINDOW: Duration = Duration::from_secs(4 * 60);

/// A request on its way from its caller to a connection.
pub(crate) struct Command {
    pub(crate) request: Request,
    pub(crate) caller: Caller,
    /// When it is not worth sending any more.
    pub(crate) until: Instant,
    /// How long that is from its beginning, for the error.
    pub(crate) patience_ms: u64,
    /// When it was first sent, if it was: then only a repeat is left to do.
    pub(crate) first_sent: Option<Instant>,
}

impl Command {
    /// A publish whose connection broke, to be sent again.
    pub(crate) fn again(
        publish: Publish,
        caller: Caller,
        sent: Instant,
        options: &Options,
    ) -> Self {
        let patience = Duration::from_millis(options.offline_ms_max);
        Self {
            request: Request::Publish(publish),
            caller,
            until: (Instant::now() + patience).min(sent + REPEAT_WINDOW),
            patience_ms: options.offline_ms_max,
            first_sent: Some(sent),
        }
    }

    /// The id and name of a publish that the server may have got already.
    pub(crate) fn repeated(&self) -> Option<(String, String)> {
        match (&self.request, self.first_sent) {
            (Request::Publish(publish), Some(_)) => {
                Some((publish.id.clone()?, publish.name.clone()?))
            }
            _ => None,
        }
    }

    /// Tells the caller that it took too long.
    pub(crate) fn give_up(self) {
        let waited_ms = self.patience_ms;
        answer(Some(self.caller), Err(Error::NoAnswer { waited_ms }));
    }
}

/// The requests that wait.
pub(crate) struct Outbox {
    waiting: VecDeque<Command>,
    bytes: usize,
    /// The earliest `until` among them, or an earlier one that has gone since.
    check_at: Option<Instant>,
    messages_max: usize,
    bytes_max: usize,
    /// Why nothing will be sent any more.
    ended: Option<Error>,
}

impl Outbox {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            check_at: None,
            messages_max: options.offline_messages_max,
            bytes_max: options.offline_bytes_max,
            ended: None,
        }
    }

    /// Takes a request while there is no connection, or refuses it.
    pub(crate) fn take(&mut self, command: Command) {
        if let Some(error) = &self.ended {
            return answer(Some(command.caller), Err(error.clone()));
        }
        let bytes = self.bytes + command.request.bytes();
        if self.waiting.len() >= self.messages_max || bytes > self.bytes_max {
            let full = Error::Full {
                messages: self.waiting.len(),
                bytes: self.bytes,
            };
            return answer(Some(command.caller), Err(full));
        }
        self.note(&command);
        self.waiting.push_back(command);
    }

    /// Takes back what was under way on a connection that broke, oldest first.
    pub(crate) fn put_back(&mut self, commands: Vec<Command>) {
        for command in commands.into_iter().rev() {
            self.note(&command);
            self.waiting.push_front(command);
        }
    }

    fn note(&mut self, command: &Command) {
        self.bytes += command.request.bytes();
        let earliest = self
            .check_at
            .map_or(command.until, |at| at.min(command.until));
        self.check_at = Some(earliest);
    }

    /// The next request to send.
    pub(crate) fn pop(&mut self) -> Option<Command> {
        loop {
            let command = self.waiting.pop_front()?;
            self.bytes -= command.request.bytes();
            if self.waiting.is_empty() {
                self.check_at = None;
            }
            if command.until > Instant::now() {
                return Some(command);
            }
            command.give_up();
        }
    }

    /// The requests that wait.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Command> {
        self.waiting.iter()
    }

    /// When to call [`Outbox::expire`].
    pub(crate) fn check_at(&self) -> Option<Instant> {
        self.check_at
    }

    /// Answers what has waited too long.
    pub(crate) fn expire(&mut self) {
        let now = Instant::now();
        let waiting = std::mem::take(&mut self.waiting);
        (self.bytes, self.check_at) = (0, None);
        for command in waiting {
            if command.until <= now {
                command.give_up();
            } else {
                self.note(&command);
                self.waiting.push_back(command);
            }
        }
    }

    /// Answers everything that waits, and all that comes later, with why nothing will be sent.
    pub(crate) fn end(&mut self, error: &Error) {
        for command in self.waiting.drain(..) {
            answer(Some(command.caller), Err(error.clone()));
        }
        (self.bytes, self.check_at) = (0, None);
        self.ended = Some(error.clone());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::sync::oneshot;

    use super::*;
    use crate::native::Answer;

    type Heard = oneshot::Receiver<Result<Answer, Error>>;

    fn command(text: &str, patience_ms: u64) -> (Command, Heard) {
        let (caller, heard) = oneshot::channel();
        let command = Command {
            request: Request::Publish(Publish::to("r", text)),
            caller,
            until: Instant::now() + Duration::from_millis(patience_ms),
            patience_ms,
            first_sent: None,
        };
        (command, heard)
    }

    fn outbox(messages_max: usize, bytes_max: usize) -> Outbox {
        Outbox::new(&Options {
            offline_messages_max: messages_max,
            offline_bytes_max: bytes_max,
            ..Options::default()
        })
    }

    fn text(command: &Command) -> String {
        match &command.request {
            Request::Publish(Publish {
                content: crate::request::Content::One(crate::Body::Text(text)),
                ..
            }) => text.clone(),
            _ => String::new(),
        }
    }

    #[tokio::test]
    async fn what_finds_no_space_is_refused_at_once_and_the_rest_stays() {
        let mut by_count = outbox(2, 1 << 20);
        let mut by_bytes = outbox(100, 2_000);
        let long = "x".repeat(900);
        for outbox in [&mut by_count, &mut by_bytes] {
            let mut heard = Vec::new();
            for _ in 0..3 {
                let (command, answer) = command(&long, 1_000);
                outbox.take(command);
                heard.push(answer);
            }
            let refused = heard.pop().unwrap().await.unwrap().unwrap_err();
            assert!(
                matches!(refused, Error::Full { messages: 2, bytes } if bytes > 1_800),
                "{refused:?}"
            );
            assert_eq!(outbox.iter().count(), 2);
            while outbox.pop().is_some() {}
            assert_eq!((outbox.bytes, outbox.check_at), (0, None));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_waited_too_long_is_answered_and_never_sent() {
        let mut outbox = outbox(10, 1 << 20);
        let (first, first_heard) = command("short", 10);
        let (second, _second_heard) = command("long", 1_000);
        outbox.take(first);
        outbox.take(second);
        tokio::time::sleep_until(outbox.check_at().unwrap()).await;
        outbox.expire();
        assert_eq!(
            first_heard.await.unwrap().unwrap_err(),
            Error::NoAnswer { waited_ms: 10 }
        );
        assert_eq!(text(&outbox.pop().unwrap()), "long");
        assert!(outbox.pop().is_none());
    }

    #[tokio::test]
    async fn what_comes_back_goes_first_in_its_order() {
        let mut outbox = outbox(1, 1 << 20);
        let (waits, _waits_heard) = command("c", 1_000);
        outbox.take(waits);
        let (a, _a_heard) = command("a", 1_000);
        let (b, _b_heard) = command("b", 1_000);
        outbox.put_back(vec![a, b]);
        let order: Vec<String> = std::iter::from_fn(|| outbox.pop())
            .map(|c| text(&c))
            .collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}
