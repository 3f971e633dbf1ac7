//! What goes wrong beyond single Conns: disks that fail, and servers that are killed.

use std::collections::{BTreeMap, BTreeSet};

use taut_hub::{Durability, Epoch, Input, Policies, Shard, Store, Tail};

use crate::check::Broken;
use crate::weather::ROOMS;
use crate::world::World;

impl World {
    /// Now and then the disk begins to fail, or the server is killed.
    pub(crate) fn disaster(&mut self) -> Result<(), Broken> {
        if self.weather.store_ms_max.is_none() {
            return Ok(());
        }
        if self.random.once_in(self.weather.faults_once_in) {
            self.disk.break_something(&mut self.random);
        }
        if self.random.once_in(self.weather.crash_once_in) {
            self.crash()?;
        }
        Ok(())
    }

    /// The store works off what is due, and its answers reach the cores.
    pub(crate) fn turn_disk(&mut self) -> Result<(), Broken> {
        let Some(store_ms_max) = self.weather.store_ms_max else {
            return Ok(());
        };
        self.disk
            .work(self.now_ms, &mut self.random, store_ms_max)?;
        while let Some((core, answer)) = self.disk.answer(self.now_ms) {
            self.hub(core, Input::Stored { answer })?;
        }
        if self.random.once_in(10) {
            let forgotten =
                self.disk
                    .expire(self.now_ms, self.now().unix_ms, self.weather.cores)?;
            for (room, first) in forgotten {
                self.truth.forgotten(&room, first);
            }
        }
        Ok(())
    }

    /// `kill -9`, and a new server on what the old one kept.
    fn crash(&mut self) -> Result<(), Broken> {
        self.report.crashes += 1;
        self.disk.crash(&mut self.random)?;
        self.check_kept()?;
        let cores = usize::from(self.weather.cores);
        self.links.clear();
        self.readers = (0..cores).map(|_| BTreeMap::new()).collect();
        self.dirty = vec![BTreeSet::new(); cores];
        let settings = &mut self.weather.settings;
        for settings in settings.iter_mut() {
            settings.epoch = Epoch(settings.epoch.0 + 1);
        }
        self.shards = settings.iter().cloned().map(Shard::new).collect();
        Ok(())
    }

    /// Everything that was acknowledged in a durable room is kept, unless retention has forgotten it.
    pub(crate) fn check_kept(&self) -> Result<(), Broken> {
        let Some(policies) = self.policies() else {
            return Ok(());
        };
        let mut store = self.disk.store();
        store.faults().heal();
        for room in ROOMS {
            let name =
                taut_hub::RoomName::parse(room).map_err(|error| Broken(error.to_string()))?;
            if policies.for_room(&name).durability == Durability::Memory {
                continue;
            }
            let tail = Tail {
                messages_max: u32::MAX,
                bytes_max: u64::MAX,
                ids_max: 0,
                ids_since_ms: 0,
            };
            let kept = store
                .open(&name, tail)
                .map_err(|error| Broken(error.to_string()))?;
            self.truth.is_kept(&name, kept.as_ref())?;
        }
        Ok(())
    }

    fn policies(&self) -> Option<&Policies> {
        self.weather.store_ms_max?;
        self.weather
            .settings
            .first()
            .map(|settings| settings.policies.as_ref())
    }
}
