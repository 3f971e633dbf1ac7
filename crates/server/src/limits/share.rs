//! What one Conn has of its user's account: a place, and the rooms that it is in.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Over;
use super::account::{Account, Place};
use super::shared::CROWDED_MS;

/// See the [module](self). Dropped, it gives all of it back.
#[derive(Debug)]
pub(crate) struct Share {
    place: Place,
    user: Arc<str>,
    /// Rooms that are counted for it: those that it is in, or is about to be in.
    rooms: u32,
}

impl Share {
    pub(super) fn new(place: Place, user: Arc<str>) -> Self {
        Self {
            place,
            user,
            rooms: 0,
        }
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        self.place.account()
    }

    pub(super) fn user(&self) -> &Arc<str> {
        &self.user
    }

    /// Counts one more room before the Conn is in it, unless there are as many as may be; 0 is no bound.
    pub(super) fn take_room(&mut self, rooms_max: u32) -> Result<(), Over> {
        let one_more = |rooms: u32| (rooms_max == 0 || rooms < rooms_max).then_some(rooms + 1);
        let rooms = &self.account().rooms;
        rooms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| Over {
                text: "your user is in as many rooms as limits.user.rooms_max allows; leave one",
                wait_ns: CROWDED_MS * 1_000_000,
            })?;
        self.rooms += 1;
        Ok(())
    }

    /// Counts as many rooms as there are.
    pub(super) fn count_rooms(&mut self, now: u32) {
        let rooms = &self.account().rooms;
        if now > self.rooms {
            rooms.fetch_add(now - self.rooms, Ordering::Relaxed);
        } else {
            rooms.fetch_sub(self.rooms - now, Ordering::Relaxed);
        }
        self.rooms = now;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.count_rooms(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rooms_are_counted_over_all_conns_and_given_back_with_them() {
        let account = Arc::new(Account::default());
        let share = || Share::new(Place::take(&account, 0).unwrap(), "ana".into());
        let (mut one, mut other) = (share(), share());
        one.take_room(3).unwrap();
        one.take_room(3).unwrap();
        other.take_room(3).unwrap();
        assert!(one.take_room(3).is_err() && other.take_room(3).is_err());
        // A join was refused.
        one.count_rooms(1);
        other.take_room(3).unwrap();
        drop(other);
        assert_eq!(account.rooms.load(Ordering::Relaxed), 1);
        drop(one);
        assert_eq!(account.rooms.load(Ordering::Relaxed), 0);
        assert_eq!(account.conns(), 0);
    }
}
