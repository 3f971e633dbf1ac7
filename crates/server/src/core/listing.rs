//! Rooms that only the store has, in a list: they come behind those in memory.
//!
//! The core that was asked asks the store for the next ones, by their names, and the [`Survey`] goes round once more, for each core to take out those whose home
//! it is. So a room stands in a list once, and none is loaded for it.

use std::collections::HashMap;

use taut_gate::http::api::{Cursor, Found};
use taut_hub::{RoomList, RoomName, StoreError, StoreRequest};

use super::Core;
use super::survey::{Survey, What};

/// How far a list of rooms has come with those that the store has.
#[derive(Debug)]
pub(crate) enum Kept {
    /// The next ones are behind this name.
    After(Option<RoomName>),
    /// These; those that are in memory are taken out on the way.
    Found(RoomList),
    /// There are no more.
    Done,
}

/// Surveys that wait for the store; as many as were asked for at most.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    waiting: HashMap<u64, Box<Survey>>,
    last: u64,
}

impl Survey {
    /// It has been at every core: what they have left of the store's rooms is found.
    pub(super) fn come_round(&mut self) {
        let What::Rooms(rooms) = &mut self.what else {
            return;
        };
        if let Kept::Found(list) = &mut rooms.1 {
            let next = list.next.take();
            let kept = std::mem::take(&mut list.rooms);
            self.left -= u32::try_from(kept.len()).unwrap_or(self.left);
            if let Found::Rooms(found) = &mut self.found {
                found.extend(kept);
            }
            rooms.1 = next.map_or(Kept::Done, |next| Kept::After(Some(next)));
        }
    }

    /// What it wants of the store.
    pub(super) fn request(&self, id: u64) -> Option<StoreRequest> {
        let What::Rooms(rooms) = &self.what else {
            return None;
        };
        let (pattern, Kept::After(after)) = &**rooms else {
            return None;
        };
        Some(StoreRequest::List {
            id,
            after: after.clone(),
            pattern: pattern.clone(),
            rooms_max: self.left,
        })
    }
}

impl Core {
    /// Asks the store for the rooms that follow.
    pub(super) fn ask_for_rooms(&mut self, survey: Box<Survey>) {
        let listing = &mut self.surveys.listing;
        listing.last += 1;
        let id = listing.last;
        if let (Some(safe), Some(request)) = (&mut self.safe, survey.request(id)) {
            safe.ask(request);
            listing.waiting.insert(id, survey);
            self.alert.raise();
        }
    }

    /// The store has said which rooms it has.
    pub(super) fn rooms_listed(&mut self, id: u64, result: Result<RoomList, StoreError>) {
        let Some(mut survey) = self.surveys.listing.waiting.remove(&id) else {
            return;
        };
        let What::Rooms(rooms) = &mut survey.what else {
            return;
        };
        match result {
            Ok(list) => {
                rooms.1 = Kept::Found(list);
                survey.at = Cursor::default();
            }
            Err(error) => survey.failure = Some(error),
        }
        self.pass_on(survey);
    }

    /// Takes out of what the store has what is in memory here: it was listed already.
    pub(super) fn take_out_known(&self, survey: &mut Survey) {
        if let What::Rooms(rooms) = &mut survey.what
            && let Kept::Found(list) = &mut rooms.1
        {
            list.rooms.retain(|room| !self.shard.is_home_of(&room.name));
        }
        survey.go_on_behind(None);
    }
}
