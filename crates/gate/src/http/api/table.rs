//! The one table of the API: how each request looks, and what it is for.

use super::read::{self, Given};
use super::{ApiRequest, Call};
use crate::http::{Problem, Site};
use taut_wire::http::Request;
use taut_wire::native::LABEL_BYTES_MAX;

/// A request that the API knows.
#[derive(Debug)]
pub struct Endpoint {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
    /// What it is called in the document, for generated clients.
    pub id: &'static str,
    /// What it is for, in a line.
    pub summary: &'static str,
    /// Its query and headers. Others are refused.
    pub parameters: &'static [&'static Parameter],
    /// What its body is.
    pub content: Content,
    /// The name of what it answers among the document's schemas.
    pub answer: &'static str,
    /// What it asks for.
    pub(super) read: fn(&Given<'_>, &Request<'_>, &Site) -> Result<Call, Problem>,
}

/// What the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    Nothing,
    /// What is said, by its Content-Type.
    Message,
    /// Several messages.
    Batch,
}

/// A parameter of a request.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub stands: Stands,
    /// The request cannot do without it.
    pub required: bool,
    /// What it may be.
    pub kind: Kind,
    /// What it means.
    pub about: &'static str,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// In the query.
    InQuery,
    /// A header field.
    InHeader,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text, by the rules of what it names.
    Text,
    /// A text of at least one and at most so many bytes.
    Word(usize),
    /// The name of a room.
    Room,
    /// The id of a Conn.
    Conn,
    /// An IP address.
    Address,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// Switched on by `1`, `true` or nothing, off by `0`, `false` or not being there.
    Switch,
    /// One of these.
    OneOf(&'static [&'static str]),
}

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        stands: Stands::InQuery,
        required: false,
        kind: Kind::Text,
        about,
    }
}

const fn needed(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        required: true,
        ..text(name, about)
    }
}

const fn word(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        kind: Kind::Word(LABEL_BYTES_MAX),
        ..text(name, about)
    }
}

const ROOM: Parameter = Parameter {
    kind: Kind::Room,
    ..needed("room", "The room, for example `games/42`.")
};
const IN_ROOM: Parameter = Parameter {
    kind: Kind::Room,
    ..text("room", "Only Conns that are in this room.")
};
const CONN: Parameter = Parameter {
    kind: Kind::Conn,
    ..text("conn", "This Conn, by its id, for example `c0-12-34`.")
};
const USER: Parameter = Parameter {
    kind: Kind::Word(super::USER_BYTES_MAX),
    ..text("user", "All Conns of this verified user.")
};
const NAMESPACE: Parameter = text(
    "namespace",
    "Of a Socket.IO session, in which of its namespaces: by default `/` where it is in it, else its first; it leaves in all.",
);
const DOOR: Parameter = Parameter {
    kind: Kind::Word(32),
    ..text(
        "door",
        "Only Conns that came by this door, for example `websocket`.",
    )
};
const ADDRESS: Parameter = Parameter {
    kind: Kind::Address,
    ..text("address", "Only Conns from this IP address.")
};
const MATCH: Parameter = text(
    "match",
    "Only rooms that this pattern covers, for example `games/*` or `games/**`.",
);
const CURSOR: Parameter = text("cursor", "The `cursor` of the page before.");
const PAGE: Parameter = Parameter {
    kind: Kind::Whole(1, super::PAGE_ENTRIES_MAX as u64),
    ..text("limit", "At most so many entries; 100 by default.")
};
const AS: Parameter = text(
    "as",
    "The display name of who says it; `server` by default.",
);
const EVENT: Parameter = word("event", "What kind of message it is, instead of `message`.");
const KEY: Parameter = word("key", "The key of the room's state that it sets.");
const THE_KEY: Parameter = Parameter {
    required: true,
    ..word("key", "The key of the room's state.")
};
const LANE: Parameter = Parameter {
    kind: Kind::OneOf(&["reliable", "latest"]),
    ..text("lane", "How it travels.")
};
const TTL: Parameter = text("ttl", "For how long a key stays set, for example `30s`.");
const EXPECT: Parameter = text(
    "expect",
    "The position at which the key was set last; empty: the key is not set.",
);
const ID: Parameter = Parameter {
    stands: Stands::InHeader,
    ..word(
        "Idempotency-Key",
        "Makes it happen once, however often it is sent.",
    )
};
const SINCE: Parameter = text("since", "What came after this position.");
const UNTIL: Parameter = text("until", "What came up to this position, it included.");
const REWIND: Parameter = text("rewind", "The last so many messages, or those of `10m`.");
const REVERSE: Parameter = Parameter {
    kind: Kind::Switch,
    ..text("reverse", "Newest first.")
};
const MESSAGES: Parameter = Parameter {
    kind: Kind::Whole(0, u32::MAX as u64),
    ..text("limit", "At most so many messages.")
};
const COUNTS: Parameter = Parameter {
    kind: Kind::Switch,
    ..text("counts", "Only how many there are.")
};
const TOKEN: Parameter = Parameter {
    stands: Stands::InHeader,
    ..text(
        "Taut-Token",
        "Whose grant: that of this token. A header, so that it gets into no log.",
    )
};
const OF_CONN: Parameter = Parameter {
    kind: Kind::Conn,
    ..text("conn", "Whose grant: that of this Conn.")
};
const REVOKED_TOKEN: Parameter = Parameter {
    kind: Kind::Word(super::TOKEN_ID_BYTES_MAX),
    ..text("token", "The id (`jti`) of the token to be revoked.")
};
const REVOKED_USER: Parameter = Parameter {
    kind: Kind::Word(super::USER_BYTES_MAX),
    ..text("user", "The user whose tokens are to be revoked.")
};
const BEFORE: Parameter = Parameter {
    kind: Kind::Whole(0, u64::MAX),
    ..text(
        "issued_before",
        "Revokes every token issued before this second of Unix time.",
    )
};

/// All that the API knows.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: "POST",
        path: "/api/publish",
        id: "publish",
        summary: "Publish a message to a room. The Content-Type says what it is: application/json, text/plain, or anything else for binary.",
        parameters: &[&ROOM, &AS, &EVENT, &KEY, &LANE, &TTL, &EXPECT, &ID],
        content: Content::Message,
        answer: "Receipt",
        read: read::publish,
    },
    Endpoint {
        method: "POST",
        path: "/api/batch",
        id: "publishBatch",
        summary: "Publish several messages to a room: all of them or none. A JSON list, or a message a line (application/x-ndjson).",
        parameters: &[&ROOM, &AS, &ID],
        content: Content::Batch,
        answer: "Receipt",
        read: read::batch,
    },
    Endpoint {
        method: "GET",
        path: "/api/history",
        id: "readHistory",
        summary: "Read a page of what was said in a room. While `more` is true go on with since=AT; with `reverse`, with until=AT.",
        parameters: &[&ROOM, &SINCE, &UNTIL, &REWIND, &REVERSE, &MESSAGES],
        content: Content::Nothing,
        answer: "History",
        read: read::history,
    },
    Endpoint {
        method: "GET",
        path: "/api/rooms",
        id: "listRooms",
        summary: "List rooms with their counts: those in memory, then those that the store has besides, by their names.",
        parameters: &[&MATCH, &PAGE, &CURSOR],
        content: Content::Nothing,
        answer: "Rooms",
        read: read::rooms,
    },
    Endpoint {
        method: "GET",
        path: "/api/conns",
        id: "listConns",
        summary: "List connections.",
        parameters: &[&CONN, &IN_ROOM, &USER, &DOOR, &ADDRESS, &PAGE, &CURSOR],
        content: Content::Nothing,
        answer: "Conns",
        read: read::conns,
    },
    Endpoint {
        method: "GET",
        path: "/api/who",
        id: "listUsers",
        summary: "List who is in a room.",
        parameters: &[&ROOM, &COUNTS],
        content: Content::Nothing,
        answer: "Roster",
        read: read::who,
    },
    Endpoint {
        method: "POST",
        path: "/api/disconnect",
        id: "disconnect",
        summary: "End a connection, or all of a user, from an address, or in a room; of several of these all must be true. The connection that asks stays.",
        parameters: &[&CONN, &USER, &ADDRESS, &IN_ROOM],
        content: Content::Nothing,
        answer: "Done",
        read: read::disconnect,
    },
    Endpoint {
        method: "POST",
        path: "/api/join",
        id: "join",
        summary: "Bring a connection, or all of a user, into a room, where its grant allows that: Socket.IO, native connections, and people at a text terminal, who leave the room that they are in. `reasons` says why others were not.",
        parameters: &[&ROOM, &CONN, &USER, &NAMESPACE],
        content: Content::Nothing,
        answer: "Done",
        read: read::join,
    },
    Endpoint {
        method: "POST",
        path: "/api/leave",
        id: "leave",
        summary: "Take a connection, or all of a user, out of a room. One that cannot be without it (a payload WebSocket, a stream, a long poll) ends.",
        parameters: &[&ROOM, &CONN, &USER, &NAMESPACE],
        content: Content::Nothing,
        answer: "Done",
        read: read::leave,
    },
    Endpoint {
        method: "GET",
        path: "/api/state",
        id: "readState",
        summary: "Read a room's state, or the message that set one key of it.",
        parameters: &[&ROOM, &KEY],
        content: Content::Nothing,
        answer: "State",
        read: read::state,
    },
    Endpoint {
        method: "PUT",
        path: "/api/state",
        id: "setKey",
        summary: "Set a key of a room's state.",
        parameters: &[&ROOM, &THE_KEY, &AS, &TTL, &EXPECT, &ID],
        content: Content::Message,
        answer: "Receipt",
        read: read::set,
    },
    Endpoint {
        method: "DELETE",
        path: "/api/state",
        id: "deleteKey",
        summary: "Delete a key of a room's state.",
        parameters: &[&ROOM, &THE_KEY, &AS, &EXPECT, &ID],
        content: Content::Nothing,
        answer: "Receipt",
        read: read::delete,
    },
    Endpoint {
        method: "POST",
        path: "/api/revoke",
        id: "revoke",
        summary: "Revoke a token by its id, all tokens of a user, or all that were issued before a time. Say one of them.",
        parameters: &[&REVOKED_USER, &REVOKED_TOKEN, &BEFORE],
        content: Content::Nothing,
        answer: "Done",
        read: read::revoke,
    },
    Endpoint {
        method: "POST",
        path: "/api/reload",
        id: "reload",
        summary: "Read the configuration again, as SIGHUP does: the same files, flags and environment. What changed, and what waits for a restart; with a mistake in it nothing changes.",
        parameters: &[],
        content: Content::Nothing,
        answer: "Reloaded",
        read: read::reload,
    },
    Endpoint {
        method: "GET",
        path: "/api/policy",
        id: "readPolicy",
        summary: "Read how a room behaves: the policy in force.",
        parameters: &[&ROOM],
        content: Content::Nothing,
        answer: "Policy",
        read: read::policy,
    },
    Endpoint {
        method: "GET",
        path: "/api/grant",
        id: "readGrant",
        summary: "Read what somebody may do in a room, right by right, and because of which rule: whoever shows nothing, or a token, or a connection.",
        parameters: &[&ROOM, &OF_CONN, &TOKEN],
        content: Content::Nothing,
        answer: "Grant",
        read: read::grant,
    },
    Endpoint {
        method: "GET",
        path: "/api/openapi.json",
        id: "readDocument",
        summary: "This document. Needs no key.",
        parameters: &[],
        content: Content::Nothing,
        answer: "Document",
        read: read::document,
    },
];

impl Endpoint {
    /// The request, understood.
    pub(super) fn understand(
        &self,
        given: &Given<'_>,
        request: &Request<'_>,
        site: &Site,
    ) -> Result<ApiRequest, Problem> {
        // Where it only filters, what is shown of others is not about that room alone.
        let is_about = |known: &&Parameter| known.name == "room" && known.required;
        let room = self
            .parameters
            .iter()
            .copied()
            .any(|known| is_about(&known));
        Ok(ApiRequest {
            shown: read::bearer(request),
            room: if room { given.room()? } else { None },
            call: (self.read)(given, request, site)?,
        })
    }
}
