//! HTTP requests and what they ask of the rooms: every room is a URL.

mod action;
pub mod api;
mod credentials;
mod engine;
mod excerpt;
mod parameters;
mod respond;
mod route;
mod site;

pub use action::{
    Action, BodyKind, Deletion, FileAsked, Get, Otherwise, Poll, Problem, Publish, Socket,
    Streaming, Streams,
};
pub use credentials::{Place, Shown, shown};
pub use engine::{EngineDialect, EnginePath, EngineRequest, EngineWants};
pub use parameters::position;
pub use respond::{LibraryFile, Reply, Responder, refused};
pub use route::{Routed, route};
pub use site::Site;
