//! The lane `latest` of a room: what was said last under each key, for as long as a member or another core here has not had it.
//!
//! Nothing on it has a position, and nothing is kept. The numbers are this shard's own: members and relays hold one each as their cursor.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::keyed::Keyed;
use crate::message::Message;

/// The messages of the lane that somebody has not had yet, the newest of each key, else of each event.
#[derive(Debug)]
pub struct Latest {
    /// The number of the newest message ever said here.
    newest: u32,
    pending: BTreeMap<u32, Arc<Message>>,
    /// Which of them is the newest of its label.
    numbers: HashMap<Label, u32, Keyed>,
    cost_bytes: u64,
}

/// What a message is the newest of.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Label {
    Key(Arc<str>),
    /// Of those without a key. `None` is `message`.
    Event(Option<Arc<str>>),
}

impl Label {
    fn of(message: &Message) -> Self {
        match &message.key {
            Some(key) => Self::Key(Arc::clone(key)),
            None => Self::Event(message.event.clone().filter(|event| &**event != "message")),
        }
    }
}

impl Latest {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            newest: 0,
            pending: BTreeMap::new(),
            numbers: HashMap::with_hasher(keyed),
            cost_bytes: 0,
        }
    }

    /// The number of the newest message ever said here; 0 before the first.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.newest
    }

    /// The pending messages behind `cursor` with their numbers, oldest first.
    pub fn after(&self, cursor: u32) -> impl DoubleEndedIterator<Item = (u32, &Arc<Message>)> {
        let behind = cursor.saturating_add(1)..;
        self.pending
            .range(behind)
            .map(|(number, message)| (*number, message))
    }

    /// How many messages are pending.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// What the pending messages cost, in bytes.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        self.cost_bytes
    }

    /// Takes a message in the place of the one before it under the same label. Beyond either bound the oldest goes, whoever has not had it;
    /// the newest always stays.
    pub(crate) fn say(&mut self, message: Arc<Message>, keys_max: u32, bytes_max: u64) {
        self.newest += 1;
        self.cost_bytes += message.cost_bytes();
        if let Some(older) = self.numbers.insert(Label::of(&message), self.newest)
            && let Some(older) = self.pending.remove(&older)
        {
            self.cost_bytes -= older.cost_bytes();
        }
        self.pending.insert(self.newest, message);
        while self.pending.len() > 1
            && (self.pending.len() > keys_max as usize || self.cost_bytes > bytes_max)
        {
            self.forget_oldest();
        }
    }

    /// Forgets what everybody has had: all up to this number.
    pub(crate) fn forget(&mut self, up_to: u32) {
        while self
            .pending
            .first_key_value()
            .is_some_and(|(oldest, _)| *oldest <= up_to)
        {
            self.forget_oldest();
        }
        if self.pending.is_empty() {
            // A room that is quiet keeps no table.
            self.numbers = HashMap::with_hasher(*self.numbers.hasher());
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, message)) = self.pending.pop_first() {
            self.cost_bytes -= message.cost_bytes();
            self.numbers.remove(&Label::of(&message));
        }
    }

    /// Numbers what is pending anew, from 1 on, when the numbers have come to their end. Gives the old ones in order: a cursor becomes the
    /// count of those up to it.
    pub(crate) fn renumber(&mut self) -> Vec<u32> {
        let (old, messages): (Vec<u32>, Vec<Arc<Message>>) =
            std::mem::take(&mut self.pending).into_iter().unzip();
        self.pending = (1..).zip(messages).collect();
        for (number, message) in &self.pending {
            self.numbers.insert(Label::of(message), *number);
        }
        self.newest = u32::try_from(old.len()).unwrap_or(0);
        old
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::conn::Door;
    use crate::message::{Body, Effect, Lane};

    fn message(key: Option<&str>, event: Option<&str>, body: &'static str) -> Arc<Message> {
        Arc::new(Message {
            offset: 0,
            time_ms: 0,
            event: event.map(Arc::from),
            key: key.map(Arc::from),
            id: None,
            from: "ana".into(),
            door: Door("sim"),
            body: Body::Text(body.into()),
            effect: Effect::None,
            lane: Lane::Latest,
            origin: None,
            is_members: false,
            born_ms: 0,
            end_bytes: 0,
        })
    }

    fn bodies(latest: &Latest, cursor: u32) -> Vec<String> {
        latest
            .after(cursor)
            .map(|(_, message)| String::from_utf8(message.body.bytes().to_vec()).unwrap())
            .collect()
    }

    fn said(messages: &[(Option<&str>, Option<&str>, &'static str)], keys_max: u32) -> Latest {
        let mut latest = Latest::new(Keyed(1));
        for (key, event, body) in messages {
            latest.say(message(*key, *event, body), keys_max, 1 << 20);
        }
        latest
    }

    #[test]
    fn the_newest_of_a_key_or_else_of_an_event_stays() {
        let latest = said(
            &[
                (Some("a"), None, "1"),
                (Some("b"), Some("move"), "2"),
                (None, None, "3"),
                (None, Some("message"), "4"),
                (None, Some("move"), "5"),
                (Some("a"), Some("move"), "6"),
            ],
            100,
        );
        assert_eq!(bodies(&latest, 0), ["2", "4", "5", "6"]);
        assert_eq!(bodies(&latest, 4), ["5", "6"]);
    }

    #[test]
    fn beyond_its_bounds_the_oldest_goes() {
        let keys = [
            (Some("a"), None, "1"),
            (Some("b"), None, "2"),
            (Some("c"), None, "3"),
        ];
        let mut latest = said(&keys, 2);
        assert_eq!(bodies(&latest, 0), ["2", "3"]);
        latest.say(message(Some("d"), None, "4"), 2, 1);
        assert_eq!(bodies(&latest, 0), ["4"]);
        assert_eq!(
            latest.cost_bytes(),
            message(Some("d"), None, "4").cost_bytes()
        );
    }

    #[test]
    fn what_everybody_has_had_is_forgotten() {
        let mut latest = said(&[(Some("a"), None, "1"), (Some("b"), None, "2")], 9);
        latest.forget(1);
        assert_eq!(bodies(&latest, 0), ["2"]);
        latest.forget(2);
        assert!(latest.is_empty() && latest.cost_bytes() == 0);
        assert_eq!(latest.newest(), 2);
    }

    #[test]
    fn numbers_that_come_to_their_end_begin_anew() {
        let mut latest = said(&[(Some("a"), None, "1"), (Some("b"), None, "2")], 9);
        latest.newest = u32::MAX - 1;
        latest.say(message(Some("c"), None, "3"), 9, 1 << 20);
        assert_eq!(latest.renumber(), [1, 2, u32::MAX]);
        assert_eq!(latest.newest(), 3);
        latest.say(message(Some("a"), None, "4"), 9, 1 << 20);
        assert_eq!(bodies(&latest, 1), ["2", "3", "4"]);
    }
}
