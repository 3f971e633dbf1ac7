//! What time does to rooms: ages, graces, windows, batches of presence; and the budget of memory.

use std::sync::Arc;

use crate::policy::History;
use crate::room::{Role, RoomId};

use super::{LinkMessage, Output, Shard};

/// How long an overdue room waits for its next look, in milliseconds.
const OVERDUE_MS: u64 = 250;
/// How long what is pending on the lane `latest` lies until it is looked whether somebody still needs it, in milliseconds: who had not had it may
/// have gone.
const LATEST_MS: u64 = 1_000;

impl Shard {
    /// Looks after the rooms whose time has come, a bounded number at once.
    pub(super) fn tick(&mut self, out: &mut Vec<Output>) {
        self.adopt_some(out);
        for _ in 0..self.limits.tick_rooms_max {
            let Some((at, id)) = self.alarms.first().copied() else {
                return;
            };
            if at > self.now.mono_ms {
                return;
            }
            self.alarms.pop_first();
            self.look_after(id, out);
        }
    }

    fn look_after(&mut self, id: RoomId, out: &mut Vec<Output>) {
        let (now_ms, listed_max, window_ms) = (
            self.now.mono_ms,
            self.limits.presence_listed_max,
            self.limits.id_window_ms,
        );
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        room.alarm_ms = None;
        let tries_again = room.retry_ms.is_some_and(|at| at <= now_ms);
        if tries_again {
            room.retry_ms = None;
        }
        room.look_for_lowest();
        if let Role::Home(home) = &mut room.role {
            home.presence.expire(now_ms, listed_max);
            home.ids.expire(now_ms, window_ms);
        }
        if tries_again {
            self.try_broken(id, out);
            self.mark_dirty(id, out);
        }
        self.expire_keys(id, out);
        self.settle_latest(id);
        self.trim(id);
        self.count_ghosts(id);
        self.announce(id, out);
        self.set_alarm(id);
        self.remove_if_empty(id);
    }

    /// Keeps the count of all who are in their grace, in all rooms.
    pub(super) fn count_ghosts(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.at_mut(id)
            && let Role::Home(home) = &mut room.role
        {
            let ghosts = home.presence.ghosts();
            self.ghosts -= std::mem::replace(&mut home.ghosts_counted, ghosts);
            self.ghosts += ghosts;
        }
    }

    /// Says who came and went: at once in a small room, in batches in a large one.
    pub(super) fn announce(&mut self, id: RoomId, out: &mut Vec<Output>) {
        let (now_ms, limits, core) = (self.now.mono_ms, self.limits, self.core);
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let Role::Home(home) = &mut room.role else {
            return;
        };
        if !home.presence.has_news() {
            return;
        }
        // By connections: one user may have as many as there are watchers, and each is news.
        let small = home.presence.conns() < limits.presence_at_once_max;
        if !small && now_ms < home.presence.said_ms + limits.presence_interval_ms {
            return;
        }
        home.presence.said_ms = now_ms;
        let Some(change) = home.presence.take_news().map(Arc::new) else {
            return;
        };
        // Who asked while the policy allowed it hears nothing since it does not.
        if !room.policy.presence {
            return;
        }
        if room.members.iter().any(|member| member.presence.is_on()) {
            out.push(Output::Presence {
                room: id,
                change: Arc::clone(&change),
            });
        }
        for relay in home.relays.iter().filter(|relay| relay.watchers > 0) {
            debug_assert_ne!(relay.core, core);
            out.push(Output::Link {
                to: relay.core,
                message: LinkMessage::Presence {
                    room: room.name.clone(),
                    change: Arc::clone(&change),
                },
            });
        }
    }

    /// Sets the room's alarm to the first thing that time will do to it.
    pub(super) fn set_alarm(&mut self, id: RoomId) {
        let limits = self.limits;
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let pends = room.latest().is_some_and(|latest| !latest.is_empty());
        let pending = pends.then(|| self.now.mono_ms + LATEST_MS);
        let Role::Home(home) = &room.role else {
            let due = [room.retry_ms, pending].into_iter().flatten().min();
            return self.lay_alarm(id, due);
        };
        let news = home
            .presence
            .has_news()
            .then(|| home.presence.said_ms + limits.presence_interval_ms);
        let age = room
            .log
            .front_born_ms()
            .map(|born_ms| born_ms.saturating_add(room.policy.history.age_ms_max) + 1);
        let ids = home.ids.oldest_ms().map(|at| at + limits.id_window_ms);
        // On the monotonic clock, as far as the two agree now.
        let key = home.state.ends_ms().filter(|_| home.is_open()).map(|at| {
            let wait_ms = at.saturating_sub(self.now.unix_ms);
            self.now.mono_ms.saturating_add(wait_ms)
        });
        let due = [
            news,
            home.presence.ghost_due_ms(),
            age,
            ids,
            key,
            room.retry_ms,
            pending,
        ]
        .into_iter()
        .flatten()
        .min();
        // What is overdue is needed by a reader still; it is looked at again, but not in every turn.
        let now_ms = self.now.mono_ms;
        let due = due.map(|due| {
            if due > now_ms {
                due
            } else {
                now_ms + OVERDUE_MS
            }
        });
        self.lay_alarm(id, due);
    }

    /// An alarm that is early costs one look; moving it at every publish would cost more.
    fn lay_alarm(&mut self, id: RoomId, due: Option<u64>) {
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let Some(due) = due.filter(|due| room.alarm_ms.is_none_or(|set| *due < set)) else {
            return;
        };
        if let Some(old) = room.alarm_ms.replace(due) {
            self.alarms.remove(&(old, id));
        }
        self.alarms.insert((due, id));
    }

    pub(super) fn trim(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.at_mut(id) {
            let tail = History {
                messages_max: self.limits.tail_messages_max,
                bytes_max: self.limits.tail_bytes_max,
                ..room.policy().history
            };
            let relay_bytes_max = self.limits.relay_bytes_max;
            self.log_bytes -= room.trim(self.now.mono_ms, tail, relay_bytes_max);
        }
    }

    /// Lets the least used rooms forget while all together remember too much. A room that was touched since the hand last passed is
    /// spared once; the room `spared`, just published to, comes last.
    pub(super) fn keep_budget(&mut self, spared: RoomId) {
        for _ in 0..self.limits.eviction_steps_max {
            if self.log_bytes <= self.limits.history_bytes_max {
                return;
            }
            let Some(id) = self.rooms.turn_hand() else {
                continue;
            };
            let Some(room) = self.rooms.at_mut(id) else {
                continue;
            };
            if id == spared || std::mem::take(&mut room.used) {
                continue;
            }
            self.log_bytes -= room.log.reset(room.log.head());
            self.remove_if_empty(id);
        }
        // Nobody else has anything left to forget.
        while self.log_bytes > self.limits.history_bytes_max
            && let Some(room) = self.rooms.at_mut(spared)
            && room.log.len() > 1
        {
            self.log_bytes -= room.log.forget_front();
        }
    }
}
