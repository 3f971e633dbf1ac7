//! Surveys: lists of rooms and Conns over all cores, and what is done to many Conns at once.
//!
//! A survey goes from core to core over the links, looks at a slice of what is there in each turn, and comes back to who asked with what it has found. So no
//! core looks at more than [`LOOKS_PER_SLICE`] places for it at once, however many there are, and a page is never larger than its limit.

use std::collections::VecDeque;
use std::sync::Arc;

use taut_gate::http::api::{ConnFacts, Conns, Cursor, Deed, Found, RoomsCursor, Select};
use taut_hub::{ConnId, Pattern, RoomName, StoreError};

use super::listing::{Kept, Listing};
use super::{Core, Flag, Name, Parcel};
use crate::talk::Talk;

/// Places that one slice looks at.
const LOOKS_PER_SLICE: u32 = 1_024;
/// Slices of one turn; the other surveys wait.
const SLICES_PER_TURN: usize = 4;
/// Surveys under way that the Conns of one core have asked for; more are refused.
const SURVEYS_MAX: usize = 64;
/// Rooms of a Conn that are listed; the others are only counted.
const ROOMS_LISTED: usize = 16;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Survey {
    asker: (u16, ConnId),
    pub(crate) what: What,
    /// Where it looks next; behind the last core it is over.
    pub(super) at: Cursor,
    /// How many entries it may still bring.
    pub(super) left: u32,
    pub(crate) found: Found,
    /// It goes back to who asked.
    is_over: bool,
    /// The store could not say which rooms it has.
    pub(crate) failure: Option<StoreError>,
}

/// What a survey looks for.
#[derive(Debug)]
pub(crate) enum What {
    /// Rooms that a pattern covers.
    Rooms(Box<(Pattern, Kept)>),
    /// Conns, to do something to them.
    Conns(Box<Conns>),
}

/// The surveys at a core.
#[derive(Debug, Default)]
pub(crate) struct Surveys {
    here: VecDeque<Box<Survey>>,
    /// How many its own Conns wait for.
    asked: usize,
    pub(super) listing: Listing,
}

impl Survey {
    /// Where the next page begins, as the answer has it; `None` behind the end.
    pub(crate) fn next(&self, cores: u16, has_store: bool) -> Option<String> {
        if self.at.core < cores {
            return Some(self.at.to_string());
        }
        let What::Rooms(rooms) = &self.what else {
            return None;
        };
        match &rooms.1 {
            Kept::After(after) if has_store => Some(RoomsCursor::Store(after.clone()).to_string()),
            _ => None,
        }
    }

    pub(super) fn go_on_behind(&mut self, place: Option<u32>) {
        self.at = match place {
            Some(place) => Cursor {
                core: self.at.core,
                place,
            },
            None => Cursor {
                core: self.at.core.saturating_add(1),
                place: 0,
            },
        };
    }
}

impl Core {
    /// Sends a survey off; false where too many are under way.
    pub(crate) fn survey(
        &mut self,
        asker: ConnId,
        what: What,
        at: Cursor,
        left: u32,
        found: Found,
    ) -> bool {
        if self.surveys.asked >= SURVEYS_MAX {
            return false;
        }
        self.surveys.asked += 1;
        self.pass_on(Box::new(Survey {
            asker: (self.id, asker),
            what,
            at,
            left,
            found,
            is_over: false,
            failure: None,
        }));
        true
    }

    /// Takes in a survey that another core has sent.
    pub(super) fn take_survey(&mut self, survey: Box<Survey>) {
        if survey.is_over {
            self.surveys.asked = self.surveys.asked.saturating_sub(1);
            let (_, asker) = survey.asker;
            self.survey_done(asker, &survey);
        } else {
            self.pass_on(survey);
        }
    }

    /// Looks at the next slice of each survey that is here.
    pub(super) fn look_around(&mut self) {
        for _ in 0..self.surveys.here.len().min(SLICES_PER_TURN) {
            let Some(mut survey) = self.surveys.here.pop_front() else {
                break;
            };
            self.look(&mut survey);
            self.pass_on(survey);
        }
        if !self.surveys.here.is_empty() {
            self.alert.raise();
        }
    }

    pub(super) fn pass_on(&mut self, mut survey: Box<Survey>) {
        let is_round = survey.at.core >= self.cores;
        if is_round {
            survey.come_round();
        }
        let has_store = self.safe.is_some() && survey.failure.is_none();
        let lists = is_round && has_store && survey.left > 0 && survey.request(0).is_some();
        survey.is_over |= survey.left == 0 || (is_round && !lists);
        let to = if survey.is_over || lists {
            survey.asker.0
        } else {
            survey.at.core
        };
        if to != self.id {
            self.links.send(to, Parcel::Survey(survey));
        } else if survey.is_over {
            self.take_survey(survey);
        } else if lists {
            self.ask_for_rooms(survey);
        } else {
            self.surveys.here.push_back(survey);
            self.alert.raise();
        }
    }

    fn look(&mut self, survey: &mut Survey) {
        match &survey.what {
            What::Rooms(rooms) if matches!(rooms.1, Kept::Found(_)) => self.take_out_known(survey),
            What::Rooms(rooms) => {
                let pattern = &rooms.0;
                let wanted = |name: &RoomName| pattern.matches(name.as_str());
                let (from, left) = (survey.at.place, survey.left as usize);
                let slice = self.shard.rooms_slice(from, LOOKS_PER_SLICE, left, wanted);
                survey.left -= u32::try_from(slice.rooms.len()).unwrap_or(survey.left);
                if let Found::Rooms(rooms) = &mut survey.found {
                    rooms.extend(slice.rooms);
                }
                survey.go_on_behind(slice.next);
            }
            What::Conns(_) => self.look_at_conns(survey),
        }
    }

    fn look_at_conns(&mut self, survey: &mut Survey) {
        let What::Conns(conns) = &survey.what else {
            return;
        };
        // Whoever asks is to hear what came of it.
        let asker = matches!(conns.deed, Deed::Disconnect).then_some(survey.asker);
        if let Some((_, id)) = conns.select.conn {
            if asker != Some((self.id, id)) && self.is_selected(id, &conns.select) {
                self.do_to(id, &conns.deed.clone(), &mut survey.found);
            }
            survey.at = Cursor {
                core: u16::MAX,
                place: 0,
            };
            return;
        }
        let (conns, end) = (conns.clone(), self.conns.places());
        let (mut place, from) = (survey.at.place, survey.at.place);
        while place < end && place - from < LOOKS_PER_SLICE && survey.left > 0 {
            if let Some(id) = self.conns.id(place)
                && asker != Some((self.id, id))
                && self.is_selected(id, &conns.select)
            {
                self.do_to(id, &conns.deed, &mut survey.found);
                survey.left -= 1;
            }
            place += 1;
        }
        survey.go_on_behind((place < end).then_some(place));
    }

    fn is_selected(&mut self, id: ConnId, select: &Select) -> bool {
        let is_other = |(core, conn)| (core, conn) != (self.id, id);
        if select.conn.is_some_and(is_other) {
            return false;
        }
        let Some(conn) = self.conns.find(id) else {
            return false;
        };
        let is_leaving = conn.flags.has(Flag::Closing) || conn.flags.has(Flag::Lingering);
        // That one speaks for all who have not proved their address.
        if is_leaving || matches!(conn.talk, Talk::Unproven(_)) {
            return false;
        }
        let door = conn.door().0;
        if select.door.as_ref().is_some_and(|wanted| wanted != door) {
            return false;
        }
        if let Some(user) = &select.user
            && self.shard.standing(id).0 != Some(user)
        {
            return false;
        }
        if let Some(room) = &select.room
            && !self.is_in(id, room)
        {
            return false;
        }
        let Some(address) = select.address else {
            return true;
        };
        let found = self.client_address(id).or_else(|| self.polls_from(id));
        found.is_some_and(|found| found.to_canonical() == address.to_canonical())
    }

    /// Whether a Conn is a member of a room.
    pub(crate) fn is_in(&self, id: ConnId, room: &RoomName) -> bool {
        let room = self.shard.find(room);
        let mut memberships = self.shard.memberships(id).iter();
        room.is_some_and(|room| memberships.any(|membership| membership.room == room))
    }

    /// A Conn, as the API shows it.
    pub(crate) fn facts_of(&mut self, id: ConnId) -> Option<ConnFacts> {
        // Behind a proxy, whom it names.
        let client = self.identities.client(id);
        let address = client
            .map(|client| client.to_string())
            .or_else(|| self.address_of(id).map(|address| address.to_string()))
            .or_else(|| self.polls_from(id).map(|address| address.to_string()));
        let now_ms = self.now.mono_ms;
        let conn = self.conns.find(id)?;
        let (door, silent_ms) = (conn.door().0, conn.silent_ms(now_ms));
        let name = match &conn.name {
            Name::Known(name) => Some(name.to_string()),
            Name::Guest(0) => None,
            Name::Guest(number) => Some(Name::of_guest(*number).to_string()),
        };
        let memberships = self.shard.memberships(id);
        let rooms = memberships
            .iter()
            .take(ROOMS_LISTED)
            .filter_map(|membership| self.shard.room(membership.room))
            .map(|room| room.name().clone())
            .collect();
        Some(ConnFacts {
            id: taut_gate::conn_id(self.id, id),
            door,
            name,
            user: self.shard.standing(id).0.map(ToString::to_string),
            address,
            rooms,
            rooms_count: memberships.len(),
            silent_ms,
        })
    }

    /// How a room behaves that may be anywhere.
    pub(crate) fn policy_of(&self, room: &RoomName) -> Arc<taut_hub::RoomPolicy> {
        self.shard.policy_of(room)
    }
}

/// What a survey begins with that is to do this.
pub(crate) fn nothing_found(deed: &Deed) -> Found {
    match deed {
        Deed::List => Found::Conns(Vec::new()),
        Deed::Explain(_) => Found::Grant(None),
        Deed::Disconnect | Deed::Join(_) | Deed::Leave(_) => Found::Done(Default::default()),
    }
}
