//! Deterministic simulation of shards, the links between them, and Conns of every temper, from one seed.
//!
//! The simulation plays the server: it carries link messages late and in order, walks rooms, lets Conns read a little and then stop, and takes time on
//! in leaps. [`World::run`] checks all the while what the hub promises ([`Broken`] says which promise failed); the same seed always plays the same game.
//! No thread, socket or clock is here.

mod check;
mod disaster;
mod disk;
mod latest;
mod random;
mod reader;
mod weather;
mod world;

pub use check::{Broken, Sabotage};
pub use random::Random;
pub use world::{Report, World};
