//! What only a room's home does: it numbers messages, knows who is present, and remembers what every relay has got.

use crate::keyed::Keyed;
use crate::room::durable::Durable;
use crate::room::ids::Ids;
use crate::room::roster::Presence;
use crate::room::state::State;

/// The home's side of a room.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) presence: Presence,
    /// How many users in their grace the shard has counted here.
    pub(crate) ghosts_counted: usize,
    pub(crate) ids: Ids,
    pub(crate) state: State,
    /// How it stands to the store, where it is kept. Boxed: small rooms in memory are many.
    pub(crate) durable: Option<Box<Durable>>,
    /// The other cores with members.
    pub(crate) relays: Vec<RelayCursor>,
}

/// What one other core has got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayCursor {
    pub(crate) core: u16,
    /// The offset of the last message handed to its link.
    pub(crate) sent: u64,
    /// The number of the last message of the lane `latest` handed to its link.
    pub(crate) latest: u32,
    /// How many of its Conns are in the room: at 0 it is detached.
    pub(crate) members: u32,
    /// How many of them asked to hear who comes and goes.
    pub(crate) watchers: u32,
}

impl Home {
    pub(crate) fn new(keyed: Keyed, durable: Option<Durable>) -> Self {
        Self {
            presence: Presence::new(keyed),
            ghosts_counted: 0,
            ids: Ids::new(keyed),
            state: State::new(keyed),
            durable: durable.map(Box::new),
            relays: Vec::new(),
        }
    }

    /// Counts one more Conn of `core`; a core that comes anew gets what follows `head`, and on the lane `latest` what follows `latest`.
    pub(crate) fn attach(&mut self, core: u16, head: u64, latest: u32) -> &mut RelayCursor {
        let index = match self.relays.iter().position(|relay| relay.core == core) {
            Some(index) => index,
            None => {
                self.relays.push(RelayCursor {
                    core,
                    sent: head,
                    latest,
                    members: 0,
                    watchers: 0,
                });
                self.relays.len() - 1
            }
        };
        let relay = &mut self.relays[index];
        relay.members += 1;
        relay
    }

    /// Counts one Conn of `core` less, and forgets the core with the last one.
    pub(crate) fn detach(&mut self, core: u16, watched: bool) {
        if let Some(index) = self.relays.iter().position(|relay| relay.core == core) {
            let relay = &mut self.relays[index];
            relay.members = relay.members.saturating_sub(1);
            relay.watchers = relay.watchers.saturating_sub(u32::from(watched));
            if relay.members == 0 {
                self.relays.swap_remove(index);
            }
        }
    }
}
